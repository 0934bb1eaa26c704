//! One state of the whole: the disk, the two controllers, the plane, the clusters and a person. PURE.

use jiff::Timestamp;

use super::Bounds;
use super::sight::{Sight, Tried};
use crate::migration::state::Phase;
use crate::migration::{Command, Request};
use crate::policy::Weight;
use crate::simulate::promise::{Broken, Promise, hold};

/// What a person asked for, with a number that tells it from what was asked before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Letter {
    Abort(u8),
    Commit(u8),
}

impl Letter {
    pub fn command(self, at: Timestamp) -> Command {
        let (id, request) = match self {
            Self::Abort(id) => (id, Request::Abort { why: "enough".to_owned() }),
            Self::Commit(id) => (id, Request::Commit),
        };
        Command { id: id.to_string(), at, by: "ada".to_owned(), request }
    }
}

/// The number of the last letter: no other has it.
const LAST: u8 = u8::MAX;

/// How far a controller is with its pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Process {
    /// It is about to look.
    Idle { state: usize, tried: Option<Tried> },
    /// It has decided something that has to be recorded first, perhaps on seeing that what was told the plane has arrived.
    Decided { decision: usize, arrived: bool },
    /// It carries out what it decided.
    Acting { state: usize, tried: Tried },
}

impl Process {
    /// It begins with what is on disk.
    pub fn started(disk: usize) -> Self {
        Self::Idle { state: disk, tried: None }
    }
}

/// What was recorded to be written to the plane since it was last read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Left {
    pub low: Weight,
    pub high: Weight,
    /// The newest of it.
    pub told: Weight,
}

impl Left {
    pub fn at(weight: Weight) -> Self {
        Self { low: weight, high: weight, told: weight }
    }

    pub fn explains(self, weight: Weight) -> bool {
        weight.is_between(self.low, self.high)
    }

    pub fn tell(&mut self, weight: Weight) {
        *self = Self { low: self.low.min(weight), high: self.high.max(weight), told: weight };
    }
}

/// One state of the whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub disk: usize,
    pub leader: Option<Process>,
    pub former: Option<Process>,
    pub shown: Weight,
    /// Writes on their way to the plane, in the order in which they were sent.
    pub flying: Vec<Weight>,
    /// Somebody else wrote what the plane shows.
    pub foreign: bool,
    /// The plane's weight as it was recorded before the first write.
    pub origin: Option<Weight>,
    pub left: Left,
    pub drained: bool,
    pub applied: bool,
    pub shrunk: bool,
    pub bad: bool,
    pub jumped: u8,
    pub letter: Option<Letter>,
    /// What may still go wrong.
    pub budget: Bounds,
}

impl Node {
    pub fn first(disk: usize, budget: Bounds) -> Self {
        Self {
            disk,
            leader: None,
            former: None,
            shown: Weight::ZERO,
            flying: Vec::new(),
            foreign: false,
            origin: None,
            left: Left::at(Weight::ZERO),
            drained: false,
            applied: false,
            shrunk: false,
            bad: false,
            jumped: 0,
            letter: None,
            budget,
        }
    }

    pub fn sight(&self, tried: Option<Tried>) -> Sight {
        let Self { shown, drained, applied, shrunk, bad, jumped, letter, .. } = *self;
        Sight { shown, drained, applied, shrunk, bad, jumped, letter, tried }
    }

    /// The origin is on disk: whatever the plane shows from now on is of somebody's making.
    pub fn begin_at(&mut self, origin: Weight) {
        (self.origin, self.left, self.foreign) = (Some(origin), Left::at(origin), self.shown != origin);
    }

    /// A write reaches the plane.
    pub fn land(&mut self, weight: Weight) {
        (self.shown, self.foreign) = (weight, false);
    }

    /// A write is sent: it is done at once, or as soon as it lands. None overtakes another.
    pub fn send(&mut self, weight: Weight, late: bool) {
        if late || !self.flying.is_empty() {
            self.flying.push(weight);
            // The same twice in a row comes to the same.
            self.flying.dedup();
        } else {
            self.land(weight);
        }
    }

    /// What the plane shows once everything has landed.
    fn finally(&self) -> Weight {
        self.flying.last().copied().unwrap_or(self.shown)
    }

    /// Promises 1, 3 and 4, as far as they can be seen at one moment.
    pub fn hold(&self, phase: &Phase) -> Result<(), Broken> {
        let Some(origin) = self.origin else { return Ok(()) };
        let ours = self.flying.iter().copied().chain((!self.foreign).then_some(self.shown));
        let strange = ours.into_iter().find(|weight| !self.left.explains(*weight));
        hold(strange.is_none(), Promise::StepByStep, || {
            format!("the plane is at {} by a write that nobody recorded", strange.unwrap_or_default())
        })?;
        let whole = !self.drained && !self.shrunk;
        hold(whole || is_committed(phase), Promise::SourceKept, || {
            format!("the source is let go while it is {}", phase.name())
        })?;
        let back = self.foreign || self.finally() == origin;
        hold(back || !matches!(phase, Phase::RolledBack { .. }), Promise::WayBack, || {
            format!("the plane goes to {} after the end", self.finally())
        })
    }

    /// The same with nobody there and nothing to go wrong any more.
    pub fn abandoned(&self) -> Self {
        let nothing = Bounds { crashes: 0, takeovers: 0, lost: 0, late: 0, drifts: 0, faults: 0, asks: 0, jumps: 0 };
        Self { leader: None, former: None, bad: false, letter: None, budget: nothing, ..self.clone() }
    }

    /// Everything lands, and a person asks to go back; after a commit that person puts the plane to the target, whatever it shows.
    pub fn prepare_to_end(&mut self, committed: bool) {
        for weight in std::mem::take(&mut self.flying) {
            self.land(weight);
        }
        if committed {
            self.land(Weight::FULL);
        }
        self.letter = (!committed).then_some(Letter::Abort(LAST));
    }
}

/// Whether there is no way back any more.
pub(super) fn is_committed(phase: &Phase) -> bool {
    matches!(phase, Phase::Committing { .. } | Phase::Completed { .. })
}
