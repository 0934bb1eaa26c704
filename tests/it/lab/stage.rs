//! The lab as a test sees it: reset, load, faults, HAProxy's own word, and `crossfade` as a person starts it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Between two looks at a condition that is awaited.
const LOOK: Duration = Duration::from_millis(100);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Waits until `condition` gives a value; panics after `patience`, saying what was awaited.
#[expect(clippy::disallowed_methods, reason = "a test's patience is measured by the wall")]
pub fn until<T>(what: &str, patience: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < patience, "waited {patience:?} in vain until {what}");
        sleep(LOOK);
    }
}

pub struct Lab {
    env: BTreeMap<String, String>,
    pub state: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Lab {
    /// The lab as it is right after `lab-up`.
    #[expect(clippy::disallowed_methods, reason = "where the lab is, its user may have said")]
    pub fn reset() -> Self {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        lab(&["reset"]);
        let directory = std::env::var("CROSSFADE_LAB_DIR").unwrap_or_else(|_| "/run/crossfade-lab".to_owned());
        let text = std::fs::read_to_string(Path::new(&directory).join("env")).expect("the lab is not up: make lab-up");
        let pairs = text.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
        let env = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { env, state: TempDir::new().unwrap(), _turn: turn }
    }

    fn env(&self, name: &str) -> &str {
        self.env.get(name).unwrap_or_else(|| panic!("the lab's env has no {name}"))
    }

    /// The lab's own migration, with its looks `window` long.
    pub fn file(&self, window: &str) -> PathBuf {
        let text = std::fs::read_to_string(root().join("tests/lab/checkout.yaml")).unwrap();
        assert!(text.contains("window: 10s"));
        let path = self.state.path().join("checkout.yaml");
        std::fs::write(&path, text.replace("window: 10s", &format!("window: {window}"))).unwrap();
        path
    }

    fn crossfade(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
        command.env("KUBECONFIG", self.env("KUBECONFIG")).env("CROSSFADE_STATE_DIR", self.state.path().join("state"));
        command
    }

    /// Starts `crossfade run` in the background.
    pub fn run(&self, file: &Path) -> Run<'_> {
        let output = self.state.path().join("run.jsonl");
        let out = File::options().create(true).append(true).open(&output).unwrap();
        let errors = File::options().create(true).append(true).open(self.state.path().join("run.err")).unwrap();
        let mut command = self.crossfade();
        command.arg("run").arg("-f").arg(file).args(["-o", "json"]).stdout(out).stderr(errors);
        let before = std::fs::read_to_string(&output).unwrap_or_default().lines().count();
        Run { lab: self, child: command.spawn().unwrap(), output, before }
    }

    /// Another terminal: a verb that answers at once.
    pub fn say(&self, arguments: &[&str]) -> Output {
        self.crossfade().args(arguments).output().unwrap()
    }

    /// What `status -o json` says of the only migration.
    pub fn status(&self) -> Value {
        let output = self.say(&["status", "-o", "json"]);
        let all: Value = serde_json::from_slice(&output.stdout).unwrap();
        all[0]["report"].clone()
    }

