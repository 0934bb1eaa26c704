//! Another policy than the migration was started with. PURE.
//!
//! A policy is a snapshot: an edit of the files takes part only when somebody adopts it by name. The migration then stands at the
//! new policy's step of the very weight it has, to be proven there anew, by the new policy's analysis. What lies before that step
//! counts as done, and what comes after it is asked for, also what the old policy had got already: an approval, a drill. It never
//! jumps ahead: no weight is skipped, and none is given by an adoption.
//!
//! It is refused, with the reason, where that cannot be: while a weight is being written or a drill is under way, where no step of
//! the new policy has the weight, where a plane cannot represent one of its weights or it names planes that the migration has not
//! got, on the way back, and after commit.

use std::sync::Arc;

use crate::migration::snapshot::Snapshot;
use crate::migration::state::{Entry, Origin, Phase, Shifting, Standing, State};
use crate::policy::{Assignment, ShiftPolicy, Step as PolicyStep, Weight};

/// The state under a policy, or why it cannot be adopted.
pub(super) fn adopt(
    state: &State,
    snapshot: &Snapshot,
    policy: &ShiftPolicy,
    replaces: &str,
) -> Result<(State, String), String> {
    let (old, new) = (state.assignment.policy.fingerprint(), policy.fingerprint());
    if old == new {
        return Ok((state.clone(), format!("{} {new} is followed already", policy.name)));
    }
    if old != replaces {
        return Err(format!("it follows {} {old} by now, not {replaces}", state.assignment.policy.name));
    }
    fits(state, snapshot, policy)?;
    let phase = place(state, policy, snapshot)?;
    let message = format!("{} {new} takes the place of {} {old}", policy.name, state.assignment.policy.name);
    let mut migration = state.assignment.migration.clone();
    migration.policy = policy.name.clone();
    let assignment = Arc::new(Assignment { migration, policy: policy.clone() });
    Ok((State { assignment, phase, working: None, ..state.clone() }, message))
}

/// Refuses a policy that this migration's planes cannot follow.
fn fits(state: &State, snapshot: &Snapshot, policy: &ShiftPolicy) -> Result<(), String> {
    let planes = &state.assignment.migration.planes;
    if let Some(stranger) = policy.planes().find(|name| planes.iter().all(|plane| plane.name != **name)) {
        return Err(format!("the migration has no plane {stranger}"));
    }
    if !snapshot.plane_problems.is_empty() {
        return Err(snapshot.plane_problems.join("; "));
    }
    let first = policy.weights().next().unwrap_or_default();
    let origins = state.phase.origin().into_iter().flat_map(|origin| &origin.planes);
    match origins.into_iter().find(|(_, origin)| first < origin.weight) {
        Some((name, origin)) => {
            Err(format!("{name} was at {} before the first write, above the policy's first weight", origin.weight))
        }
        None => Ok(()),
    }
}

/// Where the migration stands under the policy.
fn place(state: &State, policy: &ShiftPolicy, snapshot: &Snapshot) -> Result<Phase, String> {
    let (origin, weight) = match &state.phase {
        // Nothing was given yet: whatever the policy says is still to come.
        Phase::Preparing { .. } | Phase::Mirroring { .. } => return Ok(state.phase.clone()),
        Phase::Shifting(Shifting { standing: Standing::Drilling(_) | Standing::Late(_), .. }) => {
            return Err("a drill is under way; ask again when its weight is back".to_owned());
        }
        Phase::Shifting(shifting) => (&shifting.origin, weight_of(state, shifting)?),
        Phase::Soaking { origin, .. } => (origin, Some(Weight::FULL)),
        Phase::Committing { .. } | Phase::RollingBack { .. } | Phase::Completed { .. } | Phase::RolledBack { .. } => {
            return Err(format!("it is {}: no step is left for a policy to say anything about", state.phase.name()));
        }
    };
    let step = weight.map_or(Ok(0), |weight| {
        let step = policy.steps.iter().position(|step| *step == PolicyStep::SetWeight(weight));
        step.ok_or_else(|| format!("it stands at {weight}, and no step of {} has that weight", policy.name))
    })?;
    Ok(Phase::Shifting(Shifting::at(step, origin.clone(), policy, snapshot.now)))
}

/// The weight that every plane has, none while all are at their origin.
fn weight_of(state: &State, shifting: &Shifting) -> Result<Option<Weight>, String> {
    // The origin a drill took the planes to is on the way back to its weight.
    if let Some(drill) = state.drilled() {
        return Ok(Some(drill.weight));
    }
    let weight = state.highest_weight();
    let at_origin = |origin: &Origin| {
        state
            .ledger
            .iter()
            .all(|(name, entry)| origin.planes.get(name).is_some_and(|origin| *entry == Entry::Settled(origin.weight)))
    };
    match () {
        () if at_origin(&shifting.origin) => Ok(None),
        () if state.ledger.values().all(|entry| *entry == Entry::Settled(weight)) => Ok(Some(weight)),
        () => Err("a weight is being written; ask again when every plane was read back at it".to_owned()),
    }
}
