//! `crossfade adopt`: going on without the state, by what the planes and the clusters say.

use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use super::output::{self, Format};
use super::{Exit, Global, input, run};
use crate::act::directory::{Directory, HeldDirectory};
use crate::act::store::Store;
use crate::analysis::prometheus::Servers;
use crate::cluster;
use crate::drive::World;
use crate::migration::adopt::{Memo, adopt as rebuild};
use crate::migration::snapshot::chain;
use crate::migration::{Phase, State};
use crate::observe;
use crate::observe::clock::Clock;
use crate::policy::{Assignment, Step};

#[derive(Debug, Args)]
pub(super) struct Adopt {
    /// Files with the Migration and its ShiftPolicy; - for standard input
    #[arg(short, long = "file", required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The migration, where the files have several
    #[arg(long, value_name = "NAME")]
    migration: Option<String>,
    /// kubeconfig [default: $KUBECONFIG, then ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Write what was found without asking
    #[arg(long)]
    yes: bool,
}

/// What nothing in the world says; the same for every migration.
const UNKNOWN: [&str; 3] = [
    "what evidence this step had gathered: it begins anew",
    "who had paused it, and what was approved: a pause is over, an approval is asked for again",
    "what was being written when the state was lost: only what can be read back counts",
];

/// What was made out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Account {
    migration: String,
    found: Vec<String>,
    unknown: Vec<&'static str>,
    adopted: bool,
}

pub(super) async fn adopt(global: &Global, adopt: Adopt) -> anyhow::Result<Exit> {
    let definitions = match input::definitions(&adopt.files, global.output)? {
        Ok(definitions) => definitions,
        Err(exit) => return Ok(exit),
    };
    let assignment = match run::assignment(&definitions, adopt.migration.as_deref()) {
        Ok(assignment) => assignment,
        Err(message) => {
            output::refuse(global.output, &message);
            return Ok(Exit::BadInput);
        }
    };
    let directory = Directory::of(&global.state_root(), &assignment.migration);
    let refuse = |why: &str, exit| {
        output::refuse(global.output, &format!("{}: {why}", directory.name()));
        Ok(exit)
    };
    if directory.journal().exists() {
        return refuse("its state is not lost; `crossfade run` goes on from it", Exit::NeedsHuman);
    }
    let world = match run::world(&assignment, adopt.kubeconfig.as_deref(), Servers::open()).await {
        Ok(world) => world,
        Err(error) => return refuse(&format!("{error:#}"), Exit::BadInput),
    };
    let clock = Clock::start();
    let state = match made_out(&assignment, &world, &clock).await {
        Ok(state) => state,
        Err(reasons) => return refuse(&reasons.join("; "), Exit::NeedsHuman),
    };
    let mut account = Account {
        migration: directory.name(),
        found: found(&state, &assignment),
        unknown: UNKNOWN.to_vec(),
        adopted: false,
    };
    if global.output == Format::Text {
        tell(&account)?;
    }
    account.adopted = adopt.yes || asked()?;
    if account.adopted {
        let (mut held, _) = HeldDirectory::open(&directory, &clock).context("the state cannot be written")?;
        held.decide(clock.now(), &state, Vec::new()).await.context("the state cannot be written")?;
    }
    match (global.output, account.adopted) {
        (Format::Text, true) => {
            output::line("adopted; `crossfade run` goes on from here, and `crossfade abort` then goes back")?
        }
        (Format::Text, false) => output::aside("nothing was written; --yes adopts it so"),
        (format, _) => output::machine(format, &account)?,
    }
    Ok(if account.adopted { Exit::Done } else { Exit::NeedsHuman })
}

/// Reads what there is, and what it amounts to.
async fn made_out(assignment: &Assignment, world: &World, clock: &Clock) -> Result<State, Vec<String>> {
    let unseen = |error: cluster::ClusterError| vec![chain(&error)];
    let (source, target) = tokio::try_join!(world.source.get(), world.target.get()).map_err(unseen)?;
    let kept = cluster::recall(target, assignment).await.map_err(unseen)?;
    let memo: Memo = match kept.as_deref().map(serde_json::from_str) {
        Some(Ok(memo)) => memo,
        Some(Err(error)) => return Err(vec![format!("what {} keeps of it cannot be read: {error}", target.name())]),
        None => return Err(vec![format!("{} keeps nothing of it: it was not begun, or is over", target.name())]),
    };
    let workloads: Vec<_> = memo.origin.replicas.keys().cloned().collect();
    let selection = &memo.assignment.migration.workloads;
    let source = cluster::on_source(source, &workloads, selection).await.map_err(unseen)?;
    let planes = observe::planes(&world.planes).await;
    rebuild(memo, &source, &planes, clock.now())
}

/// What was found, a line each.
fn found(state: &State, files: &Assignment) -> Vec<String> {
    let mut found = Vec::new();
    let Some(origin) = state.phase.origin() else { return found };
    found.push(format!("the origin, as it was recorded at {:.0}", origin.at));
    for (plane, entry) in state.ledger.iter() {
        let began = origin.planes.get(plane).map(|origin| origin.weight).unwrap_or_default();
        found.push(format!("{plane} at {}, began at {began}", entry.desired()));
    }
    for (workload, replicas) in &origin.replicas {
        found.push(format!("{workload} whole on the source, with the {replicas} replicas it began with"));
    }
    found.push(match &state.phase {
        Phase::Shifting(shifting) => {
            let weight = match state.assignment.policy.steps.get(shifting.step) {
                Some(Step::SetWeight(weight)) => weight.to_string(),
                _ => String::new(),
            };
            format!("it goes on at step {}, {weight}", shifting.step + 1)
        }
        _ => "no weight was moved: it goes on with mirroring".to_owned(),
    });
    if *state.assignment != *files {
        found.push("the files differ from what was started; it goes on as it was started".to_owned());
    }
    found
}

fn tell(account: &Account) -> anyhow::Result<()> {
    output::line(format_args!("{}, as the world has it:", account.migration))?;
    account.found.iter().try_for_each(|line| output::line(format_args!("  {line}")))?;
    output::line("and what nothing says any more:")?;
    account.unknown.iter().try_for_each(|line| output::line(format_args!("  {line}")))
}

/// Asks whoever sits at the terminal; nobody there is no.
fn asked() -> anyhow::Result<bool> {
    if !output::is_terminal() || !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    output::aside("Adopt it so? Type yes:");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("cannot read the answer")?;
    Ok(line.trim() == "yes")
}
