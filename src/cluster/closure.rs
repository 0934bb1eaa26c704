//! Which objects belong to a migration: those that carry the labels, and what goes with them. PURE.
//!
//! Two ways lead from one object to another. What a selected object refers to by name is brought along
//! (a Deployment's ConfigMaps). What acts on a selected object comes along by itself (its Services, its
//! autoscaler). Both are followed until nothing new is found. Nothing is read here: names that are not
//! among the objects found so far are handed back as wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::kind::{ClusterMade, Objects, Selection, kind, scaled_workload};
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
    pub selected: BTreeSet<Arc<ObjectRef>>,
    /// Objects that would, were it not for the reason given.
    pub left_out: BTreeMap<ObjectRef, Absence>,
    /// Objects that are referred to and were not looked at yet.
    pub wanted: BTreeSet<ObjectRef>,
}

/// What following needs to know of one object: everything but what it acts on.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Whether it carries every label asked for.
    carries: bool,
    /// Why it is left out, where it is.
    absence: Option<Box<Absence>>,
    /// What it brings along.
    brings: Box<[ObjectRef]>,
    /// Labels of the pods it makes, where it makes some.
    pod_labels: Option<Box<Map<String, Value>>>,
    /// Whether it may come along because it acts on others.
    pub acts: bool,
    /// The workload that it sizes.
    pub scales: Option<Box<ObjectRef>>,
}

impl Facts {
    /// The facts about an object; `None` for a kind that is not mirrored.
    pub fn of(manifest: &Manifest, selector: &LabelSelector) -> Option<Self> {
        let (object, body) = (manifest.object(), manifest.value());
        let kind = kind(&object.kind)?;
        let brought = kind.refers_to(body).into_iter().filter(|reference| reference.brings);
        let brought = brought.map(|reference| ObjectRef::new(reference.kind, &object.namespace, reference.name));
        let labels = |template: &Value| template.pointer("/metadata/labels").and_then(Value::as_object).cloned();
        Some(Self {
            carries: carries(manifest, selector),
            absence: left_out(manifest).map(Box::new),
            brings: brought.collect(),
            pod_labels: kind.pod_template(body).map(|template| Box::new(labels(template).unwrap_or_default())),
            acts: kind.acts(),
            scales: scaled_workload(body).map(Box::new),
        })
    }
}

/// Follows labels, references and actions through everything found so far. `missing` are names that were
/// looked for in vain.
pub fn close(found: &Objects, missing: &BTreeSet<ObjectRef>, selector: &LabelSelector) -> Closure {
    let facts =
        found.iter().filter_map(|(object, manifest)| Some((Arc::new(object.clone()), Facts::of(manifest, selector)?)));
    let acts_on = |object: &ObjectRef, selection: &Selection| {
        let acting = kind(&object.kind).zip(found.get(object));
        acting.is_some_and(|(kind, manifest)| kind.acts_on(manifest.value(), selection))
    };
    follow(&facts.collect(), missing, &acts_on)
}

/// Whether an object acts on something of a selection.
pub type ActsOn<'a> = &'a dyn Fn(&ObjectRef, &Selection) -> bool;

/// The same where only the facts are at hand, and what acts is asked.
pub fn follow(found: &BTreeMap<Arc<ObjectRef>, Facts>, missing: &BTreeSet<ObjectRef>, acts_on: ActsOn<'_>) -> Closure {
    let (selection, closure) = (Selection::default(), Closure::default());
    let mut walk = Walk { found, missing, acts_on, selection, closure };
    for (object, facts) in found.iter().filter(|(_, facts)| facts.carries) {
        walk.select(object, facts);
    }
    while walk.add_what_acts() {}
    let Walk { selection, mut closure, .. } = walk;
    closure.selected = selection.into_objects();
    closure
}

struct Walk<'a> {
    found: &'a BTreeMap<Arc<ObjectRef>, Facts>,
    missing: &'a BTreeSet<ObjectRef>,
    acts_on: ActsOn<'a>,
    selection: Selection,
    closure: Closure,
}

impl<'a> Walk<'a> {
    /// Selects an object, and everything it refers to.
    fn select(&mut self, object: &'a Arc<ObjectRef>, facts: &'a Facts) {
        if let Some(absence) = &facts.absence {
            self.closure.left_out.insert((**object).clone(), (**absence).clone());
            return;
        }
        if !self.selection.add(object, facts.pod_labels.as_deref()) {
            return;
        }
        facts.brings.iter().for_each(|brought| self.bring(brought));
    }

    fn bring(&mut self, object: &'a ObjectRef) {
        if kind(&object.kind).is_none() {
            return;
        }
        match self.found.get_key_value(object) {
            Some((object, facts)) => self.select(object, facts),
            None if self.missing.contains(object) => {
                self.closure.left_out.insert(object.clone(), Absence::Missing);
            }
            None => {
                self.closure.wanted.insert(object.clone());
            }
        }
    }

    /// Selects what acts on the selection; returns whether there was anything new.
    fn add_what_acts(&mut self) -> bool {
        let new = self.found.iter().filter(|(object, facts)| {
            let known = self.selection.contains(object) || self.closure.left_out.contains_key(&***object);
            facts.acts && !known && (self.acts_on)(object, &self.selection)
        });
        let acting: Vec<_> = new.collect();
        let any = !acting.is_empty();
        acting.into_iter().for_each(|(object, facts)| self.select(object, facts));
        any
    }
}

/// Whether an object carries every label asked for.
pub(super) fn carries(manifest: &Manifest, selector: &LabelSelector) -> bool {
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
