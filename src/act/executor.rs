//! Carries out actions, with no opinion about them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::store::StoreError;
use crate::cluster::{self, Cluster, ClusterError, Desired, Link, ObjectRef};
use crate::fence::{Fence, Fenced};
use crate::migration::Action;
use crate::migration::action::Deletion;
use crate::plane::{Plane, PlaneError};
use crate::policy::{Name, Workloads};

/// The planes of a migration.
pub type Planes = BTreeMap<Name, Box<dyn Plane>>;

/// Time in which a write to a cluster should have been answered; one that takes longer is waited for all the same.
const CLUSTER_WRITE: Duration = Duration::from_secs(4);

/// Why an action failed.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// A cluster said no or nothing.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A plane said no or nothing.
    #[error(transparent)]
    Plane(#[from] PlaneError),
    /// Nobody drives a plane of this name.
    #[error("no plane is called {0}")]
    NoPlane(Name),
    /// The last look brought no body for the object; the next pass decides anew.
    #[error("{0} was not looked at")]
    NoBody(ObjectRef),
    /// Somebody else may be writing by now.
    #[error(transparent)]
    Fenced(#[from] Fenced),
    /// The intent could not be recorded, so nothing was done.
    #[error("nothing was done, because it could not be recorded")]
    Unrecorded(#[from] StoreError),
}

/// Everything an action can reach.
#[derive(Clone, Copy)]
pub struct Reach<'a> {
    /// Whether this process may still write.
    pub fence: &'a Fence,
    /// The source.
    pub source: &'a Link,
    /// The target.
    pub target: &'a Link,
    /// The planes.
    pub planes: &'a Planes,
    /// What belongs to the migration, and how it is called on either side.
    pub workloads: &'a Workloads,
    /// What each mirrored object shall be, as of the last look.
    pub desired: &'a BTreeMap<ObjectRef, Desired>,
}

impl<'a> Reach<'a> {
    /// Carries out one action. That it returns well says only that it was answered well.
    pub async fn carry_out(self, action: &Action) -> Result<(), ActError> {
        match action {
            Action::ApplyObject { object } => {
                let desired = self.desired.get(object).ok_or_else(|| ActError::NoBody(object.clone()))?;
                Ok(cluster::apply(self.cluster(self.target).await?, desired).await?)
            }
            Action::DeleteObject { object, because: Deletion::Gone } => {
                let source = self.source.get().await?;
                Ok(cluster::remove_gone(source, self.cluster(self.target).await?, self.workloads, object).await?)
            }
            Action::DeleteObject { object, because: Deletion::Aborted } => {
                Ok(cluster::remove(self.cluster(self.target).await?, object).await?)
            }
            Action::SetWeight { plane, from, to, origin } => {
                Ok(self.plane(plane)?.shift(self.fence, *from, *to, origin).await?)
            }
            Action::RestorePlane { plane, setting } => Ok(self.plane(plane)?.restore(self.fence, setting).await?),
            Action::DrainSource { plane } => Ok(self.plane(plane)?.drain_source(self.fence).await?),
            Action::ScaleSource { workload, .. } => {
                Ok(cluster::scale_source(self.cluster(self.source).await?, workload, self.workloads, 0).await?)
            }
            Action::SuspendSource { job } => {
                Ok(cluster::suspend_source(self.cluster(self.source).await?, job, self.workloads).await?)
            }
            Action::ResumeTarget { job } => {
                let source = self.source.get().await?;
                Ok(cluster::resume_target(source, self.cluster(self.target).await?, job, self.workloads).await?)
            }
            Action::Release { object } => Ok(cluster::release(self.cluster(self.target).await?, object).await?),
        }
    }

    /// A cluster to write to. API servers answer within milliseconds, and what they are told is what any leader would tell them:
    /// who was frozen on the way can repeat a write, not invent one.
    async fn cluster(self, link: &'a Link) -> Result<&'a Cluster, ActError> {
        let cluster = link.get().await?;
        self.fence.check(CLUSTER_WRITE)?;
        Ok(cluster)
    }

    fn plane(&self, name: &Name) -> Result<&dyn Plane, ActError> {
        let plane = self.planes.get(name).ok_or_else(|| ActError::NoPlane(name.clone()))?;
        Ok(plane.as_ref())
    }
}

/// Requests to a cluster at a time. Measured on a 1.37 server: more than 8 add latency and hardly any throughput.
const IN_FLIGHT: usize = 8;

/// Whether two actions that follow each other may be carried out at the same time. Planes do not wait for one another, so that
/// a dead one cannot hold up the rollback of the others. Objects of one kind need nothing of each other; those of the next kind
/// may need them, and come after.
pub fn may_overlap(one: &Action, next: &Action) -> bool {
    match (one, next) {
        (Action::ApplyObject { object: one }, Action::ApplyObject { object: next }) => one.kind == next.kind,
        (Action::DeleteObject { object: one, .. }, Action::DeleteObject { object: next, .. }) => one.kind == next.kind,
        (Action::Release { .. }, Action::Release { .. }) => true,
        (one, next) => one.plane().is_some() && next.plane().is_some(),
    }
}

/// How many of a group may be under way at the same time.
pub fn at_once(group: &[Action]) -> usize {
    if group.iter().all(|action| action.plane().is_some()) { group.len() } else { IN_FLIGHT }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_needed_comes_before_what_may_need_it_and_planes_wait_for_nobody() {
        let apply = |kind: &str, name: &str| Action::ApplyObject { object: ObjectRef::new(kind, "shop", name) };
        let restore = |plane: &str| Action::DrainSource { plane: Name::new(plane).unwrap() };
        let objects = [apply("ConfigMap", "a"), apply("ConfigMap", "b"), apply("Deployment", "a"), restore("edge")];
        let groups: Vec<usize> = objects.chunk_by(may_overlap).map(<[Action]>::len).collect();
        assert_eq!(groups, [2, 1, 1]);
        let planes: Vec<Action> = (0..20).map(|at| restore(&format!("p{at}"))).collect();
        assert_eq!((planes.chunk_by(may_overlap).count(), at_once(&planes)), (1, 20));
        assert_eq!(at_once(&objects[..2]), IN_FLIGHT);
    }
}
