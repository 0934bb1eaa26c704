//! The gates between two steps. PURE.
//!
//! A gate looks at one aspect of a snapshot and says what it sees. It never acts and never remembers; `decide` asks all of
//! them in every pass, also while something waits, so that waiting never switches protection off.

pub mod account;
pub mod capacity;
pub mod range;
pub mod share;
pub mod silence;
pub mod slo;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use self::account::Account;
use crate::analysis::lasting::{Lasting, Since};
use crate::analysis::record::Learnt;
use crate::migration::snapshot::MetricSample;
use crate::policy::{MetricSource, MetricSpec, Proof};

/// What a gate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// There is evidence that all is well.
    Pass,
    /// There is evidence that the target is bad.
    Fail,
    /// There is not enough to say either.
    NoData,
    /// The question could not be asked.
    Error,
}

/// A verdict and the numbers behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The verdict.
    pub verdict: Verdict,
    /// Numbers, limits, and what they mean.
    pub account: Account,
}

impl Finding {
    fn new(verdict: Verdict, account: impl Into<Account>) -> Self {
        Self { verdict, account: account.into() }
    }
}

/// What is known of a metric besides the numbers of one window.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// What was learnt since the target was given traffic; nothing before that.
    pub learnt: Option<&'a Learnt>,
    /// What has gone on, and for how long.
    pub lasting: Lasting,
    /// What evidence has to reach to be proof.
    pub proof: Proof,
}

/// Judges one metric, whatever its kind, and what it says in the end where it goes on saying nothing.
pub fn judge(spec: &MetricSpec, sample: &MetricSample, known: Known<'_>) -> Finding {
    let Known { learnt, lasting, proof } = known;
    let finding = match &spec.source {
        MetricSource::Value(value) => range::judge(spec, value, sample, lasting),
        _ => slo::judge(spec, sample, learnt, proof),
    };
    silence::weigh(&spec.silence, lasting, finding)
}

/// What goes on about a metric after one more look at it.
pub fn follow(since: Since, spec: &MetricSpec, sample: &MetricSample, now: Timestamp, window: SignedDuration) -> Since {
    let silence = silence::of(spec, sample);
    let outside = match &spec.source {
        MetricSource::Value(value) if silence.is_none() => range::is_outside(value, sample),
        _ => None,
    };
    since.look(now, window, outside, silence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::snapshot::{SidePair, SideSample};
    use crate::policy::metric::samples::queue;

    fn seen(value: f64, count: f64) -> MetricSample {
        let target = SideSample::Value { value, count: Some(count) };
        SidePair { source: SideSample::NoData("no series".into()), target }
    }

    #[test]
    fn a_number_is_judged_by_its_range() {
        let lasting = Lasting { outside: SignedDuration::from_secs(30), ..Lasting::default() };
        let known = Known { learnt: None, lasting, proof: Proof { above: 2e3, worse: 2e3 } };
        for (value, expected) in [(5.0, Verdict::Pass), (5.1, Verdict::Fail)] {
            assert_eq!(judge(&queue(), &seen(value, 50.0), known).verdict, expected, "{value}");
        }
    }

    #[test]
    fn a_number_behind_which_too_few_requests_stand_is_neither_in_nor_out_of_its_range() {
        let now = Timestamp::UNIX_EPOCH;
        let minute = SignedDuration::from_mins(1);
        for (count, outside, no_data) in [(49.0, SignedDuration::ZERO, minute), (50.0, minute, SignedDuration::ZERO)] {
            let since = follow(Since::default(), &queue(), &seen(9.0, count), now, minute);
            let lasting = since.lasting(now + minute);
            assert_eq!((lasting.outside, lasting.no_data), (outside, no_data), "{count} requests");
        }
    }
}
