//! Back to the origin. PURE.
//!
//! **Order.** All planes at once: nothing shrinks the source before commit, and no step is taken while it is smaller than it
//! began, so no plane has to wait for capacity or for another plane, and every second a plane waits is a second of failing
//! requests. Mirrored objects stay on the target: they carry no traffic, and the next attempt starts from them.
//!
//! **Gradually**, where the policy says so, means by way of the policy's own weights below the present one, highest first, all
//! planes together: weights that every plane was found to represent, and at which the source has served before. `stepped` keeps to
//! a timetable, each weight lasting an equal part of the deadline, whatever became of the one before: a plane that does not answer
//! holds up nobody. `capacityGated` goes as low as the source has ready pods for, which with a whole source is to the origin, at
//! once; without pods, or unseen, it stays. A plane only ever goes down. The last stretch is always the instant way.
//!
//! **At once all the same** when the target has no ready pod left, when a person says abort, and from the deadline on: a cold
//! source fails some requests, a dead target fails all, and a wait that nobody ends is no way back.
//!
//! **Drift** does not hold a rollback: the origin is a recorded setting, and restoring it is what a person would do.
//!
//! **In flight.** A write that was begun may land after a plane was seen at its origin. Such a plane is restored all the same,
//! and counts as back only once that was answered: what it carries out last is what it keeps.
//!
//! **Done** only when every plane was read back at exactly its recorded setting. A rollback that is not done by its deadline
//! goes on, and asks for a person.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::retry::failure;
use super::{Step, capacity, later, mirror, seen};
use crate::migration::action::Action;
use crate::migration::snapshot::{Observed, Snapshot};
use crate::migration::state::{Cause, Entry, Origin, Phase, State, Way};
use crate::migration::waiting::WaitingOn;
use crate::policy::{Name, OnAbort, RollbackMode, Weight};

/// A rollback that has begun.
pub(super) struct Back<'s> {
    pub(super) origin: &'s Arc<Origin>,
    pub(super) cause: &'s Cause,
    pub(super) since: Timestamp,
    pub(super) way: &'s Way,
}

/// The state in which the way back has begun; where nothing was written yet it is also its end.
pub(super) fn begin(state: State, cause: Cause, way: Way, now: Timestamp) -> State {
    let phase = match state.phase.origin().cloned() {
        Some(origin) => Phase::RollingBack { origin, cause, since: now, way },
        None => Phase::RolledBack { cause, at: now },
    };
    State { phase, paused: None, ..state }
}

/// The way back for a cause.
pub(super) fn way_for(state: &State, cause: &Cause) -> Way {
    match cause {
        Cause::TargetLost { .. } => Way::Instant,
        Cause::Requested { .. }
        | Cause::MetricFailed { .. }
        | Cause::MirrorDeadline { .. }
        | Cause::StepDeadline { .. } => way_of_policy(state),
    }
}

/// The way back that the policy asks for, from where the planes are.
fn way_of_policy(state: &State) -> Way {
    let origins = state.phase.origin().into_iter().flat_map(|origin| origin.planes.values());
    let origin = origins.map(|plane| plane.weight).max().unwrap_or_default();
    let policy = &state.assignment.policy;
    let mut weights: Vec<_> = policy.weights().filter(|w| *w < state.highest_weight() && *w > origin).collect();
    weights.reverse();
    match policy.rollback.mode {
        _ if weights.is_empty() => Way::Instant,
        RollbackMode::Instant => Way::Instant,
        RollbackMode::Stepped => Way::Stepped(weights),
        RollbackMode::CapacityGated => Way::CapacityGated(weights),
    }
}

/// One pass on the way back.
pub(super) fn roll_back(state: &State, snapshot: &Snapshot, back: &Back<'_>) -> Step {
    let overdue = snapshot.now > later(back.since, state.assignment.policy.rollback.deadline);
    let by =
        if overdue || target_is_lost(snapshot, back.origin) { Ok(None) } else { next_weight(state, snapshot, back) };
    let step = match by {
        Ok(Some(weight)) => descend(state, snapshot, back.origin, weight),
        Ok(None) => at_once(state, snapshot, back),
        Err(waiting) => Step::hold(state, waiting),
    };
    Step { needs_human: overdue && !step.state.phase.is_terminal(), ..step }
}

