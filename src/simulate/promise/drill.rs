//! Drills and the steps of a gradual rollback, as the watcher remembers them. PURE.

use super::{Broken, Promise, Watcher, hold, step_of, weight};
use crate::migration::Decision;
use crate::migration::snapshot::Snapshot;
use crate::migration::state::{Phase, Shifting, Standing, State};
use crate::policy::{Name, RollbackMode, Weight};

/// The step in which a drill was last on its way, and what became of it.
#[derive(Debug, Default)]
pub(super) struct Memory {
    step: Option<usize>,
    home: bool,
    proven: bool,
}

/// Whether the planes are on their way to the origin for a drill.
pub(super) fn is_on(phase: &Phase) -> bool {
    matches!(phase, Phase::Shifting(Shifting { standing: Standing::Drilling(_), .. }))
}

impl Memory {
    /// Remembers what a pass has come to.
    pub(super) fn remember(&mut self, before: &State, decision: &Decision) {
        let phase = &decision.state.phase;
        let Phase::Shifting(shifting) = phase else { return };
        if is_on(phase) {
            *self = Self { step: Some(shifting.step), home: false, proven: false };
        } else if self.step == Some(shifting.step) && self.step == step_of(&before.phase) {
            self.home |= is_on(&before.phase);
            self.proven |= self.home && shifting.standing == Standing::Proven;
        }
    }

    /// Whether a drill of this step has come home.
    pub(super) fn reached_home(&self, step: usize) -> bool {
        self.step == Some(step) && self.home
    }

    /// Whether it was followed by proof that the weight is back.
    pub(super) fn is_proven(&self, step: usize) -> bool {
        self.step == Some(step) && self.proven
    }
}

impl Watcher<'_> {
    /// How the planes may come to stand otherwise within one step.
    pub(super) fn judge_standing(
        &self,
        was: &Shifting,
        is: &Shifting,
        snapshot: &Snapshot,
        decision: &Decision,
    ) -> Result<(), Broken> {
        let number = was.step + 1;
        match (was.standing, is.standing) {
            (Standing::Moving | Standing::Settled(_), Standing::Proven) => {
                let wanted = self.wanted(was.step);
                hold(wanted.is_some(), Promise::Evidence, || format!("step {number} proves a weight it has not got"))?;
                self.judge_evidence(number, wanted.unwrap_or_default(), snapshot)
            }
            (Standing::Drilling(_), Standing::Drilling(since)) => {
                let late = snapshot.now.duration_since(since) > self.policy.rollback.deadline;
                hold(!late || decision.needs_human, Promise::Named, || {
                    "a drill past its deadline asks nobody".to_owned()
                })
            }
            (Standing::Drilling(since), Standing::Moving | Standing::Late(_)) => {
                let home = self.planes.iter().all(|(name, origin, _)| weight(snapshot, name) == Some(*origin));
                hold(home, Promise::WayBack, || {
                    "a drill ended before every plane was read back at its origin".to_owned()
                })?;
                let late = snapshot.now.duration_since(since) > self.policy.rollback.deadline;
                let asks = matches!(is.standing, Standing::Late(_)) && decision.needs_human;
                hold(!late || asks, Promise::Named, || "a drill that came late asks nobody".to_owned())
            }
            (before, Standing::Drilling(_)) => {
                let ready: u32 = snapshot.source.known().map_or(0, |pods| pods.values().map(|pods| pods.ready).sum());
                hold(ready >= self.demand, Promise::Capacity, || {
                    format!("a drill began from {before:?} on a source without its pods")
                })
            }
            _ => Ok(()),
        }
    }

    /// On a gradual way back a plane only goes down, to a weight of the policy that the source can take.
    pub(super) fn judge_descent(&self, plane: &Name, to: Weight, snapshot: &Snapshot) -> Result<(), Broken> {
        let mode = self.policy.rollback.mode;
        let known = mode != RollbackMode::Instant && self.policy.weights().any(|weight| weight == to);
        hold(known, Promise::StepByStep, || format!("{plane} goes back by way of {to}"))?;
        let down = weight(snapshot, plane).is_none_or(|shown| to < shown);
        hold(down, Promise::StepByStep, || format!("{plane} goes up to {to} on the way back"))?;
        let ready: u32 = snapshot.source.known().map_or(0, |pods| pods.values().map(|pods| pods.ready).sum());
        let needed = to.complement().ceil_of(self.demand);
        hold(mode == RollbackMode::Stepped || ready >= needed, Promise::Capacity, || {
            format!("{plane} goes back to {to} with {ready} of the source's {needed} pods ready")
        })
    }
}
