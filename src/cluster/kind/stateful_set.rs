//! StatefulSet without volumes of its own. PURE.
//!
//! The data of a volume does not move with its claim: a set that has any blocks.

use serde_json::Value;

use super::{Kind, Reference, entries, pod_template, text_at};
use crate::convert::Finding;

/// The StatefulSet kind.
pub struct StatefulSet;

impl Kind for StatefulSet {
    fn name(&self) -> &'static str {
        "StatefulSet"
    }

    fn versions(&self) -> &'static [&'static str] {
        &["apps/v1", "apps/v1beta2", "apps/v1beta1"]
    }

    fn is_sized(&self) -> bool {
        true
    }

    /// Besides what its pods need, the Service that gives them their names.
    fn refers_to(&self, body: &Value) -> Vec<Reference> {
        let mut found = pod_template::references_of(self.name(), body);
        found.extend(text_at(body, "/spec/serviceName").map(|name| Reference {
            kind: "Service",
            name: name.to_owned(),
            field: "spec.serviceName".to_owned(),
            optional: true,
            brings: true,
        }));
        found
    }

    fn check(&self, body: &Value, findings: &mut Vec<Finding>) {
        if entries(body, "/spec/volumeClaimTemplates").next().is_some() {
            let message = "holds data that does not move: the target's volumes would be empty";
            findings.push(Finding::blocks("spec.volumeClaimTemplates", message));
        }
    }
}
