//! Names that are other ones on the target. PURE.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Name;

/// Names that are other ones on the target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Maps {
    /// What images begin with, and what they begin with there.
    pub images: BTreeMap<String, String>,
    /// Namespaces, and what they are called there.
    pub namespaces: BTreeMap<Name, Name>,
    /// Single objects.
    pub names: Vec<NameMap>,
}

impl Maps {
    /// Whether everything is called the same.
    pub fn is_empty(&self) -> bool {
        let Self { images, namespaces, names } = self;
        images.is_empty() && namespaces.is_empty() && names.is_empty()
    }
}

/// Objects of one kind and name, and what they are called on the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameMap {
    /// Kind.
    pub kind: String,
    /// Name on the source.
    pub from: String,
    /// Name on the target.
    pub to: String,
}
