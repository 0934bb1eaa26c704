//! How far the workloads of a cluster are with their pods. IO.

use std::collections::BTreeMap;

use super::Cluster;
use super::apply::scale;
use super::call::Call;
use super::closure::carries;
use super::error::ClusterError;
use super::manifest::Manifest;
use super::mapping::sources_of;
use super::object::ObjectRef;
use super::replicas::Replicas;
use crate::policy::Workloads;

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

/// The counts on the source of workloads as they are called on the target; one that does not exist has none.
pub async fn on_source(
    source: &Cluster,
    refs: &[ObjectRef],
    of: &Workloads,
) -> Result<BTreeMap<ObjectRef, Replicas>, ClusterError> {
    let sources = |object: &ObjectRef| sources_of(object, of);
    let asked: Vec<ObjectRef> = refs.iter().flat_map(sources).collect();
    let found = workloads(source, &asked).await?;
    let count = |object: &ObjectRef| sources(object).iter().find_map(|there| found.get(there).copied());
    Ok(refs.iter().filter_map(|object| Some((object.clone(), count(object)?))).collect())
}

/// Sets the number of replicas of what a workload of the target is made of.
pub async fn scale_source(
    source: &Cluster,
    workload: &ObjectRef,
    of: &Workloads,
    replicas: u32,
) -> Result<(), ClusterError> {
    scale(source, &found_on_source(source, workload, of).await?.0, replicas).await
}

/// The object of the source that a mirrored one is made of, and its JSON. Where several would become it, the one that carries the labels.
pub async fn found_on_source(
    source: &Cluster,
    object: &ObjectRef,
    of: &Workloads,
) -> Result<(ObjectRef, Manifest), ClusterError> {
    let candidates = sources_of(object, of);
    let mut asked = Vec::new();
    for there in &candidates {
        asked.push((source.resource_of(&there.kind)?.api_version.as_str(), there));
    }
    let found = source.read(asked.into_iter()).await?;
    let found: Vec<_> = candidates.iter().filter_map(|there| found.get_key_value(there)).collect();
    let labelled = found.iter().find(|(_, manifest)| carries(manifest, &of.selector)).or(found.first());
    let none = || -> Result<_, ClusterError> {
        let call = Call::on("get", source.resource_of(&object.kind)?, object);
        Err(ClusterError::NotFound { cluster: source.name().to_owned(), call: Box::new(call) })
    };
    labelled.map_or_else(none, |(there, manifest)| Ok(((*there).clone(), (*manifest).clone())))
}
