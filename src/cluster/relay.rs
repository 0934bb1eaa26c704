//! One watch for everybody who follows the same objects. IO.
//!
//! Each follower reads for itself what it wants and then listens here, from the version of its list on. The first one has the watch
//! begun; the last one that goes ends it. Where many migrations use a cluster ([`Relays::for_many`]), a watch is of everything of a
//! kind and namespace, and each follower keeps what carries its labels: a namespace costs its server one watch a kind, however
//! many migrations are made of it. Secrets are the exception: what nobody refers to or labels is not read, so they are watched
//! by labels, and by metadata.
//!
//! Not wider than a namespace: a migration's rights end there, and so does what of a cluster it may read.
//!
//! **Nothing is missed.** Who listens first and reads then has read at least what was told before, as lists are
//! consistent. What was told twice is known by its version. One that read less than the watch began with reads again, and so
//! does one that takes in less than is told; where it listens alone, the watch waits for it instead.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use http_body_util::BodyExt;
use kube::api::WatchParams;
use kube::client::Body;
use kube::core::Request as Path;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::Cluster;
use super::call::Call;
use super::collection::Collection;
use super::error::ClusterError;
use super::follow::{ATTEMPTS, pause};
use super::manifest::Manifest;
use super::request::forget_owners;
use super::stock::Glimpse;
use crate::migration::snapshot::chain;

/// How long a watch is asked to last: long enough to cost nothing, short enough that a dead one is soon found out.
const WATCH: Duration = Duration::from_secs(20);

/// How much longer it may take to end: the time a busy server needs for it.
const GRACE: Duration = Duration::from_secs(5);

/// A server that ends watches sooner than this is not asked for the next one at once.
const SHORTEST: Duration = Duration::from_millis(250);

/// Longest line of a watch. Servers store no object of more than a few MiB.
const LONGEST_LINE: usize = 16 << 20;

/// Words that may wait for a follower: what comes of a pass that writes all it may.
const QUEUE: usize = 512;

/// What a watch tells.
#[derive(Debug, Clone)]
pub enum Said {
    /// An object that is new or has changed.
    Put(Arc<Change>),
    /// An object that is there no more.
    Gone(Arc<Change>),
    /// The server is in sight again, and nothing was missed.
    Live,
    /// The server is out of sight, and why.
    Lost(Arc<str>),
    /// The watch has ended for good; what it would have told has to be read.
    Over(Arc<ClusterError>),
}

/// An object as a watch told it.
#[derive(Debug)]
pub struct Change {
    /// The version it was told with; `None` where that is no number.
    pub version: Option<u64>,
    /// The object.
    pub glimpse: Glimpse,
    /// Its labels.
    pub labels: Map<String, Value>,
}

/// What is told, and by which watch: a relay begins anew where one has ended.
#[derive(Debug, Clone)]
pub struct Word {
    /// The watch.
    pub run: u64,
    /// What it said.
    pub said: Said,
}

/// A version as a number. Kubernetes calls versions of one kind comparable by number, and each server's have always been.
pub fn number(version: &str) -> Option<u64> {
    version.parse().ok()
}

/// The watches of one cluster.
#[derive(Debug, Clone)]
pub struct Relays {
    open: Arc<Mutex<HashMap<Watched, Weak<Relay>>>>,
    /// Turns at reading pages of lists.
    turns: Arc<Semaphore>,
    /// Whether watches are of everything of a kind and namespace.
    for_many: bool,
}

/// Which collection: path, label selector, and whether it is of metadata only.
type Watched = (String, String, bool);

/// Pages of lists that are read at a time.
const TURNS: usize = 4;

impl Default for Relays {
    fn default() -> Self {
        Self { open: Arc::default(), turns: Arc::new(Semaphore::new(TURNS)), for_many: false }
    }
}

