//! What a controller of the model gets to see, and what it decides, each by a number. PURE.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::node::Letter;
use crate::cluster::{ObjectRef, Replicas};
use crate::migration::snapshot::{MirrorView, MirroredObject, Observed, PlaneView, SidePair, SideSample, SideView};
use crate::migration::{Action, Decision, Outcome, Snapshot, State};
use crate::policy::{Assignment, Weight};

/// Pods of the workload.
const PODS: u32 = 4;
/// Requests in the window: enough evidence for anything.
const REQUESTS: f64 = 10_000.0;
/// How far the clock jumps: past every deadline of a policy.
const JUMP: SignedDuration = SignedDuration::from_hours(24 * 365);

/// Values, each once, by their numbers.
pub(super) struct Interned<T> {
    ids: HashMap<String, usize>,
    values: Vec<T>,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self { ids: HashMap::new(), values: Vec::new() }
    }
}

impl<T> Interned<T> {
    /// The number of the value that has this key.
    pub fn id(&mut self, key: String, value: impl FnOnce() -> T) -> usize {
        let Self { ids, values } = self;
        *ids.entry(key).or_insert_with(|| {
            values.push(value());
            values.len() - 1
        })
    }

    pub fn get(&self, id: usize) -> &T {
        &self.values[id]
    }
}

/// All of a state that can differ within one model.
pub(super) fn key(state: &State) -> String {
    let State { assignment: _, phase, paused, ledger, answers, working, retries, approvals, drills, lasting, letting } =
        state;
    text(&(phase, paused, ledger, answers, working, retries, approvals, drills, lasting, letting))
}

/// All of a decision that is recorded, answered or done.
pub(super) fn decision_key(decision: &Decision) -> String {
    let Decision { state, actions, replies, waiting: _, needs_human: _, gates: _ } = decision;
    text(&(key(state), actions, replies))
}

/// Text that differs where the values do.
fn text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// The time before the clock jumps, and after.
pub(super) fn time(jumps: u8) -> Timestamp {
    Timestamp::UNIX_EPOCH.checked_add(JUMP * i32::from(jumps)).unwrap_or(Timestamp::MAX)
}

/// Actions of a decision that were tried, and a bit for each that was not answered well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Tried {
    pub decision: usize,
    pub done: u8,
    pub failed: u32,
}

/// What can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Sight {
    pub shown: Weight,
    pub drained: bool,
    pub applied: bool,
    pub shrunk: bool,
    pub bad: bool,
    pub jumped: u8,
    pub letter: Option<Letter>,
    pub tried: Option<Tried>,
}

impl Sight {
    /// How the actions of the last pass ended.
    pub fn outcomes(&self, decisions: &Interned<Decision>) -> Vec<Outcome> {
        let Some(Tried { decision, done, failed }) = self.tried else { return Vec::new() };
        let actions: &[Action] = &decisions.get(decision).actions;
        let outcome = |(place, action): (usize, &Action)| {
            let error = (failed >> place & 1 == 1).then(|| "no answer".to_owned());
            Outcome { action: action.clone(), error }
        };
        actions.iter().take(usize::from(done)).enumerate().map(outcome).collect()
    }

    /// The same as a snapshot.
    pub fn snapshot(&self, assignment: &Assignment, outcomes: Vec<Outcome>) -> Snapshot {
        let Self { shown, drained, applied, shrunk, bad, jumped, letter, tried: _ } = *self;
        let now = time(jumped);
        let workload = ObjectRef::new("Deployment", "shop", "checkout");
        let pods = |desired, ready| Replicas { desired, ready, updated: ready, available: ready, current: true };
        let of = |pods| Observed::Known(BTreeMap::from([(workload.clone(), pods)]));
        let (kept, ready) = (if shrunk { 0 } else { PODS }, if applied { PODS } else { 0 });
        let side = |usable, in_flight| SideView { usable, in_flight, counters: None };
        let view = PlaneView {
            weight: shown,
            setting: shown.basis_points().into(),
            source: side(if drained { 0 } else { kept }, 0),
            target: side(ready, 0),
        };
        let counts = |share: f64, bad: f64| {
            let total = REQUESTS * share;
            SideSample::Counts { bad: total * bad, total }
        };
        let target = counts(shown.fraction(), if bad { 0.5 } else { 0.0 });
        let sample = SidePair { source: counts(1.0 - shown.fraction(), 0.0), target };
        let (planes, metrics) = (assignment.migration.planes.iter(), assignment.policy.analysis.metrics.iter());
        let objects = vec![MirroredObject { object: workload.clone(), in_sync: applied }];
        Snapshot {
            now,
            commands: letter.into_iter().map(|letter| letter.command(now)).collect(),
            outcomes,
            mirror: Observed::Known(MirrorView { objects, problems: Vec::new(), ..MirrorView::default() }),
            source: of(pods(kept, kept)),
            target: of(pods(PODS, ready)),
            planes: planes.map(|plane| (plane.name.clone(), Observed::Known(view.clone()))).collect(),
            plane_problems: Vec::new(),
            metrics: metrics.map(|metric| (metric.name.clone(), sample.clone())).collect(),
            learnt: Default::default(),
            ages: Default::default(),
            evaluated: None,
            share: sample,
        }
    }
}
