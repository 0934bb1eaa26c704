//! `crossfade simulate`: what would happen, before it does.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use jiff::SignedDuration;
use serde::Serialize;

use super::output::{self, Format};
use super::{Exit, Global, input};
use crate::migration::decide;
use crate::observe::clock::Clock;
use crate::policy::{Assignment, Weight};
use crate::simulate::case::{Moment, time_of_week};
use crate::simulate::model::{self, Bounds, Fence};
use crate::simulate::{End, Scenario, Stage, Tally, samples, shrink, tell};

#[derive(Debug, Args)]
pub(super) struct Simulate {
    /// Files with Migrations and their ShiftPolicies; without any, three built-in ones
    #[arg(short, long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How many stories to play
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    seeds: u64,
    /// Tell the story of this seed instead
    #[arg(long, value_name = "SEED", conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Try everything that two controllers and one plane can come to, within bounds, and report how much that was
    #[arg(long, conflicts_with_all = ["seeds", "seed", "files", "at", "fail_at", "prometheus_away"])]
    exhaustive: bool,
    /// When it begins, in UTC: 02:00, or "Sat 02:00"; without a day, a Thursday
    #[arg(long, value_name = "TIME", value_parser = time_of_week)]
    at: Option<Moment>,
    /// Nothing goes wrong but that the target fails a fifth of its requests from this weight on
    #[arg(long, value_name = "PERCENT", value_parser = Weight::from_str)]
    fail_at: Option<Weight>,
    /// Nothing goes wrong but that Prometheus is away for so long, at some time while traffic moves
    #[arg(long, value_name = "DURATION")]
    prometheus_away: Option<SignedDuration>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    #[serde(flatten)]
    tally: Tally,
    cores: usize,
    seconds: f64,
    /// Of all cores together; on a machine that is shared, less than `cores` times `seconds`.
    processor_seconds: f64,
    migrations_per_minute_and_core: f64,
}

pub(super) fn simulate(global: &Global, simulate: Simulate) -> anyhow::Result<Exit> {
    let Simulate { files, seeds, seed, exhaustive, at, fail_at, prometheus_away } = simulate;
    if exhaustive {
        return everything(global);
    }
    let assignments = if files.is_empty() {
        samples()?
    } else {
        let definitions = match input::definitions(&files, global.output)? {
            Ok(definitions) => definitions,
            Err(exit) => return Ok(exit),
        };
        let policy = |migration| definitions.policy_of(migration).cloned();
        let assigned = definitions.migrations.iter().filter_map(|migration| {
            Some(Arc::new(Assignment { migration: migration.clone(), policy: policy(migration)? }))
        });
        assigned.collect()
    };
    let Some(stage) = Stage::new(assignments, Scenario { at: at.unwrap_or_default(), fail_at, prometheus_away }) else {
        eprintln!("crossfade: the files have no Migration");
        return Ok(Exit::BadInput);
    };
    match seed {
        Some(seed) => one(global, &stage, seed),
        None => many(global, &stage, seeds),
    }
}

/// Tries everything, one bound after the other.
fn everything(global: &Global) -> anyhow::Result<Exit> {
    let sample = model::sample()?;
    let mut exit = Exit::Done;
    let mut all = Vec::new();
    for bounds in Bounds::LARGE {
        let found = model::explore(&sample, bounds, Fence::Up, decide);
        if found.broken.is_some() {
            exit = Exit::Failed;
        }
        if global.output == Format::Text {
            println!("At most {bounds}:\n  {found}");
        }
        all.push(found);
    }
    if global.output != Format::Text {
        output::machine(global.output, &all)?;
    }
    Ok(exit)
}

/// Tells one story.
fn one(global: &Global, stage: &Stage, seed: u64) -> anyhow::Result<Exit> {
    let (assignment, case) = stage.case(seed);
    let (story, ending) = tell(assignment, &case, decide);
    if global.output == Format::Text {
        let policy = &assignment.policy.name;
        println!("Seed {seed}: {} under the policy {policy}\n\n{}", assignment.migration.name, story.text());
        println!("The share of requests that went to the target, on the plane that gave it most:\n");
        println!(
            "{}\n{} of {:.0} requests failed.",
            story.chart(ending.lasted),
            ending.failed.round(),
            ending.requests
        );
    } else {
        output::machine(global.output, &story)?;
    }
    Ok(if ending.broken.is_some() { Exit::Failed } else { Exit::Done })
}

