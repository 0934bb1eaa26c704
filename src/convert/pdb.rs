//! PodDisruptionBudget `policy/v1beta1` → `policy/v1`. PURE.
//!
//! The shape is the same and one meaning is not: an empty selector selects no pod in `v1beta1` and every
//! pod of the namespace in `v1`. No selector at all selects nothing in both, so that is what it becomes.

use serde_json::Value;

use super::draft::Draft;

/// From `policy/v1beta1`.
pub fn from_v1beta1(budget: &mut Draft<'_>) {
    budget.nested("spec", |spec| {
        spec.carry(&["minAvailable", "maxUnavailable", "unhealthyPodEvictionPolicy"]);
        if spec.peek("selector").is_some_and(is_empty) {
            spec.take("selector");
            spec.notice(
                "selector",
                "an empty selector protects no pod here and every pod in policy/v1; it is left out",
            );
        }
        spec.carry(&["selector"]);
    });
}

/// Whether a label selector has no requirement.
fn is_empty(selector: &Value) -> bool {
    let requires_nothing = |key: &str, requirements: &Value| match (key, requirements) {
        (_, Value::Null) => true,
        ("matchLabels", Value::Object(labels)) => labels.is_empty(),
        ("matchExpressions", Value::Array(expressions)) => expressions.is_empty(),
        _ => false,
    };
    selector.as_object().is_some_and(|selector| selector.iter().all(|(key, value)| requires_nothing(key, value)))
}
