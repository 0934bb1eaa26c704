//! A policy's gates over traffic that was recorded. PURE.
//!
//! What was recorded are the requests of both clusters, grain by grain; mostly all of them the source's, because nobody has migrated yet. So
//! a target is made of them: it is given its weight's part of each grain's requests, and of the bad ones each with that chance, which is what
//! a balancer does. It is healthy by construction, so whatever its gates find is a false alarm; and it can be made worse, to see how
//! long that takes to be found. Bursts, nights and the mix of a real service are in the recording. The very gates and records that drive a
//! migration are asked, once in each grain.
//!
//! **Not replayed:** what planes and probes count, numbers with a range, steps that wait for people, and gates other than the metrics'.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::forecast::time_at;
use super::random::Random;
use super::record::{self, Reading, Record, Stage};
use super::statistics::Counted;
use super::strata::Strata;
use crate::gate::{Finding, Verdict, slo};
use crate::migration::snapshot::{SidePair, SideSample};
use crate::policy::{MetricSource, MetricSpec, Name, Regression, ShiftPolicy, Weight};

/// Times the recording is replayed, each time divided anew.
const ROUNDS: u64 = 20;
/// Moments of the recording at which a target turns bad.
const STARTS: usize = 40;
/// Longest time a bad target is watched, in grains: beyond it nobody would say it was found.
const PATIENCE: usize = 2_000;

/// Bad and all requests of both sides in one grain; a side without an answer has none.
pub type Grain = SidePair<Option<Counted>>;

/// What was recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recording {
    /// When the first grain began.
    pub from: Timestamp,
    /// How long each is.
    pub grain: SignedDuration,
    /// Every grain of each metric.
    pub metrics: BTreeMap<Name, Vec<Grain>>,
}

/// What replaying came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Backtest {
    /// How long the recording is, as far as something was counted.
    pub recorded: SignedDuration,
    /// How often it was replayed.
    pub rounds: u64,
    /// Migrations that began in all rounds.
    pub migrations: usize,
    /// Healthy targets that went back.
    pub alarms: Vec<Alarm>,
    /// The same for each week of traffic.
    pub alarms_per_week: f64,
    /// How soon worse targets are found.
    pub detections: Vec<Detection>,
    /// Metrics that cannot be replayed.
    pub left_out: Vec<Name>,
}

/// A target that went back.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Alarm {
    /// When, in the recording.
    pub at: Timestamp,
    /// The metric.
    pub metric: Name,
    /// The weight.
    pub weight: Weight,
    /// The gate's own words.
    pub account: String,
}

/// How soon a target is found that is worse by so much, at one weight.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Detection {
    /// The metric.
    pub metric: Name,
    /// How much worse.
    pub regression: String,
    /// The weight.
    pub weight: Weight,
    /// How long the policy stays there.
    pub lasts: f64,
    /// Targets that were made so.
    pub targets: usize,
    /// Those found before the step ended.
    pub found: usize,
    /// Seconds until half of all were found; `None` where that did not come to pass.
    pub median_seconds: Option<f64>,
}

/// Replays a recording under a policy.
pub fn backtest(policy: &ShiftPolicy, recording: &Recording, seed: u64) -> Backtest {
    let replayed: Vec<_> =
        policy.analysis.metrics.iter().filter(|spec| recording.metrics.contains_key(&spec.name)).collect();
    let is_left_out = |spec: &&MetricSpec| !recording.metrics.contains_key(&spec.name);
    let left_out = policy.analysis.metrics.iter().filter(is_left_out).map(|spec| spec.name.clone()).collect();
    let replay = Replay { policy, recording, specs: replayed };
    let recorded = recording.grain.saturating_mul(i32::try_from(replay.counted()).unwrap_or(i32::MAX));
    let (mut alarms, mut migrations) = (Vec::new(), 0);
    for round in 0..ROUNDS {
        migrations += replay.healthy(&mut Random::new(seed.wrapping_add(round)), &mut alarms);
    }
    let weeks = ROUNDS as f64 * recorded.as_secs_f64() / (7.0 * 86_400.0);
    let mut detections = Vec::new();
    for spec in &replay.specs {
        for regression in regressions(spec) {
            for at in replay.weights() {
                detections.extend(replay.worse(spec, regression, at, &mut Random::new(seed)));
            }
        }
    }
    let alarms_per_week = if weeks > 0.0 { alarms.len() as f64 / weeks } else { 0.0 };
    Backtest { recorded, rounds: ROUNDS, migrations, alarms, alarms_per_week, detections, left_out }
}

