//! The journal: one file, one line a record, appended and synced.
//!
//! Each line ends in a checksum over itself and the line before, so that a file that was cut, edited or mixed up is refused
//! and not half believed. One fault is expected and mended: a last line without its end, which is what a crash while
//! writing leaves. It never was acknowledged, so nothing was done because of it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::migration::state::FORMAT;
use crate::migration::{Action, Applied, Outcome, Reply, Request, State, Terms};
use crate::observe::clock::Clock;

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "camelCase")]
pub enum Record {
    /// A process took the migration over.
    Opened {
        /// When.
        at: Timestamp,
        /// Form of the journal.
        format: u32,
        /// How many processes took it over, this one included.
        epoch: u64,
        /// Its process id.
        pid: u32,
        /// For how long nobody was at work between the last state and now, by its own wall.
        #[serde(default)]
        idle: SignedDuration,
    },
    /// The state from here on.
    State {
        /// When.
        at: Timestamp,
        /// The state.
        state: Box<State>,
        /// The commands that were answered with it: what a command changed and that it was answered is one line.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        answered: Vec<Answered>,
    },
    /// An action is about to be carried out.
    Intent {
        /// When.
        at: Timestamp,
        /// The action.
        action: Action,
        /// How it would be undone, what has to hold for it, and whether it may be repeated.
        #[serde(flatten)]
        terms: Terms,
    },
    /// An action was answered.
    Outcome {
        /// When.
        at: Timestamp,
        /// The action.
        action: Action,
        /// Why it failed; nothing where it was answered well.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
}

impl Record {
    /// When it was written, by the clock of the process that wrote it.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Opened { at, .. } | Self::State { at, .. } | Self::Intent { at, .. } | Self::Outcome { at, .. } => {
                *at
            }
        }
    }

    /// Adds to what was applied before it, or takes from that.
    pub fn count(&self, applied: &mut Applied) {
        match self {
            Self::Intent { action, .. } => applied.intended(action),
            Self::Outcome { action, error, .. } => applied.answered(action, error.as_deref()),
            Self::Opened { .. } | Self::State { .. } => {}
        }
    }

    /// That an action is about to be carried out.
    pub fn intent(at: Timestamp, action: &Action) -> Self {
        Self::Intent { at, action: action.clone(), terms: action.terms() }
    }

    /// How an action was answered.
    pub fn outcome(at: Timestamp, outcome: &Outcome) -> Self {
        let Outcome { action, error } = outcome.clone();
        Self::Outcome { at, action, error }
    }
}

/// A command and its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// Who asked.
    pub by: String,
    /// What was asked.
    pub request: Request,
    /// The answer.
    pub reply: Reply,
}

/// A clock for whoever goes on after these records and the newest report.
pub fn go_on(clock: Clock, records: &[Record], report: Option<Timestamp>) -> Clock {
    // A state that was recorded knows of all rest before it.
    let since_state = records.iter().rev().take_while(|record| !matches!(record, Record::State { .. }));
    let rested = since_state.filter_map(|record| match record {
        Record::Opened { idle, .. } => Some(*idle),
        _ => None,
    });
    let rested = rested.max().unwrap_or_default();
    clock.after(records.last().map(Record::at).max(report), rested)
}

/// What can be wrong with a journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file could not be read or written.
    #[error("cannot {verb} {}", path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A line is not what was written.
    #[error(
        "{}:{line} is damaged, and nothing was done; restore the file from a copy, or bring the planes to their origin by hand, move it away and start anew",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// The journal is of another form.
    #[error("{}:{line} has form {found}, this version reads {FORMAT}; go on with the version that wrote it", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// Its form.
        found: u32,
    },
    /// A line has the right checksum and is not understood.
    #[error("{}:{line} was written by another version; go on with that one", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// Why it is not understood.
        source: serde_json::Error,
    },
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
    sum: String,
    /// Records that may still be written, for tests of what happens when the disk is full or the process ends there.
    #[cfg(test)]
    pub(super) room: Option<usize>,
}

impl Journal {
    /// Opens the journal at `path`, made where there is none, and reads what it holds.
    pub fn open(path: &Path) -> Result<(Self, Vec<Record>), JournalError> {
        let io = |verb| move |source| JournalError::Io { verb, path: path.to_owned(), source };
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = options.map_err(io("open"))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io("read"))?;
        let (records, length, sum) = parse(path, &bytes)?;
        file.set_len(length).map_err(io("mend"))?;
        file.seek(SeekFrom::Start(length)).map_err(io("read"))?;
        let journal = Self {
            path: path.to_owned(),
            file,
            length,
            sum,
            #[cfg(test)]
            room: None,
        };
        Ok((journal, records))
    }

    /// Appends a record; it is on disk when this returns.
    pub fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        self.append_all(std::slice::from_ref(record))
    }

    /// Appends records together; all of them are on disk when this returns.
    pub fn append_all(&mut self, records: &[Record]) -> Result<(), JournalError> {
        let path = self.path.clone();
        self.write(records).map_err(|source| JournalError::Io { verb: "write", path, source })
    }

    #[cfg(not(test))]
    fn write(&mut self, records: &[Record]) -> io::Result<()> {
        self.write_lines(records)
    }

    /// The process ends, or the disk is full, where the room ends: also in the middle of records that belong together.
    #[cfg(test)]
    fn write(&mut self, records: &[Record]) -> io::Result<()> {
        let fitting = self.room.map_or(records.len(), |room| room.min(records.len()));
        self.room = self.room.map(|room| room - fitting);
        self.write_lines(&records[..fitting])?;
        if fitting < records.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn write_lines(&mut self, records: &[Record]) -> io::Result<()> {
        let (mut lines, mut sum) = (String::new(), self.sum.clone());
        for record in records {
            let json = serde_json::to_string(record)?;
            sum = checksum(&sum, &json);
            lines.extend([json.as_str(), "\t", sum.as_str(), "\n"]);
        }
        let written = self.file.write_all(lines.as_bytes()).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // What arrived in part is taken back, so that the next append does not follow half a line.
            let _ = self.file.set_len(self.length);
            let _ = self.file.seek(SeekFrom::Start(self.length));
            return Err(error);
        }
        self.length += lines.len() as u64;
        self.sum = sum;
        Ok(())
    }
}

