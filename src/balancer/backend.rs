//! One backend: its address, its health, and the connections kept open to it. IO.
//!
//! It knows exactly what became of a request that got no answer, because that decides whether it may
//! be sent again: never written at all, or written at least in part.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{Either, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::health::{Health, HealthCheck};

/// Idle connections kept per backend; more than the requests a backend usually has open at a time would
/// only hold file descriptors.
const IDLE_LIMIT: usize = 128;

/// A body on its way to a backend: the client's, or none for a request that may be sent again.
pub(super) type Outgoing = Either<Incoming, Empty<Bytes>>;

/// An open connection that can take one request at a time.
pub(super) type Connection = SendRequest<Outgoing>;

/// Why a backend gave no answer.
pub(super) enum Unanswered {
    /// No connection could be made; nothing was sent.
    Refused(Box<Request<Outgoing>>, &'static str),
    /// Sent at least in part, then the connection ended.
    Lost(hyper::Error),
}

/// A server that answers for one side.
#[derive(Debug)]
pub(super) struct Backend {
    pub(super) address: SocketAddr,
    health: Mutex<Health>,
    idle: Mutex<Vec<Connection>>,
    retired: AtomicBool,
}

impl Backend {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            health: Mutex::new(Health::Unchecked),
            idle: Mutex::new(Vec::new()),
            retired: AtomicBool::new(false),
        }
    }

    /// What is known about it.
    pub(super) fn health(&self) -> Health {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a check into account; whether that changed if it is usable.
    pub(super) fn checked(&self, passed: bool, check: &HealthCheck) -> bool {
        self.turn(|health| health.after_check(passed, check))
    }

    /// Takes a refused connection into account; whether that changed if it is usable.
    pub(super) fn refused(&self) -> bool {
        self.clear();
        self.turn(Health::after_refusal)
    }

    /// Closes idle connections and keeps no further ones; open requests are still answered.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        self.clear();
    }

    /// Sends the request on an idle connection, or on a new one where none is left or the one taken had
    /// been closed by the backend before anything was written to it.
    pub(super) async fn send(
        &self,
        mut request: Request<Outgoing>,
        connect_timeout: Duration,
    ) -> Result<(Response<Incoming>, Connection), Unanswered> {
        while let Some(mut connection) = self.take().await {
            match connection.try_send_request(request).await {
                Ok(response) => return Ok((response, connection)),
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(Unanswered::Lost(failed.into_error())),
                },
            }
        }
        let mut connection = match connect(self.address, connect_timeout).await {
            Ok(connection) => connection,
            Err(reason) => return Err(Unanswered::Refused(Box::new(request), reason)),
        };
        match connection.try_send_request(request).await {
            Ok(response) => Ok((response, connection)),
            Err(mut failed) => Err(match failed.take_message() {
                Some(unsent) => {
                    Unanswered::Refused(Box::new(unsent), "closed the connection before the request was written")
                }
                None => Unanswered::Lost(failed.into_error()),
            }),
        }
    }

    /// Keeps a connection whose last answer was read to its end.
    pub(super) fn keep(&self, connection: Connection) {
        if connection.is_closed() || self.retired.load(Ordering::Acquire) {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_LIMIT {
            idle.push(connection);
        }
    }

    /// The idle connection used last, which is the least likely to have been closed by the backend.
    async fn take(&self) -> Option<Connection> {
        loop {
            let mut connection = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if connection.ready().await.is_ok() {
                return Some(connection);
            }
        }
    }

    fn clear(&self) {
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        drop(idle);
    }

    fn turn(&self, next: impl FnOnce(Health) -> Health) -> bool {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *health;
        *health = next(before);
        before.is_up() != health.is_up() || before.is_unchecked() != health.is_unchecked()
    }
}

async fn connect(address: SocketAddr, timeout: Duration) -> Result<Connection, &'static str> {
    let opening = async {
        let stream = TcpStream::connect(address).await.map_err(|_| "refused the connection")?;
        stream.set_nodelay(true).map_err(|_| "closed the connection at once")?;
        http1::handshake(TokioIo::new(stream)).await.map_err(|_| "closed the connection at once")
    };
    let (sender, connection) =
        tokio::time::timeout(timeout, opening).await.map_err(|_| "accepted no connection in time")??;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%address, %error, "a connection to a backend ended early");
        }
    });
    Ok(sender)
}
