//! Migrations by the thousand, in a world that is a few numbers on a clock that jumps. PURE.
//!
//! A seed is a case: how things are to begin with, and what goes wrong when. The case is played against the very same
//! [`decide`](crate::migration::decide()) that drives real migrations, while a watcher that does not ask it compares every
//! decision with the promises. The same seed gives the same story, to the last line.
//!
//! - `case` draws cases from seeds.
//! - `world` is how things truly are, and what a controller gets to see of it.
//! - `play` makes the passes, `promise` watches, `person` is who the migration waits for.
//! - `story` tells one case, `shrink` makes it shorter, `tally` counts many.
//!
//! **Not modelled:** objects that the target refuses, weights a plane cannot represent, a clock that jumps while nobody is in
//! charge, and two controllers of which both may write: a fence refuses what is sent by one whose lease has passed.

pub mod case;
pub mod model;
mod person;
pub mod play;
pub mod promise;
mod shrink;
pub mod story;
pub mod tally;
mod world;

use std::sync::Arc;

pub use self::case::{Case, Scenario};
pub use self::play::{End, Ending, Witness, play};
pub use self::promise::{Broken, Promise};
pub use self::shrink::shrink;
pub use self::story::{Story, tell};
pub use self::tally::Tally;

use crate::migration::decide;
use crate::policy::{Assignment, InvalidInput, SourceFile, load};

/// Migrations to simulate where nobody brings files: every kind of step and of metric, one to three planes.
pub fn samples() -> Result<Vec<Arc<Assignment>>, InvalidInput> {
    read("policies.yaml", include_str!("simulate/policies.yaml"))
}

/// The migrations of a file, each with its policy.
fn read(name: &str, text: &str) -> Result<Vec<Arc<Assignment>>, InvalidInput> {
    let definitions = load(&[SourceFile { name: name.to_owned(), text: text.to_owned() }])?;
    let assigned = definitions.migrations.iter().filter_map(|migration| {
        let policy = definitions.policy_of(migration)?.clone();
        Some(Arc::new(Assignment { migration: migration.clone(), policy }))
    });
    Ok(assigned.collect())
}

/// Migrations and what shall happen to them, from which every seed makes a story.
#[derive(Debug, Clone)]
pub struct Stage {
    assignments: Vec<Arc<Assignment>>,
    scenario: Scenario,
}

impl Stage {
    /// A stage for these migrations; `None` without any.
    pub fn new(assignments: Vec<Arc<Assignment>>, scenario: Scenario) -> Option<Self> {
        (!assignments.is_empty()).then_some(Self { assignments, scenario })
    }

    /// The migration and the case of a seed.
    pub fn case(&self, seed: u64) -> (&Arc<Assignment>, Case) {
        let assignment = &self.assignments[(seed % self.assignments.len() as u64) as usize];
        let planes = assignment.migration.planes.len();
        (assignment, Case::draw(seed, &assignment.policy, planes, &self.scenario))
    }

    /// Plays a seed with nobody watching but the watcher.
    pub fn play(&self, seed: u64) -> Ending {
        let (assignment, case) = self.case(seed);
        play(assignment, &case, decide, &mut ())
    }
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
