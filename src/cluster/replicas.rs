//! How far one workload is with its pods. PURE.
//!
//! Only what the workload's own controller says, and only when it has seen the newest specification: a
//! number from before the last change says nothing about after it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::manifest::Manifest;

/// The pods of one workload, counted by its controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Replicas {
    /// Pods asked for.
    pub desired: u32,
    /// Pods that are Ready, of whichever revision.
    pub ready: u32,
    /// Pods of the newest revision.
    pub updated: u32,
    /// Pods that have been Ready for `minReadySeconds`.
    pub available: u32,
    /// Whether the controller has seen the newest specification; if not, the counts are of an older one.
    pub current: bool,
}

impl Replicas {
    /// Whether every pod asked for runs the newest revision and can serve.
    pub fn is_complete(&self) -> bool {
        let Self { desired, ready, updated, available, current } = *self;
        current && updated >= desired && ready >= desired && available >= desired
    }

    /// The counts a workload's object reports. One without `spec.replicas` has one pod.
    ///
    /// A ReplicationController has no revisions, so all its pods are of the newest; a StatefulSet of a server before 1.22 does not
    /// say which pods are available, and has no `minReadySeconds` that would make a difference.
    pub(super) fn of(workload: &Manifest) -> Self {
        let number = |pointer: &str| workload.value().pointer(pointer).and_then(Value::as_u64);
        let count = |pointer: &str| number(pointer).and_then(|count| u32::try_from(count).ok());
        let status = |key: &str| count(&format!("/status/{key}")).unwrap_or(0);
        let kind = workload.object().kind.as_str();
        let has_available = workload.value().pointer("/status/availableReplicas").is_some();
        let observed = number("/status/observedGeneration");
        Self {
            desired: count("/spec/replicas").unwrap_or(1),
            ready: status("readyReplicas"),
            updated: status(if kind == "ReplicationController" { "replicas" } else { "updatedReplicas" }),
            available: status(if kind == "StatefulSet" && !has_available {
                "readyReplicas"
            } else {
                "availableReplicas"
            }),
            current: observed.is_some() && observed >= number("/metadata/generation"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn counts_each_kind_by_what_its_controller_says() {
        for (kind, status, complete) in [
            ("ReplicationController", json!({"replicas": 2, "readyReplicas": 2, "availableReplicas": 2}), true),
            ("ReplicationController", json!({"replicas": 1, "readyReplicas": 1, "availableReplicas": 1}), false),
            ("StatefulSet", json!({"updatedReplicas": 2, "readyReplicas": 2}), true),
            ("StatefulSet", json!({"updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 1}), false),
            ("StatefulSet", json!({"updatedReplicas": 1, "readyReplicas": 2}), false),
        ] {
            let mut body = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "web", "generation": 1}});
            body["spec"] = json!({"replicas": 2});
            body["status"] = status.clone();
            body["status"]["observedGeneration"] = 1.into();
            assert_eq!(Replicas::of(&Manifest::new(body).unwrap()).is_complete(), complete, "{kind} {status}");
        }
    }

    fn replicas(spec: Value, status: Value) -> Replicas {
        let metadata = json!({"name": "web", "namespace": "shop", "generation": 7});
        let body = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec, "status": status});
        Replicas::of(&Manifest::new(body).unwrap())
    }

    #[test]
    fn is_complete_only_on_the_word_of_a_controller_that_is_up_to_date() {
        let all = |observed: u32, ready: u32| json!({"observedGeneration": observed, "replicas": 3, "updatedReplicas": 3, "readyReplicas": ready, "availableReplicas": ready});
        for (spec, status, complete) in [
            (json!({"replicas": 3}), all(7, 3), true),
            (json!({"replicas": 3}), all(6, 3), false),
            (json!({"replicas": 3}), all(7, 2), false),
            (json!({"replicas": 4}), all(7, 3), false),
            (json!({"replicas": 0}), json!({"observedGeneration": 7}), true),
            (json!({}), json!({"observedGeneration": 7}), false),
            (json!({"replicas": 0}), json!({}), false),
        ] {
            assert_eq!(replicas(spec, status.clone()).is_complete(), complete, "{status}");
        }
    }
}
