//! One case as a story: a line for whatever happens, and the weight over time. PURE.

use std::fmt::Write;
use std::sync::Arc;

use super::case::{Case, Moment};
use super::play::{Ending, Witness, play};
use super::world::stamp;
use crate::migration::state::Phase;
use crate::migration::{Decision, Snapshot, State};
use crate::policy::Assignment;

/// What happened, in the order of time.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Story {
    /// When it begins; see [`Case::start`].
    pub begins: Moment,
    /// Each with its time.
    pub lines: Vec<Line>,
    /// The highest share that any plane truly gave to the target, at every change.
    pub weights: Vec<(Moment, f64)>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Line {
    /// Milliseconds since the beginning.
    pub at: Moment,
    /// What.
    pub what: String,
}

/// Plays a case and tells it.
pub fn tell(
    assignment: &Arc<Assignment>,
    case: &Case,
    decide: impl Fn(&State, &Snapshot) -> Decision,
) -> (Story, Ending) {
    let story = Story { begins: case.start, ..Story::default() };
    let mut teller = Teller { case, told: 0, last: (String::new(), ""), story };
    let ending = play(assignment, case, decide, &mut teller);
    let end = case.start + ending.lasted;
    teller.troubles(end);
    if let Some(broken) = &ending.broken {
        teller.line(end, broken.to_string());
    }
    (teller.story, ending)
}

struct Teller<'c> {
    case: &'c Case,
    told: usize,
    /// Phase and wait of the last pass.
    last: (String, &'static str),
    story: Story,
}

impl Teller<'_> {
    fn line(&mut self, at: Moment, what: String) {
        self.story.lines.push(Line { at, what });
    }

    /// The troubles that have begun by now.
    fn troubles(&mut self, now: Moment) {
        while let Some(trouble) = self.case.troubles.get(self.told).filter(|trouble| trouble.at <= now) {
            self.told += 1;
            self.line(trouble.at, trouble.kind.to_string());
        }
    }
}

impl Witness for Teller<'_> {
    fn pass(&mut self, now: Moment, snapshot: &Snapshot, decision: &Decision, highest: f64) {
        self.troubles(now);
        for reply in &decision.replies {
            let command = snapshot.commands.iter().find(|command| command.id == reply.id);
            let request = command.map(|command| format!("{:?}", command.request)).unwrap_or_default();
            self.line(now, format!("asked for {request}: {}", reply.message));
        }
        let phase = phase(decision);
        let reason = decision.waiting.as_ref().map_or("", |waiting| waiting.reason());
        if self.last.0 != phase {
            self.line(now, phase.clone());
        }
        let planes =
            decision.actions.iter().filter(|action| !matches!(action, crate::migration::Action::ApplyObject { .. }));
        let again = self.last == (phase.clone(), reason);
        for action in planes.filter(|_| !again) {
            self.line(now, format!("  {action}"));
        }
        if let Some(waiting) = decision.waiting.as_ref().filter(|waiting| !again && !waiting.is_brief()) {
            self.line(now, format!("  {waiting}"));
        }
        self.last = (phase, reason);
        if self.story.weights.last().is_none_or(|(_, weight)| *weight != highest) {
            self.story.weights.push((now, highest));
        }
    }

    fn happened(&mut self, now: Moment, what: &str) {
        self.troubles(now);
        self.line(now, what.to_owned());
    }
}

fn phase(decision: &Decision) -> String {
    let state = &decision.state;
    let steps = &state.assignment.policy.steps;
    match &state.phase {
        Phase::Shifting(shifting) => match steps.get(shifting.step) {
            Some(step) => format!("Shifting, step {} of {}: {step:?}", shifting.step + 1, steps.len()),
            None => "Shifting".to_owned(),
        },
        Phase::RollingBack { cause, .. } => format!("RollingBack: {cause}"),
        phase => phase.name().to_owned(),
    }
}

/// Columns and rows of a chart.
const COLUMNS: usize = 64;
const ROWS: usize = 4;

impl Story {
    /// The lines as text, each after its time.
    pub fn text(&self) -> String {
        self.lines.iter().fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "{:>12}  {}", self.clock(line.at), line.what);
            text
        })
    }

    /// The weight over time, drawn with blocks. `lasted` is where the story ends.
    pub fn chart(&self, lasted: Moment) -> String {
        let lasted = lasted.max(1);
        let at = |column: usize| self.begins + lasted * column as Moment / COLUMNS as Moment;
        // What a column shows is the highest weight within it, so that no short step is lost.
        let highest = |column: usize| {
            let (from, to) = (at(column), at(column + 1));
            let before = self.weights.iter().rev().find(|(at, _)| *at <= from);
            let within = self.weights.iter().filter(|(at, _)| *at > from && *at < to);
            before.into_iter().chain(within).map(|(_, weight)| *weight).fold(0.0, f64::max)
        };
        let heights: Vec<f64> = (0..COLUMNS).map(|column| highest(column) * ROWS as f64).collect();
        let mut chart = String::new();
        for row in (0..ROWS).rev() {
            let label = ["25%", "50%", "75%", "100%"][row];
            let line: String = heights.iter().map(|height| block(height - row as f64)).collect();
            let _ = writeln!(chart, "{label:>9} |{}", line.trim_end());
        }
        let _ = writeln!(chart, "{:>9} +{}", "0%", "-".repeat(COLUMNS));
        let (begin, end) = (self.clock(self.begins), self.clock(self.begins + lasted));
        let _ = writeln!(chart, "{:>11}{begin}{end:>width$}", "", width = COLUMNS - begin.len());
        chart
    }

    /// A time of the story: of the week where it begins at one, else since the beginning.
    fn clock(&self, moment: Moment) -> String {
        if self.begins > 0 {
            return stamp(moment).strftime("%a %H:%M:%S").to_string();
        }
        let seconds = moment / 1000;
        format!("{}:{:02}:{:02}.{}", seconds / 3600, seconds / 60 % 60, seconds % 60, moment % 1000 / 100)
    }
}

/// An eighth of a row or more that is filled.
fn block(filled: f64) -> char {
    const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let eighths = (filled.clamp(0.0, 1.0) * 8.0).ceil() as usize;
    BLOCKS[eighths.min(8)]
}
