//! StatefulSet of `apps/v1beta1` and `apps/v1beta2` → `apps/v1`. PURE.
//!
//! `apps/v1beta1` waited for somebody to delete a pod before it updated it (`OnDelete`); the newer versions roll.

use serde_json::json;

use super::draft::Draft;
use super::workload;

/// From `apps/v1beta1`.
pub fn from_v1beta1(set: &mut Draft<'_>) {
    workload::spec_with_defaulted_selector(set, |spec| {
        same(spec);
        spec.put_default("updateStrategy", json!({"type": "OnDelete"}));
    });
}

/// From `apps/v1beta2`, which defaults as `apps/v1` does.
pub fn from_v1beta2(set: &mut Draft<'_>) {
    workload::spec(set, same);
}

fn same(spec: &mut Draft<'_>) {
    spec.carry(&["replicas", "template", "volumeClaimTemplates", "serviceName", "podManagementPolicy"]);
    spec.carry(&["updateStrategy", "revisionHistoryLimit"]);
}
