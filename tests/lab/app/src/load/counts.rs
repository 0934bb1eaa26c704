//! The bookkeeping: every request is sent once and ends once. PURE.

use super::latency::Latency;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A whole answer arrived.
    Answered {
        /// The cluster that says it answered; `none` for an answer the edge made up itself.
        cluster: String,
        /// The HTTP status.
        status: u16,
    },
    /// The connection ended, or broke the protocol, before the whole answer was there.
    Reset,
    /// The answer was not there in time.
    TimedOut,
    /// No connection could be made.
    NotConnected,
}

/// What became of all requests so far.
#[derive(Debug, Default)]
pub struct Counts {
    sent: u64,
    shed: u64,
    answered: BTreeMap<String, BTreeMap<u16, u64>>,
    resets: u64,
    timeouts: u64,
    connect_errors: u64,
    latency: Latency,
}

impl Counts {
    /// A request was due, and not sent because too many were in flight.
    pub fn shed(&mut self) {
        self.shed += 1;
    }

    /// A request was sent.
    pub fn sent(&mut self) {
        self.sent += 1;
    }

    /// A request that was sent has ended.
    pub fn ended(&mut self, outcome: Outcome, took: Duration) {
        match outcome {
            Outcome::Answered { cluster, status } => {
                *self.answered.entry(cluster).or_default().entry(status).or_default() += 1;
                self.latency.add(took);
            }
            Outcome::Reset => self.resets += 1,
            Outcome::TimedOut => self.timeouts += 1,
            Outcome::NotConnected => self.connect_errors += 1,
        }
    }

    /// The counts as JSON. `failed` is every request that ended without a 2xx or 3xx answer; `sent` is
    /// `answered + resets + timeouts + connectErrors + inFlight`.
    #[must_use]
    pub fn report(&self, elapsed: Duration, finished: bool) -> Value {
        let statuses = || self.answered.values().flatten();
        let answered: u64 = statuses().map(|(_, count)| count).sum();
        let bad: u64 = statuses().filter(|(status, _)| !(200..400).contains(*status)).map(|(_, count)| count).sum();
        let unanswered = self.resets + self.timeouts + self.connect_errors;
        json!({
            "finished": finished,
            "seconds": elapsed.as_secs_f64(),
            "sent": self.sent,
            "inFlight": self.sent - answered - unanswered,
            "shed": self.shed,
            "answered": answered,
            "failed": bad + unanswered,
            "resets": self.resets,
            "timeouts": self.timeouts,
            "connectErrors": self.connect_errors,
            "responses": self.answered,
            "latencyMilliseconds": {
                "p50": milliseconds(self.latency.percentile(50)),
                "p99": milliseconds(self.latency.percentile(99)),
                "max": milliseconds(self.latency.longest()),
            },
        })
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::{Counts, Outcome};
    use serde_json::json;
    use std::time::Duration;

    fn answered(cluster: &str, status: u16) -> Outcome {
        Outcome::Answered { cluster: cluster.to_owned(), status }
    }

    #[test]
    fn every_request_is_accounted_for() {
        let mut counts = Counts::default();
        let outcomes = [
            answered("blue", 200),
            answered("blue", 200),
            answered("green", 500),
            answered("none", 503),
            Outcome::Reset,
            Outcome::TimedOut,
            Outcome::NotConnected,
        ];
        for outcome in outcomes {
            counts.sent();
            counts.ended(outcome, Duration::from_millis(1));
        }
        counts.sent();
        counts.shed();
        let report = counts.report(Duration::from_secs(1), false);
        assert_eq!(report["sent"], 8);
        assert_eq!(report["answered"], 4);
        assert_eq!(report["inFlight"], 1);
        assert_eq!(report["failed"], 5);
        assert_eq!(report["shed"], 1);
        let by_cluster = json!({"blue": {"200": 2}, "green": {"500": 1}, "none": {"503": 1}});
        assert_eq!(report["responses"], by_cluster);
    }
}
