//! `crossfade apply`: exactly what a plan says, or nothing. Moves no traffic.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::output::{self, Format};
use super::{Exit, Global, input};
use crate::cluster::Cluster;
use crate::migration::snapshot::chain;
use crate::plan::{self, ApplyError, Changed, Plan, Problem};

#[derive(Debug, Args)]
pub(super) struct Apply {
    /// The plan, as `crossfade plan --out` saved it
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// kubeconfig [default: $KUBECONFIG, then ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

/// What a script is told of a plan that was not applied.
#[derive(Debug, Serialize)]
struct Refused<'a> {
    error: String,
    changed: &'a [Changed],
    problems: &'a [Problem],
}

pub(super) async fn apply(global: &Global, apply: Apply) -> anyhow::Result<Exit> {
    let refuse = |message: String| {
        output::refuse(global.output, &message);
        Ok(Exit::BadInput)
    };
    let name = apply.plan.display();
    let plan = match std::fs::read_to_string(&apply.plan) {
        Ok(text) => plan::read(&text).map_err(|error| format!("{name} cannot be applied: {error}")),
        Err(error) => Err(format!("cannot read {name}: {error}")),
    };
    let plan = match plan {
        Ok(plan) => plan,
        Err(message) => return refuse(message),
    };
    let contexts =
        input::context(&plan.migration.source).and_then(|source| Ok((source, input::context(&plan.migration.target)?)));
    let (source, target) = match contexts {
        Ok(contexts) => contexts,
        Err(message) => return refuse(message),
    };
    let done = async {
        let source = Cluster::connect(source, apply.kubeconfig.as_deref()).await?;
        let target = Cluster::connect(target, apply.kubeconfig.as_deref()).await?;
        plan::apply(&source, &target, &plan).await
    };
    match done.await {
        Ok(applied) => {
            match global.output {
                Format::Text => {
                    applied.written.iter().try_for_each(|object| output::line(format_args!("wrote {object}")))?;
                    let (written, unchanged) = (applied.written.len(), applied.unchanged);
                    output::line(format_args!("{written} written, {unchanged} were as planned already"))?;
                }
                format => output::machine(format, &applied)?,
            }
            Ok(Exit::Done)
        }
        Err(error) => refused(global, &plan, &error),
    }
}

fn refused(global: &Global, plan: &Plan, error: &ApplyError) -> anyhow::Result<Exit> {
    let (changed, problems): (&[Changed], &[Problem]) = match error {
        ApplyError::Changed { changed } => (changed, &[]),
        ApplyError::Blocked { blockers } => (&[], blockers),
        ApplyError::Cluster(_) | ApplyError::Stopped { .. } => (&[], &[]),
    };
    output::aside(format_args!("crossfade: {}: {}", plan.migration.name, chain(error)));
    if global.output == Format::Text {
        changed.iter().for_each(|changed| output::aside(format_args!("  {changed}")));
        problems.iter().for_each(|problem| output::aside(format_args!("  {problem}")));
    } else {
        output::unread(output::machine(global.output, &Refused { error: chain(error), changed, problems }))?;
    }
    Ok(match error {
        ApplyError::Cluster(error) => input::exit_for(error),
        ApplyError::Stopped { .. } => Exit::Failed,
        ApplyError::Changed { .. } | ApplyError::Blocked { .. } => Exit::NeedsHuman,
    })
}
