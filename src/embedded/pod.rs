//! A pod: a real HTTP server in this process, with the life of a container. IO.
//!
//! It answers every path with its cluster and name, `/readyz` with its readiness and `/metrics` with
//! its counters. It gets ready some time after its start. Asked to end, it first shows itself unready,
//! keeps answering while the news travels, then closes its listener and finishes what is open.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use super::faults::Fault;
use crate::listener;

/// Header that names the cluster an answer came from.
pub const CLUSTER_HEADER: &str = "x-cluster";

/// How pods of a cluster live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    /// Time from start to ready.
    pub(super) start: Duration,
    /// Time from unready to the end of the listener, as a `preStop` pause gives it.
    pub(super) linger: Duration,
    /// Longest time open requests may take after that.
    pub(super) grace: Duration,
}

/// What happened to a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// It listens here.
    Listening(SocketAddr),
    /// It is ready.
    Ready,
    /// It has ended, or could not start.
    Gone,
}

/// The fault of a cluster's pods, shared by all of them so that a rate is exact over the cluster.
#[derive(Debug)]
pub(super) struct PodFaults {
    fault: watch::Sender<Fault>,
    requests: AtomicU64,
}

impl Default for PodFaults {
    fn default() -> Self {
        Self { fault: watch::Sender::new(Fault::None), requests: AtomicU64::new(0) }
    }
}

impl PodFaults {
    /// Sets the fault for all requests from now on.
    pub(super) fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
        self.requests.store(0, Ordering::Relaxed);
    }

    /// Lets one request meet the fault; whether it fails.
    async fn strike(&self) -> bool {
        let fault = *self.fault.borrow();
        match fault {
            Fault::None => false,
            Fault::ErrorRate(rate) => due(rate, self.requests.fetch_add(1, Ordering::Relaxed)),
            Fault::Slow(time) => {
                tokio::time::sleep(time).await;
                false
            }
        }
    }
}

/// Whether the request after `before` others is one of those that `rate` makes fail: evenly spread.
fn due(rate: f64, before: u64) -> bool {
    let failed_after = |requests: u64| (requests as f64 * rate.clamp(0.0, 1.0)).floor();
    failed_after(before + 1) > failed_after(before)
}

/// What a pod's answers are made of.
#[derive(Debug)]
struct Pod {
    cluster: String,
    name: String,
    ready: AtomicBool,
    ending: AtomicBool,
    answered: AtomicU64,
    failed: AtomicU64,
    faults: Arc<PodFaults>,
}

/// Lives a pod's whole life; ends some time after `stop` turns true.
pub(super) async fn live(
    cluster: String,
    name: String,
    life: Life,
    faults: Arc<PodFaults>,
    mut stop: watch::Receiver<bool>,
    events: mpsc::UnboundedSender<(String, Event)>,
) {
    // Nobody listens once the controller is gone, and then nothing is to be told.
    let tell = |event| drop(events.send((name.clone(), event)));
    let (answered, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    let (ready, ending) = (AtomicBool::new(false), AtomicBool::new(false));
    let pod = Arc::new(Pod { cluster, name: name.clone(), ready, ending, answered, failed, faults });
    let serving = match serve(&pod).await {
        Ok(serving) => serving,
        Err(error) => {
            tracing::error!(pod = %name, %error, "a pod could not listen");
            // Its successor would meet the same want of ports; the pause keeps them from meeting it in a loop.
            tokio::time::sleep(life.start).await;
            tell(Event::Gone);
            return;
        }
    };
    tell(Event::Listening(serving.address()));
    tokio::select! {
        () = tokio::time::sleep(life.start) => {
            pod.ready.store(true, Ordering::Release);
            tell(Event::Ready);
            stopped(&mut stop).await;
        }
        () = stopped(&mut stop) => {}
    }
    if pod.ready.swap(false, Ordering::AcqRel) {
        pod.ending.store(true, Ordering::Release);
        tokio::time::sleep(life.linger).await;
    }
    serving.drain(life.grace).await;
    tell(Event::Gone);
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A controller that is gone counts as one that says stop.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn serve(pod: &Arc<Pod>) -> io::Result<listener::Serving> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let pod = Arc::clone(pod);
    listener::serve(listener, move |_| {
        let pod = Arc::clone(&pod);
        service_fn(move |request| {
            let pod = Arc::clone(&pod);
            async move { Ok::<_, Infallible>(pod.answer(request).await) }
        })
    })
}

impl Pod {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        match request.uri().path() {
            "/readyz" if self.ready.load(Ordering::Acquire) => text(StatusCode::OK, "ready\n".to_owned()),
            "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n".to_owned()),
            "/metrics" => text(StatusCode::OK, self.metrics()),
            _ => self.business().await,
        }
    }

    async fn business(&self) -> Response<Full<Bytes>> {
        let (status, count) = match self.faults.strike().await {
            true => (StatusCode::INTERNAL_SERVER_ERROR, &self.failed),
            false => (StatusCode::OK, &self.answered),
        };
        count.fetch_add(1, Ordering::Relaxed);
        let mut answer = text(status, format!("{}\n", json!({"cluster": self.cluster, "pod": self.name})));
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Ok(cluster) = HeaderValue::from_str(&self.cluster) {
            headers.insert(CLUSTER_HEADER, cluster);
        }
        if self.ending.load(Ordering::Acquire) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }

    fn metrics(&self) -> String {
        let mut lines = "# TYPE http_requests_total counter\n".to_owned();
        for (code, count) in [(200, &self.answered), (500, &self.failed)] {
            let labels = format!("cluster={:?},pod={:?},code=\"{code}\"", self.cluster, self.name);
            lines += &format!("http_requests_total{{{labels}}} {}\n", count.load(Ordering::Relaxed));
        }
        lines
    }
}

fn text(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::from(text));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_exact_and_spread() {
        for (rate, expected) in [(0.0, 0), (0.25, 25), (0.3, 30), (1.0, 100)] {
            assert_eq!((0..100).filter(|before| due(rate, *before)).count(), expected, "{rate}");
        }
        let gaps: Vec<u64> = (0..12).filter(|before| due(0.25, *before)).collect();
        assert_eq!(gaps, [3, 7, 11]);
    }
}
