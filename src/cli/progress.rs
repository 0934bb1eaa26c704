//! What a person sees of a migration that runs: a line whenever something changes, and on a terminal a block that stays current.

use std::io::Write;

use super::output::{self, Format};
use crate::gate::Verdict;
use crate::migration::Report;
use crate::policy::Step;

/// Shows reports as they come.
pub(super) struct Progress {
    format: Format,
    last: Option<String>,
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
        let event = event(report);
        self.clear()?;
        if self.last.as_ref() != Some(&event) {
            println!("{} {event}", report.at.strftime("%H:%M:%S"));
            self.last = Some(event);
        }
        if output::is_terminal() {
            let lines = lines(report);
            let width = output::width();
            for line in &lines {
                println!("  {}", console::truncate_str(line, width.saturating_sub(3), "…"));
            }
            self.drawn = lines.len();
        }
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

/// What makes a line of its own: the phase, the step, and the name of the wait, without the numbers that always change.
fn event(report: &Report) -> String {
    let mut text = report.phase.clone();
    if let Some(step) = &report.step {
        let what = step.step.map(describe).unwrap_or_default();
        text.push_str(&format!(" {}/{}: {what}", step.number, step.of));
    }
    if let Some(cause) = &report.cause {
        return format!("{text}: {cause}");
    }
    match &report.waiting {
        Some(waiting) => format!("{text} · {}", waiting.reason()),
        None => text,
    }
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
    let mut lines = vec![event(report)];
    let show = |weight: Option<crate::policy::Weight>| weight.map_or("?".to_owned(), |weight| weight.to_string());
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
