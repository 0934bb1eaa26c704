//! Steps of a ShiftPolicy. PURE.

use super::SECOND;
use crate::policy::cursor::Cursor;
use crate::policy::types::Step;
use crate::policy::weight::Weight;

/// The steps; their weights rise, the last one is everything, and who drills does so before half of the traffic depends on it.
pub(super) fn steps(at: &Cursor<'_>) -> Option<Vec<Step>> {
    let steps: Vec<Option<(Step, Cursor<'_>)>> =
        at.some_items()?.into_iter().map(|item| step(&item).map(|step| (step, item))).collect();
    let mut previous: Option<Weight> = None;
    let mut wrong = false;
    for (step, at) in steps.iter().flatten() {
        let refused = match *step {
            Step::SetWeight(weight) => {
                let refused = previous.and_then(|previous| falls(weight, previous, at));
                previous = Some(weight);
                refused
            }
            Step::Drill => misplaced(previous, at),
            Step::Pause(_) | Step::Approval => None,
        };
        wrong |= refused.is_some();
    }
    let steps: Option<Vec<_>> = steps.into_iter().map(|step| step.map(|(step, _)| step)).collect();
    let steps = steps.filter(|_| !wrong)?;
    match previous {
        Some(Weight::FULL) => Some(steps),
        Some(_) => at.refuse("never reach 100%", Some("end with {setWeight: 100}")),
        None => at.refuse("set no weight", Some("end with {setWeight: 100}")),
    }
}

/// A mistake that was noted.
struct Refused;

fn falls(weight: Weight, previous: Weight, at: &Cursor<'_>) -> Option<Refused> {
    if weight > previous {
        return None;
    }
    let message = format!("{weight} does not rise above the {previous} before it");
    refuse(at, message, "weights only go up; going down is what rollback is for")
}

fn misplaced(previous: Option<Weight>, at: &Cursor<'_>) -> Option<Refused> {
    let help = "put {drill: {}} after a {setWeight} between 0 and 50";
    match previous {
        None | Some(Weight::ZERO) => {
            refuse(at, "drills before the target has any traffic to take back".to_owned(), help)
        }
        Some(weight) if weight > Weight::HALF => {
            refuse(at, format!("drills at {weight}, when more than half of the traffic depends on it already"), help)
        }
        Some(_) => None,
    }
}

fn refuse(at: &Cursor<'_>, message: String, help: &str) -> Option<Refused> {
    let _: Option<()> = at.refuse(message, Some(help));
    Some(Refused)
}

fn step(at: &Cursor<'_>) -> Option<Step> {
    let mut fields = at.fields()?;
    let found = fields.variant(&["setWeight", "pause", "approval", "drill"]);
    fields.finish();
    match found? {
        ("setWeight", at) => at.parse().map(Step::SetWeight),
        ("pause", at) => {
            let mut fields = at.fields()?;
            let duration = fields.or("duration", None, |at| at.duration(SECOND).map(Some));
            fields.finish();
            duration.map(Step::Pause)
        }
        (word, at) => {
            at.fields()?.finish();
            Some(if word == "drill" { Step::Drill } else { Step::Approval })
        }
    }
}
