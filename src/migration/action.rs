//! Effects as data, each with its terms: inverse, precondition, and whether it may be repeated. PURE.
//!
//! Whether an action took effect is never read from its own answer but from the next snapshot.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::snapshot::{Observed, Snapshot};
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
    /// Delete an object of the target that this migration brought there and that is nobody else's.
    DeleteObject {
        /// The object.
        object: ObjectRef,
        /// Why.
        because: Deletion,
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
    /// Suspend a CronJob of the source. Only after commit.
    SuspendSource {
        /// The CronJob, as it is called on the target.
        job: ObjectRef,
    },
    /// Resume a CronJob of the target. Only after commit.
    ResumeTarget {
        /// The CronJob.
        job: ObjectRef,
    },
    /// Give up Crossfade's field ownership of a mirrored object. Only after commit.
    Release {
        /// The object.
        object: ObjectRef,
    },
}

/// Why an object of the target is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Deletion {
    /// It is gone from the source.
    Gone,
    /// The migration was aborted, and asks for a target without its traces.
    Aborted,
}

/// What is recorded beside every intent: enough to judge it by the journal alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Terms {
    /// How it is undone.
    pub inverse: Inverse,
    /// What has to hold for it to be right.
    pub precondition: Precondition,
    /// Whether carrying it out twice leaves the world as carrying it out once. What is not is never tried again unseen.
    pub idempotent: bool,
}

/// What has to hold for an action to be right: `decide` sees to it, and whoever is written to checks it once more where it can.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Precondition {
    /// Nothing: it is right whatever is there.
    Nothing,
    /// Nobody else manages a field of the object that it sets. The API server checks it, by field ownership.
    Unclaimed(ObjectRef),
    /// The object carries our mark, is the one that was read and nobody else's. Whoever deletes reads it anew, and the API server
    /// checks that it has not changed since.
    Ours(ObjectRef),
    /// The plane shows a weight between the two. The driver checks it when it writes.
    Between {
        /// The plane.
        plane: Name,
        /// One end.
        from: Weight,
        /// The other.
        to: Weight,
    },
    /// The plane sends everything to the target.
    AllOnTarget(Name),
    /// The CronJob is suspended on the source. Whoever resumes it reads that anew.
    Asleep(ObjectRef),
    /// No plane leads anybody to the source any more.
    SourceUnused,
}

impl Precondition {
    /// Whether it holds, as far as a snapshot tells. What was not seen does not hold.
    pub fn holds(&self, snapshot: &Snapshot) -> bool {
        let weight = |plane| snapshot.planes.get(plane).and_then(Observed::known).map(|view| view.weight);
        match self {
            Self::Nothing | Self::Unclaimed(_) | Self::Ours(_) => true,
            Self::Asleep(job) => snapshot
                .mirror
                .known()
                .is_some_and(|mirror| mirror.jobs.iter().any(|seen| seen.object == *job && seen.sleeps_on_source)),
            Self::Between { plane, from, to } => weight(plane).is_some_and(|shown| shown.is_between(*from, *to)),
            Self::AllOnTarget(plane) => weight(plane) == Some(Weight::FULL),
            Self::SourceUnused => {
                snapshot.planes.values().all(|plane| plane.known().is_some_and(|view| view.source.usable == 0))
            }
        }
    }
}

/// How an action is undone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Inverse {
    /// By the rollback of the plane to its origin.
    Origin(Name),
    /// Not at all: what it left behind carries no traffic and is kept for the next attempt.
    Kept,
    /// By the mirror: what is deleted is only ever what the source can give again, by having it again or by the next attempt.
    Mirrored,
    /// Not at all: it happens after the point of no return.
    PastCommit,
}

impl Action {
    /// Inverse, precondition, and whether it may be repeated.
    pub fn terms(&self) -> Terms {
        Terms { inverse: self.inverse(), precondition: self.precondition(), idempotent: self.is_idempotent() }
    }

    /// How the action is undone.
    pub fn inverse(&self) -> Inverse {
        match self {
            Self::SetWeight { plane, .. } | Self::RestorePlane { plane, .. } => Inverse::Origin(plane.clone()),
            Self::ApplyObject { .. } => Inverse::Kept,
            Self::DeleteObject { .. } => Inverse::Mirrored,
            Self::DrainSource { .. } | Self::ScaleSource { .. } | Self::Release { .. } => Inverse::PastCommit,
            Self::SuspendSource { .. } | Self::ResumeTarget { .. } => Inverse::PastCommit,
        }
    }

    /// What has to hold for it to be right.
    pub fn precondition(&self) -> Precondition {
        match self {
            Self::ApplyObject { object } => Precondition::Unclaimed(object.clone()),
            Self::DeleteObject { object, .. } => Precondition::Ours(object.clone()),
            Self::SetWeight { plane, from, to, .. } => {
                Precondition::Between { plane: plane.clone(), from: *from, to: *to }
            }
            // The origin is right on a plane whatever somebody made of it, and giving up what one does not own changes nothing.
            Self::RestorePlane { .. } | Self::Release { .. } | Self::SuspendSource { .. } => Precondition::Nothing,
            Self::ResumeTarget { job } => Precondition::Asleep(job.clone()),
            Self::DrainSource { plane } => Precondition::AllOnTarget(plane.clone()),
            Self::ScaleSource { .. } => Precondition::SourceUnused,
        }
    }

    /// Whether carrying it out twice leaves the world as carrying it out once: each says how something shall be, none by how
    /// much it shall change.
    pub fn is_idempotent(&self) -> bool {
        match self {
            Self::ApplyObject { .. } | Self::DeleteObject { .. } => true,
            Self::SetWeight { .. } | Self::RestorePlane { .. } => true,
            Self::DrainSource { .. } | Self::ScaleSource { .. } | Self::Release { .. } => true,
            Self::SuspendSource { .. } | Self::ResumeTarget { .. } => true,
        }
    }

    /// The object it applies, where it applies one.
    pub fn applies(&self) -> Option<&ObjectRef> {
        if let Self::ApplyObject { object } = self { Some(object) } else { None }
    }

    /// The plane it writes to, where it writes to one. Planes do not wait for one another; objects have an order.
    pub fn plane(&self) -> Option<&Name> {
        match self {
            Self::SetWeight { plane, .. } | Self::RestorePlane { plane, .. } | Self::DrainSource { plane } => {
                Some(plane)
            }
            Self::ApplyObject { .. } | Self::DeleteObject { .. } => None,
            Self::ScaleSource { .. } | Self::Release { .. } => None,
            Self::SuspendSource { .. } | Self::ResumeTarget { .. } => None,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApplyObject { object } => write!(f, "apply {object}"),
            Self::DeleteObject { object, because: Deletion::Gone } => {
                write!(f, "delete {object}, gone from the source")
            }
            Self::DeleteObject { object, because: Deletion::Aborted } => write!(f, "delete {object}"),
            Self::SetWeight { plane, from, to, .. } => write!(f, "set {plane} from {from} to {to}"),
            Self::RestorePlane { plane, .. } => write!(f, "restore {plane} to its origin"),
            Self::DrainSource { plane } => write!(f, "drain the source on {plane}"),
            Self::ScaleSource { workload, from } => write!(f, "scale the source's {workload} from {from} to 0"),
            Self::SuspendSource { job } => write!(f, "suspend the source's {job}"),
            Self::ResumeTarget { job } => write!(f, "resume {job}"),
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
