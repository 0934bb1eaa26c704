//! The store of `crossfade controller`: the status of a Migration. IO.
//!
//! Every write replaces the whole status over the version that was read last. Where that is refused because the object changed
//! meanwhile (a command, an edit, a label), it is read again, and only where the epoch in it is still ours is the write repeated.
//! So a process that was superseded keeps nothing, whatever it believes of its lease; and before a write is sent its lease is asked
//! as well.
//!
//! Intents are kept before their action. Outcomes and reports, which nothing depends on, go out with the next write that has to be
//! made, or when there is news for people.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use kube::api::DynamicObject;
use kube::runtime::reflector;
use serde::Serialize;
use serde_json::Value;

use super::command;
use super::crd::{Kept, MigrationStatus, Replied};
use super::fleet::{self, is_due_again};
use super::home::{FINALIZER, Home, HomeError, Key, PATIENCE};
use super::status::{self, ACCEPTED, FOLLOWS_SPEC, Word};
use super::steer::Wheel;
use crate::act::journal::Answered;
use crate::act::store::{Store, StoreError};
use crate::fence::Fence;
use crate::migration::{Action, Applied, Command, Outcome, Report, Request, State, Terms};
use crate::observe::clock::{Clock, Moment};
use crate::policy::Assignment;

/// Records kept in a status, and their bytes: the last some hundred passes that did something, in a tenth of what an object may hold.
const MOST_RECORDS: usize = 200;
const MOST_BYTES: usize = 128 << 10;

/// Answers kept, for people who ask again.
const MOST_REPLIES: usize = 16;

/// Attempts to come between two writes of others. They are people and their tools; five in a row within a second mean trouble.
const ATTEMPTS: u32 = 5;

/// How old numbers in a report may become while nothing else happens.
const STALE: Duration = Duration::from_secs(10);

