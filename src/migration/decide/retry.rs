//! What failed is tried again, after pauses that grow. PURE.
//!
//! The first repetition comes with the next pass, as most failures are a blink; then the pause doubles from the policy's
//! interval up to [`LONGEST`], so that a plane which is away for a night costs the journal some hundred lines and not ten thousand.
//!
//! **Nothing waits for it longer than it must.** A failure from a time in which the plane could not be seen says nothing about a
//! plane that can be seen: then it is tried at once, which is what a rollback needs. An action that is no longer wanted is
//! forgotten, and begins anew when it is wanted again. Another phase wants other actions.
//!
//! **Order.** Planes do not wait for one another. Of objects, those behind one that pauses pause with it: they may need it.

use jiff::{SignedDuration, Timestamp};

use super::{Step, later};
use crate::migration::action::Action;
use crate::migration::snapshot::{Observed, Snapshot};
use crate::migration::state::{Retry, State};
use crate::migration::waiting::WaitingOn;

/// Longest pause: what is mended is found mended within a minute, and a day of failures is no more than 1,440 attempts.
const LONGEST: SignedDuration = SignedDuration::from_mins(1);

/// Takes note of how the actions of the last pass ended.
pub(super) fn learn(state: &mut State, snapshot: &Snapshot) {
    for outcome in &snapshot.outcomes {
        let known = state.retries.iter().position(|retry| retry.action == outcome.action);
        let before = known.map_or(0, |known| state.retries.swap_remove(known).failures);
        let Some(error) = outcome.error.clone() else { continue };
        let (action, failures) = (outcome.action.clone(), before.saturating_add(1));
        let unseen = !is_seen(&action, snapshot);
        state.retries.push(Retry { action, failures, at: snapshot.now, error, unseen });
    }
}

/// Keeps back what failed and is not due yet, and forgets failures of what is not wanted any more.
pub(super) fn hold_back(mut step: Step, snapshot: &Snapshot) -> Step {
    if step.state.retries.is_empty() {
        return step;
    }
    step.state.retries.retain(|retry| step.actions.contains(&retry.action));
    let interval = step.state.assignment.policy.analysis.interval;
    let early = |action: &Action| {
        let retry = step.state.retries.iter().find(|retry| retry.action == *action);
        retry.is_some_and(|retry| !is_due(retry, interval, snapshot))
    };
    let behind = step.actions.iter().position(|action| action.plane().is_none() && early(action));
    step.actions.truncate(behind.unwrap_or(step.actions.len()));
    step.actions.retain(|action| !early(action));
    step
}

fn is_due(retry: &Retry, interval: SignedDuration, snapshot: &Snapshot) -> bool {
    let reappeared = retry.unseen && is_seen(&retry.action, snapshot);
    reappeared || snapshot.now >= again(retry, interval)
}

/// When a failed action is tried again.
fn again(retry: &Retry, interval: SignedDuration) -> Timestamp {
    let doublings = retry.failures.checked_sub(2);
    let pause = doublings.map_or(SignedDuration::ZERO, |doublings| {
        let factor = 1_i32.checked_shl(doublings.min(16)).unwrap_or(i32::MAX);
        interval.saturating_mul(factor).min(LONGEST.max(interval))
    });
    later(retry.at, pause)
}

fn is_seen(action: &Action, snapshot: &Snapshot) -> bool {
    let seen = |plane| snapshot.planes.get(plane).and_then(Observed::known).is_some();
    action.plane().is_none_or(seen)
}

/// The wait for the first action of a kind that failed when it was last tried.
pub(super) fn failure(state: &State, kind: impl Fn(&Action) -> bool) -> Option<WaitingOn> {
    let retry = state.retries.iter().find(|retry| kind(&retry.action))?;
    let again = again(retry, state.assignment.policy.analysis.interval);
    let (action, error, failures) = (retry.action.to_string(), retry.error.clone(), retry.failures);
    Some(WaitingOn::ActionFailed { action, error, failures, again })
}
