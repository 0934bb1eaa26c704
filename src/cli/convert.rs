//! `crossfade convert`: files for a newer Kubernetes, without any cluster.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

use super::output::{self, Format};
use super::{Exit, Global, input};
use crate::convert::manifests;
use crate::convert::offline::{Release, convert_all};
use crate::policy::SourceFile;

#[derive(Debug, Args)]
pub(super) struct Convert {
    /// Files and directories, searched for .yaml, .yml and .json; - for standard input
    #[arg(short, long = "filename", required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The Kubernetes release that has to serve the result
    #[arg(long, default_value = "1.37", value_name = "RELEASE")]
    to: Release,
    /// Live with a finding that would block, by its name, as `Deployment:spec.rollbackTo`; may be repeated
    #[arg(long, value_name = "NAME")]
    waive: Vec<String>,
}

/// Names of files that are looked into where a directory is given.
const ENDINGS: &[&str] = &["yaml", "yml", "json"];

pub(super) fn convert(global: &Global, convert: Convert) -> anyhow::Result<Exit> {
    let Convert { files, to, waive } = convert;
    let files = match read(&files) {
        Ok(files) => files,
        Err(error) => {
            output::refuse(global.output, &format!("{error:#}"));
            return Ok(Exit::BadInput);
        }
    };
    let manifests = match manifests::read(&files) {
        Ok(manifests) => manifests,
        Err(problems) => {
            problems.iter().for_each(output::aside);
            output::refuse(
                global.output,
                &format!("{} cannot be read; nothing was converted", counted(problems.len(), "place")),
            );
            return Ok(Exit::BadInput);
        }
    };
    let waive: BTreeSet<String> = waive.into_iter().collect();
    let outcome = convert_all(&manifests, to, |id| waive.contains(id));
    outcome.remarks.iter().for_each(output::aside);
    let known: BTreeSet<_> = outcome.remarks.iter().map(|remark| remark.id.as_str()).collect();
    for name in waive.iter().filter(|name| !known.contains(name.as_str())) {
        output::aside(format_args!("crossfade: nothing is called {name}, so nothing was waived by it"));
    }
    output::aside(format_args!(
        "crossfade: {} for {to}: {} converted, {} left out",
        counted(manifests.len(), "object"),
        outcome.converted,
        outcome.left,
    ));
    write(global.output, outcome.objects)?;
    Ok(if outcome.left == 0 { Exit::Done } else { Exit::NeedsHuman })
}

/// Everything at once, and only now, so that nobody applies the half of it.
fn write(format: Format, objects: Vec<Value>) -> anyhow::Result<()> {
    match format {
        Format::Json => {
            output::line(serde_json::to_string_pretty(&json!({"apiVersion": "v1", "kind": "List", "items": objects}))?)
        }
        Format::Text | Format::Yaml | Format::Html => {
            let documents: Vec<_> = objects.iter().map(manifests::to_yaml).collect::<Result<_, _>>()?;
            if documents.is_empty() { Ok(()) } else { output::line(documents.concat().trim_end()) }
        }
    }
}

fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// Reads all files, those of directories in the order of their names.
fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<SourceFile>> {
    let mut found = Vec::new();
    for path in paths {
        search(path, &mut found)?;
    }
    if found.is_empty() {
        anyhow::bail!("no file ends in .yaml, .yml or .json");
    }
    found.iter().map(|path| input::read(path)).collect()
}

fn search(path: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if !path.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    let unreadable = || format!("cannot read {}", path.display());
    let entries = std::fs::read_dir(path).with_context(unreadable)?;
    let mut inner = Vec::new();
    for entry in entries {
        let entry = entry.with_context(unreadable)?;
        let folder = entry.file_type().with_context(unreadable)?.is_dir();
        let ends =
            |path: &Path| path.extension().and_then(|end| end.to_str()).is_some_and(|end| ENDINGS.contains(&end));
        if folder || ends(&entry.path()) {
            inner.push(entry.path());
        }
    }
    inner.sort();
    inner.iter().try_for_each(|path| search(path, found))
}