/// The regressions that are looked for; what counts slow requests also a fifth more of them.
fn regressions(spec: &MetricSpec) -> Vec<Regression> {
    let fifth = matches!(spec.source, MetricSource::SlowRate { .. }).then_some(Regression::Times(1.2));
    let usual = [Regression::Times(2.0), Regression::Points(0.01)];
    fifth.into_iter().chain(usual).collect()
}

struct Replay<'a> {
    policy: &'a ShiftPolicy,
    recording: &'a Recording,
    specs: Vec<&'a MetricSpec>,
}

impl Replay<'_> {
    fn grains(&self) -> usize {
        self.recording.metrics.values().map(Vec::len).max().unwrap_or_default()
    }

    /// Grains in which anything was counted.
    fn counted(&self) -> usize {
        let any = |index: &usize| self.specs.iter().any(|spec| self.pooled(spec, *index).is_some());
        (0..self.grains()).filter(any).count()
    }

    fn weights(&self) -> Vec<(usize, Weight)> {
        let steps = self.policy.steps.iter().enumerate();
        steps.filter_map(|(index, step)| Some((index, step.weight()?))).collect()
    }

    fn at(&self, index: usize) -> Timestamp {
        let passed = self.recording.grain.saturating_mul(i32::try_from(index).unwrap_or(i32::MAX));
        self.recording.from.checked_add(passed).unwrap_or(Timestamp::MAX)
    }

    /// The requests of both sides in a grain.
    fn pooled(&self, spec: &MetricSpec, index: usize) -> Option<Counted> {
        let grain = self.recording.metrics.get(&spec.name)?.get(index)?;
        let (source, target) = (grain.source, grain.target);
        source.or(target)?;
        let sum = |side: Option<Counted>| side.unwrap_or_default();
        Some((sum(source).0 + sum(target).0, sum(source).1 + sum(target).1))
    }

    /// Migrations one after the other, each until its policy ends or its target goes back; how many there were.
    fn healthy(&self, random: &mut Random, alarms: &mut Vec<Alarm>) -> usize {
        let (mut index, mut migrations) = (0, 0);
        while index < self.grains() {
            migrations += 1;
            index = self.migration(index, random, alarms);
        }
        migrations
    }

    /// One migration that begins at a grain; the grain after its last one.
    fn migration(&self, mut index: usize, random: &mut Random, alarms: &mut Vec<Alarm>) -> usize {
        let mut runs: Vec<_> =
            self.specs.iter().map(|spec| Run::new(self.policy, spec, self.at(index), self.recording.grain)).collect();
        for (step, weight) in self.weights() {
            let since = self.at(index);
            let stage = Stage { step, of: self.policy.steps.len(), since, settled: Some(since) };
            let lasts = time_at(self.policy, step);
            while index < self.grains() && self.at(index).duration_since(since) < lasts {
                let now = self.at(index + 1);
                let findings: Vec<Finding> = runs
                    .iter_mut()
                    .map(|run| run.look(now, stage, self.divided(run.spec, index, weight, 0.0, random)))
                    .collect();
                index += 1;
                let failed = runs.iter().zip(&findings).find(|(_, finding)| finding.verdict == Verdict::Fail);
                if let Some((run, finding)) = failed {
                    let (metric, account) = (run.spec.name.clone(), finding.account.to_string());
                    alarms.push(Alarm { at: now, metric, weight, account });
                    return index;
                }
            }
        }
        index.max(1)
    }

    /// A grain divided between the sides, with so many more of the target's good requests made bad.
    fn divided(
        &self,
        spec: &MetricSpec,
        index: usize,
        weight: Weight,
        more: f64,
        random: &mut Random,
    ) -> Option<SidePair<Counted>> {
        let (bad, total) = self.pooled(spec, index)?;
        let share = weight.fraction();
        let (all, theirs) = (total * share, random.part(bad, share));
        let worse = random.part((all - theirs).max(0.0), more);
        let source = (bad - theirs, total - all);
        Some(SidePair { source, target: ((theirs + worse).min(all), all) })
    }

    /// How soon targets are found that are worse from their first request on, each from another moment of the recording on.
    fn worse(
        &self,
        spec: &MetricSpec,
        regression: Regression,
        at: (usize, Weight),
        random: &mut Random,
    ) -> Option<Detection> {
        let sum = (0..self.grains())
            .filter_map(|index| self.pooled(spec, index))
            .fold((0.0, 0.0), |sum, grain| (sum.0 + grain.0, sum.1 + grain.1));
        // A service that never failed may fail all the same.
        let healthy = (sum.0 + 0.5) / (sum.1 + 1.0);
        let more = healthy * (regression.times_of(healthy) - 1.0) / (1.0 - healthy);
        if sum.1 <= 0.0 || !(0.0..1.0).contains(&more) {
            return None;
        }
        let (step, weight) = at;
        let lasts = time_at(self.policy, step).as_secs_f64();
        let starts = STARTS.min(self.grains());
        let mut times: Vec<f64> = (0..starts)
            .map(|start| self.until_found(spec, start * self.grains() / starts.max(1), at, more, random))
            .collect();
        times.sort_by(f64::total_cmp);
        let median = times.get(times.len() / 2).copied().filter(|seconds| seconds.is_finite());
        Some(Detection {
            metric: spec.name.clone(),
            regression: regression.to_string(),
            weight,
            lasts,
            targets: times.len(),
            found: times.iter().filter(|seconds| **seconds <= lasts).count(),
            median_seconds: median,
        })
    }

    /// Seconds until one target is found; infinite where it never is. The recording is begun again at its end.
    fn until_found(
        &self,
        spec: &MetricSpec,
        start: usize,
        (step, weight): (usize, Weight),
        more: f64,
        random: &mut Random,
    ) -> f64 {
        let grain = self.recording.grain;
        let since = self.recording.from;
        let stage = Stage { step, of: self.policy.steps.len(), since, settled: Some(since) };
        let mut run = Run::new(self.policy, spec, since, grain);
        for passed in 0..PATIENCE {
            let divided = self.divided(spec, (start + passed) % self.grains(), weight, more, random);
            if run.look(self.at(passed + 1), stage, divided).verdict == Verdict::Fail {
                return (passed + 1) as f64 * grain.as_secs_f64();
            }
        }
        f64::INFINITY
    }
}

