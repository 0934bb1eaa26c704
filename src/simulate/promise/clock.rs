//! Deadlines, by a clock of the watcher's own. PURE.

use jiff::SignedDuration;

use super::{Broken, Promise, Watcher, drill, hold, step_of};
use crate::migration::snapshot::Snapshot;
use crate::migration::state::{Phase, State};
use crate::migration::waiting::Sort;
use crate::migration::{Decision, WaitingOn};

impl Watcher<'_> {
    /// Remembers since when it has been at work: people and times that the policy names do not count.
    pub(super) fn keep_time(&mut self, before: &State, snapshot: &Snapshot, decision: &Decision) {
        let same = is_same(&before.phase, &decision.state.phase);
        let patient = decision.waiting.as_ref().is_some_and(is_patient) || drill::is_on(&decision.state.phase);
        self.at_work = if patient { None } else { self.at_work.filter(|_| same).or(Some(snapshot.now)) };
    }

    /// Whatever stays says why, and not for ever.
    pub(super) fn judge_waits(&self, before: &State, snapshot: &Snapshot, decision: &Decision) -> Result<(), Broken> {
        let after = &decision.state;
        let silent = decision.waiting.is_none() && !after.phase.is_terminal();
        if silent {
            let moves = !after.stands_as(before);
            hold(moves, Promise::Named, || format!("it stays {} and does not say why", after.phase.name()))?;
        }
        self.judge_deadlines(before, snapshot, decision)
    }

    /// Whatever is late goes back, or asks for a person.
    fn judge_deadlines(&self, before: &State, snapshot: &Snapshot, decision: &Decision) -> Result<(), Broken> {
        let (was, is) = (&before.phase, &decision.state.phase);
        let working = is_same(was, is) && !decision.waiting.as_ref().is_none_or(is_patient);
        let late = |deadline| working && self.works_longer_than(deadline, snapshot);
        let asks = decision.needs_human;
        match is {
            Phase::Mirroring { .. } => {
                let late = late(self.policy.mirror_deadline);
                hold(!late, Promise::Named, || "it mirrors past its deadline".to_owned())
            }
            phase if drill::is_on(phase) => Ok(()),
            Phase::Preparing { .. } | Phase::Shifting(_) | Phase::Soaking { .. } => {
                let late = late(self.policy.step_deadline);
                hold(!late || asks, Promise::Named, || "a step past its deadline asks nobody".to_owned())
            }
            Phase::RollingBack { .. } => {
                let since = self.rolling_back.unwrap_or(snapshot.now);
                let late = is_same(was, is) && snapshot.now.duration_since(since) > self.policy.rollback.deadline;
                hold(!late || asks, Promise::Named, || "a rollback past its deadline asks nobody".to_owned())
            }
            Phase::Committing { .. } | Phase::Completed { .. } | Phase::RolledBack { .. } => Ok(()),
        }
    }

    /// Whether it has been at work on one thing for longer than a deadline.
    pub(super) fn works_longer_than(&self, deadline: SignedDuration, snapshot: &Snapshot) -> bool {
        self.at_work.is_some_and(|since| snapshot.now.duration_since(since) > deadline)
    }
}

fn is_same(was: &Phase, is: &Phase) -> bool {
    was.name() == is.name() && step_of(was) == step_of(is)
}

fn is_patient(waiting: &WaitingOn) -> bool {
    waiting.sort() == Sort::Patient
}
