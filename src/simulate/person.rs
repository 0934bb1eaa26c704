//! The person a migration waits for: does what it asks for, sooner or later. PURE.

use super::case::{Moment, NEVER, Setting, Wish};
use super::world::World;
use crate::migration::WaitingOn;

/// What is to be done, and when.
#[derive(Debug)]
pub(super) struct Person {
    reaction: Moment,
    mends: bool,
    errand: Option<(Moment, Errand)>,
}

/// What a person does about a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errand {
    /// Says something.
    Say(Wish),
    /// Puts planes back to what Crossfade left there.
    Mend,
}

impl Person {
    pub fn new(setting: &Setting) -> Self {
        Self { reaction: setting.reaction, mends: setting.mends, errand: None }
    }

    /// Sees what the migration waits for.
    pub fn see(&mut self, waiting: Option<&WaitingOn>, now: Moment) {
        let wanted = match waiting {
            Some(WaitingOn::Approval) => Some(Errand::Say(Wish::Approve)),
            Some(WaitingOn::PauseStep { until: None } | WaitingOn::Paused { .. }) => Some(Errand::Say(Wish::Resume)),
            Some(WaitingOn::Commit) => Some(Errand::Say(Wish::Commit)),
            Some(WaitingOn::Drift { .. }) if self.mends => Some(Errand::Mend),
            Some(WaitingOn::Drift { .. }) => Some(Errand::Say(Wish::Abort)),
            _ => None,
        };
        let begun = self.errand.filter(|(_, errand)| Some(*errand) == wanted);
        self.errand = begun.or(wanted.map(|errand| (now + self.reaction, errand)));
    }

    /// When it is time.
    pub fn next(&self) -> Moment {
        self.errand.map_or(NEVER, |(at, _)| at)
    }

    /// Does it, if it is time.
    pub fn act(&mut self, world: &mut World<'_>) -> Option<Errand> {
        let (_, errand) = self.errand.filter(|(at, _)| *at <= world.now)?;
        self.errand = None;
        // After a commit there is no way back; then the plane is put back after all.
        self.mends |= errand == Errand::Say(Wish::Abort);
        match errand {
            Errand::Say(wish) => world.ask(wish),
            Errand::Mend => world.mend(),
        }
        Some(errand)
    }
}
