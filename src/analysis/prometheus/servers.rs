//! Every server that this process asks: one client each, and one pool of connections, however many migrations ask it. IO.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::keyring::{Empty, Keyring};
use super::{Inner, Prometheus, PrometheusError};
use crate::policy::{Assignment, Name, PrometheusSpec};
use crate::telemetry::durations::Durations;

/// Clones share everything.
#[derive(Clone)]
pub struct Servers {
    keyring: Arc<dyn Keyring>,
    known: Arc<Mutex<HashMap<Account, Weak<Inner>>>>,
    /// How long they were waited for.
    durations: Durations,
}

/// A server and, where it takes a Secret to be let in, the namespace that has it.
type Account = (PrometheusSpec, Option<Name>);

impl Servers {
    /// Nobody is asked yet.
    pub fn new(keyring: impl Keyring + 'static) -> Self {
        Self { keyring: Arc::new(keyring), known: Arc::default(), durations: Durations::default() }
    }

    /// The same, with every wait for an answer counted there.
    pub fn measured(self, durations: &Durations) -> Self {
        Self { durations: durations.clone(), ..self }
    }

    /// Only those that let everybody in.
    pub fn open() -> Self {
        Self::new(Empty)
    }

    /// The server of a policy, where it has one. Contacts nobody.
    pub fn of(&self, assignment: &Assignment) -> Result<Option<Prometheus>, PrometheusError> {
        let Some(spec) = &assignment.policy.analysis.prometheus else { return Ok(None) };
        let namespace = &assignment.migration.namespace;
        let account = (spec.clone(), Some(namespace.clone()).filter(|_| !spec.places().is_empty()));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(inner) = known.get(&account).and_then(Weak::upgrade) {
            return Ok(Some(Prometheus(inner)));
        }
        let made = Prometheus::measured(spec, namespace, Arc::clone(&self.keyring), self.durations.clone())?;
        known.retain(|_, inner| inner.strong_count() > 0);
        known.insert(account, Arc::downgrade(&made.0));
        Ok(Some(made))
    }
}
