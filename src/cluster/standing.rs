//! How a mirror stands, kept up to date change by change. PURE.
//!
//! [`mirror`](super::mirror()) answers the same question for a whole inventory at once. Here only what changed is read
//! again: an object of the source that changed is derived anew, the closure is followed anew only where something changed that it
//! is made of, and an object of the target is compared when it changed, while its JSON is at hand. What is kept of each is
//! a fingerprint; the desired object itself is derived when somebody asks for it.
//!
//! **Missing data.** Nothing here says anything while a collection is out of sight.

mod there;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::apply::ObjectState;
use super::closure::{Closure, Facts, follow};
use super::cover::covers;
use super::kind::{KINDS, Kind, Reference, Selection, kind};
use super::manifest::Manifest;
use super::mapping::{namespaces_of, renamed, sources_of, target_of};
use super::mirror::{Derived, Rules, namespace, nothing_selected, taken_already};
use super::object::ObjectRef;
use super::plan::{Desired, MirrorProblem};
use super::reference;
use super::served::Served;
use super::stock::{Glimpse, Place, Stock};
use crate::convert::Severity;
use crate::policy::{Name, Workloads};

/// The side of a migration that something was seen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// What the source's collections hold, whole.
    Source,
    /// What the source holds of kinds that are referred to by name; metadata only.
    Named,
    /// What the target holds.
    Target,
}

/// What is kept of one desired object.
#[derive(Debug, Default)]
struct Sketch {
    /// What it is called on the target; its kind may be another one there.
    object: Option<ObjectRef>,
    /// The version it is written in.
    api_version: String,
    /// The fingerprint; none where something stands in the way.
    digest: Option<String>,
    /// What stands in the way.
    blockers: Vec<MirrorProblem>,
    /// What it refers to.
    references: Vec<Reference>,
}

/// What has to be read before anything can be said.
#[derive(Debug, PartialEq, Eq)]
pub enum Lack {
    /// Nothing.
    Nothing,
    /// Collections whose names nobody follows yet.
    Names(BTreeSet<Place>),
    /// Objects that are referred to, and new or changed.
    Objects(BTreeSet<ObjectRef>),
}

/// Both sides of a mirror.
pub struct Standing {
    workloads: Workloads,
    /// What the target serves.
    served: Arc<Served>,
    source: Stock,
    named: Stock,
    target: Stock,
    /// Objects of the source that are referred to and were read by name.
    fetched: BTreeMap<ObjectRef, Glimpse>,
    /// Of those, what changed since.
    outdated: BTreeSet<ObjectRef>,
    /// Names that were looked for in vain.
    missing: BTreeSet<ObjectRef>,
    facts: BTreeMap<ObjectRef, Facts>,
    closure: Closure,
    /// Whether the closure has to be followed anew.
    open: bool,
    autoscaled: BTreeSet<ObjectRef>,
    /// By the object of the source.
    sketches: BTreeMap<ObjectRef, Sketch>,
    /// Which object of the source becomes an object of the target.
    made_of: BTreeMap<ObjectRef, ObjectRef>,
    /// Selected objects that have to be derived anew.
    stale: BTreeSet<ObjectRef>,
    /// The selected objects in the order of writing.
    order: Vec<ObjectRef>,
    blockers: Vec<String>,
    /// An object that is kept on the target and comes from no source.
    aside: Option<Desired>,
    /// What is desired and not followed, namespaces first, and how it is on the target.
    unfollowed: Vec<(ObjectRef, ObjectState)>,
    /// Whether there is something to do that was not there before.
    stirred: bool,
}

impl Standing {
    /// Nothing seen yet; `served` is what the target serves.
    pub fn new(workloads: Workloads, served: Arc<Served>) -> Self {
        Self {
            workloads,
            served,
            source: Stock::default(),
            named: Stock::default(),
            target: Stock::default(),
            fetched: BTreeMap::new(),
            outdated: BTreeSet::new(),
            missing: BTreeSet::new(),
            facts: BTreeMap::new(),
            closure: Closure::default(),
            open: true,
            autoscaled: BTreeSet::new(),
            sketches: BTreeMap::new(),
            made_of: BTreeMap::new(),
            stale: BTreeSet::new(),
            order: Vec::new(),
            blockers: Vec::new(),
            aside: None,
            unfollowed: Vec::new(),
            stirred: false,
        }
    }

    /// What was told about a side.
    pub fn stock(&self, side: Side) -> &Stock {
        match side {
            Side::Source => &self.source,
            Side::Named => &self.named,
            Side::Target => &self.target,
        }
    }

    /// The same, to take in more.
    pub fn stock_mut(&mut self, side: Side) -> &mut Stock {
        match side {
            Side::Source => &mut self.source,
            Side::Named => &mut self.named,
            Side::Target => &mut self.target,
        }
    }

