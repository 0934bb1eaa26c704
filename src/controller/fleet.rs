//! Every migration of this process: which are driven, which are held or refused, which may be forgotten. IO.
//!
//! It goes over all objects whenever one of them changed and now and then besides, and starts from nothing but what it sees. What is
//! wrong with one object is said on that object; the others do not notice.
//!
//! Where two migrations would write the same backend, the one that has begun goes on; of those that have not, the older one begins. The
//! other is held with its name until it has ended. Where they may select the same workloads, it is held until the first has recorded
//! what it moves, and is then asked, before its own first write, about the very workloads.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use kube::ResourceExt;
use kube::api::{Api, DynamicObject};
use kube::core::ApiResource;
use kube::runtime::{WatchStreamExt, reflector, watcher};
use serde_json::Value;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::{Id, JoinSet};

use super::accept::{self, Contest, Refusal, contested};
use super::crd::MigrationStatus;
use super::health::Health;
use super::home::{FINALIZER, Home, Key, PATIENCE};
use super::news::{self, News};
use super::reach::Ways;
use super::ready::Ready;
use super::status::{self, ACCEPTED, Word};
use super::steer::{SteerError, Wheel};
use crate::fence::Fence;
use crate::migration::snapshot::chain;
use crate::migration::state::{Phase, State};
use crate::observe::clock::{Clock, Moment};
use crate::policy::{Assignment, Migration};

/// Between two rounds in which nothing changed: how soon a Secret that came late, or a cluster that came back, is tried again.
const ROUND: Duration = Duration::from_secs(5);

/// How soon a migration is tried again that could not be driven a moment ago. What it failed on mostly lasts longer.
const AGAIN: Duration = Duration::from_secs(1);

/// The objects of the home cluster, as watches keep them.
#[derive(Clone)]
pub struct Watched {
    pub migrations: reflector::Store<DynamicObject>,
    pub policies: reflector::Store<DynamicObject>,
    pub clusters: reflector::Store<DynamicObject>,
}

/// The watches themselves; they end when this is dropped.
pub struct Watching(tokio::sync::Mutex<JoinSet<()>>);

impl Watching {
    /// Waits until a watch ends, which none does by itself.
    pub async fn failed(&self) {
        self.0.lock().await.join_next().await;
    }
}

impl Watched {
    /// Starts watching. A watch that breaks, or is told that its place is too old, lists anew.
    pub fn start(home: &Home, namespace: Option<&str>, changed: &Arc<Notify>) -> (Self, Watching) {
        let mut watching = JoinSet::new();
        let [migrations, policies, clusters] = Home::watched().map(|resource| {
            let api = match namespace {
                Some(namespace) => Api::namespaced_with(home.client(), namespace, &resource),
                None => Api::all_with(home.client(), &resource),
            };
            let (store, watch) = watch(api, resource, Arc::clone(changed));
            watching.spawn(watch);
            store
        });
        (Self { migrations, policies, clusters }, Watching(tokio::sync::Mutex::new(watching)))
    }

    /// Waits until every object has been seen once.
    pub async fn is_complete(&self) {
        for store in [&self.migrations, &self.policies, &self.clusters] {
            // Only dropping the watch ends this wait with an error.
            let _ = store.wait_until_ready().await;
        }
    }
}

fn watch(
    api: Api<DynamicObject>,
    resource: ApiResource,
    changed: Arc<Notify>,
) -> (reflector::Store<DynamicObject>, impl Future<Output = ()>) {
    let writer = reflector::store::Writer::new(resource);
    let store = writer.as_reader();
    let stream = watcher(api, watcher::Config::default()).default_backoff().modify(|object| {
        // A thousand objects are kept; nobody here reads who owns which field, nor the journal, nor what was applied.
        object.metadata.managed_fields = None;
        if let Some(status) = object.data.get_mut("status").and_then(Value::as_object_mut) {
            status.remove("journal");
            status.remove("applied");
        }
    });
    let told = stream.reflect(writer).for_each(move |event| {
        match event {
            Ok(_) => changed.notify_one(),
            Err(error) => tracing::debug!(%error, "a watch begins anew"),
        }
        std::future::ready(())
    });
    (store, told)
}

/// Every migration of this process.
pub struct Fleet {
    home: Home,
    ways: Ways,
    watched: Watched,
    identity: String,
    passes: Arc<Semaphore>,
    changed: Arc<Notify>,
    news: News,
    health: Health,
    ready: Ready,
    clock: Clock,
    tasks: JoinSet<Result<(), SteerError>>,
    driven: HashMap<Id, Driven>,
    /// When those ended that are driven no more: what a watch shows of them may be from before.
    rested: BTreeMap<Key, Moment>,
    stop: watch::Sender<bool>,
}

