//! The users: a client that counts what became of every request.

use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::Lab;

impl Lab {
    /// Starts the load client among the users.
    pub fn load(&self, rate: u32, duration: &str) -> Load<'_> {
        let live = self.state.path().join(LIVE);
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.env("XF_CLIENT_NETNS"), self.env("XF_LOAD")]);
        command.args(["--url", self.env("XF_HAPROXY_URL"), "--rate", &rate.to_string(), "--duration", duration]);
        command.args(["--keepalive", "--live"]).arg(&live).stdout(Stdio::piped());
        Load { lab: self, child: command.spawn().unwrap(), live }
    }
}

/// Where the running counts are.
pub(super) const LIVE: &str = "load.json";

/// The load client.
pub struct Load<'l> {
    lab: &'l Lab,
    child: Child,
    live: PathBuf,
}

/// What became of the requests.
pub struct Counts(Value);

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Load<'_> {
    /// The running counts.
    pub fn now(&self) -> Counts {
        self.lab.until("the load client counts", Duration::from_secs(10), || {
            Some(Counts(serde_json::from_str(&std::fs::read_to_string(&self.live).ok()?).ok()?))
        })
    }

    /// Waits until so many more requests were answered.
    pub fn answered(&self, more: u64) -> Counts {
        let before = self.now().number("answered");
        self.lab.until("users were answered", Duration::from_secs(60), || {
            Some(self.now()).filter(|counts| counts.number("answered") >= before + more)
        })
    }

    /// Ends it, and gives the final counts.
    pub fn end(mut self) -> Counts {
        let ended = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(ended.success(), "the load client had ended early");
        let mut text = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        self.child.wait().unwrap();
        Counts(serde_json::from_str(text.trim()).unwrap_or_else(|error| panic!("{error}: {text}")))
    }
}

impl Drop for Load<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Counts {
    /// One of the totals.
    pub fn number(&self, name: &str) -> u64 {
        self.0[name].as_u64().unwrap_or_else(|| panic!("{name} in {}", self.0))
    }

    /// Answers of one cluster, of every status.
    pub fn of(&self, cluster: &str) -> u64 {
        let statuses = self.0["responses"][cluster].as_object();
        statuses.into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum()
    }
}
