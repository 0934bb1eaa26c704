//! How a mirror stands, kept up to date change by change. PURE.
//!
//! [`mirror`](super::mirror()) answers the same question for a whole inventory at once. Here only what changed is read
//! again: an object of the source that changed is derived anew, the closure is followed anew only where something changed that it
//! is made of, and an object of the target is compared when it changed, while its JSON is at hand. What is kept of each is
//! a fingerprint; the desired object itself is derived when somebody asks for it.
//!
//! **Memory.** The JSON of the source's objects is kept as long as there is [`ROOM`] for it. What comes on top is looked at when it
//! comes and then dropped, and so is what is in sync; whoever needs it again asks for it to be read ([`Standing::without_body`]). Kinds
//! that act on others are small, and asked whenever the selection changes: theirs stays.
//!
//! **Missing data.** Nothing here says anything while a collection is out of sight.

mod compared;
mod there;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::apply::ObjectState;
use super::closure::{Closure, Facts, follow};
use super::digest::Print;
use super::kind::{KINDS, Kind, Reference, Selection, kind};
use super::mapping::{namespaces_of, renamed, sources_of, target_of};
use super::mirror::{Derived, Rules, namespace, nothing_selected, taken_already};
use super::object::ObjectRef;
use super::plan::{Desired, MirrorProblem};
use super::reference;
use super::served::Served;
use super::stock::{Event, Glimpse, Place, Stock};
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
    object: Option<Arc<ObjectRef>>,
    /// The version it is written in.
    api_version: Box<str>,
    /// The fingerprint; none where something stands in the way.
    digest: Option<Print>,
    /// What stands in the way.
    blockers: Vec<MirrorProblem>,
    /// What it refers to.
    references: Vec<Reference>,
}

/// Bytes of the source's JSON that are kept: that of ten thousand small objects.
const ROOM: usize = 8 << 20;

