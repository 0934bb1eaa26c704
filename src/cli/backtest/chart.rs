//! What was recorded, drawn: the fraction of bad requests over time, or a metric's number, the limit, and where healthy targets went back. PURE.

use std::fmt::Write;

use crate::analysis::backtest::{Backtest, Number, Recording};
use crate::policy::metric::{Range, ValueSpec};
use crate::policy::{MetricSource, MetricSpec, ShiftPolicy};

/// Columns of a chart in the terminal.
const WIDTH: usize = 72;
/// Rows of it.
const HEIGHT: usize = 6;
const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A metric as it is drawn.
struct Drawn {
    /// The greatest value in each of so many equal parts of the recording; none where there was nothing.
    columns: Vec<Option<f64>>,
    /// The end of the range that is drawn, and its name.
    limit: (f64, &'static str),
    /// Where the chart ends.
    top: f64,
    /// The top and the limit in words.
    told: [String; 2],
    /// What is drawn.
    what: &'static str,
}

impl Drawn {
    fn new(recording: &Recording, spec: &MetricSpec, width: usize) -> Self {
        let grains = recording.grains();
        let mut columns = vec![None; width.min(grains)];
        let wide = columns.len();
        for index in 0..grains {
            if let Some(value) = value(recording, spec, index) {
                let column: &mut Option<f64> = &mut columns[index * wide / grains];
                *column = Some(column.map_or(value, |known| known.max(value)));
            }
        }
        let (limit, what) = match &spec.source {
            MetricSource::Value(ValueSpec { range: Range { max: Some(max), .. }, .. }) => ((*max, "max"), "its number"),
            MetricSource::Value(ValueSpec { range, .. }) => ((range.min.unwrap_or_default(), "min"), "its number"),
            _ => ((spec.max, "max"), "bad requests"),
        };
        let top = columns.iter().flatten().fold(limit.0, |top, value| top.max(*value));
        let top = if top > 0.0 { top } else { 1.0 };
        let told = |number: f64| match spec.source {
            MetricSource::Value(_) => format!("{number}"),
            _ => format!("{:.3}%", number * 100.0),
        };
        Self { columns, limit, top, told: [told(top), told(limit.0)], what }
    }
}

/// The fraction of bad requests in a grain, or the number a metric was.
fn value(recording: &Recording, spec: &MetricSpec, index: usize) -> Option<f64> {
    if let Some(Number { value, .. }) = recording.number(&spec.name, index) {
        return Some(value);
    }
    let (bad, all) = recording.pooled(&spec.name, index)?;
    (all > 0.0).then(|| bad / all)
}

/// In which of so many parts healthy targets went back for a metric.
fn alarms(recording: &Recording, spec: &MetricSpec, result: &Backtest, width: usize) -> Vec<bool> {
    let grains = recording.grains();
    let mut marks = vec![false; width];
    let lasts = recording.grain.as_secs_f64() * grains as f64;
    for alarm in result.alarms.iter().filter(|alarm| alarm.metric == spec.name) {
        let passed = alarm.at.duration_since(recording.from).as_secs_f64();
        if let Some(mark) = marks.get_mut(((passed / lasts) * width as f64) as usize) {
            *mark = true;
        }
    }
    marks
}

/// A chart of each metric, in blocks.
pub(super) fn terminal(policy: &ShiftPolicy, recording: &Recording, result: &Backtest) -> Vec<String> {
    let mut lines = Vec::new();
    for spec in policy.analysis.metrics.iter().filter(|spec| recording.has(&spec.name)) {
        let Drawn { columns, limit: (limit, end), top, told: [highest, allowed], what } =
            Drawn::new(recording, spec, WIDTH);
        let limit = (limit / top * HEIGHT as f64).ceil() as usize;
        lines.push(String::new());
        lines.push(format!("{}: {what}, up to {highest}; - is {end}, {allowed}", spec.name));
        for row in (1..=HEIGHT).rev() {
            let cell = |fraction: &Option<f64>| {
                let filled = fraction.map_or(0.0, |fraction| fraction / top * HEIGHT as f64 - (row - 1) as f64);
                match (filled * 8.0).ceil().clamp(0.0, 8.0) as usize {
                    0 if row == limit => '-',
                    eighths => BLOCKS[eighths],
                }
            };
            lines.push(format!("  {}", columns.iter().map(cell).collect::<String>()).trim_end().to_owned());
        }
        let marks = alarms(recording, spec, result, columns.len());
        if marks.contains(&true) {
            let row: String = marks.iter().map(|mark| if *mark { '^' } else { ' ' }).collect();
            lines.push(format!("  {}", row.trim_end()));
            lines.push("  ^ a healthy target went back here".to_owned());
        }
    }
    lines
}

/// The same as a picture.
pub(super) fn svg(policy: &ShiftPolicy, recording: &Recording, result: &Backtest) -> String {
    const WIDE: f64 = 960.0;
    const TALL: f64 = 160.0;
    const APART: f64 = 210.0;
    let drawn: Vec<_> = policy.analysis.metrics.iter().filter(|spec| recording.has(&spec.name)).collect();
    let height = APART * drawn.len().max(1) as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        WIDE + 40.0
    );
    for (index, spec) in drawn.into_iter().enumerate() {
        let Drawn { columns, limit: (limit, end), top, told: [highest, _], what } =
            Drawn::new(recording, spec, WIDE as usize);
        let y = |value: f64| TALL * (1.0 - value / top);
        let x = |column: usize| WIDE * column as f64 / columns.len().max(1) as f64;
        let _ = writeln!(svg, "<g transform=\"translate(20,{})\">", APART * index as f64 + 30.0);
        let _ = writeln!(svg, "<text y=\"-8\">{}: {what}, up to {highest}; dashed: {end}</text>", spec.name);
        let points = columns.iter().enumerate().filter_map(|(column, fraction)| Some((column, (*fraction)?)));
        let points: Vec<_> = points.map(|(column, fraction)| format!("{:.1},{:.1}", x(column), y(fraction))).collect();
        let _ = writeln!(svg, "<polyline fill=\"none\" stroke=\"#2a6\" points=\"{}\"/>", points.join(" "));
        let limit = y(limit);
        let _ = writeln!(
            svg,
            "<line x2=\"{WIDE}\" y1=\"{limit:.1}\" y2=\"{limit:.1}\" stroke=\"#888\" stroke-dasharray=\"6 4\"/>"
        );
        for (column, _) in alarms(recording, spec, result, columns.len()).iter().enumerate().filter(|(_, mark)| **mark)
        {
            let x = x(column);
            let _ = writeln!(svg, "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{TALL}\" stroke=\"#c33\"/>");
        }
        svg += "</g>\n";
    }
    svg += "</svg>\n";
    svg
}
