//! How far the workloads of a cluster are with their pods. IO.

use std::collections::BTreeMap;

use super::Cluster;
use super::error::ClusterError;
use super::object::ObjectRef;
use super::replicas::Replicas;

/// The counts of each workload; one that does not exist, or is being deleted, has none.
pub async fn workloads(cluster: &Cluster, refs: &[ObjectRef]) -> Result<BTreeMap<ObjectRef, Replicas>, ClusterError> {
    let mut asked = Vec::with_capacity(refs.len());
    for object in refs {
        asked.push((cluster.resource_of(&object.kind)?.api_version.as_str(), object));
    }
    let found = cluster.read(asked.into_iter()).await?;
    let alive = refs.iter().filter_map(|object| found.get_key_value(object)).filter(|(_, live)| !live.is_deleting());
    Ok(alive.map(|(object, live)| (object.clone(), Replicas::of(live))).collect())
}
