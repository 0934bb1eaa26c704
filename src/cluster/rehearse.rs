//! Asks the target what it would say to every write, before the first one. IO.
//!
//! A dry run of server-side apply goes through everything a real one does, except storing: the schema, the
//! admission webhooks, the quota and the owners of fields. So whatever will be refused is known at once,
//! and for all objects, while nothing was written yet.

use std::collections::BTreeSet;

use super::Cluster;
use super::apply::{ObjectState, owning, states};
use super::error::{ClusterError, Retry};
use super::kind::Objects;
use super::manifest::Manifest;
use super::object::ObjectRef;
use super::ownership::FIELD_MANAGER;
use super::plan::{Desired, MirrorPlan, MirrorProblem};
use super::request::side_by_side;
use crate::convert::Finding;
use crate::policy::Workloads;

/// What stands in the way on the target, which holds `live` of it, and what its server warns of. Writes nothing.
///
/// Objects of a namespace that does not exist yet cannot be rehearsed, which is a notice. An error means
/// that the target could not be asked.
pub async fn rehearse(target: &Cluster, plan: &MirrorPlan, live: &Objects) -> Result<Vec<MirrorProblem>, ClusterError> {
    let states = states(live, plan);
    let is = |object: &ObjectRef, state| states.get(object) == Some(&state);
    let namespace_of = |object: &ObjectRef| ObjectRef::new("Namespace", "", &object.namespace);
    let leaves = |object: &ObjectRef| object.kind == "Namespace" && live.get(object).is_some_and(Manifest::is_deleting);
    let on_its_way_out = |object: &ObjectRef| leaves(object) || leaves(&namespace_of(object));
    let to_write = plan.objects.iter().filter(|desired| !is(desired.object(), ObjectState::InSync));
    let to_write = to_write.filter(|desired| !on_its_way_out(desired.object()));
    let (too_early, possible): (Vec<_>, Vec<_>) =
        to_write.partition(|desired| is(&namespace_of(desired.object()), ObjectState::Missing));
    let answers = side_by_side(possible.into_iter().map(|desired| try_out(target, desired))).await?;
    let mut problems: Vec<_> = answers.into_iter().flatten().collect();
    problems.sort_by(|a, b| a.object.cmp(&b.object));
    let namespaces: BTreeSet<_> = too_early.into_iter().map(|desired| namespace_of(desired.object())).collect();
    let leaving = plan.objects.iter().map(Desired::object).filter(|object| leaves(object));
    problems.extend(leaving.map(|namespace| being_deleted(namespace, "target")));
    problems.extend(namespaces.into_iter().map(|namespace| {
        let message = "does not exist yet, so its objects cannot be tried out beforehand";
        MirrorProblem { object: Some(namespace), finding: Finding::notice("", message) }
    }));
    Ok(problems)
}

/// Namespaces of the selection that are being deleted on the source, where the account may see that.
pub async fn leaving(source: &Cluster, workloads: &Workloads) -> Result<Vec<MirrorProblem>, ClusterError> {
    let names = workloads.namespaces.iter().map(|name| ObjectRef::new("Namespace", "", name.as_str()));
    let asked = names.map(|namespace| async move {
        match source.get(source.resource_of("Namespace")?, &namespace).await {
            Ok(live) => Ok(live.filter(Manifest::is_deleting).map(|_| being_deleted(&namespace, "source"))),
            Err(ClusterError::Forbidden { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    });
    Ok(side_by_side(asked).await?.into_iter().flatten().collect())
}

fn being_deleted(namespace: &ObjectRef, side: &str) -> MirrorProblem {
    let message = format!("is being deleted on the {side}, with everything in it");
    MirrorProblem { object: Some(namespace.clone()), finding: Finding::blocks("", message) }
}

/// What the target would say to one object. Writes nothing.
pub async fn try_out(target: &Cluster, desired: &Desired) -> Result<Vec<MirrorProblem>, ClusterError> {
    let object = desired.object();
    let findings = match target.apply(&desired.manifest, &owning().dry_run()).await {
        // A warning may quote what it warns of.
        Ok(_) if object.kind == "Secret" => Vec::new(),
        Ok(warnings) => warnings.into_iter().map(|warning| Finding::notice("", warning)).collect(),
        Err(error) if error.retry() == Retry::Soon => return Err(error),
        // Applying clears a conflict with ourselves.
        Err(ClusterError::Conflict { managers, .. }) if managers == [FIELD_MANAGER] => Vec::new(),
        Err(ClusterError::Conflict { managers, fields, .. }) => {
            vec![Finding::blocks(fields.join(", "), format!("owned on the target by {}", managers.join(", ")))]
        }
        Err(error) => vec![Finding::blocks("", error.to_string())],
    };
    Ok(findings.into_iter().map(|finding| MirrorProblem { object: Some(object.clone()), finding }).collect())
}
