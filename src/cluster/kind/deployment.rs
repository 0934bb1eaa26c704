//! Deployment. PURE.

use serde_json::Value;

use super::Kind;
use crate::convert::Finding;

/// The Deployment kind.
pub struct Deployment;

impl Kind for Deployment {
    fn name(&self) -> &'static str {
        "Deployment"
    }

    fn versions(&self) -> &'static [&'static str] {
        &["apps/v1", "apps/v1beta2", "apps/v1beta1", "extensions/v1beta1"]
    }

    fn is_sized(&self) -> bool {
        true
    }

    fn check(&self, body: &Value, findings: &mut Vec<Finding>) {
        if body.pointer("/spec/paused") == Some(&Value::Bool(true)) {
            let message = "a paused Deployment never starts a pod on the target: resume it, or patch this field";
            findings.push(Finding::blocks("spec.paused", message));
        }
    }
}
