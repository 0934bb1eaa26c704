//! Follows a collection: reads all of it once, and from then on only what changes. IO.
//!
//! **Liveness.** A watch says nothing while nothing changes, so silence proves nothing. Each is asked to end after
//! [`WATCH`] and goes on where it was; one that has not ended a little later is taken for dead. So what is told here is never older
//! than that, whatever became of the server, a proxy or the line between.
//!
//! **What goes wrong.** A watch that breaks goes on after the last version that was told. A version that the server has forgotten
//! (410), and one that it refuses again and again, lead to reading everything anew. Between losing sight of the server and
//! having it back the collection is told to be lost, and nobody takes the old content for the new. A server that says when to
//! come back is taken at its word. Bookmarks are used where there are some.
//!
//! **Without permission to watch** everything is read every [`POLL`].
//!
//! Not the watchers of the client library: those write what they cannot read to the log, and it may be a Secret.

use std::time::Duration;

use http_body_util::BodyExt;
use kube::api::WatchParams;
use kube::client::Body;
use kube::core::Request as Path;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use super::Cluster;
use super::call::Call;
use super::collection::Collection;
use super::error::ClusterError;
use super::manifest::Manifest;
use super::request::forget_owners;
use super::stock::{Event, Glimpse, Place};
use crate::migration::snapshot::chain;

/// How long a watch is asked to last: long enough to cost nothing, short enough that a dead one is soon found out.
const WATCH: Duration = Duration::from_secs(20);

/// How much longer it may take to end: the time a busy server needs for it.
const GRACE: Duration = Duration::from_secs(5);

/// A server that ends watches sooner than this is not asked for the next one at once.
const SHORTEST: Duration = Duration::from_millis(250);

/// Between two readings of everything where watching is not allowed.
const POLL: Duration = Duration::from_secs(2);

/// First and longest pause after something failed.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Watches that may fail one after another, without anything told, before everything is read anew.
const ATTEMPTS: u32 = 3;

/// Longest line of a watch. Servers store no object of more than a few MiB.
const LONGEST_LINE: usize = 16 << 20;

/// What is told, and of which collection.
pub type Told<S> = (S, Place, Event);

/// Follows one collection and tells what it sees, until nobody listens any more.
pub async fn follow<S: Copy + Send>(cluster: Cluster, collection: Collection, side: S, tell: mpsc::Sender<Told<S>>) {
    let place = (collection.resource.kind.clone(), collection.namespace.clone());
    let mut follower = Follower { cluster, collection, side, place, tell, lost: false };
    let mut failures = 0;
    while !follower.tell.is_closed() {
        let outcome = match follower.read().await {
            Ok(version) => {
                failures = 0;
                follower.watch(version).await
            }
            Err(error) => Err(error),
        };
        match outcome {
            // What is allowed is to look again and again.
            Err(ClusterError::Forbidden { call, .. }) if call.verb == "watch" => sleep(POLL).await,
            Err(error) => {
                follower.lose(&error).await;
                sleep(pause(failures, &error)).await;
                failures += 1;
            }
            Ok(()) => return,
        }
    }
}

/// How long to wait after so many failures in a row.
fn pause(failures: u32, error: &ClusterError) -> Duration {
    let (first, longest) = PAUSE;
    let grown = first.saturating_mul(1 << failures.min(16)).min(longest);
    error.retry_after().unwrap_or(grown)
}

struct Follower<S> {
    cluster: Cluster,
    collection: Collection,
    side: S,
    place: Place,
    tell: mpsc::Sender<Told<S>>,
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

impl<S: Copy + Send> Follower<S> {
    async fn say(&self, event: Event) {
        // Where nobody listens there is nothing left to do; the loop around sees it.
        let _ = self.tell.send((self.side, self.place.clone(), event)).await;
    }

    async fn lose(&mut self, error: &ClusterError) {
        let why = match error {
            ClusterError::Changed { .. } => {
                "the server has forgotten what it told last; it is being read anew".to_owned()
            }
            error => chain(error),
        };
        self.lost = true;
        self.say(Event::Lost(why)).await;
    }

    /// Reads and tells everything; gives the version it was read at.
    async fn read(&mut self) -> Result<String, ClusterError> {
        let only_metadata = self.collection.only_metadata;
        let take = |manifest| glimpse(manifest, only_metadata);
        let (glimpses, version) = self.cluster.collect(&self.collection, forget_owners, take).await?;
        self.lost = false;
        self.say(Event::Whole(glimpses)).await;
        Ok(version)
    }

    /// Watches from a version on, as long as that is possible.
    async fn watch(&mut self, mut version: String) -> Result<(), ClusterError> {
        let mut failures = 0;
        while !self.tell.is_closed() {
            let (begun, before) = (Instant::now(), version.clone());
            let outcome = self.watch_once(&mut version).await;
            if version != before {
                failures = 0;
            }
            match outcome {
                Ok(()) if begun.elapsed() < SHORTEST => sleep(SHORTEST).await,
                Ok(()) => {}
                Err(error @ (ClusterError::Changed { .. } | ClusterError::Forbidden { .. })) => return Err(error),
                Err(error) if failures < ATTEMPTS => {
                    self.lose(&error).await;
                    sleep(pause(failures, &error)).await;
                    failures += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
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
            self.say(Event::Live).await;
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
        match event.as_str() {
            "DELETED" => self.say(Event::Gone(manifest.object().clone())).await,
            _ => self.say(Event::Put(glimpse(manifest, self.collection.only_metadata))).await,
        }
        Ok(())
    }
}

fn glimpse(manifest: Manifest, only_metadata: bool) -> Glimpse {
    if only_metadata { Glimpse::metadata(&manifest) } else { Glimpse::whole(manifest) }
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
