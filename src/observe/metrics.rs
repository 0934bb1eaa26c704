//! The numbers by which a target is judged: asked of Prometheus, of the planes and of both sides themselves, and remembered as far
//! as they prove something.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::counters::History;
use super::probe::{Answered, Probes};
use crate::analysis::ages::Ages;
use crate::analysis::prometheus::Prometheus;
use crate::analysis::questions::{AllLearnt, Answers, EVALUATED, Questions, evaluated};
use crate::analysis::record::{Reach, Record, Stage};
use crate::migration::State;
use crate::migration::snapshot::{MetricSample, Observed, PlaneView, SidePair, SideSample};
use crate::policy::{MetricSource, Name};

/// Who is asked for numbers, and what is remembered of the answers.
pub(super) struct Metrics {
    prometheus: Option<Prometheus>,
    ages: Ages,
    history: History,
    reach: Reach,
    records: BTreeMap<Name, Record>,
    probes: Probes,
}

/// What one look came to.
pub(super) struct Numbers {
    pub metrics: BTreeMap<Name, MetricSample>,
    pub share: SidePair<SideSample>,
    pub learnt: AllLearnt,
    pub ages: BTreeMap<Name, SidePair<Option<f64>>>,
    pub evaluated: Option<Timestamp>,
}

/// The answers of one look, and since when the longer ones count.
#[derive(Default)]
pub(super) struct Asked {
    answers: Answers,
    anchor: Option<Timestamp>,
    probed: Answered,
}

impl Metrics {
    pub(super) fn new(prometheus: Option<Prometheus>) -> Self {
        Self {
            prometheus,
            ages: Ages::default(),
            history: History::default(),
            reach: Reach::default(),
            records: BTreeMap::new(),
            probes: Probes::default(),
        }
    }

    /// Asks Prometheus every question of the policy, each once, and both sides whatever its probes ask.
    pub(super) async fn ask(&mut self, state: &State, now: Timestamp, patience: Duration) -> Asked {
        let short = Questions::of(&state.assignment);
        self.ages.follow(&state.assignment.policy.analysis);
        let stage = Stage::of(state).filter(|_| self.prometheus.is_some());
        let anchor = stage.map(|stage| self.reach.anchor(now, stage, short.window));
        let mut queries: BTreeSet<String> = short.of_metrics();
        queries.extend(short.of_share());
        queries.extend(self.ages.asked(&short));
        queries.insert(EVALUATED.to_owned());
        if let Some(anchor) = anchor {
            queries.extend(Questions { window: now.duration_since(anchor), ..short }.of_counts());
        }
        let prometheus = self.prometheus.clone();
        let asked = async {
            match prometheus {
                Some(prometheus) => prometheus.numbers(queries, patience).await,
                None => Answers::new(),
            }
        };
        let (answers, probed) = tokio::join!(asked, self.probes.ask(&state.assignment));
        Asked { answers, anchor, probed }
    }

    /// What the answers and the planes' own counters say.
    pub(super) fn read(
        &mut self,
        state: &State,
        now: Timestamp,
        planes: &BTreeMap<Name, Observed<PlaneView>>,
        asked: &Asked,
    ) -> Numbers {
        let analysis = &state.assignment.policy.analysis;
        self.history.add(now, planes, analysis.window);
        self.probes.note(now, analysis.window, &asked.probed);
        let questions = Questions::of(&state.assignment);
        let metrics = analysis.metrics.iter().map(|spec| {
            let sample = match &spec.source {
                MetricSource::PlaneErrors { plane } => Some(self.history.of(plane)),
                MetricSource::Probe(_) => Some(self.probes.of(&spec.name)),
                source => questions.sample(source, &asked.answers),
            };
            (spec.name.clone(), sample.unwrap_or_else(|| self.history.of_all()))
        });
        let metrics: BTreeMap<_, _> = metrics.collect();
        let ages = analysis.metrics.iter();
        let ages = ages
            .filter_map(|spec| Some((spec.name.clone(), self.ages.told(&questions, &spec.source, &asked.answers)?)));
        let ages = ages.collect();
        let share = questions.share(&asked.answers).unwrap_or_else(|| self.history.of_all());
        let learnt = self.learn(state, now, asked, &metrics);
        Numbers { metrics, share, learnt, ages, evaluated: evaluated(&asked.answers) }
    }

    /// Takes in what was counted since the last look; nothing is remembered of times without a step.
    fn learn(
        &mut self,
        state: &State,
        now: Timestamp,
        asked: &Asked,
        metrics: &BTreeMap<Name, MetricSample>,
    ) -> AllLearnt {
        let Some(stage) = Stage::of(state) else {
            self.records.clear();
            self.reach = Reach::default();
            return AllLearnt::new();
        };
        let analysis = &state.assignment.policy.analysis;
        let learnt = analysis.metrics.iter().map(|spec| {
            let counted = match &spec.source {
                MetricSource::PlaneErrors { plane } => self.history.since_start(plane),
                MetricSource::Probe(_) => self.probes.since_start(&spec.name),
                source => asked.anchor.and_then(|anchor| {
                    let window = now.duration_since(anchor);
                    let questions = Questions { assignment: &state.assignment, window };
                    questions.reading(anchor, source, &asked.answers)
                }),
            };
            if spec.source.queries().is_some() && counted.is_some() {
                self.reach.read(now);
            }
            let fresh = || Record::new(spec, analysis.window);
            let record = self.records.entry(spec.name.clone()).or_insert_with(fresh);
            if !record.is_about(spec, analysis.window) {
                *record = fresh();
            }
            let begun = now.checked_sub(analysis.window).unwrap_or(Timestamp::MIN);
            let recent = metrics.get(&spec.name).and_then(|sample| {
                Questions::of(&state.assignment).reading_of(sample, begun, &spec.source, &asked.answers)
            });
            (spec.name.clone(), record.look(now, stage, counted, recent.as_ref()))
        });
        learnt.collect()
    }
}
