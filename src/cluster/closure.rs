//! Which objects belong to a migration: those that carry the labels, and what goes with them. PURE.
//!
//! Two ways lead from one object to another. What a selected object refers to by name is brought along
//! (a Deployment's ConfigMaps). What acts on a selected object comes along by itself (its Services, its
//! autoscaler). Both are followed until nothing new is found. Nothing is read here: names that are not
//! among the objects found so far are handed back as wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::kind::{ClusterMade, KINDS, Objects, Selection, kind};
use super::manifest::Manifest;
use super::object::ObjectRef;
use crate::policy::LabelSelector;

/// Why an object that would belong to the migration is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absence {
    /// It does not exist on the source.
    Missing,
    /// It is being deleted.
    Deleting,
    /// A controller made it and would make it on the target too: `kind name` of the controller.
    Controlled(String),
    /// Every cluster makes it for itself.
    ClusterMade(ClusterMade),
}

/// The part of the source that belongs to a migration.
#[derive(Default)]
pub struct Inventory {
    /// Every object that belongs to it, as the source's server wrote it.
    pub objects: Objects,
    /// Objects that would belong to it, and why they do not.
    pub left_out: BTreeMap<ObjectRef, Absence>,
    /// Objects that carry the labels and are of a kind that is not mirrored.
    pub unmirrored: BTreeSet<ObjectRef>,
    /// Kinds of which nobody could look whether there are such objects, because it is not allowed.
    pub unseen: BTreeSet<String>,
}

impl fmt::Debug for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { objects, left_out, unmirrored, unseen } = self;
        f.debug_struct("Inventory")
            .field("objects", &objects.keys().collect::<Vec<_>>())
            .field("left_out", left_out)
            .field("unmirrored", unmirrored)
            .field("unseen", unseen)
            .finish()
    }
}

/// What was found to belong together.
#[derive(Debug, Default)]
pub struct Closure {
    /// Objects that belong to the migration.
    pub selected: BTreeSet<ObjectRef>,
    /// Objects that would, were it not for the reason given.
    pub left_out: BTreeMap<ObjectRef, Absence>,
    /// Objects that are referred to and were not looked at yet.
    pub wanted: BTreeSet<ObjectRef>,
}

/// Follows labels, references and actions through everything found so far. `missing` are names that were
/// looked for in vain.
pub fn close(found: &Objects, missing: &BTreeSet<ObjectRef>, selector: &LabelSelector) -> Closure {
    let mut walk = Walk { found, missing, selection: Selection::default(), closure: Closure::default() };
    for manifest in found.values() {
        if carries(manifest, selector) {
            walk.select(manifest);
        }
    }
    while walk.add_what_acts() {}
    let Walk { selection, mut closure, .. } = walk;
    closure.selected = selection.into_objects();
    closure
}

struct Walk<'a> {
    found: &'a Objects,
    missing: &'a BTreeSet<ObjectRef>,
    selection: Selection,
    closure: Closure,
}

impl Walk<'_> {
    /// Selects an object, and everything it refers to.
    fn select(&mut self, manifest: &Manifest) {
        let object = manifest.object();
        let Some(kind) = kind(&object.kind) else { return };
        if let Some(absence) = left_out(manifest) {
            self.closure.left_out.insert(object.clone(), absence);
            return;
        }
        if !self.selection.add(object, kind.pod_template(manifest.value())) {
            return;
        }
        for reference in kind.refers_to(manifest.value()).into_iter().filter(|reference| reference.brings) {
            self.bring(ObjectRef::new(reference.kind, &object.namespace, reference.name));
        }
    }

    fn bring(&mut self, object: ObjectRef) {
        let found = self.found;
        if kind(&object.kind).is_none() {
            return;
        }
        match found.get(&object) {
            Some(manifest) => self.select(manifest),
            None if self.missing.contains(&object) => {
                self.closure.left_out.insert(object, Absence::Missing);
            }
            None => {
                self.closure.wanted.insert(object);
            }
        }
    }

    /// Selects what acts on the selection; returns whether there was anything new.
    fn add_what_acts(&mut self) -> bool {
        let found = self.found;
        let mut acting = Vec::new();
        for kind in KINDS.iter().filter(|kind| kind.acts()) {
            let new = found.values().filter(|manifest| manifest.object().kind == kind.name()).filter(|manifest| {
                let known = self.selection.contains(manifest.object());
                let refused = self.closure.left_out.contains_key(manifest.object());
                !known && !refused && kind.acts_on(manifest.value(), &self.selection)
            });
            acting.extend(new);
        }
        let any = !acting.is_empty();
        acting.into_iter().for_each(|manifest| self.select(manifest));
        any
    }
}

/// Whether an object carries every label asked for.
fn carries(manifest: &Manifest, selector: &LabelSelector) -> bool {
    let label = |key: &str| manifest.labels().and_then(|labels| labels.get(key)?.as_str());
    selector.match_labels.iter().all(|(key, value)| label(key) == Some(value))
}

fn left_out(manifest: &Manifest) -> Option<Absence> {
    let made = kind(&manifest.object().kind)?.made_by_cluster(manifest.value());
    made.map(Absence::ClusterMade)
        .or_else(|| manifest.is_deleting().then_some(Absence::Deleting))
        .or_else(|| manifest.controller().map(Absence::Controlled))
}

#[cfg(test)]
mod tests;
