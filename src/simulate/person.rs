//! The person a migration waits for: does what it asks for, sooner or later. PURE.

use super::case::{Moment, NEVER, Setting, Wish};
use super::world::World;
use crate::migration::WaitingOn;

/// What is to be done, and when.
#[derive(Debug)]
pub(super) struct Person {
    reaction: Moment,
    mends: bool,
    deed: Option<(Moment, Deed)>,
}

/// What a person does about a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// Says something.
    Say(Wish),
    /// Puts planes back to what Crossfade left there.
    Mend,
}

impl Person {
    pub fn new(setting: &Setting) -> Self {
        Self { reaction: setting.reaction, mends: setting.mends, deed: None }
    }

    /// Sees what the migration waits for.
    pub fn see(&mut self, waiting: Option<&WaitingOn>, now: Moment) {
        let wanted = match waiting.map(WaitingOn::plain) {
            Some(WaitingOn::Approval | WaitingOn::DrillLate { .. }) => Some(Deed::Say(Wish::Approve)),
            Some(WaitingOn::PauseStep { until: None } | WaitingOn::Paused { .. }) => Some(Deed::Say(Wish::Resume)),
            Some(WaitingOn::Commit) => Some(Deed::Say(Wish::Commit)),
            Some(WaitingOn::Drift { .. }) if self.mends => Some(Deed::Mend),
            Some(WaitingOn::Drift { .. }) => Some(Deed::Say(Wish::Abort)),
            _ => None,
        };
        let begun = self.deed.filter(|(_, deed)| Some(*deed) == wanted);
        self.deed = begun.or(wanted.map(|deed| (now + self.reaction, deed)));
    }

    /// When it is time.
    pub fn next(&self) -> Moment {
        self.deed.map_or(NEVER, |(at, _)| at)
    }

    /// Does it, if it is time.
    pub fn act(&mut self, world: &mut World<'_>) -> Option<Deed> {
        let (_, deed) = self.deed.filter(|(at, _)| *at <= world.now)?;
        self.deed = None;
        // After a commit there is no way back; then the plane is put back after all.
        self.mends |= deed == Deed::Say(Wish::Abort);
        match deed {
            Deed::Say(wish) => world.ask(wish),
            Deed::Mend => world.mend(),
        }
        Some(deed)
    }
}
