//! Asks the target what it would say to every write, before the first one. IO.
//!
//! A dry run of server-side apply goes through everything a real one does, except storing: the schema, the
//! admission webhooks, the quota and the owners of fields. So whatever will be refused is known at once,
//! and for all objects, while nothing was written yet.

use super::Cluster;
use super::apply::{ObjectState, compare};
use super::error::{ClusterError, Retry};
use super::object::ObjectRef;
use super::plan::{Desired, MirrorPlan, MirrorProblem};
use super::request::side_by_side;
use crate::convert::Finding;

/// What stands in the way on the target. Writes nothing.
///
/// Objects of a namespace that does not exist yet cannot be rehearsed, which is a notice. An error means
/// that the target could not be asked.
pub async fn rehearse(target: &Cluster, plan: &MirrorPlan) -> Result<Vec<MirrorProblem>, ClusterError> {
    let states = compare(target, plan).await?;
    let state = |object: &ObjectRef| states.get(object).copied().unwrap_or(ObjectState::Missing);
    let has_namespace = |object: &ObjectRef| match object.namespace.as_str() {
        "" => true,
        namespace => state(&ObjectRef::new("Namespace", "", namespace)) != ObjectState::Missing,
    };
    let to_write = plan.objects.iter().filter(|desired| state(desired.object()) != ObjectState::InSync);
    let (possible, too_early): (Vec<_>, Vec<_>) = to_write.partition(|desired| has_namespace(desired.object()));
    let answers = side_by_side(possible.into_iter().map(|desired| ask(target, desired))).await?;
    let mut problems: Vec<_> = answers.into_iter().flatten().collect();
    problems.sort_by(|a, b| a.object.cmp(&b.object));
    problems.extend(too_early.into_iter().map(|desired| {
        let message = "cannot be tried out before its namespace exists";
        MirrorProblem { object: Some(desired.object().clone()), finding: Finding::notice("", message) }
    }));
    Ok(problems)
}

/// What the target says to one object.
async fn ask(target: &Cluster, desired: &Desired) -> Result<Option<MirrorProblem>, ClusterError> {
    let Err(error) = target.apply(desired.api_version(), desired.object(), desired.manifest.value(), true).await else {
        return Ok(None);
    };
    if error.retry() == Retry::Soon {
        return Err(error);
    }
    let finding = match error {
        ClusterError::Conflict { managers, fields, .. } => {
            Finding::blocks(fields.join(", "), format!("owned on the target by {}", managers.join(", ")))
        }
        other => Finding::blocks("", other.to_string()),
    };
    Ok(Some(MirrorProblem { object: Some(desired.object().clone()), finding }))
}
