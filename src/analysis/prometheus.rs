//! Asking a Prometheus-compatible server: Prometheus, Thanos, Mimir, VictoriaMetrics. IO.
//!
//! What an answer means is `answer`'s to say, how several queries become one is `batch`'s, how we are let in is `connection`'s. This
//! module owns the asking: so many requests at a time, each within its time, an answer never longer than it can be. No time of ours is
//! ever sent: windows are lengths, and the server counts them back from its own now. So it does not matter whose clock is wrong.

pub mod answer;
pub mod batch;
mod connection;
mod error;
mod keyring;
mod servers;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use http_body_util::{BodyExt, LengthLimitError};
use reqwest::{Client, Url};
use tokio::sync::{Mutex, Semaphore};

use self::answer::{AnswerError, Head, Numbers, Series};
use self::connection::Connection;
pub use self::error::PrometheusError;
pub use self::keyring::{Empty, Keyring};
pub use self::servers::Servers;
use super::questions::Answers;
use crate::migration::snapshot::chain;
use crate::observe::clock::Moment;
use crate::policy::{Name, PrometheusSpec};
use crate::telemetry::durations::Durations;

/// Longest wait for an answer where nobody says. A query that needs longer would be older than the step it judges.
const PATIENCE: Duration = Duration::from_secs(5);

/// Requests in flight to one server. A Prometheus evaluates 20 queries at a time unless told otherwise, and we are not alone.
const AT_ONCE: usize = 16;

/// Largest answer read. One number takes some hundred bytes, and 64 of them are asked at most.
const MOST_BYTES: usize = 1 << 20;

/// Longest wait for the values of a range: nothing waits for those but whoever asked.
const RANGE_PATIENCE: Duration = Duration::from_secs(60);

/// Largest answer with the values of a range. A server gives 11,000 points at most, of some tens of bytes each.
const MOST_RANGE_BYTES: usize = 4 << 20;

/// One server. Clones share its connections.
#[derive(Clone)]
pub struct Prometheus(Arc<Inner>);

pub(super) struct Inner {
    spec: PrometheusSpec,
    namespace: Name,
    api: Url,
    keyring: Arc<dyn Keyring>,
    connection: Mutex<Option<Connection>>,
    turns: Semaphore,
    /// Whether it takes several queries as one.
    apart: AtomicBool,
    durations: Durations,
}

impl Prometheus {
    /// A client for the server of `spec`, for a migration of `namespace`. Contacts nobody.
    pub fn new(spec: &PrometheusSpec, namespace: &Name, keyring: Arc<dyn Keyring>) -> Result<Self, PrometheusError> {
        Self::measured(spec, namespace, keyring, Durations::default())
    }

    fn measured(
        spec: &PrometheusSpec,
        namespace: &Name,
        keyring: Arc<dyn Keyring>,
        durations: Durations,
    ) -> Result<Self, PrometheusError> {
        let address = spec.address.trim_end_matches('/').to_owned();
        let api = Url::parse(&format!("{address}/api/v1/"));
        let api = api.map_err(|_| PrometheusError::Address { address: address.clone() })?;
        Ok(Self(Arc::new(Inner {
            spec: PrometheusSpec { address, ..spec.clone() },
            namespace: namespace.clone(),
            api,
            keyring,
            connection: Mutex::new(None),
            turns: Semaphore::new(AT_ONCE),
            apart: AtomicBool::new(false),
            durations,
        })))
    }

    /// Reads what is secret, and refuses what cannot be used. Contacts no Prometheus.
    pub async fn ready(&self) -> Result<(), PrometheusError> {
        self.client().await.map(|_| ())
    }

    /// The number a query gives now, which may be NaN; `None` where there is no series.
    pub async fn number(&self, query: &str) -> Result<Option<f64>, PrometheusError> {
        let series = self.series(query, PATIENCE).await?;
        self.each(series.iter()).and_then(|each| answer::one(&each).map_err(|error| self.unusable(error)))
    }

    /// What each of these queries gives, or why there is none; within `patience` unless the policy has a time-out.
    ///
    /// They are asked as one. Where a server does not take that, or where one of them would spoil the others, they are asked one by one
    /// from then on.
    pub async fn numbers(&self, queries: BTreeSet<String>, patience: Duration) -> Answers {
        let patience = self.0.spec.timeout.and_then(|timeout| timeout.try_into().ok()).unwrap_or(patience);
        let queries: Vec<String> = queries.into_iter().collect();
        let batches = queries.chunks(batch::MOST).map(|some| self.batch(some, patience));
        join_all(batches).await.into_iter().flatten().collect()
    }

    /// The values of a query from one time to another, in seconds of the server's clock; at most some thousands, and none where
    /// there is no series.
    pub async fn range(
        &self,
        query: &str,
        from: f64,
        to: f64,
        step: Duration,
    ) -> Result<Vec<(f64, f64)>, PrometheusError> {
        let series = self.ranges(query, from, to, step).await?;
        match series.as_slice() {
            [] => Ok(Vec::new()),
            [one] => Ok(one.values.clone()),
            several => Err(self.unusable(AnswerError::Several(several.len()))),
        }
    }

