//! From what the source holds to what the target shall hold. PURE.
//!
//! Each object is converted to a version the target serves, scrubbed of what its old cluster gave it,
//! changed by the Migration's own transforms, and checked. All problems of all objects are found at once.
//! Mirroring what was mirrored before changes nothing.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::closure::Inventory;
use super::digest::{DIGEST_ANNOTATION, digest, digested};
use super::kind::{KINDS, Kind, kind, scaled_workload, written_as, written_kind};
use super::manifest::Manifest;
use super::object::ObjectRef;
use super::plan::{Desired, MirrorPlan, MirrorProblem};
use super::reference;
use super::scrub::scrub;
use super::served::Served;
use crate::convert::{Finding, convert, renew, waive};
use crate::policy::{Name, Transform, Workloads};

/// What the target shall hold so that it can serve what was read from the source.
pub fn mirror(inventory: &Inventory, target: &Served, workloads: &Workloads) -> MirrorPlan {
    let autoscaled: BTreeSet<_> =
        inventory.objects.values().filter_map(|manifest| scaled_workload(manifest.value())).collect();
    let rules = Rules { target, workloads };
    let mut plan = MirrorPlan::default();
    for (at, name) in workloads.namespaces.iter().map(Name::as_str).enumerate() {
        if inventory.objects.keys().any(|object| object.namespace == name) {
            plan.objects.extend(namespace(name));
        } else {
            plan.problems.push(nothing_selected(at, name));
        }
    }
    let mut used = BTreeSet::new();
    for kind in KINDS {
        for manifest in inventory.objects.values().filter(|manifest| manifest.object().kind == kind.name()) {
            let object = manifest.object();
            let mut derived = rules.derive(manifest, autoscaled.contains(object));
            derived.give_way(|to| plan.objects.iter().any(|other| other.object() == to));
            let Derived { desired, findings, transforms } = derived;
            let problem = |finding| MirrorProblem { object: Some(object.clone()), finding };
            plan.problems.extend(findings.into_iter().map(problem));
            plan.objects.extend(desired);
            used.extend(transforms);
        }
    }
    plan.problems.extend(unused_transforms(workloads, &used));
    plan.problems.extend(reference::problems(&plan.objects, inventory));
    plan
}

/// A namespace is made where it is missing. Nothing of it is desired but its name, so one that exists
/// is left as it is.
pub fn namespace(name: &str) -> Option<Desired> {
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    // Without a mark of ours: nothing is ever desired of it but that it is there.
    let digest = digest(&body);
    let made_of = ObjectRef::new("Namespace", "", name);
    Manifest::new(body).map(|manifest| Desired { made_of, manifest, digest, initial_replicas: None })
}

/// What stands in the way where a namespace of the migration holds nothing of it.
pub fn nothing_selected(at: usize, namespace: &str) -> MirrorProblem {
    let field = format!("workloads.namespaces[{at}]");
    let finding = Finding::blocks(field, format!("nothing is selected in namespace {namespace}"));
    MirrorProblem { object: None, finding }
}

fn unused_transforms(workloads: &Workloads, used: &BTreeSet<usize>) -> Vec<MirrorProblem> {
    let unused = workloads.transforms.iter().enumerate().filter(|(at, _)| !used.contains(at));
    let problem = |(at, transform): (usize, &Transform)| {
        let message = format!("matches no {} of the selection", transform.kind);
        MirrorProblem { object: None, finding: Finding::notice(format!("workloads.transforms[{at}]"), message) }
    };
    unused.map(problem).collect()
}

/// What one object of the source becomes.
pub struct Derived {
    /// The object as the target shall hold it; `None` where something stands in the way.
    pub desired: Option<Desired>,
    /// What stands in the way, and what is worth knowing.
    pub findings: Vec<Finding>,
    /// The Migration's transforms that matched it.
    pub transforms: Vec<usize>,
}

impl Derived {
    /// Lets go of an object that another one of the selection becomes already.
    fn give_way(&mut self, taken: impl Fn(&ObjectRef) -> bool) {
        if let Some(second) = self.desired.take_if(|desired| taken(desired.object())) {
            self.findings.push(taken_already(second.object()));
        }
    }
}

/// What stands in the way where two objects of the selection become one.
pub fn taken_already(object: &ObjectRef) -> Finding {
    Finding::blocks("metadata.name", format!("would become {object}, which is part of the selection too"))
}

