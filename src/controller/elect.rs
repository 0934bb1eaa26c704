//! Being elected, and staying so. IO.
//!
//! A candidate looks at the lease, takes it when it may, and renews it while it leads. What it may write it is told by the
//! [`Term`], which ends by itself where a renewal fails to come: a process that was frozen learns of it at its next write, before
//! it has looked at the lease again.

use std::sync::Arc;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ObjectMeta;

use super::home::{Home, HomeError, Key};
use super::lease::{Bid, Candidate, DURATION, LOOK, RENEW_DEADLINE, RETRY};
use crate::fence::Term;
use crate::migration::snapshot::chain;
use crate::observe::clock::{Clock, Moment};

/// Somebody who would lead, and the term in which it does.
pub struct Elector {
    home: Home,
    key: Key,
    candidate: Candidate,
    clock: Clock,
    term: Arc<Term>,
}

impl Elector {
    /// Somebody who would lead under this name, by the lease `key`.
    pub fn new(home: Home, key: Key, identity: String) -> Self {
        let candidate = Candidate::new(identity);
        Self { home, key, candidate, clock: Clock::start(), term: Arc::default() }
    }

    /// The term in which this process leads.
    pub fn term(&self) -> Arc<Term> {
        Arc::clone(&self.term)
    }

    /// Waits until this process leads.
    pub async fn elected(&mut self) {
        let mut told = None;
        loop {
            match self.bid().await {
                Ok(true) => return tracing::info!(lease = %self.key, identity = self.candidate.identity(), "leads"),
                Ok(false) | Err(HomeError::Conflict(_)) => told = None,
                Err(error) => {
                    let error = chain(&error);
                    if told.as_ref() != Some(&error) {
                        tracing::warn!(%error, "cannot look at the lease");
                        told = Some(error);
                    }
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Renews the lease until that fails for so long that this process has to stop.
    pub async fn deposed(&mut self) {
        let left = |renewed: Moment| RENEW_DEADLINE.saturating_sub(renewed.elapsed());
        let mut renewed = Moment::now();
        loop {
            tokio::time::sleep(RETRY.min(left(renewed))).await;
            let left = left(renewed);
            // Not left to the timeout: a wait of no time is outrun by a server that refuses at once, again and again.
            if left.is_zero() {
                break;
            }
            match tokio::time::timeout(left, self.bid()).await {
                Ok(Ok(true)) => renewed = Moment::now(),
                Ok(Ok(false)) | Err(_) => break,
                Ok(Err(error)) => tracing::warn!(error = chain(&error), "the lease was not renewed"),
            }
        }
        self.term.end();
        tracing::warn!(lease = %self.key, "leads no longer; writes nothing from now on");
    }

    /// Lets the lease go, so that nobody has to wait for it to end.
    pub async fn release(&mut self) {
        self.term.end();
        let Ok(Some(lease)) = self.home.lease(&self.key).await else { return };
        let Some(record) = lease.spec.as_ref().filter(|record| self.candidate.holds(record)) else { return };
        let spec = Some(self.candidate.released(record, self.clock.now()));
        if let Err(error) = self.home.put_lease(&self.key, &Lease { spec, ..lease }).await {
            tracing::warn!(error = chain(&error), "the lease was not let go; it ends by itself");
        }
    }

    /// One look at the lease; whether this process leads afterwards.
    async fn bid(&mut self) -> Result<bool, HomeError> {
        let lease = self.home.lease(&self.key).await?;
        let Bid::Write(spec) = self.candidate.bid(lease.as_ref(), self.clock.now()) else { return Ok(false) };
        let metadata = match lease {
            Some(lease) => lease.metadata,
            None => ObjectMeta {
                name: Some(self.key.name.clone()),
                namespace: Some(self.key.namespace.clone()),
                ..ObjectMeta::default()
            },
        };
        // Before it is sent: whoever waits for it to end begins to wait later than this.
        let sent = Moment::now();
        self.home.put_lease(&self.key, &Lease { metadata, spec: Some(spec) }).await?;
        self.term.extend(sent, DURATION);
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
