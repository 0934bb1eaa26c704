//! What a person is shown of one pass. PURE.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::check::Check;
use super::decide::Decision;
use super::snapshot::{Observed, Snapshot};
use super::state::{Approved, Cause, Drilled, Phase, Shifting, Standing, Way};
use super::waiting::WaitingOn;
use crate::gate::{Finding, share};
use crate::policy::{Name, Step, Weight};

/// One pass, for `status`, for the terminal and for scripts. Its JSON form is stable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The migration.
    pub migration: Name,
    /// When.
    pub at: Timestamp,
    /// The phase.
    pub phase: String,
    /// The step, counted from 1, of how many; only while shifting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<StepReport>,
    /// Each plane.
    pub planes: Vec<PlaneReport>,
    /// The share of requests that arrived at the target over the analysis window, `0.0..=1.0`.
    pub measured_share: Option<f64>,
    /// Each metric.
    pub metrics: Vec<Check>,
    /// The measured share against the weight.
    pub share: Option<Finding>,
    /// What it waits for.
    pub waiting: Option<WaitingOn>,
    /// The same in a sentence.
    pub message: Option<String>,
    /// Why it went back, where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Who approved so far, and at which weight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approved>,
    /// The drills so far.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drills: Vec<Drilled>,
    /// The policy that is followed.
    pub policy: PolicyReport,
    /// Whether a person is needed.
    pub needs_human: bool,
}

/// Which policy is followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyReport {
    /// Its name.
    pub name: Name,
    /// What identifies this version of it.
    pub hash: String,
}

/// Where in the policy a migration is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    /// Counted from 1.
    pub number: usize,
    /// Steps of the policy.
    pub of: usize,
    /// The step.
    pub step: Option<Step>,
}

/// One plane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaneReport {
    /// Its name.
    pub name: Name,
    /// What was decided.
    pub desired: Option<Weight>,
    /// What it reports.
    pub observed: Option<Weight>,
    /// Why nothing could be observed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Report {
    /// The report of one pass.
    pub fn new(snapshot: &Snapshot, decision: &Decision) -> Self {
        let state = &decision.state;
        let planes = snapshot.planes.iter().map(|(name, observed)| PlaneReport {
            name: name.clone(),
            desired: desired(&state.phase, name, state.ledger.get(name).map(|entry| entry.desired())),
            observed: observed.known().map(|view| view.weight),
            error: match observed {
                Observed::Known(_) => None,
                Observed::Unknown(why) => Some(why.clone()),
            },
        });
        let steps = &state.assignment.policy.steps;
        let step = match &state.phase {
            Phase::Shifting(shifting) => Some(StepReport {
                number: (shifting.step + 1).min(steps.len()),
                of: steps.len(),
                step: steps.get(shifting.step).copied(),
            }),
            _ => None,
        };
        let metrics = decision.gates.metrics.iter();
        let cause = match &state.phase {
            Phase::RollingBack { cause, .. } | Phase::RolledBack { cause, .. } => Some(cause.clone()),
            _ => None,
        };
        Self {
            migration: state.assignment.migration.name.clone(),
            at: snapshot.now,
            phase: state.phase.name().to_owned(),
            step,
            planes: planes.collect(),
            measured_share: share::measured(&snapshot.share).map(|(share, _)| share),
            metrics: metrics.map(|(name, finding)| Check::new(state, snapshot, name, finding)).collect(),
            share: decision.gates.share.clone(),
            message: decision.waiting.as_ref().map(ToString::to_string),
            waiting: decision.waiting.clone(),
            cause,
            approvals: state.approvals.to_vec(),
            drills: state.drills.clone(),
            policy: PolicyReport {
                name: state.assignment.policy.name.clone(),
                hash: state.assignment.policy.fingerprint(),
            },
            needs_human: decision.needs_human,
        }
    }
}

impl Report {
    /// Whether nothing more will come.
    pub fn has_ended(&self) -> bool {
        matches!(self.phase.as_str(), "Completed" | "RolledBack")
    }
}

/// On the way to the origin the desired weight is the origin's.
fn desired(phase: &Phase, plane: &Name, ledger: Option<Weight>) -> Option<Weight> {
    match phase {
        Phase::RollingBack { origin, way: Way::Instant | Way::Clearing, .. }
        | Phase::Shifting(Shifting { origin, standing: Standing::Drilling(_), .. }) => {
            origin.planes.get(plane).map(|origin| origin.weight)
        }
        Phase::RolledBack { .. } => None,
        _ => ledger,
    }
}
