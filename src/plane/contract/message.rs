//! The messages of the contract, for whoever sends and whoever answers. PURE.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::PlaneError;
use crate::migration::snapshot::{Counters, PlaneView, SideView};
use crate::policy::Weight;

/// Name and version of the contract.
pub const CONTRACT: &str = "crossfade.dev/plane/v1";

/// What is asked for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "camelCase")]
pub enum Verb<'a> {
    Observe,
    Shift { from: Weight, to: Weight, origin: Cow<'a, Value> },
    Restore { setting: Cow<'a, Value> },
    Drain,
}

/// A request.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request<'a> {
    pub contract: Cow<'a, str>,
    #[serde(flatten)]
    pub verb: Verb<'a>,
}

/// An answer. A field that nobody knows is a misspelt one.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Answer {
    pub contract: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Trouble>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<Weight>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub setting: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Side>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Side>,
}

/// One side.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Side {
    pub usable: u32,
    pub in_flight: Option<u64>,
    pub requests: Option<u64>,
    pub failed: Option<u64>,
}

/// Why it was not done.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trouble {
    pub meaning: Meaning,
    #[serde(default)]
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<Weight>,
}

/// What kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Meaning {
    Unreachable,
    NotFound,
    Refused,
    Changed,
}

impl Answer {
    /// That it was done.
    pub fn well() -> Self {
        Self { contract: CONTRACT.to_owned(), ..Self::default() }
    }

    /// What was seen.
    pub fn seen(view: PlaneView) -> Self {
        let PlaneView { weight, setting, source, target } = view;
        Self { weight: Some(weight), setting, source: Some(source.into()), target: Some(target.into()), ..Self::well() }
    }

    /// That it was not done.
    pub fn trouble(meaning: Meaning, message: impl Into<String>) -> Self {
        Self { error: Some(Trouble { meaning, message: message.into(), weight: None }), ..Self::well() }
    }
}

impl From<PlaneError> for Answer {
    fn from(error: PlaneError) -> Self {
        let (meaning, weight) = match &error {
            PlaneError::Unreachable { .. } | PlaneError::TimedOut { .. } => (Meaning::Unreachable, None),
            PlaneError::NotFound { .. } => (Meaning::NotFound, None),
            PlaneError::Changed { observed, .. } => (Meaning::Changed, Some(*observed)),
            _ => (Meaning::Refused, None),
        };
        Self { error: Some(Trouble { meaning, message: error.to_string(), weight }), ..Self::well() }
    }
}

impl From<SideView> for Side {
    fn from(view: SideView) -> Self {
        let SideView { usable, in_flight, counters } = view;
        let (requests, failed) = counters.map(|Counters { requests, failed }| (requests, failed)).unzip();
        Self { usable, in_flight: Some(in_flight), requests, failed }
    }
}

impl From<Side> for SideView {
    fn from(side: Side) -> Self {
        let Side { usable, in_flight, requests, failed } = side;
        let counters = requests.map(|requests| Counters { requests, failed: failed.unwrap_or_default() });
        Self { usable, in_flight: in_flight.unwrap_or_default(), counters }
    }
}
