//! The metrics of a policy. PURE.

use crate::analysis::{promql, template};
use crate::policy::cursor::{Cursor, Fields};
use crate::policy::prometheus::PrometheusSpec;
use crate::policy::types::*;

/// `analysis.metrics`; `prometheus` is the server that was named, or that none was.
pub(super) fn metrics(at: &Cursor<'_>, prometheus: Option<&Option<PrometheusSpec>>) -> Option<Vec<MetricSpec>> {
    at.each_named(|item| {
        let mut fields = item.fields()?;
        let name = fields.require("name").and_then(|at| at.name());
        let source = source(&mut fields, prometheus);
        let max = fields.require("max").and_then(|at| match at.fraction()? {
            max if max > 0.0 && max < 1.0 => Some(max),
            0.0 => at.refuse(
                "accepts not one bad request of any number, so that every step ends in a rollback",
                Some("write the highest fraction that users do not mind, such as 0.1%"),
            ),
            _ => at
                .refuse("accepts a target on which every request fails", Some("write 1% for one request in a hundred")),
        });
        let baseline =
            fields.or("baseline", None, |at| at.one_of(&[("source", Some(Baseline::Source)), ("none", None)]));
        let detect_at = fields.get("detect");
        let detect = detect_at.as_ref().map_or(Some(None), |at| regression(at).map(Some));
        let min_samples = fields.or("minSamples", 50, |at| at.count(1));
        let on_no_data = fields.or("onNoData", (), |at| match at.text()?.as_str() {
            "hold" => Some(()),
            _ => at.refuse(
                "only hold is possible: missing data neither advances nor rolls back",
                Some("write onNoData: hold, or leave it out"),
            ),
        });
        fields.finish();
        if let (Some(at), Some(None)) = (&detect_at, baseline) {
            return at.refuse("compares with the source, which is not the baseline", Some("add baseline: source"));
        }
        let metric = MetricSpec {
            name: name?,
            source: source?,
            max: max?,
            baseline: baseline?,
            detect: detect?,
            min_samples: min_samples?,
        };
        on_no_data.and(Some(metric))
    })
}

/// `2x`, or `+1pp`.
fn regression(at: &Cursor<'_>) -> Option<Regression> {
    const HELP: Option<&str> = Some("write 2x for twice as many bad requests, or +1pp for one more of a hundred");
    let text = at.text()?;
    let times = text.strip_suffix('x').and_then(|number| number.parse().ok()).map(Regression::Times);
    let points = || {
        let number: f64 = text.strip_prefix('+')?.strip_suffix("pp")?.parse().ok()?;
        Some(Regression::Points(number / 100.0))
    };
    match times.or_else(points) {
        Some(Regression::Times(times)) if !(1.05..=1_000.0).contains(&times) => {
            at.refuse("is outside 1.05x to 1000x", HELP)
        }
        Some(Regression::Points(points)) if !(0.000_01..=0.5).contains(&points) => {
            at.refuse("is outside +0.001pp to +50pp", HELP)
        }
        Some(regression) => Some(regression),
        None => at.refuse("is not a regression", HELP),
    }
}

fn source(fields: &mut Fields<'_>, prometheus: Option<&Option<PrometheusSpec>>) -> Option<MetricSource> {
    match fields.variant(&["errorRate", "slowRate", "planeErrors"])? {
        ("errorRate", at) => {
            let (errors, total) = queries(&at, "errors", prometheus)?;
            Some(MetricSource::ErrorRate { errors, total })
        }
        ("slowRate", at) => {
            let (within, total) = queries(&at, "within", prometheus)?;
            Some(MetricSource::SlowRate { within, total })
        }
        (_, at) => {
            let mut fields = at.fields()?;
            let plane = fields.require("plane").and_then(|at| at.name());
            fields.finish();
            Some(MetricSource::PlaneErrors { plane: plane? })
        }
    }
}

/// A query that counts some requests, called `some`, and one that counts all.
fn queries(
    at: &Cursor<'_>,
    some: &'static str,
    prometheus: Option<&Option<PrometheusSpec>>,
) -> Option<(String, String)> {
    let mut fields = at.fields()?;
    let counted = fields.require(some).and_then(|at| query(&at));
    let total = fields.require("total").and_then(|at| query(&at));
    fields.finish();
    if prometheus == Some(&None) {
        return at.refuse("needs a Prometheus to ask", Some("add analysis.prometheus.address"));
    }
    Some((counted?, total?))
}

/// A query that tells the two clusters apart and follows the window.
pub(super) fn query(at: &Cursor<'_>) -> Option<String> {
    let text = at.text()?;
    if let Err(error) = template::check(&text) {
        return at.refuse(error.to_string(), Some(error.help()));
    }
    match promql::read(&text) {
        Ok(_) => Some(text),
        Err(why) => at.refuse(why, None),
    }
}
