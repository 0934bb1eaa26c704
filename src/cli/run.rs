//! `crossfade run`: one migration from files, in the foreground.

mod adoption;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use tokio::signal::unix::{SignalKind, signal};

use self::adoption::Adoption;
use super::progress::Progress;
use super::values::OwnValues;
use super::{Exit, Global, input, output, status};
use crate::act::directory::Directory;
use crate::act::store::StoreError;
use crate::analysis::prometheus::Servers;
use crate::cluster::Link;
use crate::drive::{Attempt, Driver, Seat, StartError, TakenUp, World};
use crate::migration::snapshot::chain;
use crate::migration::{Phase, Report, State};
use crate::plane;
use crate::policy::{Assignment, ClusterRef, Definitions, OnCommit};
use crate::telemetry::Telemetry;

#[derive(Debug, Args)]
pub(super) struct Run {
    /// Files with a Migration and its ShiftPolicy; - for standard input. One that has begun goes on without
    #[arg(short, long = "file", required_unless_present = "migration", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The migration, where the files have several, or where there are none any more
    #[arg(long, value_name = "NAME")]
    migration: Option<String>,
    /// Begin again where the last attempt went back
    #[arg(long)]
    again: bool,
    /// Go on under the files' policy of this name instead of the one it was started with
    #[arg(long, requires = "files", value_name = "NAME")]
    adopt_policy: Option<String>,
    /// kubeconfig [default: $KUBECONFIG, then ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Where /metrics is served, such as 127.0.0.1:9797
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
}

pub(super) async fn run(global: &Global, run: Run) -> anyhow::Result<Exit> {
    let definitions = match input::definitions(&run.files, global.output)? {
        Ok(definitions) => definitions,
        Err(exit) => return Ok(exit),
    };
    let root = global.state_root();
    let named = run.migration.as_deref();
    let chosen = if run.files.is_empty() {
        begun(&root, named)
    } else {
        assignment(&definitions, named).map_err(anyhow::Error::msg)
    };
    let adopts = run.adopt_policy.as_deref();
    let assignment = match chosen.and_then(|assignment| adoption::named(adopts, assignment)) {
        Ok(assignment) => assignment,
        Err(error) => {
            output::refuse(global.output, &format!("{error:#}"));
            return Ok(Exit::BadInput);
        }
    };
    let written = assignment.clone();
    let directory = Directory::of(&root, &assignment.migration);
    let attempt = if run.again { Attempt::Another } else { Attempt::Same };
    let seat = match Seat::in_directory(assignment, &directory, attempt).await {
        Ok(seat) => seat,
        Err(error @ StoreError::Busy { .. }) => {
            output::refuse(global.output, &format!("{error}; `crossfade status` shows what it does"));
            return Ok(Exit::NeedsHuman);
        }
        Err(error) => return Err(error).context("the migration cannot be taken up"),
    };
    let mut progress = Progress::new(global.output);
    match seat.taken_up() {
        TakenUp::Fresh => {}
        TakenUp::Resumed { files_differ } => {
            progress.say("going on where it was left")?;
            let followed = seat.assignment();
            if files_differ && followed.migration != written.migration {
                progress
                    .say("the Migration in the files has changed since it was started; it goes on as it was started")?;
            }
            if files_differ && adopts.is_none() && followed.policy != written.policy {
                progress.say(&adoption::offer(followed, &written))?;
            }
        }
        TakenUp::Completed => {
            progress.say(&format!("completed before; move {} away to migrate again", directory.journal().display()))?;
            return Ok(Exit::Done);
        }
        TakenUp::RolledBack => {
            progress.say(&format!("{}; `crossfade run --again` begins again", closing(seat.state(), "")))?;
            return Ok(Exit::RolledBack);
        }
    }
    let telemetry = Telemetry::default();
    let _serving = match run.metrics {
        Some(address) => Some(telemetry.serve(address).await.with_context(|| format!("cannot listen on {address}"))?),
        None => None,
    };
    let servers = Servers::new(OwnValues).measured(telemetry.queries());
    let reached = async {
        adoption::can_be_asked(seat.assignment(), &servers).await?;
        world(seat.assignment(), run.kubeconfig.as_deref(), servers.clone()).await
    };
    let world = match reached.await {
        Ok(world) => world,
        Err(error) => {
            output::refuse(global.output, &format!("{error:#}"));
            return Ok(Exit::BadInput);
        }
    };
    let asked = match adopts {
        Some(_) => Some(adoption::ask(&directory, seat.assignment(), &written.policy, &world.servers).await?),
        None => None,
    };
    let adoption = match asked {
        Some(Err(message)) => {
            output::refuse(global.output, &message);
            return Ok(Exit::BadInput);
        }
        asked => asked.and_then(Result::ok),
    };
    match seat.drive(world) {
        Ok(driver) => drive(driver, progress, adoption, &telemetry).await,
        Err(error @ StartError::NoPlane(_)) => {
            output::refuse(global.output, &format!("{error}: `embedded` is for the demo, name another"));
            Ok(Exit::BadInput)
        }
        Err(error) => Err(error).context("the migration cannot be taken up"),
    }
}

