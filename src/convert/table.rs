//! Every conversion there is, and what has none. PURE.
//!
//! One line for a kind and a version that is no longer served, or was replaced. The releases are those of the prerelease
//! lifecycle of `k8s.io/api`; versions that were never served by default leave with the release that brings their successor.

use super::draft::Draft;
use super::{
    certificate, cron_job, custom_resource, daemon_set, deployment, endpoint_slice, hpa, ingress, pdb, priority_level,
    rbac, replica_set, replication_controller, resource_claim, runtime_class, stateful_set, webhook,
};

/// Turns one version of a kind into another.
#[derive(Clone, Copy)]
pub struct Conversion {
    /// The kind.
    pub kind: &'static str,
    /// The version it comes in.
    pub from: &'static str,
    /// The minor of the first release that no longer serves `from`; none where it is served still.
    pub removed: Option<u32>,
    /// The version it leaves in.
    pub to: &'static str,
    /// The minor of the first release that serves `to`.
    pub since: u32,
    /// The kind it leaves as.
    pub becomes: &'static str,
    pub(super) rule: Rule,
}

/// How the fields beside `metadata` find their places.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// The shape is the same: these fields are carried as they are.
    Same(&'static [&'static str]),
    /// Field by field.
    Shape(fn(&mut Draft<'_>)),
}

use Rule::{Same, Shape};

/// A kind that no version of today takes the place of.
pub struct Gone {
    /// The kind.
    pub kind: &'static str,
    /// Its versions.
    pub versions: &'static [&'static str],
    /// The minor of the first release without it, where servers had it on by default and stored it.
    pub removed: Option<u32>,
    /// Why, and what to do instead.
    pub why: &'static str,
}

const fn row(
    kind: &'static str,
    from: &'static str,
    removed: u32,
    to: &'static str,
    since: u32,
    rule: Rule,
) -> Conversion {
    Conversion { kind, from, removed: Some(removed), to, since, becomes: kind, rule }
}

const ADMISSION: &str = "admissionregistration.k8s.io/v1";
const APPS: &str = "apps/v1";
const AUTOSCALING: &str = "autoscaling/v2";
const FLOW: &str = "flowcontrol.apiserver.k8s.io/v1";
const NETWORKING: &str = "networking.k8s.io/v1";
const RBAC: &str = "rbac.authorization.k8s.io/v1";
const RESOURCE: &str = "resource.k8s.io/v1";
const STORAGE: &str = "storage.k8s.io/v1";

/// The fields of a class of volumes.
const STORAGE_CLASS: Rule = Same(&[
    "provisioner",
    "parameters",
    "reclaimPolicy",
    "mountOptions",
    "allowVolumeExpansion",
    "volumeBindingMode",
    "allowedTopologies",
]);
const CAPACITY: Rule = Same(&["nodeTopology", "storageClassName", "capacity", "maximumVolumeSize"]);
const PRIORITY_CLASS: Rule = Same(&["value", "globalDefault", "description", "preemptionPolicy"]);
const ROLE: Rule = Same(&["rules"]);
const CLUSTER_ROLE: Rule = Same(&["rules", "aggregationRule"]);
const BINDING: Rule = Same(&["roleRef", "subjects"]);
const REVISION: Rule = Same(&["data", "revision"]);
const SPEC: Rule = Same(&["spec"]);

