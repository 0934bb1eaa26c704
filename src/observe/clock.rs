//! The only place that asks for the time.

use std::time::Instant;

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

    /// The time.
    pub fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.start.elapsed()).unwrap_or(SignedDuration::MAX);
        self.wall.checked_add(passed).unwrap_or(Timestamp::MAX)
    }
}
