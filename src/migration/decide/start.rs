//! From nothing to a target that holds everything and is ready. PURE.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Step, capacity, mirror as mirrored, open, seen};
use crate::migration::snapshot::{MirrorView, Observed, PlaneView, Snapshot};
use crate::migration::state::{Entry, Origin, Phase, PlaneOrigin, Shifting, State};
use crate::migration::waiting::WaitingOn;
use crate::policy::Name;

/// Records the origin, once everything could be seen and nothing stands in the way. Writes nothing.
pub(super) fn prepare(state: &State, snapshot: &Snapshot) -> Step {
    match origin(state, snapshot) {
        Err(waiting) => {
            let needs_human = matches!(waiting, WaitingOn::Blocked { .. });
            Step { needs_human, ..Step::hold(state, waiting) }
        }
        Ok(_) if state.paused.is_some() => Step::hold(state, paused(state)),
        Ok(origin) => {
            if let Err(closed) = open(state, snapshot) {
                return Step::hold(state, closed);
            }
            let ledger = origin.planes.iter().map(|(name, plane)| (name.clone(), Entry::Settled(plane.weight)));
            let ledger = Arc::new(ledger.collect());
            let phase = Phase::Mirroring { since: snapshot.now, origin: Arc::new(origin) };
            Step::with(State { phase, ledger, ..state.clone() })
        }
    }
}

fn origin(state: &State, snapshot: &Snapshot) -> Result<Origin, WaitingOn> {
    let mirror = seen("the selection", &snapshot.mirror)?;
    let source = seen("the source", &snapshot.source)?;
    seen("the target", &snapshot.target)?;
    if !snapshot.plane_problems.is_empty() {
        return Err(WaitingOn::Blocked { problems: snapshot.plane_problems.clone() });
    }
    let mut planes = BTreeMap::new();
    for plane in state.assignment.migration.planes.iter().map(|plane| &plane.name) {
        planes.insert(plane.clone(), reachable(plane, snapshot)?);
    }
    let problems = blockers(state, mirror, &planes);
    if !problems.is_empty() {
        return Err(WaitingOn::Blocked { problems });
    }
    let replicas = source.iter().map(|(workload, pods)| (workload.clone(), pods.desired)).collect();
    let planes = planes.into_iter().map(|(name, view)| (name, PlaneOrigin::from(view))).collect();
    Ok(Origin { at: snapshot.now, planes, replicas })
}

/// A plane that was seen, or the wait for it.
pub(super) fn reachable<'s>(plane: &Name, snapshot: &'s Snapshot) -> Result<&'s PlaneView, WaitingOn> {
    match snapshot.planes.get(plane) {
        Some(Observed::Known(view)) => Ok(view),
        Some(Observed::Unknown(why)) => Err(WaitingOn::PlaneUnreachable { plane: plane.clone(), why: why.clone() }),
        None => Err(WaitingOn::PlaneUnreachable { plane: plane.clone(), why: "it was not looked at".into() }),
    }
}

fn blockers(state: &State, mirror: &MirrorView, planes: &BTreeMap<Name, &PlaneView>) -> Vec<String> {
    let mut problems = mirror.problems.clone();
    let first = state.assignment.policy.weights().next();
    for (name, view) in planes {
        if first.is_some_and(|first| first < view.weight) {
            problems.push(format!("{name} is at {} already, above the policy's first weight", view.weight));
        }
    }
    problems
}

/// Applies what the target lacks, and waits until every workload is ready there.
pub(super) fn mirror(state: &State, snapshot: &Snapshot, origin: &Arc<Origin>) -> Step {
    let pending = mirrored::pending(state, snapshot);
    mirror_pass(state, snapshot, origin, pending.as_ref().map(|(_, waiting)| waiting))
        .unwrap_or_else(|waiting| Step::act(state, pending.map(|(actions, _)| actions).unwrap_or_default(), waiting))
}

/// The step out of the phase, or what it waits for.
fn mirror_pass(
    state: &State,
    snapshot: &Snapshot,
    origin: &Arc<Origin>,
    pending: Option<&WaitingOn>,
) -> Result<Step, WaitingOn> {
    if state.paused.is_some() {
        return Err(paused(state));
    }
    let mirror = seen("the selection", &snapshot.mirror)?;
    if !mirror.problems.is_empty() {
        return Err(WaitingOn::Blocked { problems: mirror.problems.clone() });
    }
    if let Some(waiting) = pending {
        return Err(waiting.clone());
    }
    let target = seen("the target", &snapshot.target)?;
    if let Some(waiting) = capacity::unready(&origin.replicas, target) {
        return Err(waiting);
    }
    Ok(Step::enter(state, Phase::Shifting(Shifting::at(0, origin.clone(), &state.assignment.policy, snapshot.now))))
}

/// The wait for the person who paused.
pub(super) fn paused(state: &State) -> WaitingOn {
    WaitingOn::Paused { by: state.paused.as_ref().map(|mark| mark.by.clone()).unwrap_or_default() }
}
