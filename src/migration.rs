//! The heart: what to do next. PURE.
//!
//! `decide` looks at a `State` and a `Snapshot` and answers with the next state and the actions that lead
//! there. It reads no clock and does no IO: the time is a field of the snapshot, and actions are data that
//! somebody else carries out. Every pass starts from what was observed, so a process that was killed
//! between any two lines goes on as if it had only blinked.

pub mod action;
pub mod adopt;
mod applied;
pub mod check;
pub mod claims;
pub mod command;
pub mod decide;
pub mod note;
pub mod report;
pub mod snapshot;
pub mod state;
pub mod waiting;

pub use action::{Action, Inverse, Outcome, Precondition, Terms};
pub use applied::Applied;
pub use check::Check;
pub use command::{Command, Reply, Request};
pub use decide::{Decision, MOST_APPLIED, Written, decide};
pub use report::Report;
pub use snapshot::Snapshot;
pub use state::{Phase, State};
pub use waiting::WaitingOn;
