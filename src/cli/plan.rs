//! `crossfade plan`: what a mirror would do, for people and as a file for `crossfade apply`. Stores nothing on a cluster.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::output::{self, Format};
use super::{Exit, Global, input};
use crate::cluster::Cluster;
use crate::migration::snapshot::chain;
use crate::plan::{self, Side};

#[derive(Debug, Args)]
pub(super) struct Plan {
    /// Files with a Migration and its ShiftPolicy; - for standard input
    #[arg(short, long = "file", required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The migration, where the files have several
    #[arg(long, value_name = "NAME")]
    migration: Option<String>,
    /// Where to save the plan
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the Roles that this plan needs on one side, and nothing else
    #[arg(long, value_enum, value_name = "SIDE")]
    role: Option<RoleOf>,
    /// kubeconfig [default: $KUBECONFIG, then ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

// Plain comments: with documentation on its values the help text would grow.
/// Which cluster a role is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RoleOf {
    // The cluster traffic comes from.
    Source,
    // The cluster traffic goes to.
    Target,
}

pub(super) async fn plan(global: &Global, plan: Plan) -> anyhow::Result<Exit> {
    let definitions = match input::definitions(&plan.files, global.output)? {
        Ok(definitions) => definitions,
        Err(exit) => return Ok(exit),
    };
    let chosen = input::migration(&definitions, plan.migration.as_deref());
    let contexts =
        chosen.and_then(|chosen| Ok((chosen, input::context(&chosen.source)?, input::context(&chosen.target)?)));
    let (migration, source, target) = match contexts {
        Ok(chosen) => chosen,
        Err(message) => {
            output::refuse(global.output, &message);
            return Ok(Exit::BadInput);
        }
    };
    let made = async {
        let source = Cluster::connect(source, plan.kubeconfig.as_deref()).await?;
        let target = Cluster::connect(target, plan.kubeconfig.as_deref()).await?;
        let made = plan::make(&source, &target, migration).await?;
        Ok::<_, crate::cluster::ClusterError>((source, target, made.plan))
    };
    let (source, target, made) = match made.await {
        Ok(made) => made,
        Err(error) => {
            output::refuse(global.output, &chain(&error));
            return Ok(input::exit_for(&error));
        }
    };
    let role = |side| plan::role(&made, side, source.served(), target.served());
    if let Some(of) = plan.role {
        let side = if of == RoleOf::Source { Side::Source } else { Side::Target };
        output::line(role(side).trim_end())?;
        return Ok(Exit::Done);
    }
    match global.output {
        Format::Text => {
            output::line(plan::text(&made).trim_end())?;
            output::line("\nWhat an account has to be allowed: crossfade plan … --role source, --role target")?;
        }
        format => output::machine(format, &made)?,
    }
    if let Some(path) = &plan.out {
        std::fs::write(path, plan::write(&made)?).with_context(|| format!("cannot write {}", path.display()))?;
        output::aside(format_args!("saved to {}", path.display()));
    }
    Ok(if made.blockers().next().is_some() { Exit::NeedsHuman } else { Exit::Done })
}
