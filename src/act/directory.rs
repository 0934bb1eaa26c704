//! The store of `crossfade run`: a directory with the journal, a lock, the newest report, and a letter box for commands. IO.
//!
//! One process at a time drives a migration; the lock goes with it, however it ends. Everybody may read the report and drop
//! commands into the box, where they wait until somebody drives.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::journal::{self, Answered, Journal, Record};
use super::store::{Store, StoreError};
use crate::fence::Fence;
use crate::migration::snapshot::chain;
use crate::migration::state::FORMAT;
use crate::migration::{Action, Applied, Command, Outcome, Phase, Reply, Report, State};
use crate::observe::clock::Clock;
use crate::policy::Migration;

fn io_error<'p>(verb: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> StoreError + 'p {
    move |source| StoreError::Io { verb, path: path.to_owned(), source }
}

/// Where a migration's files are, whether or not anybody drives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// The directory of `migration` below `root`.
    pub fn of(root: &Path, migration: &Migration) -> Self {
        Self { path: root.join(format!("{}.{}", migration.namespace, migration.name)) }
    }

    /// Every migration's directory below `root`, in the order of their names.
    pub fn all(root: &Path) -> Vec<Self> {
        let entries = fs::read_dir(root).into_iter().flatten().flatten();
        let mut all: Vec<_> = entries.map(|entry| Self { path: entry.path() }).collect();
        all.retain(|directory| directory.journal().is_file());
        all.sort_by(|a, b| a.path.cmp(&b.path));
        all
    }

    /// `namespace.name` of the migration.
    pub fn name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The journal's path.
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal.jsonl")
    }

    /// The journals of earlier attempts, oldest first, and the first path that is free for another.
    fn asides(&self) -> (Vec<PathBuf>, PathBuf) {
        let mut asides = (1u32..).map(|number| self.path.join(format!("journal.{number}.jsonl")));
        let mut there = Vec::new();
        loop {
            match asides.next() {
                Some(aside) if aside.exists() => there.push(aside),
                free => return (there, free.unwrap_or_else(|| self.journal().with_extension("aside"))),
            }
        }
    }

    /// What earlier attempts applied: it stayed on the target, and a later attempt that finds it in sync applies it no more.
    fn applied_before(&self) -> Applied {
        let read = |aside: PathBuf| {
            journal::read(&aside).unwrap_or_else(|error| {
                tracing::warn!(
                    error = chain(&error),
                    "what an earlier attempt applied is unknown, and stays on the target"
                );
                Vec::new()
            })
        };
        let mut applied = Applied::default();
        self.asides().0.into_iter().flat_map(read).for_each(|record| record.count(&mut applied));
        applied
    }

    fn lock(&self) -> PathBuf {
        self.path.join("lock")
    }

    fn report_file(&self) -> PathBuf {
        self.path.join("report.json")
    }

    fn inbox(&self) -> PathBuf {
        self.path.join("inbox")
    }

    fn reply_file(&self, id: &str) -> PathBuf {
        self.path.join("replies").join(format!("{id}.json"))
    }

    /// Whether a process drives the migration at this moment.
    pub fn is_driven(&self) -> bool {
        File::open(self.lock()).is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Where a migration was left, read without taking it over.
    pub fn state(&self) -> Result<Option<State>, StoreError> {
        Ok(last_state(journal::read(&self.journal())?))
    }

    /// The clock of a process that goes on here. Whether the journal can be used is for whoever takes it over to say.
    pub fn clock(&self) -> Clock {
        let records = journal::read(&self.journal()).unwrap_or_default();
        journal::go_on(Clock::start(), &records, self.report().map(|report| report.at))
    }

    /// The newest report, where there is one.
    pub fn report(&self) -> Option<Report> {
        read_json(&self.report_file())
    }

    /// Drops a command into the letter box.
    pub fn send(&self, command: &Command) -> Result<(), StoreError> {
        write_json(&self.inbox().join(format!("{}.json", command.id)), command)
    }

    /// The answer to a command, once there is one.
    pub fn reply(&self, id: &str) -> Option<Reply> {
        read_json(&self.reply_file(id))
    }

    /// Takes a command back that nobody has read yet. Whether it was still there.
    pub fn withdraw(&self, id: &str) -> bool {
        fs::remove_file(self.inbox().join(format!("{id}.json"))).is_ok()
    }
}

