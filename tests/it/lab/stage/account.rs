//! How everything stands, for whoever reads why a test failed. Nothing here fails: it is asked because something else has.

use std::path::PathBuf;

use serde_json::Value;

use super::Lab;
use super::load::LIVE;
use super::run::{ERRORS, reports};

/// Reports told: enough to see what it was waiting for and since when.
const LAST: usize = 20;

/// Everything that may tell why something did not come to pass.
pub(super) fn of(lab: &Lab) -> String {
    let reports = reports(lab);
    let last = reports.iter().skip(reports.len().saturating_sub(LAST)).map(line);
    let read = |name| std::fs::read_to_string(lab.state.path().join(name)).unwrap_or_else(|error| error.to_string());
    let pods = |cluster| {
        let output = lab.kubectl(cluster, &["get", "pods,hpa,deployments", "--output", "wide"]);
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    let haproxy = lab.ask_haproxy("show servers state checkout").unwrap_or_else(|error| error.to_string());
    [
        ("the last reports", last.collect::<Vec<_>>().join("\n")),
        ("the newest in full", reports.last().map(ToString::to_string).unwrap_or_default()),
        ("standard error", read(ERRORS)),
        ("the users", read(LIVE)),
        ("HAProxy", haproxy),
        ("blue", pods("blue")),
        ("green", pods("green")),
        ("controllers", logs(lab)),
    ]
    .map(|(what, told)| format!("--- {what}\n{}", told.trim_end()))
    .join("\n")
}

/// What every controller of this test logged.
fn logs(lab: &Lab) -> String {
    let Ok(files) = std::fs::read_dir(lab.state.path()) else { return String::new() };
    let mut paths: Vec<PathBuf> = files.flatten().map(|file| file.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    paths.sort();
    let told = |path: &PathBuf| std::fs::read_to_string(path).unwrap_or_else(|error| error.to_string());
    paths.iter().map(|path| format!("{}:\n{}", path.display(), told(path))).collect::<Vec<_>>().join("\n")
}

/// A report in one line.
fn line(report: &Value) -> String {
    let plane = &report["planes"][0];
    format!(
        "{} {} step {} desired {} observed {} waiting {}",
        report["at"], report["phase"], report["step"]["number"], plane["desired"], plane["observed"], report["message"]
    )
}
