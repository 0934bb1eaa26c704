//! One HTTP/1.1 listener that can be drained. IO.
//!
//! Owns accepting, keep-alive and the end of connections for everything in this program that answers
//! HTTP: the balancer, the embedded API servers and their pods. It refuses to lose a request that it
//! has begun to read: draining stops accepting, closes idle connections and lets the others answer.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Pause after a failed accept. The usual cause is a process out of file descriptors, which the next
/// accept meets again at once; a pause keeps that from eating the core that could close some.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// What a body or a service may fail with.
type BoxError = Box<dyn Error + Send + Sync>;

/// A listener that is serving; dropping it ends everything at once.
#[derive(Debug)]
pub struct Serving {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

/// Serves what `service_for` returns for each peer until the answer is drained or dropped.
pub fn serve<F, S, B>(listener: TcpListener, service_for: F) -> io::Result<Serving>
where
    F: Fn(SocketAddr) -> S + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>, Future: Send> + Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let address = listener.local_addr()?;
    let (stop, stopped) = watch::channel(false);
    let accepting = tokio::spawn(accept(listener, service_for, stopped));
    Ok(Serving { address, stop, accepting })
}

impl Serving {
    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, waits until open requests are answered, and cuts those that last past `deadline`.
    pub async fn drain(mut self, deadline: Duration) {
        self.stop.send_replace(true);
        if tokio::time::timeout(deadline, &mut self.accepting).await.is_err() {
            tracing::warn!(address = %self.address, "connections were still open at the deadline and were cut");
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept<F, S, B>(listener: TcpListener, service_for: F, stopped: watch::Receiver<bool>)
where
    F: Fn(SocketAddr) -> S,
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>, Future: Send> + Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    let mut until = pin!(wait_until_stopped(stopped.clone()));
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(converse(stream, service_for(peer), stopped.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "accepting a connection failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = &mut until => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn converse<S, B>(stream: TcpStream, service: S, stopped: watch::Receiver<bool>)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>, Future: Send> + Send,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    // Without it every small answer waits for the peer's delayed acknowledgement.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let connection =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = wait_until_stopped(stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Completes when the listener is to stop; a dropped handle counts as that.
async fn wait_until_stopped(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
