//! The kinds Kubernetes has, or had since 1.16, in the groups that are its own alone. PURE.
//!
//! Taken from `k8s.io/api` of 1.20.15 and 1.37.2, for devices also of what was between them. Nobody else may add a kind to these
//! groups, so one that is not here is a mistake in writing, or newer than this list; groups that others add kinds to, such as
//! `snapshot.storage.k8s.io`, are not here.

use super::CONVERSIONS;

/// Group, and its kinds.
const KINDS: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "Binding",
            "ComponentStatus",
            "ConfigMap",
            "Endpoints",
            "Event",
            "LimitRange",
            "Namespace",
            "Node",
            "PersistentVolume",
            "PersistentVolumeClaim",
            "Pod",
            "PodTemplate",
            "ReplicationController",
            "ResourceQuota",
            "Secret",
            "Service",
            "ServiceAccount",
        ],
    ),
    (
        "admissionregistration.k8s.io",
        &[
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingWebhookConfiguration",
        ],
    ),
    ("apiextensions.k8s.io", &["CustomResourceDefinition"]),
    ("apiregistration.k8s.io", &["APIService"]),
    ("apps", &["ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"]),
    ("autoscaling", &["HorizontalPodAutoscaler", "Scale"]),
    ("batch", &["CronJob", "Job"]),
    ("certificates.k8s.io", &["CertificateSigningRequest", "ClusterTrustBundle", "PodCertificateRequest"]),
    ("coordination.k8s.io", &["Lease", "LeaseCandidate"]),
    ("discovery.k8s.io", &["EndpointSlice"]),
    ("events.k8s.io", &["Event"]),
    ("extensions", &["DaemonSet", "Deployment", "Ingress", "NetworkPolicy", "ReplicaSet"]),
    ("flowcontrol.apiserver.k8s.io", &["FlowSchema", "PriorityLevelConfiguration"]),
    ("networking.k8s.io", &["IPAddress", "Ingress", "IngressClass", "NetworkPolicy", "ServiceCIDR"]),
    ("node.k8s.io", &["RuntimeClass"]),
    ("policy", &["PodDisruptionBudget", "PodSecurityPolicy", "Eviction"]),
    ("rbac.authorization.k8s.io", &["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]),
    (
        "resource.k8s.io",
        &[
            "DeviceClass",
            "DeviceTaintRule",
            "PodScheduling",
            "PodSchedulingContext",
            "ResourceClaim",
            "ResourceClaimParameters",
            "ResourceClaimTemplate",
            "ResourceClass",
            "ResourceClassParameters",
            "ResourcePoolStatusRequest",
            "ResourceSlice",
        ],
    ),
    (
        "storage.k8s.io",
        &["CSIDriver", "CSINode", "CSIStorageCapacity", "StorageClass", "VolumeAttachment", "VolumeAttributesClass"],
    ),
];

/// What is wrong with a kind or its version, in one of these groups: the field, and what is to be known.
pub fn unknown(kind: &str, api_version: &str) -> Option<(&'static str, String)> {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let (_, kinds) = KINDS.iter().find(|(known, _)| *known == group)?;
    if !kinds.contains(&kind) {
        return Some(("kind", format!("{api_version} has no kind {kind} that is known here")));
    }
    let mut rows = CONVERSIONS.iter().filter(|row| row.kind == kind && row.becomes == kind).peekable();
    rows.peek()?;
    let is_known = rows.any(|row| row.from == api_version || row.to == api_version);
    (!is_known).then(|| ("apiVersion", format!("{api_version} is no version of {kind} that is known here")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_converted_kind_is_known_in_both_versions_and_nothing_close_to_it_is() {
        for row in CONVERSIONS {
            assert_eq!(unknown(row.kind, row.from), None, "{} {}", row.kind, row.from);
            assert_eq!(unknown(row.becomes, row.to), None, "{} {}", row.becomes, row.to);
        }
        for (kind, version, field) in [
            ("Deploymnet", "apps/v1", "kind"),
            ("Deployment", "v1", "kind"),
            ("Pod", "apps/v1", "kind"),
            ("Deployment", "apps/v1beta3", "apiVersion"),
            ("Ingress", "networking.k8s.io/v2", "apiVersion"),
        ] {
            assert_eq!(unknown(kind, version).map(|(field, _)| field), Some(field), "{kind} {version}");
        }
        for (kind, version) in [
            ("VolumeSnapshot", "snapshot.storage.k8s.io/v1"),
            ("Gateway", "gateway.networking.k8s.io/v1"),
            ("ConfigMap", "v1"),
            ("Job", "batch/v1"),
            ("Migration", "crossfade.dev/v1alpha1"),
        ] {
            assert_eq!(unknown(kind, version), None, "{kind} {version}");
        }
    }
}
