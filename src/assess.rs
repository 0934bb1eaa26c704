//! What stands between two clusters: one report that answers what teams ask before an upgrade.
//!
//! `read` (IO) reads both sides into an [`Estate`], changing nothing; what may not be read is a gap in it and becomes a
//! finding. Every check (PURE, a line of `check::CHECKS`) looks at the estate and names objects, fields, why it matters and
//! what to do. `graph` (PURE) says who needs whom, and so in which waves to move. `view` (PURE) shows the report to people.
//!
//! ```text
//! source ┐                       ┌─ checks ──▶ findings ┐
//!        ├─ read ──▶ Estate ─────┤                      ├─▶ Report ──▶ text, JSON, HTML
//! target ┘                       └─ graph ───▶ waves ───┘
//! ```
//!
//! It refuses to guess: a rule that needs what could not be read stays silent, and the gap itself is a finding.

mod capacity;
mod check;
mod estate;
mod graph;
mod metrics;
mod read;
mod report;
mod rule;
mod sight;
mod view;

pub use capacity::Room;
pub use check::{rules, side_effects};
pub use estate::{Estate, Scope, Side};
pub use read::{free, read};
pub use report::{Fact, Report, WorkloadReport, assess};
pub use rule::{Effort, Finding, Group, Rule};
pub use view::{html, text};

#[cfg(test)]
mod tests;
