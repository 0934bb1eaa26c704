//! Whether the target serves as well as it must. PURE.
//!
//! **Trip.** The lowest fraction of bad requests that the counts still leave plausible lies above the limit, and, where the
//! metric has the source as its baseline and the source is over the limit too, it is proven to exceed what the source shows
//! at the same moment: a fault both sides share is no reason to move traffic back. A source counts as a baseline only on
//! `minSamples` of its own: the last stray request of an idle one excuses nothing.
//!
//! **First start.** Fewer requests than `minSamples` are no evidence to advance, but three failures of three are
//! evidence to go back.
//!
//! **Recovery.** There is none within an attempt: a migration that went back starts anew.
//!
//! **Missing data** is `NoData`, an unanswered question `Error`; both hold, neither advances nor aborts.

use super::{Finding, Verdict};
use crate::analysis::statistics::{Counted, least_excess, lowest_plausible};
use crate::migration::snapshot::{MetricSample, SideSample};
use crate::policy::{Baseline, MetricSpec};

/// Judges one metric.
pub fn judge(spec: &MetricSpec, sample: &MetricSample) -> Finding {
    let (bad, total) = match &sample.target {
        SideSample::Counts { bad, total } => (*bad, *total),
        SideSample::NoData(why) => return Finding::new(Verdict::NoData, why),
        SideSample::Error(why) => return Finding::new(Verdict::Error, why),
    };
    let baseline = spec.baseline.and_then(|Baseline::Source| baseline(spec, &sample.source));
    let source = baseline.map(|(bad, total)| bad / total);
    let limit = spec.max.max(source.unwrap_or_default());
    // A source within the limit excuses nothing, however few of its requests were counted.
    let excused = |source: Counted| source.0 / source.1 > spec.max && least_excess((bad, total), source) <= 0.0;
    let exceeds = !baseline.is_some_and(excused);
    let counted =
        format!("{bad:.0} of {total:.0} requests bad ({})", percent(if total > 0.0 { bad / total } else { 0.0 }));
    let allowed = match source {
        Some(source) => format!("allowed {}, source {}", percent(spec.max), percent(source)),
        None => format!("allowed {}", percent(spec.max)),
    };
    if lowest_plausible(bad, total) > spec.max && exceeds {
        Finding::new(Verdict::Fail, format!("{counted}; {allowed}"))
    } else if total < spec.min_samples as f64 {
        Finding::new(Verdict::NoData, format!("{total:.0} of the {} requests that count as evidence", spec.min_samples))
    } else if bad / total > limit {
        Finding::new(Verdict::NoData, format!("{counted}; {allowed}; too few to be certain"))
    } else {
        Finding::new(Verdict::Pass, format!("{counted}; {allowed}"))
    }
}

/// The source's counts, where there are enough of them to compare with.
fn baseline(spec: &MetricSpec, source: &SideSample) -> Option<Counted> {
    match source {
        SideSample::Counts { bad, total } if *total >= spec.min_samples as f64 => Some((*bad, *total)),
        _ => None,
    }
}

fn percent(fraction: f64) -> String {
    format!("{:.2}%", fraction * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::snapshot::SidePair;
    use crate::policy::{MetricSource, Name};

    fn spec(baseline: Option<Baseline>) -> MetricSpec {
        let source = MetricSource::ErrorRate { errors: "e".into(), total: "t".into() };
        MetricSpec { name: Name::new("errors").unwrap(), source, max: 0.01, baseline, min_samples: 50 }
    }

    fn counts(bad: f64, total: f64) -> SideSample {
        SideSample::Counts { bad, total }
    }

    #[test]
    fn verdicts() {
        let clean = counts(0.0, 1000.0);
        for (target, verdict) in [
            (counts(0.0, 1000.0), Verdict::Pass),
            (counts(3.0, 3.0), Verdict::Fail),
            (counts(0.0, 0.0), Verdict::NoData),
            (counts(0.0, 49.0), Verdict::NoData),
            (counts(2.0, 100.0), Verdict::NoData),
            (counts(300.0, 1000.0), Verdict::Fail),
            (counts(50.0, 1000.0), Verdict::Fail),
            (SideSample::NoData("no series".into()), Verdict::NoData),
            (SideSample::Error("refused".into()), Verdict::Error),
        ] {
            let sample = SidePair { source: clean.clone(), target };
            assert_eq!(judge(&spec(Some(Baseline::Source)), &sample).verdict, verdict, "{sample:?}");
        }
    }

    #[test]
    fn a_fault_both_sides_share_is_not_the_targets() {
        let sample = SidePair { source: counts(350.0, 1000.0), target: counts(300.0, 1000.0) };
        assert_eq!(judge(&spec(Some(Baseline::Source)), &sample).verdict, Verdict::Pass);
        assert_eq!(judge(&spec(None), &sample).verdict, Verdict::Fail);
    }

    #[test]
    fn an_idle_source_excuses_nothing() {
        for source in [counts(1.0, 1.0), counts(40.0, 40.0), counts(0.0, 0.0)] {
            let sample = SidePair { source, target: counts(500.0, 1000.0) };
            assert_eq!(judge(&spec(Some(Baseline::Source)), &sample).verdict, Verdict::Fail, "{sample:?}");
        }
    }
}
