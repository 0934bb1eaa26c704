//! `crossfade run`, as somebody started it: its reports, its end, and ending it.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use serde_json::Value;

use super::{Lab, account};

/// Longest that anything may take. A step takes some ten seconds; machines that build something else meanwhile take several
/// times as long.
const PATIENCE: Duration = Duration::from_secs(120);

const SIGKILL: i32 = 9;

/// Standard output of every run of a scenario, and its standard error.
pub(super) const OUTPUT: &str = "run.jsonl";
pub(super) const ERRORS: &str = "run.err";

/// Where a process is killed, by the records it writes itself, counted from 1; the first says that it has taken the migration
/// over. The kernel does it, when the process enters a system call on the journal; it is the program as people run it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kill {
    /// Everything before the record was done, and the record was not written.
    Before(u32),
    /// The record was written, and nothing was done after it.
    After(u32),
}

impl Lab {
    /// Starts `crossfade run` in the background.
    pub fn run(&self, file: &Path) -> Run<'_> {
        let mut command = self.crossfade();
        command.arg("run");
        self.start(command, file)
    }

    /// Starts another attempt in the background, also where the last one went back, and tells what it measures at an address.
    pub fn run_again(&self, file: &Path, metrics: &str) -> Run<'_> {
        let mut command = self.crossfade();
        command.args(["run", "--again", "--metrics", metrics]);
        self.start(command, file)
    }

    /// Starts it so that the kernel kills it at a record of its journal.
    pub fn run_killed(&self, file: &Path, kill: Kill) -> Run<'_> {
        let (call, nth) = match kill {
            Kill::Before(nth) => ("write", nth),
            Kill::After(nth) => ("fdatasync", nth),
        };
        let mut strace = Command::new("strace");
        // -D: the tracer stands aside, and what was started is the program itself.
        strace.args(["-D", "-f", "-qq", "-o", "/dev/null", "-P"]).arg(self.journal());
        strace.args(["-e", "trace=write,fdatasync", "-e", &format!("inject={call}:signal=KILL:when={nth}")]);
        strace.args([env!("CARGO_BIN_EXE_crossfade"), "run"]);
        self.start(self.dressed(strace), file)
    }

    pub(super) fn start(&self, mut command: Command, file: &Path) -> Run<'_> {
        let open = |name| File::options().create(true).append(true).open(self.state.path().join(name)).unwrap();
        command.arg("-f").arg(file).args(["-o", "json"]).stdout(open(OUTPUT)).stderr(open(ERRORS));
        let before = reports(self).len();
        Run { lab: self, child: command.spawn().unwrap(), before }
    }
}

/// A `crossfade run` that goes on beside the test.
pub struct Run<'l> {
    lab: &'l Lab,
    child: Child,
    /// Reports of the runs before it.
    before: usize,
}

impl Run<'_> {
    /// Every report so far, of this run and of those before it in the same scenario.
    pub fn reports(&self) -> Vec<Value> {
        reports(self.lab)
    }

    /// Waits until `holds` is true of the newest report.
    pub fn until(&mut self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        self.until_seen(what, |reports| reports.last().filter(|report| holds(report)).cloned())
    }

    /// Waits until `holds` is true of any report of this run, also one that is past already.
    pub fn until_ever(&mut self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        self.until_seen(what, |reports| reports.iter().find(|report| holds(report)).cloned())
    }

    fn until_seen(&mut self, what: &str, look: impl Fn(&[Value]) -> Option<Value>) -> Value {
        let lab = self.lab;
        lab.until(what, PATIENCE, || {
            let reports = self.reports();
            let last = look(reports.get(self.before..).unwrap_or_default());
            if last.is_none()
                && let Some(status) = self.child.try_wait().unwrap()
            {
                panic!("crossfade ended with {status} before {what}\n{}", account::of(lab));
            }
            last
        })
    }

    /// Waits until it waits for `reason` at `weight` percent.
    pub fn until_waiting(&mut self, reason: &str, weight: u64) -> Value {
        self.until(&format!("it waits for {reason} at {weight}%"), |report| waits(report, reason, weight))
    }

    /// Waits until every plane was read back at `weight` percent. Unlike a wait, which another may stand in front of for as long
    /// as it lasts, no pass can leave this out.
    pub fn until_shows(&mut self, weight: u64) -> Value {
        self.until_ever(&format!("every plane shows {weight}%"), |report| shows(report, weight))
    }

    /// Waits until it is gone, and says on the way what `answer` makes of its newest report. Its exit code, or nothing where it was
    /// killed.
    pub fn until_gone(&mut self, answer: impl Fn(&Value) -> Option<&'static str>) -> Option<i32> {
        let lab = self.lab;
        let status = lab.until("crossfade is gone", PATIENCE, || {
            let ended = self.child.try_wait().unwrap();
            let newest = reports(lab).get(self.before..).and_then(|reports| reports.last().cloned());
            if let Some(word) = newest.as_ref().and_then(&answer).filter(|_| ended.is_none()) {
                // It may be killed before it answers.
                lab.say(&[word]);
            }
            ended
        });
        assert!(status.code().is_some() || status.signal() == Some(SIGKILL), "{status}\n{}", account::of(lab));
        status.code()
    }

    /// Standard error of this run and those before it.
    pub fn errors(&self) -> String {
        std::fs::read_to_string(self.lab.state.path().join(ERRORS)).unwrap()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it the hard way.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end, and gives its exit code.
    pub fn exit(&mut self) -> i32 {
        let status = self.lab.until("crossfade ends", PATIENCE, || self.child.try_wait().unwrap());
        status.code().unwrap_or_else(|| panic!("{status}\n{}", account::of(self.lab)))
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every report in the state directory so far.
pub(super) fn reports(lab: &Lab) -> Vec<Value> {
    let text = std::fs::read_to_string(lab.state.path().join(OUTPUT)).unwrap_or_default();
    // The last line may still be being written, and one that a kill cut off has none of its own after it.
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Whether a report waits for `reason` with every plane observed at `weight` percent.
pub fn waits(report: &Value, reason: &str, weight: u64) -> bool {
    report["waiting"]["reason"] == reason && shows(report, weight)
}

/// Whether every plane was observed at `weight` percent.
pub fn shows(report: &Value, weight: u64) -> bool {
    let planes = report["planes"].as_array().unwrap();
    planes.iter().all(|plane| plane["observed"].as_u64() == Some(weight * 100))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What a run said on a machine that was busy for as long as the window at 50 % lasted.
    #[test]
    fn a_weight_that_was_reached_is_seen_whatever_stood_in_front_of_the_wait_expected_there() {
        let report = |observed: u64, reason: &str| json!({"planes": [{"name": "edge", "observed": observed * 100}], "waiting": {"reason": reason}});
        let said =
            [report(25, "PlaneMoving"), report(50, "Unobserved"), report(50, "PlaneMoving"), report(100, "Window")];
        assert!(!said.iter().any(|report| waits(report, "Window", 50)));
        assert!(said.iter().any(|report| shows(report, 50)));
    }
}
