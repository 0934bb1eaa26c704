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

    /// What it is called where somebody waives it: the kind and the field, without positions in lists, such as
    /// `Ingress:spec.rules[].host`. The same for every object of the kind, and stable across versions of Crossfade.
    pub fn id(&self, kind: &str) -> String {
        let mut id = format!("{kind}:");
        let mut rest = self.field.as_str();
        while let Some((before, position)) = rest.split_once('[') {
            let digits = position.len() - position.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            id.push_str(before);
            id.push('[');
            rest = &position[digits..];
        }
        id + rest
    }

    /// The same finding as one that somebody decided to live with.
    pub fn waived(self) -> Self {
        Self { message: format!("{} (waived)", self.message), severity: Severity::Notice, ..self }
    }
}

/// Turns the blocking findings about an object of a kind that are waived into notices.
pub fn waive(findings: &mut [Finding], kind: &str, is_waived: impl Fn(&str) -> bool) {
    for finding in findings.iter_mut().filter(|finding| finding.severity == Severity::Blocks) {
        if is_waived(&finding.id(kind)) {
            *finding = finding.clone().waived();
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.field, self.message) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_called_by_kind_and_field_wherever_in_a_list_it_is() {
        for (field, id) in [
            ("spec.rules[0].http.paths[12].backend.weight", "Ingress:spec.rules[].http.paths[].backend.weight"),
            ("metadata.annotations[a/b]", "Ingress:metadata.annotations[a/b]"),
            ("", "Ingress:"),
        ] {
            assert_eq!(Finding::blocks(field, "x").id("Ingress"), id);
        }
    }

    #[test]
    fn only_what_is_named_is_waived() {
        let mut findings =
            [Finding::blocks("spec.a[1]", "x"), Finding::blocks("spec.b", "x"), Finding::notice("c", "x")];
        waive(&mut findings, "Pod", |id| id == "Pod:spec.a[]");
        let severities = findings.each_ref().map(|finding| finding.severity);
        assert_eq!(severities, [Severity::Notice, Severity::Blocks, Severity::Notice]);
        assert_eq!(findings[0].to_string(), "spec.a[1]: x (waived)");
    }
}
