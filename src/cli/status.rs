//! `crossfade status`: where migrations stand, as their own reports say.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::output::{self, Format};
use super::{Exit, Global, progress};
use crate::act::store::Directory;
use crate::migration::Report;

#[derive(Debug, Args)]
pub(super) struct Status {
    /// The migration, as NAME or NAMESPACE.NAME [default: all]
    migration: Option<String>,
    /// Keep watching
    #[arg(short, long)]
    watch: bool,
}

#[derive(Debug, PartialEq, Serialize)]
struct Entry {
    name: String,
    driven: bool,
    report: Option<Report>,
}

/// The directory of a migration somebody named, or the only one.
pub(super) fn find(root: &Path, name: Option<&str>) -> Result<Directory, String> {
    let mut all = Directory::all(root);
    if let Some(name) = name {
        let suffix = format!(".{name}");
        all.retain(|directory| directory.name() == name || directory.name().ends_with(&suffix));
    }
    let names = || all.iter().map(Directory::name).collect::<Vec<_>>().join(", ");
    match (all.len(), name) {
        (1, _) => Ok(all.remove(0)),
        (0, Some(name)) => Err(format!("no migration is called {name} in {}", root.display())),
        (0, None) => Err(format!("there is no migration in {}", root.display())),
        _ => Err(format!("say which one: {}", names())),
    }
}

pub(super) async fn status(global: &Global, status: Status) -> anyhow::Result<Exit> {
    let root = global.state_root();
    let mut shown = Vec::new();
    loop {
        let directories = match &status.migration {
            Some(name) => match find(&root, Some(name)) {
                Ok(directory) => vec![directory],
                Err(message) => {
                    eprintln!("crossfade: {message}");
                    return Ok(Exit::BadInput);
                }
            },
            None => Directory::all(&root),
        };
        let entries: Vec<Entry> = directories.iter().map(entry).collect();
        if entries.is_empty() && global.output == Format::Text && !status.watch {
            println!("there is no migration in {}", root.display());
        }
        if entries != shown {
            show(global.output, &entries)?;
            shown = entries;
        }
        if !status.watch {
            return Ok(Exit::Done);
        }
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Done),
            () = tokio::time::sleep(Duration::from_millis(250)) => {}
        }
    }
}

fn entry(directory: &Directory) -> Entry {
    Entry { name: directory.name(), driven: directory.is_driven(), report: directory.report() }
}

fn show(format: Format, entries: &[Entry]) -> anyhow::Result<()> {
    if format != Format::Text {
        return output::machine(format, &entries);
    }
    for Entry { name, driven, report } in entries {
        println!("{name}");
        let Some(report) = report else {
            println!("  it has not reported yet");
            continue;
        };
        for line in progress::lines(report) {
            println!("  {line}");
        }
        if !driven && !report.has_ended() {
            println!("  nobody drives it now; `crossfade run` goes on from here (as of {:.0})", report.at);
        }
    }
    Ok(())
}
