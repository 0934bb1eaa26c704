//! A Migration's status as people and tools read it: conditions, columns, news. No IO.
//!
//! Reasons are the names of waits, phases and causes, so that one word means the same in a condition, an Event, a report and the
//! documentation.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::api::DynamicObject;

use super::crd::MigrationStatus;
use crate::migration::{Report, WaitingOn};
use crate::policy::Weight;

/// The specification can be carried out.
pub const ACCEPTED: &str = "Accepted";
/// What is carried out is what the objects say now.
pub const FOLLOWS_SPEC: &str = "FollowsSpec";
const PROGRESSING: &str = "Progressing";
const NEEDS_HUMAN: &str = "NeedsHuman";
const COMPLETED: &str = "Completed";
const ROLLED_BACK: &str = "RolledBack";

/// The status of an object; `None` where it holds something else.
pub fn of(object: &DynamicObject) -> Option<MigrationStatus> {
    match object.data.get("status") {
        None => Some(MigrationStatus::default()),
        Some(status) => serde_json::from_value(status.clone()).ok(),
    }
}

/// What a condition says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Whether it holds.
    pub holds: bool,
    /// Why, in one word.
    pub reason: String,
    /// Why, in a sentence.
    pub message: String,
}

impl Word {
    /// A condition that holds.
    pub fn yes(reason: &str, message: impl Into<String>) -> Self {
        Self { holds: true, reason: reason.to_owned(), message: message.into() }
    }

    /// One that does not.
    pub fn no(reason: &str, message: impl Into<String>) -> Self {
        Self { holds: false, ..Self::yes(reason, message) }
    }
}

/// Sets a condition; whether it said something else before.
pub fn set(conditions: &mut Vec<Condition>, kind: &str, word: &Word, generation: Option<i64>, at: Timestamp) -> bool {
    let Word { holds, reason, message } = word.clone();
    let value = if holds { "True" } else { "False" };
    let before = conditions.iter().position(|condition| condition.type_ == kind);
    let before = before.map(|index| conditions.remove(index));
    let same = before.as_ref().is_some_and(|before| {
        before.status == value
            && before.reason == reason
            && before.message == message
            && before.observed_generation == generation
    });
    let since = before.filter(|before| before.status == value).map(|before| before.last_transition_time);
    conditions.push(Condition {
        type_: kind.to_owned(),
        status: value.to_owned(),
        reason,
        message,
        last_transition_time: since.unwrap_or(Time(at)),
        observed_generation: generation,
    });
    conditions.sort_by_key(|condition| ORDER.iter().position(|kind| *kind == condition.type_));
    !same
}

const ORDER: [&str; 6] = [ACCEPTED, FOLLOWS_SPEC, PROGRESSING, NEEDS_HUMAN, COMPLETED, ROLLED_BACK];

/// Whether people should see a report now: something else than numbers and times has changed.
pub fn is_news(last: Option<&Report>, report: &Report) -> bool {
    let Some(last) = last else { return true };
    let word = |report: &Report| {
        let waiting = report.waiting.as_ref().map(WaitingOn::reason);
        (
            report.phase.clone(),
            report.step.clone(),
            report.planes.clone(),
            waiting,
            report.cause.clone(),
            report.needs_human,
        )
    };
    word(last) != word(report)
}

/// Puts a report into a status.
pub fn tell(status: &mut MigrationStatus, report: &Report) {
    let generation = status.started_generation;
    let waiting = report.waiting.as_ref().map(|waiting| waiting.reason().to_owned());
    status.phase = Some(report.phase.clone());
    status.weight = weight(report);
    status.waiting.clone_from(&waiting);
    status.message.clone_from(&report.message);
    status.report = serde_json::to_value(report).ok();
    let message = report.message.clone().unwrap_or_default();
    let cause = report.cause.as_ref();
    let ended = report.has_ended();
    let reason = waiting.unwrap_or_else(|| report.phase.clone());
    let word = |holds| Word { holds, reason: reason.clone(), message: message.clone() };
    let at = report.at;
    set(&mut status.conditions, PROGRESSING, &word(!ended && !report.needs_human), generation, at);
    set(&mut status.conditions, NEEDS_HUMAN, &word(report.needs_human), generation, at);
    let completed = ended && cause.is_none();
    set(&mut status.conditions, COMPLETED, &Word { holds: completed, ..word(true) }, generation, at);
    if let Some(cause) = cause {
        let word = Word { holds: ended, reason: cause.name().to_owned(), message: cause.to_string() };
        set(&mut status.conditions, ROLLED_BACK, &word, generation, at);
    }
}

