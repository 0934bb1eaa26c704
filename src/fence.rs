//! Whether this process may still write. IO: asks the clocks.
//!
//! Whoever drives a migration holds something that keeps others from driving it: the lock on its directory, which ends with
//! the process, or a lease, which ends by itself. A process that is frozen past the end of its lease does not know; so
//! everything outward asks its [`Fence`] right before it is sent, whether the lease lasts longer than the write may take.
//!
//! Between asking and sending a process can still be frozen. Each driver says how it closes that gap: HAProxy's by a
//! connection that HAProxy itself ends first (`plane::haproxy`), the records in the home cluster by the epoch they carry.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::observe::clock::Moment;

/// This process may not write any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nothing was written, because this process may not lead any more")]
pub struct Fenced;

/// The right to write, asked for right before every write.
#[derive(Debug, Clone)]
pub struct Fence(Option<Arc<Term>>);

impl Fence {
    /// Of a process that holds a lock of this machine: nobody else can write while it lives.
    pub fn lock() -> Self {
        Self(None)
    }

    /// Of a process that holds a lease.
    pub fn lease(term: Arc<Term>) -> Self {
        Self(Some(term))
    }

    /// Whether a write that takes as long as `takes` ends before anybody else may write.
    pub fn check(&self, takes: Duration) -> Result<(), Fenced> {
        match &self.0 {
            Some(term) if term.left() <= takes => Err(Fenced),
            _ => Ok(()),
        }
    }
}

/// The time until which a lease certainly lasts. Its holder extends it.
#[derive(Debug, Default)]
pub struct Term(Mutex<Option<(Moment, Duration)>>);

impl Term {
    /// It lasts for `duration` from `since`, which is before the renewal was sent: whoever else waits for the lease to end
    /// began to wait after that.
    pub fn extend(&self, since: Moment, duration: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((since, duration));
    }

    /// It ends now.
    pub fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// How long it lasts from now on.
    pub fn left(&self) -> Duration {
        let term = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        term.map_or(Duration::ZERO, |(since, duration)| duration.saturating_sub(since.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_must_end_before_the_lease_does() {
        let term = Arc::new(Term::default());
        let fence = Fence::lease(Arc::clone(&term));
        assert_eq!(fence.check(Duration::ZERO), Err(Fenced), "nothing was granted yet");
        term.extend(Moment::now(), Duration::from_secs(3600));
        assert_eq!(fence.check(Duration::from_secs(2)), Ok(()));
        assert_eq!(fence.check(Duration::from_secs(3600)), Err(Fenced));
        term.end();
        assert_eq!(fence.check(Duration::ZERO), Err(Fenced));
        assert_eq!(Fence::lock().check(Duration::MAX), Ok(()));
    }
}
