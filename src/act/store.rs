//! What a migration remembers, wherever that is kept: state, journal, report, and what people asked. IO.
//!
//! Two of them: a directory of this machine (`directory`), and the status of a Migration object in the home cluster
//! (`controller::record`). Both keep the same order: a state is kept before anything is done because of it, an intent before its
//! action. A record of a process that was superseded is refused by the store itself, never by that process's own opinion.

use std::io;
use std::path::PathBuf;

use async_trait::async_trait;
use jiff::Timestamp;

use super::journal::{Answered, JournalError};
use crate::controller::crd::KeptError;
use crate::controller::home::HomeError;
use crate::fence::{Fence, Fenced};
use crate::migration::state::FORMAT;
use crate::migration::{Action, Applied, Command, Outcome, Report, State};

/// What can go wrong with a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process drives this migration.
    #[error("another process drives this migration ({} is locked)", path.display())]
    Busy {
        /// The lock.
        path: PathBuf,
    },
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// What was kept is of another form.
    #[error("{place} has form {found}, this version reads {FORMAT}")]
    Format {
        /// Where it is.
        place: String,
        /// Its form.
        found: u32,
    },
    /// A file could not be read or written.
    #[error("cannot {verb} {}", path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process has taken the migration over.
    #[error("another process drives {0} by now")]
    Superseded(String),
    /// This process may not write any more.
    #[error(transparent)]
    Fenced(#[from] Fenced),
    /// What was kept cannot be taken up.
    #[error("{place} cannot be taken up")]
    Kept {
        /// Where it is.
        place: String,
        /// Why not.
        source: KeptError,
    },
    /// The home cluster did not keep it.
    #[error(transparent)]
    Home(#[from] HomeError),
}

/// What one migration remembers, while this process drives it.
#[async_trait]
pub trait Store: Send + Sync {
    /// Whether this process may still write, here and anywhere else.
    fn fence(&self) -> Fence;

    /// Keeps a state together with the answers to the commands that led to it, and delivers them.
    async fn decide(&mut self, at: Timestamp, state: &State, answered: Vec<Answered>) -> Result<(), StoreError>;

    /// Keeps that actions are about to be carried out.
    async fn intend(&mut self, at: Timestamp, actions: &[Action]) -> Result<(), StoreError>;

    /// What this migration applied on the target and has not deleted.
    fn applied(&self) -> &Applied;

    /// Keeps how actions were answered.
    async fn outcome(&mut self, at: Timestamp, outcomes: &[Outcome]) -> Result<(), StoreError>;

    /// Publishes the newest report.
    async fn publish(&mut self, report: &Report) -> Result<(), StoreError>;

    /// What people asked, oldest first. What was answered before may come again; the state knows its answer.
    fn commands(&self) -> Vec<Command>;

    /// Other migrations that are under way, as far as this store knows of any.
    fn others(&self) -> Vec<State> {
        Vec::new()
    }

    /// Whether somebody is waiting for an answer. Cheap.
    fn has_commands(&self) -> bool;

    /// Throws away what was asked of an earlier attempt, so that it cannot strike a new one; and where that attempt had `ended`,
    /// puts its journal aside.
    async fn begin_anew(&mut self, now: Timestamp, ended: bool) -> Result<(), StoreError>;

    /// Lets only so many more records be kept.
    #[cfg(test)]
    fn leave_room_for(&mut self, records: usize);
}
