//! ReplicationController, which is mirrored as a Deployment. PURE.

use serde_json::Value;

use super::{Kind, Reference, deployment, pod_template};

/// The ReplicationController kind.
pub struct ReplicationController;

impl Kind for ReplicationController {
    fn name(&self) -> &'static str {
        "ReplicationController"
    }

    fn versions(&self) -> &'static [&'static str] {
        &["v1"]
    }

    fn becomes(&self) -> Option<&'static dyn Kind> {
        Some(&deployment::Deployment)
    }

    fn is_sized(&self) -> bool {
        true
    }

    fn refers_to(&self, body: &Value) -> Vec<Reference> {
        pod_template::of_workload(self, body)
    }

    fn pod_template<'a>(&self, body: &'a Value) -> Option<&'a Value> {
        body.pointer("/spec/template")
    }
}
