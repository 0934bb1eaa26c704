//! What a mirror would do, written down, and done exactly so.
//!
//! `make` (IO) reads both clusters, asks the target what it would say to every write, and hands the answers to `draw` (PURE),
//! which writes a [`Plan`]. The same inputs give the same bytes: there is no time in it and nothing in it depends on the order of
//! answers. [`apply`] makes the plan anew, refuses when anything is different (`compare`, PURE), and writes.
//!
//! ```text
//! source, target ──make──▶ Plan ──file──▶ apply ──make──▶ Plan, the same? ──▶ target
//! ```
//!
//! It refuses to hold a secret: of a Secret a plan has the names of its keys and the source's `resourceVersion`, which stands for
//! the values because a Secret has no status; no value, and no hash that could be guessed.

mod apply;
mod compare;
mod draw;
mod file;
mod make;
mod role;
mod view;

pub use apply::{Applied, ApplyError, apply};
pub use compare::Changed;
pub use draw::{Effect, Plan, Planned, Problem, Room, Step};
pub use file::{NotAPlan, read, write};
pub use make::{Made, make};
pub use role::{Side, role};
pub use view::text;

#[cfg(test)]
mod tests;
