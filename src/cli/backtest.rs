//! `crossfade policy backtest`: a policy's gates over traffic that Prometheus has recorded.

mod chart;
mod fetch;

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use jiff::SignedDuration;

use super::output::{self, Format};
use super::values::OwnValues;
use super::{Exit, Global, input, run};
use crate::analysis::backtest::{Backtest, Detection, Recording, backtest};
use crate::analysis::prometheus::Servers;
use crate::policy::{Assignment, ShiftPolicy};
use crate::simulate::case::span;

pub(super) const EXAMPLES: &str = "Examples:
  crossfade policy backtest -f checkout.yaml
  crossfade policy backtest -f checkout.yaml --since 168h --save week.json --svg week.svg
  crossfade policy backtest -f edited.yaml --load week.json -o json

Asks the policy's Prometheus for the requests of both clusters, and divides them
anew between a source and a target that is as good, or worse by so much.";

#[derive(Debug, Args)]
pub(super) struct BacktestArgs {
    /// Files with a Migration and its ShiftPolicy; - for standard input
    #[arg(short, long = "file", required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The migration, where the files have several
    #[arg(long, value_name = "NAME")]
    migration: Option<String>,
    /// How far back to go
    #[arg(long, default_value = "24h", value_name = "TIME", value_parser = duration)]
    since: SignedDuration,
    /// How finely to look [default: half the policy's window]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    grain: Option<SignedDuration>,
    /// Keep what was recorded in a file
    #[arg(long, value_name = "FILE", conflicts_with = "load")]
    save: Option<PathBuf>,
    /// Read what was recorded from a file instead of asking
    #[arg(long, value_name = "FILE", conflicts_with_all = ["since", "grain"])]
    load: Option<PathBuf>,
    /// Draw it into a file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Other numbers, other divisions
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
}

fn duration(text: &str) -> Result<SignedDuration, String> {
    let duration = text.parse::<SignedDuration>().ok().filter(|duration| *duration >= SignedDuration::from_secs(1));
    duration.ok_or_else(|| "is not a duration of a second or more, such as 24h".to_owned())
}

pub(super) async fn run_backtest(global: &Global, asked: BacktestArgs) -> anyhow::Result<Exit> {
    let definitions = match input::definitions(&asked.files, global.output)? {
        Ok(definitions) => definitions,
        Err(exit) => return Ok(exit),
    };
    let assignment = match run::assignment(&definitions, asked.migration.as_deref()) {
        Ok(assignment) => assignment,
        Err(message) => {
            output::refuse(global.output, &message);
            return Ok(Exit::BadInput);
        }
    };
    let recording = match recording(&assignment, &asked).await? {
        Ok(recording) => recording,
        Err(message) => {
            output::refuse(global.output, &message);
            return Ok(Exit::BadInput);
        }
    };
    let policy = &assignment.policy;
    let result = backtest(policy, &recording, asked.seed);
    if let Some(path) = &asked.save {
        fs::write(path, serde_json::to_vec(&recording)?).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let Some(path) = &asked.svg {
        fs::write(path, chart::svg(policy, &recording, &result))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    match global.output {
        Format::Text => lines(policy, &recording, &result).into_iter().try_for_each(output::line)?,
        format => output::machine(format, &result)?,
    }
    Ok(Exit::Done)
}

/// What was recorded; the inner error is one of whoever asked.
async fn recording(assignment: &Assignment, asked: &BacktestArgs) -> anyhow::Result<Result<Recording, String>> {
    if let Some(path) = &asked.load {
        let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let recording: Result<Recording, _> = serde_json::from_slice(&text);
        let usable = recording.ok().filter(|recording| recording.grain >= SignedDuration::from_secs(1));
        return Ok(usable.ok_or_else(|| format!("{} is no recording; --save writes one", path.display())));
    }
    let Some(prometheus) = Servers::new(OwnValues).of(assignment)? else {
        return Ok(Err("the policy names no Prometheus, so nothing was recorded".to_owned()));
    };
    let analysis = &assignment.policy.analysis;
    let half = SignedDuration::from_millis(i64::try_from(analysis.window.as_millis() / 2).unwrap_or(i64::MAX));
    let grain = asked.grain.unwrap_or(half).max(SignedDuration::from_secs(1));
    if grain > analysis.window {
        return Ok(Err(format!("--grain is longer than the window of {:#}", analysis.window)));
    }
    Ok(Ok(fetch::recording(&prometheus, assignment, asked.since, grain).await?))
}

fn lines(policy: &ShiftPolicy, recording: &Recording, result: &Backtest) -> Vec<String> {
    let mut lines = vec![format!(
        "{} over {} of traffic from {:.0} on, in grains of {:#}",
        policy.name,
        span(i64::try_from(result.recorded.as_millis()).unwrap_or(i64::MAX)),
        recording.from,
        recording.grain
    )];
    lines.extend(chart::terminal(policy, recording, result));
    lines.push(String::new());
    lines.push(format!(
        "{} of {} healthy targets went back: {:.3} false alarms in a week of traffic",
        result.alarms.len(),
        result.migrations,
        result.alarms_per_week
    ));
    let first = result.alarms.iter().take(5);
    lines.extend(
        first.map(|alarm| format!("  {:.0}  {} at {}: {}", alarm.at, alarm.metric, alarm.weight, alarm.account)),
    );
    if !result.detections.is_empty() {
        lines.push(String::new());
        lines.push(columns(["metric", "worse by", "weight", "lasts", "found", "half in"].map(str::to_owned)));
        lines.extend(result.detections.iter().map(row));
    }
    let left_out: Vec<_> = result.left_out.iter().map(ToString::to_string).collect();
    if !left_out.is_empty() {
        lines.push(format!("not replayed, because Prometheus is not asked for it: {}", left_out.join(", ")));
    }
    lines
}

fn row(detection: &Detection) -> String {
    let seconds = |seconds: f64| span((seconds * 1000.0) as i64);
    columns([
        detection.metric.to_string(),
        detection.regression.clone(),
        detection.weight.to_string(),
        seconds(detection.lasts),
        format!("{} of {}", detection.found, detection.targets),
        detection.median_seconds.map_or_else(|| "never".to_owned(), seconds),
    ])
}

fn columns([metric, worse, weight, lasts, found, half]: [String; 6]) -> String {
    format!("  {metric:<12} {worse:>8} {weight:>7} {lasts:>8} {found:>9} {half:>8}")
}
