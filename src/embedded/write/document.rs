//! What writes do to documents. PURE.

use serde_json::{Value, json};

use super::super::failure::Failure;

/// A change of a document as a client writes it.
#[derive(Debug)]
pub(in super::super) enum Edit {
    /// RFC 6902.
    Json(json_patch::Patch),
    /// RFC 7396.
    Merge(Value),
    /// The whole document anew.
    Replace(Value),
}

impl Edit {
    /// Makes of a document what the edit makes of it; on a failure it is left as it was.
    pub(super) fn edit(self, document: &mut Value) -> Result<(), Failure> {
        match self {
            Self::Json(patch) => return json_patch::patch(document, &patch).map_err(|_| Failure::unfit_patch()),
            Self::Merge(patch) => json_patch::merge(document, &patch),
            Self::Replace(new) => *document = new,
        }
        Ok(())
    }
}

/// The `autoscaling/v1` Scale of a workload.
pub(in super::super) fn scale_of(object: &Value) -> Value {
    let from = &object["metadata"];
    let mut metadata = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        metadata[field] = from[field].clone();
    }
    let selector = &object["spec"]["selector"];
    let labels = selector["matchLabels"].as_object().or_else(|| selector.as_object()).into_iter().flatten();
    let selector: Vec<String> =
        labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    let mut scale = json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {},
        "status": {
            "replicas": object["status"]["replicas"].as_u64().unwrap_or_default(),
            "selector": selector.join(","),
        },
    });
    // Zero is left out, as by the real server.
    if let Some(replicas) = object["spec"]["replicas"].as_u64().filter(|replicas| *replicas > 0) {
        scale["spec"]["replicas"] = replicas.into();
    }
    scale
}

/// Whether somebody holds the object back from going.
pub(super) fn has_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty())
}

/// In an applied configuration a null says the same as a missing field.
pub(super) fn remove_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(remove_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_says_what_a_real_server_says() {
        let object = |replicas: u64| {
            json!({
                "metadata": {"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "7", "creationTimestamp": "t", "labels": {"a": "1"}},
                "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}},
            })
        };
        assert_eq!(
            scale_of(&object(3)),
            json!({"kind": "Scale", "apiVersion": "autoscaling/v1",
                "metadata": {"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "7", "creationTimestamp": "t"},
                "spec": {"replicas": 3}, "status": {"replicas": 0, "selector": "app=web"}})
        );
        assert_eq!(scale_of(&object(0))["spec"], json!({}));
    }

    #[test]
    fn a_patch_that_does_not_fit_changes_nothing() {
        let patch = json!([{"op": "replace", "path": "/a", "value": 2}, {"op": "test", "path": "/b", "value": 9}]);
        let mut document = json!({"a": 1, "b": 1});
        let edit = Edit::Json(serde_json::from_value(patch).unwrap());
        assert_eq!(edit.edit(&mut document).unwrap_err().code, 422);
        assert_eq!(document, json!({"a": 1, "b": 1}));
    }
}
