//! A program started for one test: its directory, its process, its end.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use crossfade::balancer::Side;
use crossfade::observe::clock::Moment;
use crossfade::plane::Plane;
use crossfade::plane::conformance::backends::Backends;
use crossfade::plane::conformance::front::Front;
use crossfade::plane::conformance::{Beyond, Client, Ground};
use crossfade::policy::Weight;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

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
    /// Tells it to end, and waits until it has.
    pub async fn end(mut self, signal: &str) {
        send(signal, self.id());
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

/// A program of a directory of its own between clients and servers: what HAProxy and nginx have in common.
pub struct Site {
    directory: TempDir,
    pub address: SocketAddr,
    front: Front,
    servers: [Vec<SocketAddr>; 2],
    backends: Option<Backends>,
    process: Mutex<Option<Part>>,
}

impl Site {
    /// Before so many backends of its own on each side.
    pub async fn between(source: usize, target: usize) -> Self {
        let backends = Backends::start(source, target).await.unwrap();
        let servers = [Side::Source, Side::Target].map(|side| backends.addresses(side));
        Self { backends: Some(backends), ..Self::before(servers, Backends::front) }
    }

    /// Before servers of the source and of the target that somebody started.
    pub fn before(servers: [Vec<SocketAddr>; 2], front: fn(SocketAddr) -> Front) -> Self {
        let (address, directory) = (free_address(), tempfile::tempdir().unwrap());
        Self { directory, address, front: front(address), servers, backends: None, process: Mutex::default() }
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    pub fn servers(&self, side: Side) -> &[SocketAddr] {
        &self.servers[usize::from(side == Side::Target)]
    }

    pub fn client(&self, keeps: bool) -> Box<dyn Client> {
        self.front.client(keeps)
    }

    /// Starts the program; it serves once somebody is answered.
    pub fn run(&self, command: &mut Command) {
        *self.process.lock().unwrap() = Some(Part::start(command, &self.file("output")));
    }

    pub fn process(&self) -> u32 {
        self.process.lock().unwrap().as_ref().map(Part::id).unwrap()
    }

    /// Tells the program to end, and waits until it has.
    pub async fn end(&self, signal: &str) {
        let process = self.process.lock().unwrap().take().unwrap();
        process.end(signal).await;
    }

    /// Takes the target's servers away, or brings them `back`.
    pub async fn lose_target(&self, back: bool) -> Result<(), Beyond> {
        lose_target(self.backends.as_ref(), back).await
    }
}

/// Takes the target's servers away, or brings them `back`, where they are ours.
pub async fn lose_target(backends: Option<&Backends>, back: bool) -> Result<(), Beyond> {
    let backends = backends.ok_or(Beyond("its backends are somebody else's"))?;
    if back {
        backends.restart(Side::Target).await.unwrap();
    } else {
        backends.stop(Side::Target).await;
    }
    Ok(())
}

pub fn send(signal: &str, process: u32) {
    let sent = Command::new("kill").args([&format!("-{signal}"), &process.to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Answers as told, or never: then what was opened has to be kept open.
pub async fn lie<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, answer: Option<&'static str>) -> Option<S> {
    let Some(answer) = answer else { return Some(stream) };
    let _ = stream.read(&mut [0; 4096]).await;
    let _ = stream.write_all(answer.as_bytes()).await;
    None
}

/// Where somebody answers everybody as told, or never.
pub async fn liar(answer: Option<&'static str>) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            open.extend(lie(stream, answer).await);
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

/// Waits until a plane shows a weight that was given to it.
pub async fn until_it_shows(plane: &dyn Plane, weight: Weight) {
    let since = Moment::now();
    while plane.observe().await.unwrap().weight != weight {
        assert!(since.elapsed() < PATIENCE, "{weight} is not shown within {PATIENCE:?}");
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
