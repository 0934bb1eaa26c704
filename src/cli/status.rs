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

#[derive(Debug, Clone, PartialEq, Serialize)]
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
    let mut screen = Screen::default();
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
        match global.output {
            Format::Text if entries.is_empty() => {
                screen.show(vec![format!("there is no migration in {}", root.display())])?
            }
            Format::Text => screen.show(entries.iter().flat_map(Entry::lines).collect())?,
            format if screen.is_news(&entries) => output::machine(format, &entries)?,
            _ => {}
        }
        if !status.watch {
            return Ok(Exit::Done);
        }
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Done),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Between two looks at the reports while somebody watches.
const LOOK: Duration = Duration::from_millis(250);

/// What was shown last: redrawn in place on a terminal, and shown only when it changed elsewhere.
#[derive(Default)]
struct Screen {
    lines: Vec<String>,
    entries: Vec<Entry>,
}

impl Screen {
    fn show(&mut self, lines: Vec<String>) -> anyhow::Result<()> {
        if lines == self.lines {
            return Ok(());
        }
        let width = output::is_terminal().then(output::width);
        if width.is_some() {
            console::Term::stdout().clear_last_lines(self.lines.len())?;
        }
        for line in &lines {
            println!("{}", console::truncate_str(line, width.unwrap_or(usize::MAX), "…"));
        }
        self.lines = lines;
        Ok(())
    }

    fn is_news(&mut self, entries: &[Entry]) -> bool {
        let news = entries != self.entries || self.entries.is_empty();
        self.entries = entries.to_vec();
        news
    }
}

fn entry(directory: &Directory) -> Entry {
    Entry { name: directory.name(), driven: directory.is_driven(), report: directory.report() }
}

impl Entry {
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.name.clone()];
        let Some(report) = &self.report else {
            lines.push("  it has not reported yet".to_owned());
            return lines;
        };
        lines.extend(progress::lines(report).iter().map(|line| format!("  {line}")));
        if !self.driven && !report.has_ended() {
            lines.push(format!("  nobody drives it now; `crossfade run` goes on from here (as of {:.0})", report.at));
        }
        lines
    }
}
