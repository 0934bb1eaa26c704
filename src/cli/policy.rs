//! `crossfade policy`: checks that contact nobody.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::output::{self, Format};
use super::{Exit, Global, input};

#[derive(Debug, Subcommand)]
pub(super) enum Policy {
    /// Find every mistake in Migrations and ShiftPolicies
    Lint(Lint),
}

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
        Format::Text => println!("no mistakes: {} migrations, {} policies", clean.migrations, clean.policies),
        format => output::machine(format, &clean)?,
    }
    Ok(Exit::Done)
}
