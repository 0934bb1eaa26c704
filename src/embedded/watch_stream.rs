//! Watching a collection. IO.
//!
//! A watch is a position in the store's log. It sends what lies behind that position, moves on, and
//! sleeps until the log grows; it ends with `410 Expired` where the log has forgotten its position.
//! An object that starts or stops to match the selector is sent as added or deleted.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::convert::show;
use super::failure::Failure;
use super::read::{Filter, out_of_reach, version_number};
use super::store::{Change, Store};

/// What to watch, and for how long.
pub(super) struct Watch {
    store: Arc<Store>,
    plural: &'static str,
    namespace: String,
    kind: &'static str,
    api_version: String,
    filter: Filter,
    /// The last version told about.
    position: u64,
    newest: watch::Receiver<u64>,
    /// Ends the watch when it changes.
    cut: watch::Receiver<u64>,
    bookmarks: Option<Duration>,
    deadline: Option<Instant>,
    lines: VecDeque<Bytes>,
    ended: bool,
}

/// The collection a watch is about.
pub(super) struct Subject<'a> {
    pub(super) plural: &'static str,
    pub(super) kind: &'static str,
    pub(super) namespace: &'a str,
    pub(super) api_version: &'a str,
}

impl Watch {
    /// Starts where the query says: after a version, or with everything there is.
    pub(super) fn new(
        store: Arc<Store>,
        cut: watch::Receiver<u64>,
        subject: &Subject<'_>,
        query: &BTreeMap<String, String>,
        bookmark_interval: Duration,
    ) -> Result<Self, Failure> {
        let flag = |name: &str| query.get(name).is_some_and(|value| value == "true" || value == "1");
        let seconds = query.get("timeoutSeconds").and_then(|text| text.parse().ok()).filter(|seconds| *seconds > 0);
        let from = match query.get("resourceVersion").map(String::as_str) {
            None | Some("" | "0") => None,
            Some(text) => Some(version_number(text)?),
        };
        let mut watch = Self {
            newest: store.subscribe(),
            cut,
            plural: subject.plural,
            namespace: subject.namespace.to_owned(),
            kind: subject.kind,
            api_version: subject.api_version.to_owned(),
            filter: Filter::from_query(query)?,
            position: from.unwrap_or_default(),
            bookmarks: flag("allowWatchBookmarks").then_some(bookmark_interval),
            deadline: seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds)),
            lines: VecDeque::new(),
            ended: false,
            store,
        };
        if from.is_none() {
            let (version, objects) = watch.store.list(watch.plural, &watch.namespace);
            watch.position = version;
            for (_, object) in &objects {
                if watch.filter.matches(object) {
                    watch.tell("ADDED", object);
                }
            }
            if flag("sendInitialEvents") {
                watch.bookmark(json!({"k8s.io/initial-events-end": "true"}));
            }
        }
        Ok(watch)
    }

    /// One line per event, until the watch ends.
    pub(super) fn stream(self) -> impl Stream<Item = Bytes> + Send {
        futures::stream::unfold(self, |mut watch| async move { watch.next().await.map(|line| (line, watch)) })
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.lines.is_empty() && !self.ended {
                self.newest.borrow_and_update();
                self.catch_up();
            }
            match self.lines.pop_front() {
                Some(line) => return Some(line),
                None if self.ended => return None,
                None => self.wait().await,
            }
        }
    }

    fn catch_up(&mut self) {
        match self.store.changes(self.plural, &self.namespace, self.position) {
            Ok((version, changes)) => {
                self.position = version;
                changes.iter().for_each(|change| self.tell_change(change));
            }
            Err(reach) => {
                self.line("ERROR", &out_of_reach(self.position, reach).to_json());
                self.ended = true;
            }
        }
    }

    async fn wait(&mut self) {
        let pause = self.bookmarks.unwrap_or(Duration::MAX);
        let until_deadline = self.deadline.map_or(Duration::MAX, |deadline| deadline.duration_since(Instant::now()));
        tokio::select! {
            more = self.newest.changed() => self.ended = more.is_err(),
            _ = self.cut.changed() => self.ended = true,
            () = tokio::time::sleep(pause.min(until_deadline)) => {
                if self.bookmarks.is_some() {
                    self.bookmark(Value::Null);
                }
                self.ended = self.deadline.is_some_and(|deadline| deadline <= Instant::now());
            }
        }
    }

    fn tell_change(&mut self, change: &Change) {
        let matched = change.before.as_ref().is_some_and(|before| self.filter.matches(before));
        let matches = !change.deleted && self.filter.matches(&change.after);
        match (matched, matches) {
            (false, true) => self.tell("ADDED", &change.after),
            (true, true) => self.tell("MODIFIED", &change.after),
            (true, false) => self.tell("DELETED", &change.after),
            (false, false) => {}
        }
    }

    fn tell(&mut self, event: &str, object: &Value) {
        match show(object, &self.api_version) {
            Ok(object) => self.line(event, &object),
            Err(failure) => {
                self.line("ERROR", &failure.to_json());
                self.ended = true;
            }
        }
    }

    fn bookmark(&mut self, annotations: Value) {
        let mut metadata = json!({"resourceVersion": self.position.to_string(), "creationTimestamp": null});
        if !annotations.is_null() {
            metadata["annotations"] = annotations;
        }
        self.line("BOOKMARK", &json!({"kind": self.kind, "apiVersion": self.api_version, "metadata": metadata}));
    }

    fn line(&mut self, event: &str, object: &Value) {
        let line = json!({"type": event, "object": object});
        self.lines.push_back(Bytes::from(format!("{line}\n")));
    }
}