impl Relays {
    /// A turn at reading a page of a list; it ends when it is dropped.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed; if it were, nobody would have to wait.
        self.turns.acquire().await.ok()
    }

    /// Of a cluster that many migrations use.
    pub fn for_many() -> Self {
        Self { for_many: true, ..Self::default() }
    }

    /// Collections that somebody follows.
    #[cfg(test)]
    pub fn live(&self) -> usize {
        lock(&self.open).values().filter(|relay| relay.strong_count() > 0).count()
    }

    /// Whether anybody else uses these watches, or could.
    pub fn is_used(&self) -> bool {
        Arc::strong_count(&self.open) > 1
    }

    /// The relay whose watch tells of everything in a collection.
    pub fn of(&self, collection: &Collection) -> Arc<Relay> {
        let collection = if self.for_many { collection.widened() } else { collection.clone() };
        let watched = (collection.path(), collection.labels.clone(), collection.only_metadata);
        let mut open = lock(&self.open);
        open.retain(|_, relay| relay.strong_count() > 0);
        if let Some(relay) = open.get(&watched).and_then(Weak::upgrade) {
            return relay;
        }
        let relay = Arc::new(Relay { collection, state: Arc::default(), watch: Mutex::default() });
        open.insert(watched, Arc::downgrade(&relay));
        relay
    }
}

/// One watch, and who listens to it. It ends when nobody holds it any more.
#[derive(Debug)]
pub struct Relay {
    /// What is watched.
    pub collection: Collection,
    state: Arc<Mutex<State>>,
    /// The watch under way; dropping it ends that.
    watch: Mutex<JoinSet<()>>,
}

#[derive(Debug, Default)]
struct State {
    listeners: Vec<mpsc::Sender<Word>>,
    run: u64,
    /// The version that the watch under way began after.
    since: Option<String>,
}

/// Why a follower cannot listen from the version it has read.
#[derive(Debug, PartialEq, Eq)]
pub enum Unheard {
    /// The watch began after a later one.
    Older,
    /// It cannot be said which of the two is the later one.
    NoNumber,
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Relay {
    /// Listens, from now on. The end of what is told without [`Said::Over`] means that too much was left lying.
    pub fn listen(&self) -> mpsc::Receiver<Word> {
        let (tell, told) = mpsc::channel(QUEUE);
        lock(&self.state).listeners.push(tell);
        told
    }

    /// Has the watch begun, after a version that was read since one listens, unless it is under way; says which watch that is.
    pub fn begin(&self, cluster: &Cluster, version: &str) -> Result<u64, Unheard> {
        let mut state = lock(&self.state);
        if let Some(since) = &state.since {
            return match (number(version), number(since)) {
                (Some(read), Some(since)) if read >= since => Ok(state.run),
                (Some(_), Some(_)) => Err(Unheard::Older),
                _ if version == since => Ok(state.run),
                _ => Err(Unheard::NoNumber),
            };
        }
        state.run += 1;
        state.since = Some(version.to_owned());
        let watcher = Watcher {
            cluster: cluster.clone(),
            collection: self.collection.clone(),
            run: state.run,
            state: Arc::clone(&self.state),
            lost: false,
        };
        let mut watch = lock(&self.watch);
        // The one before says last that it has ended.
        watch.detach_all();
        watch.spawn(watcher.run(version.to_owned()));
        Ok(state.run)
    }
}

/// The watch itself.
struct Watcher {
    cluster: Cluster,
    collection: Collection,
    run: u64,
    state: Arc<Mutex<State>>,
    /// Whether it has told that the server is out of sight.
    lost: bool,
}

/// One line of a watch.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    event: String,
    object: Value,
}

impl Watcher {
    async fn run(mut self, version: String) {
        let error = self.watch(version).await;
        // Who begins to listen from here on has another watch begun.
        let listeners = {
            let mut state = lock(&self.state);
            state.since = None;
            std::mem::take(&mut state.listeners)
        };
        self.tell(listeners, Said::Over(Arc::new(error))).await;
    }

    async fn say(&self, said: Said) {
        let listeners = std::mem::take(&mut lock(&self.state).listeners);
        self.tell(listeners, said).await;
    }

    /// Tells everybody, and lets go of those who left too much lying, or left.
    async fn tell(&self, mut listeners: Vec<mpsc::Sender<Word>>, said: Said) {
        let word = Word { run: self.run, said };
        listeners.retain(|listener| !listener.is_closed());
        if let [alone] = &listeners[..] {
            // One that has left is taken out with the next word.
            let _ = alone.send(word).await;
        } else {
            listeners.retain(|listener| listener.try_send(word.clone()).is_ok());
        }
        // Those who came meanwhile have not read yet what was told just now.
        lock(&self.state).listeners.append(&mut listeners);
    }

