//! What is allowed in a policy and will not do what its author hopes. PURE.

use std::time::Duration;

use serde::Serialize;

use super::promql::{self, Query};
use crate::policy::metric::{OnNoData, Range, ValueKind, ValueSpec};
use crate::policy::{MetricSource, ShiftPolicy};

/// Something that is worth a second thought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Advice {
    /// The policy.
    pub policy: String,
    /// What it is about: a metric, a step.
    pub about: String,
    /// What is the matter, and what to do instead.
    pub message: String,
}

/// Everything that reading a policy tells; `scrape` is the time between two scrapes of its Prometheus, where that is known.
pub fn advise(policy: &ShiftPolicy, scrape: Option<Duration>) -> Vec<Advice> {
    let mut found = Vec::new();
    let mut say = |about: String, message: String| {
        found.push(Advice { policy: policy.name.to_string(), about, message });
    };
    let window = Duration::try_from(policy.analysis.window).unwrap_or_default();
    let asks = policy.analysis.metrics.iter().any(|spec| !spec.source.templates().is_empty());
    if let Some(scrape) = scrape.filter(|scrape| asks && window < *scrape * 4) {
        let windows = window.as_secs_f64() / scrape.as_secs_f64();
        let worst =
            if window < scrape * 2 { "so most looks find nothing" } else { "of which nearly half may be made up" };
        say("window".into(), format!("holds {windows:.1} scrapes, {worst}; let it hold four"));
    }
    if policy.analysis.prometheus.as_ref().is_some_and(|server| server.tells_secrets_in_the_open()) {
        say("prometheus".into(), "sends a secret without TLS, to whoever listens; write https:// in address".into());
    }
    for spec in &policy.analysis.metrics {
        let about = |field: &str| format!("{}.{field}", spec.name);
        if let Some(queries) = spec.source.queries() {
            let counted = match &spec.source {
                MetricSource::SlowRate { .. } => "within",
                _ => "errors",
            };
            for (field, text) in [(counted, queries.counted), ("total", queries.total)] {
                // What cannot be read was refused with the file.
                let Ok(query) = promql::read(text) else { continue };
                of_query(&query).into_iter().for_each(|message| say(about(field), message));
            }
            let strata = spec.source.strata().filter(|strata| ONE_SIDED.contains(&strata.label.as_str()));
            if let Some(strata) = strata {
                let message = format!(
                    "{} has other values on each side, so nothing is compared; name a label that both share",
                    strata.label
                );
                say(about("strata"), message);
            }
            if queries.counted == queries.total {
                let always = if queries.counts_bad { "fails on every request" } else { "never fails" };
                say(spec.name.to_string(), format!("counts the same twice, so it {always}"));
            }
        }
        if let MetricSource::Value(value) = &spec.source {
            of_value(value).into_iter().for_each(|message| say(spec.name.to_string(), message));
        }
        if let (OnNoData::Fail, MetricSource::PlaneErrors { .. } | MetricSource::Probe(_)) =
            (spec.silence.on_no_data, &spec.source)
        {
            say(about("onNoData"), "fail goes back for a plane or a probe that cannot be reached from here".into());
        }
        if spec.source.counts() && spec.max >= 0.5 {
            say(about("max"), "accepts a target on which every second request fails".into());
        }
    }
    if policy.analysis.metrics.iter().all(|spec| !spec.source.templates().is_empty()) {
        let message =
            "every metric needs Prometheus; add planeErrors or probe, which go on protecting while that is away";
        say("metrics".into(), message.into());
    }
    found
}

/// Labels that never have the same value on both sides.
const ONE_SIDED: &[&str] = &["cluster", "container_id", "host", "hostname", "instance", "node", "pod", "pod_name"];

