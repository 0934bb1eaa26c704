//! The objects of one cluster and the history of their changes. IO (memory shared between tasks).
//!
//! Every change takes the next version of one counter and joins one log, so a watch is nothing but a
//! position in that log: it cannot miss a change, and one that has fallen behind the log's start is
//! told so. Objects are kept as they were written; `convert` shows them in other versions.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::watch;

/// Changes remembered by default: enough for every test and for the demo, little enough to forget.
pub(super) const HISTORY: usize = 4096;

/// Which object. Kinds are told apart by their plural alone, because one kind keeps its objects when it
/// is served in several groups, as Ingress is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) plural: &'static str,
    pub(super) namespace: String,
    pub(super) name: String,
}

/// One change: what was there before, and what is there now.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) version: u64,
    pub(super) key: Key,
    pub(super) before: Option<Arc<Value>>,
    /// For a deletion, the object as it went, with the version of the deletion.
    pub(super) after: Arc<Value>,
    pub(super) deleted: bool,
}

/// A version that the log no longer, or not yet, reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutOfReach {
    /// Older than the log; holds the oldest version it reaches.
    Forgotten(u64),
    /// Newer than the newest change; holds that one's version.
    Future(u64),
}

/// Clusters of this process so far: no two of them give out the same UIDs.
static CLUSTERS: AtomicU32 = AtomicU32::new(0);

/// All objects of a cluster.
#[derive(Debug)]
pub(super) struct Store {
    state: Mutex<State>,
    newest: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    objects: BTreeMap<Key, Arc<Value>>,
    log: VecDeque<Change>,
    capacity: usize,
    /// Version of the newest change that the log has forgotten.
    forgotten: u64,
    version: u64,
    /// Which cluster of this process it is.
    cluster: u32,
    uids: u64,
}

/// The objects at one moment, locked, and the way to change them.
pub(super) struct Transaction<'a> {
    state: MutexGuard<'a, State>,
    newest: &'a watch::Sender<u64>,
}

impl Store {
    pub(super) fn new(capacity: usize) -> Self {
        let (objects, log) = (BTreeMap::new(), VecDeque::new());
        let cluster = CLUSTERS.fetch_add(1, Ordering::Relaxed);
        let state = State { objects, log, capacity, forgotten: 0, version: 1, cluster, uids: 0 };
        Self { state: Mutex::new(state), newest: watch::Sender::new(1) }
    }