    /// The same of a query that gives several series.
    pub async fn ranges(
        &self,
        query: &str,
        from: f64,
        to: f64,
        step: Duration,
    ) -> Result<Vec<Numbers>, PrometheusError> {
        let [start, end] = [from, to].map(|at| format!("{at:.3}"));
        let step = format!("{:.3}", step.as_secs_f64());
        let form = [("query", query), ("start", &start), ("end", &end), ("step", &step)];
        self.ask("query_range", &form, RANGE_PATIENCE, MOST_RANGE_BYTES).await
    }

    async fn batch(&self, queries: &[String], patience: Duration) -> Answers {
        if queries.len() > 1 && !self.0.apart.load(Ordering::Relaxed) {
            let error = match self.series(&batch::together(queries), patience).await {
                Ok(series) => return self.shared_out(queries, &series),
                Err(error) => error,
            };
            let is_about_one = matches!(&error, PrometheusError::Answer { source, .. } if source.is_about_the_query());
            if is_about_one || matches!(error, PrometheusError::Late { .. }) {
                self.0.apart.store(true, Ordering::Relaxed);
            }
            if !is_about_one {
                let why = chain(&error);
                return queries.iter().map(|query| (query.clone(), Err(why.clone()))).collect();
            }
        }
        let asked = queries.iter().map(|query| async move {
            let series = self.series(query, patience).await;
            (query.clone(), series.and_then(|series| self.each(series.iter())).map_err(|error| chain(&error)))
        });
        join_all(asked).await.into_iter().collect()
    }

    /// Each query's series out of those of all of them.
    fn shared_out(&self, queries: &[String], series: &[Numbers]) -> Answers {
        let of = |index| self.each(series.iter().filter(move |series| series.query == Some(index)));
        let told = |index| of(index).map_err(|error| chain(&error));
        queries.iter().enumerate().map(|(index, query)| (query.clone(), told(index))).collect()
    }

    fn each<'a>(&self, series: impl Iterator<Item = &'a Numbers>) -> Result<Series, PrometheusError> {
        answer::each(series).map_err(|error| self.unusable(error))
    }

    async fn series(&self, query: &str, patience: Duration) -> Result<Vec<Numbers>, PrometheusError> {
        let timeout = format!("{}ms", patience.as_millis());
        self.ask("query", &[("query", query), ("timeout", &timeout)], patience, MOST_BYTES).await
    }

    /// Asks, and once more where we were not let in by what was read a while ago.
    async fn ask(
        &self,
        path: &str,
        form: &[(&str, &str)],
        patience: Duration,
        most: usize,
    ) -> Result<Vec<Numbers>, PrometheusError> {
        let exchange = async {
            let _turn = self.0.turns.acquire().await;
            match self.exchange(path, form, most).await {
                Err(PrometheusError::Answer { source, .. }) if source.is_about_us() && self.forget().await => {
                    self.exchange(path, form, most).await
                }
                answer => answer,
            }
        };
        let begun = Moment::now();
        let answer = match tokio::time::timeout(patience, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(PrometheusError::Late { address: self.0.spec.address.clone(), within: patience }),
        };
        self.0.durations.took(begun.elapsed(), answer.is_ok());
        answer
    }

    async fn exchange(&self, path: &str, form: &[(&str, &str)], most: usize) -> Result<Vec<Numbers>, PrometheusError> {
        let unreachable = |source| PrometheusError::Unreachable { address: self.0.spec.address.clone(), source };
        let url =
            self.0.api.join(path).map_err(|_| PrometheusError::Address { address: self.0.spec.address.clone() })?;
        let response = self.client().await?.post(url).form(form).send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let location = response.headers().get(reqwest::header::LOCATION).cloned();
        let location = location.as_ref().and_then(|location| location.to_str().ok());
        let body = http_body_util::Limited::new(reqwest::Body::from(response), most).collect().await;
        let body = body.map_err(|error| {
            self.unusable(match error.downcast_ref::<LengthLimitError>() {
                Some(_) => AnswerError::TooLong(most),
                None => AnswerError::Broken,
            })
        })?;
        let read = answer::read(Head { status, location }, &body.to_bytes());
        match read {
            Err(AnswerError::Refused { status, message }) => {
                let message = self.hushed(&message).await;
                Err(self.unusable(AnswerError::Refused { status, message }))
            }
            read => read.map_err(|error| self.unusable(error)),
        }
    }

    /// The HTTP client, made of what is secret as it is now.
    async fn client(&self) -> Result<Client, PrometheusError> {
        let mut connection = self.0.connection.lock().await;
        let renewed = match connection.take() {
            Some(known) if known.is_fresh() => known,
            known => Connection::renew(known, &self.0.spec, &self.0.namespace, &*self.0.keyring).await?,
        };
        Ok(connection.insert(renewed).client.clone())
    }

    /// Has what is secret read again before the next request; whether there is anything secret.
    async fn forget(&self) -> bool {
        let mut connection = self.0.connection.lock().await;
        connection.as_mut().is_some_and(Connection::expire)
    }

    async fn hushed(&self, text: &str) -> String {
        let connection = self.0.connection.lock().await;
        connection.as_ref().map_or_else(|| text.to_owned(), |connection| connection.hush(text))
    }

    fn unusable(&self, source: AnswerError) -> PrometheusError {
        PrometheusError::Answer { address: self.0.spec.address.clone(), source }
    }
}

#[cfg(test)]
mod tests;
