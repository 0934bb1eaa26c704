//! Letting the source go, after a person said so. PURE.
//!
//! First the connections that are still there end, then the source's workloads shrink where the migration asks for it,
//! and last the field ownership on the target is given up, so that whoever managed the objects before is in sync again.

use std::sync::Arc;

use super::{Step, failure, later, seen, shift};
use crate::migration::action::Action;
use crate::migration::snapshot::{Observed, Snapshot};
use crate::migration::state::{CommitStage, Mark, Origin, Phase, State};
use crate::migration::waiting::WaitingOn;
use crate::policy::OnCommit;

/// One pass of a commit.
pub(super) fn commit(state: &State, snapshot: &Snapshot, origin: &Arc<Origin>, by: &Mark, stage: CommitStage) -> Step {
    let go_to = |stage| Step::enter(state, Phase::Committing { origin: origin.clone(), by: by.clone(), stage });
    let shrinks = state.assignment.migration.on_commit == OnCommit::ScaleToZero;
    // As long as the source has pods to lose, a plane that leads back to it, or may, keeps them.
    if shrinks
        && stage != CommitStage::Releasing
        && let Err(waiting) = shift::no_drift(state, snapshot)
    {
        let needs_human = matches!(waiting, WaitingOn::Drift { .. });
        return Step { needs_human, ..Step::hold(state, waiting) };
    }
    match stage {
        CommitStage::Draining if !shrinks => go_to(CommitStage::Releasing),
        CommitStage::Draining => drain(state, snapshot, by).unwrap_or_else(|| go_to(CommitStage::Scaling)),
        // A plane that was restarted has forgotten that it was drained.
        CommitStage::Scaling if leads_to_source(snapshot) => go_to(CommitStage::Draining),
        CommitStage::Scaling => scale(state, snapshot, origin).unwrap_or_else(|| go_to(CommitStage::Releasing)),
        CommitStage::Releasing => release(state, snapshot),
    }
}

fn leads_to_source(snapshot: &Snapshot) -> bool {
    snapshot.planes.values().filter_map(Observed::known).any(|view| view.source.usable > 0)
}

/// Ends the connections to the source; `None` once they have ended or the rollback deadline cuts them.
fn drain(state: &State, snapshot: &Snapshot, by: &Mark) -> Option<Step> {
    let mut actions = Vec::new();
    let mut waiting = None;
    let mut open = false;
    for (plane, observed) in &snapshot.planes {
        let connections = match observed {
            Observed::Known(view) if view.source.usable == 0 && view.source.in_flight == 0 => continue,
            Observed::Known(view) => {
                open |= view.source.usable > 0;
                view.source.in_flight
            }
            Observed::Unknown(why) => {
                waiting.get_or_insert(WaitingOn::PlaneUnreachable { plane: plane.clone(), why: why.clone() });
                continue;
            }
        };
        actions.push(Action::DrainSource { plane: plane.clone() });
        waiting.get_or_insert(WaitingOn::Drain { plane: plane.clone(), connections });
    }
    let waiting = waiting?;
    let overdue = snapshot.now > later(by.at, state.assignment.policy.rollback.deadline);
    let blind = matches!(waiting, WaitingOn::PlaneUnreachable { .. });
    // The deadline cuts connections that linger; it never stands for a drain that did not happen.
    if overdue && !blind && !open { None } else { Some(Step::act(state, actions, waiting)) }
}

/// Shrinks the source's workloads; `None` once they are gone.
fn scale(state: &State, snapshot: &Snapshot, origin: &Origin) -> Option<Step> {
    let source = match seen("the source", &snapshot.source) {
        Ok(source) => source,
        Err(waiting) => return Some(Step::hold(state, waiting)),
    };
    let left: Vec<_> = source.iter().filter(|(_, pods)| pods.desired > 0 || pods.ready > 0).collect();
    let (workload, pods) = left.first()?;
    let waiting = failure(snapshot, |action| matches!(action, Action::ScaleSource { .. }))
        .unwrap_or(WaitingOn::SourceScaling { workload: (*workload).clone(), left: pods.ready });
    let from = |workload| origin.replicas.get(workload).copied().unwrap_or_default();
    let actions = left.iter().filter(|(_, pods)| pods.desired > 0);
    let actions =
        actions.map(|(workload, _)| Action::ScaleSource { workload: (*workload).clone(), from: from(workload) });
    Some(Step::act(state, actions.collect(), waiting))
}

/// Gives up field ownership; done once every release of one pass was answered well.
fn release(state: &State, snapshot: &Snapshot) -> Step {
    let releases = |outcome: &&crate::migration::Outcome| matches!(outcome.action, Action::Release { .. });
    let done = snapshot.outcomes.iter().any(|outcome| releases(&outcome));
    if done && snapshot.outcomes.iter().filter(releases).all(|outcome| outcome.error.is_none()) {
        return Step::enter(state, Phase::Completed { at: snapshot.now });
    }
    let mirror = match seen("the selection", &snapshot.mirror) {
        Ok(mirror) => mirror,
        Err(waiting) => return Step::hold(state, waiting),
    };
    let objects = mirror.objects.iter();
    let actions: Vec<_> = objects.map(|object| Action::Release { object: object.object.clone() }).collect();
    let all = actions.len();
    if all == 0 {
        return Step::enter(state, Phase::Completed { at: snapshot.now });
    }
    let waiting = failure(snapshot, |action| matches!(action, Action::Release { .. }))
        .unwrap_or(WaitingOn::Mirror { pending: all, all });
    Step::act(state, actions, waiting)
}
