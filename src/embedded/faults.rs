//! Faults injected for tests: into the API server's answers, and into the pods'. IO (shared state).

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What goes wrong in every pod of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// This fraction of the requests, `0.0..=1.0`, is answered with 500, evenly spread.
    ErrorRate(f64),
    /// Every request is answered this much later.
    Slow(Duration),
}

/// What a client asks of the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// One object.
    Get,
    /// A collection.
    List,
    /// Changes of a collection.
    Watch,
    /// A new object.
    Create,
    /// A replaced object.
    Update,
    /// A changed or applied object.
    Patch,
    /// An object or a collection gone.
    Delete,
}

/// What happens to a request that a fault was meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// It is refused with this HTTP status, and not done.
    Refuse(u16),
    /// It is done, and the connection breaks before the answer.
    LoseAnswer,
    /// It is done this much later.
    Delay(Duration),
    /// It is refused with 429, and not wanted again within so many seconds.
    Throttle(u64),
    /// It is done, and the connection breaks in the middle of the answer.
    HalfAnswer,
    /// It is done, and right after the server forgets all history.
    Compact,
}

/// A mishap for some of the requests to the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiFault {
    /// Only requests of this verb; all where none is given.
    pub verb: Option<Verb>,
    /// Only requests for this plural, such as `deployments`; all where none is given.
    pub plural: Option<String>,
    /// What happens to them.
    pub mishap: Mishap,
}

impl ApiFault {
    /// A mishap for any request.
    pub const fn any(mishap: Mishap) -> Self {
        Self { verb: None, plural: None, mishap }
    }

    /// The same for requests of one verb.
    pub fn on(self, verb: Verb) -> Self {
        Self { verb: Some(verb), ..self }
    }

    /// The same for requests of one plural.
    pub fn of(self, plural: impl Into<String>) -> Self {
        Self { plural: Some(plural.into()), ..self }
    }
}

/// Faults waiting for the requests they are meant for.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<Vec<(u32, ApiFault)>>);

impl Faults {
    /// Lets the next `times` matching requests meet the fault.
    pub(super) fn inject(&self, times: u32, fault: ApiFault) {
        self.lock().push((times, fault));
    }

    /// The mishap of this request, if one waits for it; the oldest fault first.
    pub(super) fn take(&self, verb: Verb, plural: &str) -> Option<Mishap> {
        let mut faults = self.lock();
        faults.retain(|(times, _)| *times > 0);
        let matching = faults.iter_mut().find(|(_, fault)| {
            fault.verb.is_none_or(|wanted| wanted == verb)
                && fault.plural.as_ref().is_none_or(|wanted| wanted == plural)
        });
        matching.map(|(times, fault)| {
            *times -= 1;
            fault.mishap
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(u32, ApiFault)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_meets_only_what_it_is_meant_for_and_ends() {
        let faults = Faults::default();
        faults.inject(2, ApiFault::any(Mishap::Refuse(503)).on(Verb::Patch).of("deployments"));
        assert_eq!(faults.take(Verb::Get, "deployments"), None);
        assert_eq!(faults.take(Verb::Patch, "services"), None);
        for expected in [Some(Mishap::Refuse(503)), Some(Mishap::Refuse(503)), None] {
            assert_eq!(faults.take(Verb::Patch, "deployments"), expected);
        }
    }
}
