//! Whether the target serves as well as it must. PURE.
//!
//! **Trip.** Either of two things is proven, and the window just looked at shows it still:
//!
//! - the target's fraction of bad requests is above `max`. Where the metric has the source as its baseline and the source is above
//!   `max` too, that excuses the target unless the other thing is proven: a fault both sides share is no reason to move traffic back.
//!   A source excuses only on `minSamples` of its own: the last stray request of an idle one excuses nothing;
//! - the target's fraction is above the source's, where that is the baseline, by more than what is too little to matter.
//!
//! Proven means by the test of `analysis::sequential`, which may be asked as often as one likes. What it has gathered is in the
//! snapshot, from the first request that the target was given.
//!
//! **First start.** Fewer requests than `minSamples` in the window, or too few in the step to have seen the regression that `detect`
//! names, are no evidence to advance; three failures of three are evidence to go back. Before the target has any traffic nothing is
//! gathered, and one window speaks for itself: that only keeps the first step from being taken.
//!
//! **Recovery.** There is none within an attempt: a migration that went back starts anew.
//!
//! **Missing data** is `NoData`, an unanswered question `Error`; both hold, neither advances nor aborts.

use super::account::{Account, Meaning};
use super::{Finding, Verdict};
use crate::analysis::power::{Chance, Comparison, times_as_many};
use crate::analysis::record::Learnt;
use crate::analysis::sequential::Alternatives;
use crate::analysis::statistics::{Counted, fraction, least_excess, lowest_plausible};
use crate::migration::snapshot::{MetricSample, SideSample};
use crate::policy::{Baseline, MetricSpec, Proof, Regression};

/// Judges one metric that counts: by its window, by what was learnt so far, and by what that has to reach to be proof.
pub fn judge(spec: &MetricSpec, sample: &MetricSample, learnt: Option<&Learnt>, proof: Proof) -> Finding {
    let (bad, total) = match &sample.target {
        SideSample::Counts { bad, total } => (*bad, *total),
        SideSample::NoData(why) => return Finding::new(Verdict::NoData, why),
        SideSample::Error(why) => return Finding::new(Verdict::Error, why),
        SideSample::Value { .. } => return Finding::new(Verdict::NoData, "it is a number, where requests are counted"),
    };
    let look = Look::new(spec, (bad, total), baseline(spec, &sample.source), learnt);
    if let Some(why) = look.failure(learnt, proof) {
        look.found(Verdict::Fail, why)
    } else if total < spec.min_samples as f64 {
        Finding::new(Verdict::NoData, Account::Few { requests: total, needed: spec.min_samples })
    } else if look.fraction() > look.limit() {
        look.found(Verdict::NoData, Meaning::Uncertain)
    } else if let Some(why) = learnt.and_then(|learnt| unseen(spec, learnt, proof)) {
        look.found(Verdict::NoData, why)
    } else {
        look.found(Verdict::Pass, Meaning::Well)
    }
}

/// One window of a metric that could be counted.
struct Look<'a> {
    spec: &'a MetricSpec,
    target: Counted,
    /// What of the target's counts is compared with the source's: all of them, or those of strata that both sides share.
    compared: Counted,
    /// The source's counts, where there are enough of them to compare with; in strata as if its mix were the target's.
    source: Option<Counted>,
}

impl<'a> Look<'a> {
    fn new(spec: &'a MetricSpec, target: Counted, source: Option<Counted>, learnt: Option<&Learnt>) -> Self {
        match learnt.filter(|_| spec.source.strata().is_some()) {
            Some(Learnt { like: Some(like), .. }) => {
                Self { spec, target, compared: like.target, source: source.map(|_| like.source) }
            }
            // No stratum is on both sides, so there is nothing to compare with.
            Some(Learnt { like: None, .. }) => Self { spec, target, compared: target, source: None },
            None => Self { spec, target, compared: target, source },
        }
    }

    fn fraction(&self) -> f64 {
        fraction(self.target)
    }

