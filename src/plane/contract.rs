//! Planes that somebody else's program drives: the messages of the contract. PURE but for the trait at its end, which is IO.
//!
//! A request is one JSON object, and so is its answer; both name the contract and its version. It is spoken over HTTP
//! (`plane::webhook`) or with a program (`plane::exec`); `docs/planes.md` describes it for those who write the other end. That end
//! must refuse a shift from elsewhere with `changed`, and answer a write once requests follow it. Weights are basis points. [`answering`]
//! is that end for a plane of ours.

pub mod answering;
mod message;

use std::borrow::Cow;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::message::CONTRACT;
use self::message::{Answer, Meaning, Request, Trouble, Verb};
use super::sheet::{Affinity, Condition, Connections, InFlight, Known, Resolution, Restart, Sheet, Spread, Zero};
use super::{Plane, PlaneError, recorded};
use crate::fence::Fence;
use crate::migration::snapshot::PlaneView;
use crate::policy::Weight;

/// What the other end of a contract can and cannot do, as far as the contract says.
pub const SHEET: Sheet = Sheet {
    resolution: Resolution::Asked,
    spread: Spread::Drawn,
    zero: Zero::Nothing,
    delay: std::time::Duration::ZERO,
    connections: Connections::Kept,
    affinity: Affinity::None,
    counts: Known::WhereTold,
    in_flight: InFlight::WhereTold,
    condition: Condition::LooksFirst,
    restart: Restart::Unknown,
};

/// What `observe` reported: theirs, and the smallest step of a weight.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Setting {
    theirs: Value,
    step: u16,
}

/// One exchange with the other end. A driver is this and nothing else.
#[async_trait]
pub(super) trait Line: Send + Sync {
    /// Sends a request and gives what was answered.
    async fn exchange(&self, request: String) -> Result<Vec<u8>, PlaneError>;

    /// Who is asked, for people.
    fn place(&self) -> String;
}

/// A plane behind a line, and what is known of it.
pub(super) struct Spoken<L> {
    pub(super) line: L,
    pub(super) sheet: Sheet,
}

impl<L: Line> Spoken<L> {
    async fn ask(&self, verb: Verb<'_>) -> Result<Answer, PlaneError> {
        let malformed = |what: String| PlaneError::Malformed { what: format!("{what} of {}", self.line.place()) };
        let (from, to) = match &verb {
            Verb::Shift { from, to, .. } => (*from, *to),
            _ => Default::default(),
        };
        let request = serde_json::to_string(&Request { contract: CONTRACT.into(), verb });
        let request = request.map_err(|error| malformed(format!("a request ({error})")))?;
        let answer = self.line.exchange(request.clone()).await?;
        let answer: Answer =
            serde_json::from_slice(&answer).map_err(|error| malformed(format!("an answer ({error})")))?;
        if answer.contract != CONTRACT {
            return Err(malformed(format!("an answer by the contract {:?}", answer.contract)));
        }
        match answer.error {
            None => Ok(answer),
            Some(Trouble { meaning, message, weight }) => Err(match (meaning, weight) {
                (Meaning::Unreachable, _) => {
                    let source = std::io::Error::other(message);
                    PlaneError::Unreachable { address: format!("what {} drives", self.line.place()), source }
                }
                (Meaning::NotFound, _) => PlaneError::NotFound { what: message },
                (Meaning::Changed, Some(observed)) => PlaneError::Changed { from, to, observed },
                (Meaning::Changed, None) => malformed("a `changed` without its weight".to_owned()),
                (Meaning::Refused, _) => PlaneError::Refused { command: request, answer: message },
            }),
        }
    }
}

#[async_trait]
impl<L: Line> Plane for Spoken<L> {
    fn sheet(&self) -> Sheet {
        self.sheet
    }

    async fn observe(&self) -> Result<PlaneView, PlaneError> {
        let Answer { weight, setting: theirs, step, source, target, .. } = self.ask(Verb::Observe).await?;
        let (Some(weight), Some(source), Some(target)) = (weight, source, target) else {
            return Err(PlaneError::Malformed {
                what: format!("an answer of {} without its weight or sides", self.line.place()),
            });
        };
        let setting = Setting { theirs, step: step.unwrap_or(1).max(1) };
        let setting = serde_json::to_value(setting).unwrap_or_default();
        Ok(PlaneView { weight, setting, source: source.into(), target: target.into() })
    }

    fn propose(&self, view: &PlaneView, weight: Weight) -> Result<(), PlaneError> {
        let step = recorded::<Setting>(&view.setting)?.step.max(1);
        let points = weight.basis_points();
        if points.is_multiple_of(step) || weight == Weight::FULL {
            return Ok(());
        }
        let below = points - points % step;
        let at = |points| Weight::from_basis_points(points).unwrap_or(Weight::FULL);
        Err(PlaneError::NotRepresentable { weight, below: at(below), above: at(below.saturating_add(step)) })
    }