/// The weight that every plane shows, or the range of them.
fn weight(report: &Report) -> Option<String> {
    let observed = report.planes.iter().map(|plane| plane.observed);
    let known: Option<Vec<Weight>> = observed.collect();
    let known = known.filter(|known| !known.is_empty())?;
    let (least, most) = (known.iter().min()?, known.iter().max()?);
    Some(if least == most { most.to_string() } else { format!("{least} - {most}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report(phase: &str, waiting: serde_json::Value, extra: serde_json::Value) -> Report {
        let mut report = json!({
            "migration": "checkout", "at": "2026-01-01T00:00:00Z", "phase": phase, "planes": [
                {"name": "edge", "desired": 2500, "observed": 2500}, {"name": "rpc", "desired": 2500, "observed": 1000}],
            "measuredShare": 0.25, "metrics": [], "waiting": waiting, "message": "why", "needsHuman": false,
            "policy": {"name": "careful", "hash": "0"},
        });
        report.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        serde_json::from_value(report).unwrap()
    }

    fn condition<'s>(status: &'s MigrationStatus, kind: &str) -> &'s Condition {
        status.conditions.iter().find(|condition| condition.type_ == kind).unwrap()
    }

    #[test]
    fn reasons_are_the_names_of_waits_and_causes() {
        let mut status = MigrationStatus::default();
        let person = report("Shifting", json!({"reason": "Approval"}), json!({"needsHuman": true}));
        tell(&mut status, &person);
        assert_eq!((status.weight.as_deref(), status.waiting.as_deref()), (Some("10% - 25%"), Some("Approval")));
        let needs = condition(&status, NEEDS_HUMAN);
        assert_eq!((needs.status.as_str(), needs.reason.as_str(), needs.message.as_str()), ("True", "Approval", "why"));
        assert_eq!(condition(&status, PROGRESSING).status, "False");
        let cause =
            json!({"cause": {"cause": "metricFailed", "metric": "errors", "account": "9 of 10", "weight": 2500}});
        tell(&mut status, &report("RolledBack", json!(null), cause));
        let back = condition(&status, ROLLED_BACK);
        assert_eq!((back.status.as_str(), back.reason.as_str()), ("True", "MetricFailed"));
        assert_eq!(condition(&status, COMPLETED).status, "False");
        let kinds: Vec<_> = status.conditions.iter().map(|condition| condition.type_.as_str()).collect();
        assert_eq!(kinds, [PROGRESSING, NEEDS_HUMAN, COMPLETED, ROLLED_BACK]);
    }

    #[test]
    fn a_transition_has_the_time_of_its_change() {
        let mut status = MigrationStatus::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        assert!(set(&mut status.conditions, ACCEPTED, &Word::no("InvalidSpec", "a"), Some(1), at(1)));
        assert!(!set(&mut status.conditions, ACCEPTED, &Word::no("InvalidSpec", "a"), Some(1), at(2)), "nothing new");
        assert!(set(&mut status.conditions, ACCEPTED, &Word::no("InvalidSpec", "b"), Some(2), at(3)));
        assert_eq!(status.conditions[0].last_transition_time, Time(at(1)));
        assert!(set(&mut status.conditions, ACCEPTED, &Word::yes("Accepted", ""), Some(3), at(4)));
        assert_eq!(status.conditions[0].last_transition_time, Time(at(4)));
    }

    #[test]
    fn numbers_alone_are_no_news() {
        let window = |until: &str| json!({"reason": "Window", "until": until});
        let first = report("Shifting", window("2026-01-01T00:00:10Z"), json!({}));
        let next = report("Shifting", window("2026-01-01T00:00:11Z"), json!({"measuredShare": 0.26}));
        assert!(is_news(None, &first) && !is_news(Some(&first), &next));
        assert!(is_news(
            Some(&first),
            &report(
                "Shifting",
                json!({"reason": "Drift", "plane": "edge", "expected": 2500, "observed": 0}),
                json!({})
            )
        ));
    }
}
