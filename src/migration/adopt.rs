//! Taking a migration up again whose state is lost, by what the world says. PURE.
//!
//! What cannot be seen anywhere else is the origin, so it is kept on the target before the first weight is written, together with what
//! was started: the [`Memo`]. Everything else is read anew: the weights as they are, the source as it is.
//!
//! It refuses to guess. Without a memo nobody knows where to go back to; where a plane cannot be seen nobody knows where it is; and a
//! source that is smaller than it began may have been let go by a commit, of which there is no way back.
//!
//! **Where it goes on.** At the first step whose weight is not below what the planes show, and at its beginning: evidence of before
//! the loss counts for nothing, and an approval that was given is asked for again.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::snapshot::{Observed, PlaneView};
use super::state::{Entry, Origin, Phase, Shifting, State};
use crate::cluster::{ObjectRef, Replicas};
use crate::policy::{Assignment, Name, Step, Weight};

/// What the target keeps of a migration, so that it can be taken up without its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Memo {
    /// What was started.
    pub assignment: Arc<Assignment>,
    /// What a rollback restores.
    pub origin: Arc<Origin>,
}

impl Memo {
    /// What is to be kept of a migration; nothing before there is an origin and after there is no way back.
    pub fn of(state: &State) -> Option<Self> {
        let origin = state.phase.origin()?.clone();
        Some(Self { assignment: state.assignment.clone(), origin })
    }
}

/// The state that what was seen amounts to, or every reason why it cannot be told.
pub fn adopt(
    memo: Memo,
    source: &BTreeMap<ObjectRef, Replicas>,
    planes: &BTreeMap<Name, Observed<PlaneView>>,
    now: Timestamp,
) -> Result<State, Vec<String>> {
    let Memo { assignment, origin } = memo;
    let mut reasons: Vec<_> =
        origin.replicas.iter().filter_map(|(workload, began)| shrank(workload, *began, source)).collect();
    let mut views = BTreeMap::new();
    for plane in origin.planes.keys() {
        match planes.get(plane) {
            Some(Observed::Known(view)) => _ = views.insert(plane.clone(), view),
            Some(Observed::Unknown(why)) => reasons.push(format!("{plane} cannot be seen: {why}")),
            None => reasons.push(format!("{plane} was not looked at")),
        }
    }
    let highest = views.values().map(|view| view.weight).max().unwrap_or_default();
    let step = step_of(&assignment, highest);
    if step.is_none() {
        reasons.push(format!("no step of the policy has {highest} or more"));
    }
    let (Some(step), true) = (step, reasons.is_empty()) else { return Err(reasons) };
    let moved =
        views.iter().any(|(plane, view)| origin.planes.get(plane).is_none_or(|began| began.setting != view.setting));
    let ledger = views.iter().map(|(plane, view)| (plane.clone(), Entry::Settled(view.weight)));
    let ledger = Arc::new(ledger.collect());
    let phase = if moved {
        Phase::Shifting(Shifting::at(step, origin, &assignment.policy, now))
    } else {
        Phase::Mirroring { since: now, origin }
    };
    Ok(State { phase, ledger, ..State::new(assignment, now) })
}

fn shrank(workload: &ObjectRef, began: u32, source: &BTreeMap<ObjectRef, Replicas>) -> Option<String> {
    let now = source.get(workload).map_or(0, |pods| pods.desired);
    (now < began).then(|| {
        format!("{workload} has {now} replicas on the source and began with {began}: it was committed, or has to be scaled back first")
    })
}

/// The first step that is not below a weight.
fn step_of(assignment: &Assignment, weight: Weight) -> Option<usize> {
    assignment.policy.steps.iter().position(|step| matches!(step, Step::SetWeight(to) if *to >= weight))
}

#[cfg(test)]
mod tests;
