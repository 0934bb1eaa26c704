//! The gates between two steps. PURE.
//!
//! A gate looks at one aspect of a snapshot and says what it sees. It never acts and never remembers; `decide` asks all of
//! them in every pass, also while something waits, so that waiting never switches protection off.

pub mod capacity;
pub mod range;
pub mod share;
pub mod silence;
pub mod slo;

use serde::{Deserialize, Serialize};

/// What a gate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// There is evidence that all is well.
    Pass,
    /// There is evidence that the target is bad.
    Fail,
    /// There is not enough to say either.
    NoData,
    /// The question could not be asked.
    Error,
}

/// A verdict and the numbers behind it, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The verdict.
    pub verdict: Verdict,
    /// Numbers, limits, and what they mean.
    pub account: String,
}

impl Finding {
    fn new(verdict: Verdict, account: impl Into<String>) -> Self {
        Self { verdict, account: account.into() }
    }
}