/// One metric of one migration.
struct Run<'a> {
    policy: &'a ShiftPolicy,
    spec: &'a MetricSpec,
    record: Record,
    anchor: Timestamp,
    totals: SidePair<Counted>,
    window: VecDeque<Option<SidePair<Counted>>>,
    grains: usize,
}

impl<'a> Run<'a> {
    fn new(policy: &'a ShiftPolicy, spec: &'a MetricSpec, anchor: Timestamp, grain: SignedDuration) -> Self {
        let window = policy.analysis.window;
        let grains = (window.as_secs_f64() / grain.as_secs_f64()).round().max(1.0) as usize;
        let totals = SidePair { source: (0.0, 0.0), target: (0.0, 0.0) };
        Self { policy, spec, record: Record::new(spec, window), anchor, totals, window: VecDeque::new(), grains }
    }

    /// One look, as a migration makes it.
    fn look(&mut self, now: Timestamp, stage: Stage, counted: Option<SidePair<Counted>>) -> Finding {
        if let Some(counted) = &counted {
            add(&mut self.totals, counted);
        }
        let SidePair { source, target } = self.totals;
        let reading =
            counted.is_some().then_some(Reading { anchor: self.anchor, source, target, strata: Strata::default() });
        self.window.push_back(counted);
        if self.window.len() > self.grains {
            self.window.pop_front();
        }
        let learnt = self.record.learn(now, stage, reading);
        let mut sum = SidePair { source: (0.0, 0.0), target: (0.0, 0.0) };
        self.window.iter().flatten().for_each(|counted| add(&mut sum, counted));
        let seen = self.window.iter().any(Option::is_some);
        let side = |(bad, total): Counted| match seen {
            true => SideSample::Counts { bad, total },
            false => SideSample::NoData("nothing was recorded".to_owned()),
        };
        let sample = SidePair { source: side(sum.source), target: side(sum.target) };
        slo::judge(self.spec, &sample, Some(&learnt), self.policy.analysis.proof(self.spec))
    }
}