/// What a migration that has begun was started with: it needs its files no more.
fn begun(root: &Path, name: Option<&str>) -> anyhow::Result<Assignment> {
    let directory = status::find(root, name).map_err(anyhow::Error::msg)?;
    let state = directory.state()?;
    let state = state.filter(|state| !state.phase.is_terminal());
    let state = state
        .with_context(|| format!("{} has not begun, so its files are needed: give them with -f", directory.name()))?;
    Ok(Assignment::clone(&state.assignment))
}

/// The Migration that is meant, of those in the files.
pub(super) fn assignment(definitions: &Definitions, name: Option<&str>) -> Result<Assignment, String> {
    let migration = input::migration(definitions, name)?;
    let policy = definitions.policy_of(migration).ok_or("the migration has no policy")?;
    Ok(Assignment { migration: migration.clone(), policy: policy.clone() })
}

/// The clusters and planes a migration speaks of. Contacts nobody.
pub(super) async fn world(
    assignment: &Assignment,
    kubeconfig: Option<&Path>,
    servers: Servers,
) -> anyhow::Result<World> {
    let migration = &assignment.migration;
    let planes = migration.planes.iter().filter_map(|spec| Some((spec.name.clone(), plane::connect(spec)?)));
    Ok(World {
        source: link(&migration.source, kubeconfig).await?,
        target: link(&migration.target, kubeconfig).await?,
        planes: planes.collect(),
        servers,
    })
}

async fn link(cluster: &ClusterRef, kubeconfig: Option<&Path>) -> anyhow::Result<Link> {
    let context = input::context(cluster).map_err(anyhow::Error::msg)?;
    Ok(Link::new(context, kubeconfig).await?)
}

/// Drives a migration to its end, or to where it cannot even begin without a person.
async fn drive(
    mut driver: Driver,
    mut progress: Progress,
    mut adoption: Option<Adoption>,
    telemetry: &Telemetry,
) -> anyhow::Result<Exit> {
    let namespace = driver.state().assignment.migration.namespace.to_string();
    let mut terminate = signal(SignalKind::terminate())?;
    let interrupt = async {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    };
    tokio::pin!(interrupt);
    let (mut told, mut needs_human) = (None, false);
    loop {
        // A pass is never cut short: what it has begun it also records.
        let (moved, trouble) = match driver.pass().await {
            Ok(pass) => {
                progress.show(&pass.report)?;
                telemetry.told(&namespace, &pass.report);
                needs_human = pass.report.needs_human;
                if let Some(reply) = adoption.as_ref().and_then(Adoption::reply) {
                    adoption = None;
                    progress.say(&reply.message)?;
                    if !reply.accepted {
                        progress.say("not adopted: nothing was changed, and nobody drives it now")?;
                        return Ok(Exit::NeedsHuman);
                    }
                }
                if let Some(exit) = end(&driver, &pass.report) {
                    progress.say(&closing(driver.state(), pass.report.message.as_deref().unwrap_or_default()))?;
                    return Ok(exit);
                }
                let person = needs_human.then(|| "a person is needed; it goes on trying meanwhile".to_owned());
                let unrecorded = pass.unrecorded.map(|error| format!("this cannot be recorded: {}", chain(&error)));
                (pass.moved, unrecorded.or(person))
            }
            Err(error) => (false, Some(format!("nothing is done while it cannot be recorded: {}", chain(&error)))),
        };
        if trouble != told {
            trouble.iter().try_for_each(|trouble| progress.say(trouble))?;
            told = trouble;
        }
        let rest = async {
            if !moved {
                driver.rest().await;
            }
        };
        tokio::select! {
            biased;
            () = &mut interrupt => {
                progress.say(&interrupted(&driver))?;
                return Ok(if needs_human { Exit::NeedsHuman } else { Exit::Interrupted });
            }
            () = rest => {}
        }
    }
}

/// Whether this run is over. Once something was written only the end ends it: what protects must not stop protecting.
fn end(driver: &Driver, report: &Report) -> Option<Exit> {
    match &driver.state().phase {
        Phase::Completed { .. } => Some(Exit::Done),
        Phase::RolledBack { .. } => Some(Exit::RolledBack),
        Phase::Preparing { .. } if report.needs_human => Some(Exit::NeedsHuman),
        _ => None,
    }
}

fn closing(state: &State, waiting: &str) -> String {
    match &state.phase {
        Phase::Completed { .. } if state.assignment.migration.on_commit == OnCommit::Retain => {
            "completed: the target has the traffic; the source was left as it is".to_owned()
        }
        Phase::Completed { .. } => "completed: the target has the traffic, and the source was let go".to_owned(),
        Phase::RolledBack { cause, .. } if state.ledger.is_empty() => {
            format!("ended before anything was written: {cause}")
        }
        Phase::RolledBack { cause, .. } => format!("rolled back to the origin, which was read back: {cause}"),
        _ => format!("nothing was written; a person is needed: {waiting}"),
    }
}

fn interrupted(driver: &Driver) -> String {
    let where_it_is = match &driver.state().phase {
        Phase::RollingBack { .. } => "interrupted on the way back; run again at once to finish it",
        Phase::Committing { .. } => "interrupted in the middle of a commit; run again to finish it",
        _ => "interrupted; traffic stays where it is. Run again to go on; to go back, run again and `crossfade abort`",
    };
    where_it_is.to_owned()
}