    /// Locks the store; whatever is read and written until the transaction ends is one step.
    pub(super) fn begin(&self) -> Transaction<'_> {
        Transaction { state: self.lock(), newest: &self.newest }
    }

    /// The object, as it is now.
    pub(super) fn get(&self, key: &Key) -> Option<Arc<Value>> {
        self.lock().objects.get(key).cloned()
    }

    /// Objects of a kind in a namespace, or in all of them where it is empty, as they are now.
    pub(super) fn list(&self, plural: &str, namespace: &str) -> (u64, Vec<(Key, Arc<Value>)>) {
        let state = self.lock();
        let objects = state.objects.iter().filter(|(key, _)| key.is_in(plural, namespace));
        (state.version, objects.map(|(key, object)| (key.clone(), Arc::clone(object))).collect())
    }

    /// The same as they were at `version`.
    pub(super) fn list_at(
        &self,
        plural: &str,
        namespace: &str,
        version: u64,
    ) -> Result<Vec<(Key, Arc<Value>)>, OutOfReach> {
        let state = self.lock();
        state.reach(version)?;
        let mut objects = state.objects.clone();
        for change in state.log.iter().rev().take_while(|change| change.version > version) {
            match &change.before {
                Some(before) => objects.insert(change.key.clone(), Arc::clone(before)),
                None => objects.remove(&change.key),
            };
        }
        Ok(objects.into_iter().filter(|(key, _)| key.is_in(plural, namespace)).collect())
    }

    /// Changes of a kind after `version`, oldest first, and the version they lead to.
    pub(super) fn changes(
        &self,
        plural: &str,
        namespace: &str,
        version: u64,
    ) -> Result<(u64, Vec<Change>), OutOfReach> {
        let state = self.lock();
        match state.reach(version) {
            // A watch may start in the future; it has nothing to tell until then.
            Err(OutOfReach::Future(_)) => return Ok((version, Vec::new())),
            reach => reach?,
        }
        let start = state.log.partition_point(|change| change.version <= version);
        let news = state.log.range(start..).filter(|change| change.key.is_in(plural, namespace));
        Ok((state.version, news.cloned().collect()))
    }

    /// Tells the version of the newest change, and wakes when it grows.
    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Forgets all history: every older version is now out of reach.
    pub(super) fn compact(&self) {
        let mut state = self.lock();
        state.log.clear();
        // Something happened that nobody was told of: whoever was up to date until now is not any more.
        state.version += 1;
        state.forgotten = state.version;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transaction<'_> {
    /// The object, as it is in this transaction.
    pub(super) fn get(&self, key: &Key) -> Option<&Arc<Value>> {
        self.state.objects.get(key)
    }

    /// Keys of everything in a namespace.
    pub(super) fn keys_in(&self, namespace: &str) -> Vec<Key> {
        self.state.objects.keys().filter(|key| key.namespace == namespace).cloned().collect()
    }

    /// A UID of no other object, in this cluster or another one.
    pub(super) fn uid(&mut self) -> String {
        let (cluster, uid) = (self.state.cluster, self.next_uid());
        format!("{cluster:08x}-0000-4000-8000-{uid:012x}")
    }

    /// A number no object of this cluster had before.
    pub(super) fn next_uid(&mut self) -> u64 {
        self.state.uids += 1;
        self.state.uids
    }

    /// Puts the object in place with the next version, and returns it as it is kept.
    pub(super) fn put(&mut self, key: Key, mut object: Value) -> Arc<Value> {
        let version = self.state.stamp(&mut object);
        let after = Arc::new(object);
        let before = self.state.objects.insert(key.clone(), Arc::clone(&after));
        self.record(Change { version, key, before, after: Arc::clone(&after), deleted: false });
        after
    }

    /// Removes the object, and returns it as it went.
    pub(super) fn remove(&mut self, key: &Key) -> Option<Arc<Value>> {
        let before = self.state.objects.remove(key)?;
        let mut object = Value::clone(&before);
        let version = self.state.stamp(&mut object);
        let after = Arc::new(object);
        let change =
            Change { version, key: key.clone(), before: Some(before), after: Arc::clone(&after), deleted: true };
        self.record(change);
        Some(after)
    }

    fn record(&mut self, change: Change) {
        let version = change.version;
        self.state.log.push_back(change);
        if self.state.log.len() > self.state.capacity
            && let Some(oldest) = self.state.log.pop_front()
        {
            self.state.forgotten = oldest.version;
        }
        self.newest.send_replace(version);
    }
}

impl State {
    fn stamp(&mut self, object: &mut Value) -> u64 {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.version
    }

    fn reach(&self, version: u64) -> Result<(), OutOfReach> {
        if version < self.forgotten {
            Err(OutOfReach::Forgotten(self.forgotten))
        } else if version > self.version {
            Err(OutOfReach::Future(self.version))
        } else {
            Ok(())
        }
    }
}

impl Key {
    fn is_in(&self, plural: &str, namespace: &str) -> bool {
        self.plural == plural && (namespace.is_empty() || self.namespace == namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key(name: &str) -> Key {
        Key { plural: "configmaps", namespace: "shop".into(), name: name.into() }
    }

    fn names(objects: &[(Key, Arc<Value>)]) -> Vec<&str> {
        objects.iter().map(|(key, _)| key.name.as_str()).collect()
    }

    #[test]
    fn remembers_what_was() {
        let store = Store::new(HISTORY);
        store.begin().put(key("a"), json!({}));
        let (then, _) = store.list("configmaps", "");
        store.begin().put(key("b"), json!({}));
        store.begin().remove(&key("a"));
        assert_eq!(names(&store.list("configmaps", "").1), ["b"]);
        assert_eq!(names(&store.list_at("configmaps", "shop", then).unwrap()), ["a"]);
        let (version, changes) = store.changes("configmaps", "", then).unwrap();
        assert_eq!(version, store.list("configmaps", "").0);
        assert_eq!(changes.iter().map(|change| change.deleted).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn says_what_it_forgot() {
        let store = Store::new(2);
        for name in ["a", "b", "c", "d"] {
            store.begin().put(key(name), json!({}));
        }
        assert_eq!(store.changes("configmaps", "", 1).unwrap_err(), OutOfReach::Forgotten(3));
        assert_eq!(store.changes("configmaps", "", 3).unwrap().1.len(), 2);
        store.compact();
        assert_eq!(store.changes("configmaps", "", 3).unwrap_err(), OutOfReach::Forgotten(6));
        assert_eq!(store.list_at("configmaps", "", 9).unwrap_err(), OutOfReach::Future(6));
    }
}