/// Every conversion there is; of several for one kind, the newest version first.
pub const CONVERSIONS: &[Conversion] = &[
    row("APIService", "apiregistration.k8s.io/v1beta1", 22, "apiregistration.k8s.io/v1", 10, SPEC),
    row("CSIDriver", "storage.k8s.io/v1beta1", 22, STORAGE, 18, SPEC),
    row("CSINode", "storage.k8s.io/v1beta1", 22, STORAGE, 17, SPEC),
    row("CSIStorageCapacity", "storage.k8s.io/v1beta1", 27, STORAGE, 24, CAPACITY),
    row("CSIStorageCapacity", "storage.k8s.io/v1alpha1", 24, STORAGE, 24, CAPACITY),
    row(
        "CertificateSigningRequest",
        "certificates.k8s.io/v1beta1",
        22,
        "certificates.k8s.io/v1",
        19,
        Shape(certificate::from_v1beta1),
    ),
    row("ClusterRole", "rbac.authorization.k8s.io/v1beta1", 22, RBAC, 8, CLUSTER_ROLE),
    row("ClusterRole", "rbac.authorization.k8s.io/v1alpha1", 22, RBAC, 8, CLUSTER_ROLE),
    row("ClusterRoleBinding", "rbac.authorization.k8s.io/v1beta1", 22, RBAC, 8, BINDING),
    row("ClusterRoleBinding", "rbac.authorization.k8s.io/v1alpha1", 22, RBAC, 8, Shape(rbac::from_v1alpha1)),
    row("ControllerRevision", "apps/v1beta2", 16, APPS, 9, REVISION),
    row("ControllerRevision", "apps/v1beta1", 16, APPS, 9, REVISION),
    row("CronJob", "batch/v1beta1", 25, "batch/v1", 21, Shape(cron_job::from_beta)),
    row("CronJob", "batch/v2alpha1", 21, "batch/v1", 21, Shape(cron_job::from_beta)),
    row(
        "CustomResourceDefinition",
        "apiextensions.k8s.io/v1beta1",
        22,
        "apiextensions.k8s.io/v1",
        16,
        Shape(custom_resource::from_v1beta1),
    ),
    row("DaemonSet", "apps/v1beta2", 16, APPS, 9, Shape(daemon_set::from_v1beta2)),
    row("DaemonSet", "extensions/v1beta1", 16, APPS, 9, Shape(daemon_set::from_extensions)),
    row("Deployment", "apps/v1beta2", 16, APPS, 9, Shape(deployment::from_v1beta2)),
    row("Deployment", "apps/v1beta1", 16, APPS, 9, Shape(deployment::from_v1beta1)),
    row("Deployment", "extensions/v1beta1", 16, APPS, 9, Shape(deployment::from_extensions)),
    row("DeviceClass", "resource.k8s.io/v1beta2", 39, RESOURCE, 34, SPEC),
    row("DeviceClass", "resource.k8s.io/v1beta1", 38, RESOURCE, 34, SPEC),
    row("DeviceClass", "resource.k8s.io/v1alpha3", 34, RESOURCE, 34, Shape(resource_claim::class_from_alpha)),
    row("EndpointSlice", "discovery.k8s.io/v1beta1", 25, "discovery.k8s.io/v1", 21, Shape(endpoint_slice::from_beta)),
    row("EndpointSlice", "discovery.k8s.io/v1alpha1", 21, "discovery.k8s.io/v1", 21, Shape(endpoint_slice::from_beta)),
    row("FlowSchema", "flowcontrol.apiserver.k8s.io/v1beta3", 32, FLOW, 29, SPEC),
    row("FlowSchema", "flowcontrol.apiserver.k8s.io/v1beta2", 29, FLOW, 29, SPEC),
    row("FlowSchema", "flowcontrol.apiserver.k8s.io/v1beta1", 26, FLOW, 29, SPEC),
    row("FlowSchema", "flowcontrol.apiserver.k8s.io/v1alpha1", 24, FLOW, 29, SPEC),
    row("HorizontalPodAutoscaler", "autoscaling/v2beta2", 26, AUTOSCALING, 23, Shape(hpa::from_v2beta2)),
    row("HorizontalPodAutoscaler", "autoscaling/v2beta1", 25, AUTOSCALING, 23, Shape(hpa::from_v2beta1)),
    row("HorizontalPodAutoscaler", "autoscaling/v1", 0, AUTOSCALING, 23, Shape(hpa::from_v1)).still_served(),
    row("IPAddress", "networking.k8s.io/v1beta1", 37, NETWORKING, 33, SPEC),
    row("Ingress", "networking.k8s.io/v1beta1", 22, NETWORKING, 19, Shape(ingress::from_v1beta1)),
    row("Ingress", "extensions/v1beta1", 22, NETWORKING, 19, Shape(ingress::from_v1beta1)),
    row("IngressClass", "networking.k8s.io/v1beta1", 22, NETWORKING, 19, SPEC),
    row("Lease", "coordination.k8s.io/v1beta1", 22, "coordination.k8s.io/v1", 14, SPEC),
    row(
        "MutatingWebhookConfiguration",
        "admissionregistration.k8s.io/v1beta1",
        22,
        ADMISSION,
        16,
        Shape(webhook::mutating),
    ),
    row("NetworkPolicy", "extensions/v1beta1", 16, NETWORKING, 7, SPEC),
    row("PodDisruptionBudget", "policy/v1beta1", 25, "policy/v1", 21, Shape(pdb::from_v1beta1)),
    row("PriorityClass", "scheduling.k8s.io/v1beta1", 22, "scheduling.k8s.io/v1", 14, PRIORITY_CLASS),
    row("PriorityClass", "scheduling.k8s.io/v1alpha1", 22, "scheduling.k8s.io/v1", 14, PRIORITY_CLASS),
    row(
        "PriorityLevelConfiguration",
        "flowcontrol.apiserver.k8s.io/v1beta3",
        32,
        FLOW,
        29,
        Shape(priority_level::from_v1beta3),
    ),
    row(
        "PriorityLevelConfiguration",
        "flowcontrol.apiserver.k8s.io/v1beta2",
        29,
        FLOW,
        29,
        Shape(priority_level::from_assured),
    ),
    row(
        "PriorityLevelConfiguration",
        "flowcontrol.apiserver.k8s.io/v1beta1",
        26,
        FLOW,
        29,
        Shape(priority_level::from_assured),
    ),
    row(
        "PriorityLevelConfiguration",
        "flowcontrol.apiserver.k8s.io/v1alpha1",
        24,
        FLOW,
        29,
        Shape(priority_level::from_assured),
    ),
    row("ReplicaSet", "apps/v1beta2", 16, APPS, 9, Shape(replica_set::from_v1beta2)),
    row("ReplicaSet", "extensions/v1beta1", 16, APPS, 9, Shape(replica_set::from_extensions)),
    row("ReplicationController", "v1", 0, APPS, 9, Shape(replication_controller::from_v1))
        .becoming("Deployment")
        .still_served(),
    row("ResourceClaim", "resource.k8s.io/v1beta2", 39, RESOURCE, 34, SPEC),
    row("ResourceClaim", "resource.k8s.io/v1beta1", 38, RESOURCE, 34, Shape(resource_claim::from_flat)),
    row("ResourceClaim", "resource.k8s.io/v1alpha3", 34, RESOURCE, 34, Shape(resource_claim::from_flat)),
    row("ResourceClaimTemplate", "resource.k8s.io/v1beta2", 39, RESOURCE, 34, SPEC),
    row(
        "ResourceClaimTemplate",
        "resource.k8s.io/v1beta1",
        38,
        RESOURCE,
        34,
        Shape(resource_claim::template_from_flat),
    ),
    row(
        "ResourceClaimTemplate",
        "resource.k8s.io/v1alpha3",
        34,
        RESOURCE,
        34,
        Shape(resource_claim::template_from_flat),
    ),
    row("Role", "rbac.authorization.k8s.io/v1beta1", 22, RBAC, 8, ROLE),
    row("Role", "rbac.authorization.k8s.io/v1alpha1", 22, RBAC, 8, ROLE),
    row("RoleBinding", "rbac.authorization.k8s.io/v1beta1", 22, RBAC, 8, BINDING),
    row("RoleBinding", "rbac.authorization.k8s.io/v1alpha1", 22, RBAC, 8, Shape(rbac::from_v1alpha1)),
    row("RuntimeClass", "node.k8s.io/v1beta1", 25, "node.k8s.io/v1", 20, Same(&["handler", "overhead", "scheduling"])),
    row("RuntimeClass", "node.k8s.io/v1alpha1", 22, "node.k8s.io/v1", 20, Shape(runtime_class::from_v1alpha1)),
    row("ServiceCIDR", "networking.k8s.io/v1beta1", 37, NETWORKING, 33, SPEC),
    row("StatefulSet", "apps/v1beta2", 16, APPS, 9, Shape(stateful_set::from_v1beta2)),
    row("StatefulSet", "apps/v1beta1", 16, APPS, 9, Shape(stateful_set::from_v1beta1)),
    row("StorageClass", "storage.k8s.io/v1beta1", 22, STORAGE, 6, STORAGE_CLASS),
    row("ValidatingAdmissionPolicy", "admissionregistration.k8s.io/v1beta1", 34, ADMISSION, 30, SPEC),
    row("ValidatingAdmissionPolicy", "admissionregistration.k8s.io/v1alpha1", 32, ADMISSION, 30, SPEC),
    row("ValidatingAdmissionPolicyBinding", "admissionregistration.k8s.io/v1beta1", 34, ADMISSION, 30, SPEC),
    row("ValidatingAdmissionPolicyBinding", "admissionregistration.k8s.io/v1alpha1", 32, ADMISSION, 30, SPEC),
    row(
        "ValidatingWebhookConfiguration",
        "admissionregistration.k8s.io/v1beta1",
        22,
        ADMISSION,
        16,
        Shape(webhook::validating),
    ),
    row("VolumeAttachment", "storage.k8s.io/v1beta1", 22, STORAGE, 13, SPEC),
    row("VolumeAttachment", "storage.k8s.io/v1alpha1", 24, STORAGE, 13, SPEC),
    row("VolumeAttributesClass", "storage.k8s.io/v1beta1", 37, STORAGE, 34, Same(&["driverName", "parameters"])),
    row("VolumeAttributesClass", "storage.k8s.io/v1alpha1", 35, STORAGE, 34, Same(&["driverName", "parameters"])),
];

