//! A mirror that is followed: what is watched on both sides, and how it stands. IO.
//!
//! On the source the kinds that act on others are followed whole, of all others only what carries the labels. What is only
//! referred to is followed by name: the metadata of its kind, and the object itself read when it changed, so that
//! a Secret nobody refers to is never read. On the target every mirrored kind is followed; objects are compared when they change.
//!
//! The target is followed once the source is whole, so that what it holds can be compared as it comes and need not be kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::Cluster;
use super::apply::{ObjectState, compare};
use super::collection::Collection;
use super::digest::Print;
use super::error::ClusterError;
use super::follow::{Told, follow};
use super::inventory::label_query;
use super::kind::{KINDS, Kind, kind, read_as};
use super::mapping::namespaces_of;
use super::object::ObjectRef;
use super::plan::{Desired, MirrorPlan, MirrorProblem};
use super::rehearse::try_out;
use super::removal;
use super::replicas::Replicas;
use super::request::{IN_FLIGHT, side_by_side};
use super::standing::{Lack, Side, Standing};
use super::stock::{Event, Glimpse, Place};
use super::workload::workloads;
use crate::migration::snapshot::chain;
use crate::migration::{Applied, MOST_APPLIED};
use crate::policy::Workloads;

/// Events that may wait to be taken in; followers wait when there are more, and servers keep what comes meanwhile.
const QUEUE: usize = 256;

/// Objects read, compared or tried out between two looks at the clock.
const AT_ONCE: usize = 64;

/// Longest wait for the target's own word about what was just applied. It comes within milliseconds; what has not come by then
/// is found by the next look.
const ECHO: Duration = Duration::from_millis(250);

/// How long an object that was looked for on the source and is there, or is somebody else's on the target, is not looked for again.
/// It is followed by no watch, as it left the selection; whoever deletes it later can wait so long for the target.
const LOOKED_FOR: Duration = Duration::from_secs(30);

/// A mirror between two clusters, followed until it is dropped.
pub struct Followed {
    source: Cluster,
    target: Cluster,
    workloads: Workloads,
    standing: Standing,
    tell: mpsc::Sender<Told<Side>>,
    told: mpsc::Receiver<Told<Side>>,
    followers: JoinSet<()>,
    /// Fingerprints that the target was asked about, and what it would refuse of them.
    tried: BTreeMap<ObjectRef, (Print, Vec<MirrorProblem>)>,
    /// Objects that nothing becomes any more and that stay on the target all the same, and when that was found.
    kept: BTreeMap<ObjectRef, Instant>,
    /// Whether something was out of sight when this was last asked.
    blind: bool,
}

impl Followed {
    /// Begins to follow what `workloads` selects.
    pub fn new(source: Cluster, target: Cluster, workloads: &Workloads) -> Self {
        let (tell, told) = mpsc::channel(QUEUE);
        let standing = Standing::new(workloads.clone(), Arc::clone(&target.served));
        let (followers, tried) = (JoinSet::new(), BTreeMap::new());
        let workloads = workloads.clone();
        let (kept, blind) = (BTreeMap::new(), true);
        let mut followed = Self { source, target, workloads, standing, tell, told, followers, tried, kept, blind };
        followed.follow_source();
        followed
    }

    fn follow_source(&mut self) {
        let labels = label_query(&self.workloads.selector);
        for kind in KINDS {
            let read = read_as(*kind, self.source.served(), self.target.served()).cloned();
            let Some(resource) = read else { continue };
            for namespace in self.workloads.namespaces.clone() {
                let labels = if kind.acts() { "" } else { &labels };
                self.follow(Side::Source, Collection::new(&resource, namespace.as_str(), labels));
            }
        }
    }

    /// What becomes another kind on the way is looked for as that one alone.
    fn follow_target(&mut self) {
        for kind in KINDS.iter().filter(|kind| kind.becomes().is_none()) {
            let Ok(resource) = self.target.resource_of(kind.name()).cloned() else { continue };
            let Workloads { namespaces, maps, .. } = &self.workloads;
            let collections = namespaces_of(namespaces, maps).into_iter();
            let collections = collections.map(|namespace| Collection::new(&resource, namespace.as_str(), ""));
            for collection in collections.collect::<Vec<_>>() {
                self.follow(Side::Target, collection);
            }
        }
    }

    fn follow_names(&mut self, places: BTreeSet<Place>) {
        for (name, namespace) in places {
            let read = kind(&name).and_then(|kind| read_as(kind, self.source.served(), self.target.served())).cloned();
            match read {
                Some(resource) => self.follow(Side::Named, Collection::metadata(&resource, &namespace)),
                // What the source does not serve it does not hold.
                None => self.standing.take(Side::Named, &(name, namespace), Event::Live),
            }
        }
    }

    fn follow(&mut self, side: Side, collection: Collection) {
        let place = (collection.resource.kind.clone(), collection.namespace.clone());
        self.standing.expect(side, place);
        self.followers.spawn(follow(self.cluster(side).clone(), collection, side, self.tell.clone()));
    }

