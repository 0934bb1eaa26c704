//! The embedded balancer: one listener, two sides, one weight. IO.
//!
//! It splits HTTP/1.1 requests between source and target by the target's weight (`pick`, exact at every
//! prefix), then rotates over the backends of the side that are up (`members`, `health`), and loses no
//! request that can be saved (`forward`). It refuses to guess: a weight changes only for someone who
//! knows the present one, and a request that neither side can serve gets a 503 that says why. A connection that goes over to another protocol
//! is relayed and in flight to its end (`tunnel`); CONNECT is refused.
//!
//! Zero: at weight 0 % the split sends the target nothing, but the target still helps out when the
//! source has no backend that is up. [`Balancer::drain`] closes a side to that as well.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::service::service_fn;
use tokio::net::TcpListener;

use crate::listener::{self, Serving};
use crate::observe::clock::Moment;
use crate::policy::Weight;

mod backend;
mod forward;
mod headers;
mod health;
mod members;
mod pick;
mod tunnel;

#[cfg(test)]
mod tests;

pub use health::HealthCheck;
pub use pick::{Side, Split};

use backend::Backend;
use members::{InFlight, Members};
use tunnel::Tunnels;

/// How a balancer works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How backends are checked.
    pub health: HealthCheck,
    /// Longest time a connection to a backend may take to open.
    pub connect_timeout: Duration,
    /// Longest time from choosing a backend to the head of its answer, the client's upload included.
    pub response_timeout: Duration,
}

impl Config {
    /// Listens on `listen`; connections open within a second, answers begin within thirty.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            health: HealthCheck::default(),
            connect_timeout: Duration::from_secs(1),
            response_timeout: Duration::from_secs(30),
        }
    }
}

/// What one side did since the start, and how it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Counters {
    /// Requests that arrived at this side and were settled: answered, or failed for good. Those the
    /// weight gave to this side while neither side could serve them are among them.
    pub requests: u64,
    /// Of these, the ones answered with 5xx, cut off, or not answered at all.
    pub failed: u64,
    /// Of `requests`, the ones the weight had given to the other side, which could not serve them.
    pub spilled: u64,
    /// Sends that were repeated on another connection or backend; not part of `requests`.
    pub retried: u64,
    /// Requests whose client left before there was an answer; not part of `requests`.
    pub abandoned: u64,
    /// Requests being answered now.
    pub in_flight: u64,
    /// Backends of the side.
    pub backends: usize,
    /// Backends that take requests.
    pub healthy: usize,
}

/// A conditional change that did not apply, because the weight was another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the weight is {current}, not the expected {expected}")]
pub struct Changed {
    /// The weight the caller expected.
    pub expected: Weight,
    /// The weight that was found and left as it is.
    pub current: Weight,
}

/// A running balancer; clones are handles of the same one.
#[derive(Debug, Clone)]
pub struct Balancer {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: Arc<Mutex<Option<Serving>>>,
}

/// What requests and handles share.
#[derive(Debug)]
struct Shared {
    config: Config,
    split: AtomicU32,
    source: Arc<Members>,
    target: Arc<Members>,
    tunnels: Tunnels,
}

impl Balancer {
    /// Starts listening, with everything on the source and no backends yet.
    pub async fn start(config: Config) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        let members = || Arc::new(Members::new(config.health.clone()));
        let (source, target) = (members(), members());
        let split = AtomicU32::new(Split::new(Weight::ZERO).to_bits());
        let shared = Arc::new(Shared { config, split, source, target, tunnels: Tunnels::default() });
        let service_for = {
            let shared = Arc::clone(&shared);
            move |peer| {
                let shared = Arc::clone(&shared);
                service_fn(move |request| {
                    let shared = Arc::clone(&shared);
                    async move { Ok::<_, Infallible>(forward::forward(shared, request, peer).await) }
                })
            }
        };
        let serving = listener::serve(listener, service_for)?;
        Ok(Self { address: serving.address(), shared, serving: Arc::new(Mutex::new(Some(serving))) })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes the side's backends exactly these; needs a Tokio runtime around it. New ones take requests once a check has passed; open
    /// requests of those that go are still answered.
    pub fn set_backends(&self, side: Side, addresses: impl IntoIterator<Item = SocketAddr>) {
        let addresses: BTreeSet<SocketAddr> = addresses.into_iter().collect();
        self.shared.members(side).set(&addresses);
    }

