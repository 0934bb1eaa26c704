//! The backends of one side, those of them that are usable, and the side's counters. IO.
//!
//! Usable are those that are up, or where none is, those not checked yet: when every pod of a side is
//! replaced at once, a request is better tried on a new one than sent to the wrong side. Requests read
//! only that list, which is replaced as a whole when a backend comes, goes, fails or recovers; so the hot
//! path takes one short read lock and rotation is exactly fair.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use super::Counters;
use super::backend::Backend;
use super::health::{Health, HealthCheck, probe};

/// One side's backends and counts.
#[derive(Debug)]
pub(super) struct Members {
    check: HealthCheck,
    all: Mutex<Vec<Member>>,
    usable: RwLock<Arc<[Arc<Backend>]>>,
    up_count: watch::Sender<usize>,
    cursor: AtomicUsize,
    drained: AtomicBool,
    in_flight: AtomicU64,
    idle: Notify,
    pub(super) tally: Tally,
}

/// Counts that only grow.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) requests: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) spilled: AtomicU64,
    pub(super) retried: AtomicU64,
    pub(super) abandoned: AtomicU64,
}

/// A backend and the task that checks it; dropping it ends both.
#[derive(Debug)]
struct Member {
    backend: Arc<Backend>,
    checking: AbortHandle,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.checking.abort();
        self.backend.retire();
    }
}

impl Members {
    pub(super) fn new(check: HealthCheck) -> Self {
        Self {
            check,
            all: Mutex::default(),
            usable: RwLock::new(Arc::from([])),
            up_count: watch::Sender::new(0),
            cursor: AtomicUsize::new(0),
            drained: AtomicBool::new(false),
            in_flight: AtomicU64::new(0),
            idle: Notify::new(),
            tally: Tally::default(),
        }
    }

    /// Makes the backends exactly these; those that stay keep their health and connections.
    pub(super) fn set(self: &Arc<Self>, addresses: &BTreeSet<SocketAddr>) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|member| addresses.contains(&member.backend.address));
        let known: BTreeSet<SocketAddr> = all.iter().map(|member| member.backend.address).collect();
        for address in addresses.difference(&known) {
            let backend = Arc::new(Backend::new(*address));
            let checking = tokio::spawn(keep_checking(Arc::downgrade(self), Arc::clone(&backend))).abort_handle();
            all.push(Member { backend, checking });
        }
        self.publish(&all);
    }

    /// The next usable backend, in rotation, with the request counted in; `None` while the side is drained or has none.
    pub(super) fn next(self: &Arc<Self>) -> Option<(InFlight, Arc<Backend>)> {
        // Counted in before the look at `drained`, so that a drain either waits for the request or stops it.
        let in_flight = self.enter();
        if self.drained.load(Ordering::SeqCst) {
            return None;
        }
        let usable = Arc::clone(&self.usable.read().unwrap_or_else(PoisonError::into_inner));
        let turn = self.cursor.fetch_add(1, Ordering::Relaxed);
        let backend = turn.checked_rem(usable.len()).and_then(|index| usable.get(index))?;
        Some((in_flight, Arc::clone(backend)))
    }

    /// Takes a backend that refused a connection out of rotation.
    pub(super) fn eject(&self, backend: &Backend) {
        if backend.refused() {
            self.refresh();
        }
    }

    /// Whether the side is closed to new requests.
    pub(super) fn is_drained(&self) -> bool {
        self.drained.load(Ordering::Acquire)
    }

    /// Opens or closes the side to new requests.
    pub(super) fn set_drained(&self, drained: bool) {
        self.drained.store(drained, Ordering::SeqCst);
    }

    /// Completes once nothing is in flight.
    pub(super) async fn idle(&self) {
        loop {
            let idle = self.idle.notified();
            if self.in_flight() == 0 {
                return;
            }
            idle.await;
        }
    }

    /// Completes once at least `count` backends are up.
    pub(super) async fn at_least_up(&self, count: usize) {
        // The sender lives in `self`, so waiting cannot end without the count.
        let _ = self.up_count.subscribe().wait_for(|up| *up >= count).await;
    }

    /// Requests being answered now.
    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// Counts a request in until the guard is dropped.
    fn enter(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        InFlight(Arc::clone(self))
    }

    /// Every count at this moment.
    pub(super) fn counters(&self) -> Counters {
        let Tally { requests, failed, spilled, retried, abandoned } = &self.tally;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counters {
            requests: read(requests),
            failed: read(failed),
            spilled: read(spilled),
            retried: read(retried),
            abandoned: read(abandoned),
            in_flight: self.in_flight(),
            backends: self.all.lock().unwrap_or_else(PoisonError::into_inner).len(),
            healthy: *self.up_count.borrow(),
        }
    }

    /// Ends every check and closes idle connections.
    pub(super) fn clear(&self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.clear();
        self.publish(&all);
    }

    fn refresh(&self) {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        self.publish(&all);
    }

    fn publish(&self, all: &[Member]) {
        let those = |wanted: fn(Health) -> bool| -> Arc<[_]> {
            all.iter().map(|member| &member.backend).filter(|backend| wanted(backend.health())).cloned().collect()
        };
        let up = those(Health::is_up);
        let count = up.len();
        let usable = if up.is_empty() { those(Health::is_unchecked) } else { up };
        *self.usable.write().unwrap_or_else(PoisonError::into_inner) = usable;
        self.up_count.send_replace(count);
    }
}

/// One request being answered by a side.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Members>);

impl InFlight {
    /// The counters of the side that answers.
    pub(super) fn tally(&self) -> &Tally {
        &self.0.tally
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.0.in_flight.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

async fn keep_checking(members: Weak<Members>, backend: Arc<Backend>) {
    let Some(check) = members.upgrade().map(|members| members.check.clone()) else { return };
    let mut turns = tokio::time::interval(check.interval);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        let passed = probe(backend.address, &check).await;
        let Some(members) = members.upgrade() else { return };
        if backend.checked(passed, &check) {
            let state = if passed { "up" } else { "down" };
            tracing::info!(backend = %backend.address, state, "a backend changed its health");
            members.refresh();
        }
    }
}
