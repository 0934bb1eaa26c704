//! Deleting on the target what a migration brought there, and making sure that it may be. IO.
//!
//! Three things are read anew, whatever a watch told: that the source has nothing of the name left, that the object of the target
//! carries our mark, and that nobody else owns a field of it. The deletion then carries the version that was read, so that a server
//! refuses it where anybody wrote in between. Namespaces are no mirrored kind and are never deleted.

use std::collections::BTreeSet;

use kube::api::{DeleteParams, Preconditions, PropagationPolicy};
use kube::core::Request as Path;
use serde_json::Value;

use super::Cluster;
use super::call::Call;
use super::error::ClusterError;
use super::kind::{kind, read_as};
use super::mapping::sources_of;
use super::object::ObjectRef;
use super::ownership;
use super::request::{Depth, side_by_side};
use crate::policy::Workloads;

/// Deletes an object of the target, where it is ours alone. One that is gone, or somebody else's too, is left as it is.
pub async fn remove(target: &Cluster, object: &ObjectRef) -> Result<(), ClusterError> {
    kind(&object.kind).ok_or_else(|| target.not_served("", &object.kind))?;
    let resource = target.resource_of(&object.kind)?;
    let live = target.get(resource, object).await?;
    let Some(live) = live.filter(|live| ownership::is_ours_alone(live) && !live.is_deleting()) else { return Ok(()) };
    let text = |pointer: &str| live.value().pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let (uid, resource_version) = (text("/metadata/uid"), text("/metadata/resourceVersion"));
    let params = DeleteParams {
        preconditions: Some(Preconditions { uid, resource_version }),
        propagation_policy: Some(PropagationPolicy::Background),
        ..DeleteParams::default()
    };
    let request = Path::new(resource.path(&object.namespace)).delete(&object.name, &params);
    match target.send(&Call::on("delete", resource, object), request).await {
        Err(ClusterError::NotFound { .. }) => Ok(()),
        outcome => outcome.map(drop),
    }
}

/// The same, where the source has nothing that would become it.
pub async fn remove_gone(
    source: &Cluster,
    target: &Cluster,
    workloads: &Workloads,
    object: &ObjectRef,
) -> Result<(), ClusterError> {
    match gone(source, target, workloads, std::slice::from_ref(object)).await?.is_empty() {
        true => Ok(()),
        false => remove(target, object).await,
    }
}

/// Those of some mirrored objects of which the source has nothing left and that are ours alone on the target. A server that
/// does not answer, or does not let us look, is an error.
pub async fn gone(
    source: &Cluster,
    target: &Cluster,
    workloads: &Workloads,
    objects: &[ObjectRef],
) -> Result<Vec<ObjectRef>, ClusterError> {
    let absent = absent(source, target, workloads, objects).await?;
    let asked = absent.into_iter().map(|object| async move {
        let live = target.get(target.resource_of(&object.kind)?, &object).await?;
        Ok(live.is_some_and(|live| ownership::is_ours_alone(&live)).then_some(object))
    });
    let mut ours: Vec<_> = side_by_side(asked).await?.into_iter().flatten().collect();
    ours.sort();
    Ok(ours)
}

/// Those of which the source has nothing that would become them. Only metadata are asked for, one list for everything of a kind and
/// namespace.
async fn absent(
    source: &Cluster,
    target: &Cluster,
    workloads: &Workloads,
    objects: &[ObjectRef],
) -> Result<Vec<ObjectRef>, ClusterError> {
    let sources = |object: &ObjectRef| sources_of(object, workloads);
    let places: BTreeSet<(String, String)> =
        objects.iter().flat_map(sources).map(|source| (source.kind, source.namespace)).collect();
    let mut there = BTreeSet::new();
    for (name, namespace) in places {
        let resource = kind(&name).and_then(|kind| read_as(kind, source.served(), target.served()));
        // What the source does not serve it does not hold.
        let Some(resource) = resource else { continue };
        let found = source.pages(resource, &namespace, "", Depth::Metadata, |_| {}).await?;
        there.extend(found.into_iter().map(|manifest| manifest.object().clone()));
    }
    let is_absent = |object: &&ObjectRef| !sources(object).iter().any(|source| there.contains(source));
    Ok(objects.iter().filter(is_absent).cloned().collect())
}
