//! Follows a collection: reads all of it once, and from then on only what changes. IO.
//!
//! **Liveness.** A watch says nothing while nothing changes, so silence proves nothing. Each is asked to end after a while
//! and goes on where it was; one that has not ended a little later is taken for dead. So what is told here is never older
//! than that, whatever became of the server, a proxy or the line between.
//!
//! **What goes wrong.** A watch that breaks goes on after the last version that was told. A version that the server has forgotten
//! (410), and one that it refuses again and again, lead to reading everything anew. Between losing sight of the server and
//! having it back the collection is told to be lost, and nobody takes the old content for the new. A server that says when to
//! come back is taken at its word. Bookmarks are used where there are some.
//!
//! **Without permission to watch** everything is read every [`POLL`].
//!
//! The watch itself is in [`relay`](super::relay), as others may listen to it too.
//!
//! Not the watchers of the client library: those write what they cannot read to the log, and it may be a Secret.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::Cluster;
use super::collection::Collection;
use super::error::ClusterError;
use super::relay::{Change, Relay, Said, Unheard, Word, number};
use super::request::{PAGE, forget_owners};
use super::stock::{Event, Glimpse, Place};
use crate::migration::snapshot::chain;

/// Between two readings of everything where watching is not allowed.
const POLL: Duration = Duration::from_secs(2);

/// First and longest pause after something failed.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Watches that may fail one after another, without anything told, before everything is read anew.
pub(super) const ATTEMPTS: u32 = 3;

/// What is told, and of which collection.
pub type Told<S> = (S, Place, Event);

/// Follows one collection and tells what it sees, until nobody listens any more.
pub async fn follow<S: Copy + Send>(cluster: Cluster, collection: Collection, side: S, tell: mpsc::Sender<Told<S>>) {
    let place = (collection.resource.kind.clone(), collection.namespace.clone());
    let relay = cluster.relays.of(&collection);
    let held = (relay.collection.labels != collection.labels).then(BTreeSet::new);
    let mut follower = Follower { cluster, collection, side, place, tell, held, lost: false };
    let mut failures = 0;
    while !follower.tell.is_closed() {
        match follower.listen(&relay, &mut failures).await {
            // What is allowed is to look again and again.
            Why::Refused(error) if is_of_watching(&error) => sleep(POLL).await,
            Why::Refused(error) => {
                follower.lose(&error).await;
                sleep(pause(failures, &error)).await;
                failures += 1;
            }
            Why::Behind => {
                let why = "more changed at once than could be taken in; it is being read anew";
                follower.out_of_sight(why.to_owned()).await;
            }
            // The list that comes next is at least as new as the other follower's.
            Why::Early => sleep(PAUSE.0).await,
        }
    }
}

fn is_of_watching(error: &ClusterError) -> bool {
    matches!(error, ClusterError::Forbidden { call, .. } if call.verb == "watch")
}

/// How long to wait after so many failures in a row.
pub(super) fn pause(failures: u32, error: &ClusterError) -> Duration {
    let (first, longest) = PAUSE;
    let grown = first.saturating_mul(1 << failures.min(16)).min(longest);
    error.retry_after().unwrap_or(grown)
}

/// Why a collection has to be read anew.
enum Why {
    /// It could not be read, or not be watched any more.
    Refused(Arc<ClusterError>),
    /// Too much was told at once.
    Behind,
    /// What was read is older than what is watched.
    Early,
}

struct Follower<S> {
    cluster: Cluster,
    collection: Collection,
    side: S,
    place: Place,
    tell: mpsc::Sender<Told<S>>,
    /// The names told of; kept where more is watched than was asked for.
    held: Option<BTreeSet<String>>,
    /// Whether it has told that the server is out of sight.
    lost: bool,
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
        self.out_of_sight(why).await;
    }

    async fn out_of_sight(&mut self, why: String) {
        self.lost = true;
        self.say(Event::Lost(why)).await;
    }

    /// Reads and tells everything; gives the version it was read at.
    ///
    /// Where reading takes so long that the server forgets what it began with, it is read once more in one piece.
    async fn read(&mut self) -> Result<String, ClusterError> {
        match self.read_by(Some(PAGE)).await {
            Err(ClusterError::Changed { .. }) => self.read_by(None).await,
            outcome => outcome,
        }
    }

    /// Page by page, each told at once, so that nobody has to keep all of it.
    async fn read_by(&mut self, limit: Option<u32>) -> Result<String, ClusterError> {
        let only_metadata = self.collection.only_metadata;
        let mut names = BTreeSet::new();
        let mut from = String::new();
        loop {
            let mut glimpses = Vec::new();
            let take = |manifest| glimpses.push(Glimpse::of(manifest, only_metadata));
            let page = self.cluster.page(&self.collection, limit, &from, forget_owners, take).await?;
            names.extend(glimpses.iter().map(|glimpse| glimpse.object.name.clone()));
            self.say(Event::Some(glimpses)).await;
            if page.next.is_empty() {
                if let Some(held) = &mut self.held {
                    held.clone_from(&names);
                }
                self.lost = false;
                self.say(Event::Whole(names)).await;
                return Ok(page.version);
            }
            from = page.next;
        }
    }

    /// Reads everything and listens from there on, until it has to be read anew.
    async fn listen(&mut self, relay: &Relay, failures: &mut u32) -> Why {
        // In this order: what is told before it was read is in what is read.
        let mut words = relay.listen();
        let version = match Box::pin(self.read()).await {
            Ok(version) => version,
            Err(error) => return Why::Refused(Arc::new(error)),
        };
        *failures = 0;
        let run = match relay.begin(&self.cluster, &version) {
            Ok(run) => run,
            Err(Unheard::Older) => return Why::Early,
            Err(Unheard::NoNumber) => {
                let call = self.collection.call("list");
                return Why::Refused(Arc::new(self.cluster.malformed(&call, "a version that is no number")));
            }
        };
        let mut seen = number(&version);
        while let Some(word) = words.recv().await {
            if word.run != run {
                continue;
            }
            if let Said::Over(error) = word.said {
                return Why::Refused(error);
            }
            self.hear(word, &mut seen).await;
        }
        Why::Behind
    }

    async fn hear(&mut self, word: Word, seen: &mut Option<u64>) {
        let (change, gone) = match word.said {
            Said::Put(change) => (change, false),
            Said::Gone(change) => (change, true),
            Said::Live if self.lost => {
                self.lost = false;
                return self.say(Event::Live).await;
            }
            Said::Lost(why) => return self.out_of_sight(why.to_string()).await,
            Said::Live | Said::Over(_) => return,
        };
        if change.version.is_some() && change.version <= *seen {
            return;
        }
        *seen = change.version.or(*seen);
        if let Some(event) = self.event(&change, gone) {
            self.say(event).await;
        }
    }

    /// What a change means for this collection, which may be a part of what is watched.
    fn event(&mut self, change: &Change, gone: bool) -> Option<Event> {
        let object = &change.glimpse.object;
        let there = !gone && self.collection.selects(&change.labels);
        let was_there = match &mut self.held {
            Some(held) if there => !held.insert(object.name.clone()),
            Some(held) => held.remove(&object.name),
            None => true,
        };
        match (there, self.collection.only_metadata) {
            (true, false) => Some(Event::Put(change.glimpse.clone())),
            (true, true) => Some(Event::Put(change.glimpse.only_metadata())),
            (false, _) => was_there.then(|| Event::Gone((**object).clone())),
        }
    }
}
