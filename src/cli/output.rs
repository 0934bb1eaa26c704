//! How answers are given.
//!
//! Nothing here panics where nobody reads: a closed standard output is [`Closed`], which a verb that only shows ends on quietly
//! and one that drives a migration ignores; a closed standard error loses what was meant for it.

use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};

use anyhow::Context;
use clap::ValueEnum;
use serde::Serialize;
use tracing_subscriber::EnvFilter;

// Plain comments: with documentation on its values every help text would grow by ten lines.
/// How to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    // For people.
    Text,
    // For scripts; one object a line where there are several over time.
    Json,
    // For scripts.
    Yaml,
    // For a browser; only of a verb that makes a page.
    Html,
}

/// Whoever read standard output has gone, as `head` does.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads standard output")]
pub(super) struct Closed;

/// What a script is told where a verb does not do what it was asked.
#[derive(Debug, Serialize)]
struct Refusal<'a> {
    error: &'a str,
}

/// Prints a line on standard output, with its end in one piece: where this process is killed, the next one's first line does not
/// follow half a line.
pub(super) fn line(text: impl Display) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(format!("{text}\n").as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Closed.into()),
        written => written.context("cannot write to standard output"),
    }
}

/// Prints a line beside the answer, for whoever watches.
pub(super) fn aside(text: impl Display) {
    let _nobody_to_tell = writeln!(std::io::stderr(), "{text}");
}

/// Prints a value for a script.
pub(super) fn machine(format: Format, value: &impl Serialize) -> anyhow::Result<()> {
    match format {
        Format::Yaml => line(format_args!("---\n{}", serde_saphyr::to_string(value)?.trim_end())),
        Format::Json | Format::Text | Format::Html => line(serde_json::to_string(value)?),
    }
}

/// Says why a verb does not do what it was asked: to people on standard error, to scripts on standard output too.
pub(super) fn refuse(format: Format, why: &str) {
    aside(format_args!("crossfade: {why}"));
    if format != Format::Text {
        // The exit code says the same to a script that reads no more.
        machine(format, &Refusal { error: why }).unwrap_or_default();
    }
}

/// Ignores that nobody reads, for what goes on all the same.
pub(super) fn unread(written: anyhow::Result<()>) -> anyhow::Result<()> {
    written.or_else(|error| if error.is::<Closed>() { Ok(()) } else { Err(error) })
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
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false).init();
}
