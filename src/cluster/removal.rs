//! Deleting on the target what a migration brought there, and making sure that it may be. IO.
//!
//! Three things are read anew, whatever a watch told: that the source has nothing of the name left, that the object of the target
//! carries our mark, and that nobody else owns a field of it. The deletion then carries the version that was read, so that a server
//! refuses it where anybody wrote in between. Namespaces are no mirrored kind and are never deleted.

use std::collections::BTreeMap;

use kube::api::{DeleteParams, Preconditions, PropagationPolicy};
use kube::core::Request as Path;
use serde_json::Value;

use super::Cluster;
use super::call::Call;
use super::error::ClusterError;
use super::kind::{KINDS, kind, read_as, written_kind};
use super::object::ObjectRef;
use super::ownership;
use super::request::{Depth, side_by_side};

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
pub async fn remove_gone(source: &Cluster, target: &Cluster, object: &ObjectRef) -> Result<(), ClusterError> {
    match gone(source, target, std::slice::from_ref(object)).await?.is_empty() {
        true => Ok(()),
        false => remove(target, object).await,
    }
}

/// Those of some mirrored objects of which the source has nothing left and that are ours alone on the target. A server that
/// does not answer, or does not let us look, is an error.
pub async fn gone(
    source: &Cluster,
    target: &Cluster,
    objects: &[ObjectRef],
) -> Result<Vec<ObjectRef>, ClusterError> {
    let absent = absent(source, target, objects).await?;
    let asked = absent.into_iter().map(|object| async move {
        let live = target.get(target.resource_of(&object.kind)?, &object).await?;
        Ok(live.is_some_and(|live| ownership::is_ours_alone(&live)).then_some(object))
    });
    let mut ours: Vec<_> = side_by_side(asked).await?.into_iter().flatten().collect();
    ours.sort();
    Ok(ours)
}

/// Those of which the source has nothing: neither of the same kind nor of one that becomes it. Only metadata are asked for, one
/// list for all objects of a kind and namespace.
async fn absent(source: &Cluster, target: &Cluster, objects: &[ObjectRef]) -> Result<Vec<ObjectRef>, ClusterError> {
    let mut places: BTreeMap<(&str, &str), Vec<&ObjectRef>> = BTreeMap::new();
    for object in objects {
        places.entry((&object.kind, &object.namespace)).or_default().push(object);
    }
    let mut found = Vec::new();
    for ((name, namespace), objects) in places {
        let mut there = Vec::new();
        for from in KINDS.iter().filter(|from| written_kind(**from).name() == name) {
            let Some(resource) = read_as(*from, source.served(), target.served()) else { continue };
            there.extend(source.pages(resource, namespace, "", Depth::Metadata, |_| {}).await?);
        }
        let is_there = |object: &ObjectRef| there.iter().any(|manifest| manifest.object().name == object.name);
        found.extend(objects.into_iter().filter(|object| !is_there(object)).cloned());
    }
    Ok(found)
}
