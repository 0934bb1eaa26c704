//! What numbers say to somebody without statistics. PURE.

use jiff::{SignedDuration, Timestamp};

use crate::migration::snapshot::{MetricSample, SidePair, SideSample, Snapshot};
use crate::policy::{Analysis, MetricSpec, ShareSpec, Weight};

/// How far above its limit a fraction has to be that everybody calls bad.
const CLEARLY: f64 = 3.0;
/// Bad requests beyond that which are no accident. That many are evidence of more than e^50 to 1, which proves it under any
/// division of the evidence that a policy's proof may ask for.
const MANY: f64 = 30.0;

fn fraction(sample: &SideSample) -> Option<(f64, f64)> {
    match sample {
        SideSample::Counts { bad, total } if *total > 0.0 => Some((bad / total, *total)),
        _ => None,
    }
}

/// How much later than its interval a look still follows the one before.
const SLACK: SignedDuration = SignedDuration::from_secs(1);

/// What one look saw, for the next: what is over may still fill a window, and only what goes on adds to it.
#[derive(Debug, Default)]
pub(super) struct Look {
    at: Option<Timestamp>,
    /// Bad requests of the target in the window, metric by metric, where any could be counted.
    bad: Vec<Option<f64>>,
}

impl Look {
    /// Takes the place of the look before.
    pub fn take(&mut self, snapshot: &Snapshot, analysis: &Analysis) {
        let bad = |spec: &MetricSpec| snapshot.metrics.get(&spec.name).and_then(bad_requests);
        self.at = Some(snapshot.now);
        self.bad.clear();
        self.bad.extend(analysis.metrics.iter().map(bad));
    }

    /// Whether the metric in this place is as bad in what came since the last look, an interval ago; looks that follow each other at
    /// once, as they do after something was done, show nothing new.
    pub fn goes_on(
        &self,
        place: usize,
        spec: &MetricSpec,
        sample: &MetricSample,
        now: Timestamp,
        of: &Analysis,
    ) -> bool {
        let (Some(at), Some(Some(before))) = (self.at, self.bad.get(place)) else { return false };
        let after = now.duration_since(at);
        let follows = (of.interval / 2..=of.interval + SLACK).contains(&after);
        let requests = fraction(&sample.target).map_or(0.0, |(_, total)| total) * after.div_duration_f64(of.window);
        let adds = bad_requests(sample).is_some_and(|now| now - before >= 1.0 + CLEARLY * spec.max * requests);
        follows && adds
    }
}

/// Bad requests of the target in the window.
fn bad_requests(sample: &MetricSample) -> Option<f64> {
    fraction(&sample.target).map(|(bad, total)| bad * total)
}

fn limit(spec: &MetricSpec, sample: &MetricSample) -> f64 {
    let source = spec.baseline.and_then(|_| fraction(&sample.source)).map_or(0.0, |(source, _)| source);
    spec.max.max(source)
}

/// Enough requests, and no more bad ones among them than are accepted.
pub(super) fn within_limits(spec: &MetricSpec, sample: &MetricSample) -> bool {
    let enough = |(_, total): &(f64, f64)| *total >= spec.min_samples as f64;
    !spec.source.counts() || fraction(&sample.target).filter(enough).is_some_and(|(bad, _)| bad <= limit(spec, sample))
}

/// More bad requests than are accepted, or than on the source where that is the baseline: the least a rollback needs.
pub(super) fn worth_going_back(spec: &MetricSpec, sample: &MetricSample) -> bool {
    let source = spec.baseline.and_then(|_| fraction(&sample.source)).map_or(spec.max, |(source, _)| source);
    fraction(&sample.target).is_some_and(|(bad, _)| bad > spec.max.min(source))
}

/// Whether the source, where it is the baseline, has more bad requests than are accepted: what the target fails meanwhile, it need not
/// fail alone.
pub(super) fn is_excused(spec: &MetricSpec, sample: &MetricSample) -> bool {
    spec.baseline.is_some() && fraction(&sample.source).is_some_and(|(source, _)| source > spec.max)
}

/// So bad that no statistics are needed. A source that few requests came to may truly be worse than it looks, by four standard
/// deviations: so much it excuses.
pub(super) fn clearly_bad(spec: &MetricSpec, sample: &MetricSample) -> bool {
    let source = spec.baseline.and_then(|_| fraction(&sample.source));
    let chance = source.map_or(0.0, |(source, total)| 4.0 * (source * (1.0 - source) / total).sqrt());
    let limit = limit(spec, sample) + chance;
    fraction(&sample.target).is_some_and(|(bad, total)| (bad - CLEARLY * limit) * total >= MANY && limit < 0.2)
}

/// Whether the share of the requests is the weight, give or take the tolerance and four standard deviations.
pub(super) fn share_agrees(spec: &ShareSpec, weight: Weight, sample: &SidePair<SideSample>) -> bool {
    let total = |sample: &SideSample| match sample {
        SideSample::Counts { total, .. } => Some(*total),
        SideSample::NoData(_) => Some(0.0),
        SideSample::Error(_) | SideSample::Value { .. } => None,
    };
    let (Some(source), Some(target)) = (total(&sample.source), total(&sample.target)) else { return false };
    let (all, wanted) = (source + target, weight.fraction());
    let chance = 4.0 * (wanted * (1.0 - wanted) / all).sqrt();
    all >= spec.min_samples as f64 && all > 0.0 && (target / all - wanted).abs() <= spec.tolerance.fraction() + chance
}
