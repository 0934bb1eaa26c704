//! One HTTP/1.1 listener that can be drained, on TCP or a Unix socket. IO.
//!
//! Owns accepting, keep-alive and the end of connections for everything in this program that answers
//! HTTP: the balancer, the embedded API servers and their pods. It refuses to lose a request that it
//! has begun to read: draining stops accepting, closes idle connections and lets the others answer.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Pause after a failed accept. The usual cause is a process out of file descriptors, which the next
/// accept meets again at once; a pause keeps that from eating the core that could close some.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// What a body or a service may fail with.
type BoxError = Box<dyn Error + Send + Sync>;

/// Where connections come in.
pub trait Door: Send + Sync + 'static {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// Where the other end is.
    type Peer: Send;
    /// Where this end is.
    type Address: fmt::Debug + Send;

    /// Waits for the next connection.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Self::Peer)>> + Send;

    /// Where it listens.
    fn address(&self) -> io::Result<Self::Address>;
}

impl Door for TcpListener {
    type Stream = TcpStream;
    type Peer = SocketAddr;
    type Address = SocketAddr;

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = self.accept().await?;
        // Without it every small answer waits for the peer's delayed acknowledgement. Who is gone already is found out below.
        let _ = stream.set_nodelay(true);
        Ok((stream, peer))
    }

    fn address(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }
}

impl Door for UnixListener {
    type Stream = UnixStream;
    type Peer = ();
    type Address = Option<PathBuf>;

    async fn accept(&self) -> io::Result<(UnixStream, ())> {
        self.accept().await.map(|(stream, _)| (stream, ()))
    }

    fn address(&self) -> io::Result<Option<PathBuf>> {
        Ok(self.local_addr()?.as_pathname().map(Path::to_owned))
    }
}

/// A listener that is serving; dropping it ends everything at once.
#[derive(Debug)]
pub struct Serving<A = SocketAddr> {
    address: A,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

/// Serves what `service_for` returns for each peer until the answer is drained or dropped.
pub fn serve<D, F, S, B>(listener: D, service_for: F) -> io::Result<Serving<D::Address>>
where
    D: Door,
    F: Fn(D::Peer) -> S + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>, Future: Send> + Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let address = listener.address()?;
    let (stop, stopped) = watch::channel(false);
    let accepting = tokio::spawn(accept(listener, service_for, stopped));
    Ok(Serving { address, stop, accepting })
}

impl<A: Copy> Serving<A> {
    /// The address it listens on.
    pub fn address(&self) -> A {
        self.address
    }
}

impl<A: fmt::Debug> Serving<A> {
    /// Stops accepting, waits until open requests are answered, and cuts those that last past `deadline`.
    pub async fn drain(mut self, deadline: Duration) {
        self.stop.send_replace(true);
        if tokio::time::timeout(deadline, &mut self.accepting).await.is_err() {
            tracing::warn!(address = ?self.address, "connections were still open at the deadline and were cut");
        }
    }
}

impl<A> Drop for Serving<A> {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept<D, F, S, B>(listener: D, service_for: F, stopped: watch::Receiver<bool>)
where
    D: Door,
    F: Fn(D::Peer) -> S,
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

async fn converse<T, S, B>(stream: T, service: S, stopped: watch::Receiver<bool>)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>, Future: Send> + Send,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
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
