//! Backends for planes under examination: small HTTP servers on loopback that say which side they are. IO.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, UPGRADE};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::front::Front;
use crate::balancer::Side;
use crate::listener::{self, Serving};

/// The header in which a backend says its side.
pub const SIDE_HEADER: &str = "x-side";

/// The path whose answer begins at once and ends seconds later.
pub const LINGERING: &str = "/linger";

/// The path that is left for another protocol, in which every byte is answered with the first letter of the side.
pub const TUNNEL: &str = "/tunnel";

/// How long a lingering answer takes: a shift and a drain fit in, also by a reload on a busy machine.
const LINGER: Duration = Duration::from_secs(4);

/// Longest wait for open answers when a backend ends.
const GRACE: Duration = Duration::from_secs(2);

/// Backends of both sides.
pub struct Backends {
    source: Vec<Backend>,
    target: Vec<Backend>,
}

struct Backend {
    address: SocketAddr,
    serving: Mutex<Option<Serving>>,
}

impl Backends {
    /// Starts so many on each side.
    pub async fn start(source: usize, target: usize) -> io::Result<Self> {
        let free = |count| vec![SocketAddr::from(([127, 0, 0, 1], 0)); count];
        Self::at(&free(source), &free(target)).await
    }

    /// Starts one at each address of a side.
    pub async fn at(source: &[SocketAddr], target: &[SocketAddr]) -> io::Result<Self> {
        let side = |side: Side, addresses: Vec<SocketAddr>| async move {
            let started = join_all(addresses.into_iter().map(|address| Backend::start(side, address))).await;
            started.into_iter().collect::<io::Result<Vec<_>>>()
        };
        Ok(Self {
            source: side(Side::Source, source.to_vec()).await?,
            target: side(Side::Target, target.to_vec()).await?,
        })
    }

    fn of(&self, side: Side) -> &[Backend] {
        match side {
            Side::Source => &self.source,
            Side::Target => &self.target,
        }
    }

    /// Where those of a side listen.
    pub fn addresses(&self, side: Side) -> Vec<SocketAddr> {
        self.of(side).iter().map(|backend| backend.address).collect()
    }

    /// How clients before a plane at `address` know these backends.
    pub fn front(address: SocketAddr) -> Front {
        Front {
            url: format!("http://{address}/"),
            header: SIDE_HEADER.to_owned(),
            source: Side::Source.to_string(),
            target: Side::Target.to_string(),
            lingering: Some(format!("http://{address}{LINGERING}")),
            tunnel: Some((address, TUNNEL.to_owned())),
        }
    }

    /// Ends those of a side.
    pub async fn stop(&self, side: Side) {
        for backend in self.of(side) {
            let serving = backend.serving.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(serving) = serving {
                serving.drain(GRACE).await;
            }
        }
    }

    /// Starts those of a side again, where they were.
    pub async fn restart(&self, side: Side) -> io::Result<()> {
        for backend in self.of(side) {
            let serving = serve(TcpListener::bind(backend.address).await?, side)?;
            *backend.serving.lock().unwrap_or_else(PoisonError::into_inner) = Some(serving);
        }
        Ok(())
    }
}

impl Backend {
    async fn start(side: Side, address: SocketAddr) -> io::Result<Self> {
        let serving = serve(TcpListener::bind(address).await?, side)?;
        Ok(Self { address: serving.address(), serving: Mutex::new(Some(serving)) })
    }
}

fn serve(listener: TcpListener, side: Side) -> io::Result<Serving> {
    let name: Arc<str> = side.to_string().into();
    listener::serve(listener, move |_| {
        let name = Arc::clone(&name);
        service_fn(move |mut request: Request<Incoming>| {
            let lingers = request.uri().path() == LINGERING;
            let mut answer = answer(&name, lingers);
            if request.uri().path() == TUNNEL && request.headers().contains_key(UPGRADE) {
                leave(&mut answer);
                tokio::spawn(echo(hyper::upgrade::on(&mut request), Arc::clone(&name)));
            }
            async move { Ok::<_, Infallible>(answer) }
        })
    })
}

/// Says that the connection is left for what the client asked for: WebSocket, with the answer to the sample key of RFC 6455.
fn leave(answer: &mut Response<Body>) {
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    for (name, value) in
        [(CONNECTION, "upgrade"), (UPGRADE, "websocket"), (SEC_WEBSOCKET_ACCEPT, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")]
    {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    *answer.body_mut() = StreamBody::new(Box::pin(futures::stream::empty()) as _);
}

/// Answers every byte with the first letter of `name`, until the other end has enough.
async fn echo(upgraded: hyper::upgrade::OnUpgrade, name: Arc<str>) {
    let Ok(upgraded) = upgraded.await else { return };
    let (mut stream, mut byte) = (TokioIo::new(upgraded), [0]);
    while stream.read_exact(&mut byte).await.is_ok() {
        if stream.write_all(&name.as_bytes()[..1]).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

type Body = StreamBody<futures::stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

/// Who answers; a lingering one gives the rest of its answer later.
fn answer(name: &str, lingers: bool) -> Response<Body> {
    let frame = |text: &str| Ok(Frame::data(Bytes::copy_from_slice(text.as_bytes())));
    let (first, rest) = (frame(name), frame("\n"));
    let frames = futures::stream::unfold(Some((first, Some(rest))), move |state| async move {
        match state? {
            (frame, Some(rest)) => Some((frame, Some((rest, None)))),
            (frame, None) => {
                if lingers {
                    tokio::time::sleep(LINGER).await;
                }
                Some((frame, None))
            }
        }
    });
    let mut response = Response::new(StreamBody::new(Box::pin(frames) as _));
    if let Ok(name) = HeaderValue::from_str(name) {
        response.headers_mut().insert(SIDE_HEADER, name);
    }
    response
}
