//! Where a balancer is driven and measured: `POST /v1/plane`, `GET /metrics`, `GET /healthz`. IO.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use sha2::{Digest, Sha256};
use tokio::net::{TcpListener, UnixListener};

use super::StartError;
use super::kept::Kept;
use crate::balancer::{Balancer, Counters, Side};
use crate::listener::{self, Serving};
use crate::plane::contract::answering::answer;
use crate::policy::{AdminSpec, BalancerSpec};
use crate::telemetry;

/// Time in which what was asked is answered when it ends.
const GRACE: Duration = Duration::from_secs(1);

/// Longest request that is read.
const MOST_BYTES: usize = 1 << 16;

/// A running administration.
pub(super) enum Admin {
    Socket(Serving<Option<PathBuf>>, PathBuf),
    Tcp(Serving, SocketAddr),
}

/// What answers need.
struct Inner {
    balancer: Balancer,
    plane: Arc<Kept>,
    /// What identifies the token, where one is asked for.
    token: Option<[u8; 32]>,
}

impl Admin {
    pub async fn start(spec: &BalancerSpec, balancer: Balancer, plane: Arc<Kept>) -> Result<Self, StartError> {
        let inner = |token| Arc::new(Inner { balancer, plane, token });
        match &spec.admin {
            AdminSpec::Socket(path) => {
                let failed = || StartError::at(path.display().to_string());
                let listener = bind(path).await.map_err(failed())?;
                let inner = inner(None);
                let serving = listener::serve(listener, move |()| service(&inner)).map_err(failed())?;
                Ok(Self::Socket(serving, path.clone()))
            }
            AdminSpec::Tcp { listen, token_file } => {
                let token = fs::read_to_string(token_file).map_err(StartError::at(token_file.display().to_string()))?;
                let token = token.trim();
                if token.is_empty() {
                    return Err(StartError::Token(token_file.clone()));
                }
                let failed = || StartError::at(listen.to_string());
                let listener = TcpListener::bind(listen).await.map_err(failed())?;
                let inner = inner(Some(Sha256::digest(token).into()));
                let serving = listener::serve(listener, move |_| service(&inner)).map_err(failed())?;
                let address = serving.address();
                Ok(Self::Tcp(serving, address))
            }
        }
    }

    /// Gives what was asked its answer, and ends.
    pub async fn shutdown(self) {
        match self {
            Self::Socket(serving, path) => {
                serving.drain(GRACE).await;
                let _ = fs::remove_file(path);
            }
            Self::Tcp(serving, _) => serving.drain(GRACE).await,
        }
    }

    /// Where it is, for people.
    pub fn place(&self) -> String {
        match self {
            Self::Socket(_, path) => format!("unix:{}", path.display()),
            Self::Tcp(_, address) => format!("http://{address}"),
        }
    }
}

/// A socket that only its owner may use, in the place of one that nobody listens at any more.
async fn bind(path: &Path) -> io::Result<UnixListener> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            if tokio::net::UnixStream::connect(path).await.is_ok() {
                return Err(error);
            }
            fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        bound => bound?,
    };
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

type Answer = Response<Full<Bytes>>;

fn service(
    inner: &Arc<Inner>,
) -> impl hyper::service::Service<Request<Incoming>, Response = Answer, Error = Infallible, Future: Send> + use<> {
    let inner = Arc::clone(inner);
    service_fn(move |request| {
        let inner = Arc::clone(&inner);
        async move { Ok(inner.answer(request).await) }
    })
}

impl Inner {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/healthz") => text(StatusCode::OK, "ok\n"),
            _ if !self.knows(&request) => text(StatusCode::UNAUTHORIZED, "say the token: Authorization: Bearer …\n"),
            (&Method::GET, "/metrics") => telemetry::response(StatusCode::OK, metrics(&self.balancer)),
            (&Method::POST, "/v1/plane") => match Limited::new(request.into_body(), MOST_BYTES).collect().await {
                Ok(body) => json(answer(&*self.plane, &body.to_bytes()).await),
                Err(_) => text(StatusCode::PAYLOAD_TOO_LARGE, "a request of the contract is shorter\n"),
            },
            (_, "/healthz" | "/metrics" | "/v1/plane") => text(StatusCode::METHOD_NOT_ALLOWED, "not by this method\n"),
            _ => text(StatusCode::NOT_FOUND, "there are /v1/plane, /metrics and /healthz\n"),
        }
    }

    /// Whether the request has the token; compared by digests, so that time tells nothing of it.
    fn knows(&self, request: &Request<Incoming>) -> bool {
        let Some(token) = &self.token else { return true };
        let said = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let said = said.and_then(|value| value.strip_prefix("Bearer "));
        said.is_some_and(|said| Sha256::digest(said.trim()).as_slice() == token)
    }
}

fn text(status: StatusCode, text: &'static str) -> Answer {
    let mut answer = Response::new(Full::from(text));
    *answer.status_mut() = status;
    answer
}

fn json(body: Vec<u8>) -> Answer {
    let mut answer = Response::new(Full::from(body));
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    answer
}

/// What is counted of one side, for Prometheus: its name, what it is, and where it stands.
type Figure = (&'static str, &'static str, fn(&Counters) -> u64);

const COUNTERS: [Figure; 5] = [
    ("requests", "Requests that arrived at a side and were settled.", |counters| counters.requests),
    ("failed", "Of these, answered with 5xx, cut off, or not answered.", |counters| counters.failed),
    ("spilled", "Of these, given to the other side, which could not serve them.", |counters| counters.spilled),
    ("retried", "Sends that were repeated on another connection or server.", |counters| counters.retried),
    ("abandoned", "Requests whose client left before there was an answer.", |counters| counters.abandoned),
];

const GAUGES: [Figure; 3] = [
    ("in_flight", "Requests that are being answered.", |counters| counters.in_flight),
    ("servers", "Servers of a side.", |counters| counters.backends as u64),
    ("servers_up", "Servers of a side that take requests.", |counters| counters.healthy as u64),
];

fn metrics(balancer: &Balancer) -> String {
    let sides = Side::BOTH.map(|side| (side, balancer.counters(side)));
    let mut text = String::new();
    let figures = COUNTERS.map(|figure| (figure, "counter", "_total")).into_iter();
    for ((name, help, value), kind, ending) in figures.chain(GAUGES.map(|figure| (figure, "gauge", ""))) {
        let name = format!("crossfade_balancer_{name}{ending}");
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (side, counters) in &sides {
            let _ = writeln!(text, "{name}{{side=\"{side}\"}} {}", value(counters));
        }
    }
    let weight = f64::from(balancer.weight().basis_points()) / 1e4;
    let name = "crossfade_balancer_weight";
    let _ = writeln!(text, "# HELP {name} The target's share, from 0 to 1.\n# TYPE {name} gauge\n{name} {weight}");
    text
}
