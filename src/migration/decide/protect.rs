//! Whether the target has to be relieved of its traffic. PURE.
//!
//! Asked in every pass in which the target may have traffic, whatever the migration waits for. Only evidence counts:
//! what could not be observed is no threat, and no comfort either.
//!
//! Going back needs somebody to go back to: where the source is seen to have no ready pod, traffic stays where it is and a
//! person is asked. An abort, which is a person's word, goes all the same.

use super::Gates;
use crate::gate::{Verdict, capacity};
use crate::migration::check::Check;
use crate::migration::snapshot::Snapshot;
use crate::migration::state::{Cause, Origin, Phase, State};
use crate::migration::waiting::WaitingOn;
use crate::policy::Weight;

/// What protection asks for.
pub(super) enum Protection {
    /// Nothing.
    Quiet,
    /// The way back.
    GoBack(Cause),
    /// The way back, which is closed.
    NoWayBack(WaitingOn),
}

/// What protection asks for in this pass.
pub(super) fn judge(state: &State, snapshot: &Snapshot, gates: &Gates) -> Protection {
    let origin = match &state.phase {
        Phase::Shifting(shifting) => &shifting.origin,
        Phase::Soaking { origin, .. } => origin,
        _ => return Protection::Quiet,
    };
    let Some(cause) = threat(state, snapshot, origin, gates) else { return Protection::Quiet };
    let empty = snapshot.source.known().and_then(|source| capacity::lost(&origin.replicas, source));
    match empty {
        Some(workload) => Protection::NoWayBack(WaitingOn::NoWayBack { workload, cause: cause.to_string() }),
        None => Protection::GoBack(cause),
    }
}

fn threat(state: &State, snapshot: &Snapshot, origin: &Origin, gates: &Gates) -> Option<Cause> {
    // At its origin for a drill, a target is judged by what it was given before: what failed then fails the drill too.
    let weight = state.highest_weight().max(state.drilled().map_or(Weight::ZERO, |drill| drill.weight));
    if weight == Weight::ZERO {
        return None;
    }
    let failed = gates.metrics.iter().find(|(_, finding)| finding.verdict == Verdict::Fail);
    if let Some((metric, finding)) = failed {
        let Check { name, finding, basis } = Check::new(state, snapshot, metric, finding);
        return Some(Cause::MetricFailed { metric: name, account: finding.account.to_string(), weight, basis });
    }
    let lost = snapshot.target.known().and_then(|target| capacity::lost(&origin.replicas, target));
    lost.map(|workload| Cause::TargetLost { workload, weight })
}