fn target_is_lost(snapshot: &Snapshot, origin: &Origin) -> bool {
    snapshot.target.known().is_some_and(|target| capacity::lost(&origin.replicas, target).is_some())
}

/// The weight by way of which it goes now, none where it goes to the origin, or what it waits for where it is.
fn next_weight(state: &State, snapshot: &Snapshot, back: &Back<'_>) -> Result<Option<Weight>, WaitingOn> {
    match back.way {
        Way::Instant | Way::Clearing => Ok(None),
        Way::Stepped(weights) => {
            let (elapsed, deadline) =
                (snapshot.now.duration_since(back.since), state.assignment.policy.rollback.deadline);
            Ok(weights.get(part(elapsed, deadline, weights.len() + 1)).copied())
        }
        Way::CapacityGated(weights) => {
            let source = seen("the source", &snapshot.source)?;
            let carries = |weight| capacity::source_shortage(weight, &back.origin.replicas, source).is_none();
            match std::iter::once(&Weight::ZERO).chain(weights.iter().rev()).find(|weight| carries(**weight)) {
                Some(&Weight::ZERO) => Ok(None),
                Some(weight) => Ok(Some(*weight)),
                None => {
                    let highest = weights.first().copied().unwrap_or_default();
                    capacity::source_shortage(highest, &back.origin.replicas, source).map_or(Ok(None), Err)
                }
            }
        }
    }
}

/// In which of so many equal parts of a whole an elapsed time lies, counted from 0.
fn part(elapsed: SignedDuration, whole: SignedDuration, parts: usize) -> usize {
    let share = elapsed.as_secs_f64() / whole.as_secs_f64() * parts as f64;
    share as usize
}

/// Every plane that shows more goes down to a weight.
fn descend(state: &State, snapshot: &Snapshot, origin: &Origin, weight: Weight) -> Step {
    let mut state = state.clone();
    let (mut actions, mut unreachable) = (Vec::new(), None);
    for (plane, entry) in Arc::make_mut(&mut state.ledger) {
        match snapshot.planes.get(plane) {
            Some(Observed::Known(view)) if view.weight <= weight => continue,
            Some(Observed::Unknown(why)) => {
                unreachable = Some(WaitingOn::PlaneUnreachable { plane: plane.clone(), why: why.clone() });
            }
            Some(Observed::Known(_)) | None => {}
        }
        let from = entry.highest();
        if from <= weight {
            continue;
        }
        *entry = Entry::Moving { from, to: weight };
        let origin = origin.planes.get(plane).map(|origin| origin.setting.clone()).unwrap_or_default();
        actions.push(Action::SetWeight { plane: plane.clone(), from, to: weight, origin });
    }
    let failed = || failure(&state, |action| matches!(action, Action::SetWeight { .. }));
    let planes = state.ledger.keys().cloned().collect();
    let waiting = unreachable.or_else(failed).unwrap_or(WaitingOn::Rollback { planes, via: Some(weight) });
    Step::act(&state, actions, waiting)
}

/// The last stretch, or all of it.
fn at_once(state: &State, snapshot: &Snapshot, back: &Back<'_>) -> Step {
    let Restoring { mut state, actions, away, waiting } = restore(state, snapshot, back.origin);
    if away.is_empty() {
        return at_origin(&state, snapshot, back);
    }
    if let Phase::RollingBack { way, .. } = &mut state.phase {
        *way = Way::Instant;
    }
    Step::act(&state, actions, waiting.unwrap_or(WaitingOn::Rollback { planes: away, via: None }))
}