fn add(sum: &mut SidePair<Counted>, more: &SidePair<Counted>) {
    record::add(&mut sum.source, more.source);
    record::add(&mut sum.target, more.target);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{SourceFile, load};

    fn policy() -> ShiftPolicy {
        let file = SourceFile { name: "p".into(), text: include_str!("../../policies/careful.yaml").into() };
        load(&[file]).unwrap().policies.remove(0)
    }

    /// So many grains of a minute of a source alone.
    fn recording(grains: usize, bad: impl Fn(usize) -> f64) -> Recording {
        let grain = |index| Grain { source: Some((bad(index), 6_000.0)), target: None };
        Recording {
            from: Timestamp::UNIX_EPOCH,
            grain: SignedDuration::from_mins(1),
            metrics: [(Name::new("errors").unwrap(), (0..grains).map(grain).collect())].into(),
        }
    }

    #[test]
    fn a_healthy_service_raises_no_alarm_and_worse_ones_are_found() {
        let result = backtest(&policy(), &recording(1_440, |index| 6.0 + (index % 7) as f64), 1);
        assert_eq!(result.alarms, []);
        assert_eq!((result.recorded, result.left_out.len()), (SignedDuration::from_hours(24), 0));
        let tenth = |told: &str| {
            let ten = Weight::percent_saturating(10);
            result.detections.iter().find(|detection| detection.weight == ten && detection.regression == told).unwrap()
        };
        let (double, point) = (tenth("2x"), tenth("+1pp"));
        assert!(point.median_seconds.unwrap() <= 240.0, "{point:?}");
        assert!(double.median_seconds.unwrap() > point.median_seconds.unwrap(), "{double:?}");
        assert_eq!(point.found, point.targets);
    }

    #[test]
    fn a_fault_behind_both_sides_is_no_alarm_with_a_baseline_and_one_without() {
        let storm = recording(300, |index| if (100..160).contains(&index) { 600.0 } else { 6.0 });
        let mut policy = policy();
        // With all traffic on the target there is nobody left to compare with.
        let compared = |policy: &ShiftPolicy| {
            let alarms = backtest(policy, &storm, 1).alarms.into_iter();
            alarms.filter(|alarm| alarm.weight < Weight::FULL).collect::<Vec<_>>()
        };
        assert_eq!(compared(&policy), []);
        policy.analysis.metrics[0].baseline = None;
        let alarms = compared(&policy);
        assert!(!alarms.is_empty() && alarms.iter().all(|alarm| alarm.account.contains("above what is allowed")));
    }

    #[test]
    fn nothing_recorded_is_nothing_found() {
        let mut empty = recording(50, |_| 0.0);
        empty.metrics.values_mut().flatten().for_each(|grain| grain.source = None);
        let result = backtest(&policy(), &empty, 1);
        assert_eq!((result.recorded, result.alarms.len(), result.detections.len()), (SignedDuration::ZERO, 0, 0));
    }
}
