//! What a metric that goes on saying nothing comes to. PURE.
//!
//! **Trip.** Only where the policy says `onNoData: fail`, and only once there has been no data for as long as `noDataBudget`, without
//! interruption. An error never comes to a failure: that nobody could ask says nothing about the target.
//!
//! **First start.** Nothing has lasted yet.
//!
//! **Recovery.** One look that says something begins anew; there are two clocks. Counted requests that are too few to have shown a
//! regression are not silence.
//!
//! **Missing data** is what this gate is about: once a budget is spent, a person is asked.

use super::{Finding, Verdict};
use crate::analysis::lasting::Lasting;
use crate::migration::snapshot::{MetricSample, SideSample};
use crate::policy::MetricSpec;
use crate::policy::metric::{OnNoData, Silence};

/// Whether a sample says nothing, and which of the two: no data, or fewer requests than count; or an error.
pub fn of(spec: &MetricSpec, sample: &MetricSample) -> Option<Verdict> {
    let few = |count: f64| (count < spec.min_samples as f64).then_some(Verdict::NoData);
    match &sample.target {
        SideSample::Counts { total, .. } => few(*total),
        SideSample::Value { count, .. } => count.and_then(few),
        SideSample::NoData(_) => Some(Verdict::NoData),
        SideSample::Error(_) => Some(Verdict::Error),
    }
}

/// The finding that counts.
pub fn weigh(silence: &Silence, lasting: Lasting, finding: Finding) -> Finding {
    let verdict = match (finding.verdict, silence.on_no_data) {
        (Verdict::NoData, OnNoData::Pass) => Verdict::Pass,
        (Verdict::NoData, OnNoData::Fail) => Verdict::Fail,
        _ => return finding,
    };
    if lasting.no_data < silence.no_data_budget {
        return finding;
    }
    let (long, word) = (lasting.no_data, if verdict == Verdict::Pass { "pass" } else { "fail" });
    Finding::new(verdict, format!("{}; for {long:#}, and onNoData is {word}", finding.account))
}

/// Whether a budget is spent, so that a person is asked.
pub fn spent(silence: &Silence, lasting: Lasting, verdict: Verdict) -> bool {
    match verdict {
        Verdict::NoData => lasting.no_data >= silence.no_data_budget,
        Verdict::Error => lasting.error >= silence.error_budget,
        Verdict::Pass | Verdict::Fail => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    use crate::migration::snapshot::SidePair;
    use crate::policy::metric::samples::errors;

    #[test]
    fn no_data_comes_to_what_the_policy_says_and_an_error_to_nothing() {
        let minutes = SignedDuration::from_mins;
        let lasting = |long| Lasting { no_data: minutes(long), error: minutes(long), ..Lasting::default() };
        for (on_no_data, verdict, long, expected, asks) in [
            (OnNoData::Hold, Verdict::NoData, 20, Verdict::NoData, true),
            (OnNoData::Pass, Verdict::NoData, 9, Verdict::NoData, false),
            (OnNoData::Pass, Verdict::NoData, 10, Verdict::Pass, false),
            (OnNoData::Fail, Verdict::NoData, 9, Verdict::NoData, false),
            (OnNoData::Fail, Verdict::NoData, 10, Verdict::Fail, false),
            (OnNoData::Fail, Verdict::Error, 600, Verdict::Error, true),
            (OnNoData::Pass, Verdict::Error, 9, Verdict::Error, false),
            (OnNoData::Pass, Verdict::Fail, 600, Verdict::Fail, false),
            (OnNoData::Fail, Verdict::Pass, 600, Verdict::Pass, false),
        ] {
            let silence = Silence { on_no_data, ..Silence::default() };
            let weighed = weigh(&silence, lasting(long), Finding::new(verdict, "no series"));
            assert_eq!(weighed.verdict, expected, "{on_no_data:?} {verdict:?} for {long} min");
            assert_eq!(
                spent(&silence, lasting(long), weighed.verdict),
                asks,
                "{on_no_data:?} {verdict:?} for {long} min"
            );
        }
    }

    #[test]
    fn fewer_requests_than_count_are_silence_and_more_are_not() {
        let value = |count| SideSample::Value { value: 1.0, count };
        for (target, silent) in [
            (SideSample::Counts { bad: 0.0, total: 49.0 }, Some(Verdict::NoData)),
            (SideSample::Counts { bad: 0.0, total: 50.0 }, None),
            (SideSample::Counts { bad: 0.0, total: 51.0 }, None),
            (value(Some(49.0)), Some(Verdict::NoData)),
            (value(Some(50.0)), None),
            (value(None), None),
            (SideSample::NoData("no series".into()), Some(Verdict::NoData)),
            (SideSample::Error("refused".into()), Some(Verdict::Error)),
        ] {
            let sample = SidePair { source: SideSample::NoData("no series".into()), target };
            assert_eq!(of(&errors(), &sample), silent, "{sample:?}");
        }
    }

    #[test]
    fn what_a_silence_came_to_is_told_with_how_long_it_was() {
        let lasting = Lasting { no_data: SignedDuration::from_mins(10), ..Lasting::default() };
        for (on_no_data, told) in [
            (OnNoData::Hold, "no series"),
            (OnNoData::Pass, "no series; for 10m, and onNoData is pass"),
            (OnNoData::Fail, "no series; for 10m, and onNoData is fail"),
        ] {
            let silence = Silence { on_no_data, ..Silence::default() };
            let weighed = weigh(&silence, lasting, Finding::new(Verdict::NoData, "no series"));
            assert_eq!(weighed.account.to_string(), told);
        }
    }
}