/// Plays many, on every core.
fn many(global: &Global, stage: &Stage, seeds: u64) -> anyhow::Result<Exit> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let clock = Clock::start();
    let start = clock.now();
    let (tally, worked) = std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..cores as u64).map(|first| scope.spawn(move || share(stage, first, cores, seeds))).collect();
        let done = workers.into_iter().filter_map(|worker| worker.join().ok());
        done.fold((Tally::default(), Some(0.0)), |(tally, worked), (one, time)| {
            (tally.plus(one), worked.zip(time).map(|(worked, time)| worked + time))
        })
    });
    anyhow::ensure!(tally.migrations == seeds, "only {} of {seeds} stories came to an end", tally.migrations);
    let seconds = Duration::try_from(clock.now().duration_since(start)).unwrap_or_default().as_secs_f64();
    let processor_seconds = worked.unwrap_or(seconds * cores as f64);
    let rate = tally.migrations as f64 / processor_seconds.max(f64::MIN_POSITIVE) * 60.0;
    let summary = Summary { tally, cores, seconds, processor_seconds, migrations_per_minute_and_core: rate.round() };
    match global.output {
        Format::Text => println!("{}", text(&summary)),
        format => output::machine(format, &summary)?,
    }
    for breaks in summary.tally.broken.values() {
        tell_shortest(stage, breaks.first_seed);
    }
    Ok(if summary.tally.broken.is_empty() { Exit::Done } else { Exit::Failed })
}

/// One core's share of the seeds, one seed in as many as there are cores, and the processor's time it took.
fn share(stage: &Stage, first: u64, cores: usize, seeds: u64) -> (Tally, Option<f64>) {
    let mut tally = Tally::default();
    for seed in (first..seeds).step_by(cores) {
        tally.add(seed, &stage.play(seed));
    }
    (tally, processor_time())
}

/// Seconds this thread has had a processor, where the system says so; what others do on the machine is not in it.
fn processor_time() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = text.split(' ').next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}

fn tell_shortest(stage: &Stage, seed: u64) {
    let (assignment, case) = stage.case(seed);
    let shortest = shrink(assignment, &case, decide);
    let (story, _) = tell(assignment, &shortest, decide);
    eprintln!("\nSeed {seed}, made as short as it can be, under {:?}:\n{}", shortest.setting, story.text());
}

fn text(summary: &Summary) -> String {
    let Summary { tally, cores, seconds, processor_seconds, migrations_per_minute_and_core } = summary;
    let mut lines = vec![format!("{:<42} {:>9} {:>7} {:>10} {:>16}", "", "stories", "", "time p50", "failed p50/p99")];
    for (end, group) in &tally.ends {
        let share = group.count as f64 / tally.migrations as f64 * 100.0;
        let (lasted, failed) = (&group.spans.lasted, &group.spans.failed);
        lines.push(format!(
            "{:<42} {:>9} {share:>6.2}% {:>9.0}s {:>8.0}/{:.0}",
            worded(*end),
            group.count,
            lasted.quantile(0.5),
            failed.quantile(0.5),
            failed.quantile(0.99),
        ));
    }
    let broken: u64 = tally.broken.values().map(|breaks| breaks.count).sum();
    lines.push(format!("\n{broken} promises broken in {} migrations, {} decisions.", tally.migrations, tally.passes));
    lines.push(format!(
        "{migrations_per_minute_and_core:.0} migrations a minute and core ({processor_seconds:.1} s of {cores} cores, {seconds:.1} s by the clock)."
    ));
    lines.join("\n")
}

fn worded(end: End) -> &'static str {
    match end {
        End::Completed => "completed",
        End::RolledBack => "rolled back: the target was bad",
        End::RolledBackWithBoth => "rolled back: both sides were bad",
        End::RolledBackFalsely => "rolled back falsely",
        End::Aborted => "aborted by a person",
        End::TooLate => "rolled back: the target was not ready",
        End::Held => "held: it waits for something nobody did",
    }
}
