//! What to do next: `State` and `Snapshot` in, `Decision` out. PURE, synchronous and total.
//!
//! One pass, in this order:
//!
//! 1. **People first.** Commands are answered; an abort takes effect in the same pass.
//! 2. **Protection second.** Wherever the target may have traffic, the gates are asked, whatever the migration
//!    is waiting for. Evidence of a bad target starts the rollback in the same pass.
//! 3. **Then the phase** takes its next step, or names what it waits for.
//! 4. **The clock last.** What waits past its deadline asks for a person or goes back; what failed pauses before it is repeated.
//!
//! Every rule works on what was observed. A plane is written only where what it shows can be explained by what
//! Crossfade left there (`Entry::explains`); anything else is drift and holds.

mod adopt;
mod command;
mod commit;
mod deadline;
mod drill;
mod jobs;
mod lasting;
mod mirror;
mod protect;
mod retry;
mod rollback;
mod shift;
mod start;

use jiff::{SignedDuration, Timestamp};

pub use self::lasting::Written;
pub use self::mirror::MOST_APPLIED;
use self::protect::Protection;
use self::rollback::Back;
use super::action::Action;
use super::command::Reply;
use super::snapshot::{Observed, Snapshot};
use super::state::{Cause, Phase, Standing, State};
use super::waiting::WaitingOn;
use crate::gate::{self, Finding, Known, capacity, share};
use crate::policy::Name;

/// What one pass came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The state from now on. It is recorded before any action is carried out.
    pub state: State,
    /// What to do, in this order.
    pub actions: Vec<Action>,
    /// Why nothing advances, where nothing does.
    pub waiting: Option<WaitingOn>,
    /// Whether it cannot go on without a person.
    pub needs_human: bool,
    /// What the gates said.
    pub gates: Gates,
    /// Answers to commands.
    pub replies: Vec<Reply>,
}

impl Decision {
    /// Whether the state has to be on disk before anything is done: it differs from the state of `before`, which is there but for
    /// what goes on about the metrics, of which only that was `written`.
    pub fn is_worth_recording(&self, before: &State, written: &Written, now: Timestamp) -> bool {
        !lasting::are_alike_otherwise(&self.state, before)
            || !self.replies.is_empty()
            || lasting::is_worth_writing(&self.state, written, now)
    }

    /// Whether the next look should follow at once, once everything was answered well: something has changed, or something is
    /// tried that the pass before did not try. What was tried and does not show yet is looked at again after the interval.
    pub fn moves(&self, before: &State, snapshot: &Snapshot) -> bool {
        let tried = snapshot.outcomes.iter().map(|outcome| &outcome.action);
        !self.state.stands_as(before) || (!self.actions.is_empty() && !self.actions.iter().eq(tried))
    }
}

/// What the gates said in one pass.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Gates {
    /// Each metric, in the order of the policy.
    pub metrics: Vec<(Name, Finding)>,
    /// The measured share against the desired weight, once the planes have settled.
    pub share: Option<Finding>,
}

/// Looks at the world once and says what to do.
pub fn decide(state: &State, snapshot: &Snapshot) -> Decision {
    let (mut state, replies) = command::answer(state, snapshot);
    retry::learn(&mut state, snapshot);
    mirror::forget(&mut state, snapshot);
    lasting::follow(&mut state, snapshot);
    let gates = ask(&state, snapshot);
    let step = match protect::judge(&state, snapshot, &gates) {
        Protection::Quiet => advance(&state, snapshot, &gates),
        Protection::GoBack(cause) => go_back(&state, cause, snapshot, &gates),
        Protection::NoWayBack(waiting) => Step { needs_human: true, ..Step::hold(&state, waiting) },
    };
    let step = match deadline::keep(&state, step, snapshot) {
        Ok(step) => step,
        Err(cause) => go_back(&state, cause, snapshot, &gates),
    };
    let step = retry::hold_back(step, snapshot);
    let Step { state, actions, waiting, needs_human } = step;
    let needs_human = needs_human || lasting::is_silent_too_long(&state, snapshot, &gates);
    Decision { state, actions, waiting, needs_human, gates, replies }
}

