//! Answers to people. PURE.
//!
//! Abort is accepted in every state before commit, also while something waits.

use super::protect::{self, Protection};
use super::{adopt, ask, drill, jobs, later, mirror, rollback, shift};
use crate::migration::command::{Command, Reply, Request};
use crate::migration::snapshot::Snapshot;
use crate::migration::state::{Approved, Cause, CommitStage, Entry, Mark, Phase, Standing, State, Way};
use crate::policy::{Step as PolicyStep, Weight};

/// The state after the snapshot's commands, and an answer to each.
pub(super) fn answer(state: &State, snapshot: &Snapshot) -> (State, Vec<Reply>) {
    let mut state = state.clone();
    let mut replies = Vec::new();
    for command in &snapshot.commands {
        if let Some(given) = state.answers.iter().find(|reply| reply.id == command.id) {
            replies.push(given.clone());
            continue;
        }
        let answer = one(&state, snapshot, command);
        let (accepted, message) = match answer {
            Ok((next, message)) => {
                state = next;
                (true, message)
            }
            Err(message) => (false, message),
        };
        replies.push(Reply { id: command.id.clone(), accepted, message });
    }
    if !replies.is_empty() {
        state.answers = replies.as_slice().into();
    }
    (state, replies)
}

fn one(state: &State, snapshot: &Snapshot, command: &Command) -> Result<(State, String), String> {
    let mark = Mark { by: command.by.clone(), at: command.at };
    match &command.request {
        Request::Pause => pause(state, mark),
        Request::Resume => resume(state, mark),
        Request::Approve => approve(state, snapshot, mark),
        Request::Abort { why } => go_back(state, snapshot, Cause::Requested { by: mark, why: why.clone() }, AT_ONCE),
        Request::Rollback { why } => {
            go_back(state, snapshot, Cause::Requested { by: mark, why: why.clone() }, !AT_ONCE)
        }
        Request::Drill => drill(state, snapshot),
        Request::AdoptPolicy { policy, replaces } => adopt::adopt(state, snapshot, policy, replaces),
        Request::Commit => commit(state, snapshot, mark),
    }
}

fn pause(state: &State, mark: Mark) -> Result<(State, String), String> {
    match &state.phase {
        Phase::Completed { .. } | Phase::RolledBack { .. } => Err(format!("it has ended: {}", state.phase.name())),
        Phase::RollingBack { .. } => Err("a rollback is not paused".into()),
        Phase::Committing { .. } => Err("a commit is not paused".into()),
        _ if state.paused.is_some() => Ok((state.clone(), "it is paused already".into())),
        _ => Ok((State { paused: Some(mark), ..state.clone() }, "paused; what protects keeps running".into())),
    }
}

fn resume(state: &State, mark: Mark) -> Result<(State, String), String> {
    if state.paused.is_some() {
        return Ok((State { paused: None, ..state.clone() }, "goes on".into()));
    }
    match current_step(state) {
        Some(PolicyStep::Pause(_)) => Ok((pass(state, mark), "the pause is over".into())),
        _ => Err("it is not paused".into()),
    }
}

fn approve(state: &State, snapshot: &Snapshot, mark: Mark) -> Result<(State, String), String> {
    if let Some(next) = mirror::let_go(state, snapshot, &mark) {
        return Ok((next, "approved; what is gone from the source is deleted on the target".into()));
    }
    let (next, message) = match (&state.phase, current_step(state)) {
        (Phase::Shifting(shifting), _) if matches!(shifting.standing, Standing::Late(_)) => {
            let phase = shift::standing(shifting, Standing::Moving);
            (State { phase, ..state.clone() }, "approved; the weight is brought back")
        }
        (Phase::Shifting(shifting), Some(PolicyStep::Approval)) if shifting.passed.is_none() => {
            (pass(state, mark.clone()), "approved")
        }
        _ => return Err("no approval is asked for at the moment".into()),
    };
    let approvals = state.approvals.iter().cloned().chain([Approved { weight: weight_of_step(state), mark }]);
    Ok((State { approvals: approvals.collect(), ..next }, message.into()))
}

/// The weight at which the current step stands.
fn weight_of_step(state: &State) -> Weight {
    let Phase::Shifting(shifting) = &state.phase else { return Weight::ZERO };
    state.assignment.policy.weight_at(shifting.step).unwrap_or_default()
}

