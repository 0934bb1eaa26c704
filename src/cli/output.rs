//! How answers are given.

use std::io::IsTerminal;

use clap::ValueEnum;
use serde::Serialize;
use tracing_subscriber::EnvFilter;

/// How to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// For scripts; one object a line where there are several over time
    Json,
    /// For scripts
    Yaml,
}

/// Prints a value for a script.
pub(super) fn machine(format: Format, value: &impl Serialize) -> anyhow::Result<()> {
    match format {
        Format::Yaml => println!("---\n{}", serde_saphyr::to_string(value)?.trim_end()),
        Format::Json | Format::Text => println!("{}", serde_json::to_string(value)?),
    }
    Ok(())
}

/// Whether a person watches standard output.
pub(super) fn is_terminal() -> bool {
    std::io::stdout().is_terminal() && std::io::stderr().is_terminal()
}

/// Columns of the terminal; 80 where there is none.
pub(super) fn width() -> usize {
    console::Term::stdout().size_checked().map_or(80, |(_, columns)| usize::from(columns).max(40))
}

/// Logs go to standard error, and only what `CROSSFADE_LOG` asks for. What the client of a cluster has to say reaches people as
/// the reason of a wait.
pub(super) fn start_tracing() {
    let filter = EnvFilter::try_from_env("CROSSFADE_LOG").unwrap_or_else(|_| EnvFilter::new("warn,kube_client=off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
