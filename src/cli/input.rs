//! What the environment and files give the program.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use miette::{GraphicalReportHandler, GraphicalTheme};
use serde::Serialize;

use super::Exit;
use super::output::{self, Format};
use crate::cluster::ClusterError;
use crate::policy::{self, ClusterRef, Definitions, InvalidInput, Migration, Problem, SourceFile};

/// Where journals are kept unless somebody says otherwise.
#[expect(clippy::disallowed_methods, reason = "the edge of the program is where its environment is read")]
pub(super) fn default_state_root() -> PathBuf {
    let base = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/state"));
    base.or_else(home).unwrap_or_else(|| PathBuf::from(".")).join("crossfade")
}

/// Who is typing.
#[expect(clippy::disallowed_methods, reason = "the edge of the program is where its environment is read")]
pub(super) fn user() -> String {
    std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_else(|_| "somebody".to_owned())
}

/// What a script is told of files with mistakes.
#[derive(Debug, Serialize)]
struct Refused<'a> {
    error: String,
    problems: &'a [Problem],
}

/// Reads and checks files; mistakes are shown, all of them.
pub(super) fn definitions(paths: &[PathBuf], format: Format) -> anyhow::Result<Result<Definitions, Exit>> {
    checked(paths, format, policy::load)
}

/// What `load` makes of files; mistakes are shown, all of them.
pub(super) fn checked<T>(
    paths: &[PathBuf],
    format: Format,
    load: impl FnOnce(&[SourceFile]) -> Result<T, InvalidInput>,
) -> anyhow::Result<Result<T, Exit>> {
    let mut files = Vec::new();
    for path in paths {
        match read(path) {
            Ok(file) => files.push(file),
            Err(error) => {
                output::refuse(format, &format!("{error:#}"));
                return Ok(Err(Exit::BadInput));
            }
        }
    }
    match load(&files) {
        Ok(read) => Ok(Ok(read)),
        Err(invalid) => {
            if format == Format::Text {
                let theme = if output::is_terminal() { GraphicalTheme::unicode() } else { GraphicalTheme::none() };
                let handler = GraphicalReportHandler::new_themed(theme).with_width(output::width());
                for diagnostic in invalid.diagnostics() {
                    let mut text = String::new();
                    handler.render_report(&mut text, &diagnostic).context("cannot show a mistake")?;
                    output::aside(text);
                }
            } else {
                let refused = Refused { error: invalid.to_string(), problems: &invalid.problems };
                output::unread(output::machine(format, &refused))?;
            }
            output::aside(format_args!("crossfade: {invalid}"));
            Ok(Err(Exit::BadInput))
        }
    }
}

/// The Migration called `name`, or the only one.
pub(super) fn migration<'d>(definitions: &'d Definitions, name: Option<&str>) -> Result<&'d Migration, String> {
    let named = |migration: &&Migration| name.is_none_or(|name| migration.name.as_str() == name);
    let chosen: Vec<_> = definitions.migrations.iter().filter(named).collect();
    if let [migration] = chosen[..] {
        return Ok(migration);
    }
    let all: Vec<_> = definitions.migrations.iter().map(|migration| migration.name.as_str()).collect();
    Err(match (all.len(), name) {
        (0, _) => "the files have no Migration".to_owned(),
        (_, Some(name)) => format!("no Migration is called {name}; there are: {}", all.join(", ")),
        (_, None) => format!("say which one with --migration: {}", all.join(", ")),
    })
}

/// The kubeconfig context of a cluster; one that is registered with a controller has none.
pub(super) fn context(cluster: &ClusterRef) -> Result<&str, String> {
    match cluster {
        ClusterRef::Context(context) => Ok(context),
        ClusterRef::Cluster(name) => {
            Err(format!("only `crossfade controller` knows the Cluster {name}; name a context"))
        }
    }
}

/// What the shell is told of a cluster that did not do what it was asked: a context that does not exist is bad input.
pub(super) fn exit_for(error: &ClusterError) -> Exit {
    if matches!(error, ClusterError::Config { .. }) { Exit::BadInput } else { Exit::Failed }
}

pub(super) fn read(path: &Path) -> anyhow::Result<SourceFile> {
    let name = path.display().to_string();
    let text = if name == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.with_context(|| format!("cannot read {name}"))?;
    Ok(SourceFile { name, text })
}

/// A name that no other process has at the same time: this machine's and this process's.
pub(super) fn process() -> String {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{}", machine.trim(), std::process::id())
}