/// A line of the journal in a status: a record of `act::journal` without the state, which stands beside it.
#[derive(Debug, Serialize)]
#[serde(tag = "record", rename_all = "camelCase")]
enum Line<'a> {
    Opened { at: Timestamp, epoch: u64, by: &'a str, idle: SignedDuration },
    State { at: Timestamp, epoch: u64, phase: &'a str, answered: &'a [Answered] },
    Intent { at: Timestamp, epoch: u64, action: &'a Action, terms: Terms },
    Outcome { at: Timestamp, epoch: u64, action: &'a Action, error: Option<&'a str> },
}

/// The status of one Migration, while this process drives it.
pub struct Record {
    home: Home,
    fence: Fence,
    key: Key,
    epoch: u64,
    /// The object as it was last read or written.
    read: DynamicObject,
    /// What the object's status shall be after the next write.
    status: MigrationStatus,
    /// What was applied and not deleted; the journal forgets, this does not.
    applied: Applied,
    /// The object as the watch shows it: for commands, and for its deletion.
    watched: reflector::Store<DynamicObject>,
    policies: reflector::Store<DynamicObject>,
    /// What is carried out.
    begun: Option<Arc<Assignment>>,
    /// The report that people can read, and since when.
    last: Option<Report>,
    published: Option<Moment>,
}

/// What `adopt-policy` asks to replace where it does not ask for the policy that the objects say; nothing has that hash.
const NOT_AS_WRITTEN: &str = "what the ShiftPolicy object no longer says";

/// What becomes of an edit.
const GOES_ON: &str = "it was changed since the migration began, which goes on as it was begun";

impl Record {
    /// Takes a Migration over by raising its epoch, and reads the state a former process left. From here on everybody who drove it
    /// before is refused. `None` where nothing is to be done: the watch may lag behind an end.
    pub async fn open(wheel: &Wheel, key: Key) -> Result<Option<(Self, Option<State>, Clock)>, StoreError> {
        let Wheel { home, fence, migrations, policies, identity, .. } = wheel;
        let mut read = home.migration(&key).await?;
        let status = status::of(&read).ok_or_else(|| HomeError::Malformed(format!("status of {key}")))?;
        let kept = |source| StoreError::Kept { place: key.to_string(), source };
        let state = status.state.as_ref().map(|state| state.state().map_err(kept)).transpose()?;
        if state.as_ref().is_some_and(|state| state.phase.is_terminal() && !is_due_again(&status, state, &read)) {
            return Ok(None);
        }
        if read.metadata.deletion_timestamp.is_none() && !read.finalizers().iter().any(|name| name == FINALIZER) {
            fence.check(PATIENCE)?;
            read = home.set_finalizer(&read, true).await?;
        }
        let epoch = status.epoch.unwrap_or(0) + 1;
        // Whoever wrote last may have been another machine, with a clock ahead of this one.
        let clock = go_on(&status);
        let now = clock.now();
        let mut record = Self {
            home: home.clone(),
            fence: fence.clone(),
            watched: migrations.clone(),
            policies: policies.clone(),
            applied: applied(&status, &key),
            begun: state.as_ref().map(|state| Arc::clone(&state.assignment)),
            key,
            epoch,
            read,
            status,
            last: None,
            published: None,
        };
        record.status.epoch = Some(epoch);
        record.note(&Line::Opened { at: now, epoch, by: identity, idle: clock.idle() });
        let generation = record.read.metadata.generation;
        status::set(
            &mut record.status.conditions,
            ACCEPTED,
            &Word::yes(ACCEPTED, "it is carried out"),
            generation,
            now,
        );
        record.status.observed_generation = generation;
        // Without a second attempt: who was faster leads.
        record.fence.check(PATIENCE)?;
        record.read = record.home.put_status(&record.read, &record.status).await?;
        Ok(Some((record, state, clock)))
    }

    /// Says whether what the objects say now is what is carried out; whether that is news.
    fn compare(&mut self, at: Timestamp) -> bool {
        let (Some(object), Some(begun)) = (self.watched(), self.begun.clone()) else { return false };
        let word = match fleet::read(&object, &self.policies) {
            Ok(now) if now == *begun => Word::yes("AsWritten", "it is carried out as the objects say"),
            Ok(now) if now.migration == begun.migration => {
                Word::no("PolicyChanged", format!("{GOES_ON}; `kubectl crossfade adopt-policy` takes it over"))
            }
            Ok(_) => Word::no("SpecChanged", GOES_ON),
            Err(refusal) if refusal.reason == "NoPolicy" => Word::no("PolicyGone", GOES_ON),
            Err(refusal) => {
                Word::no("SpecChanged", format!("{GOES_ON}; what it says now is refused: {}", refusal.message))
            }
        };
        self.status.observed_generation = object.metadata.generation;
        status::set(&mut self.status.conditions, FOLLOWS_SPEC, &word, object.metadata.generation, at)
    }

    /// Adds a line to the journal, and forgets the oldest ones.
    fn note(&mut self, line: &Line<'_>) {
        let Ok(line) = serde_json::to_string(line) else { return };
        let journal = &mut self.status.journal;
        journal.push(line);
        let mut bytes: usize = journal.iter().map(String::len).sum();
        while journal.len() > MOST_RECORDS || bytes > MOST_BYTES && journal.len() > 1 {
            bytes -= journal.remove(0).len();
        }
    }

    /// Writes the status, if this process still drives, and if what it answers to is still asked.
    async fn keep(&mut self, answers: Option<&str>) -> Result<(), StoreError> {
        let mut attempt = 1;
        loop {
            self.fence.check(PATIENCE)?;
            match self.home.put_status(&self.read, &self.status).await {
                Ok(read) => {
                    self.read = read;
                    return Ok(());
                }
                Err(HomeError::Conflict(_)) if attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error.into()),
            }
            let live = self.home.migration(&self.key).await?;
            let epoch = status::of(&live).and_then(|status| status.epoch);
            if live.uid() != self.read.uid() || epoch != Some(self.epoch) {
                return Err(StoreError::Superseded(self.key.to_string()));
            }
            self.read = live;
            // Whoever took a command back was told that it has no effect.
            let asked = command::of(&self.read).map(|command| command.id);
            if answers.is_some() && answers != asked.as_deref() {
                return Err(HomeError::Conflict(self.key.to_string()).into());
            }
        }
    }

    fn watched(&self) -> Option<Arc<DynamicObject>> {
        let resource = Home::watched()[0].clone();
        let reference = reflector::ObjectRef::new_with(&self.key.name, resource).within(&self.key.namespace);
        self.watched.get(&reference)
    }

    /// What is asked and was not answered, by the newest of what is known of the object: a watch that was cut may take half a minute
    /// to come back, and every write tells too.
    fn command(&self) -> Option<Command> {
        let version =
            |object: &DynamicObject| object.resource_version().and_then(|version| version.parse::<u64>().ok());
        let watched = self.watched().filter(|watched| version(watched) > version(&self.read));
        let object = watched.as_deref().unwrap_or(&self.read);
        let mut command = command::of(object)?;
        if let Request::AdoptPolicy { policy, replaces } = &mut command.request {
            // An annotation was read by nobody: what counts is the ShiftPolicy, which was.
            let written = fleet::read(object, &self.policies).is_ok_and(|written| written.policy == **policy);
            if !written {
                NOT_AS_WRITTEN.clone_into(replaces);
            }
        }
        let answered = self.status.replies.iter().any(|replied| replied.id == command.id);
        (!answered).then_some(command)
    }
}

