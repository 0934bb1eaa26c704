//! An object on its way to another version, so that nothing gets lost. PURE.
//!
//! A draft holds what is left of the old object and what there is of the new one. A converter says where each field goes;
//! whatever is left when it is done becomes a blocking finding.

use serde_json::{Map, Value};

use super::finding::Finding;

/// One JSON object on its way to another version.
pub struct Draft<'a> {
    path: String,
    old: Map<String, Value>,
    new: Map<String, Value>,
    findings: &'a mut Vec<Finding>,
}

impl Draft<'_> {
    /// The new object that `convert` makes of the old one at `path`. Anything that is no object is reported and counts as empty,
    /// and so is every field that nobody took.
    pub fn convert(
        path: String,
        old: Value,
        findings: &mut Vec<Finding>,
        convert: impl FnOnce(&mut Draft<'_>),
    ) -> Map<String, Value> {
        let old = match old {
            Value::Object(map) => map,
            Value::Null => Map::new(),
            _ => {
                findings.push(Finding::blocks(path.clone(), "is not an object"));
                Map::new()
            }
        };
        let mut draft = Draft { path, old, new: Map::new(), findings };
        convert(&mut draft);
        draft.report_what_is_left();
        draft.new
    }

    fn report_what_is_left(&mut self) {
        for (key, value) in std::mem::take(&mut self.old) {
            if !value.is_null() {
                self.blocks(&key, "has no place in the new version");
            }
        }
    }

    /// Takes a field; `null` is the same as absent.
    pub fn take(&mut self, key: &str) -> Option<Value> {
        self.old.remove(key).filter(|value| !value.is_null())
    }

    /// A field of the old object that stays where it is.
    pub fn peek(&self, key: &str) -> Option<&Value> {
        self.old.get(key).filter(|value| !value.is_null())
    }

    /// Writes a field of the old object where it is missing: what the old server assumes then.
    pub fn assume(&mut self, key: &str, value: impl Into<Value>) {
        if self.peek(key).is_none() {
            self.old.insert(key.to_owned(), value.into());
        }
    }

    /// Writes a field of the new object.
    pub fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.new.insert(key.to_owned(), value.into());
    }

    /// Writes a field of the new object unless it is there: a default of the old version that the new one does not have.
    pub fn put_default(&mut self, key: &str, value: impl Into<Value>) {
        if !self.new.contains_key(key) {
            self.put(key, value);
        }
    }

    /// The new object so far.
    pub fn new_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.new
    }

    /// Moves fields that have the same name and meaning in both versions.
    pub fn carry(&mut self, keys: &[&str]) {
        keys.iter().for_each(|key| self.rename(key, key));
    }

    /// Moves a field that only changes its name.
    pub fn rename(&mut self, key: &str, new_key: &str) {
        if let Some(value) = self.take(key) {
            self.put(new_key, value);
        }
    }

    /// Converts a field that is an object.
    pub fn nested(&mut self, key: &str, convert: impl FnOnce(&mut Draft<'_>)) {
        self.nested_as(key, key, convert);
    }

    /// Converts a field that is an object and changes its name.
    pub fn nested_as(&mut self, key: &str, new_key: &str, convert: impl FnOnce(&mut Draft<'_>)) {
        if let Some(value) = self.take(key) {
            let new = Draft::convert(self.path_of(key), value, self.findings, convert);
            self.put(new_key, new);
        }
    }

    /// Moves the fields of a field that is an object up into this one.
    pub fn unwrapped(&mut self, key: &str, convert: impl FnOnce(&mut Draft<'_>)) {
        if let Some(value) = self.take(key) {
            let new = Draft::convert(self.path_of(key), value, self.findings, convert);
            self.new.extend(new);
        }
    }

    /// Converts every object of a list.
    pub fn each(&mut self, key: &str, mut convert: impl FnMut(&mut Draft<'_>)) {
        let path = self.path_of(key);
        match self.take(key) {
            None => {}
            Some(Value::Array(entries)) => {
                let entries = entries.into_iter().enumerate();
                let new = entries.map(|(at, entry)| {
                    let path = format!("{path}[{at}]");
                    Value::Object(Draft::convert(path, entry, self.findings, &mut convert))
                });
                let new: Value = new.collect();
                self.put(key, new);
            }
            Some(_) => self.blocks(key, "is not a list"),
        }
    }

    /// Says of one of its fields what forbids to use the new object; of the object itself where `key` is empty.
    pub fn blocks(&mut self, key: &str, message: impl Into<String>) {
        let finding = Finding::blocks(self.path_of(key), message);
        self.findings.push(finding);
    }

    /// Says of one of its fields what is worth knowing.
    pub fn notice(&mut self, key: &str, message: impl Into<String>) {
        let finding = Finding::notice(self.path_of(key), message);
        self.findings.push(finding);
    }

    /// The path of one of its fields; its own where `key` is empty.
    pub fn path_of(&self, key: &str) -> String {
        match (self.path.is_empty(), key.is_empty()) {
            (_, true) => self.path.clone(),
            (true, false) => key.to_owned(),
            (false, false) => format!("{}.{key}", self.path),
        }
    }

    /// Everything found so far, for what is no field of this object.
    pub fn findings(&mut self) -> &mut Vec<Finding> {
        self.findings
    }
}
