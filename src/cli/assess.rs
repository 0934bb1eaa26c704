//! `crossfade assess`: what stands between two clusters. Reads both and changes neither.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::output::{self, Format};
use super::{Exit, Global, input};
use crate::assess::{self, Effort, Scope};
use crate::cluster::Cluster;
use crate::migration::snapshot::chain;
use crate::policy::{Migration, Name, Workloads};

#[derive(Debug, Args)]
pub(super) struct Assess {
    /// Context of the cluster to leave [default: the Migration's]
    #[arg(long, value_name = "CONTEXT", required_unless_present = "files")]
    source: Option<String>,
    /// Context of the cluster to move to [default: the Migration's]
    #[arg(long, value_name = "CONTEXT", required_unless_present = "files")]
    target: Option<String>,
    /// Files with a Migration: look at what it selects
    #[arg(short, long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The migration, where the files have several
    #[arg(long, value_name = "NAME", requires = "files")]
    migration: Option<String>,
    /// A namespace to look at; may be given again
    #[arg(short, long, value_name = "NAMESPACE", conflicts_with = "files")]
    namespace: Vec<String>,
    /// Look at every namespace but the cluster's own
    #[arg(long, conflicts_with_all = ["files", "namespace"])]
    all_namespaces: bool,
    /// End with 4 where a finding is as bad as this, or worse
    #[arg(long, value_enum, value_name = "EFFORT")]
    fail_on: Option<FailOn>,
    /// kubeconfig [default: $KUBECONFIG, then ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

// Plain comments: with documentation on its values the help text would grow.
/// How bad is too bad.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum FailOn {
    // Something is blocked.
    Blocked,
    // Something needs a change.
    Change,
}

impl FailOn {
    fn is_reached(self, effort: Effort) -> bool {
        match self {
            Self::Blocked => effort >= Effort::Blocked,
            Self::Change => effort >= Effort::NeedsChange,
        }
    }
}

/// What is looked at, and between which contexts.
struct Asked {
    source: String,
    target: String,
    scope: Scope,
}

pub(super) async fn assess(global: &Global, assess: Assess) -> anyhow::Result<Exit> {
    let asked = match asked(global, &assess)? {
        Ok(asked) => asked,
        Err(exit) => return Ok(exit),
    };
    let kubeconfig = assess.kubeconfig.as_deref();
    let read = async {
        let source = Cluster::connect(&asked.source, kubeconfig).await?;
        let target = Cluster::connect(&asked.target, kubeconfig).await?;
        assess::read(&source, &target, asked.scope).await
    };
    let estate = match read.await {
        Ok(estate) => estate,
        Err(error) => {
            output::refuse(global.output, &chain(&error));
            return Ok(input::exit_for(&error));
        }
    };
    let report = assess::assess(&estate);
    match global.output {
        Format::Text => output::line(assess::text(&report, output::width()).trim_end())?,
        Format::Html => output::line(assess::html(&report).trim_end())?,
        format => output::machine(format, &report)?,
    }
    let fails = assess.fail_on.is_some_and(|fail_on| fail_on.is_reached(report.effort));
    Ok(if fails { Exit::NeedsHuman } else { Exit::Done })
}

fn asked(global: &Global, assess: &Assess) -> anyhow::Result<Result<Asked, Exit>> {
    let refused = |message: &str| {
        output::refuse(global.output, message);
        Ok(Err(Exit::BadInput))
    };
    if !assess.files.is_empty() {
        let definitions = match input::definitions(&assess.files, global.output)? {
            Ok(definitions) => definitions,
            Err(exit) => return Ok(Err(exit)),
        };
        let migration = match input::migration(&definitions, assess.migration.as_deref()) {
            Ok(migration) => migration,
            Err(message) => return refused(&message),
        };
        let Migration { source: from, target: to, workloads, .. } = migration;
        let sides = [(&assess.source, from), (&assess.target, to)].map(|(given, cluster)| match given {
            Some(context) => Ok(context.clone()),
            None => input::context(cluster).map(str::to_owned),
        });
        return match sides {
            [Ok(source), Ok(target)] => {
                Ok(Ok(Asked { source, target, scope: Scope::Selection(Box::new(workloads.clone())) }))
            }
            [Err(message), _] | [_, Err(message)] => refused(&message),
        };
    }
    let [source, target] = [&assess.source, &assess.target].map(|context| context.clone().unwrap_or_default());
    if assess.all_namespaces {
        return Ok(Ok(Asked { source, target, scope: Scope::Everything }));
    }
    let names: Option<Vec<Name>> = assess.namespace.iter().map(Name::new).collect();
    match names {
        None => refused("a namespace's name has 1 to 63 lower-case letters, digits and dashes"),
        Some(names) if names.is_empty() => {
            refused("say what to look at: -f FILE, --namespace NAMESPACE or --all-namespaces")
        }
        Some(namespaces) => {
            let workloads = Workloads { namespaces, ..Workloads::default() };
            Ok(Ok(Asked { source, target, scope: Scope::Selection(Box::new(workloads)) }))
        }
    }
}
