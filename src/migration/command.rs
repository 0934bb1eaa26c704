//! What a person can ask of a running migration. PURE.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A request, who made it and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Unique; the answer carries it.
    pub id: String,
    /// When it was asked.
    pub at: Timestamp,
    /// Who asked.
    pub by: String,
    /// What was asked.
    pub request: Request,
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Request {
    /// Stop advancing; what protects keeps running.
    Pause,
    /// Go on after a pause.
    Resume,
    /// Let an approval step pass.
    Approve,
    /// Go back to the origin.
    Abort {
        /// Why, in the person's words.
        why: String,
    },
    /// Let the source go. The point of no return.
    Commit,
}

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The command's id.
    pub id: String,
    /// Whether it was taken.
    pub accepted: bool,
    /// What happens now, or why it was refused.
    pub message: String,
}