    /// The highest fraction that does not stand in the way of advancing.
    fn limit(&self) -> f64 {
        self.spec.max.max(self.source.map(fraction).unwrap_or_default())
    }

    /// Whether the source is above the limit since this step began, where that is shorter ago than the window is long: what the
    /// window has from before it comes from other weights.
    fn source_fails_since(&self, gathered: Counted) -> bool {
        self.source.is_some_and(|(_, window)| gathered.1 < window && fraction(gathered) > self.spec.max)
    }

    fn found(&self, verdict: Verdict, meaning: Meaning) -> Finding {
        let (source, same_mix) = (self.source.map(fraction), self.spec.source.strata().is_some());
        Finding::new(verdict, Account::Requests { target: self.target, max: self.spec.max, source, same_mix, meaning })
    }

    /// Why the target has to be relieved, where that is proven.
    fn failure(&self, learnt: Option<&Learnt>, proof: Proof) -> Option<Meaning> {
        let max = self.spec.max;
        let source_fails = self.source.is_some_and(|source| fraction(source) > max);
        let Some(learnt) = learnt else {
            // A source within the limit excuses nothing, however few of its requests were counted.
            let excused = source_fails && self.source.is_some_and(|source| least_excess(self.target, source) <= 0.0);
            let (bad, total) = self.target;
            return (lowest_plausible(bad, total) > max && !excused).then_some(Meaning::Above);
        };
        let source_fails = source_fails || self.source_fails_since(learnt.gathered.source);
        let worse = learnt.worse >= proof.worse;
        // What was proven while the source had requests says nothing about now where it has none to compare with.
        let still_worse = self.source.is_some_and(|source| fraction(self.compared) > fraction(source));
        if learnt.above >= proof.above && self.fraction() > max && (worse || !source_fails) {
            Some(Meaning::ProvenAbove(learnt.above))
        } else if worse && still_worse {
            Some(Meaning::ProvenWorse(learnt.worse))
        } else {
            None
        }
    }
}

/// What is missing for the regression that the policy names to have been seen, where something is.
fn unseen(spec: &MetricSpec, learnt: &Learnt, proof: Proof) -> Option<Meaning> {
    let regression = spec.detect?;
    let needed = needed(spec, regression, learnt, proof);
    let all = learnt.gathered.source.1 + learnt.gathered.target.1;
    (all < needed).then(|| Meaning::Unseen(all / needed, regression))
}

/// Requests of both sides within a step after which a regression would have been seen.
fn needed(spec: &MetricSpec, regression: Regression, learnt: &Learnt, proof: Proof) -> f64 {
    let (source, target) = (learnt.gathered.source, learnt.gathered.target);
    let all = source.1 + target.1;
    if all <= 0.0 {
        return f64::INFINITY;
    }
    // One half of a request more: a source that has not failed once may fail all the same.
    let fraction = (source.0 + 0.5) / (source.1 + 1.0);
    let comparison = |source: Counted, target: Counted| {
        // As above, in a stratum with what the source fails in all.
        let fraction = if spec.source.strata().is_some() { (source.0 + fraction) / (source.1 + 1.0) } else { fraction };
        let all = source.1 + target.1;
        (Comparison { share: target.1 / all, fraction, times: regression.times_of(fraction) }, all)
    };
    let compared: Vec<_> = match spec.source.strata() {
        Some(_) => learnt.strata.iter().map(|(_, counted)| comparison(counted.source, counted.target)).collect(),
        None => vec![comparison(source, target)],
    };
    let alternatives = Alternatives::for_finding(spec.regression().times_of(spec.max));
    all * times_as_many(&compared, &alternatives, proof.worse, Chance::Power)
}

/// The source's counts, where there are enough of them to compare with.
fn baseline(spec: &MetricSpec, source: &SideSample) -> Option<Counted> {
    match (spec.baseline, source) {
        (Some(Baseline::Source), SideSample::Counts { bad, total }) if *total >= spec.min_samples as f64 => {
            Some((*bad, *total))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
