//! Files of a balancer's configuration that several programs write: in turn, and each time as a whole. IO.
//!
//! A writer holds a lock beside the file from its look to its write; who edits by hand does not, so the file is looked at once more
//! before another one takes its place.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::PlaneError;
use crate::observe::clock::Moment;

/// Longest wait for another writer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two tries to get the lock.
const LOOK: Duration = Duration::from_millis(10);

/// Waits for the lock of those who write `path`, which ends with the handle or the process.
pub(super) async fn lock(path: &Path) -> Result<File, PlaneError> {
    let path = beside(path, ".lock");
    let failed = |error| unreadable(&path, error);
    let file = File::options().create(true).append(true).open(&path).map_err(failed)?;
    let began = Moment::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) if began.elapsed() < PATIENCE => tokio::time::sleep(LOOK).await,
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(PlaneError::TimedOut { address: path.display().to_string(), seconds: PATIENCE.as_secs() });
            }
            Err(std::fs::TryLockError::Error(source)) => return Err(failed(source)),
        }
    }
}

/// The text of a file.
pub(super) async fn read(path: &Path) -> Result<String, PlaneError> {
    tokio::fs::read_to_string(path).await.map_err(|error| unreadable(path, error))
}

/// Puts `text` in the place of a file that holds `seen`; `last` is asked right before. Whoever reads it finds one or the other.
pub(super) async fn replace(
    path: &Path,
    seen: &str,
    text: &str,
    last: impl Fn() -> Result<(), PlaneError>,
) -> Result<(), PlaneError> {
    let partial = beside(path, ".partial");
    let failed = |error| unreadable(path, error);
    tokio::fs::write(&partial, text).await.map_err(failed)?;
    let permissions = tokio::fs::metadata(path).await.map_err(failed)?.permissions();
    tokio::fs::set_permissions(&partial, permissions).await.map_err(failed)?;
    if read(path).await? != seen {
        let answer = "somebody else has written it since it was read".to_owned();
        return Err(PlaneError::Refused { command: format!("replace {}", path.display()), answer });
    }
    last()?;
    tokio::fs::rename(&partial, path).await.map_err(failed)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut beside = path.to_owned().into_os_string();
    beside.push(ending);
    beside.into()
}

fn unreadable(path: &Path, error: io::Error) -> PlaneError {
    let place = path.display().to_string();
    match error.kind() {
        io::ErrorKind::NotFound => PlaneError::NotFound { what: place },
        io::ErrorKind::PermissionDenied => {
            PlaneError::Refused { command: format!("read or write {place}"), answer: error.to_string() }
        }
        io::ErrorKind::InvalidData => PlaneError::Malformed { what: place },
        _ => PlaneError::Unreachable { address: place, source: error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_replaced_as_a_whole_and_only_if_it_is_the_one_that_was_seen() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.json");
        std::fs::write(&path, "one").unwrap();
        replace(&path, "one", "two", || Ok(())).await.unwrap();
        assert_eq!(read(&path).await.unwrap(), "two");
        let late = replace(&path, "one", "three", || Ok(())).await.unwrap_err();
        assert_eq!(late.meaning(), "refused", "{late}");
        let fenced = || Err(PlaneError::Malformed { what: "nobody leads".to_owned() });
        assert_eq!(replace(&path, "two", "three", fenced).await.unwrap_err().meaning(), "malformed");
        assert_eq!(read(&path).await.unwrap(), "two");
    }

    #[tokio::test]
    async fn what_cannot_be_read_has_a_meaning() {
        assert_eq!(read(Path::new("/nowhere/a")).await.unwrap_err().meaning(), "not found");
        assert_eq!(lock(Path::new("/nowhere/a")).await.unwrap_err().meaning(), "not found");
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a"), [0xff, 0xfe]).unwrap();
        assert_eq!(read(&directory.path().join("a")).await.unwrap_err().meaning(), "malformed");
    }

    #[tokio::test]
    async fn a_second_writer_waits_for_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let held = lock(&path).await.unwrap();
        let second = lock(&path);
        tokio::pin!(second);
        let early = tokio::time::timeout(5 * LOOK, &mut second).await;
        assert!(early.is_err(), "it had the lock beside the first");
        drop(held);
        second.await.unwrap();
    }
}
