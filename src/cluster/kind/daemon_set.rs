//! DaemonSet. PURE.
//!
//! Its pods are as many as there are nodes, and two clusters have different nodes: it is mirrored and never counted.

use serde_json::Value;

use super::Kind;
use crate::convert::Finding;

/// The DaemonSet kind.
pub struct DaemonSet;

impl Kind for DaemonSet {
    fn name(&self) -> &'static str {
        "DaemonSet"
    }

    fn versions(&self) -> &'static [&'static str] {
        &["apps/v1", "apps/v1beta2", "extensions/v1beta1"]
    }

    fn check(&self, _: &Value, findings: &mut Vec<Finding>) {
        let message =
            "runs on each node of the target; whether its pods are ready is not waited for, and it stays at a commit";
        findings.push(Finding::notice("", message));
    }
}
