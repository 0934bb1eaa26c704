//! CronJobs pass from the source to the target, once there is no way back. PURE.
//!
//! Each is mirrored asleep. At commit the source's is put to sleep first, and only where that was read back is the target's woken: never do both
//! run, and whatever fails in between leaves both asleep and asks again. Which ones is settled by the commit itself: those that ran on
//! the source and slept on the target at that moment. What somebody had suspended stays suspended.

use std::sync::Arc;

use super::retry::failure;
use super::{Step, seen};
use crate::cluster::ObjectRef;
use crate::migration::action::Action;
use crate::migration::snapshot::{MirrorView, Snapshot};
use crate::migration::state::State;
use crate::migration::waiting::WaitingOn;

/// The CronJobs that a commit has to hand over.
pub(super) fn to_hand_over(mirror: &MirrorView) -> Arc<[ObjectRef]> {
    let awake = mirror.jobs.iter().filter(|job| !job.sleeps_on_source && job.sleeps_on_target);
    awake.map(|job| job.object.clone()).collect()
}

/// What is left to be done about them; `None` once each sleeps on the source and is awake on the target.
pub(super) fn hand_over(state: &State, snapshot: &Snapshot, jobs: &[ObjectRef]) -> Option<Step> {
    let mirror = match seen("the selection", &snapshot.mirror) {
        Ok(mirror) => mirror,
        Err(waiting) => return Some(Step::hold(state, waiting)),
    };
    let of = mirror.jobs.iter().filter(|job| jobs.contains(&job.object));
    let actions: Vec<_> = of
        .filter_map(|job| match (job.sleeps_on_source, job.sleeps_on_target) {
            (false, _) => Some(Action::SuspendSource { job: job.object.clone() }),
            (true, true) => Some(Action::ResumeTarget { job: job.object.clone() }),
            (true, false) => None,
        })
        .collect();
    let ours = |action: &Action| matches!(action, Action::SuspendSource { .. } | Action::ResumeTarget { .. });
    let waiting = failure(state, ours).unwrap_or(WaitingOn::Jobs { left: actions.len() });
    (!actions.is_empty()).then(|| Step::act(state, actions, waiting))
}
