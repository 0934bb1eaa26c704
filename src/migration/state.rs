//! Where a migration stands. PURE.
//!
//! The state is what must survive a crash. Everything else is observed anew in every pass.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::action::Action;
use super::check::Basis;
use super::command::Reply;
use super::snapshot::PlaneView;
use crate::analysis::lasting::Since;
use crate::cluster::ObjectRef;
use crate::policy::{Assignment, Name, ShiftPolicy, Weight};

/// The form of the state on disk; another one is refused.
pub const FORMAT: u32 = 3;

/// Everything that must survive a crash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// What was started, as it was then; later edits of the files take no part. Every state of a migration shares it.
    pub assignment: Arc<Assignment>,
    /// Where the migration stands.
    pub phase: Phase,
    /// Who paused it, if anybody.
    pub paused: Option<Mark>,
    /// What Crossfade left on each plane. Most states leave what the one before left, and share it.
    pub ledger: Arc<BTreeMap<Name, Entry>>,
    /// The last answers to people. A crash may have kept them from being given: a command that comes again gets the same
    /// answer, and is not obeyed twice.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub answers: Arc<[Reply]>,
    /// Since when it has been at work on this phase or step; deadlines run from here. `None` while it waits for a person or
    /// for a time that the policy names.
    pub working: Option<Timestamp>,
    /// Actions that failed when they were last tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retries: Vec<Retry>,
    /// Who approved, and at which weight.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub approvals: Arc<[Approved]>,
    /// The drills that reached the origin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drills: Vec<Drilled>,
    /// What has gone on about each metric, and since when: budgets of silence, and numbers out of range.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lasting: BTreeMap<Name, Since>,
    /// A person's word that many objects may be deleted on the target because they are gone from the source; until they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub letting: Option<Letting>,
}

/// A person's word that much may go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letting {
    /// How many objects at once.
    pub up_to: usize,
    /// Who, and when.
    #[serde(flatten)]
    pub mark: Mark,
}

/// An approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approved {
    /// The weight at which the migration waited for it.
    pub weight: Weight,
    /// Who, and when.
    #[serde(flatten)]
    pub mark: Mark,
}

/// A drill that reached the origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drilled {
    /// When it began.
    pub at: Timestamp,
    /// The weight it began from.
    pub weight: Weight,
    /// Until every plane was read back at its origin.
    pub took: SignedDuration,
}

/// An action that failed, to be tried again after a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retry {
    /// The action.
    pub action: Action,
    /// How often it has failed in a row.
    pub failures: u32,
    /// When that was heard of last.
    pub at: Timestamp,
    /// Its error.
    pub error: String,
    /// Whether the plane it writes to could not be seen then: that failure says nothing about a plane that can be seen.
    pub unseen: bool,
}

/// Somebody did something at some time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// What Crossfade left on a plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Entry {
    /// A weight that was read back.
    Settled(Weight),
    /// A weight that is being written: the plane may show anything between the two.
    Moving {
        /// The weight before.
        from: Weight,
        /// The weight after.
        to: Weight,
    },
}

impl Entry {
    /// The weight Crossfade wants the plane to have.
    pub fn desired(self) -> Weight {
        match self {
            Self::Settled(weight) | Self::Moving { to: weight, .. } => weight,
        }
    }

    /// The highest weight that may be of Crossfade's making.
    pub fn highest(self) -> Weight {
        match self {
            Self::Settled(weight) => weight,
            Self::Moving { from, to } => from.max(to),
        }
    }

    /// Whether a weight seen on the plane can be of Crossfade's making.
    pub fn explains(self, observed: Weight) -> bool {
        match self {
            Self::Settled(weight) => weight == observed,
            Self::Moving { from, to } => observed.is_between(from, to),
        }
    }
}

/// Every plane's setting and every replica count before the first write. It never changes, so every state shares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// When it was recorded.
    pub at: Timestamp,
    /// Weight and setting of each plane.
    pub planes: BTreeMap<Name, PlaneOrigin>,
    /// Replicas of each workload on the source: the demand the target must be able to carry.
    pub replicas: BTreeMap<ObjectRef, u32>,
}

/// One plane before the first write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaneOrigin {
    /// Its weight.
    pub weight: Weight,
    /// Its setting, in the driver's own form.
    pub setting: serde_json::Value,
}

impl From<&PlaneView> for PlaneOrigin {
    fn from(view: &PlaneView) -> Self {
        Self { weight: view.weight, setting: view.setting.clone() }
    }
}

