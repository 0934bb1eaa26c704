//! What Crossfade keeps on the target for itself: one ConfigMap a migration, mirrored like any other object. IO.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Cluster;
use super::digest::digest;
use super::error::ClusterError;
use super::manifest::Manifest;
use super::mirror::annotate;
use super::object::ObjectRef;
use super::plan::Desired;
use crate::policy::Assignment;

/// The key of its only text.
const KEY: &str = "memo";

/// Where it is: in the first of the migration's own namespaces, under a name nothing that is mirrored has.
fn place(assignment: &Assignment) -> Option<ObjectRef> {
    let namespaces: BTreeSet<_> = assignment.migration.workloads.namespaces.iter().collect();
    let namespace = namespaces.first()?;
    Some(ObjectRef::new("ConfigMap", namespace.as_str(), format!("crossfade-{}", assignment.migration.name)))
}

/// The object that keeps a text of a migration.
pub fn memo(assignment: &Assignment, text: &str) -> Option<Desired> {
    let made_of = place(assignment)?;
    let ObjectRef { namespace, name, .. } = &made_of;
    let metadata = json!({"name": name, "namespace": namespace});
    let mut body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {KEY: text}});
    let digest = digest(&body);
    annotate(&mut body, &digest);
    Some(Desired { made_of, manifest: Manifest::new(body)?, digest, initial_replicas: None })
}

/// The text that is kept of a migration, where there is one.
pub async fn recall(target: &Cluster, assignment: &Assignment) -> Result<Option<String>, ClusterError> {
    let Some(place) = place(assignment) else { return Ok(None) };
    let object = target.get(target.resource_of("ConfigMap")?, &place).await?;
    let text =
        object.as_ref().and_then(|object| object.value().pointer(&format!("/data/{KEY}")).and_then(Value::as_str));
    Ok(text.map(str::to_owned))
}
