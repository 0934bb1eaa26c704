//! What is measured, and what it may come to. PURE.

use std::fmt;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::types::Name;

/// One measured quantity and its limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricSpec {
    /// Name, unique in the policy.
    pub name: Name,
    /// Where its numbers come from.
    pub source: MetricSource,
    /// Highest accepted fraction of bad requests, `0.0..=1.0`; 1 where none are counted and the source has a range instead.
    pub max: f64,
    /// Whether the target is compared with the source.
    pub baseline: Option<Baseline>,
    /// The regression that must have been visible before a step is left; without one, `min_samples` alone decide.
    #[serde(default)]
    pub detect: Option<Regression>,
    /// Fewest requests in the window that count as evidence.
    pub min_samples: u64,
    /// How long it may say nothing, or not be asked.
    #[serde(default)]
    pub silence: Silence,
}

/// What is made of a metric that goes on saying nothing. Two budgets, because they are two things: a service that nobody calls, and a
/// Prometheus that is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Silence {
    /// What no data comes to in the end.
    pub on_no_data: OnNoData,
    /// When: how long there may be none without interruption.
    pub no_data_budget: SignedDuration,
    /// How long it may be an error without interruption, until a person is asked. An error never comes to anything else.
    pub error_budget: SignedDuration,
}

impl Default for Silence {
    /// Holds, and asks a person after ten minutes: long enough for a Prometheus to be restarted and to read its log again.
    fn default() -> Self {
        let budget = SignedDuration::from_mins(10);
        Self { on_no_data: OnNoData::Hold, no_data_budget: budget, error_budget: budget }
    }
}

/// What no data comes to once its budget is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnNoData {
    /// It holds, and a person is asked.
    Hold,
    /// It is as good as a pass.
    Pass,
    /// It is a failure, and goes back.
    Fail,
}

impl MetricSpec {
    /// The regression that is looked for first.
    pub fn regression(&self) -> Regression {
        self.detect.unwrap_or(Regression::Times(2.0))
    }
}

/// How much worse than the source a target is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Regression {
    /// So many times as many bad requests, above 1.
    Times(f64),
    /// So much more, as a fraction of all requests, above 0.
    Points(f64),
}

impl Regression {
    /// As a multiple of a fraction of bad requests.
    pub fn times_of(self, fraction: f64) -> f64 {
        match self {
            Self::Times(times) => times,
            Self::Points(points) => (fraction + points) / fraction,
        }
    }
}

impl fmt::Display for Regression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Times(times) => write!(f, "{times}x"),
            // Ten thousandths of a percent are finer than anybody writes.
            Self::Points(points) => write!(f, "+{}pp", (points * 1e6).round() / 1e4),
        }
    }
}

/// Where a metric's numbers come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MetricSource {
    /// Two PromQL queries that count bad and all requests of one cluster.
    ErrorRate {
        /// Counts bad requests.
        errors: String,
        /// Counts all requests.
        total: String,
        /// What kinds of requests are compared each with its own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        strata: Option<Box<Strata>>,
    },
    /// Two PromQL queries that count requests answered in time and all requests of one cluster; the others are bad.
    SlowRate {
        /// Counts requests answered in time.
        within: String,
        /// Counts all requests.
        total: String,
        /// What kinds of requests are compared each with its own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        strata: Option<Box<Strata>>,
    },
    /// The plane's own counters of failed and all requests.
    PlaneErrors {
        /// The plane that counts.
        plane: Name,
    },
    /// Questions of our own to both sides, one a look; those without a good answer are bad.
    Probe(ProbeSpec),
    /// A number that has to stay within a range.
    Value(ValueSpec),
}

/// Requests told apart by a label, so that only what is alike is compared: a source that serves more of what fails more is not better
/// for it, nor a target that serves less.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Strata {
    /// The label.
    pub label: String,
    /// The query that counts some of the requests, for each value of the label.
    pub counted: String,
    /// The query that counts all requests, for each value of the label.
    pub total: String,
}

/// A question of our own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeSpec {
    /// What is asked. A template: `{{ cluster }}` tells the sides apart.
    pub way: ProbeWay,
    /// Longest wait for an answer.
    pub timeout: SignedDuration,
}

/// What a probe asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProbeWay {
    /// `GET` of a URL; any status below 400 is good.
    Http(String),
    /// A connection to `host:port`; that it comes about is good.
    Tcp(String),
    /// `grpc.health.v1.Health/Check` of a URL, in HTTP/2 without TLS unless it says `https`; `SERVING` is good.
    Grpc {
        /// The URL.
        url: String,
        /// The service; all of the server where it is empty.
        service: String,
    },
}

impl ProbeWay {
    /// Where it asks, as a template.
    pub fn address(&self) -> &str {
        match self {
            Self::Http(address) | Self::Tcp(address) | Self::Grpc { url: address, .. } => address,
        }
    }
}