/// A migration that is driven.
struct Driven {
    key: Key,
    migration: Migration,
}

impl Fleet {
    /// Nothing is driven yet.
    pub fn new(
        home: Home,
        ways: Ways,
        watched: Watched,
        identity: String,
        concurrency: usize,
        changed: Arc<Notify>,
        health: Health,
    ) -> Self {
        Self {
            news: News::new(&home, &identity),
            ready: Ready::new(home.clone(), ways.clone()),
            passes: Arc::new(Semaphore::new(concurrency)),
            clock: Clock::start(),
            tasks: JoinSet::new(),
            driven: HashMap::new(),
            rested: BTreeMap::new(),
            stop: watch::Sender::new(false),
            home,
            ways,
            watched,
            identity,
            changed,
            health,
        }
    }

    /// Drives what is to be driven, for as long as it is let.
    pub async fn lead(&mut self, fence: Fence) {
        self.watched.is_complete().await;
        loop {
            self.rested.retain(|_, ended| ended.elapsed() < AGAIN);
            self.round(&fence).await;
            self.ready.round(&self.watched, &fence).await;
            let due = if self.rested.is_empty() { ROUND } else { AGAIN };
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep(due) => {}
                Some(ended) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => self.ended(ended, &fence).await,
            }
        }
    }

    /// Lets every migration finish its pass.
    pub async fn stop(&mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }

    /// Drops every migration where it is, as if this process had ended.
    pub async fn abandon(&mut self) {
        self.tasks.shutdown().await;
        self.driven.clear();
        self.rested.clear();
        self.ready.forget();
    }

    async fn ended(&mut self, ended: Result<(Id, Result<(), SteerError>), tokio::task::JoinError>, fence: &Fence) {
        let (id, outcome) = match ended {
            Ok((id, outcome)) => (id, outcome),
            Err(error) => {
                tracing::error!(%error, "a migration's task ended early");
                (error.id(), Ok(()))
            }
        };
        let Some(Driven { key, .. }) = self.driven.remove(&id) else { return };
        self.rested.insert(key.clone(), Moment::now());
        match outcome {
            Ok(()) => {}
            Err(SteerError::Refused(refusal)) => self.refuse(&key, &refusal, fence).await,
            Err(SteerError::Start(error)) => {
                let refusal = Refusal { reason: "InvalidSpec", message: chain(&error) };
                self.refuse(&key, &refusal, fence).await;
            }
            Err(SteerError::Store(error)) => tracing::warn!(migration = %key, error = chain(&error), "not driven"),
        }
    }

    /// Goes over every object once.
    async fn round(&mut self, fence: &Fence) {
        let mut objects = self.watched.migrations.state();
        let begun = |object: &DynamicObject| object.data.pointer("/status/state").is_some();
        objects.sort_by_key(|object| {
            let created = object.creation_timestamp().map(|time| time.0);
            (!begun(object), created, Key::of(object))
        });
        let mut claims: BTreeMap<Key, Migration> =
            self.driven.values().map(|driven| (driven.key.clone(), driven.migration.clone())).collect();
        for object in objects {
            let key = Key::of(&object);
            if claims.contains_key(&key) || self.rested.contains_key(&key) {
                continue;
            }
            match self.judge(&object) {
                Judgement::Leave => {}
                Judgement::LetGo => {
                    if let Err(error) = self.home.set_finalizer(&object, false).await {
                        tracing::debug!(migration = %key, error = chain(&error), "finalizer not taken off yet");
                    }
                }
                Judgement::Refuse(refusal) => self.refuse(&key, &refusal, fence).await,
                Judgement::Drive(assignment) => {
                    let other =
                        claims.iter().find_map(|(other, claim)| match contested(&assignment.migration, claim)? {
                            // What the other one has taken is asked for before the first write (`migration::claims`).
                            Contest::Possible(_) if self.has_begun(other) => None,
                            Contest::Possible(what) | Contest::Certain(what) => Some((other, what)),
                        });
                    if let Some((other, what)) = other {
                        let message = format!("{other} moves {what}");
                        self.refuse(&key, &Refusal { reason: "Held", message }, fence).await;
                        continue;
                    }
                    claims.insert(key.clone(), assignment.migration.clone());
                    self.drive(key, &object, *assignment, fence);
                }
            }
        }
    }

    /// Whether a migration has recorded what it moves, as far as the watch shows.
    fn has_begun(&self, key: &Key) -> bool {
        let resource = Home::watched()[0].clone();
        let object = reflector::ObjectRef::new_with(&key.name, resource).within(&key.namespace);
        self.watched.migrations.get(&object).is_some_and(|object| begun(&object).is_some())
    }

    /// What is to be done about one object.
    fn judge(&self, object: &DynamicObject) -> Judgement {
        let deleting = object.metadata.deletion_timestamp.is_some();
        let ours = object.finalizers().iter().any(|name| name == FINALIZER);
        let Some(status) = status::of(object) else {
            let message = "its status is not what was written; `crossfade adopt` rebuilds it".to_owned();
            tracing::warn!(migration = %Key::of(object), message);
            return Judgement::Leave;
        };
        let kept = match status.state.as_ref().map(super::crd::Kept::state).transpose() {
            Ok(kept) => kept,
            Err(error) => return Judgement::Refuse(Refusal { reason: "StateUnreadable", message: chain(&error) }),
        };
        if deleting && kept.as_ref().is_none_or(is_harmless) {
            return if ours { Judgement::LetGo } else { Judgement::Leave };
        }
        match kept {
            Some(state) if state.phase.is_terminal() && !is_due_again(&status, &state, object) => Judgement::Leave,
            // As it was started, whatever became of its specification and policy.
            Some(state) if !state.phase.is_terminal() && !matches!(state.phase, Phase::Preparing { .. }) => {
                Judgement::Drive(Box::new(Assignment::clone(&state.assignment)))
            }
            _ => match read(object, &self.watched.policies) {
                Ok(assignment) => Judgement::Drive(Box::new(assignment)),
                Err(refusal) => Judgement::Refuse(refusal),
            },
        }
    }

    fn drive(&mut self, key: Key, object: &DynamicObject, assignment: Assignment, fence: &Fence) {
        let wheel = Wheel {
            home: self.home.clone(),
            fence: fence.clone(),
            migrations: self.watched.migrations.clone(),
            policies: self.watched.policies.clone(),
            ways: self.ways.clone(),
            identity: self.identity.clone(),
            passes: Arc::clone(&self.passes),
            news: self.news.clone(),
            health: self.health.clone(),
            stop: self.stop.subscribe(),
        };
        let migration = assignment.migration.clone();
        let task = self.tasks.spawn(wheel.steer(key.clone(), news::about(object), assignment));
        self.driven.insert(task.id(), Driven { key, migration });
    }

    /// Says on an object why it is not carried out, once.
    async fn refuse(&mut self, key: &Key, refusal: &Refusal, fence: &Fence) {
        let said = async {
            let object = self.home.migration(key).await?;
            let Some(mut status) = status::of(&object) else { return Ok(()) };
            let generation = object.metadata.generation;
            let Refusal { reason, message } = refusal;
            let word = Word::no(reason, message);
            status.observed_generation = generation;
            if !status::set(&mut status.conditions, ACCEPTED, &word, generation, self.clock.now())
                || fence.check(PATIENCE).is_err()
            {
                return Ok(());
            }
            // What was begun keeps its phase; what has not has none but this.
            if status.state.is_none() {
                status.phase = Some((*reason).to_owned());
                status.message = Some(message.clone());
            }
            self.home.put_status(&object, &status).await?;
            self.news.say(&news::about(&object), true, reason, "Accept", message);
            Ok::<(), super::home::HomeError>(())
        };
        if let Err(error) = said.await {
            tracing::debug!(migration = %key, error = chain(&error), "refusal not said yet");
        }
    }
}

