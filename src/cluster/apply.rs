//! Writes to a cluster, and looking whether a write is needed. IO.
//!
//! Server-side apply under one field manager and never by force: a field that somebody else owns stays
//! theirs, and the conflict names them. Every write here can be repeated after a crash.

use std::collections::BTreeMap;

use kube::api::{Patch, PatchParams};
use kube::core::Request as Path;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Cluster;
use super::call::Call;
use super::cover::covers;
use super::digest::DIGEST_ANNOTATION;
use super::error::ClusterError;
use super::kind::{Objects, kind};
use super::manifest::Manifest;
use super::object::ObjectRef;
use super::plan::{Desired, MirrorPlan};
use super::request::side_by_side;
use super::served::Resource;

/// The name under which Crossfade owns fields.
const FIELD_MANAGER: &str = "crossfade";

/// Attempts to give up ownership of an object that others keep changing. Controllers write a status a few
/// times while a Deployment settles; five in a row within milliseconds means something else is wrong.
const RELEASE_ATTEMPTS: u32 = 5;

/// Below this many objects of a kind and namespace, reading them one by one is less work for the server
/// than listing a namespace that may hold thousands.
const FEW: usize = 8;

/// How an object on the target compares with what is desired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ObjectState {
    /// There is none.
    Missing,
    /// There is one, and something desired is not there or no longer desired.
    Differs,
    /// Nothing has to be written.
    InSync,
}

/// Compares everything desired with what the target holds.
pub async fn compare(target: &Cluster, plan: &MirrorPlan) -> Result<BTreeMap<ObjectRef, ObjectState>, ClusterError> {
    let asked = plan.objects.iter().map(|desired| (desired.api_version(), desired.object()));
    let live = target.read(asked).await?;
    let states =
        plan.objects.iter().map(|desired| (desired.object().clone(), state(live.get(desired.object()), desired)));
    Ok(states.collect())
}

fn state(live: Option<&Manifest>, desired: &Desired) -> ObjectState {
    match live {
        None => ObjectState::Missing,
        Some(live) if live.is_deleting() => ObjectState::Differs,
        Some(live) if covers(live.value(), desired.manifest.value()) => ObjectState::InSync,
        Some(_) => ObjectState::Differs,
    }
}

/// Makes the target hold one object.
///
/// A workload that an autoscaler sizes starts with the source's size. It is finished only by its last
/// write, the one with the fingerprint: after a crash in between it still differs, and is sized again.
pub async fn apply(target: &Cluster, desired: &Desired) -> Result<(), ClusterError> {
    if let Some(replicas) = desired.initial_replicas {
        start_at(target, desired, replicas).await?;
    }
    target.apply(&desired.manifest, &owning()).await.map(drop)
}

/// Writing in our name, and without force.
pub(super) fn owning() -> PatchParams {
    PatchParams::apply(FIELD_MANAGER)
}

/// Brings a workload that is not finished to its first size. One that is larger already is left alone.
async fn start_at(target: &Cluster, desired: &Desired, replicas: u32) -> Result<(), ClusterError> {
    let resource = target.resource(desired.api_version(), &desired.object().kind)?;
    let live = target.get(resource, desired.object()).await?;
    if live.as_ref().is_some_and(|live| live.annotation(DIGEST_ANNOTATION).is_some()) {
        return Ok(());
    }
    target.apply(&desired.manifest.without_annotation(DIGEST_ANNOTATION), &owning()).await?;
    let size = live.and_then(|live| live.value().pointer("/spec/replicas").and_then(Value::as_u64));
    if size.is_none_or(|size| size < u64::from(replicas)) {
        scale(target, desired.object(), replicas).await?;
    }
    Ok(())
}

/// Sets a workload's number of replicas, and nothing else, through its scale subresource.
pub async fn scale(cluster: &Cluster, workload: &ObjectRef, replicas: u32) -> Result<(), ClusterError> {
    let resource = cluster.resource_of(&workload.kind)?;
    let call = Call::on("patch", resource, workload).subresource("scale");
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    let path = Path::new(resource.path(&workload.namespace));
    cluster.send(&call, path.patch_subresource("scale", &workload.name, &owning(), &patch)).await.map(drop)
}