/// Where a migration stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "camelCase")]
pub enum Phase {
    /// Nothing has been written; the origin is being recorded.
    Preparing {
        /// Since when.
        since: Timestamp,
    },
    /// The target is being made to hold the source's objects.
    Mirroring {
        /// Since when.
        since: Timestamp,
        /// What a rollback restores.
        origin: Arc<Origin>,
    },
    /// Traffic moves by the policy's steps.
    Shifting(Shifting),
    /// Everything is on the target; the source is whole.
    Soaking {
        /// What a rollback restores.
        origin: Arc<Origin>,
        /// Since when.
        since: Timestamp,
    },
    /// The source is being let go. No way back.
    Committing {
        /// For the replicas to scale down.
        origin: Arc<Origin>,
        /// Who said commit, and when.
        by: Mark,
        /// Since when.
        since: Timestamp,
        /// Objects whose ownership is given up at the end, whatever becomes of the source until then.
        objects: Arc<[ObjectRef]>,
        /// CronJobs to be handed over: those that ran on the source and slept on the target.
        #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
        jobs: Arc<[ObjectRef]>,
        /// How far it has come.
        stage: CommitStage,
    },
    /// The planes are going back to the origin.
    RollingBack {
        /// What is being restored.
        origin: Arc<Origin>,
        /// Why.
        cause: Cause,
        /// Since when.
        since: Timestamp,
        /// By which way.
        way: Way,
    },
    /// The end: the target has the traffic.
    Completed {
        /// Since when.
        at: Timestamp,
    },
    /// The end: the origin was read back.
    RolledBack {
        /// Why.
        cause: Cause,
        /// Since when.
        at: Timestamp,
    },
}

/// A migration in the middle of its steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shifting {
    /// What a rollback restores.
    pub origin: Arc<Origin>,
    /// The step, counted from 0.
    pub step: usize,
    /// Since when this step.
    pub since: Timestamp,
    /// How the planes stand to the step's weight, which is its own, or that of the last step before it that has one.
    pub standing: Standing,
    /// Who let this step pass, where it waits for a person.
    pub passed: Option<Mark>,
}

impl Shifting {
    /// The beginning of a step: one that sets a weight has it to set, any other stands at the weight that was proven before it.
    pub fn at(step: usize, origin: Arc<Origin>, policy: &ShiftPolicy, since: Timestamp) -> Self {
        let sets = policy.steps.get(step).is_some_and(|step| step.weight().is_some());
        let standing = if sets { Standing::Moving } else { Standing::Proven };
        Self { origin, step, since, standing, passed: None }
    }
}

/// How the planes stand to the weight of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Standing {
    /// They are to be brought to it.
    Moving,
    /// Every one was first read back at it then: what is measured from there on is evidence.
    Settled(Timestamp),
    /// It is proven, or no weight was given yet: the step waits for whatever else it says.
    Proven,
    /// A drill that began then: they go to their origin, as in a rollback.
    Drilling(Timestamp),
    /// A drill took so long, which is longer than a rollback may: they stay at their origin until a person approves.
    Late(SignedDuration),
}

/// The way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Way {
    /// At once.
    Instant,
    /// By way of these weights, the highest first, spread evenly over the deadline.
    Stepped(Vec<Weight>),
    /// By way of these weights, the highest first, as fast as the source has ready pods for its share.
    CapacityGated(Vec<Weight>),
    /// Every plane is back; what was brought to the target is deleted there, as the migration asks for.
    Clearing,
}

/// How far a commit has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CommitStage {
    /// Connections to the source end.
    Draining,
    /// The source's workloads are scaled down, where the migration asks for it.
    Scaling,
    /// CronJobs are put to sleep on the source, then woken on the target.
    HandingOver,
    /// Field ownership is given up.
    Releasing,
}

/// Why a migration went back. A closed list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "camelCase")]
pub enum Cause {
    /// A person asked for it.
    Requested {
        /// Who and when.
        by: Mark,
        /// In their words.
        why: String,
    },
    /// A metric failed.
    MetricFailed {
        /// The metric.
        metric: Name,
        /// The numbers, in a sentence.
        account: String,
        /// The weight at that moment.
        weight: Weight,
        /// What that stands on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        basis: Option<Box<Basis>>,
    },
    /// A workload that carried traffic had no ready pod left on the target.
    TargetLost {
        /// The workload.
        workload: ObjectRef,
        /// The weight at that moment.
        weight: Weight,
    },
    /// The target did not become ready in time.
    MirrorDeadline {
        /// What it was waiting for.
        waiting: String,
    },
    /// Not every plane could be brought to the weight of a step in time: they go back together.
    StepDeadline {
        /// What it was waiting for.
        waiting: String,
    },
}

