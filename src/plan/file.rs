//! Plans as files: one JSON document that says by itself whether it is whole. PURE.
//!
//! The sum at its end finds a file that was cut short or edited by accident; it is no signature. It need not be one: whatever a
//! file says, only what would be planned now is ever applied.

use serde_json::{Value, json};

use super::draw::{FORMAT, Plan};
use crate::cluster::digest;

/// Why a file is no plan that can be applied.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAPlan {
    /// It is not JSON, or ends too early.
    #[error("it is no whole JSON document ({0}): it was cut short, or is another file")]
    NotJson(String),
    /// It is JSON of another kind.
    #[error("it is a {0}, not a Plan: make one with `crossfade plan`")]
    OtherKind(String),
    /// It has another layout.
    #[error("it has the layout {0}, and this program knows {FORMAT}: make the plan again")]
    OtherFormat(String),
    /// Its sum does not fit.
    #[error("it was changed after it was made: make the plan again instead of editing it")]
    Changed,
    /// Its sum fits, and it does not say what a plan says.
    #[error("it says something that no plan says: {0}")]
    Malformed(String),
}

/// The text of a plan; the same plan has the same text.
pub fn write(plan: &Plan) -> Result<String, serde_json::Error> {
    let body = serde_json::to_value(plan)?;
    let sum = digest(&body);
    let mut text = serde_json::to_string_pretty(&json!({"plan": body, "sum": sum}))?;
    text.push('\n');
    Ok(text)
}

/// The plan in a text.
pub fn read(text: &str) -> Result<Plan, NotAPlan> {
    let document: Value = serde_json::from_str(text).map_err(|error| NotAPlan::NotJson(error.to_string()))?;
    let (plan, sum) = (document.get("plan"), document.get("sum").and_then(Value::as_str));
    let said = |key: &str| {
        plan.and_then(|plan| plan.get(key)).map(|value| value.as_str().map_or(value.to_string(), str::to_owned))
    };
    let kind = said("kind").or_else(|| Some(document.get("kind")?.as_str()?.to_owned()));
    if kind.as_deref() != Some("Plan") {
        return Err(NotAPlan::OtherKind(kind.unwrap_or_else(|| "document of no kind".to_owned())));
    }
    if said("format") != Some(FORMAT.to_string()) {
        return Err(NotAPlan::OtherFormat(said("format").unwrap_or_else(|| "of nobody".to_owned())));
    }
    let plan = plan.filter(|plan| Some(digest(plan).as_str()) == sum).ok_or(NotAPlan::Changed)?;
    serde_json::from_value(plan.clone()).map_err(|error| NotAPlan::Malformed(error.to_string()))
}
