//! Connections that went over to another protocol, as WebSocket does: bytes both ways until both ends are through. IO.
//!
//! Such a connection counts as one request of the side that took it, in flight for as long as it lasts: a drain waits for it.

use std::sync::{Mutex, PoisonError};

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

use super::members::InFlight;

/// All that are open; dropping them cuts them.
#[derive(Debug, Default)]
pub(super) struct Tunnels(Mutex<JoinSet<()>>);

impl Tunnels {
    /// Relays between a client and the backend that agreed, once both have gone over.
    pub(super) fn open(&self, client: OnUpgrade, backend: OnUpgrade, in_flight: Option<InFlight>) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while open.try_join_next().is_some() {}
        open.spawn(async move {
            let _in_flight = in_flight;
            match tokio::try_join!(client, backend) {
                Ok((client, backend)) => relay(client, backend).await,
                Err(error) => tracing::debug!(%error, "a connection did not go over to another protocol"),
            }
        });
    }

    /// Ends those that are still open, and says how many they were.
    pub(super) fn cut(&self) -> usize {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while open.try_join_next().is_some() {}
        let cut = open.len();
        open.abort_all();
        cut
    }
}

/// An end that has said all it had to may still listen.
async fn relay(client: Upgraded, backend: Upgraded) {
    let (mut client, mut backend) = (TokioIo::new(client), TokioIo::new(backend));
    if let Err(error) = tokio::io::copy_bidirectional(&mut client, &mut backend).await {
        tracing::debug!(%error, "a connection of another protocol ended early");
    }
}