/// What decides about every object alike.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// What the target serves.
    pub target: &'a Served,
    /// The selection, with its transforms.
    pub workloads: &'a Workloads,
}

impl Rules<'_> {
    /// What an object of the source becomes, given whether an autoscaler sizes it.
    pub fn derive(self, manifest: &Manifest, autoscaled: bool) -> Derived {
        let mut derived = Derived { desired: None, findings: Vec::new(), transforms: Vec::new() };
        let Some(kind) = kind(&manifest.object().kind) else { return derived };
        derived.desired = self.desired(kind, manifest, autoscaled, &mut derived.findings, &mut derived.transforms);
        if derived.desired.is_some() {
            waive(&mut derived.findings, kind.name(), |id| self.workloads.waive.contains(id));
        }
        derived
    }

    fn desired(
        self,
        kind: &'static dyn Kind,
        manifest: &Manifest,
        autoscaled: bool,
        findings: &mut Vec<Finding>,
        transforms: &mut Vec<usize>,
    ) -> Option<Desired> {
        let mut body = self.converted(kind, manifest, findings)?;
        let kind = written_kind(kind);
        let made_of = manifest.object().clone();
        let object = ObjectRef { kind: kind.name().to_owned(), ..made_of.clone() };
        scrub(&mut body);
        renew(kind.name(), &mut body, findings);
        kind.scrub(&mut body, &self.workloads.keep, findings);
        self.transform(&object, &mut body, findings, transforms);
        kind.check(&body, findings);
        let initial_replicas = if autoscaled { take_replicas(&mut body) } else { None };
        let changed = digested(body).filter(|changed| is_same(changed, &object));
        if changed.is_none() {
            findings.push(Finding::blocks("metadata", "a transform may not change what an object is called"));
        }
        changed.map(|changed| Desired { made_of, initial_replicas, ..changed })
    }

    fn converted(self, kind: &dyn Kind, manifest: &Manifest, findings: &mut Vec<Finding>) -> Option<Value> {
        let from = manifest.api_version();
        let converted = written_as(kind, from, self.target)
            .and_then(|written| convert(kind.name(), from, written, manifest.value().clone()));
        let Some(converted) = converted else {
            let message = format!("{from} can be converted to no version that the target serves");
            findings.push(Finding::blocks("apiVersion", message));
            return None;
        };
        findings.extend(converted.findings);
        Some(converted.body)
    }

    fn transform(self, object: &ObjectRef, body: &mut Value, findings: &mut Vec<Finding>, transforms: &mut Vec<usize>) {
        for (at, transform) in self.workloads.transforms.iter().enumerate() {
            let Transform { kind, name, patch } = transform;
            if *kind != object.kind || name.as_ref().is_some_and(|name| *name != object.name) {
                continue;
            }
            transforms.push(at);
            if let Err(error) = json_patch::patch(body, patch) {
                let field = format!("workloads.transforms[{at}].jsonPatch[{}]", error.operation);
                let message = format!("cannot be applied at {}: {}", error.path, error.kind);
                findings.push(Finding::blocks(field, message));
            }
        }
    }
}

/// Takes `spec.replicas` out of a workload that an autoscaler sizes. Zero stays in: it switches the
/// autoscaler off, so it is the user's word and nobody contradicts it.
fn take_replicas(body: &mut Value) -> Option<u32> {
    let spec = body.get_mut("spec")?.as_object_mut()?;
    let replicas = u32::try_from(spec.get("replicas")?.as_u64()?).ok().filter(|replicas| *replicas > 0)?;
    spec.remove("replicas");
    Some(replicas)
}

/// Writes the fingerprint, unless a transform left no place for it.
pub(super) fn annotate(body: &mut Value, digest: &str) {
    let metadata = body.get_mut("metadata").and_then(Value::as_object_mut);
    let annotations = metadata.map(|metadata| metadata.entry("annotations").or_insert_with(|| json!({})));
    if let Some(Value::Object(annotations)) = annotations {
        annotations.insert(DIGEST_ANNOTATION.to_owned(), digest.into());
    }
}

/// Whether transforms left an object what it was, with a fingerprint.
fn is_same(changed: &Desired, object: &ObjectRef) -> bool {
    changed.object() == object && changed.manifest.annotation(DIGEST_ANNOTATION) == Some(&changed.digest)
}

#[cfg(test)]
mod tests;
