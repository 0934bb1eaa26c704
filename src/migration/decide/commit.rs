//! Letting the source go, after a person said so. PURE.
//!
//! First the connections that are still there end, then the source's workloads shrink where the migration asks for it, then
//! CronJobs pass to the target ([`super::jobs`]), and last the field ownership on the target is given up, so that whoever managed
//! the objects before is in sync again.
//!
//! The source is touched only while every plane shows 100 %: a plane that was reloaded meanwhile leads users to the source
//! again, and they would find it drained.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::retry::failure;
use super::start::reachable;
use super::{Step, jobs, later, seen};
use crate::cluster::ObjectRef;
use crate::migration::action::{Action, Outcome};
use crate::migration::snapshot::{Observed, Snapshot};
use crate::migration::state::{CommitStage, Phase, State};
use crate::migration::waiting::WaitingOn;
use crate::policy::{OnCommit, Weight};

/// One pass of a commit that began at `since`.
pub(super) fn commit(state: &State, snapshot: &Snapshot, since: Timestamp, stage: CommitStage) -> Step {
    let shrinks = state.assignment.migration.on_commit == OnCommit::ScaleToZero;
    if stage != CommitStage::Releasing
        && shrinks
        && let Err(waiting) = all_on_target(state, snapshot)
    {
        let needs_human = matches!(waiting, WaitingOn::Drift { .. });
        return Step { needs_human, ..Step::hold(state, waiting) };
    }
    match stage {
        CommitStage::Draining if !shrinks => go_to(state, after_scaling(state)),
        CommitStage::Draining => drain(state, snapshot, since).unwrap_or_else(|| go_to(state, CommitStage::Scaling)),
        // A plane that was restarted has forgotten that it was drained.
        CommitStage::Scaling if leads_to_source(snapshot) => go_to(state, CommitStage::Draining),
        CommitStage::Scaling => scale(state, snapshot).unwrap_or_else(|| go_to(state, after_scaling(state))),
        CommitStage::HandingOver => {
            jobs::hand_over(state, snapshot, handed_over(state)).unwrap_or_else(|| go_to(state, CommitStage::Releasing))
        }
        CommitStage::Releasing => release(state, snapshot),
    }
}

/// Holds unless every plane sends everything to the target, whatever is remembered of it.
fn all_on_target(state: &State, snapshot: &Snapshot) -> Result<(), WaitingOn> {
    for plane in state.ledger.keys() {
        let (observed, expected) = (reachable(plane, snapshot)?.weight, Weight::FULL);
        if observed != expected {
            return Err(WaitingOn::Drift { plane: plane.clone(), expected, observed });
        }
    }
    Ok(())
}

/// The CronJobs that this commit hands over.
fn handed_over(state: &State) -> &[ObjectRef] {
    if let Phase::Committing { jobs, .. } = &state.phase { jobs } else { &[] }
}

fn after_scaling(state: &State) -> CommitStage {
    if handed_over(state).is_empty() { CommitStage::Releasing } else { CommitStage::HandingOver }
}

fn go_to(state: &State, next: CommitStage) -> Step {
    let mut phase = state.phase.clone();
    if let Phase::Committing { stage, .. } = &mut phase {
        *stage = next;
    }
    Step::enter(state, phase)
}

fn leads_to_source(snapshot: &Snapshot) -> bool {
    snapshot.planes.values().filter_map(Observed::known).any(|view| view.source.usable > 0)
}

/// Ends the connections to the source; `None` once they have ended, or had the rollback's deadline to end.
fn drain(state: &State, snapshot: &Snapshot, since: Timestamp) -> Option<Step> {
    let mut actions = Vec::new();
    let (mut waiting, mut open) = (None, false);
    for (plane, observed) in &snapshot.planes {
        let connections = match observed {
            Observed::Known(view) if view.source.usable == 0 && view.source.in_flight == 0 => continue,
            Observed::Known(view) => {
                open |= view.source.usable > 0;
                view.source.in_flight
            }
            Observed::Unknown(_) => continue,
        };
        actions.push(Action::DrainSource { plane: plane.clone() });
        waiting.get_or_insert(WaitingOn::Drain { plane: plane.clone(), connections });
    }
    let refused = failure(state, |action| matches!(action, Action::DrainSource { .. }));
    let overdue = snapshot.now > later(since, state.assignment.policy.rollback.deadline);
    // The deadline cuts connections that linger; it never stands for a drain that did not happen.
    if overdue && refused.is_none() && !open {
        return None;
    }
    let waiting = waiting?;
    Some(Step::act(state, actions, refused.unwrap_or(waiting)))
}

/// Shrinks the source's workloads, those of the origin and no others; `None` once they are gone.
fn scale(state: &State, snapshot: &Snapshot) -> Option<Step> {
    let source = match seen("the source", &snapshot.source) {
        Ok(source) => source,
        Err(waiting) => return Some(Step::hold(state, waiting)),
    };
    let origin: &BTreeMap<ObjectRef, u32> = match &state.phase {
        Phase::Committing { origin, .. } => &origin.replicas,
        _ => return None,
    };
    let left = origin.iter().filter_map(|(workload, from)| Some((workload, *from, source.get(workload)?)));
    let left: Vec<_> = left.filter(|(_, _, pods)| pods.desired > 0 || pods.ready > 0).collect();
    let (workload, _, pods) = left.first()?;
    let waiting = failure(state, |action| matches!(action, Action::ScaleSource { .. }))
        .unwrap_or(WaitingOn::SourceScaling { workload: (*workload).clone(), left: pods.ready });
    let actions = left.iter().filter(|(_, _, pods)| pods.desired > 0);
    let actions = actions.map(|(workload, from, _)| Action::ScaleSource { workload: (*workload).clone(), from: *from });
    Some(Step::act(state, actions.collect(), waiting))
}

/// Gives up field ownership; done once every release of one pass was answered well.
fn release(state: &State, snapshot: &Snapshot) -> Step {
    let Phase::Committing { objects, .. } = &state.phase else { return Step::stay(state) };
    let releases = |outcome: &&Outcome| matches!(outcome.action, Action::Release { .. });
    let answered: Vec<_> = snapshot.outcomes.iter().filter(releases).collect();
    if answered.len() == objects.len() && answered.iter().all(|outcome| outcome.error.is_none()) {
        return Step::enter(state, Phase::Completed { at: snapshot.now });
    }
    let actions: Vec<_> = objects.iter().map(|object| Action::Release { object: object.clone() }).collect();
    let all = actions.len();
    let waiting = failure(state, |action| matches!(action, Action::Release { .. }))
        .unwrap_or(WaitingOn::Mirror { pending: all, all });
    Step::act(state, actions, waiting)
}
