//! What the workload answers to each path, on its traffic port and on its admin port.

use super::fault::{Fault, Mode};
use super::metrics::Metrics;
use super::options::Options;
use super::stage::Stage;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;
use tokio::time::Instant;

type Answer = Result<Response<Full<Bytes>>, Infallible>;

/// One pod: who it is, where it is in its life, and how it misbehaves.
#[derive(Debug)]
pub(super) struct Workload {
    options: Options,
    cluster: HeaderValue,
    stage: watch::Receiver<Stage>,
    fault: Mutex<Fault>,
    metrics: Metrics,
    arrived: AtomicU64,
}

impl Workload {
    pub(super) fn new(options: Options, stage: watch::Receiver<Stage>) -> Self {
        let fault = Fault { mode: options.fault_mode, rate: options.fault_rate, delay: options.fault_delay };
        let cluster = HeaderValue::from_str(&options.cluster).unwrap_or(HeaderValue::from_static("invalid"));
        Self { options, cluster, stage, fault: Mutex::new(fault), metrics: Metrics::new(), arrived: AtomicU64::new(0) }
    }

    /// Answers on the traffic port.
    pub(super) async fn answer(&self, request: &Request<Incoming>) -> Answer {
        let mut response = match request.uri().path() {
            "/livez" => text(StatusCode::OK, "alive\n"),
            "/readyz" => self.readiness(),
            "/metrics" => text(StatusCode::OK, self.metrics.page()),
            _ => self.traffic().await,
        };
        response.headers_mut().insert("x-cluster", self.cluster.clone());
        if self.stage().leaves() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }

    /// Answers on the admin port: `GET /fault` shows the switch, `POST /fault?mode=…` sets it.
    pub(super) fn administer(&self, request: &Request<Incoming>) -> Answer {
        let (method, uri) = (request.method(), request.uri());
        if uri.path() != "/fault" {
            return Ok(text(StatusCode::NOT_FOUND, "only /fault is here\n"));
        }
        if method == Method::POST {
            match Fault::parse_query(uri.query().unwrap_or_default()) {
                Ok(fault) => *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault,
                Err(mistake) => return Ok(text(StatusCode::BAD_REQUEST, mistake + "\n")),
            }
        }
        let fault = self.fault();
        let shown = json!({
            "pod": self.options.pod,
            "mode": fault.mode.name(),
            "rate": fault.rate,
            "delayMilliseconds": fault.delay.as_millis(),
        });
        Ok(text(StatusCode::OK, format!("{shown}\n")))
    }

    async fn traffic(&self) -> Response<Full<Bytes>> {
        let began = Instant::now();
        let response = self.serve().await;
        self.metrics.count(response.status().as_u16(), began.elapsed());
        response
    }

    async fn serve(&self) -> Response<Full<Bytes>> {
        if !self.stage().serves() {
            return text(StatusCode::SERVICE_UNAVAILABLE, "starting\n");
        }
        let fault = self.fault();
        if fault.hits(self.arrived.fetch_add(1, Ordering::Relaxed)) {
            match fault.mode {
                Mode::Off | Mode::Unready => {}
                Mode::Error => return text(StatusCode::INTERNAL_SERVER_ERROR, "the fault switch says so\n"),
                Mode::Slow => tokio::time::sleep(fault.delay).await,
                Mode::Hang => std::future::pending().await,
            }
        }
        let Options { cluster, pod, greeting, api_key, .. } = &self.options;
        let body = json!({"cluster": cluster, "pod": pod, "greeting": greeting, "apiKey": !api_key.is_empty()});
        let mut response = text(StatusCode::OK, format!("{body}\n"));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }

    fn readiness(&self) -> Response<Full<Bytes>> {
        match (self.stage(), self.fault().mode) {
            (Stage::Ready, Mode::Unready) => text(StatusCode::SERVICE_UNAVAILABLE, "the fault switch says so\n"),
            (Stage::Ready, _) => text(StatusCode::OK, "ready\n"),
            (Stage::Starting, _) => text(StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
            (Stage::Draining | Stage::Closing, _) => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        }
    }

    fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    fn fault(&self) -> Fault {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
}
