//! The name of every wait. PURE.
//!
//! A migration that does not move says why in one of these words, alike in the terminal, in status, in the
//! journal and in metrics.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::cluster::ObjectRef;
use crate::policy::{Name, Weight};

/// Why nothing advances at the moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reason")]
pub enum WaitingOn {
    /// Something could not be observed, so it counts as neither good nor bad.
    Unobserved {
        /// What: a cluster, the mirror.
        what: String,
        /// Why not.
        why: String,
    },
    /// It cannot start or go on as it is; a person has to decide.
    Blocked {
        /// Each problem in a sentence.
        problems: Vec<String>,
    },
    /// Objects are on their way to the target.
    Mirror {
        /// Objects still to be applied.
        pending: usize,
        /// All objects.
        all: usize,
    },
    /// So much of what was mirrored is gone from the source that a person has to say whether it goes from the target too.
    ManyGone {
        /// Objects gone.
        gone: usize,
        /// All objects, these included.
        all: usize,
        /// Some of them.
        some: Vec<ObjectRef>,
    },
    /// What was brought to the target is being deleted there.
    Clearing {
        /// Objects left.
        left: usize,
    },
    /// An action failed and is tried again.
    ActionFailed {
        /// The action.
        action: String,
        /// Its error.
        error: String,
        /// How often it has failed in a row.
        failures: u32,
        /// When it is tried again.
        again: Timestamp,
    },
    /// It has waited longer than its deadline allows. It goes on trying, and a person is asked.
    Overdue {
        /// When it should have ended.
        deadline: Timestamp,
        /// What it waits for.
        waiting: Box<WaitingOn>,
    },
    /// A workload has fewer ready pods on the target than it wants.
    WorkloadReady {
        /// The workload.
        workload: ObjectRef,
        /// Pods ready.
        ready: u32,
        /// Pods wanted.
        wanted: u32,
    },
    /// The target could not carry the next weight.
    Capacity {
        /// The workload.
        workload: ObjectRef,
        /// The next weight.
        weight: Weight,
        /// Pods ready.
        ready: u32,
        /// Pods needed for it.
        needed: u32,
    },
    /// The source could not carry what would come back to it.
    SourceCapacity {
        /// The workload.
        workload: ObjectRef,
        /// The weight the target would have then.
        weight: Weight,
        /// Pods ready on the source.
        ready: u32,
        /// Pods needed for it.
        needed: u32,
    },
    /// The source has fewer pods than it began with: a rollback would not find the capacity it counts on.
    SourceShrank {
        /// The workload.
        workload: ObjectRef,
        /// Replicas now, or none where the workload is gone.
        now: u32,
        /// Replicas in the origin.
        origin: u32,
    },
    /// The target should be relieved of its traffic, and the source has no ready pod to take it.
    NoWayBack {
        /// The workload without pods on the source.
        workload: ObjectRef,
        /// Why the target should be relieved.
        cause: String,
    },
    /// A plane cannot be reached.
    PlaneUnreachable {
        /// The plane.
        plane: Name,
        /// Why.
        why: String,
    },
    /// A plane itself sees no usable backend on the target's side.
    PlaneBackends {
        /// The plane.
        plane: Name,
    },
    /// A plane has been told a weight and does not show it yet.
    PlaneMoving {
        /// The plane.
        plane: Name,
        /// What it shows.
        observed: Weight,
        /// What it was told.
        desired: Weight,
    },
    /// Somebody else changed a plane. It is never overwritten blindly.
    Drift {
        /// The plane.
        plane: Name,
        /// What Crossfade left there.
        expected: Weight,
        /// What it shows.
        observed: Weight,
    },
    /// The step has not lasted as long as the analysis looks back.
    Window {
        /// When it will have.
        until: Timestamp,
    },
    /// A metric has too little evidence to say anything.
    MetricNoData {
        /// The metric.
        metric: Name,
        /// What is missing.
        why: String,
    },
    /// A metric cannot be asked.
    MetricError {
        /// The metric.
        metric: Name,
        /// Why.
        why: String,
    },
    /// A metric fails on the target before any traffic was given to it, perhaps still from an earlier attempt.
    MetricFailing {
        /// The metric.
        metric: Name,
        /// The numbers.
        why: String,
    },
    /// The measured share does not agree with the weight, or cannot be measured.
    Share {
        /// What was measured.
        why: String,
    },
    /// A person paused the migration.
    Paused {
        /// Who.
        by: String,
    },
    /// The policy's windows are closed: nothing begins that advances.
    WindowClosed {
        /// When they open.
        opens: Timestamp,
    },
    /// A pause of the policy.
    PauseStep {
        /// When it ends; `None` where it ends by `resume`.
        until: Option<Timestamp>,
    },
    /// An approval of the policy.
    Approval,
    /// All traffic is on the target and is being watched there.
    Soak {
        /// When commit will be accepted.
        until: Timestamp,
    },
    /// Somebody has to say commit.
    Commit,
    /// A drill: the planes are on their way to the origin.
    Drill {
        /// Planes not there yet.
        planes: Vec<Name>,
    },
    /// A drill took longer than a rollback may. The planes stay at their origin until somebody approves or aborts.
    DrillLate {
        /// How long it took.
        took: SignedDuration,
        /// How long it may take.
        deadline: SignedDuration,
    },
    /// Connections to the source are ending.
    Drain {
        /// The plane.
        plane: Name,
        /// Connections left.
        connections: u64,
    },
    /// CronJobs are passing from the source to the target.
    Jobs {
        /// Those that have not arrived yet.
        left: usize,
    },
    /// The source's pods are ending.
    SourceScaling {
        /// The workload.
        workload: ObjectRef,
        /// Pods left.
        left: u32,
    },
    /// The planes are on their way back to the origin.
    Rollback {
        /// Planes not there yet.
        planes: Vec<Name>,
        /// The weight by way of which they go, where they do not go there at once.
        via: Option<Weight>,
    },
}

