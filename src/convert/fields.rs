//! Taking an object apart so that nothing gets lost. PURE.
//!
//! A converter takes the fields it knows; whatever is left when it is done becomes a blocking finding.

use serde_json::{Map, Value};

use super::finding::Finding;

/// One JSON object on its way to another version.
pub struct Fields {
    path: String,
    rest: Map<String, Value>,
}

impl Fields {
    /// The object at `path`; anything that is no object is reported and counts as empty.
    pub fn new(path: impl Into<String>, value: Value, findings: &mut Vec<Finding>) -> Self {
        let path = path.into();
        let rest = match value {
            Value::Object(map) => map,
            Value::Null => Map::new(),
            _ => {
                findings.push(Finding::blocks(path.clone(), "is not an object"));
                Map::new()
            }
        };
        Self { path, rest }
    }

    /// Takes a field; `null` is the same as absent.
    pub fn take(&mut self, key: &str) -> Option<Value> {
        self.rest.remove(key).filter(|value| !value.is_null())
    }

    /// Takes a field that is an object itself.
    pub fn object(&mut self, key: &str, findings: &mut Vec<Finding>) -> Option<Fields> {
        let value = self.take(key)?;
        Some(Self::new(self.path_of(key), value, findings))
    }

    /// Takes a field that is a list, each entry with its path.
    pub fn list(&mut self, key: &str, findings: &mut Vec<Finding>) -> Option<Vec<(String, Value)>> {
        let path = self.path_of(key);
        match self.take(key)? {
            Value::Array(entries) => {
                Some(entries.into_iter().enumerate().map(|(at, entry)| (format!("{path}[{at}]"), entry)).collect())
            }
            _ => {
                findings.push(Finding::blocks(path, "is not a list"));
                None
            }
        }
    }

    /// Moves a field that has the same name and meaning in both versions.
    pub fn carry(&mut self, key: &str, into: &mut Map<String, Value>) {
        self.rename(key, key, into);
    }

    /// Moves a field that only changes its name.
    pub fn rename(&mut self, key: &str, new_key: &str, into: &mut Map<String, Value>) {
        if let Some(value) = self.take(key) {
            into.insert(new_key.to_owned(), value);
        }
    }

    /// The path of one of its fields.
    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Reports every field that nobody took.
    pub fn finish(self, findings: &mut Vec<Finding>) {
        for (key, value) in &self.rest {
            if !value.is_null() {
                findings.push(Finding::blocks(self.path_of(key), "has no place in the new version"));
            }
        }
    }
}

/// Converts `spec` with `convert_spec` and carries the rest of an object; its status is not carried,
/// because the target's controllers write their own.
pub fn convert_object(
    body: Value,
    api_version: &str,
    findings: &mut Vec<Finding>,
    convert_spec: impl FnOnce(Fields, &mut Vec<Finding>) -> Map<String, Value>,
) -> Value {
    let mut object = Fields::new("", body, findings);
    let spec = object.object("spec", findings).map(|spec| convert_spec(spec, findings));
    let mut converted = Map::new();
    object.take("apiVersion");
    object.take("status");
    object.carry("kind", &mut converted);
    object.carry("metadata", &mut converted);
    object.finish(findings);
    converted.insert("apiVersion".to_owned(), api_version.into());
    if let Some(spec) = spec {
        converted.insert("spec".to_owned(), Value::Object(spec));
    }
    Value::Object(converted)
}