/// A migration's directory while this process drives it.
#[derive(Debug)]
pub struct HeldDirectory {
    directory: Directory,
    journal: Journal,
    epoch: u64,
    applied: Applied,
    // Held for its lock alone.
    _lock: File,
}

impl HeldDirectory {
    /// Takes the directory over, and reads the state a former process left.
    pub fn open(directory: &Directory, clock: &Clock) -> Result<(Self, Option<State>), StoreError> {
        for path in [directory.inbox(), directory.path.join("replies")] {
            fs::create_dir_all(&path).map_err(io_error("create", &path))?;
        }
        let lock_path = directory.lock();
        let lock = take_lock(lock_path)?;
        let (mut journal, records) = Journal::open(&directory.journal())?;
        let mut epoch = 1;
        for record in &records {
            let Record::Opened { epoch: before, .. } = record else { continue };
            epoch = before + 1;
        }
        journal.append(&opened(clock.now(), epoch, clock.idle()))?;
        let mut applied = directory.applied_before();
        records.iter().for_each(|record| record.count(&mut applied));
        let held = Self { directory: directory.clone(), journal, epoch, applied, _lock: lock };
        Ok((held, last_state(records)))
    }

    fn append(&mut self, record: &Record) -> Result<(), StoreError> {
        Ok(self.journal.append(record)?)
    }

    fn letters(&self) -> impl Iterator<Item = PathBuf> + use<> {
        let entries = fs::read_dir(self.directory.inbox()).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "json"))
    }

    /// Hands an answer over and takes the command out of the letter box. What cannot be handed over now is tried again in the
    /// next pass, as long as the command lies there.
    fn deliver(&self, reply: &Reply) {
        match write_json(&self.directory.reply_file(&reply.id), reply) {
            Ok(()) => _ = self.directory.withdraw(&reply.id),
            Err(error) => tracing::warn!(%error, command = reply.id, "answer not delivered yet"),
        }
    }
}

#[async_trait]
impl Store for HeldDirectory {
    fn fence(&self) -> Fence {
        Fence::lock()
    }

    async fn decide(&mut self, at: Timestamp, state: &State, answered: Vec<Answered>) -> Result<(), StoreError> {
        let replies: Vec<Reply> = answered.iter().map(|answered| answered.reply.clone()).collect();
        self.append(&Record::State { at, state: Box::new(state.clone()), answered })?;
        replies.iter().for_each(|reply| self.deliver(reply));
        Ok(())
    }

    async fn intend(&mut self, at: Timestamp, actions: &[Action]) -> Result<(), StoreError> {
        let intents: Vec<Record> = actions.iter().map(|action| Record::intent(at, action)).collect();
        self.journal.append_all(&intents)?;
        actions.iter().for_each(|action| self.applied.intended(action));
        Ok(())
    }

    fn applied(&self) -> &Applied {
        &self.applied
    }

    async fn outcome(&mut self, at: Timestamp, outcomes: &[Outcome]) -> Result<(), StoreError> {
        let records: Vec<Record> = outcomes.iter().map(|outcome| Record::outcome(at, outcome)).collect();
        self.journal.append_all(&records)?;
        outcomes.iter().for_each(|outcome| self.applied.answered(&outcome.action, outcome.error.as_deref()));
        Ok(())
    }

    async fn publish(&mut self, report: &Report) -> Result<(), StoreError> {
        write_json(&self.directory.report_file(), report)
    }

    /// One that was answered and lies there still, because a crash came between or the answer could not be handed over, is known to
    /// the state (`State::answers`).
    fn commands(&self) -> Vec<Command> {
        let mut commands: Vec<Command> = self.letters().filter_map(|path| read_letter(&path)).collect();
        commands.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        commands
    }

