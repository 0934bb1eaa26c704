//! Every series there is, and how it is written down. PURE.
//!
//! `FAMILIES` is the whole list; `docs/metrics.md` has the same, and a test holds the two together.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::durations::{CLASSES, Durations};
use crate::gate::Verdict;
use crate::migration::Report;
use crate::migration::snapshot::SideSample;

/// Series of one name.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// The name.
    pub name: &'static str,
    /// What kind of metric it is.
    pub kind: &'static str,
    /// Its labels beside `namespace` and `name`, which all have that are of a migration.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

const fn family(name: &'static str, kind: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind, labels, help }
}

/// Of a migration.
const OF_MIGRATION: &[&str] = &["namespace", "name"];

/// Every family, in the order in which they are written.
pub const FAMILIES: &[Family] = &[
    family("crossfade_leader", "gauge", &[], "Whether this controller leads; nothing of crossfade run."),
    family(
        "crossfade_migration",
        "gauge",
        &["namespace", "name", "phase", "waiting"],
        "1 for the phase of a migration and the reason it waits for.",
    ),
    family("crossfade_needs_human", "gauge", OF_MIGRATION, "Whether a migration cannot go on without a person."),
    family(
        "crossfade_desired_weight_ratio",
        "gauge",
        &["namespace", "name", "plane"],
        "The weight a plane was told, of 1.",
    ),
    family(
        "crossfade_observed_weight_ratio",
        "gauge",
        &["namespace", "name", "plane"],
        "The weight a plane reports, of 1; absent while it cannot be seen.",
    ),
    family(
        "crossfade_measured_share_ratio",
        "gauge",
        OF_MIGRATION,
        "Share of requests that arrived at the target, of 1.",
    ),
    family(
        "crossfade_check_verdict",
        "gauge",
        &["namespace", "name", "metric", "verdict"],
        "1 for the verdict of a check: Pass, Fail, NoData or Error.",
    ),
    family(
        "crossfade_check_value",
        "gauge",
        &["namespace", "name", "metric", "side"],
        "What a check measured: the fraction of bad requests, or its number; absent without data.",
    ),
    family(
        "crossfade_check_requests",
        "gauge",
        &["namespace", "name", "metric", "side"],
        "Requests a check counted in its window.",
    ),
    family(
        "crossfade_check_limit",
        "gauge",
        &["namespace", "name", "metric", "end"],
        "What a check may measure: at most (max), at least (min).",
    ),
    family(
        "crossfade_check_evidence",
        "gauge",
        &["namespace", "name", "metric", "question"],
        "Evidence against the target: above its limit, worse than the source.",
    ),
    family(
        "crossfade_check_proof",
        "gauge",
        &["namespace", "name", "metric", "question"],
        "What that evidence has to reach to be proof.",
    ),
    family("crossfade_decisions_total", "counter", &[], "Decisions made by this process."),
    family("crossfade_rollbacks_total", "counter", &["reason"], "Rollbacks begun by this process, by cause."),
    family("crossfade_query_failures_total", "counter", &[], "Requests to Prometheus without a usable answer."),
    family("crossfade_query_duration_seconds", "histogram", &[], "How long requests to Prometheus took."),
];

/// What is known of the migrations of this process.
#[derive(Debug, Default)]
pub struct Figures {
    /// Whether it leads, where that is a question.
    pub leads: Option<bool>,
    /// By namespace and name.
    pub migrations: BTreeMap<(String, String), Migration>,
    /// Decisions so far.
    pub decisions: u64,
    /// Rollbacks so far.
    pub rollbacks: BTreeMap<&'static str, u64>,
}

/// What is known of one migration.
#[derive(Debug)]
pub struct Migration {
    /// Its newest report.
    pub report: Report,
    /// Why it went back, where it did.
    pub went_back: Option<&'static str>,
}

/// A series: the values of its labels, and its own.
type Series = (Vec<String>, f64);

/// Everything, in Prometheus' text format.
pub fn text(figures: &Figures, queries: &Durations) -> String {
    let mut text = String::new();
    for family in FAMILIES {
        let series = series(family.name, figures, queries);
        if series.is_empty() && family.kind != "histogram" {
            continue;
        }
        let _ = writeln!(text, "# HELP {} {}\n# TYPE {0} {}", family.name, family.help, family.kind);
        for (values, value) in series {
            let labels =
                family.labels.iter().zip(values).map(|(label, value)| format!("{label}=\"{}\"", escaped(&value)));
            let labels = labels.collect::<Vec<_>>().join(",");
            let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
            let _ = writeln!(text, "{}{labels} {value}", family.name);
        }
        if family.kind == "histogram" {
            histogram(&mut text, family.name, queries);
        }
    }
    text
}