    /// Waits until everything was read once, and takes in what changed; or says what is out of sight.
    ///
    /// Can be given up at any time and begun again.
    pub async fn catch_up(&mut self) -> Result<(), String> {
        loop {
            self.take_in();
            self.wait_for(&[Side::Source, Side::Named]).await?;
            match self.standing.update() {
                Lack::Names(places) => self.follow_names(places),
                Lack::Objects(objects) => self.fetch(objects).await.map_err(|error| chain(&error))?,
                Lack::Nothing => break,
            }
        }
        if !self.standing.stock(Side::Target).is_followed() {
            self.follow_target();
        }
        self.wait_for(&[Side::Target]).await?;
        self.compare_rest().await.map_err(|error| chain(&error))?;
        let next: Vec<ObjectRef> = self.standing.pending().take(MOST_APPLIED).cloned().collect();
        self.recall(&next).await.map_err(|error| chain(&error))
    }

    /// Takes in all that was told and is waiting.
    fn take_in(&mut self) {
        while let Ok((side, place, event)) = self.told.try_recv() {
            self.standing.take(side, &place, event);
        }
    }

    /// Waits until nothing on these sides is unread, and says whether all is in sight.
    async fn wait_for(&mut self, sides: &[Side]) -> Result<(), String> {
        while sides.iter().any(|side| self.standing.stock(*side).is_unread()) {
            let Some((side, place, event)) = self.told.recv().await else { break };
            self.standing.take(side, &place, event);
        }
        sides.iter().try_for_each(|side| self.sight(*side, |_| true))
    }

    fn sight(&self, side: Side, of: impl Fn(&str) -> bool) -> Result<(), String> {
        let sight = self.standing.stock(side).sight(of);
        sight.map_err(|why| format!("cluster {}: {why}", self.cluster(side).name()))
    }

    /// Reads objects of the source, some at a time, each looked at as it comes.
    async fn fetch(&mut self, objects: BTreeSet<ObjectRef>) -> Result<(), ClusterError> {
        let (source, target, standing) = (&self.source, &self.target, &mut self.standing);
        let reads = objects.into_iter().map(|object| async move {
            let resource = kind(&object.kind).and_then(|kind| read_as(kind, source.served(), target.served()));
            let resource = resource.ok_or_else(|| source.not_served("", &object.kind))?;
            let manifest = source.get(resource, &object).await?;
            Ok::<_, ClusterError>((object, manifest.map(Glimpse::whole)))
        });
        let reads: Vec<_> = reads.collect();
        let mut reads = stream::iter(reads).buffer_unordered(IN_FLIGHT);
        while let Some((object, glimpse)) = reads.try_next().await? {
            standing.fetched(object, glimpse);
        }
        Ok(())
    }

    /// Sees to it that some desired objects can be derived, where the JSON of what they are made of is kept no more.
    async fn recall(&mut self, objects: &[ObjectRef]) -> Result<(), ClusterError> {
        let bare = self.standing.without_body(objects.iter());
        if bare.is_empty() { Ok(()) } else { self.fetch(bare).await }
    }

    /// What this migration brought to the target, the source has lost, and is nobody else's: each looked for anew. Only after
    /// [`Self::catch_up`], in the order of writing.
    pub async fn gone(&mut self, applied: &Applied) -> Result<Vec<ObjectRef>, ClusterError> {
        let now = Instant::now();
        let mut left = self.standing.left_behind(applied);
        self.kept.retain(|object, since| now.duration_since(*since) < LOOKED_FOR && left.contains(object));
        left.retain(|object| !self.kept.contains_key(object));
        if left.is_empty() {
            return Ok(left);
        }
        let gone = removal::gone(&self.source, &self.target, &self.workloads, &left).await?;
        let kept = left.iter().filter(|object| !gone.contains(object));
        self.kept.extend(kept.map(|object| (object.clone(), now)));
        left.retain(|object| gone.contains(object));
        Ok(left)
    }

    /// Reads and compares what could not be compared as it came, and looks at what is not followed.
    async fn compare_rest(&mut self) -> Result<(), ClusterError> {
        for some in self.standing.unjudged().chunks(AT_ONCE) {
            let names: Vec<ObjectRef> = some.iter().map(|(_, object)| object.clone()).collect();
            self.recall(&names).await?;
            let target = &self.target;
            let reads = some.iter().map(|(version, object)| async move {
                Ok((object, target.get(target.resource(version, &object.kind)?, object).await?))
            });
            for (object, live) in side_by_side(reads).await? {
                self.standing.judge_read(object, live);
            }
        }
        let objects = self.standing.unfollowed();
        let states = compare(&self.target, &MirrorPlan { objects, problems: Vec::new() }).await?;
        self.standing.note_unfollowed(&states);
        Ok(())
    }

