//! What an operator writes: Migration and ShiftPolicy. PURE.
//!
//! Text becomes a located tree (`tree`), the tree is decoded and checked in one walk that reports every
//! mistake at its place (`decode`), and what comes out is valid (`types`). Nothing here reads a file.

pub mod types;
pub mod weight;

pub use types::*;
pub use weight::{Weight, WeightError};