#[async_trait]
impl Store for Record {
    fn fence(&self) -> Fence {
        self.fence.clone()
    }

    async fn decide(&mut self, at: Timestamp, state: &State, answered: Vec<Answered>) -> Result<(), StoreError> {
        let before = self.status.clone();
        let answers = answered.last().map(|answered| answered.reply.id.clone());
        let epoch = self.epoch;
        self.note(&Line::State { at, epoch, phase: state.phase.name(), answered: &answered });
        let kept = Kept::new(state).map_err(|_| HomeError::Malformed(format!("state of {}", self.key)))?;
        self.status.state = Some(kept);
        self.status.phase = Some(state.phase.name().to_owned());
        self.begun = Some(Arc::clone(&state.assignment));
        let replied = answered.into_iter().map(|Answered { by, request, reply }| Replied {
            by,
            request,
            id: reply.id,
            accepted: reply.accepted,
            message: reply.message,
        });
        self.status.replies.extend(replied);
        let surplus = self.status.replies.len().saturating_sub(MOST_REPLIES);
        self.status.replies.drain(..surplus);
        let kept = self.keep(answers.as_deref()).await;
        if kept.is_err() {
            // What was not kept did not happen: a command is decided anew.
            self.status = before;
        }
        kept
    }

    async fn intend(&mut self, at: Timestamp, actions: &[Action]) -> Result<(), StoreError> {
        let epoch = self.epoch;
        for action in actions {
            self.note(&Line::Intent { at, epoch, action, terms: action.terms() });
        }
        actions.iter().for_each(|action| self.applied.intended(action));
        self.status.applied = self.applied.text();
        self.keep(None).await
    }

    fn applied(&self) -> &Applied {
        &self.applied
    }

    async fn outcome(&mut self, at: Timestamp, outcomes: &[Outcome]) -> Result<(), StoreError> {
        let epoch = self.epoch;
        for outcome @ Outcome { action, error } in outcomes {
            self.note(&Line::Outcome { at, epoch, action, error: error.as_deref() });
            self.applied.answered(&outcome.action, outcome.error.as_deref());
        }
        self.status.applied = self.applied.text();
        Ok(())
    }

    async fn publish(&mut self, report: &Report) -> Result<(), StoreError> {
        let news = self.compare(report.at) | status::is_news(self.last.as_ref(), report);
        let stale = self.published.is_none_or(|published| published.elapsed() >= STALE);
        if !news && !stale {
            return Ok(());
        }
        status::tell(&mut self.status, report);
        self.keep(None).await?;
        (self.published, self.last) = (Some(Moment::now()), Some(report.clone()));
        Ok(())
    }

    fn commands(&self) -> Vec<Command> {
        self.command().into_iter().collect()
    }

    fn has_commands(&self) -> bool {
        self.command().is_some()
    }

    fn others(&self) -> Vec<State> {
        let objects = self.watched.state();
        let others = objects.iter().filter(|object| Key::of(object) != self.key);
        others.filter_map(|object| fleet::begun(object)).collect()
    }

    async fn begin_anew(&mut self, _: Timestamp, _: bool) -> Result<(), StoreError> {
        self.status.started_generation = self.read.metadata.generation;
        self.status.report = None;
        // What was asked of an earlier attempt counts as answered.
        if let Some(command) = self.command().filter(|command| !command::is_deletion(command)) {
            let Command { id, by, request, .. } = command;
            let message = "it was asked of an earlier attempt".to_owned();
            self.status.replies.push(Replied { by, request, id, accepted: false, message });
        }
        Ok(())
    }

    #[cfg(test)]
    fn leave_room_for(&mut self, _: usize) {}
}

/// What a status says was applied. Where that is not what was written it stays on the target, unless it is found in sync.
fn applied(status: &MigrationStatus, key: &Key) -> Applied {
    let Some(text) = &status.applied else { return Applied::default() };
    Applied::read(text).unwrap_or_else(|| {
        tracing::warn!(migration = %key, "status.applied is not what was written; what it told of stays on the target");
        Applied::default()
    })
}

/// The clock of a process that goes on after these records and this report, as `act::journal` has it.
fn go_on(status: &MigrationStatus) -> Clock {
    let read = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
    let at = |value: &Value| read(value, "at")?.parse::<Timestamp>().ok();
    let lines: Vec<Value> = status.journal.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let since_state = lines.iter().rev().take_while(|line| line["record"] != "state");
    let rested = since_state.filter_map(|line| read(line, "idle")?.parse::<SignedDuration>().ok()).max();
    let worked = lines.last().and_then(at).max(status.report.as_ref().and_then(at));
    Clock::start().after(worked, rested.unwrap_or_default())
}

#[cfg(test)]
mod tests;
