//! PodDisruptionBudget `policy/v1beta1` → `policy/v1`. PURE.
//!
//! The shape is the same and one meaning is not: an empty selector selects no pod in `v1beta1` and every
//! pod of the namespace in `v1`. No selector at all selects nothing in both, so that is what it becomes.

use serde_json::{Map, Value};

use super::Converted;
use super::fields::{Fields, convert_object};
use super::finding::Finding;

/// The version converted to.
pub const V1: &str = "policy/v1";

/// The PodDisruptionBudget in `policy/v1`.
pub fn from_v1beta1(body: Value) -> Converted {
    let mut findings = Vec::new();
    let body = convert_object(body, V1, &mut findings, spec);
    Converted { body, findings }
}

fn spec(mut old: Fields, findings: &mut Vec<Finding>) -> Map<String, Value> {
    let mut new = Map::new();
    for key in ["minAvailable", "maxUnavailable", "unhealthyPodEvictionPolicy"] {
        old.carry(key, &mut new);
    }
    let path = old.path_of("selector");
    match old.take("selector") {
        Some(selector) if is_empty(&selector) => {
            let message = "an empty selector protects no pod here and every pod in policy/v1; it is left out";
            findings.push(Finding::notice(path, message));
        }
        Some(selector) => {
            new.insert("selector".to_owned(), selector);
        }
        None => {}
    }
    old.finish(findings);
    new
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