    async fn shift(&self, fence: &Fence, from: Weight, to: Weight, origin: &Value) -> Result<(), PlaneError> {
        let view = self.observe().await?;
        self.propose(&view, to)?;
        if !view.weight.is_between(from, to) {
            return Err(PlaneError::Changed { from, to, observed: view.weight });
        }
        let origin = recorded::<Setting>(origin)?.theirs;
        fence.check(WRITE)?;
        self.ask(Verb::Shift { from, to, origin: Cow::Borrowed(&origin) }).await.map(drop)
    }

    async fn restore(&self, fence: &Fence, setting: &Value) -> Result<(), PlaneError> {
        let setting = recorded::<Setting>(setting)?.theirs;
        fence.check(WRITE)?;
        self.ask(Verb::Restore { setting: Cow::Borrowed(&setting) }).await.map(drop)
    }

    async fn drain_source(&self, fence: &Fence) -> Result<(), PlaneError> {
        fence.check(WRITE)?;
        self.ask(Verb::Drain).await.map(drop)
    }
}

/// Longest exchange, and so the time a lease must last when a write is sent.
pub(super) const WRITE: std::time::Duration = std::time::Duration::from_secs(5);

/// Largest answer read.
pub(super) const MOST_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::migration::snapshot::Counters;

    /// A line on which the next answer is known.
    struct Known(Mutex<Vec<String>>, &'static str);

    #[async_trait]
    impl Line for Known {
        async fn exchange(&self, request: String) -> Result<Vec<u8>, PlaneError> {
            self.0.lock().unwrap().push(request);
            Ok(self.1.as_bytes().to_vec())
        }

        fn place(&self) -> String {
            "it".to_owned()
        }
    }

    fn spoken(answer: &'static str) -> Spoken<Known> {
        Spoken { line: Known(Mutex::default(), answer), sheet: SHEET }
    }

    const WELL: &str = r#"{"contract": "crossfade.dev/plane/v1", "weight": 2500, "step": 100, "setting": {"a": 1},
        "source": {"usable": 2, "inFlight": 3}, "target": {"usable": 1, "requests": 7, "failed": 1}}"#;

    #[tokio::test]
    async fn what_is_said_is_what_is_seen() {
        let view = spoken(WELL).observe().await.unwrap();
        assert_eq!(view.weight, Weight::percent_saturating(25));
        assert_eq!((view.source.usable, view.source.in_flight, view.source.counters), (2, 3, None));
        assert_eq!(view.target.counters, Some(Counters { requests: 7, failed: 1 }));
        let refused = spoken(WELL).propose(&view, "0.5".parse().unwrap()).unwrap_err();
        assert_eq!(refused.to_string(), "0.5% cannot be represented; the nearest are 0% and 1%");
    }

    #[tokio::test]
    async fn a_write_names_what_it_saw_and_carries_their_own_setting() {
        let plane = spoken(WELL);
        let origin = plane.observe().await.unwrap().setting;
        let (from, to) = (Weight::percent_saturating(25), Weight::HALF);
        plane.shift(&Fence::lock(), from, to, &origin).await.unwrap();
        plane.restore(&Fence::lock(), &origin).await.unwrap();
        let said = plane.line.0.lock().unwrap();
        let said: Vec<Value> = said.iter().map(|said| serde_json::from_str(said).unwrap()).collect();
        let shift =
            serde_json::json!({"contract": CONTRACT, "verb": "shift", "from": 2500, "to": 5000, "origin": {"a": 1}});
        assert_eq!(said[2], shift);
        assert_eq!(said[3], serde_json::json!({"contract": CONTRACT, "verb": "restore", "setting": {"a": 1}}));
    }

    #[tokio::test]
    async fn errors_keep_their_meaning_and_nonsense_is_malformed() {
        for (answer, meaning) in [
            (
                r#"{"contract": "crossfade.dev/plane/v1", "error": {"meaning": "notFound", "message": "x"}}"#,
                "not found",
            ),
            (r#"{"contract": "crossfade.dev/plane/v1", "error": {"meaning": "refused"}}"#, "refused"),
            (r#"{"contract": "crossfade.dev/plane/v1", "error": {"meaning": "unreachable"}}"#, "unreachable"),
            (r#"{"contract": "crossfade.dev/plane/v1", "error": {"meaning": "changed", "weight": 7}}"#, "changed"),
            (r#"{"contract": "crossfade.dev/plane/v1", "error": {"meaning": "changed"}}"#, "malformed"),
            (r#"{"contract": "crossfade.dev/plane/v1", "error": {"meaning": "unheard-of"}}"#, "malformed"),
            (r#"{"contract": "crossfade.dev/plane/v2", "weight": 0}"#, "malformed"),
            (r#"{"contract": "crossfade.dev/plane/v1", "weight": 10001}"#, "malformed"),
            (r#"{"contract": "crossfade.dev/plane/v1", "weight": 0}"#, "malformed"),
            (r#"{"contract": "crossfade.dev/plane/v1", "wieght": 0}"#, "malformed"),
            (r#"{"contract": "crossfade.dev/plane/v1", "wei"#, "malformed"),
            ("<html>", "malformed"),
            ("", "malformed"),
        ] {
            assert_eq!(spoken(answer).observe().await.unwrap_err().meaning(), meaning, "{answer}");
        }
    }
}
