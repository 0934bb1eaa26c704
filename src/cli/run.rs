//! `crossfade run`: one migration from files, in the foreground.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use tokio::signal::unix::{SignalKind, signal};

use super::output::Format;
use super::progress::Progress;
use super::{Exit, Global, input};
use crate::act::store::{Directory, StoreError};
use crate::cluster::{ClusterError, Link};
use crate::drive::{Driver, StartError, TakenUp, World};
use crate::migration::snapshot::chain;
use crate::migration::{Phase, Report};
use crate::plane;
use crate::policy::{Assignment, Definitions};

#[derive(Debug, Args)]
pub(super) struct Run {
    /// Files with a Migration and its ShiftPolicy; - for standard input
    #[arg(short, long = "file", required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The migration, where the files have several
    #[arg(long, value_name = "NAME")]
    migration: Option<String>,
    /// kubeconfig [default: $KUBECONFIG, then ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

pub(super) async fn run(global: &Global, run: Run) -> anyhow::Result<Exit> {
    let definitions = match input::definitions(&run.files, global.output)? {
        Ok(definitions) => definitions,
        Err(exit) => return Ok(exit),
    };
    let assignment = match assignment(&definitions, run.migration.as_deref()) {
        Ok(assignment) => assignment,
        Err(message) => {
            eprintln!("crossfade: {message}");
            return Ok(Exit::BadInput);
        }
    };
    let directory = Directory::of(&global.state_root(), &assignment.migration);
    let world = match world(&assignment, run.kubeconfig.as_deref()).await {
        Ok(world) => world,
        Err(error) => {
            eprintln!("crossfade: {}", chain(&error));
            return Ok(Exit::BadInput);
        }
    };
    let mut progress = Progress::new(global.output);
    let (driver, taken_up) = match Driver::take_up(assignment, world, &directory) {
        Ok(taken_up) => taken_up,
        Err(StartError::Store(error @ StoreError::Busy { .. })) => {
            eprintln!("crossfade: {error}; `crossfade status` shows what it does");
            return Ok(Exit::NeedsHuman);
        }
        Err(error) => return Err(error).context("the migration cannot be taken up"),
    };
    match taken_up {
        TakenUp::Fresh => {}
        TakenUp::Resumed { files_differ } => {
            progress.say(&format!("going on where it was left: {}", driver.state().phase.name()))?;
            if files_differ {
                progress.say("the files have changed since it was started; it goes on as it was started")?;
            }
        }
        TakenUp::Completed => {
            progress.say(&format!("completed before; move {} away to migrate again", directory.journal().display()))?;
            return Ok(Exit::Done);
        }
    }
    drive(driver, progress, global.output).await
}

fn assignment(definitions: &Definitions, name: Option<&str>) -> Result<Assignment, String> {
    let chosen: Vec<_> = definitions
        .migrations
        .iter()
        .filter(|migration| name.is_none_or(|name| migration.name.as_str() == name))
        .collect();
    let [migration] = chosen[..] else {
        let all: Vec<_> = definitions.migrations.iter().map(|migration| migration.name.as_str()).collect();
        return Err(match (all.len(), name) {
            (0, _) => "the files have no Migration".to_owned(),
            (_, Some(name)) => format!("no Migration is called {name}; there are: {}", all.join(", ")),
            (_, None) => format!("say which one with --migration: {}", all.join(", ")),
        });
    };
    let policy = definitions.policy_of(migration).ok_or("the migration has no policy")?;
    Ok(Assignment { migration: migration.clone(), policy: policy.clone() })
}

async fn world(assignment: &Assignment, kubeconfig: Option<&Path>) -> Result<World, ClusterError> {
    let migration = &assignment.migration;
    let planes = migration.planes.iter().filter_map(|spec| Some((spec.name.clone(), plane::connect(spec)?)));
    Ok(World {
        source: Link::new(&migration.source.context, kubeconfig).await?,
        target: Link::new(&migration.target.context, kubeconfig).await?,
        planes: planes.collect(),
    })
}

/// Drives a migration to its end, or to where a person is needed.
async fn drive(mut driver: Driver, mut progress: Progress, format: Format) -> anyhow::Result<Exit> {
    let mut terminate = signal(SignalKind::terminate())?;
    let interrupt = async {
        tokio::select! { _ = tokio::signal::ctrl_c() => {}, _ = terminate.recv() => {} }
    };
    tokio::pin!(interrupt);
    loop {
        // A pass is never cut short: what it has begun it also records.
        let moved = match driver.pass().await {
            Ok(pass) => {
                progress.show(&pass.report)?;
                if let Some(exit) = end(&driver, &pass.report) {
                    say_end(&mut progress, &driver, &pass.report, format)?;
                    return Ok(exit);
                }
                pass.moved
            }
            Err(error) => {
                progress.say(&format!("nothing is done while it cannot be recorded: {}", chain(&error)))?;
                false
            }
        };
        let rest = async {
            if !moved {
                driver.rest().await;
            }
        };
        tokio::select! {
            biased;
            () = &mut interrupt => {
                progress.say("interrupted; traffic stays where it is. Run again to go on, then `crossfade abort` to go back.")?;
                return Ok(Exit::Interrupted);
            }
            () = rest => {}
        }
    }
}

fn end(driver: &Driver, report: &Report) -> Option<Exit> {
    match &driver.state().phase {
        Phase::Completed { .. } => Some(Exit::Done),
        Phase::RolledBack { .. } => Some(Exit::RolledBack),
        _ if report.needs_human => Some(Exit::NeedsHuman),
        _ => None,
    }
}

fn say_end(progress: &mut Progress, driver: &Driver, report: &Report, format: Format) -> anyhow::Result<()> {
    if format != Format::Text {
        return Ok(());
    }
    let waiting = report.message.clone().unwrap_or_default();
    progress.say(&match &driver.state().phase {
        Phase::Completed { .. } => "completed: the target has the traffic, and the source was let go".to_owned(),
        Phase::RolledBack { cause, .. } => format!("rolled back to the origin, which was read back: {cause}"),
        Phase::Preparing { .. } => format!("nothing was written; a person is needed: {waiting}"),
        _ => format!("a person is needed: {waiting}. Run again to go on."),
    })
}
