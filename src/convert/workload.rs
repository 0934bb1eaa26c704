//! What all workloads of `extensions/v1beta1` and `apps/v1beta1` have in common. PURE.
//!
//! Their servers made a selector and labels out of the template's labels where there were none. `apps/v1` wants the selector
//! written, and a selector can never be changed afterwards.

use serde_json::{Map, Value, json};

use super::draft::Draft;

/// Converts `spec`, after writing the labels that the old server would have given to the object and its selector.
pub fn spec_with_defaulted_selector(workload: &mut Draft<'_>, convert: impl FnOnce(&mut Draft<'_>)) {
    let template = workload.peek("spec").and_then(|spec| spec.get("template"));
    let labels = template.and_then(|template| template.pointer("/metadata/labels")?.as_object()).cloned();
    if let Some(labels) = &labels {
        label(workload.new_mut(), labels);
    }
    workload.nested("spec", |spec| {
        spec.carry(&["selector"]);
        if let Some(labels) = labels {
            spec.put_default("selector", json!({"matchLabels": labels}));
        }
        convert(spec);
        require_selector(spec);
    });
}

/// Converts `spec` where the old version wanted a selector too.
pub fn spec(workload: &mut Draft<'_>, convert: impl FnOnce(&mut Draft<'_>)) {
    workload.nested("spec", |spec| {
        spec.carry(&["selector"]);
        convert(spec);
        require_selector(spec);
    });
}

fn require_selector(spec: &mut Draft<'_>) {
    if !spec.new_mut().contains_key("selector") {
        spec.blocks("selector", "is missing, and the template has no labels it could be made of");
    }
}

/// Gives labels to an object that has none.
fn label(object: &mut Map<String, Value>, labels: &Map<String, Value>) {
    let metadata = object.entry("metadata").or_insert_with(|| json!({}));
    let Some(metadata) = metadata.as_object_mut() else { return };
    let existing = metadata.entry("labels").or_insert(Value::Null);
    let none = existing.is_null() || existing.as_object().is_some_and(Map::is_empty);
    if none {
        *existing = Value::Object(labels.clone());
    }
}
