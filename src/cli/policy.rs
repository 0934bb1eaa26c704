//! `crossfade policy`: checks that contact nobody.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::output::{self, Format};
use super::{Exit, Global, input};

#[derive(Debug, Subcommand)]
pub(super) enum Policy {
    /// Find every mistake in Migrations and ShiftPolicies
    #[command(after_help = LINT_EXAMPLES)]
    Lint(Lint),
}

const LINT_EXAMPLES: &str = "Examples:
  crossfade policy lint checkout.yaml
  crossfade policy lint migrations.yaml policies/*.yaml
  helm template chart | crossfade policy lint -

A Migration and its ShiftPolicy are checked together; give both files.";

#[derive(Debug, Args)]
pub(super) struct Lint {
    /// Files to check; - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Clean {
    migrations: usize,
    policies: usize,
}

pub(super) fn policy(global: &Global, policy: Policy) -> anyhow::Result<Exit> {
    let Policy::Lint(lint) = policy;
    let definitions = match input::definitions(&lint.files, global.output)? {
        Ok(definitions) => definitions,
        Err(exit) => return Ok(exit),
    };
    let clean = Clean { migrations: definitions.migrations.len(), policies: definitions.policies.len() };
    match global.output {
        Format::Text => output::line(format_args!(
            "no mistakes in {} and {}",
            counted(clean.migrations, "Migration", "Migrations"),
            counted(clean.policies, "ShiftPolicy", "ShiftPolicies"),
        ))?,
        format => output::machine(format, &clean)?,
    }
    Ok(Exit::Done)
}

fn counted(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}
