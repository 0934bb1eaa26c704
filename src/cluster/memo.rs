//! What Crossfade keeps on the target for itself: one ConfigMap a migration, mirrored like any other object. IO.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Cluster;
use super::digest::digested;
use super::error::ClusterError;
use super::mapping::namespaces_of;
use super::object::ObjectRef;
use super::plan::Desired;
use crate::policy::Assignment;

/// The key of its only text.
const KEY: &str = "memo";

/// Where it is: in the first of the migration's own namespaces as they are called on the target, under a name nothing that is mirrored has.
fn place(assignment: &Assignment) -> Option<ObjectRef> {
    let workloads = &assignment.migration.workloads;
    let namespaces: BTreeSet<_> = namespaces_of(&workloads.namespaces, &workloads.maps).into_iter().collect();
    let namespace = namespaces.first()?;
    Some(ObjectRef::new("ConfigMap", namespace.as_str(), format!("crossfade-{}", assignment.migration.name)))
}

/// The object that keeps a text of a migration.
pub fn memo(assignment: &Assignment, text: &str) -> Option<Desired> {
    let ObjectRef { namespace, name, .. } = place(assignment)?;
    let metadata = json!({"name": name, "namespace": namespace});
    digested(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {KEY: text}}))
}

/// The text that is kept of a migration, where there is one.
pub async fn recall(target: &Cluster, assignment: &Assignment) -> Result<Option<String>, ClusterError> {
    let Some(place) = place(assignment) else { return Ok(None) };
    let object = target.get(target.resource_of("ConfigMap")?, &place).await?;
    let text =
        object.as_ref().and_then(|object| object.value().pointer(&format!("/data/{KEY}")).and_then(Value::as_str));
    Ok(text.map(str::to_owned))
}
