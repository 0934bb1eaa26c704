//! How long something took, in classes that Prometheus can add up. PURE: whoever measures says how long.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper ends of the classes, in seconds: from a query of one series nearby to the longest wait that may be asked for.
pub const CLASSES: [f64; 8] = [0.005, 0.02, 0.1, 0.5, 1.0, 2.0, 5.0, 30.0];

/// A histogram. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Durations(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    classes: [AtomicU64; CLASSES.len()],
    all: AtomicU64,
    failed: AtomicU64,
    microseconds: AtomicU64,
}

/// What was counted until now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counted {
    /// Those up to each upper end.
    pub up_to: [u64; CLASSES.len()],
    /// All.
    pub all: u64,
    /// Those without a usable answer.
    pub failed: u64,
    /// Seconds of all together.
    pub seconds: f64,
}

impl Durations {
    /// Takes in one that took so long, and whether it went well.
    pub fn took(&self, long: Duration, well: bool) {
        let counts = &*self.0;
        for (class, _) in counts.classes.iter().zip(CLASSES).filter(|(_, end)| long.as_secs_f64() <= *end) {
            class.fetch_add(1, Ordering::Relaxed);
        }
        counts.all.fetch_add(1, Ordering::Relaxed);
        counts.failed.fetch_add(u64::from(!well), Ordering::Relaxed);
        counts.microseconds.fetch_add(u64::try_from(long.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// What was counted.
    pub fn counted(&self) -> Counted {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counts { classes, all, failed, microseconds } = &*self.0;
        Counted {
            up_to: classes.each_ref().map(read),
            all: read(all),
            failed: read(failed),
            seconds: read(microseconds) as f64 / 1e6,
        }
    }
}
