//! `crossfade policy lint`: mistakes, advice, and what a policy can see at a given rate. Contacts nobody.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::output::{self, Format};
use super::{Exit, Global, input};
use crate::analysis::forecast::{MetricForecast, StepForecast, Traffic, forecast};
use crate::analysis::lint::{Advice, advise};
use crate::analysis::power::POWER;
use crate::migration::snapshot::{PlaneView, SideView, chain};
use crate::plane::{self, PlaneError};
use crate::policy::{Definitions, PlaneSpec, ShiftPolicy, Weight};
use crate::simulate::case::span;

pub(super) const EXAMPLES: &str = "Examples:
  crossfade policy lint checkout.yaml
  crossfade policy lint migrations.yaml policies/*.yaml
  crossfade policy lint policies/careful.yaml --rate 200 --healthy 0.1%
  helm template chart | crossfade policy lint -

A Migration and its ShiftPolicy are checked together; give both files.";

#[derive(Debug, Args)]
pub(super) struct Lint {
    /// Files to check; - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Requests a second: say what each step can see at that rate
    #[arg(long, value_name = "NUMBER", value_parser = positive)]
    rate: Option<f64>,
    /// Bad requests of a healthy side, such as 0.1% [default: a tenth of max]
    #[arg(long, value_name = "FRACTION", value_parser = fraction, requires = "rate")]
    healthy: Option<f64>,
    /// Time between two scrapes of Prometheus, such as 15s
    #[arg(long, value_name = "TIME", value_parser = duration)]
    scrape: Option<Duration>,
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "is not a number above 0".to_owned())
}

fn fraction(text: &str) -> Result<f64, String> {
    let (number, scale) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
    let fraction = number.parse().ok().map(|number: f64| number / scale);
    fraction
        .filter(|fraction| *fraction > 0.0 && *fraction < 1.0)
        .ok_or_else(|| "is not a fraction such as 0.1%".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = text.parse::<jiff::SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    duration.filter(|duration| !duration.is_zero()).ok_or_else(|| "is not a duration such as 15s".to_owned())
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Clean {
    migrations: usize,
    policies: usize,
    advice: Vec<Advice>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    forecasts: Vec<Forecast>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Forecast {
    policy: String,
    /// The chance that a healthy target is rolled back, over a whole migration.
    false_rollbacks: f64,
    steps: Vec<StepForecast>,
}

pub(super) fn lint(global: &Global, lint: &Lint) -> anyhow::Result<Exit> {
    let definitions = match input::definitions(&lint.files, global.output)? {
        Ok(definitions) => definitions,
        Err(exit) => return Ok(exit),
    };
    let clean = examine(&definitions, lint);
    match global.output {
        Format::Text => {
            for line in text(&clean, lint) {
                output::line(line)?;
            }
        }
        format => output::machine(format, &clean)?,
    }
    Ok(Exit::Done)
}

fn examine(definitions: &Definitions, lint: &Lint) -> Clean {
    let Definitions { migrations, policies } = definitions;
    let traffic = lint.rate.map(|rate| Traffic { rate, healthy: lint.healthy });
    let of_policy = |policy: &ShiftPolicy| {
        let steps = forecast(policy, traffic?);
        Some(Forecast { policy: policy.name.to_string(), false_rollbacks: policy.analysis.false_rollbacks, steps })
    };
    Clean {
        migrations: migrations.len(),
        policies: policies.len(),
        advice: policies
            .iter()
            .flat_map(|policy| advise(policy, lint.scrape))
            .chain(unrepresentable(definitions))
            .collect(),
        forecasts: policies.iter().filter_map(of_policy).collect(),
    }
}

/// Weights that a plane cannot represent if nobody gave anything on it a weight of its own. What it has is seen when a migration
/// starts, which refuses them too.
fn unrepresentable(definitions: &Definitions) -> Vec<Advice> {
    let of_plane = |policy: &ShiftPolicy, spec: &PlaneSpec| {
        let Some(plane) = plane::connect(spec) else { return Vec::new() };
        let side = SideView::default();
        let view = PlaneView { weight: Weight::ZERO, setting: plane.untouched(), source: side, target: side };
        let steps = policy.steps.iter().enumerate().filter_map(|(index, step)| Some((index + 1, step.weight()?)));
        let refused = steps.filter_map(|(number, weight)| match plane.propose(&view, weight) {
            Err(error @ PlaneError::NotRepresentable { .. }) => Some((number, error)),
            Ok(()) | Err(_) => None,
        });
        let advice = |(number, error): (usize, PlaneError)| Advice {
            policy: policy.name.to_string(),
            about: format!("step {number}"),
            message: format!("on {}, if all behind it weigh alike: {}", spec.name, chain(&error)),
        };
        refused.map(advice).collect()
    };
    let pairs =
        definitions.migrations.iter().filter_map(|migration| Some((migration, definitions.policy_of(migration)?)));
    pairs.flat_map(|(migration, policy)| migration.planes.iter().flat_map(move |spec| of_plane(policy, spec))).collect()
}

fn text(clean: &Clean, lint: &Lint) -> Vec<String> {
    let mut lines = vec![format!(
        "no mistakes in {} and {}",
        counted(clean.migrations, "Migration", "Migrations"),
        counted(clean.policies, "ShiftPolicy", "ShiftPolicies"),
    )];
    let told = |advice: &Advice| wrapped(&format!("{}: {}: {}", advice.policy, advice.about, advice.message));
    lines.extend(clean.advice.iter().flat_map(told));
    for Forecast { policy, false_rollbacks, steps } in &clean.forecasts {
        lines.push(String::new());
        let rate = lint.rate.unwrap_or_default();
        lines.push(format!(
            "{policy} at {rate} requests/s; a healthy target is rolled back {}",
            percent(*false_rollbacks)
        ));
        let names = ["step", "weight", "lasts", "metric", "sees", "named", "found in", "failed"];
        lines.push(columns(names.map(str::to_owned)));
        lines.extend(steps.iter().flat_map(|step| step.metrics.iter().map(move |metric| row(step, metric))));
        let blind = steps.iter().flat_map(|step| step.metrics.iter().map(move |metric| (step, metric)));
        lines.extend(blind.filter(|(_, metric)| metric.is_blind()).map(|(step, metric)| {
            format!("  step {} goes on before {} could have seen {}", step.step, metric.name, percent(metric.named))
        }));
    }
    if !clean.forecasts.is_empty() {
        let power = POWER * 100.0;
        lines.push(String::new());
        lines.push(format!("sees: fraction of bad requests found {power:.0} times of 100 before the step ends"));
        lines.push("named: what detect names, else twice the healthy fraction; at 100% above max".to_owned());
        lines.push("found in, failed: time until half of those are rolled back, and what it costs".to_owned());
    }
    lines
}

fn row(step: &StepForecast, metric: &MetricForecast) -> String {
    let or_never = |text: Option<String>| text.unwrap_or_else(|| "never".to_owned());
    let seconds = |seconds: f64| span((seconds * 1000.0) as i64);
    columns([
        step.step.to_string(),
        step.weight.to_string(),
        seconds(step.seconds),
        metric.name.to_string(),
        or_never(metric.smallest.map(percent)),
        percent(metric.named),
        or_never(metric.seconds.map(seconds)),
        or_never(metric.failed.map(|failed| format!("{failed:.0}"))),
    ])
}

fn columns([step, weight, lasts, metric, sees, named, found, failed]: [String; 8]) -> String {
    format!("  {step:<5} {weight:>7}  {lasts:<7}  {metric:<10} {sees:>7} {named:>8}  {found:>8} {failed:>8}")
}

/// Text in lines of 80 columns, all but the first one indented.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= 80 => line.push_str(&format!(" {word}")),
            Some(_) => lines.push(format!("    {word}")),
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Two digits that count.
fn percent(fraction: f64) -> String {
    let percent = fraction * 100.0;
    let decimals = (1.0 - percent.abs().log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{percent:.decimals$}%")
}

fn counted(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}