/// Reads a journal without opening it for writing; a line that is still being written is left out.
pub fn read(path: &Path) -> Result<Vec<Record>, JournalError> {
    let bytes =
        std::fs::read(path).map_err(|source| JournalError::Io { verb: "read", path: path.to_owned(), source })?;
    Ok(parse(path, &bytes)?.0)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<(Vec<Record>, u64, String), JournalError> {
    let (mut records, mut length, mut sum) = (Vec::new(), 0, String::new());
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let Some(text) = line.strip_suffix(b"\n") else { break };
        let damaged = || JournalError::Damaged { path: path.to_owned(), line: index + 1 };
        let text = std::str::from_utf8(text).map_err(|_| damaged())?;
        let (json, found) = text.rsplit_once('\t').ok_or_else(damaged)?;
        let expected = checksum(&sum, json);
        if found != expected {
            return Err(damaged());
        }
        let unknown = |source| JournalError::Unknown { path: path.to_owned(), line: index + 1, source };
        let record = serde_json::from_str(json).map_err(unknown)?;
        if let Record::Opened { format: found, .. } = record
            && found != FORMAT
        {
            return Err(JournalError::Format { path: path.to_owned(), line: index + 1, found });
        }
        records.push(record);
        length += line.len() as u64;
        sum = expected;
    }
    Ok((records, length, sum))
}

fn checksum(before: &str, json: &str) -> String {
    let digest = Sha256::new().chain_update(before).chain_update(json).finalize();
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(epoch: u64) -> Record {
        Record::Opened { at: Timestamp::UNIX_EPOCH, format: FORMAT, epoch, pid: 7, idle: SignedDuration::ZERO }
    }

    fn journal(records: u64) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (mut journal, _) = Journal::open(&path).unwrap();
        for epoch in 1..=records {
            journal.append(&opened(epoch)).unwrap();
        }
        (dir, path)
    }

    #[test]
    fn a_file_cut_at_any_byte_keeps_its_whole_lines_and_goes_on() {
        let (_dir, path) = journal(3);
        let whole = std::fs::read(&path).unwrap();
        let ends: Vec<usize> = (0..whole.len()).filter(|i| whole[*i] == b'\n').map(|i| i + 1).collect();
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let kept = ends.iter().filter(|end| **end <= cut).count();
            let (mut journal, records) = Journal::open(&path).unwrap();
            assert_eq!(records.len(), kept, "cut at {cut}");
            journal.append(&opened(9)).unwrap();
            assert_eq!(read(&path).unwrap().len(), kept + 1, "cut at {cut}");
        }
    }

    /// Why a journal of these lines is refused; the file stays as it is, byte for byte.
    fn refused(path: &Path, lines: &[&str]) -> JournalError {
        let text = lines.iter().fold(String::new(), |text, line| text + line + "\n");
        std::fs::write(path, &text).unwrap();
        let error = Journal::open(path).unwrap_err();
        assert_eq!(std::fs::read_to_string(path).unwrap(), text, "nothing is lost");
        error
    }

    #[test]
    fn whatever_was_done_to_a_journal_is_refused_by_line_and_loses_nothing() {
        let (_dir, path) = journal(3);
        let text = std::fs::read_to_string(&path).unwrap();
        let [a, b, c] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
        let half = &b[..b.len() / 2];
        for (lines, line) in [
            (vec![a, half, c], 2),
            (vec![a, c, b], 2),
            (vec![a, b, b, c], 3),
            (vec![b, c], 1),
            (vec![a, "", b, c], 2),
            (vec![a, b, c, "{}"], 4),
        ] {
            let error = refused(&path, &lines);
            assert!(matches!(&error, JournalError::Damaged { line: found, .. } if *found == line), "{error}");
            assert!(error.to_string().contains("restore the file"), "{error}");
        }
    }

    #[test]
    fn another_versions_journal_is_refused_with_what_to_do() {
        let (_dir, path) = journal(1);
        let signed = |json: String| format!("{json}\t{}", checksum("", &json));
        let text = std::fs::read_to_string(&path).unwrap();
        let json = text.split('\t').next().unwrap();
        let older = json.replace(&format!("\"format\":{FORMAT}"), "\"format\":2");
        let error = refused(&path, &[&signed(older)]);
        assert!(matches!(error, JournalError::Format { line: 1, found: 2, .. }), "{error}");
        assert!(error.to_string().contains("the version that wrote it"), "{error}");
        let error = refused(&path, &[&signed(json.replace("opened", "blessed"))]);
        assert!(matches!(error, JournalError::Unknown { line: 1, .. }), "{error}");
    }

    #[test]
    fn a_changed_or_missing_line_is_refused() {
        let (_dir, path) = journal(3);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        std::fs::write(&path, text.replacen("\"epoch\":2", "\"epoch\":5", 1)).unwrap();
        assert!(matches!(Journal::open(&path), Err(JournalError::Damaged { line: 2, .. })));
        std::fs::write(&path, format!("{}\n{}\n", lines[0], lines[2])).unwrap();
        assert!(matches!(Journal::open(&path), Err(JournalError::Damaged { line: 2, .. })));
    }
}