/// The first pass on the way back.
fn go_back(state: &State, cause: Cause, snapshot: &Snapshot, gates: &Gates) -> Step {
    let way = rollback::way_for(state, &cause);
    advance(&rollback::begin(state.clone(), cause, way, snapshot.now), snapshot, gates)
}

/// The phase's own next step.
fn advance(state: &State, snapshot: &Snapshot, gates: &Gates) -> Step {
    match &state.phase {
        Phase::Preparing { .. } => start::prepare(state, snapshot),
        Phase::Mirroring { origin, .. } => start::mirror(state, snapshot, origin),
        Phase::Shifting(shifting) => shift::shift(state, snapshot, shifting, gates),
        Phase::Soaking { origin, since } => shift::soak(state, snapshot, origin, *since, gates),
        Phase::Committing { since, stage, .. } => commit::commit(state, snapshot, *since, *stage),
        Phase::RollingBack { origin, cause, since, way } => {
            rollback::roll_back(state, snapshot, &Back { origin, cause, since: *since, way })
        }
        Phase::Completed { .. } | Phase::RolledBack { .. } => Step::stay(state),
    }
}

fn ask(state: &State, snapshot: &Snapshot) -> Gates {
    let analysis = &state.assignment.policy.analysis;
    let metrics = analysis.metrics.iter().filter_map(|spec| {
        let (sample, learnt) = (snapshot.metrics.get(&spec.name)?, snapshot.learnt.get(&spec.name));
        let known = Known { learnt, lasting: lasting::of(state, snapshot, &spec.name), proof: analysis.proof(spec) };
        Some((spec.name.clone(), gate::judge(spec, sample, known)))
    });
    let settled = match &state.phase {
        Phase::Shifting(shifting) => matches!(shifting.standing, Standing::Settled(_)),
        phase => matches!(phase, Phase::Soaking { .. }),
    };
    let weight = state.highest_weight();
    Gates { metrics: metrics.collect(), share: settled.then(|| share::judge(&analysis.share, weight, &snapshot.share)) }
}

/// What a phase comes to.
struct Step {
    state: State,
    actions: Vec<Action>,
    waiting: Option<WaitingOn>,
    needs_human: bool,
}

impl Step {
    fn with(state: State) -> Self {
        Self { state, actions: Vec::new(), waiting: None, needs_human: false }
    }

    fn stay(state: &State) -> Self {
        Self::with(state.clone())
    }

    fn hold(state: &State, waiting: WaitingOn) -> Self {
        Self { waiting: Some(waiting), ..Self::stay(state) }
    }

    fn act(state: &State, actions: Vec<Action>, waiting: WaitingOn) -> Self {
        let needs_human = matches!(waiting, WaitingOn::ManyGone { .. });
        Self { actions, needs_human, ..Self::hold(state, waiting) }
    }

    fn enter(state: &State, phase: Phase) -> Self {
        Self::with(State { phase, ..state.clone() })
    }
}

/// The part of a snapshot that must have been seen, or the wait for it.
fn seen<'s, T>(what: &str, observed: &'s Observed<T>) -> Result<&'s T, WaitingOn> {
    match observed {
        Observed::Known(value) => Ok(value),
        Observed::Unknown(why) => Err(WaitingOn::Unobserved { what: what.to_owned(), why: why.clone() }),
    }
}

/// Holds while the policy's windows are closed. They are asked before something begins that advances; what has begun goes on,
/// and what protects or goes back never asks.
fn open(state: &State, snapshot: &Snapshot) -> Result<(), WaitingOn> {
    let closed = state.assignment.policy.windows.closed_until(snapshot.now);
    closed.map_or(Ok(()), |opens| Err(WaitingOn::WindowClosed { opens }))
}

/// A time later by a duration; the end of time where that cannot be written.
fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
