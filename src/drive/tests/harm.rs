//! What happens to one action, and what clock the next process finds.

use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::migration::Action;

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// It fails, and nothing was done.
    Fails,
    /// It is done, and the answer is lost.
    AnswerLost,
    /// It fails, and is done after the next look all the same.
    LandsLate,
    /// Its intent cannot be recorded; the next one can.
    Unrecorded,
    /// The process ends right before the record.
    EndsUnrecorded,
    /// The process ends right after the record.
    EndsRecorded,
    /// The process ends once it is done, before its answer is recorded.
    EndsDone,
    /// The process ends once its answer is recorded.
    EndsAnswered,
}

/// When something can happen to an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Its intent is recorded.
    Intended,
    /// It is carried out.
    Done,
    /// Its answer was recorded.
    Answered,
}

impl How {
    pub const ALL: [Self; 8] = [
        Self::Fails,
        Self::AnswerLost,
        Self::LandsLate,
        Self::Unrecorded,
        Self::EndsUnrecorded,
        Self::EndsRecorded,
        Self::EndsDone,
        Self::EndsAnswered,
    ];

    /// What can happen to the record of a decision.
    pub const OF_DECISIONS: [Self; 2] = [Self::EndsUnrecorded, Self::EndsRecorded];

    /// Whether another process has to go on.
    pub fn ends(self) -> bool {
        matches!(self, Self::EndsUnrecorded | Self::EndsRecorded | Self::EndsDone | Self::EndsAnswered)
    }

    fn moment(self) -> Moment {
        match self {
            Self::Unrecorded | Self::EndsUnrecorded => Moment::Intended,
            Self::Fails | Self::AnswerLost | Self::LandsLate | Self::EndsRecorded | Self::EndsDone => Moment::Done,
            Self::EndsAnswered => Moment::Answered,
        }
    }
}

/// The clock on the wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wall {
    /// It is right.
    Right,
    /// It was set back by an hour.
    Back,
    /// It was set forth by an hour.
    Forth,
}

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Wall {
    /// The right time.
    pub fn truth() -> Timestamp {
        let passed = SignedDuration::try_from(BEGAN.elapsed()).unwrap();
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 365) + passed
    }

    /// What it shows.
    pub fn now(self) -> Timestamp {
        let hours = match self {
            Self::Right => 0,
            Self::Back => -1,
            Self::Forth => 1,
        };
        Self::truth() + SignedDuration::from_hours(hours)
    }
}

/// Where it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At the action of this number, counted as they are intended.
    Action(usize),
    /// At the record of this decision, counted from 1.
    Decision(usize),
}

/// Something that happens once, or again when it is repeated.
#[derive(Debug, Clone)]
pub struct Harm {
    pub place: Place,
    pub how: How,
    /// How often: to the action, and then to its repetition.
    pub times: usize,
    /// What the next process finds.
    pub wall: Wall,
    /// The action it happens to, once it was met.
    pub met: Option<Action>,
}

impl Harm {
    pub fn new(place: Place, how: How) -> Self {
        Self { place, how, times: 1, wall: Wall::Right, met: None }
    }

    /// An action is about to be carried out.
    pub fn aim(&mut self, number: usize, action: &Action) {
        if self.place == Place::Action(number) {
            self.met = Some(action.clone());
        }
    }

    /// What happens to an action now.
    pub fn strikes(&mut self, moment: Moment, action: &Action) -> Option<How> {
        let here = self.met.as_ref() == Some(action) && self.times > 0 && self.how.moment() == moment;
        self.times -= usize::from(here);
        here.then_some(self.how)
    }

    /// What happens to the record of a decision.
    pub fn strikes_decision(&mut self, number: usize) -> Option<How> {
        let here = self.place == Place::Decision(number) && self.times > 0;
        self.times -= usize::from(here);
        here.then_some(self.how)
    }
}
