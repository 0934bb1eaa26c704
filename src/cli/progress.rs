//! What a person sees of a migration that runs: a line whenever something changes, and on a terminal a block that stays current.

use std::io::Write;

use super::output::{self, Format};
use crate::gate::Verdict;
use crate::migration::{Report, WaitingOn};
use crate::policy::{Step, Weight};

/// Shows reports as they come.
pub(super) struct Progress {
    format: Format,
    last: Option<Report>,
    drawn: usize,
}

impl Progress {
    pub(super) fn new(format: Format) -> Self {
        Self { format, last: None, drawn: 0 }
    }

    /// Shows one report.
    pub(super) fn show(&mut self, report: &Report) -> anyhow::Result<()> {
        if self.format != Format::Text {
            return output::machine(self.format, report);
        }
        self.clear()?;
        let width = output::width();
        for line in news(self.last.as_ref(), report) {
            println!("{}", console::truncate_str(&line, if output::is_terminal() { width } else { usize::MAX }, "…"));
        }
        if output::is_terminal() && !report.has_ended() {
            let lines = lines(report);
            for line in &lines {
                println!("  {}", console::truncate_str(line, width.saturating_sub(3), "…"));
            }
            self.drawn = lines.len();
        }
        self.last = Some(report.clone());
        Ok(std::io::stdout().flush()?)
    }

    /// A line above the block.
    pub(super) fn say(&mut self, line: &str) -> anyhow::Result<()> {
        self.clear()?;
        if self.format == Format::Text {
            println!("{line}");
        } else {
            eprintln!("{line}");
        }
        Ok(())
    }

    fn clear(&mut self) -> anyhow::Result<()> {
        if self.drawn > 0 {
            console::Term::stdout().clear_last_lines(self.drawn)?;
            self.drawn = 0;
        }
        Ok(())
    }
}

/// What a report says that the one before did not.
fn news(last: Option<&Report>, report: &Report) -> Vec<String> {
    let time = report.at.strftime("%H:%M:%SZ").to_string();
    let mut news = Vec::new();
    if last.is_none_or(|last| headline(last) != headline(report)) {
        if let Some(last) = last.filter(|last| last.step.is_some() && last.share.is_some() && report.cause.is_none()) {
            news.push(format!("{:9}   passed: {}", "", evidence(last)));
        }
        news.push(format!("{time}  {}", headline(report)));
    }
    let reason = |report: &Report| report.waiting.as_ref().map(WaitingOn::reason);
    let waits = report.waiting.as_ref().filter(|waiting| last.and_then(reason) != Some(waiting.reason()));
    news.extend(
        waits.filter(|waiting| !waiting.is_brief()).map(|waiting| format!("{time}    {}", worded(report, waiting))),
    );
    news
}

/// A wait in words; that of a step just reached tells what the planes read back.
fn worded(report: &Report, waiting: &WaitingOn) -> String {
    if !matches!(waiting, WaitingOn::Window { .. }) {
        return waiting.to_string();
    }
    let read_back = report.planes.iter().map(|plane| format!("{} reads back {}", plane.name, show(plane.observed)));
    format!("{}; {waiting}", read_back.collect::<Vec<_>>().join(", "))
}

/// The numbers on which a step was passed.
fn evidence(report: &Report) -> String {
    let metrics = report.metrics.iter().map(|metric| format!("{}: {}", metric.name, metric.finding.account));
    let share = report.share.iter().map(|finding| format!("share: {}", finding.account));
    share.chain(metrics).collect::<Vec<_>>().join(" | ")
}

/// The phase, and the step within it.
fn headline(report: &Report) -> String {
    let Some(step) = &report.step else {
        return match &report.cause {
            Some(cause) => format!("{}: {cause}", report.phase),
            None => report.phase.clone(),
        };
    };
    format!("Step {} of {}: {}", step.number, step.of, step.step.map(describe).unwrap_or_default())
}

fn show(weight: Option<Weight>) -> String {
    weight.map_or("?".to_owned(), |weight| weight.to_string())
}

fn describe(step: Step) -> String {
    match step {
        Step::SetWeight(weight) => weight.to_string(),
        Step::Pause(Some(duration)) => format!("pause {duration:#}"),
        Step::Pause(None) => "pause".to_owned(),
        Step::Approval => "approval".to_owned(),
    }
}

/// Everything about one pass, for a terminal of 80 columns.
pub(super) fn lines(report: &Report) -> Vec<String> {
    let mut lines = vec![headline(report)];
    let measured = report.measured_share.map_or("?".to_owned(), |share| format!("{:.2}%", share * 100.0));
    for plane in &report.planes {
        let (name, desired, observed) = (&plane.name, show(plane.desired), show(plane.observed));
        lines.push(format!("{name:<12} desired {desired:<7} observed {observed:<7} measured {measured}"));
        lines.extend(plane.error.iter().map(|error| format!("{:<12} {error}", "")));
    }
    for metric in &report.metrics {
        let (name, finding) = (&metric.name, &metric.finding);
        lines.push(format!("{name:<12} {:<7} {}", word(finding.verdict), finding.account));
    }
    if let Some(finding) = &report.share {
        let verdict = if finding.verdict == Verdict::Pass { "Pass" } else { "Hold" };
        lines.push(format!("{:<12} {verdict:<7} {}", "share", finding.account));
    }
    lines.extend(report.message.iter().map(|message| format!("{:<12} {message}", "waiting on")));
    lines
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "Pass",
        Verdict::Fail => "Fail",
        Verdict::NoData => "NoData",
        Verdict::Error => "Error",
    }
}