    async fn lose(&mut self, error: &ClusterError) {
        self.lost = true;
        self.say(Said::Lost(chain(error).into())).await;
    }

    /// Watches from a version on, as long as that is possible; says why it is not any more.
    async fn watch(&mut self, mut version: String) -> ClusterError {
        let mut failures = 0;
        loop {
            let (begun, before) = (Instant::now(), version.clone());
            let outcome = self.watch_once(&mut version).await;
            if version != before {
                failures = 0;
            }
            match outcome {
                Ok(()) if begun.elapsed() < SHORTEST => sleep(SHORTEST).await,
                Ok(()) => {}
                Err(error @ (ClusterError::Changed { .. } | ClusterError::Forbidden { .. })) => return error,
                Err(error) if failures < ATTEMPTS => {
                    self.lose(&error).await;
                    sleep(pause(failures, &error)).await;
                    failures += 1;
                }
                Err(error) => return error,
            }
        }
    }

    /// One watch, until the server ends it.
    async fn watch_once(&mut self, version: &mut String) -> Result<(), ClusterError> {
        let call = self.collection.call("watch");
        let end = Instant::now() + WATCH + GRACE;
        let params = WatchParams {
            label_selector: self.collection.label_selector(),
            timeout: u32::try_from(WATCH.as_secs()).ok(),
            ..WatchParams::default()
        };
        let path = Path::new(self.collection.path());
        let request = match self.collection.only_metadata {
            true => path.watch_metadata(&params, version),
            false => path.watch(&params, version),
        };
        let answer = self.cluster.in_time(&call, self.cluster.open(&call, request)).await?;
        if self.lost {
            self.lost = false;
            self.say(Said::Live).await;
        }
        let mut lines = Lines { body: answer.into_body(), buffer: Vec::new(), searched: 0 };
        loop {
            let line = timeout_at(end, lines.next(&self.cluster, &call)).await;
            let line = line.map_err(|_| self.cluster.timed_out(&call, WATCH + GRACE))?;
            let Some(line) = line? else { return Ok(()) };
            self.told(&call, &line, version).await?;
        }
    }

    async fn told(&self, call: &Call, line: &[u8], version: &mut String) -> Result<(), ClusterError> {
        let malformed = |error: serde_json::Error| self.cluster.malformed(call, &error.to_string());
        let Line { event, object } = serde_json::from_slice(line).map_err(malformed)?;
        if event == "ERROR" {
            return Err(self.cluster.refused(call, &object));
        }
        if let Some(newer) = object.pointer("/metadata/resourceVersion").and_then(Value::as_str) {
            newer.clone_into(version);
        }
        if event == "BOOKMARK" {
            return Ok(());
        }
        let manifest = self.cluster.listed(call, &self.collection.resource, object, forget_owners)?;
        let change = Arc::new(Change::of(manifest, self.collection.only_metadata));
        self.say(if event == "DELETED" { Said::Gone(change) } else { Said::Put(change) }).await;
        Ok(())
    }
}

impl Change {
    fn of(manifest: Manifest, only_metadata: bool) -> Self {
        let version = manifest.resource_version().and_then(number);
        let labels = manifest.labels().cloned().unwrap_or_default();
        Self { version, labels, glimpse: Glimpse::of(manifest, only_metadata) }
    }
}

/// The lines of an answer, as they come.
struct Lines {
    body: Body,
    buffer: Vec<u8>,
    /// Bytes of the buffer that hold no end of a line.
    searched: usize,
}

impl Lines {
    /// The next line that is not empty; `None` where the answer ends. What has no end is no line.
    async fn next(&mut self, cluster: &Cluster, call: &Call) -> Result<Option<Vec<u8>>, ClusterError> {
        loop {
            if let Some(end) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(self.searched + end + 1);
                let line = std::mem::replace(&mut self.buffer, rest);
                self.searched = 0;
                if line.len() > 1 {
                    return Ok(Some(line));
                }
                continue;
            }
            self.searched = self.buffer.len();
            if self.searched > LONGEST_LINE {
                return Err(cluster.malformed(call, "a line without an end"));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Err(cluster.unreachable(call, error)),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(cluster.malformed(call, "half a line")),
            }
        }
    }
}

#[cfg(test)]
mod tests;