    /// Waits a moment for the target's own word about what was just written.
    pub async fn await_echo(&mut self, applied: &[ObjectRef]) {
        let end = Instant::now() + ECHO;
        loop {
            self.take_in();
            let heard =
                |object: &ObjectRef| self.standing.state(object).is_none_or(|state| state == ObjectState::InSync);
            if applied.iter().all(heard) {
                return;
            }
            let Ok(Some((side, place, event))) = timeout_at(end, self.told.recv()).await else { return };
            self.standing.take(side, &place, event);
        }
    }

    /// Waits until something has to be done that was not known at the last look, or all is in sight again.
    pub async fn stirred(&mut self) {
        loop {
            let told = self.told.recv().await;
            let Some((side, place, event)) = told else { return std::future::pending().await };
            self.standing.take(side, &place, event);
            self.take_in();
            let sides = [Side::Source, Side::Named, Side::Target];
            let blind = sides.iter().any(|side| self.standing.stock(*side).sight(|_| true).is_err());
            let appeared = std::mem::replace(&mut self.blind, blind) && !blind;
            if blind {
                continue;
            }
            let lack = self.standing.update();
            if self.standing.take_stirred() || appeared || lack != Lack::Nothing {
                return;
            }
        }
    }

    /// Asks the target about everything it does not hold yet; can be given up at any time and goes on there. Objects of a namespace
    /// that does not exist yet cannot be tried out.
    pub async fn try_out(&mut self) -> Result<(), ClusterError> {
        for some in self.untried().chunks(AT_ONCE) {
            self.recall(some).await?;
            let (target, standing) = (&self.target, &self.standing);
            let asked = some.iter().filter_map(|object| standing.desired(object)).map(|desired| async move {
                let problems = try_out(target, &desired).await?;
                Ok((desired.object().clone(), (Print::of(&desired.digest), problems)))
            });
            let answers = side_by_side(asked).await?;
            self.tried.extend(answers);
        }
        Ok(())
    }

    /// Objects that the target could be asked about and was not yet.
    pub fn untried(&self) -> Vec<ObjectRef> {
        let is_tried = |object: &ObjectRef| {
            let tried = self.tried.get(object).map(|(digest, _)| *digest);
            tried.is_some() && tried == self.standing.digest(object)
        };
        let possible = self.standing.pending().filter(|object| self.standing.has_home(object));
        possible.filter(|object| !is_tried(object)).cloned().collect()
    }

    /// What the target would refuse, as far as it was asked, in a sentence each.
    pub fn refused(&self) -> Vec<String> {
        let current = self.tried.iter().filter(|(object, (digest, _))| self.standing.digest(object) == Some(*digest));
        let problems = current.flat_map(|(_, (_, problems))| problems).filter(|problem| problem.blocks());
        problems.map(ToString::to_string).collect()
    }

    /// Forgets what the target said: it was asked before the first write, and is asked again where that comes again.
    pub fn forget_tried(&mut self) {
        self.tried.clear();
    }

    /// How far workloads are with their pods: those that are mirrored, and `others`, which may have left the selection since.
    pub async fn replicas<'a>(
        &'a self,
        side: Side,
        others: impl Iterator<Item = &'a ObjectRef>,
    ) -> Result<BTreeMap<ObjectRef, Replicas>, String> {
        let stock = self.standing.stock(side);
        if !stock.is_followed() {
            return Err(format!("cluster {} has not been read yet", self.cluster(side).name()));
        }
        self.sight(side, |name| kind(name).is_some_and(Kind::is_sized))?;
        let asked: BTreeSet<&ObjectRef> = self.standing.workloads().chain(others).collect();
        let mut found = BTreeMap::new();
        let mut unseen = Vec::new();
        for object in asked {
            let there = if side == Side::Source { self.standing.on_source(object) } else { vec![object.clone()] };
            match there.iter().find_map(|there| stock.get(there)) {
                Some(glimpse) if glimpse.deleting => {}
                Some(glimpse) => found.extend(glimpse.replicas.map(|replicas| (object.clone(), replicas))),
                None if side == Side::Source => unseen.extend(there.into_iter().map(|there| (object, there))),
                None => {}
            }
        }
        let asked: Vec<ObjectRef> = unseen.iter().map(|(_, there)| there.clone()).collect();
        let mut read = workloads(self.cluster(side), &asked).await.map_err(|error| chain(&error))?;
        found.extend(unseen.into_iter().filter_map(|(object, there)| Some((object.clone(), read.remove(&there)?))));
        Ok(found)
    }

    /// Has an object kept on the target that comes from no source, from the next time it catches up on.
    pub fn keep_aside(&mut self, aside: Option<Desired>) {
        self.standing.keep_aside(aside);
    }

    /// How everything stands. Only what [`Self::catch_up`] found whole is worth anything.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The source and the target.
    pub fn clusters(&self) -> (&Cluster, &Cluster) {
        (&self.source, &self.target)
    }

    fn cluster(&self, side: Side) -> &Cluster {
        if side == Side::Target { &self.target } else { &self.source }
    }
}

#[cfg(test)]
mod tests;