/// Gives up the ownership of every field but the fingerprint's own and changes nothing else of an object.
///
/// An object that is gone, or of which nothing is owned, is released already.
pub async fn release(cluster: &Cluster, object: &ObjectRef) -> Result<(), ClusterError> {
    let resource = cluster.resource_of(&object.kind)?;
    let mut attempt = 1;
    loop {
        let Some(live) = cluster.get(resource, object).await? else { return Ok(()) };
        let Some(patch) = without_ownership(&live) else { return Ok(()) };
        let call = Call::on("patch", resource, object);
        let path = Path::new(resource.path(&object.namespace));
        match cluster.send(&call, path.patch(&object.name, &owning(), &Patch::Merge(patch))).await {
            Err(ClusterError::Changed { .. }) if attempt < RELEASE_ATTEMPTS => attempt += 1,
            Err(ClusterError::NotFound { .. }) => return Ok(()),
            outcome => return outcome.map(drop),
        }
    }
}

/// The merge patch that leaves only the fingerprint to us, or `None` where nothing else is ours.
///
/// The resource version makes the server refuse it when somebody else wrote in between. The fingerprint
/// stays ours because an object without any owner counts as owned by `before-first-apply` from the next
/// apply on: a second migration would conflict with nobody. Kubernetes takes one empty entry for "nobody
/// owns anything", and an empty list for "leave it as it is".
fn without_ownership(live: &Manifest) -> Option<Value> {
    let owned = live.value().pointer("/metadata/managedFields")?.as_array()?;
    let mut left: Vec<_> = owned.iter().filter_map(released).collect();
    if left == *owned {
        return None;
    }
    if left.is_empty() {
        left.push(json!({}));
    }
    Some(json!({"metadata": {"resourceVersion": live.resource_version()?, "managedFields": left}}))
}

/// What is left of an entry of `managedFields`: all of another manager's, the fingerprint of ours.
fn released(entry: &Value) -> Option<Value> {
    if entry.get("manager").and_then(Value::as_str) != Some(FIELD_MANAGER) {
        return Some(entry.clone());
    }
    let field = format!("f:{DIGEST_ANNOTATION}");
    entry.get("fieldsV1")?.pointer("/f:metadata/f:annotations")?.get(&field)?;
    let mut left = entry.clone();
    left["fieldsV1"] = json!({"f:metadata": {"f:annotations": {field: {}}}});
    Some(left)
}

impl Cluster {
    /// Applies one object and hands back what the server warns of.
    pub(super) async fn apply(&self, manifest: &Manifest, params: &PatchParams) -> Result<Vec<String>, ClusterError> {
        let object = manifest.object();
        let resource = self.resource(manifest.api_version(), &object.kind)?;
        let call = Call::on("patch", resource, object);
        let path = Path::new(resource.path(&object.namespace));
        let request = path.patch(&object.name, params, &Patch::Apply(manifest.value()));
        self.send_and_listen(&call, request).await.map(|(_, warnings)| warnings)
    }

    /// Reads the objects asked for in the versions asked for; those that do not exist are left out.
    pub(super) async fn read<'a>(
        &self,
        asked: impl Iterator<Item = (&'a str, &'a ObjectRef)>,
    ) -> Result<Objects, ClusterError> {
        let mut groups: BTreeMap<(&str, &str, &str), Vec<&ObjectRef>> = BTreeMap::new();
        for (version, object) in asked {
            groups.entry((version, &object.kind, &object.namespace)).or_default().push(object);
        }
        let reads = groups.into_iter().map(|((version, kind, namespace), objects)| async move {
            let resource = self.resource(version, kind)?;
            if objects.len() > FEW && resource.namespaced {
                return self.list(resource, namespace, "").await;
            }
            let found = side_by_side(objects.into_iter().map(|object| self.get(resource, object))).await?;
            Ok(found.into_iter().flatten().collect())
        });
        let found = side_by_side(reads).await?;
        Ok(found.into_iter().flatten().map(|manifest| (manifest.object().clone(), manifest)).collect())
    }

    fn resource(&self, api_version: &str, kind: &str) -> Result<&Resource, ClusterError> {
        self.served.resource(api_version, kind).ok_or_else(|| self.not_served(api_version, kind))
    }

    /// The best version in which this cluster serves a kind.
    pub(super) fn resource_of(&self, name: &str) -> Result<&Resource, ClusterError> {
        // Namespaces are no line of the table of kinds.
        let versions = kind(name).map_or(&["v1"][..], |kind| kind.versions());
        self.served.first_of(versions, name).ok_or_else(|| self.not_served("", name))
    }
}

#[cfg(test)]
mod tests;
