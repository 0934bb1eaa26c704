//! What a person can ask of a running migration. PURE.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::policy::ShiftPolicy;

/// A request, who made it and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Request {
    /// Stop advancing; what protects keeps running.
    Pause,
    /// Go on after a pause.
    Resume,
    /// Let an approval step pass.
    Approve,
    /// Go back to the origin, at once whatever the policy's mode.
    Abort {
        /// Why, in the person's words.
        why: String,
    },
    /// Go back to the origin, as the policy's `rollback.mode` says.
    Rollback {
        /// Why, in the person's words.
        why: String,
    },
    /// Rehearse the rollback now, and bring the weight back.
    Drill,
    /// Go on under another policy than it was started with.
    AdoptPolicy {
        /// The policy.
        policy: Box<ShiftPolicy>,
        /// What identifies the one it takes the place of; nothing happens where another is followed by now.
        replaces: String,
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
