//! The kinds and versions the two shapes of server serve. PURE.
//!
//! A table taken from the discovery documents of v1.20.15 and v1.37.2, cut down to kinds a tenant's
//! namespace holds and the few cluster-scoped ones beside them. Groups whose kinds would need more than
//! storing (reviews, tokens, webhooks, custom resources) are left out rather than half there.

/// Which server this looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// v1.20: still serves the betas, knows nothing of aggregated discovery.
    V1_20,
    /// v1.37: serves the stable versions only.
    V1_37,
}

impl Shape {
    /// The version `/version` reports.
    pub(super) const fn git_version(self) -> &'static str {
        match self {
            Self::V1_20 => "v1.20.15",
            Self::V1_37 => "v1.37.2",
        }
    }

    /// The minor version alone.
    pub(super) const fn minor(self) -> &'static str {
        match self {
            Self::V1_20 => "20",
            Self::V1_37 => "37",
        }
    }

    /// Groups in the order the server lists them; the core group has the empty name.
    pub(super) const fn groups(self) -> &'static [Group] {
        match self {
            Self::V1_20 => V1_20,
            Self::V1_37 => V1_37,
        }
    }

    /// The kind served at this place, if any.
    pub(super) fn find(self, group: &str, version: &str, plural: &str) -> Option<&'static Kind> {
        let group = self.groups().iter().find(|served| served.name == group)?;
        let version = group.versions.iter().find(|served| served.name == version)?;
        version.kinds.iter().find(|kind| kind.plural == plural).copied()
    }
}

/// A group and its versions, the preferred one first.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: &'static str,
    pub(super) versions: &'static [Version],
}

/// A version of a group and the kinds it serves.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) name: &'static str,
    pub(super) kinds: &'static [&'static Kind],
}

/// What is known about one kind, whatever group and version it is served in.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) plural: &'static str,
    pub(super) singular: &'static str,
    pub(super) short: &'static [&'static str],
    pub(super) in_all: bool,
    pub(super) namespaced: bool,
    /// Whether the server counts changes of `spec` in `metadata.generation`.
    pub(super) counted: bool,
    pub(super) status: bool,
    pub(super) scale: bool,
}

impl Kind {
    const fn new(name: &'static str, plural: &'static str, singular: &'static str) -> Self {
        let (in_all, namespaced, counted, status, scale) = (false, true, false, false, false);
        Self { name, plural, singular, short: &[], in_all, namespaced, counted, status, scale }
    }

    const fn short(self, short: &'static [&'static str]) -> Self {
        Self { short, ..self }
    }

    const fn in_all(self) -> Self {
        Self { in_all: true, ..self }
    }

    const fn cluster(self) -> Self {
        Self { namespaced: false, ..self }
    }

    const fn counted(self) -> Self {
        Self { counted: true, ..self }
    }

    const fn status(self) -> Self {
        Self { status: true, ..self }
    }

    const fn scale(self) -> Self {
        Self { scale: true, ..self }
    }
}

static CONFIG_MAP: Kind = Kind::new("ConfigMap", "configmaps", "configmap").short(&["cm"]);
static ENDPOINTS: Kind = Kind::new("Endpoints", "endpoints", "endpoints").short(&["ep"]);
static EVENT: Kind = Kind::new("Event", "events", "event").short(&["ev"]);
static LIMIT_RANGE: Kind = Kind::new("LimitRange", "limitranges", "limitrange").short(&["limits"]);
static NAMESPACE: Kind = Kind::new("Namespace", "namespaces", "namespace").short(&["ns"]).cluster().status();
static NODE: Kind = Kind::new("Node", "nodes", "node").short(&["no"]).cluster().status();
static VOLUME_CLAIM: Kind =
    Kind::new("PersistentVolumeClaim", "persistentvolumeclaims", "persistentvolumeclaim").short(&["pvc"]).status();
static VOLUME: Kind =
    Kind::new("PersistentVolume", "persistentvolumes", "persistentvolume").short(&["pv"]).cluster().status();
static POD: Kind = Kind::new("Pod", "pods", "pod").short(&["po"]).in_all().status();
static REPLICATION_CONTROLLER: Kind =
    Kind::new("ReplicationController", "replicationcontrollers", "replicationcontroller")
        .short(&["rc"])
        .in_all()
        .counted()
        .status()
        .scale();
static RESOURCE_QUOTA: Kind = Kind::new("ResourceQuota", "resourcequotas", "resourcequota").short(&["quota"]).status();
static SECRET: Kind = Kind::new("Secret", "secrets", "secret");
static SERVICE_ACCOUNT: Kind = Kind::new("ServiceAccount", "serviceaccounts", "serviceaccount").short(&["sa"]);
static SERVICE: Kind = Kind::new("Service", "services", "service").short(&["svc"]).in_all().status();

static DAEMON_SET: Kind = Kind::new("DaemonSet", "daemonsets", "daemonset").short(&["ds"]).in_all().counted().status();
static DEPLOYMENT: Kind =
    Kind::new("Deployment", "deployments", "deployment").short(&["deploy"]).in_all().counted().status().scale();
static REPLICA_SET: Kind =
    Kind::new("ReplicaSet", "replicasets", "replicaset").short(&["rs"]).in_all().counted().status().scale();
