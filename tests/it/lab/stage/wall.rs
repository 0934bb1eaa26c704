//! A wall clock of its own for one `crossfade run`, which can be set while it runs.
//!
//! That of the machine is everybody's. Debian's `faketime` puts another one in front of it for one process; the steady clock stays.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Lab, Run};

/// Where Debian has the library; the loader puts the machine's architecture in.
const LIBRARY: &str = "/usr/$LIB/faketime/libfaketime.so.1";

/// How far the wall of a run is ahead of the machine's.
pub struct Wall(PathBuf);

impl Lab {
    /// A wall that shows what the machine's shows.
    pub fn wall(&self) -> Wall {
        let wall = Wall(self.state.path().join("wall"));
        wall.set(0);
        wall
    }

    /// Starts `crossfade run` in the background, with a wall of its own.
    pub fn run_by(&self, wall: &Wall, file: &Path) -> Run<'_> {
        let mut command = self.crossfade();
        wall.put_before(command.arg("run"));
        self.start(command, file)
    }
}

impl Wall {
    /// Sets it, for the process that runs and for those to come.
    pub fn set(&self, seconds: i64) {
        let ready = self.0.with_extension("new");
        fs::write(&ready, format!("{seconds:+}\n")).unwrap();
        fs::rename(&ready, &self.0).unwrap();
    }

    /// What a process sees on it, in seconds ahead of the machine's.
    pub fn seen(&self) -> i64 {
        let seconds = |date: &mut Command| -> i64 {
            String::from_utf8(date.arg("+%s").output().unwrap().stdout).unwrap().trim().parse().unwrap()
        };
        seconds(self.put_before(&mut Command::new("date"))) - seconds(&mut Command::new("date"))
    }

    fn put_before<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.env("LD_PRELOAD", LIBRARY).env("FAKETIME_TIMESTAMP_FILE", &self.0);
        command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    }
}
