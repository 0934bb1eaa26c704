//! What machines are told of this process: `/healthz`, `/readyz` and `/metrics`. IO.
//!
//! A standby is healthy and ready: it can take over. Series are bounded by the migrations there are; their labels are namespace, name,
//! phases and names of waits, never a message.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use tokio::net::TcpListener;

use super::home::Key;
use crate::listener::{self, Serving};
use crate::migration::Report;

/// What is known of this process. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    leads: AtomicBool,
    ready: AtomicBool,
    migrations: Mutex<BTreeMap<Key, Figures>>,
}

/// What is counted of one migration.
#[derive(Debug, Clone)]
struct Figures {
    phase: String,
    waiting: &'static str,
    needs_human: bool,
    share: Option<f64>,
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
            "/metrics" => (StatusCode::OK, self.metrics()),
            _ => (StatusCode::NOT_FOUND, String::new()),
        };
        let mut response = Response::new(Full::new(body.into()));
        *response.status_mut() = status;
        response
    }

    /// Whether this process leads. One that does not drives nothing.
    pub fn leads(&self, leads: bool) {
        self.0.leads.store(leads, Ordering::Relaxed);
        self.migrations().clear();
    }

    /// Every object has been seen.
    pub fn is_ready(&self) {
        self.0.ready.store(true, Ordering::Relaxed);
    }

    /// The newest report of a migration.
    pub fn told(&self, key: &Key, report: &Report) {
        let figures = Figures {
            phase: report.phase.clone(),
            waiting: report.waiting.as_ref().map_or("", |waiting| waiting.reason()),
            needs_human: report.needs_human,
            share: report.measured_share,
        };
        self.migrations().insert(key.clone(), figures);
    }

    /// This process drives a migration no longer.
    pub fn forget(&self, key: &Key) {
        self.migrations().remove(key);
    }

    fn migrations(&self) -> std::sync::MutexGuard<'_, BTreeMap<Key, Figures>> {
        self.0.migrations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The metrics, in Prometheus' text format.
    fn metrics(&self) -> String {
        let mut text = format!(
            "# HELP crossfade_leader Whether this process leads.\n# TYPE crossfade_leader gauge\ncrossfade_leader {}\n\
             # HELP crossfade_migration Migrations driven here, by phase and wait.\n# TYPE crossfade_migration gauge\n",
            u8::from(self.0.leads.load(Ordering::Relaxed))
        );
        let migrations = self.migrations().clone();
        let labels = |key: &Key| format!("namespace=\"{}\",name=\"{}\"", key.namespace, key.name);
        for (key, Figures { phase, waiting, .. }) in &migrations {
            let _ = writeln!(text, "crossfade_migration{{{},phase=\"{phase}\",waiting=\"{waiting}\"}} 1", labels(key));
        }
        text += "# HELP crossfade_needs_human Whether a migration cannot go on without a person.\n\
                 # TYPE crossfade_needs_human gauge\n";
        for (key, Figures { needs_human, .. }) in &migrations {
            let _ = writeln!(text, "crossfade_needs_human{{{}}} {}", labels(key), u8::from(*needs_human));
        }
        text += "# HELP crossfade_measured_share Share of requests that arrived at the target.\n\
                 # TYPE crossfade_measured_share gauge\n";
        for (key, Figures { share, .. }) in &migrations {
            if let Some(share) = share {
                let _ = writeln!(text, "crossfade_measured_share{{{}}} {share}", labels(key));
            }
        }
        text
    }
}