/// A number, and its range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ValueSpec {
    /// What it is, for people.
    pub kind: ValueKind,
    /// PromQL that gives it for one cluster.
    pub query: String,
    /// PromQL that counts the requests behind it, where those are known.
    pub total: Option<String>,
    /// What it may be.
    pub range: Range,
    /// How long the target has to be out of range without interruption before that is a failure.
    pub lasting: SignedDuration,
}

/// What a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ValueKind {
    /// Whatever its query says.
    Value,
    /// A quantile of a histogram.
    Quantile,
    /// How many alerts are firing.
    Alerts,
}

/// Numbers from one to another; at least one of them is given.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// The lowest one.
    pub min: Option<f64>,
    /// The highest one.
    pub max: Option<f64>,
}

impl Range {
    /// Whether a number is one of them.
    pub fn holds(&self, value: f64) -> bool {
        self.min.is_none_or(|min| value >= min) && self.max.is_none_or(|max| value <= max)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.min, self.max) {
            (Some(min), Some(max)) => write!(f, "{min} to {max}"),
            (Some(min), None) => write!(f, "at least {min}"),
            (None, Some(max)) => write!(f, "at most {max}"),
            (None, None) => f.write_str("anything"),
        }
    }
}

/// The two queries behind a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queries<'a> {
    /// Counts some of the requests.
    pub counted: &'a str,
    /// Whether those are the bad ones; if not, all others are.
    pub counts_bad: bool,
    /// Counts all requests.
    pub total: &'a str,
}

impl MetricSource {
    /// What Prometheus is asked, where it is asked anything.
    pub fn queries(&self) -> Option<Queries<'_>> {
        match self {
            Self::ErrorRate { errors, total, .. } => Some(Queries { counted: errors, counts_bad: true, total }),
            Self::SlowRate { within, total, .. } => Some(Queries { counted: within, counts_bad: false, total }),
            Self::PlaneErrors { .. } | Self::Probe(_) | Self::Value(_) => None,
        }
    }

    /// What kinds of requests are compared each with its own.
    pub fn strata(&self) -> Option<&Strata> {
        match self {
            Self::ErrorRate { strata, .. } | Self::SlowRate { strata, .. } => strata.as_deref(),
            Self::PlaneErrors { .. } | Self::Probe(_) | Self::Value(_) => None,
        }
    }

    /// The queries that are asked: those for each stratum where there are some, which together are the others.
    pub fn asked(&self) -> Option<Queries<'_>> {
        let queries = self.queries()?;
        Some(match self.strata() {
            Some(Strata { counted, total, .. }) => Queries { counted, total, ..queries },
            None => queries,
        })
    }

    /// Every PromQL template it has.
    pub fn templates(&self) -> Vec<&str> {
        match self {
            Self::Value(ValueSpec { query, total, .. }) => {
                [query].into_iter().chain(total).map(String::as_str).collect()
            }
            source => source.queries().into_iter().flat_map(|queries| [queries.counted, queries.total]).collect(),
        }
    }

    /// Whether it counts bad requests of all; a number with a range does not.
    pub fn counts(&self) -> bool {
        !matches!(self, Self::Value(_))
    }

    /// What the format calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ErrorRate { .. } => "errorRate",
            Self::SlowRate { .. } => "slowRate",
            Self::PlaneErrors { .. } => "planeErrors",
            Self::Probe(_) => "probe",
            Self::Value(ValueSpec { kind: ValueKind::Value, .. }) => "value",
            Self::Value(ValueSpec { kind: ValueKind::Quantile, .. }) => "quantile",
            Self::Value(ValueSpec { kind: ValueKind::Alerts, .. }) => "alerts",
        }
    }
}

/// What a metric is compared with besides its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Baseline {
    /// The source, serving the same users at the same moment.
    Source,
}

/// Metrics that tests judge by.
#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    /// One bad request of a hundred is accepted; 50 count as evidence, and nothing is compared.
    pub fn errors() -> MetricSpec {
        MetricSpec {
            name: Name::new("errors").unwrap(),
            source: MetricSource::ErrorRate { errors: "e".into(), total: "t".into(), strata: None },
            max: 0.01,
            baseline: None,
            detect: None,
            min_samples: 50,
            silence: Silence::default(),
        }
    }

    /// A number of 1 to 5, which fails once it has been outside for 30 s.
    pub fn length() -> ValueSpec {
        ValueSpec {
            kind: ValueKind::Value,
            query: "q".into(),
            total: None,
            range: Range { min: Some(1.0), max: Some(5.0) },
            lasting: SignedDuration::from_secs(30),
        }
    }

    /// A metric that is such a number.
    pub fn queue() -> MetricSpec {
        MetricSpec { name: Name::new("queue").unwrap(), source: MetricSource::Value(length()), ..errors() }
    }
}
