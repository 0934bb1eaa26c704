//! What one check of a metric was about: everything that whoever doubts a verdict needs. PURE.
//!
//! It is in every report, in the status of an object, and in the cause of a rollback, so that the journal has it too.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::snapshot::{MetricSample, SidePair, SideSample, Snapshot};
use super::state::State;
use crate::analysis::questions::Questions;
use crate::analysis::record::Learnt;
use crate::analysis::statistics::Counted;
use crate::gate::Finding;
use crate::policy::metric::{OnNoData, ProbeSpec, Range};
use crate::policy::{Analysis, Assignment, Baseline, MetricSource, MetricSpec, Name};

/// One metric in one pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// Its name.
    pub name: Name,
    /// What the gate said.
    #[serde(flatten)]
    pub finding: Finding,
    /// What it said that on; nothing in reports of versions before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<Box<Basis>>,
}

/// What a verdict stands on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Basis {
    /// What kind of metric it is.
    pub kind: String,
    /// The queries as they were asked, source before target; of a probe, where it asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queries: Vec<String>,
    /// How far they look back.
    pub window: SignedDuration,
    /// The source's numbers.
    pub source: SideSample,
    /// The target's numbers.
    pub target: SideSample,
    /// When Prometheus evaluated them, by its own clock, where it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluated: Option<Timestamp>,
    /// Seconds since the newest samples behind them, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<SidePair<Option<f64>>>,
    /// What they may be.
    pub limits: Limits,
    /// What was learnt since the target was given traffic, beside what that has to reach to be proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// Where requests are told apart: what was counted of each stratum since every plane settled.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub strata: BTreeMap<String, SidePair<SideSample>>,
    /// Where requests are told apart: what the window has of strata that both sides share, the source's as if its mix were the target's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_mix: Option<SidePair<SideSample>>,
}

/// What a metric may come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Highest accepted fraction of bad requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Accepted numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Range>,
    /// What it is compared with.
    pub baseline: Option<Baseline>,
    /// The regression that has to have been visible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detect: Option<String>,
    /// Fewest requests that count.
    pub min_samples: u64,
    /// What no data comes to.
    pub on_no_data: OnNoData,
}

/// Evidence against the target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// That it is above its limit.
    pub above: f64,
    /// What that has to reach.
    pub above_is_proof: f64,
    /// That it is worse than the source.
    pub worse: f64,
    /// What that has to reach, where it is compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worse_is_proof: Option<f64>,
}

impl Evidence {
    /// What was learnt, beside what has to be.
    pub fn new(analysis: &Analysis, spec: &MetricSpec, learnt: &Learnt) -> Self {
        let proof = analysis.proof(spec);
        let worse_is_proof = Some(proof.worse).filter(|proof| proof.is_finite());
        Self {
            above: told(learnt.above.min(MOST)),
            above_is_proof: told(proof.above),
            worse: told(learnt.worse.min(MOST)),
            worse_is_proof: worse_is_proof.map(told),
        }
    }
}

/// Evidence of more than that to 1 is proof of anything.
const MOST: f64 = 1e12;

/// A number as it is kept: twelve digits, so that JSON gives back exactly what it was given, and a state that was read is the state that
/// was written. Nothing below a billionth matters.
fn told(number: f64) -> f64 {
    let short = format!("{number:.11e}");
    short.parse().ok().filter(|number: &f64| number.abs() >= 1e-9).unwrap_or_default()
}

fn side(sample: &SideSample) -> SideSample {
    match sample {
        SideSample::Counts { bad, total } => SideSample::Counts { bad: told(*bad), total: told(*total) },
        SideSample::Value { value, count } => SideSample::Value { value: told(*value), count: count.map(told) },
        nothing => nothing.clone(),
    }
}

impl fmt::Display for SideSample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Counts { bad, total } => write!(f, "{bad:.1} of {total:.1} requests bad"),
            Self::Value { value, count: Some(count) } => write!(f, "{value}, of {count:.1} requests"),
            Self::Value { value, count: None } => write!(f, "{value}"),
            Self::NoData(why) => write!(f, "no data: {why}"),
            Self::Error(why) => write!(f, "error: {why}"),
        }
    }
}

