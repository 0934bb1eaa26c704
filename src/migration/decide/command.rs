//! Answers to people. PURE.
//!
//! Abort is accepted in every state before commit, also while something waits.

use super::protect::{self, Protection};
use super::{ask, later, rollback, shift};
use crate::migration::command::{Command, Reply, Request};
use crate::migration::snapshot::Snapshot;
use crate::migration::state::{Cause, CommitStage, Mark, Phase, State};
use crate::policy::Step as PolicyStep;

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
        state.answers.clone_from(&replies);
    }
    (state, replies)
}

fn one(state: &State, snapshot: &Snapshot, command: &Command) -> Result<(State, String), String> {
    let mark = Mark { by: command.by.clone(), at: command.at };
    match &command.request {
        Request::Pause => pause(state, mark),
        Request::Resume => resume(state, mark),
        Request::Approve => approve(state, mark),
        Request::Abort { why } => abort(state, snapshot, mark, why),
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

fn approve(state: &State, mark: Mark) -> Result<(State, String), String> {
    match current_step(state) {
        Some(PolicyStep::Approval) => Ok((pass(state, mark), "approved".into())),
        _ => Err("no approval is asked for at the moment".into()),
    }
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

fn abort(state: &State, snapshot: &Snapshot, by: Mark, why: &str) -> Result<(State, String), String> {
    match &state.phase {
        Phase::Completed { .. } | Phase::Committing { .. } => Err("it is committed: there is no way back".into()),
        Phase::RolledBack { .. } => Err("it is back at its origin already".into()),
        Phase::RollingBack { .. } => Ok((state.clone(), "it is on its way back already".into())),
        _ => {
            let cause = Cause::Requested { by, why: why.to_owned() };
            Ok((rollback::begin(state.clone(), cause, snapshot.now), "going back to the origin".into()))
        }
    }
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
    match protect::judge(state, snapshot, &ask(state, snapshot)) {
        Protection::Quiet => {}
        Protection::GoBack(cause) => return Err(cause.to_string()),
        Protection::NoWayBack(waiting) => return Err(waiting.to_string()),
    }
    let objects = shift::fit_to_commit(state, snapshot, origin).map_err(|waiting| waiting.to_string())?;
    let (origin, since) = (origin.clone(), snapshot.now);
    let phase = Phase::Committing { origin, by, since, objects, stage: CommitStage::Draining };
    Ok((State { phase, paused: None, ..state.clone() }, "committed; the source is let go".into()))
}
