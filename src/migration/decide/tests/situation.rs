//! Arbitrary states and snapshots, whether or not any road leads there: dice for what is written down and for what is seen.
//!
//! A byte is a throw, and zero is the harmless side of every die, so that what fails shrinks towards a quiet world.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use jiff::{SignedDuration, Timestamp};

use super::world::{assignment, name, percent};
use crate::cluster::{ObjectRef, Replicas};
use crate::migration::command::{Command, Request};
use crate::migration::snapshot::*;
use crate::migration::state::*;
use crate::migration::{Action, Outcome};
use crate::policy::{Assignment, Name, RollbackMode, ShiftPolicy, Step, Weight};

/// Pods of the one workload on the source in the origin.
pub const DEMAND: u32 = 4;

/// Throws of one situation.
pub const THROWS: usize = 80;

/// A state and what is seen in it.
#[derive(Debug, Clone)]
pub struct Situation {
    pub state: State,
    pub snapshot: Snapshot,
}

/// The situation that these throws give.
pub fn situation(throws: &[u8]) -> Situation {
    let mut dice = Dice(throws.iter());
    let state = state(&mut dice);
    let snapshot = snapshot(&mut dice, &state);
    Situation { state, snapshot }
}

static ASSIGNMENT: LazyLock<Assignment> = LazyLock::new(assignment);

struct Dice<'t>(std::slice::Iter<'t, u8>);

impl Dice<'_> {
    fn roll(&mut self, sides: usize) -> usize {
        self.0.next().map_or(0, |throw| usize::from(*throw) % sides)
    }

    fn pick<T: Clone>(&mut self, sides: &[T]) -> T {
        sides[self.roll(sides.len())].clone()
    }

    /// Something unusual, with so many percent.
    fn happens(&mut self, percent: usize) -> bool {
        self.roll(100) >= 100 - percent
    }

    fn weight(&mut self) -> Weight {
        percent(self.pick(&[0, 10, 33, 50, 100]))
    }

    fn ago(&mut self) -> Timestamp {
        now() - SignedDuration::from_secs(self.pick(&[10, 1, 4, 29, 31, 1_000, 1_300, 7_200]))
    }

    fn mark(&mut self) -> Mark {
        Mark { by: "ada".into(), at: self.ago() }
    }
}

/// The moment of every situation.
pub fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24)
}

/// The CronJob that a commit hands over.
pub fn nightly() -> ObjectRef {
    ObjectRef::new("CronJob", "shop", "nightly")
}

pub fn web() -> ObjectRef {
    ObjectRef::new("Deployment", "shop", "web")
}

/// Every kind of step, with weights in between.
fn policy(dice: &mut Dice<'_>, mut policy: ShiftPolicy) -> ShiftPolicy {
    let pause = SignedDuration::from_secs(5);
    policy.steps = vec![
        Step::Approval,
        Step::SetWeight(percent(10)),
        Step::Drill,
        Step::Pause(Some(pause)),
        Step::SetWeight(percent(50)),
        Step::Pause(None),
        Step::Approval,
        Step::SetWeight(percent(100)),
        Step::Approval,
    ];
    policy.rollback.mode = dice.pick(&[RollbackMode::Instant, RollbackMode::Stepped, RollbackMode::CapacityGated]);
    if dice.happens(30) {
        policy.plane_order = vec![name("inner")];
    }
    policy
}