/// Whose doing it takes to end a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// A person's word, or a time that the policy names: no deadline runs meanwhile.
    Patient,
    /// A plane's that does not follow.
    Plane,
    /// Anybody else's.
    Other,
}

impl WaitingOn {
    /// What it waits for, whether or not that is overdue.
    pub fn plain(&self) -> &Self {
        match self {
            Self::Overdue { waiting, .. } => waiting.plain(),
            plain => plain,
        }
    }

    /// Whose doing it takes.
    pub fn sort(&self) -> Sort {
        match self {
            Self::Paused { .. }
            | Self::WindowClosed { .. }
            | Self::PauseStep { .. }
            | Self::Approval
            | Self::DrillLate { .. }
            | Self::ManyGone { .. }
            | Self::Soak { .. }
            | Self::Commit => Sort::Patient,
            Self::PlaneUnreachable { .. } | Self::PlaneBackends { .. } | Self::PlaneMoving { .. } => Sort::Plane,
            Self::Overdue { waiting, .. } => waiting.sort(),
            Self::Unobserved { .. }
            | Self::Blocked { .. }
            | Self::Mirror { .. }
            | Self::Clearing { .. }
            | Self::ActionFailed { .. }
            | Self::WorkloadReady { .. }
            | Self::Capacity { .. }
            | Self::SourceCapacity { .. }
            | Self::SourceShrank { .. }
            | Self::NoWayBack { .. }
            | Self::Drift { .. }
            | Self::Window { .. }
            | Self::MetricNoData { .. }
            | Self::MetricError { .. }
            | Self::MetricFailing { .. }
            | Self::Share { .. }
            | Self::Drill { .. }
            | Self::Jobs { .. }
            | Self::Drain { .. }
            | Self::SourceScaling { .. }
            | Self::Rollback { .. } => Sort::Other,
        }
    }

    /// Whether it normally ends within a pass or two, so that only a person who watches needs to hear of it.
    pub fn is_brief(&self) -> bool {
        match self {
            Self::Mirror { .. } | Self::Clearing { .. } | Self::PlaneMoving { .. } => true,
            Self::Drain { .. } | Self::Drill { .. } | Self::Jobs { .. } => true,
            Self::Rollback { via, .. } => via.is_none(),
            _ => false,
        }
    }

    /// The stable one-word reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unobserved { .. } => "Unobserved",
            Self::Blocked { .. } => "Blocked",
            Self::Mirror { .. } => "Mirror",
            Self::ManyGone { .. } => "ManyGone",
            Self::Clearing { .. } => "Clearing",
            Self::ActionFailed { .. } => "ActionFailed",
            Self::Overdue { .. } => "Overdue",
            Self::WorkloadReady { .. } => "WorkloadReady",
            Self::Capacity { .. } => "Capacity",
            Self::SourceCapacity { .. } => "SourceCapacity",
            Self::SourceShrank { .. } => "SourceShrank",
            Self::NoWayBack { .. } => "NoWayBack",
            Self::PlaneUnreachable { .. } => "PlaneUnreachable",
            Self::PlaneBackends { .. } => "PlaneBackends",
            Self::PlaneMoving { .. } => "PlaneMoving",
            Self::Drift { .. } => "Drift",
            Self::Window { .. } => "Window",
            Self::MetricNoData { .. } => "MetricNoData",
            Self::MetricError { .. } => "MetricError",
            Self::MetricFailing { .. } => "MetricFailing",
            Self::Share { .. } => "Share",
            Self::Paused { .. } => "Paused",
            Self::WindowClosed { .. } => "WindowClosed",
            Self::PauseStep { .. } => "PauseStep",
            Self::Approval => "Approval",
            Self::Soak { .. } => "Soak",
            Self::Commit => "Commit",
            Self::Drill { .. } => "Drill",
            Self::DrillLate { .. } => "DrillLate",
            Self::Drain { .. } => "Drain",
            Self::SourceScaling { .. } => "SourceScaling",
            Self::Jobs { .. } => "Jobs",
            Self::Rollback { .. } => "Rollback",
        }
    }
}