    /// Takes in everything that changed on the source, and says what has to be read before it is whole.
    pub fn update(&mut self) -> Lack {
        let changed = self.source.take_changed();
        self.learn(changed);
        self.look_at_names();
        let lack = loop {
            if std::mem::take(&mut self.open) {
                self.close();
            }
            let lack = self.lack();
            if !self.open {
                break lack;
            }
        };
        if lack == Lack::Nothing {
            self.sketch();
        }
        lack
    }

    /// Notes what became of an object that was read by name.
    pub fn fetched(&mut self, object: ObjectRef, glimpse: Option<Glimpse>) {
        self.outdated.remove(&object);
        match glimpse {
            Some(glimpse) => _ = self.fetched.insert(object.clone(), glimpse),
            None => {
                self.fetched.remove(&object);
                self.missing.insert(object.clone());
                self.open = true;
            }
        }
        self.learn([object].into());
    }

    fn seen(&self, object: &ObjectRef) -> Option<&Glimpse> {
        self.source.get(object).or_else(|| self.fetched.get(object))
    }

    /// Learns the facts of objects that changed.
    fn learn(&mut self, changed: BTreeSet<ObjectRef>) {
        for object in changed {
            let manifest = self.seen(&object).and_then(Glimpse::manifest);
            let facts = manifest.as_ref().and_then(|manifest| Facts::of(manifest, &self.workloads.selector));
            self.open |= self.facts.get(&object) != facts.as_ref() || facts.as_ref().is_some_and(|facts| facts.acts);
            if self.sketches.contains_key(&object) {
                self.stale.insert(object.clone());
            }
            match facts {
                Some(facts) => self.facts.insert(object, facts),
                None => self.facts.remove(&object),
            };
        }
    }

    /// What changed among the names: objects to be read again, objects that are gone, and objects missed before.
    fn look_at_names(&mut self) {
        for object in self.named.take_changed() {
            let version = self.named.get(&object).map(|glimpse| &glimpse.version);
            let known = self.fetched.get(&object).map(|glimpse| &glimpse.version);
            match (known, version) {
                (Some(known), Some(version)) if known != version => _ = self.outdated.insert(object),
                (Some(_), None) => self.fetched(object, None),
                (None, Some(_)) => self.open |= self.missing.remove(&object),
                (Some(_), Some(_)) | (None, None) => {}
            }
        }
    }

    /// Follows the closure anew.
    fn close(&mut self) {
        let acts_on = |object: &ObjectRef, selection: &Selection| {
            let manifest = self.seen(object).and_then(Glimpse::manifest);
            let acting = kind(&object.kind).zip(manifest);
            acting.is_some_and(|(kind, manifest)| kind.acts_on(manifest.value(), selection))
        };
        let closure = follow(&self.facts, &self.missing, &acts_on);
        let belongs = |object: &ObjectRef| closure.selected.contains(object) || closure.left_out.contains_key(object);
        self.fetched.retain(|object, _| belongs(object));
        self.outdated.retain(|object| self.fetched.contains_key(object));
        let (source, fetched) = (&self.source, &self.fetched);
        self.facts.retain(|object, _| source.get(object).is_some() || fetched.contains_key(object));
        let scaled = closure.selected.iter().filter_map(|object| self.facts.get(object)?.scales.clone());
        let autoscaled: BTreeSet<ObjectRef> = scaled.collect();
        let flipped = autoscaled.symmetric_difference(&self.autoscaled).filter(|object| belongs(object));
        self.stale.extend(flipped.cloned());
        self.stale.extend(closure.selected.iter().filter(|object| !self.sketches.contains_key(*object)).cloned());
        self.sketches.retain(|object, _| closure.selected.contains(object));
        self.autoscaled = autoscaled;
        self.order = closure.selected.iter().cloned().collect();
        self.order.sort_by_cached_key(rank);
        self.closure = closure;
        self.explain();
    }

    /// What has to be read; what is wanted and not among the names is missing.
    fn lack(&mut self) -> Lack {
        let unnamed = self.closure.wanted.iter().filter(|object| !self.named.expects(&object.kind, &object.namespace));
        let unnamed: BTreeSet<Place> = unnamed.map(|object| (object.kind.clone(), object.namespace.clone())).collect();
        if !unnamed.is_empty() {
            return Lack::Names(unnamed);
        }
        let (there, absent): (BTreeSet<_>, BTreeSet<_>) =
            self.closure.wanted.iter().cloned().partition(|object| self.named.get(object).is_some());
        if !absent.is_empty() {
            self.missing.extend(absent);
            self.open = true;
        }
        let read: BTreeSet<ObjectRef> = there.union(&self.outdated).cloned().collect();
        if read.is_empty() { Lack::Nothing } else { Lack::Objects(read) }
    }

