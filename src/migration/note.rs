//! What an Event says of a pass: a sentence, and the numbers behind it as far as there is room. PURE.
//!
//! API servers take no longer note than [`MOST`] bytes. What does not fit is left out as a whole, from the least important on,
//! and said to be in the status: a number that was cut is another number.

use super::check::{Basis, Evidence, Limits};
use super::report::Report;
use super::state::Cause;
use super::waiting::WaitingOn;
use crate::policy::Baseline;
use crate::policy::metric::Range;

/// Most bytes of a note.
pub const MOST: usize = 1024;

/// Said where not everything fits.
const REST: &str = "; the rest is in the status";

/// Why a migration went back, with the numbers.
pub fn of_cause(cause: &Cause) -> String {
    let basis = match cause {
        Cause::MetricFailed { basis, .. } => basis.as_deref(),
        Cause::Requested { .. }
        | Cause::TargetLost { .. }
        | Cause::MirrorDeadline { .. }
        | Cause::StepDeadline { .. } => None,
    };
    fitted(&cause.to_string(), &basis.map(numbers).unwrap_or_default())
}

/// What a migration waits for, with the numbers where that is a metric.
pub fn of_wait(report: &Report, waiting: &WaitingOn) -> String {
    let metric = match waiting.plain() {
        WaitingOn::MetricNoData { metric, .. }
        | WaitingOn::MetricError { metric, .. }
        | WaitingOn::MetricFailing { metric, .. } => Some(metric),
        _ => None,
    };
    let check = metric.and_then(|metric| report.metrics.iter().find(|check| check.name == *metric));
    let basis = check.and_then(|check| check.basis.as_deref());
    fitted(&waiting.to_string(), &basis.map(numbers).unwrap_or_default())
}

/// A sentence, and as many of the pieces as fit behind it.
pub fn fitted(sentence: &str, pieces: &[String]) -> String {
    let mut note = cut(sentence, if pieces.is_empty() { MOST } else { MOST - REST.len() });
    let mut left_out = false;
    for (index, piece) in pieces.iter().enumerate() {
        let rest = if index + 1 < pieces.len() || left_out { REST.len() } else { 0 };
        if note.len() + 2 + piece.len() + rest <= MOST {
            note.push_str("; ");
            note.push_str(piece);
        } else {
            left_out = true;
        }
    }
    if left_out {
        note.push_str(REST);
    }
    note
}

/// As much of a sentence as fits, in whole words.
fn cut(sentence: &str, most: usize) -> String {
    const DOTS: &str = " ...";
    if sentence.len() <= most {
        return sentence.to_owned();
    }
    let head = &sentence[..sentence.floor_char_boundary(most - DOTS.len())];
    // The word that the cut goes through is none any more.
    let whole = match head.rfind(char::is_whitespace) {
        Some(end) if !sentence[head.len()..].starts_with(char::is_whitespace) => &head[..end],
        _ => head,
    };
    whole.trim_end().to_owned() + DOTS
}

/// What a verdict stands on, the most important first.
pub fn numbers(basis: &Basis) -> Vec<String> {
    let Basis { kind, queries, window, source, target, evaluated, age, limits, evidence, strata: _, same_mix } = basis;
    let mut pieces = vec![format!("{kind} over {window:#}: target {target}, source {source}")];
    pieces
        .extend(same_mix.iter().map(|mix| format!("with the same mix: target {}, source {}", mix.target, mix.source)));
    pieces.push(limited(limits));
    pieces.extend(evidence.iter().map(gathered));
    pieces.extend(evaluated.iter().map(|at| format!("evaluated at {at}")));
    pieces.extend(age.iter().filter_map(|age| {
        let told = |side: &str, age: Option<f64>| age.map(|age| format!("{side} {age:.1} s"));
        let sides: Vec<_> = [told("target", age.target), told("source", age.source)].into_iter().flatten().collect();
        (!sides.is_empty()).then(|| format!("newest samples {} old", sides.join(", ")))
    }));
    pieces.extend(queries.iter().map(|query| format!("asked {}", query.replace(['\n', '\r'], " "))));
    pieces
}

