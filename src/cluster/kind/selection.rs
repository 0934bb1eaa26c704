//! What is selected so far, in the shape that other kinds ask about. PURE.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::super::object::ObjectRef;

/// What is selected in one namespace.
#[derive(Debug, Default)]
pub struct Selection {
    objects: BTreeSet<Arc<ObjectRef>>,
    /// Labels that pods of selected workloads will have.
    pod_labels: BTreeMap<String, Vec<Map<String, Value>>>,
}

impl Selection {
    /// Adds an object and, for a workload, the labels of its pods. Returns whether it is new.
    pub fn add(&mut self, object: &Arc<ObjectRef>, pod_labels: Option<&Map<String, Value>>) -> bool {
        let added = self.objects.insert(Arc::clone(object));
        if added && let Some(labels) = pod_labels {
            self.pod_labels.entry(object.namespace.clone()).or_default().push(labels.clone());
        }
        added
    }

    /// Whether an object is selected.
    pub fn contains(&self, object: &ObjectRef) -> bool {
        self.objects.contains(object)
    }

    /// Whether pods of a selected workload satisfy `matches`.
    pub fn any_pod(&self, namespace: &str, matches: impl Fn(&Map<String, Value>) -> bool) -> bool {
        self.pod_labels.get(namespace).is_some_and(|pods| pods.iter().any(matches))
    }

    /// Everything selected.
    pub fn into_objects(self) -> BTreeSet<Arc<ObjectRef>> {
        self.objects
    }
}

/// Whether labels satisfy a `LabelSelector` in JSON; one that cannot be understood is never satisfied.
///
/// An empty selector is satisfied by everything: callers for which it means nothing ask first.
pub fn labels_match(selector: &Value, labels: &Map<String, Value>) -> bool {
    let exact = match selector.get("matchLabels") {
        None | Some(Value::Null) => true,
        Some(Value::Object(wanted)) => wanted.iter().all(|(key, value)| labels.get(key) == Some(value)),
        Some(_) => false,
    };
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    exact && expressions.is_none_or(|all| all.iter().all(|one| expression_matches(one, labels)))
}

fn expression_matches(expression: &Value, labels: &Map<String, Value>) -> bool {
    let Some(key) = expression.get("key").and_then(Value::as_str) else { return false };
    let values = expression.get("values").and_then(Value::as_array);
    let label = labels.get(key);
    let listed = || label.is_some_and(|label| values.is_some_and(|values| values.contains(label)));
    match expression.get("operator").and_then(Value::as_str) {
        Some("In") => listed(),
        Some("NotIn") => !listed(),
        Some("Exists") => label.is_some(),
        Some("DoesNotExist") => label.is_none(),
        _ => false,
    }
}
