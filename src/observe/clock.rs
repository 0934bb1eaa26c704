//! The only place that asks for the time.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// Wall time that cannot jump: the wall is looked at once, and from then on only time that passed is added. A clock that is
/// set back or forth while a migration runs neither shortens a pause nor stretches a deadline.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    wall: Timestamp,
    start: Instant,
}

impl Clock {
    /// A clock that starts now.
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    pub fn start() -> Self {
        Self { wall: Timestamp::now(), start: Instant::now() }
    }

    /// The same clock, set to a time that has been where it is behind it. A wall that was set back between two processes would
    /// stretch every pause and deadline of the first by as much.
    pub fn not_before(self, been: Option<Timestamp>) -> Self {
        Self { wall: been.map_or(self.wall, |been| self.wall.max(been)), ..self }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.start.elapsed()).unwrap_or(SignedDuration::MAX);
        self.wall.checked_add(passed).unwrap_or(Timestamp::MAX)
    }
}

/// A moment, to say later how long ago it was.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    wall: Timestamp,
    instant: Instant,
}

impl Moment {
    /// This one.
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    pub fn now() -> Self {
        Self { wall: Timestamp::now(), instant: Instant::now() }
    }

    /// How long ago it was, at least by one of two clocks. The steady one stands still while a machine sleeps, and the wall can
    /// be set back; for a right that runs out the later of the two is the safe one.
    pub fn elapsed(&self) -> Duration {
        let now = Self::now();
        let wall = Duration::try_from(now.wall.duration_since(self.wall)).unwrap_or_default();
        wall.max(now.instant.duration_since(self.instant))
    }
}
