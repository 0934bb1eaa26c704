//! No phase and no step waits for ever without somebody hearing of it. PURE.
//!
//! The clock keeps every deadline, whatever is waited for and whether or not anything can be seen. It runs while a migration is at
//! work, not while it waits for a person or for a time that the policy names: a weekend's freeze makes nothing late.
//!
//! | phase | deadline | then |
//! |---|---|---|
//! | Preparing | `stepDeadline` | asks for a person; nothing was written, so there is nothing to go back from |
//! | Mirroring | `mirrorDeadline` | goes back; no request was moved, so it costs nothing and gives the target's pods no false calm |
//! | Shifting | `stepDeadline` | half moved: goes back, all planes together. Else: asks for a person |
//! | in a drill | `rollback.deadline` | asks for a person and goes on; see [`super::drill`] |
//! | Soaking | `stepDeadline` | asks for a person: the target serves well, or protection would have gone back |
//! | Committing | `stepDeadline` | asks for a person: there is no way back |
//! | RollingBack | `rollback.deadline` | asks for a person and goes on; see [`super::rollback`] |
//!
//! **Why a step that is late holds.** What it lacks is evidence, and missing evidence never goes back. Its planes stand at a weight
//! that was decided on, under a protection that goes on looking.
//!
//! **Why a step that is half done goes back.** One plane could not be moved while another was. That is a state nobody decided on and
//! nothing can judge, and the plane that could not be written for so long would not obey in an emergency either. It goes back only
//! for a plane's own sake: a cluster that cannot be seen, or drift, moves nothing.

use super::{Step, later};
use crate::migration::snapshot::Snapshot;
use crate::migration::state::{Cause, Entry, Phase, Retry, Shifting, Standing, State};
use crate::migration::waiting::{Sort, WaitingOn};

/// The step of this pass with its clock set, and what is overdue named; `Err` where it goes back instead.
pub(super) fn keep(before: &State, mut step: Step, snapshot: &Snapshot) -> Result<Step, Cause> {
    let policy = &step.state.assignment.policy;
    let limit = match &step.state.phase {
        // They keep a deadline of their own.
        Phase::RollingBack { .. } | Phase::Shifting(Shifting { standing: Standing::Drilling(_), .. }) => None,
        Phase::Completed { .. } | Phase::RolledBack { .. } => None,
        Phase::Mirroring { .. } => Some(policy.mirror_deadline),
        Phase::Preparing { .. } | Phase::Shifting(_) | Phase::Soaking { .. } | Phase::Committing { .. } => {
            Some(policy.step_deadline)
        }
    };
    let Some(limit) = limit else {
        step.state.working = None;
        return Ok(step);
    };
    let patient = step.waiting.as_ref().is_some_and(|waiting| waiting.sort() == Sort::Patient);
    let began = before.working.filter(|_| place(&before.phase) == place(&step.state.phase)).unwrap_or(snapshot.now);
    step.state.working = (!patient).then_some(began);
    let deadline = later(began, limit);
    let Some(waiting) = step.waiting.take_if(|_| !patient && !step.needs_human && snapshot.now > deadline) else {
        return Ok(step);
    };
    match &step.state.phase {
        Phase::Mirroring { .. } => Err(Cause::MirrorDeadline { waiting: waiting.to_string() }),
        Phase::Shifting(_) if is_half_done(&step.state) && is_about_a_plane(&waiting, &step.state) => {
            Err(Cause::StepDeadline { waiting: waiting.to_string() })
        }
        _ => {
            let waiting = Some(WaitingOn::Overdue { deadline, waiting: Box::new(waiting) });
            Ok(Step { waiting, needs_human: true, ..step })
        }
    }
}

/// Where a clock of its own runs.
fn place(phase: &Phase) -> (&'static str, Option<usize>) {
    let step = match phase {
        Phase::Shifting(shifting) => Some(shifting.step),
        _ => None,
    };
    (phase.name(), step)
}

/// Whether one plane has reached the step's weight and another has not.
fn is_half_done(state: &State) -> bool {
    let reached = Entry::Settled(state.highest_weight());
    let there = state.ledger.values().filter(|entry| **entry == reached).count();
    there > 0 && there < state.ledger.len()
}

/// Whether it waits for a plane that cannot be seen, does not follow, or refuses what is written.
fn is_about_a_plane(waiting: &WaitingOn, state: &State) -> bool {
    let refuses = |retry: &Retry| retry.action.plane().is_some();
    match waiting.sort() {
        Sort::Plane => true,
        Sort::Other => matches!(waiting, WaitingOn::ActionFailed { .. }) && state.retries.iter().any(refuses),
        Sort::Patient => false,
    }
}