impl Cause {
    /// The stable one-word name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Requested { .. } => "Requested",
            Self::MetricFailed { .. } => "MetricFailed",
            Self::TargetLost { .. } => "TargetLost",
            Self::MirrorDeadline { .. } => "MirrorDeadline",
            Self::StepDeadline { .. } => "StepDeadline",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested { by, why } if why.is_empty() => write!(f, "{} asked for it", by.by),
            Self::Requested { by, why } => write!(f, "{} asked for it: {why}", by.by),
            Self::MetricFailed { metric, account, weight, basis: _ } => {
                write!(f, "{metric} failed at {weight}: {account}")
            }
            Self::TargetLost { workload, weight } => {
                write!(f, "{workload} had no ready pod left on the target at {weight}")
            }
            Self::MirrorDeadline { waiting } => write!(f, "the target was not ready in time: {waiting}"),
            Self::StepDeadline { waiting } => write!(f, "a step stayed half done past its deadline: {waiting}"),
        }
    }
}

impl State {
    /// The first state of a migration.
    pub fn new(assignment: impl Into<Arc<Assignment>>, now: Timestamp) -> Self {
        Self {
            assignment: assignment.into(),
            phase: Phase::Preparing { since: now },
            paused: None,
            answers: Arc::default(),
            working: Some(now),
            retries: Vec::new(),
            ledger: Arc::default(),
            approvals: Arc::default(),
            drills: Vec::new(),
            lasting: BTreeMap::new(),
            letting: None,
        }
    }

    /// The state after a time in which nobody looked, for which a wall that was set forth is easily taken: a pause, a soak, the window of
    /// a step and the deadlines of a phase go on where they were. The way back goes by the clock, whoever drives, and so does its
    /// rehearsal.
    pub fn after_rest(mut self, rest: SignedDuration) -> Self {
        let later = |at: &mut Timestamp| *at = at.checked_add(rest).unwrap_or(Timestamp::MAX);
        let drilled = self.drilled().is_some();
        match &mut self.phase {
            Phase::Preparing { since }
            | Phase::Mirroring { since, .. }
            | Phase::Soaking { since, .. }
            | Phase::Committing { since, .. } => later(since),
            Phase::Shifting(Shifting { standing: Standing::Drilling(_), .. }) => {}
            Phase::Shifting(shifting) => {
                if let Standing::Settled(at) = &mut shifting.standing {
                    later(at);
                }
                // A drill belongs to the step that it began in.
                if !drilled {
                    later(&mut shifting.since);
                }
            }
            Phase::RollingBack { .. } | Phase::Completed { .. } | Phase::RolledBack { .. } => {}
        }
        self.working.iter_mut().for_each(later);
        let window = self.assignment.policy.analysis.window;
        self.lasting.values_mut().for_each(|since| *since = since.after_rest(rest, window));
        self
    }

    /// Whether phase, planes and pause are the same. What was tried and answered meanwhile may differ.
    pub fn stands_as(&self, other: &Self) -> bool {
        self.phase == other.phase && self.ledger == other.ledger && self.paused == other.paused
    }

    /// The largest share of the traffic Crossfade may have given to the target.
    pub fn highest_weight(&self) -> Weight {
        self.ledger.values().map(|entry| entry.highest()).max().unwrap_or_default()
    }

    /// The drill of the current step that has reached the origin.
    pub fn drilled(&self) -> Option<&Drilled> {
        let Phase::Shifting(shifting) = &self.phase else { return None };
        self.drills.last().filter(|drill| drill.at >= shifting.since)
    }
}

impl Phase {
    /// The stable one-word name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Preparing { .. } => "Preparing",
            Self::Mirroring { .. } => "Mirroring",
            Self::Shifting(_) => "Shifting",
            Self::Soaking { .. } => "Soaking",
            Self::Committing { .. } => "Committing",
            Self::RollingBack { .. } => "RollingBack",
            Self::Completed { .. } => "Completed",
            Self::RolledBack { .. } => "RolledBack",
        }
    }

    /// What a rollback would restore; `None` where nothing was written yet, and where there is no way back.
    pub fn origin(&self) -> Option<&Arc<Origin>> {
        match self {
            Self::Mirroring { origin, .. } | Self::Soaking { origin, .. } | Self::RollingBack { origin, .. } => {
                Some(origin)
            }
            Self::Shifting(shifting) => Some(&shifting.origin),
            Self::Preparing { .. } | Self::Committing { .. } | Self::Completed { .. } | Self::RolledBack { .. } => None,
        }
    }

    /// Whether nothing more will happen.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Completed { .. } | Self::RolledBack { .. })
    }
}

#[cfg(test)]
mod tests;