    /// Starts the load client among the users.
    pub fn load(&self, rate: u32, duration: &str) -> Load {
        let live = self.state.path().join("load.json");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.env("XF_CLIENT_NETNS"), self.env("XF_LOAD")]);
        command.args(["--url", self.env("XF_HAPROXY_URL"), "--rate", &rate.to_string(), "--duration", duration]);
        command.args(["--keepalive", "--live"]).arg(&live).stdout(Stdio::piped());
        Load { child: command.spawn().unwrap(), live }
    }

    /// HAProxy's own answer.
    pub fn haproxy(&self, command: &str) -> String {
        let mut socket = UnixStream::connect(self.env("XF_HAPROXY_SOCKET")).unwrap();
        writeln!(socket, "{command}").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Address, administrative state and weights of the servers of a backend that belongs to somebody else.
    pub fn foreign(&self) -> Vec<String> {
        let settings = ["srv_name", "srv_addr", "srv_admin_state", "srv_uweight", "srv_iweight", "srv_port"];
        let answer = self.haproxy("show servers state other");
        let mut lines = answer.lines().skip(1);
        let columns: Vec<&str> = lines.next().unwrap().trim_start_matches("# ").split(' ').collect();
        let of = |line: &str| {
            let values = columns.iter().zip(line.split(' ')).filter(|(column, _)| settings.contains(column));
            values.map(|(column, value)| format!("{column}={value}")).collect::<Vec<_>>().join(" ")
        };
        lines.filter(|line| !line.is_empty()).map(of).collect()
    }

    /// The weight in force of a server, as HAProxy says itself.
    pub fn weight(&self, server: &str) -> u32 {
        let answer = self.haproxy(&format!("get weight checkout/{server}"));
        answer.split_whitespace().next().and_then(|weight| weight.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
    }

    /// A column of `show stat` for each server of the backend.
    pub fn stat(&self, column: &str) -> BTreeMap<String, String> {
        let answer = self.haproxy("show stat");
        let mut lines = answer.lines();
        let header: Vec<&str> = lines.next().unwrap().trim_start_matches("# ").split(',').collect();
        let index = header.iter().position(|name| *name == column).unwrap();
        let rows = lines.map(|line| line.split(',').collect::<Vec<_>>()).filter(|row| row[0] == "checkout");
        rows.map(|row| (row[1].to_owned(), row[index].to_owned())).collect()
    }

    /// No request of a user failed; where one did, HAProxy's own account of it is told.
    pub fn nobody_failed(&self, counts: &Counts) {
        let columns = ["hrsp_5xx", "hrsp_other", "econ", "eresp", "cli_abrt", "srv_abrt", "wretr", "wredis", "dresp"];
        let account: Vec<_> = columns.iter().map(|column| format!("{column} {:?}", self.stat(column))).collect();
        assert_eq!((counts.number("failed"), counts.number("shed")), (0, 0), "{counts:?}\n{}", account.join("\n"));
    }

    /// Requests a server has answered, as HAProxy counts.
    pub fn requests(&self, server: &str) -> u64 {
        self.stat("req_tot")[server].parse().unwrap()
    }

    /// An object, as an administrator sees it.
    pub fn object(&self, cluster: &str, kind: &str, name: &str) -> Value {
        let mut command = Command::new(self.env("XF_KUBECTL"));
        command.env("KUBECONFIG", self.env("KUBECONFIG")).args(["--context", &format!("{cluster}-admin")]);
        command.args(["--namespace", "shop", "get", kind, name, "--output", "json", "--show-managed-fields"]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// One of the lab's own commands; it has to succeed.
pub fn lab(arguments: &[&str]) {
    let output = Command::new(root().join("tests/lab/lab")).args(arguments).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "lab {arguments:?}: {told}");
}

/// A `crossfade run` that goes on beside the test.
pub struct Run<'l> {
    lab: &'l Lab,
    child: Child,
    output: PathBuf,
    /// Reports of the runs before it.
    before: usize,
}

impl Run<'_> {
    /// Every report so far, of this run and of those before it in the same scenario.
    pub fn reports(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.output).unwrap();
        // The last line may still be being written.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
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
        until(what, Duration::from_secs(120), || {
            let reports = self.reports();
            let last = look(reports.get(self.before..).unwrap_or_default());
            if last.is_none()
                && let Some(status) = self.child.try_wait().unwrap()
            {
                panic!("crossfade ended with {status} before {what}\n{}", self.account());
            }
            last
        })
    }

    /// Waits until it waits for `reason` at `weight` percent.
    pub fn until_waiting(&mut self, reason: &str, weight: u64) -> Value {
        self.until(&format!("it waits for {reason} at {weight}%"), |report| waits(report, reason, weight))
    }

    /// Kills it the hard way.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end, and gives its exit code.
    pub fn exit(&mut self) -> i32 {
        let status = until("crossfade ends", Duration::from_secs(90), || self.child.try_wait().unwrap());
        status.code().unwrap_or_else(|| panic!("{status}\n{}", self.account()))
    }

    fn account(&self) -> String {
        let errors = std::fs::read_to_string(self.lab.state.path().join("run.err")).unwrap_or_default();
        let last = self.reports().pop();
        format!("{errors}\nlast report: {last:?}")
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a report waits for `reason` with every plane observed at `weight` percent.
pub fn waits(report: &Value, reason: &str, weight: u64) -> bool {
    let planes = report["planes"].as_array().unwrap();
    let there = planes.iter().all(|plane| plane["observed"].as_u64() == Some(weight * 100));
    report["waiting"]["reason"] == reason && there
}

/// The load client.
pub struct Load {
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

impl Load {
    /// The running counts.
    pub fn now(&self) -> Counts {
        until("the load client counts", Duration::from_secs(10), || {
            Some(Counts(serde_json::from_str(&std::fs::read_to_string(&self.live).ok()?).ok()?))
        })
    }

    /// Waits until so many more requests were answered.
    pub fn answered(&self, more: u64) -> Counts {
        let before = self.now().number("answered");
        until("users were answered", Duration::from_secs(60), || {
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

impl Drop for Load {
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
