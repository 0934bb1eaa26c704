//! Writes to a cluster, and looking whether a write is needed. IO.
//!
//! Server-side apply under one field manager and never by force: a field that somebody else owns stays
//! theirs, and the conflict names them. Every write here can be repeated after a crash.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{StreamExt, stream};
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::Request as Path;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Cluster;
use super::call::Call;
use super::cover::covers;
use super::digest::DIGEST_ANNOTATION;
use super::error::ClusterError;
use super::kind::Objects;
use super::manifest::Manifest;
use super::object::ObjectRef;
use super::ownership::{self, FIELD_MANAGER, GiveUp};
use super::plan::{Desired, MirrorPlan};
use super::request::IN_FLIGHT;

/// Attempts to give up fields of an object that others keep changing. Controllers write a status a few
/// times while a Deployment settles; five in a row within milliseconds means something else is wrong.
const GIVE_UP_ATTEMPTS: u32 = 5;

/// Attempts to write to a server that throttles, which is its way of saying that it works at its limit.
const THROTTLED_ATTEMPTS: u32 = 4;

/// Longest pause a server may ask for within one action; what takes longer is left to a later pass.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

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

/// Everything desired that the target holds already, whatever it looks like there.
pub async fn live(target: &Cluster, plan: &MirrorPlan) -> Result<Objects, ClusterError> {
    let asked = plan.objects.iter().map(|desired| (desired.api_version(), desired.object()));
    target.read(asked).await
}

/// Compares everything desired with what the target holds.
pub async fn compare(target: &Cluster, plan: &MirrorPlan) -> Result<BTreeMap<ObjectRef, ObjectState>, ClusterError> {
    Ok(states(&live(target, plan).await?, plan))
}

/// The same, of what was read already.
pub(super) fn states(live: &Objects, plan: &MirrorPlan) -> BTreeMap<ObjectRef, ObjectState> {
    let states =
        plan.objects.iter().map(|desired| (desired.object().clone(), state(live.get(desired.object()), desired)));
    states.collect()
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
///
/// A server that is asked too much and says when to come back is asked again then, a few times.
pub async fn apply(target: &Cluster, desired: &Desired) -> Result<(), ClusterError> {
    for _ in 1..THROTTLED_ATTEMPTS {
        let outcome = apply_once(target, desired).await;
        let pause = outcome.as_ref().err().and_then(ClusterError::retry_after).filter(|pause| *pause <= LONGEST_PAUSE);
        match pause {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return outcome,
        }
    }
    apply_once(target, desired).await
}

async fn apply_once(target: &Cluster, desired: &Desired) -> Result<(), ClusterError> {
    if let Some(replicas) = desired.initial_replicas {
        start_at(target, desired, replicas).await?;
    }
    if asks_for_node_ports(&desired.manifest) {
        create(target, desired).await?;
    }
    match target.apply(&desired.manifest, &owning()).await {
        // What we scaled once counts as a stranger's.
        Err(ClusterError::Conflict { managers, .. }) if managers == [FIELD_MANAGER] => {
            give_up(target, desired.object(), ownership::all_but_applied).await?;
            target.apply(&desired.manifest, &owning()).await.map(drop)
        }
        outcome => outcome.map(drop),
    }
}

/// Whether a Service wants node ports of given numbers.
fn asks_for_node_ports(manifest: &Manifest) -> bool {
    let ports = manifest.value().pointer("/spec/ports").and_then(Value::as_array);
    let of_a_port = ports.into_iter().flatten().any(|port| port.get("nodePort").is_some());
    manifest.object().kind == "Service"
        && (of_a_port || manifest.value().pointer("/spec/healthCheckNodePort").is_some())
}

/// Creates an object that is missing in a request of its own, for the apply that follows; it is not finished before that.
///
/// An API server that creates while it applies takes node ports before it writes the Service. When whoever asks is killed in
/// between, the ports stay taken by nobody until the server's own repair has missed them several times, minutes later, and every
/// retry is refused as "already allocated". After a plain create that came to nothing it hands them back at once.
async fn create(target: &Cluster, desired: &Desired) -> Result<(), ClusterError> {
    let object = desired.object();
    let resource = target.resource(desired.api_version(), &object.kind)?;
    let live = match target.get(resource, object).await? {
        Some(live) => live,
        None => {
            let unfinished = desired.manifest.without_annotation(DIGEST_ANNOTATION);
            let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
            let request =
                Path::new(resource.path(&object.namespace)).create(&params, unfinished.value().to_string().into());
            let call = Call::on("create", resource, object);
            let made = target.send(&call, request).await?;
            Manifest::new(made).ok_or_else(|| target.malformed(&call, "an object without a name"))?
        }
    };
    give_up_of(target, live, ownership::created).await
}

/// Makes the target hold several objects, none of which refers to another; the outcomes are in their order.
pub async fn apply_all(target: &Cluster, desired: &[Desired]) -> Vec<Result<(), ClusterError>> {
    let writes: Vec<_> = desired.iter().map(|desired| apply(target, desired)).collect();
    stream::iter(writes).buffered(IN_FLIGHT).collect().await
}

/// Writing in our name, and without force.
pub(super) fn owning() -> PatchParams {
    PatchParams::apply(FIELD_MANAGER)
}

/// Leaves the size of a workload to its autoscaler, and brings one that is not finished to its first size. One
/// that is larger already is left alone.
async fn start_at(target: &Cluster, desired: &Desired, replicas: u32) -> Result<(), ClusterError> {
    let resource = target.resource(desired.api_version(), &desired.object().kind)?;
    let live = target.get(resource, desired.object()).await?;
    let size = live.as_ref().and_then(|live| live.value().pointer("/spec/replicas").and_then(Value::as_u64));
    if let Some(live) = live {
        let is_finished = live.annotation(DIGEST_ANNOTATION).is_some();
        give_up_of(target, live, ownership::size).await?;
        if is_finished {
            return Ok(());
        }
    }
    target.apply(&desired.manifest.without_annotation(DIGEST_ANNOTATION), &owning()).await?;
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
    give_up(cluster, object, ownership::everything).await
}

/// Gives fields of an object up.
async fn give_up(cluster: &Cluster, object: &ObjectRef, fields: GiveUp) -> Result<(), ClusterError> {
    let live = cluster.get(cluster.resource_of(&object.kind)?, object).await?;
    match live {
        Some(live) => give_up_of(cluster, live, fields).await,
        None => Ok(()),
    }
}

/// The same of one that was just read, in as many attempts as it takes to come between two writes of others.
async fn give_up_of(cluster: &Cluster, mut live: Manifest, fields: GiveUp) -> Result<(), ClusterError> {
    let object = live.object().clone();
    let resource = cluster.resource_of(&object.kind)?;
    let mut attempt = 1;
    while let Some(patch) = fields(&live) {
        let call = Call::on("patch", resource, &object);
        let path = Path::new(resource.path(&object.namespace));
        match cluster.send(&call, path.patch(&object.name, &owning(), &Patch::Merge(patch))).await {
            Err(ClusterError::Changed { .. }) if attempt < GIVE_UP_ATTEMPTS => attempt += 1,
            Err(ClusterError::NotFound { .. }) => break,
            outcome => return outcome.map(drop),
        }
        match cluster.get(resource, &object).await? {
            Some(newer) => live = newer,
            None => break,
        }
    }
    Ok(())
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
}

#[cfg(test)]
mod tests;
