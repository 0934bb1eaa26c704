//! A policy's gates over traffic that was recorded. PURE.
//!
//! What was recorded are the requests of both clusters, grain by grain; mostly all of them the source's, because nobody has migrated yet. So
//! a target is made of them: it is given its weight's part of each grain's requests, and of the bad ones each with that chance, which is what
//! a balancer does. It is healthy by construction, so whatever its gates find is a false alarm; and it can be made worse, to see how
//! long that takes to be found. Bursts, nights and the mix of a real service are in the recording. The very gates and records that drive a
//! migration are asked, once in each grain.
//!
//! A number with a range cannot be divided: a target that is as good has the source's own, and a share of the requests behind it where
//! those are known. So what few requests make of a quantile is not in it, and what is worse is that number made so many times worse.
//!
//! Requests that a metric tells apart are divided stratum by stratum. Where both sides were recorded, each is given that part of
//! a stratum which its mix comes to at the weight; else they are dealt out evenly. A target that is worse is so in every stratum
//! by the same part.
//!
//! **Not replayed:** what planes and probes count, steps that wait for people, and gates other than the metrics'.

mod recording;

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

pub use self::recording::{Grain, Number, Recording};
use self::recording::{Mixes, mixes, plus, pooled, share_of};
use super::forecast::time_at;
use super::lasting::Since;
use super::random::Random;
use super::record::{self, Learnt, Reading, Record, Stage};
use super::statistics::Counted;
use super::strata::{self, Strata};
use crate::gate::{self, Finding, Known, Verdict};
use crate::migration::snapshot::{MetricSample, SidePair, SideSample};
use crate::policy::metric::{Range, ValueKind};
use crate::policy::{MetricSource, MetricSpec, Name, Regression, ShiftPolicy, Weight};

/// Times the recording is replayed, each time divided anew.
const ROUNDS: u64 = 20;
/// Moments of the recording at which a target turns bad.
const STARTS: usize = 40;
/// Longest time a bad target is watched, in grains: beyond it nobody would say it was found.
const PATIENCE: usize = 2_000;

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
    let replayed: Vec<_> = policy.analysis.metrics.iter().filter(|spec| recording.has(&spec.name)).collect();
    let is_left_out = |spec: &&MetricSpec| !recording.has(&spec.name);
    let left_out = policy.analysis.metrics.iter().filter(is_left_out).map(|spec| spec.name.clone()).collect();
    let mixes = replayed.iter().map(|spec| (&spec.name, mixes(recording, &spec.name))).collect();
    let replay = Replay { policy, recording, specs: replayed, mixes };
    let recorded = recording.grain.saturating_mul(i32::try_from(replay.counted()).unwrap_or(i32::MAX));
    let (mut alarms, mut migrations) = (Vec::new(), 0);
    for round in 0..ROUNDS {
        migrations += replay.healthy(&mut Random::new(seed.wrapping_add(round)), &mut alarms);
    }
    let weeks = ROUNDS as f64 * recorded.as_secs_f64() / (7.0 * 86_400.0);
    let mut detections = Vec::new();
    for spec in &replay.specs {
        for (told, harm) in replay.harms(spec) {
            for at in replay.weights() {
                detections.push(replay.worse(spec, (&told, harm), at, &mut Random::new(seed)));
            }
        }
    }
    let alarms_per_week = if weeks > 0.0 { alarms.len() as f64 / weeks } else { 0.0 };
    Backtest { recorded, rounds: ROUNDS, migrations, alarms, alarms_per_week, detections, left_out }
}

/// What is the matter with a target.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Harm {
    /// Nothing.
    None,
    /// So great a part of its good requests is bad.
    More(f64),
    /// Its number is so many times as far towards the end of its range.
    Times(f64),
    /// One alert more fires.
    Fires,
}

/// Bad and all requests of both sides.
#[derive(Debug, Clone, PartialEq)]
struct Counts {
    all: SidePair<Counted>,
    strata: Strata,
}

impl Counts {
    fn add(&mut self, more: &Self) {
        add(&mut self.all, &more.all);
        self.strata = self.strata.with(&more.strata, plus);
    }

    fn nothing() -> Self {
        Self { all: strata::NOTHING, strata: Strata::default() }
    }

    fn since(&self, anchor: Timestamp) -> Reading {
        let SidePair { source, target } = self.all;
        Reading { anchor, source, target, strata: self.strata.clone() }
    }
}

/// What one look sees of a metric.
enum Seen {
    Counted(Option<Counts>),
    Number(MetricSample),
}

struct Replay<'a> {
    policy: &'a ShiftPolicy,
    recording: &'a Recording,
    specs: Vec<&'a MetricSpec>,
    mixes: BTreeMap<&'a Name, Mixes<'a>>,
}

