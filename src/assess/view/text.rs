//! The report in 80 columns. PURE.

use std::fmt::Write;

use super::super::report::Report;
use super::super::rule::{Effort, Finding, Group};

/// Findings shown under one rule, where something has to be done about them; the rest is counted, and is in the JSON.
const NAMED: usize = 6;
/// Findings shown where nothing has to be done.
const NAMED_READY: usize = 2;

/// The report for a terminal of `width` columns.
pub fn text(report: &Report, width: usize) -> String {
    let mut out = String::new();
    headline(report, &mut out);
    facts(report, width, &mut out);
    for group in Group::ALL {
        let rules: Vec<_> = report.rules.iter().filter(|rule| rule.group() == group).collect();
        if rules.is_empty() {
            continue;
        }
        line(&mut out, "");
        line(&mut out, &group.title().to_uppercase());
        for rule in rules {
            let found: Vec<_> = report.findings.iter().filter(|finding| finding.id == rule.id).collect();
            let effort = found.iter().map(|finding| finding.effort).max().unwrap_or(rule.effort);
            line(&mut out, "");
            wrapped(&mut out, &format!("{}  {} ({}): {effort}", rule.id, rule.title, found.len()), 0, 9, width);
            wrapped(&mut out, &format!("Why  {}", rule.why), 2, 7, width);
            wrapped(&mut out, &format!("Fix  {}", rule.fix), 2, 7, width);
            let named = if effort == Effort::Ready { NAMED_READY } else { NAMED };
            found.iter().take(named).for_each(|finding| one(finding, width, &mut out));
            if found.len() > named {
                line(&mut out, &format!("    and {} more: -o json has all of them", found.len() - named));
            }
        }
    }
    workloads(report, width, &mut out);
    waves(report, width, &mut out);
    out
}

fn headline(report: &Report, out: &mut String) {
    let Report { source, target, objects, efforts, findings, .. } = report;
    let total: usize = efforts.values().sum();
    line(
        out,
        &format!("From {source} to {target}: {objects} objects, {total} workloads, {} findings.", findings.len()),
    );
    let counts: Vec<_> = efforts.iter().map(|(effort, count)| format!("{effort} {count}")).collect();
    line(out, &format!("Workloads: {}.", counts.join(", ")));
}

fn facts(report: &Report, width: usize, out: &mut String) {
    line(out, "");
    let column = width.saturating_sub(26) / 2;
    line(out, &format!("{:<24} {:<column$} {}", "", clip(&report.source, column), clip(&report.target, column)));
    for fact in &report.facts {
        line(out, &format!("{:<24} {:<column$} {}", fact.what, clip(&fact.source, column), clip(&fact.target, column)));
    }
}

fn one(finding: &Finding, width: usize, out: &mut String) {
    let object = finding.object.as_ref().map(ToString::to_string).unwrap_or_default();
    let parts = [object.as_str(), &finding.field, &finding.what].into_iter().filter(|part| !part.is_empty());
    wrapped(out, &parts.collect::<Vec<_>>().join(": "), 4, 6, width);
}

fn workloads(report: &Report, width: usize, out: &mut String) {
    line(out, "");
    line(out, "WORKLOADS");
    line(out, "");
    let name = width.saturating_sub(42).max(20);
    line(out, &format!("{:<name$} {:<14} {:>4} {:>4}  {}", "", "effort", "wave", "pods", "because of"));
    let mut sorted: Vec<_> = report.workloads.iter().collect();
    sorted.sort_by(|a, b| b.effort.cmp(&a.effort).then_with(|| a.object.cmp(&b.object)));
    for workload in sorted {
        let object = clip(&workload.object.to_string(), name);
        let rules = workload.rules.iter().map(|id| id.trim_start_matches("XF-")).collect::<Vec<_>>().join(" ");
        let row =
            format!("{object:<name$} {:<14} {:>4} {:>4}  {rules}", workload.effort, workload.wave, workload.replicas);
        line(out, clip(&row, width).trim_end());
    }
}

fn waves(report: &Report, width: usize, out: &mut String) {
    line(out, "");
    line(out, "WAVES, what is needed first");
    line(out, "");
    for (at, wave) in report.waves.iter().enumerate() {
        let names: Vec<_> = wave.iter().map(|object| format!("{}/{}", object.namespace, object.name)).collect();
        wrapped(out, &format!("{:>3}  {}", at + 1, names.join(", ")), 0, 5, width);
    }
}

fn line(out: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{text}");
}

/// A text of at most so many characters.
fn clip(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// Words in lines of `width`, the first indented by `first` and the others by `rest`.
fn wrapped(out: &mut String, text: &str, first: usize, rest: usize, width: usize) {
    let mut current = " ".repeat(first);
    let mut empty = true;
    // Two spaces in a row are meant.
    for word in text.split(' ') {
        if !empty && current.chars().count() + 1 + word.chars().count() > width {
            line(out, current.trim_end());
            current = " ".repeat(rest);
            empty = true;
        }
        if !empty {
            current.push(' ');
        }
        current.push_str(word);
        empty = false;
    }
    line(out, current.trim_end());
}
