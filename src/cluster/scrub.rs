//! Removes from an object what belongs to the cluster it was read from. PURE.
//!
//! Of the metadata only name, namespace, labels and annotations are the user's. Finalizers are left
//! behind with the controllers that would have to act on them; owner references name objects by a uid that
//! exists nowhere else.

use serde_json::{Map, Value};

use super::digest::DIGEST_ANNOTATION;

/// What of the metadata the user wrote.
const KEPT: &[&str] = &["name", "namespace", "labels", "annotations"];

/// Annotations that other programs write about an object on its own cluster, and nobody desires on another.
pub const OF_THE_CLUSTER: &[&str] = &[
    // Here `kubectl apply` keeps all of the object once more.
    "kubectl.kubernetes.io/last-applied-configuration",
    "deployment.kubernetes.io/revision",
    "deprecated.deployment.rollback.to",
];

/// Removes status and everything of the metadata that is not the user's.
pub fn scrub(body: &mut Value) {
    let Some(object) = body.as_object_mut() else { return };
    object.remove("status");
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.retain(|key, _| KEPT.contains(&key.as_str()));
        scrub_annotations(metadata);
    }
    remove_nulls(body);
}

fn scrub_annotations(metadata: &mut Map<String, Value>) {
    let Some(Value::Object(annotations)) = metadata.get_mut("annotations") else { return };
    // The object may have been a mirror itself.
    annotations.retain(|key, _| !OF_THE_CLUSTER.contains(&key.as_str()) && key != DIGEST_ANNOTATION);
    if annotations.is_empty() {
        metadata.remove("annotations");
    }
}

/// Old servers write `creationTimestamp: null` into pod templates. Applied, a null would own the field.
fn remove_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(remove_nulls);
        }
        Value::Array(entries) => entries.iter_mut().for_each(remove_nulls),
        _ => {}
    }
}
