//! From what the source holds to what the target shall hold. PURE.
//!
//! Each object is converted to a version the target serves, scrubbed of what its old cluster gave it,
//! changed by the Migration's own transforms, and checked. All problems of all objects are found at once.
//! Mirroring what was mirrored before changes nothing.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::closure::Inventory;
use super::digest::{DIGEST_ANNOTATION, digest};
use super::kind::{KINDS, Kind, scaled_workload, written_as, written_kind};
use super::manifest::Manifest;
use super::object::ObjectRef;
use super::plan::{Desired, MirrorPlan, MirrorProblem};
use super::reference;
use super::scrub::scrub;
use super::served::Served;
use crate::convert::{Finding, convert, renew, waive};
use crate::policy::{Transform, Workloads};

/// What the target shall hold so that it can serve what was read from the source.
pub fn mirror(inventory: &Inventory, target: &Served, workloads: &Workloads) -> MirrorPlan {
    let autoscaled = inventory.objects.values().filter_map(|manifest| scaled_workload(manifest.value())).collect();
    let mut pass =
        Pass { inventory, target, workloads, autoscaled, used: BTreeSet::new(), plan: MirrorPlan::default() };
    pass.namespaces();
    for kind in KINDS {
        for manifest in inventory.objects.values().filter(|manifest| manifest.object().kind == kind.name()) {
            pass.object(*kind, manifest);
        }
    }
    pass.unused_transforms();
    let Pass { mut plan, .. } = pass;
    plan.problems.extend(reference::problems(&plan.objects, inventory));
    plan
}

struct Pass<'a> {
    inventory: &'a Inventory,
    target: &'a Served,
    workloads: &'a Workloads,
    /// Workloads whose size an autoscaler decides.
    autoscaled: BTreeSet<ObjectRef>,
    /// Transforms that matched an object.
    used: BTreeSet<usize>,
    plan: MirrorPlan,
}

impl Pass<'_> {
    /// A namespace is made where it is missing. Nothing of it is desired but its name, so one that exists
    /// is left as it is.
    fn namespaces(&mut self) {
        for (at, namespace) in self.workloads.namespaces.iter().enumerate() {
            let name = namespace.as_str();
            if !self.inventory.objects.keys().any(|object| object.namespace == name) {
                let field = format!("workloads.namespaces[{at}]");
                self.problem(None, Finding::blocks(field, format!("nothing is selected in namespace {name}")));
                continue;
            }
            let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            let digest = digest(&body);
            let made_of = ObjectRef::new("Namespace", "", name);
            let desired = Manifest::new(body);
            let desired = desired.map(|manifest| Desired { made_of, manifest, digest, initial_replicas: None });
            self.plan.objects.extend(desired);
        }
    }

    fn object(&mut self, kind: &'static dyn Kind, manifest: &Manifest) {
        let mut findings = Vec::new();
        let mut desired = self.desired(kind, manifest, &mut findings);
        if desired.is_some() {
            waive(&mut findings, kind.name(), |id| self.workloads.waive.contains(id));
        }
        if let Some(taken) =
            desired.take_if(|desired| self.plan.objects.iter().any(|other| other.object() == desired.object()))
        {
            let message = format!("would become {}, which is part of the selection too", taken.object());
            findings.push(Finding::blocks("metadata.name", message));
        }
        for finding in findings {
            self.problem(Some(manifest.object().clone()), finding);
        }
        self.plan.objects.extend(desired);
    }

    fn desired(
        &mut self,
        kind: &'static dyn Kind,
        manifest: &Manifest,
        findings: &mut Vec<Finding>,
    ) -> Option<Desired> {
        let mut body = self.converted(kind, manifest, findings)?;
        let kind = written_kind(kind);
        let made_of = manifest.object().clone();
        let object = ObjectRef { kind: kind.name().to_owned(), ..made_of.clone() };
        scrub(&mut body);
        renew(kind.name(), &mut body, findings);
        kind.scrub(&mut body, &self.workloads.keep, findings);
        self.transform(&object, &mut body, findings);
        kind.check(&body, findings);
        let initial_replicas = self.take_replicas(manifest.object(), &mut body);
        let digest = digest(&body);
        annotate(&mut body, &digest);
        let changed = Manifest::new(body).filter(|changed| is_same(changed, &object, &digest));
        if changed.is_none() {
            findings.push(Finding::blocks("metadata", "a transform may not change what an object is called"));
        }
        changed.map(|manifest| Desired { made_of, manifest, digest, initial_replicas })
    }

    fn converted(&self, kind: &dyn Kind, manifest: &Manifest, findings: &mut Vec<Finding>) -> Option<Value> {
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

    fn transform(&mut self, object: &ObjectRef, body: &mut Value, findings: &mut Vec<Finding>) {
        for (at, transform) in self.workloads.transforms.iter().enumerate() {
            let Transform { kind, name, patch } = transform;
            if *kind != object.kind || name.as_ref().is_some_and(|name| *name != object.name) {
                continue;
            }
            self.used.insert(at);
            if let Err(error) = json_patch::patch(body, patch) {
                let field = format!("workloads.transforms[{at}].jsonPatch[{}]", error.operation);
                let message = format!("cannot be applied at {}: {}", error.path, error.kind);
                findings.push(Finding::blocks(field, message));
            }
        }
    }

    fn unused_transforms(&mut self) {
        for (at, transform) in self.workloads.transforms.iter().enumerate() {
            if !self.used.contains(&at) {
                let message = format!("matches no {} of the selection", transform.kind);
                self.problem(None, Finding::notice(format!("workloads.transforms[{at}]"), message));
            }
        }
    }

    /// Takes `spec.replicas` out of a workload that an autoscaler sizes. Zero stays in: it switches the
    /// autoscaler off, so it is the user's word and nobody contradicts it.
    fn take_replicas(&self, object: &ObjectRef, body: &mut Value) -> Option<u32> {
        if !self.autoscaled.contains(object) {
            return None;
        }
        let spec = body.get_mut("spec")?.as_object_mut()?;
        let replicas = u32::try_from(spec.get("replicas")?.as_u64()?).ok().filter(|replicas| *replicas > 0)?;
        spec.remove("replicas");
        Some(replicas)
    }

    fn problem(&mut self, object: Option<ObjectRef>, finding: Finding) {
        self.plan.problems.push(MirrorProblem { object, finding });
    }
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
fn is_same(changed: &Manifest, object: &ObjectRef, digest: &str) -> bool {
    changed.object() == object && changed.annotation(DIGEST_ANNOTATION) == Some(digest)
}

#[cfg(test)]
mod tests;
