//! The shortest case that still breaks the same promise. PURE.
//!
//! Greedy, and good enough: troubles are left out one by one, then the setting is made simple field by field, and all of it
//! again until nothing more can be left out.

use std::sync::Arc;

use super::case::{Case, Setting};
use super::play::play;
use crate::migration::{Decision, Snapshot, State};
use crate::policy::Assignment;

/// Makes a case that breaks a promise shorter; one that breaks none stays as it is.
pub fn shrink(assignment: &Arc<Assignment>, case: &Case, decide: impl Fn(&State, &Snapshot) -> Decision) -> Case {
    let breaks = |case: &Case| play(assignment, case, &decide, &mut ()).broken.map(|broken| broken.promise);
    let mut shortest = case.clone();
    let Some(promise) = breaks(case) else { return shortest };
    loop {
        let shorter = shorter(&shortest).find(|case| breaks(case) == Some(promise));
        match shorter {
            Some(shorter) => shortest = shorter,
            None => return shortest,
        }
    }
}

/// Every case that is a little simpler.
fn shorter(case: &Case) -> impl Iterator<Item = Case> + '_ {
    let without = (0..case.troubles.len()).map(|left_out| {
        let mut case = case.clone();
        case.troubles.remove(left_out);
        case
    });
    let simpler = simplifications().into_iter().map(|simplify| {
        let mut case = case.clone();
        simplify(&mut case.setting);
        case
    });
    without.chain(simpler.filter(move |simpler| simpler != case))
}

fn simplifications() -> [fn(&mut Setting); 6] {
    [
        |setting| setting.lag = 0,
        |setting| setting.normal_errors = 0.0,
        |setting| setting.demand = 1,
        |setting| setting.rate = 1_000.0,
        |setting| setting.startup = 1_000,
        |setting| setting.reaction = 10_000,
    ]
}