impl Sketch {
    /// Whether what is said about all of them together is the same with this one in place of the other.
    fn fits(&self, other: &Self) -> bool {
        self.object == other.object && self.blockers == other.blockers && self.references == other.references
    }
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
    fetched: Stock,
    /// Of those, what changed since.
    outdated: BTreeSet<ObjectRef>,
    /// Names that were looked for in vain.
    missing: BTreeSet<ObjectRef>,
    /// Bytes of the source's JSON that are kept.
    room: usize,
    facts: BTreeMap<Arc<ObjectRef>, Facts>,
    closure: Closure,
    /// Whether the closure has to be followed anew.
    open: bool,
    autoscaled: BTreeSet<ObjectRef>,
    /// By the object of the source.
    sketches: BTreeMap<Arc<ObjectRef>, Sketch>,
    /// Which object of the source becomes an object of the target.
    made_of: BTreeMap<Arc<ObjectRef>, Arc<ObjectRef>>,
    /// The desired objects in the order of writing, namespaces left out.
    made: Vec<Arc<ObjectRef>>,
    /// Those of them that the target does not hold as desired.
    pending: BTreeSet<Arc<ObjectRef>>,
    /// Selected objects that have to be derived anew.
    stale: BTreeSet<Arc<ObjectRef>>,
    /// Whether what is made of what, and what stands in the way, has to be found out anew.
    unexplained: bool,
    /// The selected objects in the order of writing.
    order: Vec<Arc<ObjectRef>>,
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
            fetched: Stock::default(),
            outdated: BTreeSet::new(),
            missing: BTreeSet::new(),
            room: ROOM,
            facts: BTreeMap::new(),
            closure: Closure::default(),
            open: true,
            autoscaled: BTreeSet::new(),
            sketches: BTreeMap::new(),
            made_of: BTreeMap::new(),
            made: Vec::new(),
            pending: BTreeSet::new(),
            stale: BTreeSet::new(),
            unexplained: false,
            order: Vec::new(),
            blockers: Vec::new(),
            aside: None,
            unfollowed: Vec::new(),
            stirred: false,
        }
    }

    /// Keeps no more than so many bytes of the source's JSON.
    #[cfg(test)]
    pub fn keep_within(&mut self, room: usize) {
        self.room = room;
    }

    /// What was told about a side.
    pub fn stock(&self, side: Side) -> &Stock {
        match side {
            Side::Source => &self.source,
            Side::Named => &self.named,
            Side::Target => &self.target,
        }
    }

    /// A collection is going to be told about.
    pub fn expect(&mut self, side: Side, place: Place) {
        self.side(side).expect(place);
    }

    /// Takes in what a follower tells, and looks at it while its JSON is at hand.
    ///
    /// Of the target only once the source was whole for the first time: what nobody desires is not compared.
    pub fn take(&mut self, side: Side, place: &Place, event: Event) {
        self.side(side).take(place, event);
        match side {
            Side::Source => {
                let changed = self.source.take_changed();
                self.learn(changed);
            }
            Side::Target => self.judge(),
            Side::Named => {}
        }
    }

    fn side(&mut self, side: Side) -> &mut Stock {
        match side {
            Side::Source => &mut self.source,
            Side::Named => &mut self.named,
            Side::Target => &mut self.target,
        }
    }

    /// Goes by everything that changed on the source, and says what has to be read before it is whole.
    pub fn update(&mut self) -> Lack {
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

    /// Notes what became of an object that was read by name, or once more.
    pub fn fetched(&mut self, object: ObjectRef, glimpse: Option<Glimpse>) {
        let was_outdated = self.outdated.remove(&object);
        let is_followed = self.source.get(&object).is_some();
        let stock = if is_followed { &mut self.source } else { &mut self.fetched };
        match glimpse {
            Some(glimpse) => stock.refill(glimpse),
            None => {
                stock.remove(&object);
                self.open = true;
                if !is_followed {
                    self.missing.insert(object.clone());
                }
            }
        }
        let changed = stock.take_changed();
        self.learn(changed);
        let stale = self.stale.get(&object).filter(|object| self.closure.selected.contains(*object)).cloned();
        if let Some(source) = &stale {
            self.resketch(source);
        }
        // Otherwise somebody is about to derive it.
        if was_outdated || stale.is_some() {
            self.make_room(&object);
        }
    }

    fn seen(&self, object: &ObjectRef) -> Option<&Glimpse> {
        self.source.get(object).or_else(|| self.fetched.get(object))
    }

    /// Learns the facts of objects that changed.
    fn learn(&mut self, changed: BTreeSet<Arc<ObjectRef>>) {
        for object in changed {
            let manifest = self.seen(&object).and_then(Glimpse::manifest);
            let facts = manifest.as_ref().and_then(|manifest| Facts::of(manifest, &self.workloads.selector));
            self.open |= self.facts.get(&object) != facts.as_ref() || facts.as_ref().is_some_and(|facts| facts.acts);
            if self.sketches.contains_key(&object) {
                self.stale.insert(Arc::clone(&object));
            }
            match facts {
                Some(facts) => self.facts.insert(Arc::clone(&object), facts),
                None => self.facts.remove(&object),
            };
            if manifest.is_some() && self.is_full() {
                self.resketch(&object);
                self.make_room(&object);
            }
        }
    }

    fn is_full(&self) -> bool {
        self.source.bytes() + self.fetched.bytes() > self.room
    }

    /// Drops the JSON of an object of the source, where there is no room for it.
    fn make_room(&mut self, object: &ObjectRef) {
        if self.is_full() && !kind(&object.kind).is_some_and(Kind::acts) {
            self.source.forget_body(object);
            self.fetched.forget_body(object);
        }
    }

    /// What changed among the names: objects to be read again, objects that are gone, and objects missed before.
    fn look_at_names(&mut self) {
        for object in self.named.take_changed() {
            let version = self.named.get(&object).map(|glimpse| &glimpse.version);
            let known = self.fetched.get(&object).map(|glimpse| &glimpse.version);
            match (known, version) {
                (Some(known), Some(version)) if known != version => _ = self.outdated.insert((*object).clone()),
                (Some(_), None) => self.fetched((*object).clone(), None),
                (None, Some(_)) => self.open |= self.missing.remove(&*object),
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
        self.fetched.retain(belongs);
        let (source, fetched) = (&self.source, &self.fetched);
        self.outdated.retain(|object| fetched.get(object).is_some());
        self.facts.retain(|object, _| source.get(object).is_some() || fetched.get(object).is_some());
        let scaled = closure.selected.iter().filter_map(|object| self.facts.get(object)?.scales.as_deref().cloned());
        let autoscaled: BTreeSet<ObjectRef> = scaled.collect();
        let flipped =
            autoscaled.symmetric_difference(&self.autoscaled).filter_map(|object| closure.selected.get(object));
        self.stale.extend(flipped.cloned());
        self.stale.extend(closure.selected.iter().filter(|object| !self.sketches.contains_key(*object)).cloned());
        self.sketches.retain(|object, _| closure.selected.contains(object));
        self.autoscaled = autoscaled;
        self.order = closure.selected.iter().cloned().collect();
        self.order.sort_by_cached_key(|object| rank(object));
        self.closure = closure;
        self.unexplained = true;
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
        let mut read: BTreeSet<ObjectRef> = there.union(&self.outdated).cloned().collect();
        let stale = self.stale.iter().filter(|object| self.closure.selected.contains(*object));
        read.extend(
            stale.filter(|object| !self.seen(object).is_some_and(Glimpse::has_body)).map(|object| (**object).clone()),
        );
        if read.is_empty() { Lack::Nothing } else { Lack::Objects(read) }
    }

    /// Derives what changed anew.
    fn sketch(&mut self) {
        for object in std::mem::take(&mut self.stale) {
            if self.closure.selected.contains(&object) {
                self.resketch(&object);
                self.make_room(&object);
            }
        }
        if std::mem::take(&mut self.unexplained) {
            self.explain();
        }
    }

    /// Derives one object anew, whose JSON is there.
    fn resketch(&mut self, source: &Arc<ObjectRef>) {
        let Some(Derived { desired, findings, .. }) = self.derive(source) else { return };
        self.stale.remove(source);
        let blocks = findings.into_iter().filter(|finding| finding.severity == Severity::Blocks);
        let problem = |finding| MirrorProblem { object: Some((**source).clone()), finding };
        // What is looked up in the selection goes by the source's names.
        let references = desired.as_ref().map(reference::of).unwrap_or_default();
        let desired = desired.and_then(|desired| self.called_there(desired));
        let share =
            |object: &ObjectRef| if *object == **source { Arc::clone(source) } else { Arc::new(object.clone()) };
        let sketch = Sketch {
            object: desired.as_ref().map(|desired| share(desired.object())),
            api_version: desired.as_ref().map(Desired::api_version).unwrap_or_default().into(),
            blockers: blocks.map(problem).collect(),
            references,
            digest: desired.map(|desired| Print::of(&desired.digest)),
        };
        let (object, digest) = (sketch.object.clone(), sketch.digest);
        let before = self.sketches.get(source);
        self.stirred |= before.map(|before| before.digest) != Some(digest);
        self.unexplained |= !before.is_some_and(|before| before.fits(&sketch));
        self.sketches.insert(Arc::clone(source), sketch);
        if let Some(object) = object {
            self.settle(&object);
        }
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
        self.made.clear();
        for source in &self.order {
            let Some(object) = self.sketches.get(source).and_then(|sketch| sketch.object.clone()) else { continue };
            match self.made_of.entry(Arc::clone(&object)) {
                Entry::Vacant(free) => {
                    free.insert(Arc::clone(source));
                    self.made.push(object);
                }
                Entry::Occupied(taken) => {
                    let finding = taken_already(taken.key());
                    problems.push(MirrorProblem { object: Some((**source).clone()), finding });
                }
            }
        }
        let planned = |to: &ObjectRef| self.made_of.contains_key(&target_of(to, &self.workloads.maps));
        for (from, source) in &self.made_of {
            let Some(sketch) = self.sketches.get(source).filter(|sketch| !sketch.references.is_empty()) else {
                continue;
            };
            let from = ObjectRef { kind: from.kind.clone(), ..(**source).clone() };
            problems.extend(reference::dangling(&from, &sketch.references, planned, &self.closure.left_out));
        }
        self.blockers = problems.iter().filter(|problem| problem.blocks()).map(ToString::to_string).collect();
        let is_pending = |object: &&Arc<ObjectRef>| self.state(object) != Some(ObjectState::InSync);
        self.pending = self.made.iter().filter(is_pending).cloned().collect();
    }

    fn sketch_of(&self, object: &ObjectRef) -> Option<&Sketch> {
        self.sketches.get(self.made_of.get(object)?)
    }

    /// The desired objects, namespaces left out, in the order of writing.
    fn made(&self) -> impl Iterator<Item = &ObjectRef> {
        self.made.iter().map(AsRef::as_ref)
    }

    /// The object of the source that becomes this one, or each that would.
    pub fn on_source(&self, object: &ObjectRef) -> Vec<ObjectRef> {
        self.made_of.get(object).map_or_else(|| sources_of(object, &self.workloads), |source| vec![(**source).clone()])
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