/// Counts as they are kept.
fn counts(counted: &SidePair<Counted>) -> SidePair<SideSample> {
    let side = |(bad, total): Counted| SideSample::Counts { bad: told(bad), total: told(total) };
    SidePair { source: side(counted.source), target: side(counted.target) }
}

impl Limits {
    /// The limits of a metric.
    pub fn of(spec: &MetricSpec) -> Self {
        let range = match &spec.source {
            MetricSource::Value(value) => Some(value.range),
            _ => None,
        };
        Self {
            max: range.is_none().then_some(spec.max),
            range,
            baseline: spec.baseline,
            detect: spec.detect.map(|regression| regression.to_string()),
            min_samples: spec.min_samples,
            on_no_data: spec.silence.on_no_data,
        }
    }
}

/// What is known of when the numbers are from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sampled {
    /// When Prometheus evaluated them, by its own clock.
    pub evaluated: Option<Timestamp>,
    /// Seconds since the newest samples behind them.
    pub age: Option<SidePair<Option<f64>>>,
}

impl Basis {
    /// What was asked for a metric, and what came of it.
    pub fn new(
        assignment: &Assignment,
        spec: &MetricSpec,
        sample: &MetricSample,
        learnt: Option<&Learnt>,
        Sampled { evaluated, age }: Sampled,
    ) -> Self {
        let (analysis, questions) = (&assignment.policy.analysis, Questions::of(assignment));
        Self {
            kind: spec.source.kind().to_owned(),
            queries: match &spec.source {
                MetricSource::Probe(ProbeSpec { way, .. }) => questions.for_both(way.address()).collect(),
                source => questions.asked_for(source),
            },
            window: analysis.window,
            source: side(&sample.source),
            target: side(&sample.target),
            evaluated: evaluated.filter(|_| !spec.source.templates().is_empty()),
            age: age.map(|age| SidePair { source: age.source.map(told), target: age.target.map(told) }),
            limits: Limits::of(spec),
            evidence: learnt.filter(|_| spec.source.counts()).map(|learnt| Evidence::new(analysis, spec, learnt)),
            strata: learnt
                .into_iter()
                .flat_map(|learnt| learnt.strata.iter())
                .map(|(stratum, counted)| (stratum.to_owned(), counts(counted)))
                .collect(),
            same_mix: learnt.and_then(|learnt| learnt.like.as_ref()).map(counts),
        }
    }
}

impl Check {
    /// A finding about a metric, with all that it stands on.
    pub fn new(state: &State, snapshot: &Snapshot, name: &Name, finding: &Finding) -> Self {
        let metrics = &state.assignment.policy.analysis.metrics;
        let spec = metrics.iter().find(|spec| spec.name == *name);
        let basis = spec.zip(snapshot.metrics.get(name)).map(|(spec, sample)| {
            let sampled = Sampled { evaluated: snapshot.evaluated, age: snapshot.ages.get(name).cloned() };
            Box::new(Basis::new(&state.assignment, spec, sample, snapshot.learnt.get(name), sampled))
        });
        Self { name: name.clone(), finding: finding.clone(), basis }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::metric::samples::{errors, queue};

    #[test]
    fn counts_are_limited_by_a_fraction_and_a_number_by_its_range() {
        let limits = |spec: &MetricSpec| (Limits::of(spec).max, Limits::of(spec).range);
        assert_eq!(limits(&errors()), (Some(0.01), None));
        assert_eq!(limits(&queue()), (None, Some(Range { min: Some(1.0), max: Some(5.0) })));
    }

    #[test]
    fn numbers_come_back_from_json_as_they_were() {
        for number in
            [0.1 + 0.2, 2_222.222_222_222_222, 1.0 / 3.0, 123_456.789_012_345_67, 7e-8, 3.2e18, 0.0, -1.5e-300]
        {
            let told = told(number);
            let json = serde_json::to_string(&told).unwrap();
            assert_eq!(serde_json::from_str::<f64>(&json).unwrap().to_bits(), told.to_bits(), "{number}: {json}");
            assert!((told - number).abs() <= 1e-9 + number.abs() * 1e-11);
        }
    }
}