    /// The target's share.
    pub fn weight(&self) -> Weight {
        Split::from_bits(self.shared.split.load(Ordering::Acquire)).weight()
    }

    /// Sets the target's share from the next request on, if it is still `expected`.
    pub fn set_weight(&self, expected: Weight, to: Weight) -> Result<(), Changed> {
        let change = |bits| {
            let split = Split::from_bits(bits);
            (split.weight() == expected).then(|| split.with_weight(to).to_bits())
        };
        match self.shared.split.fetch_update(Ordering::AcqRel, Ordering::Acquire, change) {
            Ok(_) => Ok(()),
            Err(bits) => Err(Changed { expected, current: Split::from_bits(bits).weight() }),
        }
    }

    /// Closes the side to new requests, whatever the weight and however the other side fares, and
    /// completes once none is in flight there. Until [`admit`](Self::admit), the other side serves all.
    pub async fn drain(&self, side: Side) {
        self.close(side);
        self.shared.members(side).idle().await;
    }

    /// Like [`drain`](Self::drain), without waiting for what is in flight.
    pub fn close(&self, side: Side) {
        self.shared.members(side).set_drained(true);
    }

    /// Whether the side is closed to new requests.
    pub fn is_drained(&self, side: Side) -> bool {
        self.shared.members(side).is_drained()
    }

    /// Opens a drained side again.
    pub fn admit(&self, side: Side) {
        self.shared.members(side).set_drained(false);
    }

    /// Requests the side is answering now.
    pub fn in_flight(&self, side: Side) -> u64 {
        self.shared.members(side).in_flight()
    }

    /// What the side did since the start.
    pub fn counters(&self, side: Side) -> Counters {
        self.shared.members(side).counters()
    }

    /// Completes once at least `count` backends of the side take requests.
    pub async fn until_healthy(&self, side: Side, count: usize) {
        self.shared.members(side).at_least_up(count).await;
    }

    /// Stops accepting, answers what is open, and cuts what lasts past `deadline`; for all handles.
    pub async fn shutdown(self, deadline: Duration) {
        let began = Moment::now();
        let serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(serving) = serving {
            serving.drain(deadline).await;
        }
        let idle = async {
            for side in Side::BOTH {
                self.shared.members(side).idle().await;
            }
        };
        if tokio::time::timeout(deadline.saturating_sub(began.elapsed()), idle).await.is_err() {
            let cut = self.shared.tunnels.cut();
            tracing::warn!(cut, "connections of another protocol were still open at the deadline and were cut");
        }
        for side in Side::BOTH {
            self.shared.members(side).clear();
        }
    }
}

impl Shared {
    fn members(&self, side: Side) -> &Arc<Members> {
        match side {
            Side::Source => &self.source,
            Side::Target => &self.target,
        }
    }

    /// The side the weight gives the next request to.
    fn next_side(&self) -> Side {
        let mut bits = self.split.load(Ordering::Relaxed);
        loop {
            let (side, after) = Split::from_bits(bits).next();
            match self.split.compare_exchange_weak(bits, after.to_bits(), Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return side,
                Err(current) => bits = current,
            }
        }
    }

    /// A backend of the chosen side, or of the other one where the chosen side has none that is up.
    fn route(&self, chosen: Side) -> Option<(Side, InFlight, Arc<Backend>)> {
        let on = |side: Side| self.members(side).next().map(|(in_flight, backend)| (side, in_flight, backend));
        on(chosen).or_else(|| on(chosen.other()))
    }
}
