//! One request over HTTP/1.1, on an idle connection or a new one. IO.
//!
//! Built on hyper's connections and not on a ready-made client, because those retry a request that met a
//! closing connection, and here every request must be seen to fail or not.

use super::counts::Outcome;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONNECTION, HOST, HeaderValue};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// How old an idle connection may be to be used again. Well under what servers keep one for, so that a
/// request does not meet a connection that is just being closed for its age.
const IDLE_LIMIT: Duration = Duration::from_secs(5);

type Sender = SendRequest<Empty<Bytes>>;

/// A place to send requests to, with its idle connections.
#[derive(Debug)]
pub(super) struct Client {
    uri: Uri,
    address: String,
    host: HeaderValue,
    keepalive: bool,
    idle: Mutex<Vec<(Sender, Instant)>>,
}

impl Client {
    pub(super) fn new(url: &str, keepalive: bool) -> io::Result<Self> {
        let wrong = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("`{url}`: {why}"));
        let uri: Uri = url.parse().map_err(|_| wrong("not a URL"))?;
        if uri.scheme_str() != Some("http") {
            return Err(wrong("only http:// is spoken here"));
        }
        let authority = uri.authority().ok_or_else(|| wrong("a host is missing"))?;
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| wrong("not a host"))?;
        let address = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
        Ok(Self { uri, address, host, keepalive, idle: Mutex::default() })
    }

    /// Sends one request and reads its whole answer.
    pub(super) async fn request(&self) -> Outcome {
        let mut sender = match self.idle() {
            Some(sender) => sender,
            None => match self.connect().await {
                Ok(sender) => sender,
                Err(_) => return Outcome::NotConnected,
            },
        };
        let Ok(response) = sender.send_request(self.message()).await else { return Outcome::Reset };
        let status = response.status().as_u16();
        let cluster = response.headers().get("x-cluster").and_then(|value| value.to_str().ok());
        let cluster = cluster.unwrap_or("none").to_owned();
        if response.into_body().collect().await.is_err() {
            return Outcome::Reset;
        }
        self.keep(sender).await;
        Outcome::Answered { cluster, status }
    }

    fn message(&self) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() =
            self.uri.path_and_query().map_or_else(|| Uri::from_static("/"), |path| path.clone().into());
        request.headers_mut().insert(HOST, self.host.clone());
        if !self.keepalive {
            request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        request
    }

    async fn connect(&self) -> io::Result<Sender> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        // How the connection ends is seen by the request on it.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(sender)
    }

    fn idle(&self) -> Option<Sender> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((sender, since)) = idle.pop() {
            if since.elapsed() > IDLE_LIMIT {
                // The newest are used first, so the rest are older still.
                idle.clear();
            } else if sender.is_ready() {
                return Some(sender);
            }
        }
        None
    }

    async fn keep(&self, mut sender: Sender) {
        // A connection the server has given up is never ready again and is dropped here.
        if self.keepalive && sender.ready().await.is_ok() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((sender, Instant::now()));
        }
    }
}
