//! What a cluster holds of the collections that are followed. PURE.
//!
//! Ten thousand objects are kept, so each is kept small: its name once for all who keep it, its JSON as text, without what servers add,
//! and no text at all once nobody has to read it any more. What followers tell is taken in here; a collection whose follower has lost
//! sight of the server is not live, and whoever asks for it is told why instead of what was there before.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde_json::Value;

use super::digest::{DIGEST_ANNOTATION, Print};
use super::job::is_asleep;
use super::kind::{Kind, kind};
use super::manifest::Manifest;
use super::object::ObjectRef;
use super::replicas::Replicas;
use super::scrub::OF_THE_CLUSTER;

/// What of the metadata is kept.
const KEPT: &[&str] = &["name", "namespace", "labels", "annotations", "ownerReferences", "deletionTimestamp"];

/// One object as it was last seen.
#[derive(Debug, Clone)]
pub struct Glimpse {
    /// Which object.
    pub object: Arc<ObjectRef>,
    /// The version the server gave it.
    pub version: Box<str>,
    /// The fingerprint it carries, where it is a mirrored one.
    pub digest: Option<Print>,
    /// Its pods, where it is a workload.
    pub replicas: Option<Replicas>,
    /// Whether it is suspended, where it is a CronJob.
    pub asleep: Option<bool>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Of a mirrored one: whether it holds everything that is desired by the fingerprint it carries. Not asked yet: `None`.
    pub covered: Option<bool>,
    /// Whether it was in sync with the source at any time since it is followed.
    pub was_in_sync: bool,
    /// The JSON; dropped where nobody has to read it any more, and never there where only metadata were asked for.
    body: Option<Body>,
    /// Tells one state of what is kept from another.
    print: u64,
}

/// JSON whose `Debug` shows nothing: it may be a Secret. Those who heard of an object from one watch keep it together.
#[derive(Clone)]
struct Body(Arc<str>);

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Glimpse {
    /// An object as a server showed it.
    pub fn whole(manifest: Manifest) -> Self {
        let mut glimpse = Self::metadata(&manifest);
        let is_sized = kind(&glimpse.object.kind).is_some_and(Kind::is_sized);
        glimpse.replicas = is_sized.then(|| Replicas::of(&manifest));
        glimpse.asleep = (glimpse.object.kind == "CronJob").then(|| is_asleep(manifest.value()));
        let text: Arc<str> = lean(manifest.into_value()).to_string().into();
        glimpse.print = print(&text);
        glimpse.body = Some(Body(text));
        glimpse
    }

    /// The same of which only the metadata were asked for.
    pub fn metadata(manifest: &Manifest) -> Self {
        let version: Box<str> = manifest.resource_version().unwrap_or_default().into();
        Self {
            object: Arc::new(manifest.object().clone()),
            print: print(&version),
            version,
            digest: manifest.annotation(DIGEST_ANNOTATION).map(Print::of),
            replicas: None,
            asleep: None,
            deleting: manifest.is_deleting(),
            covered: None,
            was_in_sync: false,
            body: None,
        }
    }

    /// As much of an object as was asked for.
    pub fn of(manifest: Manifest, only_metadata: bool) -> Self {
        if only_metadata { Self::metadata(&manifest) } else { Self::whole(manifest) }
    }

    /// What is left where only the metadata are asked for.
    pub fn only_metadata(&self) -> Self {
        Self { replicas: None, asleep: None, body: None, print: print(&self.version), ..self.clone() }
    }

    /// The object, where its JSON is still there.
    pub fn manifest(&self) -> Option<Manifest> {
        Manifest::new(serde_json::from_str(&self.body.as_ref()?.0).ok()?)
    }

    /// Notes how it compares with what is desired of it.
    pub fn compared(&mut self, covered: Option<bool>) {
        self.covered = covered;
        self.was_in_sync |= covered == Some(true);
    }

    /// Whether its JSON is still there.
    pub fn has_body(&self) -> bool {
        self.body.is_some()
    }

    /// Bytes of its JSON.
    fn bytes(&self) -> usize {
        self.body.as_ref().map_or(0, |body| body.0.len())
    }
}

fn print(text: &str) -> u64 {
    let mut hash = DefaultHasher::new();
    text.hash(&mut hash);
    hash.finish()
}

/// An object without what changes by itself or is of no use here.
fn lean(mut body: Value) -> Value {
    if let Some(object) = body.as_object_mut() {
        object.remove("status");
        if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
            metadata.retain(|key, _| KEPT.contains(&key.as_str()));
            if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
                annotations.retain(|key, _| !OF_THE_CLUSTER.contains(&key.as_str()));
            }
        }
    }
    body
}

/// One collection: kind and namespace.
pub type Place = (String, String);

/// What a follower tells.
#[derive(Debug)]
pub enum Event {
    /// Some of what the collection holds, on its way to all of it.
    Some(Vec<Glimpse>),
    /// All of it was told by now: these names, and no others.
    Whole(BTreeSet<String>),
    /// An object that is new or has changed.
    Put(Glimpse),
    /// An object that is there no more, or is no longer asked for.
    Gone(ObjectRef),
    /// The server is in sight again, and nothing was missed.
    Live,
    /// The server is out of sight, and why.
    Lost(String),
}

/// All collections that are followed on one side.
#[derive(Debug, Default)]
pub struct Stock {
    objects: BTreeMap<Arc<ObjectRef>, Glimpse>,
    /// Bytes of the JSON of all of them.
    bytes: usize,
    /// Whether the server of each collection is in sight; not read yet: `None`.
    sights: BTreeMap<Place, Option<Result<(), String>>>,
    changed: BTreeSet<Arc<ObjectRef>>,
}

