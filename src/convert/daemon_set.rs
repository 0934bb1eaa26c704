//! DaemonSet of `extensions/v1beta1` and `apps/v1beta2` → `apps/v1`. PURE.
//!
//! `extensions/v1beta1` waited for somebody to delete a pod before it updated it (`OnDelete`); the newer versions roll.

use serde_json::json;

use super::draft::Draft;
use super::workload;

/// From `extensions/v1beta1`.
pub fn from_extensions(daemons: &mut Draft<'_>) {
    workload::spec_with_defaulted_selector(daemons, |spec| {
        same(spec);
        spec.put_default("updateStrategy", json!({"type": "OnDelete"}));
        if spec.take("templateGeneration").is_some() {
            spec.notice("templateGeneration", "is a counter of the old server's; the new one keeps its own");
        }
    });
}

/// From `apps/v1beta2`, which defaults as `apps/v1` does.
pub fn from_v1beta2(daemons: &mut Draft<'_>) {
    workload::spec(daemons, same);
}

fn same(spec: &mut Draft<'_>) {
    spec.carry(&["template", "updateStrategy", "minReadySeconds", "revisionHistoryLimit"]);
}
