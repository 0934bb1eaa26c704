//! Judging by numbers: where they come from (`prometheus`, `template`) and what they can say (`statistics`).

pub mod prometheus;
pub mod statistics;
pub mod template;