    fn others(&self) -> Vec<State> {
        let root = self.directory.path.parent().unwrap_or(Path::new("."));
        let mut others = Directory::all(root);
        others.retain(|other| *other != self.directory);
        let left = others.into_iter().filter_map(|other| match other.state() {
            // Of one that has not begun only a process tells that it means to.
            Ok(state) => state.filter(|state| !matches!(state.phase, Phase::Preparing { .. }) || other.is_driven()),
            Err(error) => {
                tracing::warn!(
                    error = chain(&error),
                    "another migration's journal cannot be read, so what it claims is unknown"
                );
                None
            }
        });
        left.filter(|state| !state.phase.is_terminal()).collect()
    }

    fn has_commands(&self) -> bool {
        self.letters().next().is_some()
    }

    async fn begin_anew(&mut self, now: Timestamp, ended: bool) -> Result<(), StoreError> {
        self.letters().try_for_each(|letter| fs::remove_file(&letter).map_err(io_error("remove", &letter)))?;
        if !ended {
            return Ok(());
        }
        let path = self.directory.journal();
        let (_, aside) = self.directory.asides();
        fs::rename(&path, &aside).map_err(io_error("put aside", &path))?;
        let (journal, _) = Journal::open(&path)?;
        self.journal = journal;
        self.append(&opened(now, self.epoch, SignedDuration::ZERO))
    }

    #[cfg(test)]
    fn leave_room_for(&mut self, records: usize) {
        self.journal.room = Some(records);
    }
}

fn opened(at: Timestamp, epoch: u64, idle: SignedDuration) -> Record {
    Record::Opened { at, format: FORMAT, epoch, pid: std::process::id(), idle }
}

/// `is_driven` holds the lock for an instant to see whether it can; a few more looks tell it from a process that keeps it.
const LOOKS: u32 = 50;

fn take_lock(path: PathBuf) -> Result<File, StoreError> {
    let lock = File::create(&path).map_err(io_error("create", &path))?;
    for _ in 0..LOOKS {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) => std::thread::sleep(std::time::Duration::from_millis(2)),
            Err(TryLockError::Error(source)) => return Err(StoreError::Io { verb: "lock", path, source }),
        }
    }
    Err(StoreError::Busy { path })
}

fn last_state(records: Vec<Record>) -> Option<State> {
    records.into_iter().rev().find_map(|record| match record {
        Record::State { state, .. } => Some(*state),
        _ => None,
    })
}

/// A command; a file that holds none is put aside, so that it is not read for ever.
fn read_letter(path: &Path) -> Option<Command> {
    let command = read_json(path);
    if command.is_none() && path.exists() {
        tracing::warn!(file = %path.display(), "not a command; put aside");
        let _ = fs::rename(path, path.with_extension("bad"));
    }
    command
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Writes beside and renames, so that a reader never sees half a file.
fn write_json(path: &Path, value: &impl Serialize) -> Result<(), StoreError> {
    let beside = path.with_extension("tmp");
    let text = serde_json::to_vec_pretty(value).map_err(io::Error::other).map_err(io_error("write", path))?;
    fs::write(&beside, text).map_err(io_error("write", &beside))?;
    fs::rename(&beside, path).map_err(io_error("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ObjectRef;

    #[tokio::test]
    async fn what_was_applied_is_known_to_every_later_attempt() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory { path: root.path().join("shop.checkout") };
        let now = Timestamp::UNIX_EPOCH;
        let object = |name: &str| ObjectRef::new("ConfigMap", "shop", name);
        let apply = |name: &str| [Action::ApplyObject { object: object(name) }];
        let open = || HeldDirectory::open(&directory, &Clock::start()).unwrap().0;
        let mut held = open();
        held.intend(now, &apply("a")).await.unwrap();
        held.begin_anew(now, true).await.unwrap();
        held.intend(now, &apply("b")).await.unwrap();
        assert_eq!(*held.applied(), [object("a"), object("b")].iter().collect());
        drop(held);
        let held = open();
        assert_eq!(*held.applied(), [object("a"), object("b")].iter().collect(), "also by another process");
        drop(held);
        let aside = directory.asides().0.remove(0);
        fs::write(&aside, "no journal\n").unwrap();
        assert_eq!(*open().applied(), [object("b")].iter().collect(), "what is unknown stays on the target");
    }
}
