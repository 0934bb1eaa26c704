//! Deployment of `extensions/v1beta1`, `apps/v1beta1` and `apps/v1beta2` → `apps/v1`. PURE.
//!
//! The shape is the same; what is left out is not. `extensions/v1beta1` meant one pod at a time, history without end and no
//! deadline, `apps/v1beta1` a history of two. `rollbackTo` was an order to the controller and has no successor.

use serde_json::json;

use super::draft::Draft;
use super::workload;

/// The number that means "never" and "all" to the controllers of every version.
const WITHOUT_END: i32 = i32::MAX;

/// From `extensions/v1beta1`.
pub fn from_extensions(deployment: &mut Draft<'_>) {
    workload::spec_with_defaulted_selector(deployment, |spec| {
        same(spec);
        one_at_a_time(spec);
        spec.put_default("progressDeadlineSeconds", WITHOUT_END);
        spec.put_default("revisionHistoryLimit", WITHOUT_END);
        refuse_rollback(spec);
    });
}

/// From `apps/v1beta1`.
pub fn from_v1beta1(deployment: &mut Draft<'_>) {
    workload::spec_with_defaulted_selector(deployment, |spec| {
        same(spec);
        spec.put_default("revisionHistoryLimit", 2);
        refuse_rollback(spec);
    });
}

/// From `apps/v1beta2`, which defaults as `apps/v1` does.
pub fn from_v1beta2(deployment: &mut Draft<'_>) {
    workload::spec(deployment, same);
}

fn same(spec: &mut Draft<'_>) {
    spec.carry(&["replicas", "template", "strategy", "minReadySeconds", "revisionHistoryLimit", "paused"]);
    spec.carry(&["progressDeadlineSeconds"]);
}

/// Writes a rolling update of one pod at a time where nothing else is said.
fn one_at_a_time(spec: &mut Draft<'_>) {
    let strategy = spec.new_mut().entry("strategy").or_insert_with(|| json!({}));
    let Some(strategy) = strategy.as_object_mut() else { return };
    let kind = strategy.entry("type").or_insert_with(|| "RollingUpdate".into());
    if kind == "RollingUpdate" {
        let rolling = strategy.entry("rollingUpdate").or_insert_with(|| json!({}));
        for key in ["maxSurge", "maxUnavailable"] {
            if let Some(rolling) = rolling.as_object_mut() {
                rolling.entry(key).or_insert_with(|| 1.into());
            }
        }
    }
}

fn refuse_rollback(spec: &mut Draft<'_>) {
    if spec.take("rollbackTo").is_some() {
        spec.blocks("rollbackTo", "orders a rollback that the new version has no field for: finish or remove it first");
    }
}
