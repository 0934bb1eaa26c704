//! The lab as a test sees it: reset, load, faults, HAProxy's own word, and `crossfade` as a person starts it.

mod account;
mod disk;
mod load;
mod relay;
mod run;
mod wall;
mod weights;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub use self::load::{Counts, Load};
pub use self::relay::relay;
pub use self::run::{Kill, Run, shows, waits};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Between two looks at a condition that is awaited.
const LOOK: Duration = Duration::from_millis(100);

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whether everything is asked of the lab, as `make chaos` does, or the sample of it that `make test` has time for.
#[expect(clippy::disallowed_methods, reason = "whoever starts the tests says how much they want")]
pub fn is_whole() -> bool {
    std::env::var("CROSSFADE_CHAOS").is_ok_and(|word| word == "whole")
}

/// What the lab says of itself: names and their values.
#[expect(clippy::disallowed_methods, reason = "where the lab is, its user may have said")]
pub fn environment() -> BTreeMap<String, String> {
    let directory = std::env::var("CROSSFADE_LAB_DIR").unwrap_or_else(|_| "/run/crossfade-lab".to_owned());
    let text = std::fs::read_to_string(Path::new(&directory).join("env")).expect("the lab is not up: make lab-up");
    let pairs = text.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The lab, while one test has it to itself.
pub struct Lab {
    env: BTreeMap<String, String>,
    pub state: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Lab {
    /// The lab as it is right after `lab-up`.
    pub fn reset() -> Self {
        let lab_as_it_is = Self::as_it_is();
        lab(&["reset"]);
        lab_as_it_is
    }

    /// The lab as the test before left it, for what has a namespace of its own.
    pub fn as_it_is() -> Self {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        Self { env: environment(), state: TempDir::new().unwrap(), _turn: turn }
    }

    /// Waits until `condition` gives a value; panics after `patience`, saying what was awaited and how everything stands.
    #[expect(clippy::disallowed_methods, reason = "a test's patience is measured by the wall")]
    pub fn until<T>(&self, what: &str, patience: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(value) = condition() {
                return value;
            }
            assert!(start.elapsed() < patience, "waited {patience:?} in vain until {what}\n{}", account::of(self));
            sleep(LOOK);
        }
    }

    pub fn env(&self, name: &str) -> &str {
        self.env.get(name).unwrap_or_else(|| panic!("the lab's env has no {name}"))
    }

    /// The lab's own migration, with its looks `window` long.
    pub fn file(&self, window: &str) -> PathBuf {
        self.file_with(&[("window: 10s", &format!("window: {window}"))])
    }

    /// The lab's own migration, with each first text replaced by its second.
    pub fn file_with(&self, changes: &[(&str, &str)]) -> PathBuf {
        let mut text = std::fs::read_to_string(root().join("tests/lab/checkout.yaml")).unwrap();
        for (from, to) in changes {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }
        let path = self.state.path().join("checkout.yaml");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// `crossfade`, as it finds the lab.
    pub fn crossfade(&self) -> Command {
        self.dressed(Command::new(env!("CARGO_BIN_EXE_crossfade")))
    }

    /// A command in whose environment `crossfade` finds the lab.
    fn dressed(&self, mut command: Command) -> Command {
        command.env("KUBECONFIG", self.env("KUBECONFIG")).env("CROSSFADE_STATE_DIR", self.states());
        command
    }

    /// Where Prometheus answers.
    pub fn prometheus(&self) -> &str {
        self.env("XF_PROMETHEUS_URL")
    }

    /// Where migrations keep their journals.
    pub fn states(&self) -> PathBuf {
        self.state.path().join("state")
    }

    /// The journal of the lab's migration.
    pub fn journal(&self) -> PathBuf {
        self.states().join("shop.checkout/journal.jsonl")
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

    /// HAProxy's own answer.
    pub fn haproxy(&self, command: &str) -> String {
        self.ask_haproxy(command).unwrap()
    }

    fn ask_haproxy(&self, command: &str) -> io::Result<String> {
        let mut socket = UnixStream::connect(self.env("XF_HAPROXY_SOCKET"))?;
        writeln!(socket, "{command}")?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// Every server of a backend as HAProxy describes it, all at one moment.
    fn servers(&self, backend: &str) -> io::Result<BTreeMap<String, BTreeMap<String, String>>> {
        let answer = self.ask_haproxy(&format!("show servers state {backend}"))?;
        let mut lines = answer.lines().skip(1);
        let columns: Vec<&str> = lines.next().unwrap_or_default().trim_start_matches("# ").split(' ').collect();
        let server = |line: &str| {
            let values =
                columns.iter().zip(line.split(' ')).map(|(column, value)| (column.to_string(), value.to_owned()));
            values.collect::<BTreeMap<_, _>>()
        };
        let servers = lines.filter(|line| !line.is_empty()).map(server);
        Ok(servers.map(|server| (server["srv_name"].clone(), server)).collect())
    }

    /// Address, administrative state and weights of the servers of a backend that belongs to somebody else.
    pub fn foreign(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let mut servers = self.servers("other").unwrap();
        let settings = ["srv_addr", "srv_admin_state", "srv_uweight", "srv_iweight", "srv_port"];
        servers.values_mut().for_each(|server| server.retain(|column, _| settings.contains(&column.as_str())));
        servers
    }

    /// The weights in force of blue and green, as HAProxy says itself.
    pub fn weights(&self) -> (u32, u32) {
        self.try_weights().unwrap()
    }

    /// The same, where HAProxy answers.
    pub fn try_weights(&self) -> io::Result<(u32, u32)> {
        let servers = self.servers("checkout")?;
        let weight = |name: &str| servers.get(name).and_then(|server| server.get("srv_uweight")?.parse().ok());
        weight("blue").zip(weight("green")).ok_or_else(|| io::Error::other("half an answer"))
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

    /// `kubectl` in the shop of a cluster, as its administrator.
    pub fn kubectl(&self, cluster: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(self.env("XF_KUBECTL"));
        command.env("KUBECONFIG", self.env("KUBECONFIG")).args(["--context", &format!("{cluster}-admin")]);
        command.args(["--namespace", "shop", "--request-timeout", "10s"]).args(arguments).output().unwrap()
    }

    /// An object, as an administrator sees it.
    pub fn object(&self, cluster: &str, kind: &str, name: &str) -> Value {
        let output = self.kubectl(cluster, &["get", kind, name, "--output", "json", "--show-managed-fields"]);
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
