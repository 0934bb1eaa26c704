//! Putting a CronJob to sleep on the source and waking it on the target. IO.

use kube::api::Patch;
use kube::core::Request as Path;
use serde_json::{Value, json};

use super::Cluster;
use super::apply::owning;
use super::call::Call;
use super::error::ClusterError;
use super::manifest::Manifest;
use super::object::ObjectRef;
use super::workload::found_on_source;
use crate::policy::Workloads;

/// Whether a CronJob is suspended.
pub fn is_asleep(job: &Value) -> bool {
    job.pointer("/spec/suspend").is_some_and(|suspend| *suspend == true)
}

/// Suspends the CronJob that a mirrored one is made of. One that is running at the moment runs to its end.
pub async fn suspend_source(source: &Cluster, job: &ObjectRef, of: &Workloads) -> Result<(), ClusterError> {
    let (there, _) = found_on_source(source, job, of).await?;
    set_asleep(source, &there, true).await
}

/// Resumes a mirrored CronJob, where the one it is made of is suspended.
///
/// It is told when the source's one last ran: Kubernetes makes up at once for every run it thinks was missed, and it counts from a
/// job's creation where it knows of none. So what became due in between runs once, and what has run does not run again.
pub async fn resume_target(
    source: &Cluster,
    target: &Cluster,
    job: &ObjectRef,
    of: &Workloads,
) -> Result<(), ClusterError> {
    let (there, live) = found_on_source(source, job, of).await?;
    if !is_asleep(live.value()) {
        let call = Call::on("get", source.resource_of(&there.kind)?, &there);
        return Err(ClusterError::Changed { cluster: source.name().to_owned(), call: Box::new(call) });
    }
    if let Some(last) = last_run(&live) {
        let resource = target.resource_of(&job.kind)?;
        let call = Call::on("patch", resource, job).subresource("status");
        let patch = Patch::Merge(json!({"status": {"lastScheduleTime": last}}));
        let path = Path::new(resource.path(&job.namespace));
        target.send(&call, path.patch_subresource("status", &job.name, &owning(), &patch)).await?;
    }
    set_asleep(target, job, false).await
}

fn last_run(job: &Manifest) -> Option<&str> {
    job.value().pointer("/status/lastScheduleTime")?.as_str()
}

async fn set_asleep(cluster: &Cluster, job: &ObjectRef, asleep: bool) -> Result<(), ClusterError> {
    let resource = cluster.resource_of(&job.kind)?;
    let patch = Patch::Merge(json!({"spec": {"suspend": asleep}}));
    let request = Path::new(resource.path(&job.namespace)).patch(&job.name, &owning(), &patch);
    cluster.send(&Call::on("patch", resource, job), request).await.map(drop)
}
