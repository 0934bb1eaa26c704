//! Everything that is looked for: one file a theme, one line a check. PURE.
//!
//! A check gets the whole sight and adds what it finds. Its rules stand beside it; their ids are documented in
//! `docs/assess.md`, which a test keeps equal to this table.

use super::rule::{Findings, Rule};
use super::sight::Sight;

mod classes;
mod data;
mod defaults;
mod images;
mod mirrored;
pub mod order;
mod placing;
mod pods;
mod policies;
mod reading;
mod schema;
mod served;
mod serving;
mod skew;
mod twice;

pub use twice::side_effects;

/// Looks for what some rules are about.
pub struct Check {
    /// The rules it finds things for.
    pub rules: &'static [&'static Rule],
    /// Finds them.
    pub look: fn(&Sight<'_>, &mut Findings),
}

/// Every check there is, in the order of reports.
pub const CHECKS: &[Check] = &[
    served::CHECK,
    schema::CHECK,
    mirrored::CHECK,
    policies::CHECK,
    defaults::CHECK,
    skew::CHECK,
    classes::CHECK,
    placing::CHECK,
    serving::CHECK,
    pods::CHECK,
    images::CHECK,
    data::CHECK,
    twice::CHECK,
    order::CHECK,
    reading::CHECK,
];

/// Every rule there is, by id.
pub fn rules() -> Vec<&'static Rule> {
    let mut rules: Vec<_> = CHECKS.iter().flat_map(|check| check.rules.iter().copied()).collect();
    rules.sort_by_key(|rule| rule.id);
    rules
}
