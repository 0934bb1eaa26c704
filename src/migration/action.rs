//! Effects as data, each with its inverse. PURE.
//!
//! Every action is idempotent: carrying it out twice leaves the world as carrying it out once. Whether it
//! took effect is never read from its own answer but from the next snapshot.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cluster::ObjectRef;
use crate::policy::{Name, Weight};

/// Something to be done to the world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "camelCase")]
pub enum Action {
    /// Make the target hold this object as mirrored.
    ApplyObject {
        /// The object.
        object: ObjectRef,
    },
    /// Bring a plane to a weight.
    SetWeight {
        /// The plane.
        plane: Name,
        /// The weight it is expected to have now, or any between the two.
        from: Weight,
        /// The weight it shall have.
        to: Weight,
        /// Its setting in the origin: in which proportions its backends share a side.
        origin: serde_json::Value,
    },
    /// Bring a plane back to the setting recorded in the origin.
    RestorePlane {
        /// The plane.
        plane: Name,
        /// The recorded setting, in the driver's own form.
        setting: serde_json::Value,
    },
    /// Let no new connection reach the source through this plane. Only after commit.
    DrainSource {
        /// The plane.
        plane: Name,
    },
    /// Scale a workload of the source to zero. Only after commit.
    ScaleSource {
        /// The workload.
        workload: ObjectRef,
        /// Replicas recorded in the origin.
        from: u32,
    },
    /// Give up Crossfade's field ownership of a mirrored object. Only after commit.
    Release {
        /// The object.
        object: ObjectRef,
    },
}

/// How an action is undone; part of the journal beside every intent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Inverse {
    /// By the rollback of the plane to its origin.
    Origin(Name),
    /// Not at all: what it left behind carries no traffic and is kept for the next attempt.
    Kept,
    /// Not at all: it happens after the point of no return.
    PastCommit,
}

impl Action {
    /// How the action is undone.
    pub fn inverse(&self) -> Inverse {
        match self {
            Self::SetWeight { plane, .. } | Self::RestorePlane { plane, .. } => Inverse::Origin(plane.clone()),
            Self::ApplyObject { .. } => Inverse::Kept,
            Self::DrainSource { .. } | Self::ScaleSource { .. } | Self::Release { .. } => Inverse::PastCommit,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApplyObject { object } => write!(f, "apply {object}"),
            Self::SetWeight { plane, from, to, .. } => write!(f, "set {plane} from {from} to {to}"),
            Self::RestorePlane { plane, .. } => write!(f, "restore {plane} to its origin"),
            Self::DrainSource { plane } => write!(f, "drain the source on {plane}"),
            Self::ScaleSource { workload, from } => write!(f, "scale the source's {workload} from {from} to 0"),
            Self::Release { object } => write!(f, "release {object}"),
        }
    }
}

/// What became of an action, as far as its own answer tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The action.
    pub action: Action,
    /// Why it failed; `None` where it was answered well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
