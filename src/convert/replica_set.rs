//! ReplicaSet of `extensions/v1beta1` and `apps/v1beta2` → `apps/v1`. PURE.
//!
//! Only the selector was defaulted otherwise.

use super::draft::Draft;
use super::workload;

/// From `extensions/v1beta1`.
pub fn from_extensions(set: &mut Draft<'_>) {
    workload::spec_with_defaulted_selector(set, same);
}

/// From `apps/v1beta2`.
pub fn from_v1beta2(set: &mut Draft<'_>) {
    workload::spec(set, same);
}

fn same(spec: &mut Draft<'_>) {
    spec.carry(&["replicas", "template", "minReadySeconds"]);
}
