//! What was observed in one pass. PURE.
//!
//! A part that could not be observed is `Unknown` with the reason; missing is never healthy and never bad.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::action::Outcome;
use super::command::Command;
use crate::analysis::questions::AllLearnt;
use crate::cluster::{ObjectRef, Replicas};
use crate::policy::{Name, Weight};

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Observed<T> {
    /// It was seen in this pass.
    Known(T),
    /// It could not be seen, and why.
    Unknown(String),
}

impl<T> Observed<T> {
    /// The value, where it was seen.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }
}

impl<T, E: std::error::Error + 'static> From<Result<T, E>> for Observed<T> {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(value) => Self::Known(value),
            Err(error) => Self::Unknown(chain(&error)),
        }
    }
}

/// An error and everything behind it in one line, for people.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

/// The world in one pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// When it was taken.
    pub now: Timestamp,
    /// Requests of people since the last pass.
    pub commands: Vec<Command>,
    /// What became of the actions of the last pass; empty in the first one.
    pub outcomes: Vec<Outcome>,
    /// The mirrored objects on the target, compared with the source.
    pub mirror: Observed<MirrorView>,
    /// Workloads of the source.
    pub source: Observed<BTreeMap<ObjectRef, Replicas>>,
    /// The same workloads on the target.
    pub target: Observed<BTreeMap<ObjectRef, Replicas>>,
    /// Every plane of the migration.
    pub planes: BTreeMap<Name, Observed<PlaneView>>,
    /// What will not pass by waiting: planes that are not as the migration names them, weights they cannot represent.
    pub plane_problems: Vec<String>,
    /// Every metric of the policy.
    pub metrics: BTreeMap<Name, MetricSample>,
    /// What each metric has come to since the target was given traffic; nothing before that.
    pub learnt: AllLearnt,
    /// Seconds since the newest samples behind each metric, where Prometheus was asked.
    pub ages: BTreeMap<Name, SidePair<Option<f64>>>,
    /// When Prometheus evaluated what it was asked, by its own clock.
    pub evaluated: Option<Timestamp>,
    /// Requests counted per cluster over the analysis window.
    pub share: SidePair<SideSample>,
}

/// The mirrored objects on the target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MirrorView {
    /// The objects in the order in which they must be applied.
    pub objects: Vec<MirroredObject>,
    /// What keeps the selection from being mirrored, in a sentence each.
    pub problems: Vec<String>,
    /// What this migration brought to the target, is nobody else's there, and is gone from the source: looked for by name, and not there.
    pub gone: Vec<ObjectRef>,
    /// Everything this migration brought to the target and is there still, in the order of writing. Only looked for where it is to be
    /// deleted.
    pub brought: Vec<ObjectRef>,
    /// The mirrored CronJobs that are on both sides.
    pub jobs: Vec<MirroredJob>,
}

/// One mirrored CronJob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirroredJob {
    /// Which.
    pub object: ObjectRef,
    /// Whether it is suspended on the source.
    pub sleeps_on_source: bool,
    /// Whether it is suspended on the target.
    pub sleeps_on_target: bool,
}

/// One mirrored object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirroredObject {
    /// Which.
    pub object: ObjectRef,
    /// Whether the target holds it so.
    pub in_sync: bool,
}

/// What a plane reports of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlaneView {
    /// The weight in force.
    pub weight: Weight,
    /// Everything Crossfade may change on it, in the driver's own form: what a rollback restores.
    pub setting: serde_json::Value,
    /// The source's side.
    pub source: SideView,
    /// The target's side.
    pub target: SideView,
}

/// One side of a plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SideView {
    /// Backends that the plane itself finds usable.
    pub usable: u32,
    /// Connections or requests in flight.
    pub in_flight: u64,
    /// Requests since the plane started, where it counts them.
    pub counters: Option<Counters>,
}

/// Requests counted by a plane since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// All requests.
    pub requests: u64,
    /// Those answered with a server error, or not at all.
    pub failed: u64,
}

/// A value for each side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SidePair<T> {
    /// The source's.
    pub source: T,
    /// The target's.
    pub target: T,
}

/// One metric over the analysis window, for both clusters.
pub type MetricSample = SidePair<SideSample>;

/// What one cluster came to over the analysis window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SideSample {
    /// They were counted.
    Counts {
        /// Bad requests.
        bad: f64,
        /// All requests.
        total: f64,
    },
    /// A number was given.
    Value {
        /// It.
        value: f64,
        /// Requests behind it, where they were counted.
        count: Option<f64>,
    },
    /// Nothing was there to count, and what was missing.
    NoData(String),
    /// The question could not be asked or the answer not be read.
    Error(String),
}

#[cfg(test)]
mod tests;