static STATEFUL_SET: Kind =
    Kind::new("StatefulSet", "statefulsets", "statefulset").short(&["sts"]).in_all().counted().status().scale();

static AUTOSCALER: Kind = Kind::new("HorizontalPodAutoscaler", "horizontalpodautoscalers", "horizontalpodautoscaler")
    .short(&["hpa"])
    .in_all()
    .status();
static CRON_JOB: Kind = Kind::new("CronJob", "cronjobs", "cronjob").short(&["cj"]).in_all().counted().status();
static JOB: Kind = Kind::new("Job", "jobs", "job").in_all().counted().status();
static LEASE: Kind = Kind::new("Lease", "leases", "lease");
static INGRESS: Kind = Kind::new("Ingress", "ingresses", "ingress").short(&["ing"]).counted().status();
static INGRESS_CLASS: Kind = Kind::new("IngressClass", "ingressclasses", "ingressclass").cluster().counted();
static NETWORK_POLICY: Kind =
    Kind::new("NetworkPolicy", "networkpolicies", "networkpolicy").short(&["netpol"]).counted();
static DISRUPTION_BUDGET: Kind =
    Kind::new("PodDisruptionBudget", "poddisruptionbudgets", "poddisruptionbudget").short(&["pdb"]).counted().status();
static ROLE: Kind = Kind::new("Role", "roles", "role");
static ROLE_BINDING: Kind = Kind::new("RoleBinding", "rolebindings", "rolebinding");
static CLUSTER_ROLE: Kind = Kind::new("ClusterRole", "clusterroles", "clusterrole").cluster();
static CLUSTER_ROLE_BINDING: Kind =
    Kind::new("ClusterRoleBinding", "clusterrolebindings", "clusterrolebinding").cluster();
static PRIORITY_CLASS: Kind = Kind::new("PriorityClass", "priorityclasses", "priorityclass").short(&["pc"]).cluster();
static STORAGE_CLASS: Kind = Kind::new("StorageClass", "storageclasses", "storageclass").short(&["sc"]).cluster();

static CORE: &[&Kind] = &[
    &CONFIG_MAP,
    &ENDPOINTS,
    &EVENT,
    &LIMIT_RANGE,
    &NAMESPACE,
    &NODE,
    &VOLUME_CLAIM,
    &VOLUME,
    &POD,
    &REPLICATION_CONTROLLER,
    &RESOURCE_QUOTA,
    &SECRET,
    &SERVICE_ACCOUNT,
    &SERVICE,
];
static APPS: &[&Kind] = &[&DAEMON_SET, &DEPLOYMENT, &REPLICA_SET, &STATEFUL_SET];
static RBAC: &[&Kind] = &[&CLUSTER_ROLE_BINDING, &CLUSTER_ROLE, &ROLE_BINDING, &ROLE];

const fn version(name: &'static str, kinds: &'static [&'static Kind]) -> Version {
    Version { name, kinds }
}

const fn group(name: &'static str, versions: &'static [Version]) -> Group {
    Group { name, versions }
}

static V1_20: &[Group] = &[
    group("", &[version("v1", CORE)]),
    group("apps", &[version("v1", APPS)]),
    group(
        "autoscaling",
        &[version("v1", &[&AUTOSCALER]), version("v2beta1", &[&AUTOSCALER]), version("v2beta2", &[&AUTOSCALER])],
    ),
    group("batch", &[version("v1", &[&JOB]), version("v1beta1", &[&CRON_JOB])]),
    group(
        "networking.k8s.io",
        &[version("v1", &[&INGRESS_CLASS, &INGRESS, &NETWORK_POLICY]), version("v1beta1", &[&INGRESS_CLASS, &INGRESS])],
    ),
    group("extensions", &[version("v1beta1", &[&INGRESS])]),
    group("policy", &[version("v1beta1", &[&DISRUPTION_BUDGET])]),
    group("rbac.authorization.k8s.io", &[version("v1", RBAC), version("v1beta1", RBAC)]),
    group("storage.k8s.io", &[version("v1", &[&STORAGE_CLASS]), version("v1beta1", &[&STORAGE_CLASS])]),
    group("scheduling.k8s.io", &[version("v1", &[&PRIORITY_CLASS]), version("v1beta1", &[&PRIORITY_CLASS])]),
    group("coordination.k8s.io", &[version("v1", &[&LEASE]), version("v1beta1", &[&LEASE])]),
];

static V1_37: &[Group] = &[
    group("", &[version("v1", CORE)]),
    group("apps", &[version("v1", APPS)]),
    group("autoscaling", &[version("v2", &[&AUTOSCALER]), version("v1", &[&AUTOSCALER])]),
    group("batch", &[version("v1", &[&CRON_JOB, &JOB])]),
    group("networking.k8s.io", &[version("v1", &[&INGRESS_CLASS, &INGRESS, &NETWORK_POLICY])]),
    group("policy", &[version("v1", &[&DISRUPTION_BUDGET])]),
    group("rbac.authorization.k8s.io", &[version("v1", RBAC)]),
    group("storage.k8s.io", &[version("v1", &[&STORAGE_CLASS])]),
    group("scheduling.k8s.io", &[version("v1", &[&PRIORITY_CLASS])]),
    group("coordination.k8s.io", &[version("v1", &[&LEASE])]),
];
