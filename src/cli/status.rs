//! `crossfade status`: where migrations stand, as their own reports say.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use kube::api::DynamicObject;
use serde::Serialize;

use super::object::{self, Place};
use super::output::{self, Format};
use super::{Exit, Global, progress};
use crate::act::directory::Directory;
use crate::controller::home::Home;
use crate::migration::Report;

#[derive(Debug, Args)]
pub(super) struct Status {
    /// The migration, as NAME or NAMESPACE.NAME [default: all]
    migration: Option<String>,
    /// Keep watching
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Entry {
    name: String,
    driven: bool,
    report: Option<Report>,
    /// Why it is not carried out, where it is an object that is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

/// Every migration below the root. A root that is not there yet has none; one that cannot be read is an error.
fn all(root: &Path) -> anyhow::Result<Vec<Directory>> {
    match fs::read_dir(root) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot read {}", root.display()))
        }
        _ => Ok(Directory::all(root)),
    }
}

/// The directory of a migration somebody named, or the only one.
pub(super) fn find(root: &Path, name: Option<&str>) -> Result<Directory, String> {
    let mut all = all(root).map_err(|error| format!("{error:#}"))?;
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
    let sight = match status.place.is_meant(&global.state_root()) {
        true => Sight::Objects(status.place.home().await?),
        false => Sight::Directories(global.state_root()),
    };
    let mut screen = Screen::default();
    loop {
        let entries = match sight.entries(&status).await? {
            Ok(entries) => entries,
            Err(message) => {
                output::refuse(global.output, &message);
                return Ok(Exit::BadInput);
            }
        };
        match global.output {
            Format::Text if entries.is_empty() => screen.show(vec![sight.nothing()])?,
            Format::Text => screen.show(entries.iter().flat_map(Entry::lines).collect())?,
            format if screen.is_news(&entries) => output::machine(format, &entries)?,
            _ => {}
        }
        if !status.watch {
            return Ok(Exit::Done);
        }
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Done),
            () = tokio::time::sleep(sight.look()) => {}
        }
    }
}

/// Where the migrations are that are shown.
enum Sight {
    /// On this machine.
    Directories(PathBuf),
    /// In a home cluster.
    Objects(Home),
}

impl Sight {
    /// What is shown of those that are meant, or why nobody can be meant.
    async fn entries(&self, status: &Status) -> anyhow::Result<Result<Vec<Entry>, String>> {
        let name = status.migration.as_deref();
        match (self, name) {
            (Self::Directories(root), None) => all(root)?.iter().map(entry).collect::<anyhow::Result<_>>().map(Ok),
            (Self::Directories(root), name) => match find(root, name) {
                Ok(directory) => Ok(Ok(vec![entry(&directory)?])),
                Err(message) => Ok(Err(message)),
            },
            (Self::Objects(home), None) => {
                status.place.all(home).await?.iter().map(object_entry).collect::<anyhow::Result<_>>().map(Ok)
            }
            (Self::Objects(home), name) => match status.place.find(home, name).await? {
                Ok(object) => Ok(Ok(vec![object_entry(&object)?])),
                Err(message) => Ok(Err(message)),
            },
        }
    }

    /// Between two looks while somebody watches. Objects come from an API server that has other things to do.
    fn look(&self) -> Duration {
        match self {
            Self::Directories(_) => Duration::from_millis(250),
            Self::Objects(_) => Duration::from_secs(1),
        }
    }

    fn nothing(&self) -> String {
        match self {
            Self::Directories(root) => format!("there is no migration in {}", root.display()),
            Self::Objects(_) => "there is no Migration".to_owned(),
        }
    }
}

/// Whether anybody drives an object only its controllers know; it counts as driven unless it is refused.
fn object_entry(object: &DynamicObject) -> anyhow::Result<Entry> {
    let refused = object::refusal(object);
    Ok(Entry { name: object::label(object), driven: refused.is_none(), report: object::report(object)?, refused })
}

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
            output::line(console::truncate_str(line, width.unwrap_or(usize::MAX), "…"))?;
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

fn entry(directory: &Directory) -> anyhow::Result<Entry> {
    Ok(Entry { name: directory.name(), driven: directory.is_driven(), report: report(directory)?, refused: None })
}

/// The newest report; none where there has not been one yet, an error where it cannot be read.
fn report(directory: &Directory) -> anyhow::Result<Option<Report>> {
    let path = directory.journal().with_file_name("report.json");
    let text = match fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        text => text.with_context(|| format!("cannot read {}", path.display()))?,
    };
    Ok(Some(serde_json::from_slice(&text).with_context(|| format!("{} is not a report", path.display()))?))
}

impl Entry {
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.name.clone()];
        if let Some(refused) = &self.refused {
            lines.push(format!("  not carried out: {refused}"));
            return lines;
        }
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
