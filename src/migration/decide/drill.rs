//! A rehearsed rollback. PURE.
//!
//! From the weight of a step every plane goes to its origin by the very actions of a rollback that goes at once
//! ([`super::rollback::restore`]), is read back there, and the time that took is recorded. Then the step's weight is brought back
//! and proven anew, as any weight is, before the step goes on. It is what shows, while little depends on it, that the way back
//! works and how long it takes.
//!
//! **When.** At a weight above 0 and up to 50 %, with every plane read back at it, the windows open and nobody pausing; on a source
//! with ready pods for all of its traffic, since a rehearsal must not become the emergency.
//!
//! **Late.** One that is not home by `rollback.deadline` goes on, and asks for a person meanwhile. One that came home late is a
//! finding: the planes stay at their origin until a person approves, since a way back that is too slow for the policy is none. The
//! time runs by the clock, whoever drives: a rollback during which the process is away takes that long too.
//!
//! **Abort** and evidence of a bad target turn it into a rollback: it is half way there. What failed in the window before counts
//! also at the origin; the weight is not brought back to a target that was failing.
//!
//! **Pause** does not stop the way home, half way being a state nobody decided on; the weight comes back after a resume.
//!
//! **Drift** holds: somebody who changes a plane meanwhile did not do it for a rehearsal.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::rollback::{Restoring, restore};
use super::shift::{no_drift, standing};
use super::{Step, capacity, later, open, seen};
use crate::migration::snapshot::{Observed, Snapshot};
use crate::migration::state::{Drilled, Entry, Phase, Shifting, Standing, State};
use crate::migration::waiting::WaitingOn;
use crate::policy::Weight;

/// The first pass of a drill, or what keeps it from beginning.
pub(super) fn begin(state: &State, snapshot: &Snapshot, shifting: &Shifting) -> Result<Step, WaitingOn> {
    if state.paused.is_some() {
        return Err(super::start::paused(state));
    }
    let phase = fit(state, snapshot, shifting)?;
    Ok(go_home(&State { phase: phase.clone(), ..state.clone() }, snapshot, shifting, snapshot.now))
}

/// The phase in which the drill has begun, or what keeps it from beginning.
pub(super) fn fit(state: &State, snapshot: &Snapshot, shifting: &Shifting) -> Result<Phase, WaitingOn> {
    open(state, snapshot)?;
    no_drift(state, snapshot)?;
    let source = seen("the source", &snapshot.source)?;
    match capacity::source_shortage(Weight::ZERO, &shifting.origin.replicas, source) {
        Some(waiting) => Err(waiting),
        None => Ok(standing(shifting, Standing::Drilling(snapshot.now))),
    }
}

/// One pass on the way to the origin.
pub(super) fn go_home(state: &State, snapshot: &Snapshot, shifting: &Shifting, since: Timestamp) -> Step {
    if let Some(drift) = drift(state, snapshot, shifting) {
        return Step { needs_human: true, ..Step::hold(state, drift) };
    }
    let Restoring { state, actions, away, waiting } = restore(state, snapshot, &shifting.origin);
    let deadline = state.assignment.policy.rollback.deadline;
    if away.is_empty() {
        return home(state, snapshot, shifting, since, deadline);
    }
    let needs_human = snapshot.now > later(since, deadline);
    let waiting = waiting.unwrap_or(WaitingOn::Drill { planes: away });
    Step { needs_human, ..Step::act(&state, actions, waiting) }
}

fn home(
    mut state: State,
    snapshot: &Snapshot,
    shifting: &Shifting,
    since: Timestamp,
    deadline: SignedDuration,
) -> Step {
    let (weight, took) = (state.highest_weight(), snapshot.now.duration_since(since));
    let home = shifting.origin.planes.iter().map(|(plane, recorded)| (plane.clone(), Entry::Settled(recorded.weight)));
    Arc::make_mut(&mut state.ledger).extend(home);
    state.drills.push(Drilled { at: since, weight, took });
    let late = took > deadline;
    state.phase = standing(shifting, if late { Standing::Late(took) } else { Standing::Moving });
    if late { self::late(&state, took) } else { Step::with(state) }
}

/// Everything is at its origin and stays there until a person says what to make of it.
pub(super) fn late(state: &State, took: SignedDuration) -> Step {
    let waiting = WaitingOn::DrillLate { took, deadline: state.assignment.policy.rollback.deadline };
    Step { needs_human: true, ..Step::hold(state, waiting) }
}

/// A plane that shows neither the weight, nor its origin, nor anything between.
fn drift(state: &State, snapshot: &Snapshot, shifting: &Shifting) -> Option<WaitingOn> {
    shifting.origin.planes.iter().find_map(|(plane, recorded)| {
        let observed = snapshot.planes.get(plane).and_then(Observed::known)?.weight;
        let before = state.ledger.get(plane)?.highest();
        let drift = WaitingOn::Drift { plane: plane.clone(), expected: recorded.weight, observed };
        (!observed.is_between(before, recorded.weight)).then_some(drift)
    })
}
