//! One object as an API server writes it. PURE.
//!
//! A manifest is known to have a version, a kind and a name, so nothing downstream asks again. Its
//! `Debug` never shows the content: any object may be a Secret.

use std::fmt;

use serde_json::{Map, Value};

use super::object::ObjectRef;

/// An object's JSON with at least `apiVersion`, `kind` and `metadata.name`.
#[derive(Clone, PartialEq)]
pub struct Manifest {
    object: ObjectRef,
    api_version: String,
    value: Value,
}

impl Manifest {
    /// The manifest in `value`, or `None` where version, kind or name are missing.
    pub fn new(value: Value) -> Option<Self> {
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let api_version = text("/apiVersion")?;
        let namespace = text("/metadata/namespace").unwrap_or_default();
        let object = ObjectRef::new(text("/kind")?, namespace, text("/metadata/name")?);
        let empty = api_version.is_empty() || object.kind.is_empty() || object.name.is_empty();
        (!empty).then_some(Self { object, api_version, value })
    }

    /// Which object this is.
    pub fn object(&self) -> &ObjectRef {
        &self.object
    }

    /// `apiVersion`, such as `apps/v1`.
    pub fn api_version(&self) -> &str {
        &self.api_version
    }

    /// The whole JSON. It may hold a Secret's values: never print it.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The whole JSON, owned.
    pub fn into_value(self) -> Value {
        self.value
    }

    /// The labels.
    pub fn labels(&self) -> Option<&Map<String, Value>> {
        self.value.pointer("/metadata/labels").and_then(Value::as_object)
    }

    /// The value of one annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.value.get("metadata")?.get("annotations")?.get(key)?.as_str()
    }

    /// The same object without one annotation.
    pub fn without_annotation(&self, key: &str) -> Self {
        let mut changed = self.clone();
        if let Some(Value::Object(annotations)) = changed.value.pointer_mut("/metadata/annotations") {
            annotations.remove(key);
        }
        changed
    }

    /// `metadata.resourceVersion` of an object read from a server.
    pub fn resource_version(&self) -> Option<&str> {
        self.value.pointer("/metadata/resourceVersion").and_then(Value::as_str)
    }

    /// Whether the object is being deleted.
    pub fn is_deleting(&self) -> bool {
        self.value.pointer("/metadata/deletionTimestamp").is_some_and(|stamp| !stamp.is_null())
    }

    /// The `kind name` of the controller that made this object and would undo what is done to it.
    pub fn controller(&self) -> Option<String> {
        let owners = self.value.pointer("/metadata/ownerReferences")?.as_array()?;
        let owner = owners.iter().find(|owner| owner.get("controller") == Some(&Value::Bool(true)))?;
        let text = |key: &str| owner.get(key).and_then(Value::as_str).unwrap_or("?");
        Some(format!("{} {}", text("kind"), text("name")))
    }
}

impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Manifest({} {})", self.api_version, self.object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn is_only_made_of_a_named_object() {
        let full = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "shop"}});
        for missing in ["/apiVersion", "/kind", "/metadata/name"] {
            let mut partial = full.clone();
            *partial.pointer_mut(missing).unwrap() = Value::Null;
            assert_eq!(Manifest::new(partial), None, "{missing}");
        }
        assert_eq!(Manifest::new(full).unwrap().object(), &ObjectRef::new("Secret", "shop", "a"));
    }

    #[test]
    fn debug_shows_no_content() {
        let secret =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"key": "aHVudGVyMg=="}});
        assert_eq!(format!("{:?}", Manifest::new(secret).unwrap()), "Manifest(v1 Secret a)");
    }
}