impl Stock {
    /// A collection is going to be told about.
    pub fn expect(&mut self, place: Place) {
        self.sights.entry(place).or_insert(None);
    }

    /// Whether a collection is told about at all.
    pub fn expects(&self, kind: &str, namespace: &str) -> bool {
        self.sights.contains_key(&(kind.to_owned(), namespace.to_owned()))
    }

    /// Takes in what a follower tells.
    pub fn take(&mut self, place: &Place, event: Event) {
        match event {
            Event::Some(glimpses) => glimpses.into_iter().for_each(|glimpse| self.put(glimpse)),
            Event::Whole(names) => self.retain_named(place, &names),
            Event::Put(glimpse) => self.put(glimpse),
            Event::Gone(object) => self.remove(&object),
            Event::Live => self.see(place, Ok(())),
            Event::Lost(why) => self.see(place, Err(why)),
        }
    }

    fn see(&mut self, place: &Place, sight: Result<(), String>) {
        self.sights.insert(place.clone(), Some(sight));
    }

    fn retain_named(&mut self, place: &Place, names: &BTreeSet<String>) {
        let (kind, namespace) = place;
        let first = ObjectRef::new(kind, namespace, "");
        let known = self.objects.range(first..).map(|(object, _)| object);
        let known = known.take_while(|object| object.kind == *kind && object.namespace == *namespace);
        let gone: Vec<_> = known.filter(|object| !names.contains(&object.name)).cloned().collect();
        gone.iter().for_each(|object| self.remove(object));
        self.see(place, Ok(()));
    }

    /// Takes an object in. One in which nothing changed that is kept stays as it is, with what is known of it.
    pub fn put(&mut self, glimpse: Glimpse) {
        match self.objects.get_mut(&glimpse.object) {
            Some(known) if known.print == glimpse.print => {
                known.version = glimpse.version;
                known.replicas = glimpse.replicas;
            }
            Some(known) => {
                let (object, was_in_sync) = (Arc::clone(&known.object), known.was_in_sync);
                self.bytes = self.bytes - known.bytes() + glimpse.bytes();
                *known = Glimpse { object: Arc::clone(&object), was_in_sync, ..glimpse };
                self.changed.insert(object);
            }
            None => {
                self.bytes += glimpse.bytes();
                self.changed.insert(Arc::clone(&glimpse.object));
                self.objects.insert(Arc::clone(&glimpse.object), glimpse);
            }
        }
    }

    /// The same of one that was read for the sake of its JSON, which is kept then.
    pub fn refill(&mut self, mut glimpse: Glimpse) {
        let known =
            self.objects.get_mut(&glimpse.object).filter(|known| known.print == glimpse.print && !known.has_body());
        if let Some(known) = known {
            self.bytes += glimpse.bytes();
            known.body = glimpse.body.take();
        }
        self.put(glimpse);
    }

    /// Drops the JSON of an object.
    pub fn forget_body(&mut self, object: &ObjectRef) {
        if let Some(known) = self.objects.get_mut(object) {
            self.bytes -= known.bytes();
            known.body = None;
        }
    }

    /// Bytes of the JSON that is kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes an object out.
    pub fn remove(&mut self, object: &ObjectRef) {
        if let Some((object, glimpse)) = self.objects.remove_entry(object) {
            self.bytes -= glimpse.bytes();
            self.changed.insert(object);
        }
    }

    /// Takes out, without a word, what is of no use any more.
    pub fn retain(&mut self, is_of_use: impl Fn(&ObjectRef) -> bool) {
        let bytes = &mut self.bytes;
        self.objects.retain(|object, glimpse| {
            let stays = is_of_use(object);
            *bytes -= if stays { 0 } else { glimpse.bytes() };
            stays
        });
    }

    /// Every object.
    pub fn glimpses(&self) -> impl Iterator<Item = &Glimpse> {
        self.objects.values()
    }

    /// One object.
    pub fn get(&self, object: &ObjectRef) -> Option<&Glimpse> {
        self.objects.get(object)
    }

    /// One object, to note something about it.
    pub fn get_mut(&mut self, object: &ObjectRef) -> Option<&mut Glimpse> {
        self.objects.get_mut(object)
    }

    /// The objects that changed since they were last asked for.
    pub fn take_changed(&mut self) -> BTreeSet<Arc<ObjectRef>> {
        std::mem::take(&mut self.changed)
    }

    /// Whether anything is told about at all.
    pub fn is_followed(&self) -> bool {
        !self.sights.is_empty()
    }

    /// Whether a collection has not been read for the first time yet.
    pub fn is_unread(&self) -> bool {
        self.sights.values().any(Option::is_none)
    }

    /// Whether every collection of the kinds asked for is in sight, or why one is not.
    pub fn sight(&self, of: impl Fn(&str) -> bool) -> Result<(), String> {
        let asked = self.sights.iter().filter(|((kind, _), _)| of(kind));
        let why = |sight: &Option<Result<(), String>>| match sight {
            None => Some("they have not been read yet".to_owned()),
            Some(Err(why)) => Some(why.clone()),
            Some(Ok(())) => None,
        };
        let mut blind = asked.filter_map(|(place, sight)| Some((place, why(sight)?)));
        match blind.next() {
            Some(((kind, namespace), why)) => Err(format!("{kind} objects of namespace {namespace}: {why}")),
            None => Ok(()),
        }
    }
}