/// Every plane is at its origin: the end, unless the target is to be cleared.
fn at_origin(state: &State, snapshot: &Snapshot, back: &Back<'_>) -> Step {
    let ended = || Step::enter(state, Phase::RolledBack { cause: back.cause.clone(), at: snapshot.now });
    if !clears(state, back) {
        return ended();
    }
    if *back.way != Way::Clearing {
        let mut phase = state.phase.clone();
        if let Phase::RollingBack { way, .. } = &mut phase {
            *way = Way::Clearing;
        }
        return Step::enter(state, phase);
    }
    // Requests that were under way when the planes went back are answered first, for as long as a rollback may take.
    let overdue = snapshot.now > later(back.since, state.assignment.policy.rollback.deadline);
    let in_flight = snapshot.planes.iter().find_map(|(plane, observed)| {
        let connections = observed.known()?.target.in_flight;
        (connections > 0).then(|| WaitingOn::Drain { plane: plane.clone(), connections })
    });
    match (in_flight.filter(|_| !overdue), mirror::clearing(state, snapshot)) {
        (Some(waiting), _) => Step::hold(state, waiting),
        (None, Some((actions, waiting))) => Step::act(state, actions, waiting),
        (None, None) => ended(),
    }
}

/// Whether what was brought to the target is to be deleted: where the migration says so and a person asked to go back. What a
/// failure leaves behind is what shows why. A target that has traffic in the origin is never cleared.
fn clears(state: &State, back: &Back<'_>) -> bool {
    let asked = matches!(back.cause, Cause::Requested { .. });
    let unused = back.origin.planes.values().all(|plane| plane.weight == Weight::ZERO);
    asked && unused && state.assignment.migration.on_abort == OnAbort::Delete
}

/// What it takes to bring every plane to its origin at once.
pub(super) struct Restoring {
    /// The state, with what was learned of the writes.
    pub(super) state: State,
    /// The actions.
    pub(super) actions: Vec<Action>,
    /// Planes that are not there yet.
    pub(super) away: Vec<Name>,
    /// What is in the way.
    pub(super) waiting: Option<WaitingOn>,
}

/// Restores every plane that was written and is not at its origin.
pub(super) fn restore(state: &State, snapshot: &Snapshot, origin: &Origin) -> Restoring {
    let state = reached(state, snapshot);
    let (mut actions, mut away, mut unreachable) = (Vec::new(), Vec::new(), None);
    for (plane, recorded) in &origin.planes {
        // What was never written is not ours to restore.
        if state.ledger.get(plane) == Some(&Entry::Settled(recorded.weight)) {
            continue;
        }
        match snapshot.planes.get(plane) {
            Some(Observed::Known(view)) if view.setting == recorded.setting && !in_flight(&state, plane) => continue,
            Some(Observed::Unknown(why)) => {
                unreachable = Some(WaitingOn::PlaneUnreachable { plane: plane.clone(), why: why.clone() });
            }
            Some(Observed::Known(_)) | None => {}
        }
        away.push(plane.clone());
        actions.push(Action::RestorePlane { plane: plane.clone(), setting: recorded.setting.clone() });
    }
    let failed = || failure(&state, |action| matches!(action, Action::RestorePlane { .. }));
    let waiting = unreachable.or_else(failed);
    Restoring { state, actions, away, waiting }
}

/// A plane that answered its restoring has nothing in flight any more. Its entry stays what was left there before, which is how a
/// plane that was written is told from one that never was.
fn reached(state: &State, snapshot: &Snapshot) -> State {
    let mut state = state.clone();
    for outcome in snapshot.outcomes.iter().filter(|outcome| outcome.error.is_none()) {
        let Action::RestorePlane { plane, .. } = &outcome.action else { continue };
        if let Some(entry) = Arc::make_mut(&mut state.ledger).get_mut(plane) {
            *entry = Entry::Settled(entry.highest());
        }
    }
    state
}

fn in_flight(state: &State, plane: &Name) -> bool {
    matches!(state.ledger.get(plane), Some(Entry::Moving { .. }))
}
