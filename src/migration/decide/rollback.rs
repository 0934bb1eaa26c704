//! Back to the origin. PURE.
//!
//! **Order.** All planes at once: nothing shrinks the source before commit, and no step is taken while it is smaller than it
//! began, so no plane has to wait for capacity or for another plane, and every second a plane waits is a second of failing
//! requests. Mirrored objects stay on the target: they carry no traffic, and the next attempt starts from them.
//!
//! **Drift** does not hold a rollback: the origin is a recorded setting, and restoring it is what a person would do.
//!
//! **In flight.** A write that was begun may land after a plane was seen at its origin. Such a plane is restored all the same,
//! and counts as back only once that was answered: what it carries out last is what it keeps.
//!
//! **Done** only when every plane was read back at exactly its recorded setting. A rollback that is not done by its deadline
//! goes on, and asks for a person.

use jiff::Timestamp;

use super::retry::failure;
use super::{Step, later};
use crate::migration::action::Action;
use crate::migration::snapshot::{Observed, Snapshot};
use crate::migration::state::{Cause, Entry, Origin, Phase, State};
use crate::migration::waiting::WaitingOn;
use crate::policy::Name;

/// The state in which the way back has begun; where nothing was written yet it is also its end.
pub(super) fn begin(state: State, cause: Cause, now: Timestamp) -> State {
    let phase = match state.phase.origin().cloned() {
        Some(origin) => Phase::RollingBack { origin, cause, since: now },
        None => Phase::RolledBack { cause, at: now },
    };
    State { phase, paused: None, ..state }
}

/// One pass on the way back.
pub(super) fn roll_back(state: &State, snapshot: &Snapshot, origin: &Origin, cause: &Cause, since: Timestamp) -> Step {
    let state = &reached(state, snapshot);
    let mut actions = Vec::new();
    let mut away = Vec::new();
    let mut unreachable = None;
    for (plane, recorded) in &origin.planes {
        // What was never written is not ours to restore.
        if state.ledger.get(plane) == Some(&Entry::Settled(recorded.weight)) {
            continue;
        }
        match snapshot.planes.get(plane) {
            Some(Observed::Known(view)) if view.setting == recorded.setting && !in_flight(state, plane) => continue,
            Some(Observed::Unknown(why)) => {
                unreachable = Some(WaitingOn::PlaneUnreachable { plane: plane.clone(), why: why.clone() });
            }
            Some(Observed::Known(_)) | None => {}
        }
        away.push(plane.clone());
        actions.push(Action::RestorePlane { plane: plane.clone(), setting: recorded.setting.clone() });
    }
    if away.is_empty() {
        return Step::enter(state, Phase::RolledBack { cause: cause.clone(), at: snapshot.now });
    }
    let overdue = snapshot.now > later(since, state.assignment.policy.rollback.deadline);
    let waiting = unreachable
        .or_else(|| failure(state, |action| matches!(action, Action::RestorePlane { .. })))
        .unwrap_or(WaitingOn::Rollback { planes: away });
    Step { needs_human: overdue, ..Step::act(state, actions, waiting) }
}

/// A plane that answered its restoring has nothing in flight any more. Its entry stays what was left there before, which is how a
/// plane that was written is told from one that never was.
fn reached(state: &State, snapshot: &Snapshot) -> State {
    let mut state = state.clone();
    for outcome in snapshot.outcomes.iter().filter(|outcome| outcome.error.is_none()) {
        let Action::RestorePlane { plane, .. } = &outcome.action else { continue };
        if let Some(entry) = state.ledger.get_mut(plane) {
            *entry = Entry::Settled(entry.desired());
        }
    }
    state
}

fn in_flight(state: &State, plane: &Name) -> bool {
    matches!(state.ledger.get(plane), Some(Entry::Moving { .. }))
}
