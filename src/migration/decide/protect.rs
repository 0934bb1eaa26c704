//! Whether the target has to be relieved of its traffic. PURE.
//!
//! Asked in every pass in which the target may have traffic, whatever the migration waits for. Only evidence counts:
//! what could not be observed is no threat, and no comfort either.

use super::Gates;
use crate::gate::{Verdict, capacity};
use crate::migration::snapshot::Snapshot;
use crate::migration::state::{Cause, Phase, State};
use crate::policy::Weight;

/// Why the target must be relieved, if it must.
pub(super) fn threat(state: &State, snapshot: &Snapshot, gates: &Gates) -> Option<Cause> {
    let origin = match &state.phase {
        Phase::Shifting(shifting) => &shifting.origin,
        Phase::Soaking { origin, .. } => origin,
        _ => return None,
    };
    let weight = state.highest_weight();
    if weight == Weight::ZERO {
        return None;
    }
    let failed = gates.metrics.iter().find(|(_, finding)| finding.verdict == Verdict::Fail);
    if let Some((metric, finding)) = failed {
        let account = finding.account.clone();
        return Some(Cause::MetricFailed { metric: metric.clone(), account, weight });
    }
    let lost = snapshot.target.known().and_then(|target| capacity::lost(&origin.replicas, target));
    lost.map(|workload| Cause::TargetLost { workload, weight })
}
