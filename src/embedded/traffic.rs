//! Traffic for the demo: so many requests a second, each counted by what became of it. IO.
//!
//! Open-loop: requests start on time whether or not earlier ones were answered, as those of real users
//! do. It never repeats a request, so that every failure shows; and it is bounded in rate, time and open
//! requests, counting those it could not start.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::{Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

use super::pod::CLUSTER_HEADER;

/// Time after which an idle connection is closed: well before the 30 s after which a listener closes it,
/// so that no request is lost to two ends deciding differently.
const IDLE: Duration = Duration::from_secs(10);

/// How much traffic, and where to.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// Who is asked.
    pub address: SocketAddr,
    /// Requests started per second.
    pub rate: u32,
    /// Most requests open at a time.
    pub concurrency: usize,
    /// When it ends by itself.
    pub duration: Duration,
    /// Longest time to wait for one answer.
    pub timeout: Duration,
}

impl Load {
    /// A hundred requests a second for a minute.
    pub fn new(address: SocketAddr) -> Self {
        let (duration, timeout) = (Duration::from_secs(60), Duration::from_secs(5));
        Self { address, rate: 100, concurrency: 64, duration, timeout }
    }
}

/// Requests that one cluster answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Answered {
    /// Answers of any status.
    pub requests: u64,
    /// Of these, 5xx and answers that broke off.
    pub failed: u64,
}

/// What became of the traffic so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Report {
    /// Requests started.
    pub started: u64,
    /// Requests answered, by the cluster that did; those of nobody (the balancer's own) under "".
    pub answered: BTreeMap<String, Answered>,
    /// Requests that got no answer: refused, broken or too late.
    pub unanswered: u64,
    /// Requests not started because too many were open.
    pub skipped: u64,
}

impl Report {
    /// Requests a user would have seen fail.
    pub fn failed(&self) -> u64 {
        self.unanswered + self.answered.values().map(|answered| answered.failed).sum::<u64>()
    }

    /// Requests that came to an end.
    pub fn settled(&self) -> u64 {
        self.unanswered + self.answered.values().map(|answered| answered.requests).sum::<u64>()
    }
}

/// Running traffic; dropping it ends it.
#[derive(Debug)]
pub struct Traffic {
    report: Arc<Mutex<Report>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Traffic {
    /// Starts now.
    pub fn start(load: Load) -> Self {
        let report = Arc::new(Mutex::new(Report::default()));
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(generate(load, Arc::clone(&report), stopped));
        Self { report, stop, task }
    }

    /// What became of the traffic so far.
    pub fn report(&self) -> Report {
        lock(&self.report).clone()
    }

    /// A view of the running counts that outlives this handle.
    pub fn live(&self) -> Live {
        Live(Arc::clone(&self.report))
    }

    /// Starts no more requests, waits for open ones, and reports.
    pub async fn stop(mut self) -> Report {
        self.stop.send_replace(true);
        self.finished().await;
        self.report()
    }

    /// Completes when the traffic has ended by itself.
    pub async fn finished(&mut self) {
        if !self.task.is_finished()
            && let Err(error) = (&mut self.task).await
        {
            tracing::error!(%error, "the traffic ended early");
        }
    }
}

/// A view of running counts.
#[derive(Debug, Clone)]
pub struct Live(Arc<Mutex<Report>>);

impl Live {
    /// What became of the traffic so far.
    pub fn report(&self) -> Report {
        lock(&self.0).clone()
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type HttpClient = Client<HttpConnector, Empty<Bytes>>;

async fn generate(load: Load, report: Arc<Mutex<Report>>, mut stop: watch::Receiver<bool>) {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: HttpClient = Client::builder(TokioExecutor::new())
        .retry_canceled_requests(false)
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(load.concurrency)
        .build(connector);
    let Ok(uri) = format!("http://{}/", load.address).parse::<Uri>() else { return };
    let permits = Arc::new(Semaphore::new(load.concurrency));
    let mut turns = tokio::time::interval(Duration::from_secs(1) / load.rate.max(1));
    turns.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut open = JoinSet::new();
    let end = tokio::time::sleep(load.duration);
    tokio::pin!(end);
    loop {
        tokio::select! {
            biased;
            () = &mut end => break,
            _ = stop.wait_for(|stop| *stop) => break,
            Some(_) = open.join_next() => continue,
            _ = turns.tick() => {}
        }
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            lock(&report).skipped += 1;
            continue;
        };
        lock(&report).started += 1;
        let (client, uri, report) = (client.clone(), uri.clone(), Arc::clone(&report));
        open.spawn(async move {
            let asked = tokio::time::timeout(load.timeout, ask(&client, uri)).await;
            settle(&mut lock(&report), asked.ok().flatten());
            drop(permit);
        });
    }
    while open.join_next().await.is_some() {}
}

/// Who answered and whether well; `None` where nobody did.
async fn ask(client: &HttpClient, uri: Uri) -> Option<(String, bool)> {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = uri;
    let response = client.request(request).await.ok()?;
    let cluster = response.headers().get(CLUSTER_HEADER).and_then(|cluster| cluster.to_str().ok()).unwrap_or_default();
    let (cluster, erred) = (cluster.to_owned(), response.status().is_server_error());
    let whole = response.into_body().collect().await.is_ok();
    Some((cluster, whole && !erred))
}

fn settle(report: &mut Report, answer: Option<(String, bool)>) {
    match answer {
        None => report.unanswered += 1,
        Some((cluster, well)) => {
            let answered = report.answered.entry(cluster).or_default();
            answered.requests += 1;
            answered.failed += u64::from(!well);
        }
    }
}

fn lock(report: &Mutex<Report>) -> MutexGuard<'_, Report> {
    report.lock().unwrap_or_else(PoisonError::into_inner)
}
