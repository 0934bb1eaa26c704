//! Does what a plan says, or nothing. IO.
//!
//! The plan is made anew, dry run included, and held against the one given. Objects of one kind are written side by side, kinds
//! one after the other: what is referred to is there before what refers to it. No traffic is moved.

use serde::Serialize;

use super::compare::{Changed, changed};
use super::draw::{Plan, Problem, Step};
use super::make::make;
use crate::cluster::{self, Cluster, ClusterError, ObjectRef};

/// Why a plan was not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// A cluster did not do what it was asked.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Something in the plan forbids it; nothing was written.
    #[error("{} of the plan in the way; nothing was written", things(blockers.len()))]
    Blocked {
        /// What.
        blockers: Vec<Problem>,
    },
    /// Its inputs changed; nothing was written.
    #[error("{} changed since the plan was made; nothing was written", things(changed.len()))]
    Changed {
        /// What.
        changed: Vec<Changed>,
    },
    /// The target refused an object that it had accepted in the dry run.
    #[error("{written} objects were written, then {object} could not be; apply the same plan again to go on")]
    Stopped {
        /// Objects written before.
        written: usize,
        /// The object.
        object: ObjectRef,
        /// Why.
        #[source]
        source: ClusterError,
    },
}

fn things(count: usize) -> String {
    if count == 1 { "1 thing".to_owned() } else { format!("{count} things") }
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Objects that were written.
    pub written: Vec<ObjectRef>,
    /// Objects that were as planned already.
    pub unchanged: usize,
}

/// Applies a plan.
pub async fn apply(source: &Cluster, target: &Cluster, plan: &Plan) -> Result<Applied, ApplyError> {
    let made = make(source, target, &plan.migration).await?;
    let changed = changed(plan, &made.plan);
    if !changed.is_empty() {
        return Err(ApplyError::Changed { changed });
    }
    let blockers: Vec<_> = made.plan.blockers().cloned().collect();
    if !blockers.is_empty() {
        return Err(ApplyError::Blocked { blockers });
    }
    let desired = made.desired();
    let mut applied = Applied { written: Vec::new(), unchanged: 0 };
    for group in made.plan.objects.chunk_by(|a, b| a.object.kind == b.object.kind) {
        let to_write = group.iter().filter(|planned| planned.step != Step::Keep).filter_map(|planned| {
            // What is written has the size that was planned, whatever the autoscaler of the source did since.
            let planned_size = plan.objects.iter().find(|one| one.object == planned.object)?.initial_replicas;
            let mut one = (*desired.get(&planned.object)?).clone();
            one.initial_replicas = planned_size;
            Some(one)
        });
        let to_write: Vec<_> = to_write.collect();
        applied.unchanged += group.len() - to_write.len();
        let mut failed = None;
        for (desired, outcome) in to_write.iter().zip(cluster::apply_all(target, &to_write).await) {
            match outcome {
                Ok(()) => applied.written.push(desired.object().clone()),
                Err(error) => failed = failed.or(Some((desired.object().clone(), error))),
            }
        }
        if let Some((object, source)) = failed {
            return Err(ApplyError::Stopped { written: applied.written.len(), object, source });
        }
    }
    Ok(applied)
}
