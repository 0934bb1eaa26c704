//! What machines are told of this process: `/healthz`, `/readyz` and `/metrics`. IO.
//!
//! A standby is healthy and ready: it can take over.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use tokio::net::TcpListener;

use super::home::Key;
use crate::listener::{self, Serving};
use crate::migration::Report;
use crate::telemetry::{self, Telemetry};

/// What is known of this process. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    ready: AtomicBool,
    telemetry: Telemetry,
}

impl Health {
    /// Serves all of it.
    pub async fn serve(&self, address: SocketAddr) -> io::Result<Serving> {
        let health = self.clone();
        listener::serve(TcpListener::bind(address).await?, move |_| {
            let health = health.clone();
            service_fn(move |request| std::future::ready(Ok::<_, Infallible>(health.answer(&request))))
        })
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let (status, body) = match request.uri().path() {
            "/healthz" => (StatusCode::OK, "ok\n".to_owned()),
            "/readyz" if self.0.ready.load(Ordering::Relaxed) => (StatusCode::OK, "ok\n".to_owned()),
            "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, "the home cluster has not answered yet\n".to_owned()),
            "/metrics" => (StatusCode::OK, self.0.telemetry.text()),
            _ => (StatusCode::NOT_FOUND, String::new()),
        };
        telemetry::response(status, body)
    }

    /// What is measured of this process.
    pub fn telemetry(&self) -> &Telemetry {
        &self.0.telemetry
    }

    /// Whether this process leads. One that does not drives nothing.
    pub fn leads(&self, leads: bool) {
        self.0.telemetry.leads(leads);
        self.0.telemetry.clear();
    }

    /// Every object has been seen.
    pub fn is_ready(&self) {
        self.0.ready.store(true, Ordering::Relaxed);
    }

    /// The newest report of a migration.
    pub fn told(&self, key: &Key, report: &Report) {
        self.0.telemetry.told(&key.namespace, report);
    }

    /// This process drives a migration no longer.
    pub fn forget(&self, key: &Key) {
        self.0.telemetry.forget(&key.namespace, &key.name);
    }
}