    /// Derives what changed anew.
    fn sketch(&mut self) {
        if self.stale.is_empty() {
            return;
        }
        for object in std::mem::take(&mut self.stale) {
            if !self.closure.selected.contains(&object) {
                continue;
            }
            let Some(Derived { desired, findings, .. }) = self.derive(&object) else { continue };
            let blocks = findings.into_iter().filter(|finding| finding.severity == Severity::Blocks);
            let problem = |finding| MirrorProblem { object: Some(object.clone()), finding };
            // What is looked up in the selection goes by the source's names.
            let references = desired.as_ref().map(reference::of).unwrap_or_default();
            let desired = desired.and_then(|desired| self.called_there(desired));
            let sketch = Sketch {
                object: desired.as_ref().map(|desired| desired.object().clone()),
                api_version: desired.as_ref().map(|desired| desired.api_version().to_owned()).unwrap_or_default(),
                blockers: blocks.map(problem).collect(),
                references,
                digest: desired.map(|desired| desired.digest),
            };
            let before = self.sketches.get(&object).map(|before| &before.digest);
            self.stirred |= before != Some(&sketch.digest);
            self.sketches.insert(object, sketch);
        }
        self.explain();
    }

    fn derive(&self, object: &ObjectRef) -> Option<Derived> {
        let manifest = self.seen(object)?.manifest()?;
        let rules = Rules { target: &self.served, workloads: &self.workloads };
        Some(rules.derive(&manifest, self.autoscaled.contains(object)))
    }

    /// The same with the names it has on the target.
    fn called_there(&self, desired: Desired) -> Option<Desired> {
        let maps = &self.workloads.maps;
        // What is worth knowing about it is told by a plan.
        if maps.is_empty() { Some(desired) } else { renamed(desired, maps, &mut Vec::new()) }
    }

    /// Everything that stands in the way of the mirror.
    fn explain(&mut self) {
        let named = self.workloads.namespaces.iter().map(Name::as_str).enumerate();
        let is_empty = |name: &str| !self.closure.selected.iter().any(|object| object.namespace == name);
        let empty = named.filter(|(_, name)| is_empty(name)).map(|(at, name)| nothing_selected(at, name));
        let mut problems: Vec<MirrorProblem> = empty.collect();
        problems.extend(self.sketches.values().flat_map(|sketch| sketch.blockers.iter().cloned()));
        self.made_of.clear();
        for source in &self.order {
            let Some(object) = self.sketches.get(source).and_then(|sketch| sketch.object.clone()) else { continue };
            match self.made_of.entry(object) {
                Entry::Vacant(free) => _ = free.insert(source.clone()),
                Entry::Occupied(taken) => {
                    let finding = taken_already(taken.key());
                    problems.push(MirrorProblem { object: Some(source.clone()), finding });
                }
            }
        }
        let planned = |to: &ObjectRef| self.made_of.contains_key(&target_of(to, &self.workloads.maps));
        for (from, source) in &self.made_of {
            let Some(sketch) = self.sketches.get(source) else { continue };
            let from = ObjectRef { kind: from.kind.clone(), ..source.clone() };
            problems.extend(reference::dangling(&from, &sketch.references, planned, &self.closure.left_out));
        }
        self.blockers = problems.iter().filter(|problem| problem.blocks()).map(ToString::to_string).collect();
    }

    /// Compares what changed on the target with what is desired, and drops its JSON. Only once the source is whole: what nobody
    /// desires is not compared.
    pub fn judge(&mut self) {
        for object in self.target.take_changed() {
            let covered = self.covered(&object, self.target.get(&object).and_then(Glimpse::manifest));
            if let Some(glimpse) = self.target.get_mut(&object) {
                glimpse.compared(covered);
                glimpse.forget_body();
            }
            self.stirred |= self.state(&object).is_some_and(|state| state != ObjectState::InSync);
        }
    }

    /// Whether an object of the target holds what is desired of it; `None` where the two cannot be compared.
    fn covered(&self, object: &ObjectRef, live: Option<Manifest>) -> Option<bool> {
        let (live, sketch) = (live?, self.sketch_of(object)?);
        if sketch.digest.as_deref() != self.target.get(object)?.digest.as_deref() {
            return None;
        }
        let desired = self.desired(object)?;
        (live.api_version() == desired.api_version()).then(|| covers(live.value(), desired.manifest.value()))
    }

    /// What has to be read from the target to be compared, in the version it is written in.
    pub fn unjudged(&self) -> Vec<(String, ObjectRef)> {
        let made = self.made_of.keys().filter_map(|object| Some((object, self.sketch_of(object)?)));
        let unjudged = made.filter(|(object, sketch)| {
            let live = self.target.get(object).filter(|live| !live.deleting && live.covered.is_none());
            sketch.digest.is_some() && live.is_some_and(|live| live.digest.as_deref() == sketch.digest.as_deref())
        });
        unjudged.map(|(object, sketch)| (sketch.api_version.clone(), object.clone())).collect()
    }

