//! Who needs whom, as a picture. PURE.
//!
//! One column a wave, left what moves first; only what needs or is needed is drawn.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::super::report::Report;
use super::super::rule::Effort;
use super::html::escape;
use crate::cluster::ObjectRef;

/// More boxes than this are no picture any more; the table and the JSON have all of them.
const MOST: usize = 120;
const COLUMN: usize = 250;
const ROW: usize = 44;
const BOX: (usize, usize) = (200, 30);

/// The picture, or nothing where nobody needs anybody.
pub fn svg(report: &Report) -> Option<String> {
    let columns = columns(report);
    let boxes: usize = columns.iter().map(Vec::len).sum();
    if boxes == 0 || boxes > MOST {
        return None;
    }
    let mut place: BTreeMap<&ObjectRef, (usize, usize)> = BTreeMap::new();
    for (at, column) in columns.iter().enumerate() {
        place.extend(column.iter().enumerate().map(|(row, object)| (*object, (at * COLUMN + 10, row * ROW + 10))));
    }
    let height = columns.iter().map(Vec::len).max().unwrap_or(0) * ROW + 20;
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        r#"<svg role="img" aria-label="Who needs whom" viewBox="0 0 {} {height}" width="{}">"#,
        columns.len() * COLUMN,
        columns.len() * COLUMN
    );
    out.push_str(r#"<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>"#);
    let drawn = report.edges.iter().map(|edge| (&edge.from, &edge.to)).collect::<BTreeSet<_>>();
    for (from, to) in drawn {
        if let (Some(from), Some(to)) = (place.get(from), place.get(to)) {
            arrow(&mut out, *from, *to);
        }
    }
    let effort: BTreeMap<_, _> = report.workloads.iter().map(|workload| (&workload.object, workload.effort)).collect();
    for (object, (x, y)) in &place {
        let class = match (effort.get(object), object.kind.as_str()) {
            (Some(Effort::Ready), _) => "ready",
            (Some(Effort::NeedsChange), _) => "change",
            (Some(Effort::Blocked), _) => "blocked",
            (None, _) => "other",
        };
        let label = if class == "other" { format!("{} {}", object.kind, object.name) } else { object.name.clone() };
        let label: String = label.chars().take(26).collect();
        let _ = write!(
            out,
            r#"<g class="box {class}"><title>{}</title><rect x="{x}" y="{y}" width="{}" height="{}" rx="5"/><text x="{}" y="{}">{}</text></g>"#,
            escape(&object.to_string()),
            BOX.0,
            BOX.1,
            x + 10,
            y + 20,
            escape(&label),
        );
    }
    out.push_str("</svg>");
    Some(out)
}

/// What is drawn, by wave; what has none (an Ingress, a service elsewhere) stands in the last column.
fn columns(report: &Report) -> Vec<Vec<&ObjectRef>> {
    let drawn: BTreeSet<&ObjectRef> = report.edges.iter().flat_map(|edge| [&edge.from, &edge.to]).collect();
    let mut columns: Vec<Vec<&ObjectRef>> =
        report.waves.iter().map(|wave| wave.iter().filter(|object| drawn.contains(object)).collect()).collect();
    let placed: BTreeSet<&ObjectRef> = columns.iter().flatten().copied().collect();
    columns.push(drawn.difference(&placed).copied().collect());
    columns.retain(|column| !column.is_empty());
    columns
}

/// From the side of one box to the side of the other that is nearer.
fn arrow(out: &mut String, from: (usize, usize), to: (usize, usize)) {
    let middle = |y: usize| y + BOX.1 / 2;
    let (x1, x2) = match from.0.cmp(&to.0) {
        std::cmp::Ordering::Greater => (from.0, to.0 + BOX.0),
        std::cmp::Ordering::Less => (from.0 + BOX.0, to.0),
        std::cmp::Ordering::Equal => (from.0 + BOX.0, to.0 + BOX.0),
    };
    let bend = |x: usize, other: usize| if x == other { x + 40 } else { (x + other) / 2 };
    let (y1, y2) = (middle(from.1), middle(to.1));
    let (b1, b2) = (bend(x1, x2), bend(x2, x1));
    // Writing to a String cannot fail.
    let _ = write!(out, r#"<path class="need" d="M{x1} {y1}C{b1} {y1} {b2} {y2} {x2} {y2}" marker-end="url(#tip)"/>"#);
}