/// What is to be done about an object.
enum Judgement {
    /// Nothing.
    Leave,
    /// It is deleted, and nothing of it is left anywhere.
    LetGo,
    /// It cannot be carried out.
    Refuse(Refusal),
    /// It can.
    Drive(Box<Assignment>),
}

/// Reads a Migration with the policy it names.
pub fn read(object: &DynamicObject, policies: &reflector::Store<DynamicObject>) -> Result<Assignment, Refusal> {
    let namespace = object.namespace().unwrap_or_default();
    let policy = accept::policy_name(object).and_then(|name| {
        let resource = Home::watched()[1].clone();
        policies.get(&reflector::ObjectRef::new_with(name, resource).within(&namespace))
    });
    accept::read(object, policy.as_deref())
}

/// The state of a migration that is under way and has recorded what it moves. One whose state cannot be read is none: it is not driven.
pub fn begun(object: &DynamicObject) -> Option<State> {
    let state = status::of(object)?.state?.state().ok()?;
    (!is_harmless(&state)).then_some(state)
}

/// Whether an object can go without leaving traffic anywhere but where it was, or where somebody committed it to be.
fn is_harmless(state: &State) -> bool {
    state.phase.is_terminal() || matches!(state.phase, Phase::Preparing { .. })
}

/// Whether a migration that went back is to begin anew: its specification was changed since.
pub fn is_due_again(status: &MigrationStatus, state: &State, object: &DynamicObject) -> bool {
    let rolled_back = matches!(state.phase, Phase::RolledBack { .. });
    rolled_back
        && object.metadata.deletion_timestamp.is_none()
        && object.metadata.generation > status.started_generation
}
