//! A program started for one test: its directory, its process, its end.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crossfade::observe::clock::Moment;
use crossfade::plane::conformance::Ground;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Longest wait for a part to do what it was told.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest wait for one that was asked to end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A process that ends with its handle.
pub struct Part(Child);

impl Part {
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
        let command = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}; make lab-install")))
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Part {
    /// Waits for its own end.
    pub async fn ended(mut self) {
        until("it ends", || self.0.try_wait().unwrap().is_some()).await;
    }
}

impl Drop for Part {
    /// Asks it to end, so that it ends its own children too; what does not listen is killed.
    fn drop(&mut self) {
        // Whoever has ended may have left its number to somebody else.
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = Command::new("kill").arg(self.id().to_string()).status();
        }
        let since = Moment::now();
        while matches!(self.0.try_wait(), Ok(None)) {
            if since.elapsed() > LAST_WORDS {
                let _ = self.0.kill();
                let _ = self.0.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

pub fn send(signal: &str, process: u32) {
    let sent = Command::new("kill").args([&format!("-{signal}"), &process.to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Where somebody answers everybody as told, or never.
pub async fn liar(answer: Option<&'static str>) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            if let Some(answer) = answer {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            } else {
                open.push(stream);
            }
        }
    });
    address
}

/// An address of this machine that is free now.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

pub async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let since = Moment::now();
    while !done() {
        assert!(since.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until a backend answers through the plane.
pub async fn until_it_serves(ground: &dyn Ground) {
    let since = Moment::now();
    while ground.client(false).ask().await.is_none() {
        assert!(since.elapsed() < PATIENCE, "nothing is served within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