fn of_value(value: &ValueSpec) -> Vec<String> {
    // What cannot be read was refused with the file.
    let Ok(query) = promql::read(&value.query) else { return Vec::new() };
    let mut said = Vec::new();
    match value.kind {
        ValueKind::Alerts => {
            if !query.selectors.iter().any(|selector| selector.names_cluster) {
                said.push("an alert of either cluster goes back; name {{ cluster }} to tell them apart".to_owned());
            }
        }
        ValueKind::Value | ValueKind::Quantile => {
            if query.selectors.is_empty() {
                said.push("asks for no series, so it is the same whatever happens".to_owned());
            }
            if !query.selectors.iter().all(|selector| selector.names_cluster) {
                said.push("has a selector without {{ cluster }}, so both sides share its series".to_owned());
            }
            if let Some(metric) = &query.raw_counter {
                said.push(format!("takes {metric} as it stands, which counts since its process began; use increase()"));
            }
            if value.kind == ValueKind::Value && !query.aggregated {
                said.push("may give several series, which is an error; aggregate them".to_owned());
            }
        }
    }
    match value.range {
        Range { min: None, max: Some(max) } if max < 0.0 => {
            said.push("never passes where its number cannot be negative".to_owned())
        }
        Range { min: Some(min), max: None } if min <= 0.0 => {
            said.push("never fails where its number cannot be negative".to_owned())
        }
        _ => {}
    }
    said
}

fn of_query(query: &Query) -> Vec<String> {
    let mut said = Vec::new();
    if let Some(metric) = &query.raw_counter {
        said.push(format!("takes {metric} as it stands, which counts since its process began; use increase()"));
    }
    if let Some(function) = query.per_second {
        said.push(format!("gives requests per second; use increase() for {function}(), so that requests are counted"));
    }
    if !query.aggregated {
        said.push("may give several series, which is an error; sum them up".to_owned());
    }
    for selector in &query.selectors {
        let name = selector.metric.as_deref().unwrap_or("a selector");
        if !selector.names_cluster {
            said.push(format!("{name} has no label for {{{{ cluster }}}}, so both sides get the same series"));
        }
        if let Some(range) = selector.fixed_range {
            said.push(format!("{name} looks back {range:?} whatever is asked; write [{{{{ window }}}}]"));
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{SourceFile, load};

    fn said(text: &str, scrape: Option<u64>) -> Vec<String> {
        let definitions = load(&[SourceFile { name: "policy.yaml".into(), text: text.into() }]).unwrap();
        let advice = advise(&definitions.policies[0], scrape.map(Duration::from_secs));
        advice.into_iter().map(|advice| format!("{}: {}", advice.about, advice.message)).collect()
    }

    #[test]
    fn says_what_will_not_do_what_is_hoped() {
        let said = said(include_str!("../../tests/bad/hopeful.yaml"), Some(10));
        let expected = [
            "window: holds 2.0 scrapes, of which nearly half may be made up",
            "raw.errors: takes http_errors_total as it stands",
            "per-second.errors: gives requests per second",
            "per-second.total: gives requests per second",
            "per-second.total: http_requests_total looks back 300s",
            "per-second.max: accepts a target",
            "several.errors: may give several series",
            "several.total: may give several series",
            "both-sides.errors: http_errors_total has no label for {{ cluster }}",
            "twice: counts the same twice, so it never fails",
            "prometheus: sends a secret without TLS",
            "same: has a selector without {{ cluster }}",
            "same: never fails where its number cannot be negative",
            "since-start: takes http_requests_total as it stands",
            "since-start: may give several series",
            "since-start: never passes where its number cannot be negative",
            "anybody: an alert of either cluster goes back",
            "alive.onNoData: fail goes back for a plane or a probe that cannot be reached",
            "alive.max: accepts a target",
            "each-pod.strata: pod has other values on each side",
        ];
        let mut missing = expected.iter().filter(|expected| !said.iter().any(|said| said.starts_with(**expected)));
        assert_eq!(missing.next(), None, "{said:#?}");
        // The query that is taken as it stands is so twice: once now and once a window ago.
        assert_eq!(said.len(), expected.len(), "{said:#?}");
    }

    #[test]
    fn a_policy_with_nothing_beside_prometheus_is_told_so() {
        let told = said(include_str!("../../policies/careful.yaml"), None);
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(told[0].starts_with("metrics: every metric needs Prometheus"), "{told:?}");
    }

    #[test]
    fn what_we_ship_needs_no_advice() {
        assert_eq!(said(include_str!("../../policies/brisk.yaml"), Some(15)), Vec::<String>::new());
    }
}
