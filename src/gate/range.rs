//! Whether a number of the target's is within its range. PURE.
//!
//! For what cannot be counted: a quantile, a queue, alerts that fire. A number says nothing about chance, so there is no proof here, only time.
//!
//! **Trip.** The target's number has been out of range for as long as `for` says, without interruption, and is so now. Where the source is
//! the baseline and out of range too, that excuses the target: what both have is no reason to move traffic back.
//!
//! **First start.** Before the target has traffic nothing has lasted; out of range, the first step is not taken.
//!
//! **Recovery.** One look within range begins anew.
//!
//! **Missing data** is `NoData`: no series, NaN, and fewer than `minSamples` requests behind a quantile. It does not count as time within
//! range, nor as more time out of it once a window has passed.

use super::account::Account;
use super::{Finding, Verdict};
use crate::analysis::lasting::Lasting;
use crate::migration::snapshot::{MetricSample, SideSample};
use crate::policy::MetricSpec;
use crate::policy::metric::{ValueKind, ValueSpec};

/// Judges a number.
pub fn judge(spec: &MetricSpec, value: &ValueSpec, sample: &MetricSample, lasting: Lasting) -> Finding {
    let number = match &sample.target {
        SideSample::Value { count: Some(count), .. } if *count < spec.min_samples as f64 => {
            return Finding::new(Verdict::NoData, Account::Few { requests: *count, needed: spec.min_samples });
        }
        SideSample::Value { value, .. } => *value,
        SideSample::NoData(why) => return Finding::new(Verdict::NoData, why),
        SideSample::Error(why) => return Finding::new(Verdict::Error, why),
        SideSample::Counts { .. } => return Finding::new(Verdict::NoData, "it was counted, where a number is needed"),
    };
    let source = match (&sample.source, spec.baseline) {
        (SideSample::Value { value, .. }, Some(_)) => Some(*value),
        _ => None,
    };
    let account = account(value, number, source);
    let long = lasting.outside;
    if value.range.holds(number) {
        Finding::new(Verdict::Pass, account)
    } else if source.is_some_and(|source| !value.range.holds(source)) {
        Finding::new(Verdict::NoData, format!("{account}; the source is out of range too"))
    } else if long >= value.lasting {
        Finding::new(Verdict::Fail, format!("{account}; out of range for {long:#}"))
    } else {
        Finding::new(Verdict::NoData, format!("{account}; out of range for {long:#} of {:#}", value.lasting))
    }
}

/// Whether the target's number is out of range, where there is one.
pub fn is_outside(value: &ValueSpec, sample: &MetricSample) -> Option<bool> {
    match sample.target {
        SideSample::Value { value: number, .. } => Some(!value.range.holds(number)),
        _ => None,
    }
}

fn account(spec: &ValueSpec, number: f64, source: Option<f64>) -> String {
    let source = source.map_or_else(String::new, |source| format!(", source {source}"));
    match spec.kind {
        ValueKind::Alerts => format!("{number} alerts firing{source}"),
        ValueKind::Value | ValueKind::Quantile => format!("{number}; allowed {}{source}", spec.range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    use crate::migration::snapshot::SidePair;
    use crate::policy::Baseline;
    use crate::policy::metric::samples::{length, queue};

    fn found(baseline: Option<Baseline>, source: SideSample, target: SideSample, seconds: i64) -> Finding {
        let lasting = Lasting { outside: SignedDuration::from_secs(seconds), ..Lasting::default() };
        judge(&MetricSpec { baseline, ..queue() }, &length(), &SidePair { source, target }, lasting)
    }

    #[test]
    fn out_of_range_for_long_enough_and_not_with_the_source() {
        let number = |value| SideSample::Value { value, count: None };
        let few = SideSample::Value { value: 9.0, count: Some(49.0) };
        let nothing = || SideSample::NoData("no series".into());
        for (baseline, source, target, seconds, expected) in [
            (None, nothing(), number(1.0), 0, Verdict::Pass),
            (None, nothing(), number(5.0), 0, Verdict::Pass),
            (None, nothing(), number(5.1), 29, Verdict::NoData),
            (None, nothing(), number(5.1), 30, Verdict::Fail),
            (None, number(9.0), number(0.9), 30, Verdict::Fail),
            (Some(Baseline::Source), number(9.0), number(9.0), 30, Verdict::NoData),
            (Some(Baseline::Source), nothing(), number(9.0), 30, Verdict::Fail),
            (None, nothing(), few, 30, Verdict::NoData),
            (None, nothing(), nothing(), 30, Verdict::NoData),
            (None, nothing(), SideSample::Error("refused".into()), 30, Verdict::Error),
        ] {
            assert_eq!(
                found(baseline, source, target.clone(), seconds).verdict,
                expected,
                "{target:?} for {seconds} s"
            );
        }
    }

    #[test]
    fn a_number_is_told_with_its_range_the_sources_and_how_long_it_has_been_out_of_it() {
        let number = |value| SideSample::Value { value, count: None };
        let counted = SideSample::Counts { bad: 0.0, total: 9.0 };
        for (baseline, source, target, seconds, told) in [
            (None, number(9.0), number(5.0), 0, "5; allowed 1 to 5"),
            (Some(Baseline::Source), number(4.0), number(5.0), 0, "5; allowed 1 to 5, source 4"),
            (None, number(9.0), number(9.0), 29, "9; allowed 1 to 5; out of range for 29s of 30s"),
            (None, number(9.0), number(9.0), 31, "9; allowed 1 to 5; out of range for 31s"),
            (
                Some(Baseline::Source),
                number(9.0),
                number(9.0),
                31,
                "9; allowed 1 to 5, source 9; the source is out of range too",
            ),
            (
                None,
                number(1.0),
                SideSample::Value { value: 2.0, count: Some(49.0) },
                0,
                "49 of the 50 requests that count as evidence",
            ),
            (None, number(1.0), SideSample::Value { value: 2.0, count: Some(50.0) }, 0, "2; allowed 1 to 5"),
            (None, number(1.0), counted, 0, "it was counted, where a number is needed"),
        ] {
            assert_eq!(found(baseline, source, target, seconds).account.to_string(), told);
        }
        let alerts = ValueSpec { kind: ValueKind::Alerts, ..length() };
        assert_eq!(account(&alerts, 2.0, Some(1.0)), "2 alerts firing, source 1");
    }

    #[test]
    fn only_a_number_is_outside_or_not() {
        for (target, outside) in [
            (SideSample::Value { value: 5.0, count: None }, Some(false)),
            (SideSample::Value { value: 5.1, count: None }, Some(true)),
            (SideSample::NoData("no series".into()), None),
            (SideSample::Counts { bad: 9.0, total: 9.0 }, None),
        ] {
            let sample = SidePair { source: SideSample::NoData("no series".into()), target };
            assert_eq!(is_outside(&length(), &sample), outside, "{sample:?}");
        }
    }
}
