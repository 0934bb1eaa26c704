//! The way of one request: pick, send, send again where that is safe, relay, count. IO.
//!
//! What is sent again, and where:
//!
//! - nothing was written (no connection, or a kept one that the backend had closed): any request, on
//!   another backend of the same side;
//! - written in part, no answer: only an idempotent request without a body;
//! - an answer has begun: never.
//!
//! The other side is used only when the picked side has no backend that is up; such a request is
//! counted where it arrived and as spilled, so the measured share tells what happened.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use http_body_util::{Either, Empty, Full};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{self, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode};

use super::Shared;
use super::backend::{Backend, Connection, Outgoing, Unanswered};
use super::headers::{is_idempotent, rewrite_request, rewrite_response, upgrade};
use super::members::InFlight;
use super::pick::Side;
use super::tunnel::Tunnels;

/// Sends after which a request that keeps being lost is given up. Refused connections do not count:
/// each of them ejects its backend, so they end by themselves.
const SENDS: u32 = 3;

/// What a client is answered with: a backend's own answer, or the balancer's reason for having none.
pub(super) type Answer = Response<Either<Relayed, Full<Bytes>>>;

/// Answers one request of `peer`.
pub(super) async fn forward(shared: Arc<Shared>, mut request: Request<Incoming>, peer: SocketAddr) -> Answer {
    if request.method() == Method::CONNECT {
        return refusal(StatusCode::NOT_IMPLEMENTED, "this balancer opens no tunnels".to_owned());
    }
    let chosen = shared.next_side();
    let client = upgrade(request.version(), request.headers()).map(|_| hyper::upgrade::on(&mut request));
    rewrite_request(&mut request, peer.ip());
    let (mut request, copy) = split(request);
    let mut sends = 0;
    loop {
        let Some((side, in_flight, backend)) = shared.route(chosen) else {
            return unserved(&shared, chosen);
        };
        let mut attempt = Attempt { in_flight: Some(in_flight), spilled: chosen != side };
        let answered =
            tokio::time::timeout(shared.config.response_timeout, backend.send(request, shared.config.connect_timeout));
        match answered.await {
            Ok(Ok((response, _))) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                return attempt.went_over(&shared.tunnels, client, response, backend.address);
            }
            Ok(Ok((response, connection))) => return attempt.answered(response, backend, connection),
            Ok(Err(Unanswered::Refused(unsent, reason))) => {
                tracing::info!(backend = %backend.address, reason, "a backend was ejected");
                shared.members(side).eject(&backend);
                request = *unsent;
            }
            Ok(Err(Unanswered::Lost(error))) => {
                sends += 1;
                let Some(again) = copy.as_ref().filter(|_| sends < SENDS) else {
                    let reason = format!("{} closed the connection without an answer: {error}", backend.address);
                    return attempt.unanswered(StatusCode::BAD_GATEWAY, reason);
                };
                request = again.clone().map(|()| Either::Right(Empty::new()));
            }
            Err(_) => {
                let reason = format!("{} did not answer in time", backend.address);
                return attempt.unanswered(StatusCode::GATEWAY_TIMEOUT, reason);
            }
        }
        attempt.repeated();
    }
}

/// The request to send, and a copy of its head where it may be sent again after it was written.
fn split(request: Request<Incoming>) -> (Request<Outgoing>, Option<Request<()>>) {
    if is_idempotent(request.method()) && request.body().is_end_stream() {
        let head = request.map(|_| ());
        let copy = head.clone();
        (head.map(|()| Either::Right(Empty::new())), Some(copy))
    } else {
        (request.map(Either::Left), None)
    }
}

fn unserved(shared: &Shared, chosen: Side) -> Answer {
    let tally = &shared.members(chosen).tally;
    tally.requests.fetch_add(1, Ordering::Relaxed);
    tally.failed.fetch_add(1, Ordering::Relaxed);
    let state = Side::BOTH.map(|side| {
        let counters = shared.members(side).counters();
        format!("{side} has {} of {} backends up", counters.healthy, counters.backends)
    });
    refusal(StatusCode::SERVICE_UNAVAILABLE, format!("no healthy backend: {}", state.join(", ")))
}

fn refusal(status: StatusCode, reason: String) -> Answer {
    let mut response = Response::new(Either::Right(Full::from(reason + "\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// A request that a side is working on, until its fate is known; dropped before that, the client left.
struct Attempt {
    in_flight: Option<InFlight>,
    spilled: bool,
}

impl Attempt {
    /// The backend answered: relays the answer and counts it.
    fn answered(&mut self, mut response: Response<Incoming>, backend: Arc<Backend>, connection: Connection) -> Answer {
        rewrite_response(&mut response);
        let failed = response.status().is_server_error();
        let in_flight = self.count(failed);
        response.map(|body| Either::Left(Relayed { body, rest: Some((backend, connection)), in_flight, failed }))
    }

    /// The backend goes over to another protocol, as the client asked it to.
    fn went_over(
        &mut self,
        tunnels: &Tunnels,
        client: Option<OnUpgrade>,
        mut response: Response<Incoming>,
        backend: SocketAddr,
    ) -> Answer {
        let agreed = upgrade(response.version(), response.headers());
        let Some(client) = client.filter(|_| agreed.is_some()) else {
            let reason = format!("{backend} goes over to another protocol, which nobody asked for");
            return self.unanswered(StatusCode::BAD_GATEWAY, reason);
        };
        let in_flight = self.count(false);
        tunnels.open(client, hyper::upgrade::on(&mut response), in_flight);
        rewrite_response(&mut response);
        response.map(|_| Either::Right(Full::default()))
    }

    /// The backend did not answer and the request cannot be sent again.
    fn unanswered(&mut self, status: StatusCode, reason: String) -> Answer {
        self.count(true);
        refusal(status, reason)
    }

    /// The request goes on to another attempt, which counts it.
    fn repeated(&mut self) {
        if let Some(in_flight) = self.in_flight.take() {
            increment(&in_flight.tally().retried);
        }
    }

    fn count(&mut self, failed: bool) -> Option<InFlight> {
        let in_flight = self.in_flight.take()?;
        let tally = in_flight.tally();
        increment(&tally.requests);
        if failed {
            increment(&tally.failed);
        }
        if self.spilled {
            increment(&tally.spilled);
        }
        Some(in_flight)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(in_flight) = self.in_flight.take() {
            increment(&in_flight.tally().abandoned);
        }
    }
}

fn increment(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

/// A backend's body on its way to the client; gives the connection back once it was read to its end.
pub(super) struct Relayed {
    body: Incoming,
    rest: Option<(Arc<Backend>, Connection)>,
    in_flight: Option<InFlight>,
    /// Whether the request is counted as failed already.
    failed: bool,
}

impl Relayed {
    fn finish(&mut self) {
        if let Some((backend, connection)) = self.rest.take() {
            backend.keep(connection);
        }
    }
}

impl Body for Relayed {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            None => self.finish(),
            Some(Ok(_)) => {}
            Some(Err(_)) => {
                self.rest = None;
                if let (false, Some(in_flight)) = (self.failed, &self.in_flight) {
                    increment(&in_flight.tally().failed);
                }
                self.failed = true;
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Relayed {
    /// A body of known length is not read past its last byte, so its end shows only here.
    fn drop(&mut self) {
        if self.body.is_end_stream() {
            self.finish();
        }
    }
}
