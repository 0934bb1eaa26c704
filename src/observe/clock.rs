//! The only place that asks for the time.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
// The same as the standard one, but tests can pause it.
use tokio::time::Instant;

/// Wall time that cannot jump: the wall is looked at once, and from then on only time that passed is added. A clock that is
/// set back or forth while a migration runs neither shortens a pause nor stretches a deadline.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    wall: Timestamp,
    start: Instant,
    idle: SignedDuration,
}

impl Clock {
    /// A clock that starts now.
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    pub fn start() -> Self {
        Self::at(Timestamp::now())
    }

    /// A clock that shows this time now.
    pub fn at(wall: Timestamp) -> Self {
        Self { wall, start: Instant::now(), idle: SignedDuration::ZERO }
    }

    /// For how long nobody was at work before this process began, by its wall.
    pub fn idle(&self) -> SignedDuration {
        self.idle
    }

    /// The same clock for a process that goes on where another one was last at work, which itself knew of some rest.
    ///
    /// A wall that was set back meanwhile would stretch every pause and deadline by as much, so the clock is never behind what has
    /// been. One that was set forth looks like a long rest; so what has to pass must not have passed while nobody was at work.
    pub fn after(self, work: Option<Timestamp>, rested: SignedDuration) -> Self {
        let Some(work) = work else { return self };
        let rest = self.wall.duration_since(work).max(SignedDuration::ZERO);
        Self { wall: self.wall.max(work), idle: rested.saturating_add(rest), ..self }
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
        self.until(&Self::now())
    }

    fn until(&self, now: &Self) -> Duration {
        let wall = Duration::try_from(now.wall.duration_since(self.wall)).unwrap_or_default();
        wall.max(now.instant.duration_since(self.instant))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn noon() -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(12)
    }

    #[tokio::test(start_paused = true)]
    async fn only_time_that_passed_is_added() {
        let clock = Clock::at(noon());
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(clock.now(), noon() + SignedDuration::from_secs(90));
    }

    #[tokio::test(start_paused = true)]
    async fn a_right_runs_out_by_whichever_clock_ran_further() {
        let since = Moment { wall: noon(), instant: Instant::now() };
        tokio::time::advance(Duration::from_secs(5)).await;
        for (jump, elapsed) in [(0, 5), (-3_600, 5), (3_600, 3_600), (4, 5), (6, 6)] {
            let now = Moment { wall: noon() + SignedDuration::from_secs(jump), instant: Instant::now() };
            assert_eq!(since.until(&now), Duration::from_secs(elapsed), "{jump}");
        }
    }

    proptest! {
        /// However often a wall is set, either way, while nobody is at work: no time of it counts, and none comes twice.
        #[test]
        fn a_wall_that_jumps_between_processes_makes_no_time_pass(jumps in prop::collection::vec(-100_000_i64..100_000, 1..6)) {
            let (mut work, mut wall, mut shift) = (noon(), noon(), SignedDuration::ZERO);
            for jump in jumps {
                wall += SignedDuration::from_secs(jump);
                let clock = Clock::at(wall).after(Some(work), SignedDuration::ZERO);
                prop_assert!(clock.wall >= work, "it is never behind what has been");
                prop_assert_eq!(clock.wall - clock.idle(), work, "what it is ahead is rest");
                shift += clock.idle();
                work = clock.wall;
            }
            prop_assert_eq!(work - shift, noon());
        }
    }
}