impl fmt::Display for WaitingOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unobserved { what, why } => write!(f, "{what} cannot be observed: {why}"),
            Self::Blocked { problems } => write!(f, "{}", problems.join("; ")),
            Self::Mirror { pending, all } => write!(f, "{pending} of {all} objects still to be written"),
            Self::ManyGone { gone, all, some } => {
                let some: Vec<_> = some.iter().map(ToString::to_string).collect();
                let (some, more) = (some.join(", "), if *gone > some.len() { ", …" } else { "" });
                write!(
                    f,
                    "{gone} of {all} mirrored objects are gone from the source ({some}{more}): approve to delete them on the target too, or bring them back"
                )
            }
            Self::Clearing { left } => write!(f, "{left} objects that were brought to the target are left there"),
            Self::ActionFailed { action, error, failures: 1, .. } => {
                write!(f, "{action} failed and is tried again: {error}")
            }
            Self::ActionFailed { action, error, failures, again } => {
                write!(f, "{action} failed {failures} times and is tried again at {again:.0}: {error}")
            }
            Self::Overdue { deadline, waiting } => write!(f, "{waiting}; this should have ended by {deadline:.0}"),
            Self::WorkloadReady { workload, ready, wanted } => {
                write!(f, "{workload} has {ready} of {wanted} pods ready on the target")
            }
            Self::Capacity { workload, weight, ready, needed } => {
                write!(f, "{workload} needs {needed} ready pods on the target to carry {weight}, has {ready}")
            }
            Self::SourceCapacity { workload, weight, ready, needed } => {
                write!(f, "the source's {workload} needs {needed} ready pods to have all but {weight}, has {ready}")
            }
            Self::SourceShrank { workload, now, origin } => {
                write!(
                    f,
                    "the source's {workload} has {now} of the {origin} replicas it began with; scale it back to go on"
                )
            }
            Self::NoWayBack { workload, cause } => {
                write!(f, "{cause}; and the source's {workload} has no ready pod to go back to")
            }
            Self::PlaneUnreachable { plane, why } => write!(f, "{plane} cannot be reached: {why}"),
            Self::PlaneBackends { plane } => write!(f, "{plane} sees no usable backend on the target"),
            Self::PlaneMoving { plane, observed, desired } => {
                write!(f, "{plane} shows {observed}, was told {desired}")
            }
            Self::Drift { plane, expected, observed } => {
                write!(f, "{plane} shows {observed} where {expected} was left: somebody else changed it")
            }
            Self::Window { until } => write!(f, "the step is judged from {until:.0} on"),
            Self::MetricNoData { metric, why } => write!(f, "{metric} has too little evidence: {why}"),
            Self::MetricError { metric, why } => write!(f, "{metric} cannot be asked: {why}"),
            Self::MetricFailing { metric, why } => write!(f, "{metric} fails before the first step: {why}"),
            Self::Share { why } => write!(f, "measured share: {why}"),
            Self::Paused { by } => write!(f, "paused by {by}; resume to go on"),
            Self::WindowClosed { opens } => write!(f, "the policy's windows are closed until {opens:.0}"),
            Self::PauseStep { until: Some(until) } => write!(f, "the policy pauses until {until:.0}"),
            Self::PauseStep { until: None } => f.write_str("the policy pauses; resume to go on"),
            Self::Approval => f.write_str("the policy asks for an approval"),
            Self::Soak { until } => write!(f, "soaking at 100% until {until:.0}"),
            Self::Commit => f.write_str("all traffic is on the target; commit to let the source go"),
            Self::Drill { planes } => write!(f, "a drill: {} on the way to the origin", listed(planes)),
            Self::DrillLate { took, deadline } => write!(
                f,
                "the drill took {took:#}, a rollback may take {deadline:#}; everything is at its origin: approve to go on all the same, or abort"
            ),
            Self::Drain { plane, connections } => {
                write!(f, "{connections} connections left on {plane} to the side that is let go")
            }
            Self::Jobs { left } => {
                write!(f, "{left} CronJobs are being suspended on the source, then resumed on the target")
            }
            Self::SourceScaling { workload, left } => write!(f, "{left} pods of the source's {workload} left"),
            Self::Rollback { planes, via: None } => {
                write!(f, "{} on the way back to the origin", listed(planes))
            }
            Self::Rollback { planes, via: Some(weight) } => {
                write!(f, "{} on the way back to the origin, by way of {weight}", listed(planes))
            }
        }
    }
}

fn listed(planes: &[Name]) -> String {
    planes.iter().map(Name::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
