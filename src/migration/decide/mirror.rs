//! Keeping the target as the source is: what is applied, what is deleted, and clearing the target after an abort. PURE.
//!
//! **What is deleted.** Only what is gone from the source, was brought to the target by this migration, and is nobody else's there;
//! whoever looks sees to that ([`MirrorView::gone`]), and whoever deletes asks once more. Never a workload of the origin: a source
//! that lost one has shrunk, which holds, and the target's pods serve on. And nothing while something stands in the way of the mirror:
//! a selection that is half empty is no reason to clear the target.
//!
//! **Why a limit.** An API server that came back from an old backup answers in good health that most of it was never there. So more than
//! [`MOST_GONE`] of what is mirrored, or everything, waits for a person: who approves lets that many go, and what comes on top of them asks again.

use super::retry;
use crate::cluster::ObjectRef;
use crate::migration::action::{Action, Deletion};
use crate::migration::snapshot::{MirrorView, MirroredObject, Observed, Snapshot};
use crate::migration::state::{Letting, Mark, Origin, State};
use crate::migration::waiting::WaitingOn;
use crate::policy::Weight;

/// Objects applied in one pass while the target may have traffic: a part of a second's worth, so that protection waits no longer.
const BATCH: usize = 50;

/// Objects applied in one pass at most: a second or two, after which a person is heard.
pub const MOST_APPLIED: usize = 500;

/// One in so many of what is mirrored may be gone at once, and always one: what somebody tidies up in an afternoon, and far less than
/// what a lost source looks like.
const MOST_GONE: usize = 10;

/// What is gone from the source and may be deleted on the target, at the latest look.
struct Gone<'s> {
    objects: Vec<&'s ObjectRef>,
    /// Everything that is mirrored, these included.
    all: usize,
    /// Whether nothing would be left, or it is not known what should be.
    rest_is_doubtful: bool,
}

impl<'s> Gone<'s> {
    fn of(mirror: &'s MirrorView, origin: Option<&Origin>) -> Self {
        let began_with = |object: &ObjectRef| origin.is_some_and(|origin| origin.replicas.contains_key(object));
        let objects: Vec<_> = mirror.gone.iter().filter(|object| !began_with(object)).collect();
        let all = mirror.objects.len() + objects.len();
        Self { objects, all, rest_is_doubtful: !mirror.problems.is_empty() }
    }

    /// Whether a person has to say so first.
    fn is_asked_about(&self, letting: Option<&Letting>) -> bool {
        let most = self.all.div_ceil(MOST_GONE);
        let many = self.objects.len() > most || self.rest_is_doubtful;
        !self.objects.is_empty() && many && letting.is_none_or(|letting| self.objects.len() > letting.up_to)
    }
}

/// What brings the target's objects in line, and the wait for it; `None` where they are, where that cannot be seen, and while somebody
/// has paused.
pub(super) fn pending(state: &State, snapshot: &Snapshot) -> Option<(Vec<Action>, WaitingOn)> {
    let mirror = snapshot.mirror.known().filter(|_| state.paused.is_none())?;
    applying(mirror, state).or_else(|| deleting(mirror, state))
}

/// As much as is written in one pass.
fn most(state: &State) -> usize {
    if state.highest_weight() > Weight::ZERO { BATCH } else { MOST_APPLIED }
}

fn applying(mirror: &MirrorView, state: &State) -> Option<(Vec<Action>, WaitingOn)> {
    let pending = || mirror.objects.iter().filter(|object| !object.in_sync);
    let apply = |o: &MirroredObject| Action::ApplyObject { object: o.object.clone() };
    let actions: Vec<_> = pending().take(most(state)).map(apply).collect();
    let waiting = retry::failure(state, |action| matches!(action, Action::ApplyObject { .. }))
        .unwrap_or(WaitingOn::Mirror { pending: pending().count(), all: mirror.objects.len() });
    (!actions.is_empty()).then_some((actions, waiting))
}

fn deleting(mirror: &MirrorView, state: &State) -> Option<(Vec<Action>, WaitingOn)> {
    let gone = Gone::of(mirror, state.phase.origin().map(AsRef::as_ref));
    let (count, all) = (gone.objects.len(), gone.all);
    if gone.is_asked_about(state.letting.as_ref()) {
        let some = gone.objects.iter().take(NAMED).map(|object| (*object).clone()).collect();
        return Some((Vec::new(), WaitingOn::ManyGone { gone: count, all, some }));
    }
    let delete = |object: &&ObjectRef| Action::DeleteObject { object: (*object).clone(), because: Deletion::Gone };
    let actions: Vec<_> = gone.objects.iter().take(most(state)).map(delete).collect();
    let waiting = retry::failure(state, |action| matches!(action, Action::DeleteObject { .. }))
        .unwrap_or(WaitingOn::Mirror { pending: count, all });
    (!actions.is_empty()).then_some((actions, waiting))
}

/// Objects named where there are too many for a sentence.
const NAMED: usize = 3;

/// The state in which a person let go of what is gone; `None` where nobody asks.
pub(super) fn let_go(state: &State, snapshot: &Snapshot, mark: &Mark) -> Option<State> {
    let mirror = snapshot.mirror.known()?;
    let gone = Gone::of(mirror, state.phase.origin().map(AsRef::as_ref));
    let asked = state.phase.origin().is_some() && gone.is_asked_about(state.letting.as_ref());
    let letting = Letting { up_to: gone.objects.len(), mark: mark.clone() };
    asked.then(|| State { letting: Some(letting), ..state.clone() })
}

/// Forgets what a person let go of, once it is.
pub(super) fn forget(state: &mut State, snapshot: &Snapshot) {
    if snapshot.mirror.known().is_some_and(|mirror| mirror.gone.is_empty()) {
        state.letting = None;
    }
}

/// What this migration brought to the target and is there still, last written first, and the wait until it is gone; `None` where
/// nothing is left that is to be deleted.
///
/// What stays although its deletion was answered well is somebody else's too.
pub(super) fn clearing(state: &State, snapshot: &Snapshot) -> Option<(Vec<Action>, WaitingOn)> {
    let mirror = match &snapshot.mirror {
        Observed::Known(mirror) => mirror,
        Observed::Unknown(why) => {
            let (what, why) = ("what was mirrored".to_owned(), why.clone());
            return Some((Vec::new(), WaitingOn::Unobserved { what, why }));
        }
    };
    let action = |object: &ObjectRef| Action::DeleteObject { object: object.clone(), because: Deletion::Aborted };
    let answered =
        |action: &Action| snapshot.outcomes.iter().any(|outcome| outcome.action == *action && outcome.error.is_none());
    let actions: Vec<_> = mirror.brought.iter().rev().map(action).filter(|action| !answered(action)).collect();
    let waiting = retry::failure(state, |action| matches!(action, Action::DeleteObject { .. }))
        .unwrap_or(WaitingOn::Clearing { left: actions.len() });
    (!actions.is_empty()).then_some((actions, waiting))
}
