//! Whether everything that desired objects refer to will be there, and what stays behind. PURE.
//!
//! Looked at after all transforms, so that a reference patched away is no problem any more.

use std::collections::{BTreeMap, BTreeSet};

use super::closure::{Absence, Inventory};
use super::kind::{ClusterMade, Reference, kind};
use super::object::ObjectRef;
use super::plan::{Desired, MirrorProblem};
use crate::convert::Finding;

/// References that lead nowhere on the target, and objects that were left out.
pub fn problems(desired: &[Desired], inventory: &Inventory) -> Vec<MirrorProblem> {
    let planned: BTreeSet<_> = desired.iter().map(Desired::object).collect();
    let mut problems = left_out(inventory);
    problems.extend(unmirrored(inventory));
    for from in desired {
        let references = of(from);
        problems.extend(dangling(from.object(), &references, |to| planned.contains(to), &inventory.left_out));
    }
    problems
}

/// What a desired object refers to.
pub fn of(from: &Desired) -> Vec<Reference> {
    kind(&from.object().kind).map(|kind| kind.refers_to(from.manifest.value())).unwrap_or_default()
}

/// What to say about the references of one object to objects that are not `planned`.
pub fn dangling(
    from: &ObjectRef,
    references: &[Reference],
    planned: impl Fn(&ObjectRef) -> bool,
    left_out: &BTreeMap<ObjectRef, Absence>,
) -> Vec<MirrorProblem> {
    let finding = |reference: &Reference| {
        let to = ObjectRef::new(reference.kind, &from.namespace, reference.name.as_str());
        if planned(&to) { None } else { missing(reference, &to, left_out) }
    };
    let problem = |finding| MirrorProblem { object: Some(from.clone()), finding };
    references.iter().filter_map(finding).map(problem).collect()
}

/// What to say about a reference to an object that is not mirrored.
fn missing(reference: &Reference, to: &ObjectRef, left_out: &BTreeMap<ObjectRef, Absence>) -> Option<Finding> {
    let Reference { field, optional, .. } = reference;
    if kind(&to.kind).is_none() {
        let message = format!("needs {} {}, which is not mirrored, to exist on the target", to.kind, to.name);
        return Some(Finding::notice(field, message));
    }
    match left_out.get(to) {
        Some(Absence::ClusterMade(ClusterMade::SameName)) => None,
        Some(Absence::ClusterMade(ClusterMade::Extended)) => {
            let message = format!("needs {to}: the target makes its own, without the imagePullSecrets added here");
            Some(Finding::notice(field, message))
        }
        _ if *optional => None,
        Some(Absence::Controlled(controller)) => {
            Some(Finding::notice(field, format!("needs {to}, which {controller} has to make on the target too")))
        }
        Some(Absence::Missing) => Some(Finding::blocks(field, format!("needs {to}, which does not exist"))),
        Some(Absence::Deleting) => Some(Finding::blocks(field, format!("needs {to}, which is being deleted"))),
        Some(Absence::ClusterMade(ClusterMade::OtherName)) => {
            Some(Finding::blocks(field, format!("needs {to}, a token that is valid on the source only")))
        }
        None => Some(Finding::blocks(field, format!("needs {to}, which is not part of the selection"))),
    }
}

/// Objects that carry the labels, or act on the selection, and are left out all the same.
fn left_out(inventory: &Inventory) -> Vec<MirrorProblem> {
    let said = inventory.left_out.iter().filter_map(|(object, absence)| {
        let message = match absence {
            Absence::Missing | Absence::ClusterMade(_) => return None,
            Absence::Deleting => "is left out: it is being deleted".to_owned(),
            Absence::Controlled(controller) => format!("is left out: {controller} makes it"),
        };
        Some(MirrorProblem { object: Some(object.clone()), finding: Finding::notice("", message) })
    });
    said.collect()
}

/// Objects that carry the labels and will not be on the target.
fn unmirrored(inventory: &Inventory) -> Vec<MirrorProblem> {
    let said = inventory.unmirrored.iter().map(|object| MirrorProblem {
        object: Some(object.clone()),
        finding: Finding::notice("", format!("carries the labels and stays behind: a {} is not mirrored", object.kind)),
    });
    let unseen = inventory.unseen.iter().cloned().collect::<Vec<_>>().join(", ");
    let message =
        format!("whether any of these carries the labels is unknown, because listing them is not allowed: {unseen}");
    let blind = MirrorProblem { object: None, finding: Finding::notice("workloads.selector", message) };
    said.chain((!unseen.is_empty()).then_some(blind)).collect()
}
