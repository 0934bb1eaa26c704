//! Which objects are read or followed together. PURE.

use serde_json::{Map, Value};

use super::call::Call;
use super::served::Resource;

/// Objects of one kind in one namespace.
#[derive(Debug, Clone)]
pub struct Collection {
    /// The kind, and the version it is read in.
    pub resource: Resource,
    /// The namespace.
    pub namespace: String,
    /// Label selector, `key=value` with commas between; empty for everything.
    pub labels: String,
    /// Whether nothing is asked for but metadata.
    pub only_metadata: bool,
}

impl Collection {
    /// What carries `labels`, a label selector; everything where that is empty.
    pub fn new(resource: &Resource, namespace: &str, labels: &str) -> Self {
        let (resource, namespace, labels) = (resource.clone(), namespace.to_owned(), labels.to_owned());
        Self { resource, namespace, labels, only_metadata: false }
    }

    /// The metadata of everything: no Secret's values are asked for.
    pub fn metadata(resource: &Resource, namespace: &str) -> Self {
        Self { only_metadata: true, ..Self::new(resource, namespace, "") }
    }

    /// Everything of the kind and namespace, in place of a part of it; of Secrets what was asked for, and no more.
    pub fn widened(&self) -> Self {
        if self.resource.kind == "Secret" {
            return self.clone();
        }
        Self::new(&self.resource, &self.namespace, "")
    }

    /// Whether an object with these labels carries those of the selector.
    pub fn selects(&self, labels: &Map<String, Value>) -> bool {
        let mut asked = self.labels.split_terminator(',').filter_map(|label| label.split_once('='));
        asked.all(|(key, value)| labels.get(key).is_some_and(|found| found == value))
    }

    /// The collection's path.
    pub fn path(&self) -> String {
        self.resource.path(&self.namespace)
    }

    /// The selector as a parameter.
    pub fn label_selector(&self) -> Option<String> {
        (!self.labels.is_empty()).then(|| self.labels.clone())
    }

    /// A request about it.
    pub fn call(&self, verb: &'static str) -> Call {
        Call::on_all(verb, &self.resource, &self.namespace)
    }
}
