//! Whether requests really arrive as the weight says. PURE.
//!
//! **Trip.** It never aborts: a share that disagrees is a plane or a client that does not follow, not a bad target.
//!
//! **First start.** Until both sides together have `minSamples` requests in the window there is nothing to compare.
//!
//! **Recovery.** At once, with the next window that agrees.
//!
//! **Missing data** on one side counts as no requests there only where the other side has some: at 100 % the source's
//! series may well have ended.

use super::account::Account;
use super::{Finding, Verdict};
use crate::analysis::statistics::chance_distance;
use crate::migration::snapshot::{SidePair, SideSample};
use crate::policy::{ShareSpec, Weight};

/// The measured share of the target in `0.0..=1.0` and the requests behind it, where there are any.
pub fn measured(sample: &SidePair<SideSample>) -> Option<(f64, f64)> {
    let (source, target) = (total(&sample.source)?, total(&sample.target)?);
    let sum = source + target;
    (sum > 0.0).then(|| (target / sum, sum))
}

fn total(sample: &SideSample) -> Option<f64> {
    match sample {
        SideSample::Counts { total, .. } => Some(*total),
        SideSample::NoData(_) => Some(0.0),
        SideSample::Error(_) | SideSample::Value { .. } => None,
    }
}

/// Compares the measured share with a weight.
pub fn judge(spec: &ShareSpec, weight: Weight, sample: &SidePair<SideSample>) -> Finding {
    if let SideSample::Error(why) = &sample.source {
        return Finding::new(Verdict::Error, why);
    }
    if let SideSample::Error(why) = &sample.target {
        return Finding::new(Verdict::Error, why);
    }
    let Some((share, requests)) = measured(sample) else {
        return Finding::new(Verdict::NoData, "no requests counted on either side");
    };
    if requests < spec.min_samples as f64 {
        return Finding::new(Verdict::NoData, Account::Few { requests, needed: spec.min_samples });
    }
    let tolerance = spec.tolerance.fraction() + chance_distance(weight.fraction(), requests);
    let account = Account::Share { share, requests, weight, tolerance };
    let agrees = (share - weight.fraction()).abs() <= tolerance;
    Finding::new(if agrees { Verdict::Pass } else { Verdict::NoData }, account)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(source: f64, target: f64) -> SidePair<SideSample> {
        let counts = |total| SideSample::Counts { bad: 0.0, total };
        SidePair { source: counts(source), target: counts(target) }
    }

    #[test]
    fn compares_with_the_weight() {
        let spec = ShareSpec { total: None, tolerance: Weight::percent_saturating(2), min_samples: 100 };
        let quarter = Weight::percent_saturating(25);
        for (sample, verdict) in [
            (pair(750.0, 250.0), Verdict::Pass),
            (pair(1000.0, 0.0), Verdict::NoData),
            (pair(500.0, 500.0), Verdict::NoData),
            (pair(30.0, 10.0), Verdict::NoData),
            (pair(0.0, 0.0), Verdict::NoData),
        ] {
            assert_eq!(judge(&spec, quarter, &sample).verdict, verdict, "{sample:?}");
        }
        let ended = SidePair { source: SideSample::NoData("series ended".into()), target: pair(0.0, 400.0).target };
        assert_eq!(judge(&spec, Weight::FULL, &ended).verdict, Verdict::Pass);
        let away = SidePair { source: SideSample::Error("refused".into()), target: ended.target };
        assert_eq!(judge(&spec, Weight::FULL, &away).verdict, Verdict::Error);
    }

    #[test]
    fn a_share_is_measured_where_both_sides_could_be_asked_and_anything_was_counted() {
        let (nothing, error) = (SideSample::NoData("ended".into()), SideSample::Error("refused".into()));
        let counts = |total| SideSample::Counts { bad: 0.0, total };
        for (source, target, expected) in [
            (counts(750.0), counts(250.0), Some((0.25, 1000.0))),
            (nothing.clone(), counts(400.0), Some((1.0, 400.0))),
            (counts(400.0), nothing.clone(), Some((0.0, 400.0))),
            (counts(0.0), counts(0.0), None),
            (nothing.clone(), nothing, None),
            (counts(1.0), error.clone(), None),
            (error, counts(1.0), None),
            (SideSample::Value { value: 1.0, count: None }, counts(1.0), None),
        ] {
            let sample = SidePair { source, target };
            assert_eq!(measured(&sample), expected, "{sample:?}");
        }
    }

    #[test]
    fn a_share_is_told_with_what_it_may_be_off() {
        let spec = ShareSpec { total: None, tolerance: Weight::percent_saturating(2), min_samples: 100 };
        let quarter = Weight::percent_saturating(25);
        let refused = || SideSample::Error("refused".into());
        for (sample, verdict, told) in [
            (pair(75.0, 25.0), Verdict::Pass, "25.00% of 100 requests, weight 25%, tolerance 15.38%"),
            (pair(5_000.0, 5_000.0), Verdict::NoData, "50.00% of 10000 requests, weight 25%, tolerance 3.34%"),
            (pair(74.0, 25.0), Verdict::NoData, "99 of the 100 requests that count as evidence"),
            (pair(0.0, 0.0), Verdict::NoData, "no requests counted on either side"),
            (SidePair { source: refused(), ..pair(9.0, 9.0) }, Verdict::Error, "refused"),
            (SidePair { target: refused(), ..pair(9.0, 9.0) }, Verdict::Error, "refused"),
        ] {
            let found = judge(&spec, quarter, &sample);
            assert_eq!((found.verdict, found.account.to_string().as_str()), (verdict, told));
        }
    }
}