fn state(dice: &mut Dice<'_>) -> State {
    let Assignment { migration, policy: plain } = ASSIGNMENT.clone();
    let policy = policy(dice, plain);
    let planes = ["edge", "inner"].map(|plane| {
        let weight = percent(dice.pick(&[0, 0, 0, 10]));
        (name(plane), PlaneOrigin { weight, setting: weight.basis_points().into() })
    });
    let origin = Arc::new(Origin { at: dice.ago(), planes: planes.into(), replicas: [(web(), DEMAND)].into() });
    let step = (dice.roll(policy.steps.len()) + 1) % policy.steps.len();
    let phase = phase(dice, &policy, &origin, step);
    let usual = match &phase {
        Phase::Shifting(_) | Phase::RollingBack { .. } => policy.weight_at(step),
        Phase::Soaking { .. } | Phase::Committing { .. } => Some(Weight::FULL),
        _ => None,
    };
    let odd = dice.happens(40);
    let entry = |plane: &PlaneOrigin, dice: &mut Dice<'_>| match (odd, dice.roll(3)) {
        (false, _) | (_, 0) => Entry::Settled(usual.unwrap_or(plane.weight)),
        (_, 1) => Entry::Settled(dice.weight()),
        // A plane is never taken below its origin.
        _ => match (dice.weight().max(plane.weight), dice.weight().max(plane.weight)) {
            (from, to) if from != to => Entry::Moving { from, to },
            (weight, _) => Entry::Settled(weight),
        },
    };
    let written = !matches!(phase, Phase::Preparing { .. });
    let planes = origin.planes.iter().filter(|_| written);
    let ledger = planes.map(|(plane, origin)| (plane.clone(), entry(origin, dice)));
    let ledger = Arc::new(ledger.collect());
    let may_pause = !matches!(phase, Phase::Committing { .. } | Phase::RollingBack { .. }) && !phase.is_terminal();
    let mut state = State::new(Assignment { migration, policy }, dice.ago());
    state.paused = (may_pause && dice.happens(15)).then(|| dice.mark());
    state.working = Some(dice.ago()).filter(|_| !dice.happens(20));
    if dice.happens(40) {
        let took = SignedDuration::from_secs(3);
        state.drills.push(Drilled { at: dice.ago(), weight: percent(10), took });
    }
    (state.phase, state.ledger) = (phase, ledger);
    state
}

fn phase(dice: &mut Dice<'_>, policy: &ShiftPolicy, origin: &Arc<Origin>, step: usize) -> Phase {
    let (origin, since) = (origin.clone(), dice.ago());
    match dice.roll(12) {
        0..=5 => {
            let mut shifting = Shifting::at(step, origin, policy, since);
            let sets = policy.steps[step].weight().is_some();
            let usual = if sets { Standing::Settled(dice.ago()) } else { Standing::Proven };
            let odd = [
                Standing::Moving,
                Standing::Settled(dice.ago()),
                Standing::Drilling(dice.ago()),
                Standing::Late(SignedDuration::from_secs(40)),
            ];
            shifting.standing = if dice.happens(50) { dice.pick(&odd) } else { usual };
            shifting.passed = dice.happens(30).then(|| dice.mark());
            Phase::Shifting(shifting)
        }
        6 => Phase::Mirroring { since, origin },
        7 => Phase::Soaking { origin, since },
        8 => {
            let stage = dice.pick(&[
                CommitStage::Draining,
                CommitStage::Scaling,
                CommitStage::HandingOver,
                CommitStage::Releasing,
            ]);
            Phase::Committing {
                origin,
                by: dice.mark(),
                since,
                objects: [web()].into(),
                jobs: [nightly()].into(),
                stage,
            }
        }
        9 => Phase::Preparing { since },
        _ => {
            let cause = Cause::Requested { by: dice.mark(), why: String::new() };
            let weights = vec![percent(50), percent(10)];
            let way = dice.pick(&[Way::Instant, Way::Stepped(weights.clone()), Way::CapacityGated(weights)]);
            Phase::RollingBack { origin, cause, since, way }
        }
    }
}