    /// Compares an object that was read for that. One that is gone, or is another by now, is told about soon.
    pub fn judge_read(&mut self, object: &ObjectRef, live: Option<Manifest>) {
        let covered = self.covered(object, live).unwrap_or(false);
        if let Some(glimpse) = self.target.get_mut(object) {
            glimpse.compared(Some(covered));
        }
    }

    /// How an object compares with what is desired of it; `None` where nothing is.
    pub fn state(&self, object: &ObjectRef) -> Option<ObjectState> {
        let digest = self.digest(object)?;
        Some(match self.target.get(object) {
            None => ObjectState::Missing,
            Some(live) if live.deleting || live.digest.as_deref() != Some(digest) => ObjectState::Differs,
            Some(live) if live.covered == Some(true) => ObjectState::InSync,
            Some(_) => ObjectState::Differs,
        })
    }

    /// The fingerprint of what is desired of an object.
    pub fn digest(&self, object: &ObjectRef) -> Option<&str> {
        self.sketch_of(object)?.digest.as_deref()
    }

    fn sketch_of(&self, object: &ObjectRef) -> Option<&Sketch> {
        self.sketches.get(self.made_of.get(object)?)
    }

    /// The desired objects, namespaces left out, in the order of writing.
    fn made(&self) -> impl Iterator<Item = &ObjectRef> {
        let made = self.order.iter().filter_map(|source| Some((source, self.sketches.get(source)?.object.as_ref()?)));
        made.filter(|(source, object)| self.made_of.get(*object) == Some(*source)).map(|(_, object)| object)
    }

    /// The object of the source that becomes this one, or each that would.
    pub fn on_source(&self, object: &ObjectRef) -> Vec<ObjectRef> {
        self.made_of.get(object).map_or_else(|| sources_of(object, &self.workloads), |source| vec![source.clone()])
    }

    /// Has an object kept on the target that comes from no source.
    pub fn keep_aside(&mut self, aside: Option<Desired>) {
        self.aside = aside;
    }

    /// What is desired and not followed: the namespaces, and what is kept aside.
    pub fn unfollowed(&self) -> Vec<Desired> {
        let selected = |name: &&str| self.order.iter().any(|object| object.namespace == **name);
        let names: Vec<Name> =
            self.workloads.namespaces.iter().filter(|name| selected(&name.as_str())).cloned().collect();
        let names = namespaces_of(&names, &self.workloads.maps);
        names.into_iter().filter_map(|name| namespace(name.as_str())).chain(self.aside.clone()).collect()
    }

    /// Notes how that is on the target.
    pub fn note_unfollowed(&mut self, states: &BTreeMap<ObjectRef, ObjectState>) {
        let desired = self.unfollowed();
        let state = |desired: &Desired| Some((desired.object().clone(), *states.get(desired.object())?));
        self.unfollowed = desired.iter().filter_map(state).collect();
    }

    /// Whether the namespace of an object is there already.
    pub fn has_home(&self, object: &ObjectRef) -> bool {
        let home = ObjectRef::new("Namespace", "", &object.namespace);
        self.unfollowed.iter().any(|(object, state)| *object == home && *state != ObjectState::Missing)
    }

    /// Every desired object in the order of writing, and how it compares.
    pub fn states(&self) -> impl Iterator<Item = (ObjectRef, ObjectState)> {
        self.unfollowed
            .iter()
            .cloned()
            .chain(self.made().filter_map(|object| Some((object.clone(), self.state(object)?))))
    }

    /// An object as the target shall hold it.
    pub fn desired(&self, object: &ObjectRef) -> Option<Desired> {
        if object.kind == "Namespace" {
            return namespace(&object.name);
        }
        if let Some(aside) = self.aside.as_ref().filter(|aside| aside.object() == object) {
            return Some(aside.clone());
        }
        self.called_there(self.derive(self.made_of.get(object)?)?.desired?)
    }

    /// The desired objects that run pods.
    pub fn workloads(&self) -> impl Iterator<Item = &ObjectRef> {
        self.made().filter(|object| kind(&object.kind).is_some_and(Kind::is_sized))
    }

    /// What stands in the way, in a sentence each.
    pub fn blockers(&self) -> &[String] {
        &self.blockers
    }

    /// Whether there has been something to do since this was asked last that was not there before.
    pub fn take_stirred(&mut self) -> bool {
        std::mem::take(&mut self.stirred)
    }
}

/// Where the objects of a kind come in the order of writing.
fn rank(object: &ObjectRef) -> Option<usize> {
    KINDS.iter().position(|kind| kind.name() == object.kind)
}

#[cfg(test)]
mod tests;