impl Replay<'_> {
    /// Grains in which anything was counted.
    fn counted(&self) -> usize {
        let any = |index: &usize| {
            let has = |spec: &&MetricSpec| {
                self.recording.pooled(&spec.name, *index).is_some()
                    || self.recording.number(&spec.name, *index).is_some()
            };
            self.specs.iter().any(has)
        };
        (0..self.recording.grains()).filter(any).count()
    }

    /// What targets are made worse by, in words and as it is done: errors of two sizes, of slow requests also a fifth more, and numbers that
    /// rise as much. Nothing where nothing was counted, and what would be worse than everything.
    fn harms(&self, spec: &MetricSpec) -> Vec<(String, Harm)> {
        let times = [1.2, 2.0].map(Regression::Times);
        if let MetricSource::Value(value) = &spec.source {
            return match value.kind {
                ValueKind::Alerts => vec![("fires".to_owned(), Harm::Fires)],
                ValueKind::Value | ValueKind::Quantile => {
                    times.into_iter().map(|times| (times.to_string(), Harm::Times(times.times_of(1.0)))).collect()
                }
            };
        }
        let mut sum = (0.0, 0.0);
        let pooled = (0..self.recording.grains()).filter_map(|index| self.recording.pooled(&spec.name, index));
        pooled.for_each(|grain| record::add(&mut sum, grain));
        // A service that never failed may fail all the same.
        let healthy = (sum.0 + 0.5) / (sum.1 + 1.0);
        let slow = matches!(spec.source, MetricSource::SlowRate { .. });
        let regressions = times.into_iter().skip(usize::from(!slow)).chain([Regression::Points(0.01)]);
        let harms = regressions.map(|regression| {
            (regression.to_string(), healthy * (regression.times_of(healthy) - 1.0) / (1.0 - healthy))
        });
        let possible = harms.filter(|(_, more)| sum.1 > 0.0 && (0.0..1.0).contains(more));
        possible.map(|(told, more)| (told, Harm::More(more))).collect()
    }

    fn weights(&self) -> Vec<(usize, Weight)> {
        let steps = self.policy.steps.iter().enumerate();
        steps.filter_map(|(index, step)| Some((index, step.weight()?))).collect()
    }

    fn at(&self, index: usize) -> Timestamp {
        let passed = self.recording.grain.saturating_mul(i32::try_from(index).unwrap_or(i32::MAX));
        self.recording.from.checked_add(passed).unwrap_or(Timestamp::MAX)
    }

    /// Migrations one after the other, each until its policy ends or its target goes back; how many there were.
    fn healthy(&self, random: &mut Random, alarms: &mut Vec<Alarm>) -> usize {
        let (mut index, mut migrations) = (0, 0);
        while index < self.recording.grains() {
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
            while index < self.recording.grains() && self.at(index).duration_since(since) < lasts {
                let now = self.at(index + 1);
                let findings: Vec<Finding> = runs
                    .iter_mut()
                    .map(|run| run.look(now, stage, self.seen(run.spec, index, weight, Harm::None, random)))
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

    /// What a migration would have seen of a metric in a grain.
    fn seen(&self, spec: &MetricSpec, index: usize, weight: Weight, harm: Harm, random: &mut Random) -> Seen {
        match &spec.source {
            MetricSource::Value(value) => {
                let number = self.recording.number(&spec.name, index);
                let side = |share: f64, harm: Harm| match number {
                    None => SideSample::NoData(NOTHING.to_owned()),
                    Some(Number { count: Some(_), .. }) if share == 0.0 => SideSample::NoData("no series".to_owned()),
                    Some(Number { value: known, count }) => SideSample::Value {
                        value: harmed(value.range, known, harm),
                        count: count.map(|count| count * share),
                    },
                };
                let share = weight.fraction();
                Seen::Number(SidePair { source: side(1.0 - share, Harm::None), target: side(share, harm) })
            }
            _ => Seen::Counted(self.divided(spec, index, weight, harm, random)),
        }
    }

    /// A grain divided between the sides, with so many more of the target's good requests made bad.
    fn divided(
        &self,
        spec: &MetricSpec,
        index: usize,
        weight: Weight,
        harm: Harm,
        random: &mut Random,
    ) -> Option<Counts> {
        let more = if let Harm::More(more) = harm { more } else { 0.0 };
        let mixes = self.mixes.get(&spec.name);
        let (mut whole, mut sources, mut targets) = (None, BTreeMap::new(), BTreeMap::new());
        for (stratum, grains) in self.recording.kinds(&spec.name) {
            let Some((bad, total)) = grains.get(index).and_then(pooled) else { continue };
            let share = share_of(stratum.and_then(|stratum| mixes?.get(stratum)), weight);
            let (all, theirs) = (total * share, random.part(bad, share));
            let worse = random.part((all - theirs).max(0.0), more);
            let (source, target) = ((bad - theirs, total - all), ((theirs + worse).min(all), all));
            add(whole.get_or_insert(strata::NOTHING), &SidePair { source, target });
            if let Some(stratum) = stratum {
                sources.insert(stratum.to_owned(), source);
                targets.insert(stratum.to_owned(), target);
            }
        }
        Some(Counts { all: whole?, strata: Strata::of(sources, targets) })
    }

    /// How soon targets are found that are worse from their first request on, each from another moment of the recording on.
    fn worse(
        &self,
        spec: &MetricSpec,
        (told, harm): (&str, Harm),
        at: (usize, Weight),
        random: &mut Random,
    ) -> Detection {
        let (step, weight) = at;
        let lasts = time_at(self.policy, step).as_secs_f64();
        let grains = self.recording.grains();
        let starts = STARTS.min(grains);
        let mut times: Vec<f64> =
            (0..starts).map(|start| self.until_found(spec, start * grains / starts.max(1), at, harm, random)).collect();
        times.sort_by(f64::total_cmp);
        let median = times.get(times.len() / 2).copied().filter(|seconds| seconds.is_finite());
        Detection {
            metric: spec.name.clone(),
            regression: told.to_owned(),
            weight,
            lasts,
            targets: times.len(),
            found: times.iter().filter(|seconds| **seconds <= lasts).count(),
            median_seconds: median,
        }
    }

    /// Seconds until one target is found; infinite where it never is. The recording is begun again at its end.
    fn until_found(
        &self,
        spec: &MetricSpec,
        start: usize,
        (step, weight): (usize, Weight),
        harm: Harm,
        random: &mut Random,
    ) -> f64 {
        let grain = self.recording.grain;
        let since = self.recording.from;
        let stage = Stage { step, of: self.policy.steps.len(), since, settled: Some(since) };
        let mut run = Run::new(self.policy, spec, since, grain);
        for passed in 0..PATIENCE {
            let seen = self.seen(spec, (start + passed) % self.recording.grains(), weight, harm, random);
            if run.look(self.at(passed + 1), stage, seen).verdict == Verdict::Fail {
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
    totals: Counts,
    window: VecDeque<Option<Counts>>,
    grains: usize,
    since: Since,
}

impl<'a> Run<'a> {
    fn new(policy: &'a ShiftPolicy, spec: &'a MetricSpec, anchor: Timestamp, grain: SignedDuration) -> Self {
        let window = policy.analysis.window;
        let grains = (window.as_secs_f64() / grain.as_secs_f64()).round().max(1.0) as usize;
        Self {
            policy,
            spec,
            record: Record::new(spec, window),
            anchor,
            totals: Counts::nothing(),
            window: VecDeque::new(),
            grains,
            since: Since::default(),
        }
    }

    /// One look, as a migration makes it.
    fn look(&mut self, now: Timestamp, stage: Stage, seen: Seen) -> Finding {
        let (sample, learnt) = match seen {
            Seen::Number(sample) => (sample, None),
            Seen::Counted(counted) => {
                let (sample, learnt) = self.count(now, stage, counted);
                (sample, Some(learnt))
            }
        };
        let analysis = &self.policy.analysis;
        self.since = gate::follow(self.since, self.spec, &sample, now, analysis.window);
        let (lasting, proof) = (self.since.lasting(now), analysis.proof(self.spec));
        gate::judge(self.spec, &sample, Known { learnt: learnt.as_ref(), lasting, proof })
    }

    /// Takes in what was counted; what the window has, and what was learnt.
    fn count(&mut self, now: Timestamp, stage: Stage, counted: Option<Counts>) -> (MetricSample, Learnt) {
        if let Some(counted) = &counted {
            self.totals.add(counted);
        }
        let reading = counted.is_some().then(|| self.totals.since(self.anchor));
        self.window.push_back(counted);
        if self.window.len() > self.grains {
            self.window.pop_front();
        }
        let mut sum = Counts::nothing();
        self.window.iter().flatten().for_each(|counted| sum.add(counted));
        let seen = self.window.iter().any(Option::is_some);
        let side = |(bad, total): Counted| match seen {
            true => SideSample::Counts { bad, total },
            false => SideSample::NoData(NOTHING.to_owned()),
        };
        let sample = SidePair { source: side(sum.all.source), target: side(sum.all.target) };
        let since = now.checked_sub(self.policy.analysis.window).unwrap_or(Timestamp::MIN);
        let recent = seen.then(|| sum.since(since));
        (sample, self.record.look(now, stage, reading, recent.as_ref()))
    }
}

/// Said where nothing was recorded.
const NOTHING: &str = "nothing was recorded";

/// A number of a target that this is the matter with: farther towards the end of its range.
fn harmed(range: Range, value: f64, harm: Harm) -> f64 {
    match harm {
        Harm::None | Harm::More(_) => value,
        Harm::Times(times) if range.max.is_some() => value * times,
        Harm::Times(times) => value / times,
        Harm::Fires => value + 1.0,
    }
}

fn add(sum: &mut SidePair<Counted>, more: &SidePair<Counted>) {
    record::add(&mut sum.source, more.source);
    record::add(&mut sum.target, more.target);
}

#[cfg(test)]
mod tests;
