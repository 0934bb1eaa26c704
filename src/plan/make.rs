//! Makes a plan from two clusters. IO.
//!
//! Asks the target's own server about every write with a dry run; stores nothing.

use std::collections::BTreeMap;

use super::draw::{Inputs, Plan, draw};
use crate::assess;
use crate::cluster::{self, Cluster, ClusterError, Desired, MirrorPlan, ObjectRef};
use crate::policy::Migration;

/// A plan, and what it would write, Secrets included.
#[derive(Debug)]
pub struct Made {
    /// The plan.
    pub plan: Plan,
    /// What the target shall hold.
    pub mirror: MirrorPlan,
    /// What the target holds of it now.
    pub live: cluster::Objects,
}

impl Made {
    /// The objects by name.
    pub fn desired(&self) -> BTreeMap<&ObjectRef, &Desired> {
        self.mirror.objects.iter().map(|desired| (desired.object(), desired)).collect()
    }
}

/// Reads both clusters and makes the plan of a migration.
pub async fn make(source: &Cluster, target: &Cluster, migration: &Migration) -> Result<Made, ClusterError> {
    let workloads = &migration.workloads;
    let inventory = cluster::inventory(source, target.served(), workloads).await?;
    let mirror = cluster::mirror(&inventory, target.served(), workloads);
    let mut mirror = cluster::mapped(mirror, &workloads.maps);
    let live = cluster::live(target, &mirror).await?;
    let (rehearsed, leaving, free) = tokio::try_join!(
        cluster::rehearse(target, &mirror, &live),
        cluster::leaving(source, workloads),
        assess::free(target)
    )?;
    mirror.problems.extend(rehearsed.into_iter().chain(leaving));
    let plan = draw(&Inputs {
        migration,
        versions: [source, target].map(|cluster| cluster.version().to_string()),
        source: &inventory.objects,
        mirror: &mirror,
        live: &live,
        free,
    });
    Ok(Made { plan, mirror, live })
}