fn histogram(text: &mut String, name: &str, durations: &Durations) {
    let counted = durations.counted();
    for (end, count) in CLASSES.iter().zip(counted.up_to) {
        let _ = writeln!(text, "{name}_bucket{{le=\"{end}\"}} {count}");
    }
    let _ = writeln!(
        text,
        "{name}_bucket{{le=\"+Inf\"}} {}\n{name}_sum {}\n{name}_count {0}",
        counted.all, counted.seconds
    );
}

fn series(family: &str, figures: &Figures, queries: &Durations) -> Vec<Series> {
    let alone = |value: f64| vec![(Vec::new(), value)];
    match family {
        "crossfade_leader" => figures.leads.map_or_else(Vec::new, |leads| alone(f64::from(leads))),
        "crossfade_decisions_total" => alone(figures.decisions as f64),
        "crossfade_rollbacks_total" => {
            figures.rollbacks.iter().map(|(reason, count)| (vec![(*reason).to_owned()], *count as f64)).collect()
        }
        "crossfade_query_failures_total" => alone(queries.counted().failed as f64),
        family => figures
            .migrations
            .iter()
            .flat_map(|(key, migration)| of_migration(family, key, &migration.report))
            .collect(),
    }
}

fn of_migration(family: &str, (namespace, name): &(String, String), report: &Report) -> Vec<Series> {
    let with = |more: &[&str], value: f64| {
        let labels = [namespace.as_str(), name.as_str()].into_iter().chain(more.iter().copied());
        (labels.map(str::to_owned).collect(), value)
    };
    let planes = report.planes.iter();
    match family {
        "crossfade_migration" => {
            let waiting = report.waiting.as_ref().map_or("", |waiting| waiting.reason());
            vec![with(&[&report.phase, waiting], 1.0)]
        }
        "crossfade_needs_human" => vec![with(&[], f64::from(report.needs_human))],
        "crossfade_desired_weight_ratio" => {
            planes.filter_map(|plane| Some(with(&[plane.name.as_str()], plane.desired?.fraction()))).collect()
        }
        "crossfade_observed_weight_ratio" => {
            planes.filter_map(|plane| Some(with(&[plane.name.as_str()], plane.observed?.fraction()))).collect()
        }
        "crossfade_measured_share_ratio" => report.measured_share.map(|share| with(&[], share)).into_iter().collect(),
        "crossfade_check_verdict" => {
            let verdict = |verdict| match verdict {
                Verdict::Pass => "Pass",
                Verdict::Fail => "Fail",
                Verdict::NoData => "NoData",
                Verdict::Error => "Error",
            };
            let checks = report.metrics.iter();
            checks.map(|check| with(&[check.name.as_str(), verdict(check.finding.verdict)], 1.0)).collect()
        }
        "crossfade_check_value" | "crossfade_check_requests" => {
            let number = if family == "crossfade_check_value" { value } else { requests };
            let bases = report.metrics.iter().filter_map(|check| Some((&check.name, check.basis.as_ref()?)));
            let sides =
                bases.flat_map(|(name, basis)| [(name, "source", &basis.source), (name, "target", &basis.target)]);
            sides.filter_map(|(name, side, sample)| Some(with(&[name.as_str(), side], number(sample)?))).collect()
        }
        "crossfade_check_limit" => {
            let limits = report.metrics.iter().filter_map(|check| Some((&check.name, &check.basis.as_ref()?.limits)));
            let ends = limits.flat_map(|(name, limits)| {
                let max = limits.max.or(limits.range.and_then(|range| range.max));
                [(name, "min", limits.range.and_then(|range| range.min)), (name, "max", max)]
            });
            ends.filter_map(|(name, end, limit)| Some(with(&[name.as_str(), end], limit?))).collect()
        }
        "crossfade_check_evidence" | "crossfade_check_proof" => {
            let is_evidence = family == "crossfade_check_evidence";
            let evidence =
                report.metrics.iter().filter_map(|check| Some((&check.name, check.basis.as_ref()?.evidence.as_ref()?)));
            let questions = evidence.flat_map(|(name, evidence)| {
                let above = if is_evidence { evidence.above } else { evidence.above_is_proof };
                let worse = evidence.worse_is_proof.map(|proof| if is_evidence { evidence.worse } else { proof });
                [Some((name, "above", above)), worse.map(|worse| (name, "worse", worse))].into_iter().flatten()
            });
            questions.map(|(name, question, number)| with(&[name.as_str(), question], number)).collect()
        }
        _ => Vec::new(),
    }
}

/// The fraction of bad requests, or the number.
fn value(sample: &SideSample) -> Option<f64> {
    match sample {
        SideSample::Counts { bad, total } => (*total > 0.0).then(|| bad / total),
        SideSample::Value { value, .. } => Some(*value),
        SideSample::NoData(_) | SideSample::Error(_) => None,
    }
}

fn requests(sample: &SideSample) -> Option<f64> {
    match sample {
        SideSample::Counts { total, .. } => Some(*total),
        SideSample::Value { count, .. } => *count,
        SideSample::NoData(_) | SideSample::Error(_) => None,
    }
}

/// The value of a label as the format wants it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
