//! The nginx that runs: what it says, its test and its reload. IO.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::http;
use crate::observe::clock::Moment;
use crate::plane::PlaneError;
use crate::plane::question::ask;

/// Longest wait for an answer of a worker, or for a test of the configuration.
const PATIENCE: Duration = Duration::from_secs(2);

/// Longest wait for the new workers after a reload.
const RELOAD: Duration = Duration::from_secs(5);

/// Between two questions while new workers are awaited.
const LOOK: Duration = Duration::from_millis(10);

/// Time in which only new workers answer before a reload counts as done. nginx starts new workers, waits 100 ms, and only then
/// tells the old ones to accept no more.
const SETTLED: Duration = Duration::from_millis(300);

/// How the title of a worker begins that ends what it began.
const ENDING: &str = "nginx: worker process is shutting down";

/// A running nginx.
#[derive(Debug)]
pub(super) struct Process {
    config: PathBuf,
    status: String,
    client: Result<reqwest::Client, String>,
}

/// What a worker says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) worker: u32,
    pub(super) weights: String,
}

impl Process {
    pub(super) fn new(config: PathBuf, status: String) -> Self {
        // A connection for each question: a kept one would be answered by the worker it was opened to.
        let client = http::client().no_proxy().pool_max_idle_per_host(0).tls_certs_only([]).build();
        Self { config, status, client: client.map_err(|error| error.to_string()) }
    }

    /// What the worker that takes a new connection says.
    pub(super) async fn told(&self) -> Result<Told, PlaneError> {
        let text = ask(&self.client, &self.status, PATIENCE).await?;
        let told = text.trim().split_once(' ').map_or((text.trim(), ""), |(worker, weights)| (worker, weights.trim()));
        let malformed = || PlaneError::Malformed { what: format!("the answer of {}", self.status) };
        Ok(Told { worker: told.0.parse().map_err(|_| malformed())?, weights: told.1.to_owned() })
    }

    /// Has nginx read its configuration without using it.
    pub(super) async fn test(&self) -> Result<(), PlaneError> {
        self.run(&["-t", "-q"]).await
    }

    /// Has nginx use its configuration, and waits until only workers answer that do.
    pub(super) async fn reload(&self, expected: &str) -> Result<(), PlaneError> {
        self.run(&["-s", "reload"]).await?;
        let (began, mut since) = (Moment::now(), None);
        loop {
            if self.told().await.is_ok_and(|told| told.weights == expected) {
                let since: &Moment = since.get_or_insert_with(Moment::now);
                if since.elapsed() >= SETTLED {
                    return Ok(());
                }
            } else {
                since = None;
            }
            if began.elapsed() > RELOAD {
                return Err(PlaneError::TimedOut { address: self.status.clone(), seconds: RELOAD.as_secs() });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn run(&self, arguments: &[&str]) -> Result<(), PlaneError> {
        let mut command = Command::new("nginx");
        command.arg("-c").arg(&self.config).args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        let told = || format!("nginx -c {} {}", self.config.display(), arguments.join(" "));
        match timeout(PATIENCE, command.output()).await {
            Ok(Ok(output)) if output.status.success() => Ok(()),
            Ok(Ok(output)) => {
                let answer = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                Err(PlaneError::Refused { command: told(), answer })
            }
            Ok(Err(source)) => Err(PlaneError::Unreachable { address: "nginx".to_owned(), source }),
            Err(_) => Err(PlaneError::TimedOut { address: told(), seconds: PATIENCE.as_secs() }),
        }
    }
}

/// How many workers still end what they began, of the nginx that `worker` belongs to.
pub(super) async fn ending_beside(worker: u32) -> u64 {
    let counted = tokio::task::spawn_blocking(move || {
        let Some(master) = parent(worker) else { return 0 };
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let processes = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let ends = |process: &u32| {
            let title = std::fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap_or_default();
            title.starts_with(ENDING) && parent(*process) == Some(master)
        };
        processes.filter(ends).count() as u64
    });
    counted.await.unwrap_or_default()
}

fn parent(process: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in brackets may hold anything; the state and then the parent follow it.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}
