//! What a conversion or a check has to say about one field. PURE.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// Worth knowing; the object is mirrored.
    Notice,
    /// The object would not mean the same, or not work: nothing is mirrored until it is resolved.
    Blocks,
}

/// One thing to know about one field of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Path of the field, such as `spec.rules[0].http`; empty for the whole object.
    pub field: String,
    /// What is to be known, without any value of the object.
    pub message: String,
    /// How much it matters.
    pub severity: Severity,
}

impl Finding {
    /// A finding that stops the mirror.
    pub fn blocks(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into(), severity: Severity::Blocks }
    }

    /// A finding worth knowing.
    pub fn notice(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into(), severity: Severity::Notice }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.field, self.message) }
    }
}