/// What a metric may come to.
fn limited(limits: &Limits) -> String {
    let Limits { max, range, baseline, detect, min_samples, on_no_data: _ } = limits;
    let mut said: Vec<_> = max.iter().map(|max| format!("max {max}")).collect();
    if let Some(Range { min, max }) = range {
        said.extend(min.iter().map(|min| format!("min {min}")));
        said.extend(max.iter().map(|max| format!("max {max}")));
    }
    said.extend(baseline.iter().map(|Baseline::Source| "baseline source".to_owned()));
    said.extend(detect.iter().map(|detect| format!("detect {detect}")));
    said.push(format!("minSamples {min_samples}"));
    format!("limits: {}", said.join(", "))
}

fn gathered(evidence: &Evidence) -> String {
    let Evidence { above, above_is_proof, worse, worse_is_proof } = evidence;
    let above = format!("evidence above the limit {above:.3} of {above_is_proof:.0}");
    worse_is_proof.map_or(above.clone(), |proof| format!("{above}, worse than the source {worse:.3} of {proof:.0}"))
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::migration::snapshot::{SidePair, SideSample};
    use crate::policy::metric::OnNoData;
    use crate::policy::{Name, Weight};

    fn basis(query: &str) -> Basis {
        Basis {
            kind: "errorRate".into(),
            queries: vec![query.to_owned(), "sum(t)".to_owned()],
            window: SignedDuration::from_mins(1),
            source: SideSample::Counts { bad: 2.0, total: 2_700.0 },
            target: SideSample::Counts { bad: 30.5, total: 300.0 },
            evaluated: Some(Timestamp::UNIX_EPOCH),
            age: Some(SidePair { source: Some(2.0), target: None }),
            limits: Limits {
                max: Some(0.01),
                range: None,
                baseline: Some(Baseline::Source),
                detect: Some("2x".into()),
                min_samples: 50,
                on_no_data: OnNoData::Hold,
            },
            evidence: Some(Evidence {
                above: 12_345.678,
                above_is_proof: 10_000.0,
                worse: 3.0,
                worse_is_proof: Some(1_111.1),
            }),
            strata: Default::default(),
            same_mix: None,
        }
    }

    fn failed(query: &str, account: &str) -> String {
        of_cause(&Cause::MetricFailed {
            metric: Name::new("errors").unwrap(),
            account: account.to_owned(),
            weight: Weight::percent_saturating(10),
            basis: Some(Box::new(basis(query))),
        })
    }

    const NUMBERS: &str = "errorRate over 1m: target 30.5 of 300.0 requests bad, source 2.0 of 2700.0 requests bad; \
        limits: max 0.01, baseline source, detect 2x, minSamples 50; \
        evidence above the limit 12345.678 of 10000, worse than the source 3.000 of 1111; \
        evaluated at 1970-01-01T00:00:00Z; newest samples source 2.0 s old; ";

    #[test]
    fn a_rollback_is_told_with_all_it_stands_on() {
        let note = failed("sum(\ne)", "too many");
        assert_eq!(note, format!("errors failed at 10%: too many; {NUMBERS}asked sum( e); asked sum(t)"));
    }

    #[test]
    fn what_does_not_fit_is_left_out_as_a_whole() {
        let note = failed(&"q".repeat(MOST), "too many");
        assert_eq!(note, format!("errors failed at 10%: too many; {NUMBERS}asked sum(t){REST}"));
        // Whatever the length of what comes first, nothing that is said is a part of something else.
        let pieces = numbers(&basis("sum(e)"));
        for length in 0..1_100 {
            let account = "a".repeat(length % 7) + &" 12345".repeat(length / 6);
            let note = failed("sum(e)", &account);
            assert!(note.len() <= MOST, "{}", note.len());
            let said = note.strip_suffix(REST).unwrap_or(&note).split("; ").skip(1);
            assert!(said.clone().all(|piece| pieces.contains(&piece.to_owned())), "{note}");
            assert_eq!(said.count() == pieces.len(), !note.ends_with(REST), "{note}");
        }
        let full =
            [note.as_str(), "é".repeat(2_000).as_str(), "12345 ".repeat(400).as_str()].map(|text| fitted(text, &[]));
        assert_eq!((full[0].as_str(), full[1].len() <= MOST), (note.as_str(), true));
        assert!(full[2].ends_with("12345 ...") && full[2].len() > MOST - 10, "{}", full[2]);
    }
}
