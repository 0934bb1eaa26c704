//! The metrics of a policy. PURE.

mod sources;

use jiff::SignedDuration;

pub(super) use self::sources::query;
use self::sources::source;
use crate::policy::cursor::{Cursor, Fields};
use crate::policy::metric::*;
use crate::policy::prometheus::PrometheusSpec;

/// What a metric may ask: the server that was named, or that none was, and how long a number may be out of range unless it says.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub prometheus: Option<&'a Option<PrometheusSpec>>,
    pub window: SignedDuration,
}

/// `analysis.metrics`.
pub(super) fn metrics(at: &Cursor<'_>, asking: Asking<'_>) -> Option<Vec<MetricSpec>> {
    at.each_named(|item| {
        let mut fields = item.fields()?;
        let name = fields.require("name").and_then(|at| at.name());
        let strata_at = ["errorRate", "slowRate"].iter().find_map(|kind| item.peek(kind)?.peek("strata"));
        let source = source(&mut fields, asking);
        let counts = !["quantile", "value", "alerts"].iter().any(|kind| item.peek(kind).is_some());
        let max = if counts { fields.require("max").and_then(|at| limit(&at)) } else { uncounted(&mut fields) };
        let probes = matches!(source, Some(MetricSource::Probe(_)));
        // Where our own way to both clusters is cut, neither answers: that is no fault of the target.
        let usual = probes.then_some(Baseline::Source);
        let baseline =
            fields.or("baseline", usual, |at| at.one_of(&[("source", Some(Baseline::Source)), ("none", None)]));
        let detect_at = fields.get("detect");
        let detect = detect_at.as_ref().map_or(Some(None), |at| regression(at).map(Some));
        let few = if probes { 2 } else { 50 };
        let min_samples = fields.or("minSamples", few, |at| at.count(1));
        let silence = silence(&mut fields);
        fields.finish();
        if let (Some(at), false) = (&detect_at, counts) {
            return at.refuse("is for metrics that count requests", None);
        }
        if let (Some(at), Some(None)) = (detect_at.as_ref().or(strata_at.as_ref()), baseline) {
            return at.refuse("compares with the source, which is not the baseline", Some("add baseline: source"));
        }
        Some(MetricSpec {
            name: name?,
            source: source?,
            max: max?,
            baseline: baseline?,
            detect: detect?,
            min_samples: min_samples?,
            silence: silence?,
        })
    })
}

/// The highest accepted fraction.
fn limit(at: &Cursor<'_>) -> Option<f64> {
    match at.fraction()? {
        max if max > 0.0 && max < 1.0 => Some(max),
        0.0 => at.refuse(
            "accepts not one bad request of any number, so that every step ends in a rollback",
            Some("write the highest fraction that users do not mind, such as 0.1%"),
        ),
        _ => at.refuse("accepts a target on which every request fails", Some("write 1% for one request in a hundred")),
    }
}

/// What does not count requests has no fraction of bad ones.
fn uncounted(fields: &mut Fields<'_>) -> Option<f64> {
    match fields.get("max") {
        Some(at) => {
            at.refuse("is for metrics that count requests", Some("the range of a number stands beside its query"))
        }
        None => Some(1.0),
    }
}

fn silence(fields: &mut Fields<'_>) -> Option<Silence> {
    let usual = Silence::default();
    let words = [("hold", OnNoData::Hold), ("pass", OnNoData::Pass), ("fail", OnNoData::Fail)];
    let on_no_data = fields.or("onNoData", usual.on_no_data, |at| at.one_of(&words));
    let least = SignedDuration::from_secs(1);
    let no_data_budget = fields.or("noDataBudget", usual.no_data_budget, |at| at.duration(least));
    let error_budget = fields.or("errorBudget", usual.error_budget, |at| at.duration(least));
    Some(Silence { on_no_data: on_no_data?, no_data_budget: no_data_budget?, error_budget: error_budget? })
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
