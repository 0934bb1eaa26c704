//! Whether requests go where the weight says. IO.

use super::front::{Answers, ask};
use super::{Checked, Run, Short, ensure, fails};
use crate::plane::sheet::{Known, Restart, Spread};
use crate::policy::Weight;

/// Percent at which the share is measured.
const POINTS: [u16; 7] = [0, 1, 5, 25, 50, 99, 100];

/// Standard deviations that a drawn count may be off: one plane of some hundred thousand fails by chance.
const DEVIATIONS: f64 = 4.5;

/// Requests that may be off because eight clients ask at a time while one weight follows another.
const CLIENTS: f64 = 8.0;

/// Whether a count is the weight's, as evenly as the sheet says.
fn agrees(answers: Answers, weight: Weight, spread: Spread) -> bool {
    let total = (answers.source + answers.target) as f64;
    let (share, count) = (weight.fraction(), answers.target as f64);
    let allowed = match (spread, weight) {
        (_, Weight::ZERO | Weight::FULL) => 0.0,
        (Spread::Turns { within }, _) => f64::from(within) + CLIENTS,
        (Spread::Drawn, _) => DEVIATIONS * (total * share * (1.0 - share)).sqrt() + 1.0,
    };
    (count - total * share).abs() <= allowed
}

pub(super) async fn share(run: &Run<'_>) -> Checked {
    let (mut worst, mut nearest) = (0.0_f64, Vec::new());
    let mut asked = 0;
    for percent in POINTS {
        let point = Weight::percent_saturating(percent);
        let weight = run.nearest(point).await?;
        if weight != point {
            nearest.push(format!("{weight} for {point}"));
        }
        run.go(weight).await?;
        let before = run.plane.observe().await?;
        let answers = ask(run.ground, run.effort.requests).await;
        let after = run.plane.observe().await?;
        let total = answers.source + answers.target;
        ensure(answers.lost == 0, || format!("at {weight} {} requests of {total} were lost", answers.lost))?;
        ensure(agrees(answers, weight, run.sheet.spread), || {
            format!("at {weight} the target answered {} of {total}", answers.target)
        })?;
        let counters =
            [(before.target.counters, after.target.counters), (before.source.counters, after.source.counters)];
        for ((before, after), answered) in counters.into_iter().zip([answers.target, answers.source]) {
            match (before, after) {
                (Some(before), Some(after)) => {
                    let counted = after.requests.saturating_sub(before.requests);
                    ensure(run.sheet.counts != Known::No && counted == answered, || {
                        format!("at {weight} the plane counted {counted} requests of a side that answered {answered}")
                    })?;
                }
                _ => ensure(run.sheet.counts != Known::Yes, || {
                    "its sheet says that it counts, and it does not".to_owned()
                })?,
            }
        }
        worst = worst.max((answers.target as f64 - total as f64 * weight.fraction()).abs());
        asked += total;
    }
    let nearest = if nearest.is_empty() { String::new() } else { format!(", with {}", nearest.join(", ")) };
    Ok(format!("{asked} requests at {} weights, off by at most {worst:.1}{nearest}", POINTS.len()))
}

pub(super) async fn sides(run: &Run<'_>) -> Checked {
    let (source, target) = (run.origin.source.usable, run.origin.target.usable);
    if !run.ground.has_backends() {
        return Err(Short::No("it has no backends".to_owned()));
    }
    if source == target {
        return Err(Short::Untried(format!("both sides have {source} backends here")));
    }
    Ok(format!("{source} and {target} backends: {}", share(run).await?))
}

pub(super) async fn zero(run: &Run<'_>) -> Checked {
    for weight in [Weight::ZERO, Weight::FULL] {
        run.go(weight).await?;
        let view = run.plane.observe().await?;
        ensure(view.target.usable > 0, || format!("at {weight} it says that nobody of the target can be used"))?;
        let answers = ask(run.ground, run.effort.requests).await;
        let stray = if weight == Weight::ZERO { answers.target } else { answers.source };
        ensure(stray == 0 && answers.lost == 0, || {
            format!("at {weight} {stray} went astray, {} were lost", answers.lost)
        })?;
    }
    Ok(format!("0 of {} requests astray at each end", run.effort.requests))
}

/// What the plane shows after a restart is what requests do.
pub(super) async fn restarted(run: &Run<'_>) -> Checked {
    if run.sheet.restart == Restart::WithUs {
        return Err(Short::No("it lives in this process".to_owned()));
    }
    let moved = run.nearest(Weight::percent_saturating(25)).await?;
    run.go(moved).await?;
    run.ground.restart().await?;
    let shown = run.weight().await?;
    match run.sheet.restart {
        Restart::Unknown => {}
        Restart::Keeps => ensure(shown == moved, || format!("it stood at {moved} and came back at {shown}"))?,
        _ => ensure(shown == run.origin.weight, || format!("its file says {}, it shows {shown}", run.origin.weight))?,
    }
    let answers = ask(run.ground, run.effort.requests).await;
    let total = answers.source + answers.target;
    if !agrees(answers, shown, run.sheet.spread) {
        return fails(format!("it shows {shown}, and the target answered {} of {total}", answers.target));
    }
    Ok(format!("at {moved} before, shown and measured {shown} after"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_agrees_as_evenly_as_the_sheet_says_and_the_ends_exactly() {
        let answers = |target, source| Answers { source, target, lost: 0 };
        let quarter = Weight::percent_saturating(25);
        let turns = Spread::Turns { within: 1 };
        assert!(agrees(answers(5_009, 14_991), quarter, turns));
        assert!(!agrees(answers(5_010, 14_990), quarter, turns));
        assert!(agrees(answers(5_200, 14_800), quarter, Spread::Drawn));
        assert!(!agrees(answers(5_300, 14_700), quarter, Spread::Drawn));
        for spread in [turns, Spread::Drawn] {
            assert!(agrees(answers(0, 20_000), Weight::ZERO, spread));
            assert!(!agrees(answers(1, 19_999), Weight::ZERO, spread));
            assert!(!agrees(answers(19_999, 1), Weight::FULL, spread));
        }
    }
}
