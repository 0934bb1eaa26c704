//! What the pod counts of the requests for `/`, in Prometheus text format. Probes are not traffic and are
//! left out.
//!
//! The format is version 0.0.4 of Prometheus' exposition format: a histogram's buckets are cumulative and end
//! with `+Inf`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds in seconds. They start below what the lab's loopback takes and end above its time-outs.
const BOUNDS: [f64; 11] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// Counters of the answered requests.
#[derive(Debug)]
pub(super) struct Metrics(Mutex<Counts>);

#[derive(Debug)]
struct Counts {
    by_code: BTreeMap<u16, u64>,
    within: [u64; BOUNDS.len()],
    seconds: f64,
}

impl Metrics {
    /// Counters at zero. The series for 200 exists from the start: a counter whose first sample is already
    /// above zero hides its first requests from `increase()`.
    pub(super) fn new() -> Self {
        Self(Mutex::new(Counts { by_code: BTreeMap::from([(200, 0)]), within: [0; BOUNDS.len()], seconds: 0.0 }))
    }

    /// Counts one answer.
    pub(super) fn count(&self, code: u16, took: Duration) {
        let seconds = took.as_secs_f64();
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.by_code.entry(code).or_default() += 1;
        counts.seconds += seconds;
        for (within, bound) in counts.within.iter_mut().zip(BOUNDS) {
            *within += u64::from(seconds <= bound);
        }
    }

    /// The page Prometheus scrapes.
    pub(super) fn page(&self) -> String {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let total: u64 = counts.by_code.values().sum();
        let mut page = String::from(
            "# HELP http_requests_total Requests answered, by status code.\n# TYPE http_requests_total counter\n",
        );
        for (code, count) in &counts.by_code {
            let _ = writeln!(page, "http_requests_total{{code=\"{code}\"}} {count}");
        }
        page.push_str(
            "# HELP http_request_duration_seconds Time from a request's head to its answer.\n\
             # TYPE http_request_duration_seconds histogram\n",
        );
        for (bound, within) in BOUNDS.iter().zip(counts.within) {
            let _ = writeln!(page, "http_request_duration_seconds_bucket{{le=\"{bound}\"}} {within}");
        }
        let _ = writeln!(page, "http_request_duration_seconds_bucket{{le=\"+Inf\"}} {total}");
        let _ = writeln!(page, "http_request_duration_seconds_sum {}", counts.seconds);
        let _ = writeln!(page, "http_request_duration_seconds_count {total}");
        page
    }
}

#[cfg(test)]
mod tests {
    use super::Metrics;
    use std::time::Duration;

    #[test]
    fn counts_by_code_and_cumulative_bucket() {
        let metrics = Metrics::new();
        metrics.count(200, Duration::from_millis(3));
        metrics.count(500, Duration::from_millis(300));
        metrics.count(500, Duration::from_secs(9));
        let page = metrics.page();
        for line in [
            "http_requests_total{code=\"200\"} 1\n",
            "http_requests_total{code=\"500\"} 2\n",
            "http_request_duration_seconds_bucket{le=\"0.001\"} 0\n",
            "http_request_duration_seconds_bucket{le=\"0.005\"} 1\n",
            "http_request_duration_seconds_bucket{le=\"0.5\"} 2\n",
            "http_request_duration_seconds_bucket{le=\"5\"} 2\n",
            "http_request_duration_seconds_bucket{le=\"+Inf\"} 3\n",
            "http_request_duration_seconds_count 3\n",
        ] {
            assert!(page.contains(line), "{line} is missing in\n{page}");
        }
    }

    #[test]
    fn a_fresh_pod_already_has_its_success_series() {
        assert!(Metrics::new().page().contains("http_requests_total{code=\"200\"} 0\n"));
    }
}
