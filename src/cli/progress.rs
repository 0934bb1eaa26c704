//! What a person sees of a migration that runs: a line whenever something changes, and on a terminal a block that stays current.

use super::output::{self, Format};
use crate::gate::Verdict;
use crate::migration::state::Approved;
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

    /// Shows one report. A migration goes on whether or not anybody reads.
    pub(super) fn show(&mut self, report: &Report) -> anyhow::Result<()> {
        output::unread(if self.format == Format::Text {
            self.redraw(report)
        } else {
            output::machine(self.format, report)
        })
    }

    fn redraw(&mut self, report: &Report) -> anyhow::Result<()> {
        self.clear()?;
        let news = news(self.last.as_ref(), report);
        self.last = Some(report.clone());
        let width = output::width();
        for line in news {
            let width = if output::is_terminal() { width } else { usize::MAX };
            output::line(console::truncate_str(&line, width, "…"))?;
        }
        if output::is_terminal() && !report.has_ended() {
            for line in lines(report) {
                output::line(format_args!("  {}", console::truncate_str(&line, width.saturating_sub(3), "…")))?;
                self.drawn += 1;
            }
        }
        Ok(())
    }

    /// A line above the block.
    pub(super) fn say(&mut self, line: &str) -> anyhow::Result<()> {
        self.clear()?;
        if self.format == Format::Text {
            return output::unread(output::line(line));
        }
        output::aside(line);
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
        if report.share.is_some() && report.cause.is_none() && last.is_some_and(|last| last.step.is_some()) {
            let mark = std::iter::once("passed").chain(std::iter::repeat(""));
            news.extend(evidence(report).zip(mark).map(|(number, mark)| format!("{:4}{mark:6}   {number}", "")));
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

/// The numbers on which a step was passed. They are in the first report that no longer shows it: its gates were asked about
/// the step it left.
fn evidence(report: &Report) -> impl Iterator<Item = String> {
    let metrics = report.metrics.iter().map(|metric| format!("{}: {}", metric.name, metric.finding.account));
    let share = report.share.iter().map(|finding| format!("share: {}", finding.account));
    share.chain(metrics)
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
        Step::Drill => "drill".to_owned(),
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
    for Approved { weight, mark } in &report.approvals {
        lines.push(format!("{:<12} at {weight} by {}, {:.0}", "approved", mark.by, mark.at));
    }
    for drill in &report.drills {
        lines.push(format!("{:<12} from {} to the origin in {:#}, {:.0}", "drill", drill.weight, drill.took, drill.at));
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn report(step: Option<(usize, u16)>, share: Value) -> Report {
        let step = step.map(|(number, points)| json!({"number": number, "of": 2, "step": {"setWeight": points}}));
        let report = json!({
            "migration": "checkout", "at": "2026-01-01T00:00:00Z", "phase": "Shifting", "step": step, "planes": [],
            "measuredShare": null, "metrics": [], "share": share, "waiting": null, "policy": {"name": "careful", "hash": "0"}, "message": null, "needsHuman": false,
        });
        serde_json::from_value(report).unwrap()
    }

    fn share(verdict: &str, account: &str) -> Value {
        json!({"verdict": verdict, "account": account})
    }

    #[test]
    fn a_step_passed_on_what_its_last_look_said() {
        let held = report(Some((1, 2_500)), share("noData", "90 requests, 100 needed"));
        for next in [Some((2, 10_000)), None] {
            let passed = report(next, share("pass", "25.2% of 110 requests"));
            let news = news(Some(&held), &passed);
            assert!(news[0].ends_with("passed   share: 25.2% of 110 requests"), "{news:?}");
        }
    }

    #[test]
    fn nothing_passed_where_nothing_was_judged() {
        let pause = report(Some((1, 2_500)), share("pass", "25.2% of 110 requests"));
        let after = report(Some((2, 10_000)), Value::Null);
        assert!(!news(Some(&pause), &after).iter().any(|line| line.contains("passed")));
    }
}