fn snapshot(dice: &mut Dice<'_>, state: &State) -> Snapshot {
    let seen = |dice: &mut Dice<'_>, value| {
        if dice.happens(10) { Observed::Unknown("away".into()) } else { Observed::Known(value) }
    };
    let pods = |ready: u32, desired: u32| {
        let pods = Replicas { desired, ready, updated: ready, available: ready, current: true };
        BTreeMap::from([(web(), pods)])
    };
    let source = pods(dice.pick(&[4, 4, 4, 3, 2, 1, 0]), dice.pick(&[4, 4, 4, 4, 3]));
    let target = pods(dice.pick(&[4, 4, 4, 4, 2, 1, 0]), 4);
    let objects = vec![MirroredObject { object: web(), in_sync: !dice.happens(15) }];
    let jobs = vec![MirroredJob {
        object: nightly(),
        sleeps_on_source: dice.happens(30),
        sleeps_on_target: !dice.happens(30),
    }];
    let problems = if dice.happens(5) { vec!["refused".to_owned()] } else { Vec::new() };
    Snapshot {
        now: now(),
        commands: commands(dice),
        outcomes: outcomes(dice, state),
        mirror: seen(dice, MirrorView { objects, problems, jobs, ..MirrorView::default() }),
        source: if dice.happens(10) { Observed::Unknown("away".into()) } else { Observed::Known(source) },
        target: if dice.happens(10) { Observed::Unknown("away".into()) } else { Observed::Known(target) },
        planes: planes(dice, state),
        plane_problems: if dice.happens(5) { vec!["too fine".into()] } else { Vec::new() },
        metrics: [(name("errors"), metric(dice))].into(),
        learnt: BTreeMap::new(),
        ages: Default::default(),
        evaluated: None,
        share: share(dice, state),
    }
}

fn planes(dice: &mut Dice<'_>, state: &State) -> BTreeMap<Name, Observed<PlaneView>> {
    let view = |dice: &mut Dice<'_>, usual: Weight| {
        if dice.happens(8) {
            return Observed::Unknown("away".to_owned());
        }
        let weight = if dice.happens(20) { dice.weight() } else { usual };
        let side = |usable| SideView { usable, in_flight: 0, counters: None };
        let (source, target) = (side(dice.pick(&[4, 4, 4, 0])), side(dice.pick(&[4, 4, 4, 4, 0])));
        Observed::Known(PlaneView { weight, setting: weight.basis_points().into(), source, target })
    };
    let names = ["edge", "inner"].map(name);
    let usual = |plane: &Name| state.ledger.get(plane).map_or(Weight::ZERO, |entry| entry.desired());
    names.into_iter().map(|plane| (plane.clone(), view(dice, usual(&plane)))).collect()
}

fn metric(dice: &mut Dice<'_>) -> MetricSample {
    let counts = |bad, total| SideSample::Counts { bad, total };
    let (nothing, error) = (SideSample::NoData("no series".into()), SideSample::Error("refused".into()));
    let good = counts(0.0, 1_000.0);
    let target =
        [&good, &good, &good, &good, &counts(300.0, 1_000.0), &counts(3.0, 60.0), &counts(0.0, 20.0), &nothing, &error];
    let source = [&good, &good, &counts(350.0, 1_000.0), &nothing, &error];
    SidePair { source: dice.pick(&source).clone(), target: dice.pick(&target).clone() }
}

fn share(dice: &mut Dice<'_>, state: &State) -> SidePair<SideSample> {
    let counts = |total| SideSample::Counts { bad: 0.0, total };
    let share = if dice.happens(15) { dice.weight() } else { state.highest_weight() }.fraction();
    let of = |share: f64, dice: &mut Dice<'_>| match dice.roll(12) {
        11 => SideSample::Error("refused".into()),
        10 => counts(3.0),
        _ => counts(share * 1_000.0),
    };
    SidePair { source: of(1.0 - share, dice), target: of(share, dice) }
}

fn commands(dice: &mut Dice<'_>) -> Vec<Command> {
    let why = String::new;
    let all = [
        Request::Approve,
        Request::Pause,
        Request::Resume,
        Request::Commit,
        Request::Drill,
        Request::Abort { why: why() },
        Request::Rollback { why: why() },
    ];
    let count = dice.pick(&[0, 0, 0, 0, 1, 1, 2]);
    let mut ask =
        |id: usize| Command { id: id.to_string(), at: dice.ago(), by: "ada".into(), request: dice.pick(&all) };
    (0..count).map(&mut ask).collect()
}

fn outcomes(dice: &mut Dice<'_>, state: &State) -> Vec<Outcome> {
    let Some(origin) = state.phase.origin().filter(|_| dice.happens(40)) else { return Vec::new() };
    let restored = origin.planes.iter().map(|(plane, origin)| {
        let action = Action::RestorePlane { plane: plane.clone(), setting: origin.setting.clone() };
        Outcome { action, error: dice.happens(40).then(|| "refused".to_owned()) }
    });
    restored.collect()
}
