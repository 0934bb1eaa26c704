//! What this program tells Prometheus of itself. IO: it serves.
//!
//! Figures are those of the newest report of each migration, so a series lives as long as its migration is driven here; counters are of the
//! process. Labels are names that somebody chose for objects, planes and metrics, and words of closed lists: never a message, never an error.
//! So there are as many series as there are migrations, times their planes and metrics.

pub mod durations;
pub mod exposition;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use tokio::net::TcpListener;

use self::durations::Durations;
use self::exposition::{Figures, Migration};
use crate::listener::{self, Serving};
use crate::migration::Report;
use crate::migration::state::Cause;

/// What a Prometheus asks for: version 0.0.4 of its text format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Figures of this process. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Telemetry {
    figures: Arc<Mutex<Figures>>,
    queries: Durations,
}

impl Telemetry {
    /// Takes in a report of a migration.
    pub fn told(&self, namespace: &str, report: &Report) {
        let key = (namespace.to_owned(), report.migration.to_string());
        let mut figures = self.figures();
        figures.decisions += 1;
        let went_back = report.cause.as_ref().map(Cause::name);
        let before = figures.migrations.get(&key).and_then(|known| known.went_back);
        if let Some(reason) = went_back.filter(|reason| before != Some(*reason)) {
            *figures.rollbacks.entry(reason).or_default() += 1;
        }
        figures.migrations.insert(key, Migration { report: report.clone(), went_back });
    }

    /// A migration is driven here no longer.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.figures().migrations.remove(&(namespace.to_owned(), name.to_owned()));
    }

    /// No migration is driven here any longer.
    pub fn clear(&self) {
        self.figures().migrations = BTreeMap::new();
    }

    /// Whether this process leads; only controllers are asked.
    pub fn leads(&self, leads: bool) {
        self.figures().leads = Some(leads);
    }

    /// How long Prometheus was waited for.
    pub fn queries(&self) -> &Durations {
        &self.queries
    }

    /// Everything, in Prometheus' text format.
    pub fn text(&self) -> String {
        exposition::text(&self.figures(), &self.queries)
    }

    /// Serves it as `/metrics`.
    pub async fn serve(&self, address: SocketAddr) -> io::Result<Serving> {
        let telemetry = self.clone();
        listener::serve(TcpListener::bind(address).await?, move |_| {
            let telemetry = telemetry.clone();
            service_fn(move |request: Request<Incoming>| {
                let found = request.uri().path() == "/metrics";
                let (status, body) =
                    if found { (StatusCode::OK, telemetry.text()) } else { (StatusCode::NOT_FOUND, String::new()) };
                std::future::ready(Ok::<_, Infallible>(response(status, body)))
            })
        })
    }

    fn figures(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A response with metrics.
pub fn response(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, hyper::header::HeaderValue::from_static(CONTENT_TYPE));
    response
}

#[cfg(test)]
mod tests;