impl Conversion {
    const fn still_served(self) -> Self {
        Self { removed: None, ..self }
    }

    const fn becoming(self, kind: &'static str) -> Self {
        Self { becomes: kind, ..self }
    }

    /// Applies the rule to what is left of an object beside version, kind, metadata and status.
    pub(super) fn apply(&self, draft: &mut Draft<'_>) {
        match self.rule {
            Same(fields) => draft.carry(fields),
            Shape(shape) => shape(draft),
        }
    }
}

/// A question that is answered and never stored.
const QUESTION: &str = "is a question to the API server, answered and never stored: there is nothing to convert";
/// A request that changes another object.
const REQUEST: &str = "is a request about another object and never stored: there is nothing to convert";

/// What takes the place of policies.
const LABELS: &str = "was removed in 1.25; labels of namespaces take its place";
/// How devices were asked for before 1.31.
const CLASSIC: &str =
    "was removed in 1.31, with the drivers that understood it; ask for devices of a DeviceClass instead";
/// What was said while a pod with devices was placed.
const NEGOTIATION: &str =
    "is what scheduler and driver said to each other about one pod: there is nothing to carry over";

/// Kinds of removed versions that nothing takes the place of.
pub const GONE: &[Gone] = &[
    Gone { kind: "PodSecurityPolicy", versions: &["policy/v1beta1"], removed: Some(25), why: LABELS },
    Gone { kind: "PodSecurityPolicy", versions: &["extensions/v1beta1"], removed: Some(16), why: LABELS },
    Gone {
        kind: "PodPreset",
        versions: &["settings.k8s.io/v1alpha1"],
        removed: None,
        why: "was removed in 1.20; write its fields into the pods",
    },
    Gone {
        kind: "AuditSink",
        versions: &["auditregistration.k8s.io/v1alpha1"],
        removed: None,
        why: "was removed in 1.19; audit policies are flags of the API server",
    },
    Gone {
        kind: "Event",
        versions: &["events.k8s.io/v1beta1"],
        removed: Some(25),
        why: "lives for an hour and tells of its own cluster: there is nothing to carry over",
    },
    Gone {
        kind: "ClusterTrustBundle",
        versions: &["certificates.k8s.io/v1alpha1"],
        removed: None,
        why: "was removed in 1.37, and no server has its successor v1beta1 on by default",
    },
    Gone {
        kind: "ResourceClaim",
        versions: &["resource.k8s.io/v1alpha2", "resource.k8s.io/v1alpha1"],
        removed: None,
        why: CLASSIC,
    },
    Gone {
        kind: "ResourceClaimTemplate",
        versions: &["resource.k8s.io/v1alpha2", "resource.k8s.io/v1alpha1"],
        removed: None,
        why: CLASSIC,
    },
    Gone {
        kind: "ResourceClass",
        versions: &["resource.k8s.io/v1alpha2", "resource.k8s.io/v1alpha1"],
        removed: None,
        why: CLASSIC,
    },
    Gone { kind: "ResourceClaimParameters", versions: &["resource.k8s.io/v1alpha2"], removed: None, why: CLASSIC },
    Gone { kind: "ResourceClassParameters", versions: &["resource.k8s.io/v1alpha2"], removed: None, why: CLASSIC },
    Gone {
        kind: "ResourceSlice",
        versions: &["resource.k8s.io/v1alpha3", "resource.k8s.io/v1alpha2"],
        removed: None,
        why: "is what a driver says of the devices it has: the target's drivers write their own",
    },
    Gone {
        kind: "PodSchedulingContext",
        versions: &["resource.k8s.io/v1alpha3", "resource.k8s.io/v1alpha2"],
        removed: None,
        why: NEGOTIATION,
    },
    Gone { kind: "PodScheduling", versions: &["resource.k8s.io/v1alpha1"], removed: None, why: NEGOTIATION },
    Gone { kind: "TokenReview", versions: &["authentication.k8s.io/v1beta1"], removed: None, why: QUESTION },
    Gone {
        kind: "SelfSubjectReview",
        versions: &["authentication.k8s.io/v1beta1", "authentication.k8s.io/v1alpha1"],
        removed: None,
        why: QUESTION,
    },
    Gone { kind: "SubjectAccessReview", versions: &["authorization.k8s.io/v1beta1"], removed: None, why: QUESTION },
    Gone {
        kind: "LocalSubjectAccessReview",
        versions: &["authorization.k8s.io/v1beta1"],
        removed: None,
        why: QUESTION,
    },
    Gone { kind: "SelfSubjectAccessReview", versions: &["authorization.k8s.io/v1beta1"], removed: None, why: QUESTION },
    Gone { kind: "SelfSubjectRulesReview", versions: &["authorization.k8s.io/v1beta1"], removed: None, why: QUESTION },
    Gone { kind: "AdmissionReview", versions: &["admission.k8s.io/v1beta1"], removed: None, why: QUESTION },
    Gone { kind: "Eviction", versions: &["policy/v1beta1"], removed: None, why: REQUEST },
    Gone { kind: "DeploymentRollback", versions: &["extensions/v1beta1", "apps/v1beta1"], removed: None, why: REQUEST },
    Gone {
        kind: "Scale",
        versions: &["extensions/v1beta1", "apps/v1beta1", "apps/v1beta2"],
        removed: None,
        why: REQUEST,
    },
];