fn current_step(state: &State) -> Option<PolicyStep> {
    match &state.phase {
        Phase::Shifting(shifting) => state.assignment.policy.steps.get(shifting.step).copied(),
        _ => None,
    }
}

fn pass(state: &State, mark: Mark) -> State {
    let mut state = state.clone();
    if let Phase::Shifting(shifting) = &mut state.phase {
        shifting.passed = Some(mark);
    }
    state
}

/// What tells an abort from a rollback: it waits for nothing, whatever the policy's mode.
const AT_ONCE: bool = true;

fn go_back(state: &State, snapshot: &Snapshot, cause: Cause, at_once: bool) -> Result<(State, String), String> {
    match &state.phase {
        Phase::Completed { .. } | Phase::Committing { .. } => Err("it is committed: there is no way back".into()),
        Phase::RolledBack { .. } => Err("it is back at its origin already".into()),
        Phase::RollingBack { cause, way: Way::Clearing, .. } if at_once => {
            let phase = Phase::RolledBack { cause: cause.clone(), at: snapshot.now };
            Ok((State { phase, ..state.clone() }, "what is left of the mirror stays on the target".into()))
        }
        Phase::RollingBack { origin, cause, since, way } if at_once && *way != Way::Instant => {
            let (origin, cause, since, way) = (origin.clone(), cause.clone(), *since, Way::Instant);
            let phase = Phase::RollingBack { origin, cause, since, way };
            Ok((State { phase, ..state.clone() }, "it goes the rest of the way at once".into()))
        }
        Phase::RollingBack { .. } => Ok((state.clone(), "it is on its way back already".into())),
        _ => {
            let way = if at_once { Way::Instant } else { rollback::way_for(state, &cause) };
            Ok((rollback::begin(state.clone(), cause, way, snapshot.now), "going back to the origin".into()))
        }
    }
}

fn drill(state: &State, snapshot: &Snapshot) -> Result<(State, String), String> {
    let Phase::Shifting(shifting) = &state.phase else {
        return Err(format!("a drill is for a migration between its steps; it is {}", state.phase.name()));
    };
    if matches!(shifting.standing, Standing::Drilling(_) | Standing::Late(_)) {
        return Err("it drills already".into());
    }
    if let Some(mark) = &state.paused {
        return Err(format!("it is paused by {}; resume it first", mark.by));
    }
    let weight = state.highest_weight();
    if weight == Weight::ZERO || state.ledger.values().any(|entry| *entry != Entry::Settled(weight)) {
        return Err("a drill begins where every plane was read back at a weight; ask again then".into());
    }
    if weight > Weight::HALF {
        return Err(format!("at {weight} more than half of the traffic depends on it; a drill is for up to 50%"));
    }
    let phase = drill::fit(state, snapshot, shifting).map_err(|waiting| waiting.to_string())?;
    Ok((State { phase, ..state.clone() }, format!("going to the origin and back to {weight}")))
}

fn commit(state: &State, snapshot: &Snapshot, by: Mark) -> Result<(State, String), String> {
    let Phase::Soaking { origin, since } = &state.phase else {
        return Err(match &state.phase {
            Phase::Completed { .. } | Phase::Committing { .. } => "it is committed already".into(),
            phase => format!("commit comes after all traffic is on the target; it is {}", phase.name()),
        });
    };
    let until = later(*since, state.assignment.policy.soak);
    if snapshot.now < until {
        return Err(format!("it soaks until {until:.0}"));
    }
    if let Some(mark) = &state.paused {
        return Err(format!("it is paused by {}; resume it first", mark.by));
    }
    // There is no way back from here, so what would stop a step stops this too.
    let gates = ask(state, snapshot);
    match protect::judge(state, snapshot, &gates) {
        Protection::Quiet => {}
        Protection::GoBack(cause) => return Err(cause.to_string()),
        Protection::NoWayBack(waiting) => return Err(waiting.to_string()),
    }
    let mirror = shift::fit_to_commit(state, snapshot, origin, &gates).map_err(|waiting| waiting.to_string())?;
    let (origin, since) = (origin.clone(), snapshot.now);
    let objects = mirror.objects.iter().map(|object| object.object.clone()).collect();
    let jobs = jobs::to_hand_over(mirror);
    let phase = Phase::Committing { origin, by, since, objects, jobs, stage: CommitStage::Draining };
    Ok((State { phase, ..state.clone() }, "committed; the source is let go".into()))
}
