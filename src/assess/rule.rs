//! What a rule is, and what it finds. PURE.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cluster::ObjectRef;

/// What a team has to do before a workload can move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Effort {
    /// Nothing; it is worth knowing.
    Ready,
    /// Something small that is in the team's own hands.
    NeedsChange,
    /// It cannot move, or would not work, until this is resolved.
    Blocked,
}

impl fmt::Display for Effort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ready => "ready",
            Self::NeedsChange => "needs a change",
            Self::Blocked => "blocked",
        })
    }
}

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Group {
    /// Differences between the two versions.
    Versions,
    /// What the target lacks or forbids.
    Target,
    /// Usage that will not survive a move.
    Usage,
    /// Impact and order.
    Impact,
    /// What could not be looked at.
    Reading,
}

impl Group {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 5] = [Self::Versions, Self::Target, Self::Usage, Self::Impact, Self::Reading];

    /// A title for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Versions => "Versions and differences",
            Self::Target => "What the target lacks or forbids",
            Self::Usage => "Usage that will not survive a move",
            Self::Impact => "Impact and order",
            Self::Reading => "What could not be looked at",
        }
    }
}

/// One thing that is looked for. Its id never changes its meaning.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// `XF-` and a letter of its group with a number.
    pub id: &'static str,
    /// What it finds, in a few words.
    pub title: &'static str,
    /// What is to be done about it, unless a finding says otherwise.
    pub effort: Effort,
    /// Why it matters.
    pub why: &'static str,
    /// What to do.
    pub fix: &'static str,
}

impl Rule {
    /// What the rule is about, by the letter of its id.
    pub fn group(&self) -> Group {
        match self.id.as_bytes().get(3) {
            Some(b'V') => Group::Versions,
            Some(b'T') => Group::Target,
            Some(b'U') => Group::Usage,
            Some(b'I') => Group::Impact,
            _ => Group::Reading,
        }
    }
}

/// One thing found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The rule's id.
    pub id: &'static str,
    /// What has to be done about it.
    pub effort: Effort,
    /// The object; none where a cluster as a whole is meant.
    pub object: Option<ObjectRef>,
    /// Path of the field; empty for the whole object.
    pub field: String,
    /// What was found, without any value of a Secret.
    pub what: String,
}

/// Findings as they are made.
#[derive(Debug, Default)]
pub struct Findings {
    found: Vec<Finding>,
}

impl Findings {
    /// Notes what a rule found on an object.
    pub fn on(&mut self, rule: &Rule, object: &ObjectRef, field: impl Into<String>, what: impl Into<String>) {
        self.note(rule, rule.effort, Some(object), field.into(), what.into());
    }

    /// Notes what a rule found about a cluster as a whole.
    pub fn about(&mut self, rule: &Rule, field: impl Into<String>, what: impl Into<String>) {
        self.note(rule, rule.effort, None, field.into(), what.into());
    }

    /// Notes it with another effort than the rule's own.
    pub fn note(&mut self, rule: &Rule, effort: Effort, object: Option<&ObjectRef>, field: String, what: String) {
        self.found.push(Finding { id: rule.id, effort, object: object.cloned(), field, what });
    }

    /// All of them: by rule, then by object and field.
    pub fn into_sorted(mut self) -> Vec<Finding> {
        self.found.sort_by(|a, b| {
            let key =
                |finding: &Finding| (finding.id, finding.object.clone(), finding.field.clone(), finding.what.clone());
            key(a).cmp(&key(b))
        });
        self.found.dedup();
        self.found
    }
}
