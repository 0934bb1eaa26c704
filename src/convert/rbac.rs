//! RoleBinding and ClusterRoleBinding `rbac.authorization.k8s.io/v1alpha1` → `v1`. PURE.
//!
//! Subjects named a version where a group belongs, and the user `*` meant everybody who is logged in.

use super::draft::Draft;

const GROUP: &str = "rbac.authorization.k8s.io";
/// The group of everybody who is logged in.
const EVERYBODY: &str = "system:authenticated";

/// From `v1alpha1`.
pub fn from_v1alpha1(binding: &mut Draft<'_>) {
    binding.carry(&["roleRef"]);
    binding.each("subjects", |subject| {
        let version = subject.take("apiVersion");
        let version = version.as_ref().and_then(|version| version.as_str()).unwrap_or_default();
        let kind = subject.peek("kind").and_then(|kind| kind.as_str()).unwrap_or_default();
        let group = match kind {
            "User" | "Group" => GROUP,
            "ServiceAccount" => "",
            _ => version.split_once('/').map_or("", |(group, _)| group),
        };
        let everybody = kind == "User" && subject.peek("name").is_some_and(|name| name == "*");
        let group = group.to_owned();
        subject.carry(&["kind", "name", "namespace"]);
        if !group.is_empty() {
            subject.put("apiGroup", group);
        }
        if everybody {
            subject.put("kind", "Group");
            subject.put("name", EVERYBODY);
        }
    });
}
