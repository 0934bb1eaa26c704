//! HAProxy's Runtime API: one question a connection, or one command after a greeting; an answer in text.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::{Admin, Admitted};
use crate::fence::Fence;
use crate::migration::snapshot::Counters;
use crate::plane::PlaneError;
use crate::policy::HaproxyAddress;

/// The API answers from memory within milliseconds; a second and more means that HAProxy hangs or is gone.
const PATIENCE: Duration = Duration::from_secs(2);

/// Idle time after which HAProxy ends the connection of a write. It has to be shorter than what a lease still lasts when the write is
/// sent, and longer than a busy machine may need between a prompt and the command.
const IDLE: Duration = Duration::from_secs(2);

/// What ends an answer on a connection that stays open.
const PROMPT: &[u8] = b"\n> ";

/// Largest answer read: `show stat` of some thousand servers. More than that is not this backend.
const MOST_BYTES: u64 = 4 << 20;

/// Bits of `srv_admin_state` for maintenance: forced, inherited, by resolution (HAProxy 2.6, `server-state` file). The bit for
/// "disabled in the configuration", 0x04, stays set after the server was enabled and means nothing here.
const MAINT_BITS: u32 = 0x01 | 0x02 | 0x20 | 0x40;
/// Bits of `srv_admin_state` for drain, forced or inherited.
const DRAIN_BITS: u32 = 0x08 | 0x10;

/// One Runtime API.
#[derive(Debug)]
pub(super) struct Runtime {
    address: HaproxyAddress,
}

/// One server as `show stat` has it.
#[derive(Debug)]
pub(super) struct Stat {
    pub(super) up: bool,
    pub(super) sessions: u64,
    pub(super) counters: Counters,
}

impl Runtime {
    pub(super) fn new(address: HaproxyAddress) -> Self {
        Self { address }
    }

    fn place(&self) -> String {
        match &self.address {
            HaproxyAddress::Unix(path) => path.display().to_string(),
            HaproxyAddress::Tcp(address) => address.clone(),
        }
    }

    /// Sends a command that answers nothing where it succeeds, if the fence lets it.
    pub(super) async fn tell(&self, fence: &Fence, command: &str) -> Result<(), PlaneError> {
        let mut stream = self.in_time(async { Ok(BufStream::new(self.connect().await?)) }).await?;
        for line in ["prompt", &format!("set timeout cli {}", IDLE.as_secs())] {
            self.say(&mut stream, line).await?;
        }
        fence.check(IDLE + PATIENCE)?;
        self.say(&mut stream, command).await
    }

    /// A line of a conversation, which is answered with nothing but the next prompt.
    async fn say(&self, stream: &mut BufStream<Box<dyn Stream>>, line: &str) -> Result<(), PlaneError> {
        let exchange = async {
            stream.write_all(format!("{line}\n").as_bytes()).await?;
            stream.flush().await?;
            until_prompt(stream).await
        };
        let answer = self.in_time(exchange).await?;
        match answer.trim() {
            "" => Ok(()),
            answer => Err(PlaneError::Refused { command: line.to_owned(), answer: answer.to_owned() }),
        }
    }

    async fn ask(&self, command: &str) -> Result<String, PlaneError> {
        self.in_time(async {
            let mut stream = self.connect().await?;
            stream.write_all(format!("{command}\n").as_bytes()).await?;
            let mut answer = String::new();
            stream.take(MOST_BYTES).read_to_string(&mut answer).await?;
            Ok(answer)
        })
        .await
    }

    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match &self.address {
            HaproxyAddress::Unix(path) => Box::new(UnixStream::connect(path).await?),
            HaproxyAddress::Tcp(address) => Box::new(TcpStream::connect(address).await?),
        })
    }

    async fn in_time<T>(&self, exchange: impl Future<Output = io::Result<T>>) -> Result<T, PlaneError> {
        match timeout(PATIENCE, exchange).await {
            Ok(answer) => answer.map_err(|source| PlaneError::Unreachable { address: self.place(), source }),
            Err(_) => Err(PlaneError::TimedOut { address: self.place(), seconds: PATIENCE.as_secs() }),
        }
    }

    /// Weight and administrative state of every server of a backend.
    pub(super) async fn server_states(&self, backend: &str) -> Result<BTreeMap<String, Admitted>, PlaneError> {
        let answer = self.ask(&format!("show servers state {backend}")).await?;
        server_states(backend, &answer)
    }

    /// Health, sessions and counters of every server of a backend.
    pub(super) async fn server_stats(&self, backend: &str) -> Result<BTreeMap<String, Stat>, PlaneError> {
        let answer = self.ask("show stat -1 4 -1").await?;
        server_stats(backend, &answer)
    }
}

/// A connection of either kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What is answered before the next prompt. Half an answer, without one, is the end of the connection and not an answer.
async fn until_prompt(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<String> {
    let mut answer = Vec::new();
    loop {
        let read = (&mut *stream).take(MOST_BYTES).read_until(b' ', &mut answer).await?;
        if let Some(said) = answer.strip_suffix(PROMPT) {
            return Ok(String::from_utf8_lossy(said).into_owned());
        }
        if read == 0 || answer.len() as u64 >= MOST_BYTES {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn malformed(what: &str) -> PlaneError {
    PlaneError::Malformed { what: what.to_owned() }
}

fn server_states(backend: &str, answer: &str) -> Result<BTreeMap<String, Admitted>, PlaneError> {
    let mut lines = answer.lines().map(str::trim).filter(|line| !line.is_empty());
    let version = lines.next().unwrap_or_default();
    if version != "1" {
        let missing = version.contains("find") || version.contains("No such");
        let not_found = PlaneError::NotFound { what: format!("backend {backend}") };
        return Err(if missing { not_found } else { malformed("show servers state") });
    }
    let header = lines.next().and_then(|line| line.strip_prefix('#')).ok_or_else(|| malformed("show servers state"))?;
    let columns: Vec<&str> = header.split_whitespace().collect();
    lines.map(|line| server_state(&columns, line).ok_or_else(|| malformed("show servers state"))).collect()
}

fn server_state(columns: &[&str], line: &str) -> Option<(String, Admitted)> {
    let row: BTreeMap<&str, &str> = columns.iter().copied().zip(line.split_whitespace()).collect();
    let admin: u32 = row.get("srv_admin_state")?.parse().ok()?;
    let state = match admin {
        _ if admin & MAINT_BITS != 0 => Admin::Maint,
        _ if admin & DRAIN_BITS != 0 => Admin::Drain,
        _ => Admin::Ready,
    };
    let weight = row.get("srv_uweight")?.parse().ok()?;
    Some(((*row.get("srv_name")?).to_owned(), Admitted { weight, state }))
}

fn server_stats(backend: &str, answer: &str) -> Result<BTreeMap<String, Stat>, PlaneError> {
    let mut lines = answer.lines().filter(|line| !line.trim().is_empty());
    let header = lines.next().and_then(|line| line.strip_prefix("# ")).ok_or_else(|| malformed("show stat"))?;
    let columns: Vec<&str> = header.split(',').collect();
    let mut stats = BTreeMap::new();
    for line in lines {
        let row: BTreeMap<&str, &str> = columns.iter().copied().zip(line.split(',')).collect();
        if row.get("pxname") == Some(&backend) {
            let (name, stat) = server_stat(&row).ok_or_else(|| malformed("show stat"))?;
            stats.insert(name, stat);
        }
    }
    Ok(stats)
}

fn server_stat(row: &BTreeMap<&str, &str>) -> Option<(String, Stat)> {
    let number = |column: &str| row.get(column).and_then(|text| text.parse::<u64>().ok());
    // `status` reads UP, DOWN, NOLB, DRAIN, MAINT or, in transition, "UP 1/3".
    let status = row.get("status")?;
    let counters = Counters {
        requests: number("req_tot").or_else(|| number("stot"))?,
        failed: number("hrsp_5xx").unwrap_or_default()
            + number("econ").unwrap_or_default()
            + number("eresp").unwrap_or_default(),
    };
    let up = status.starts_with("UP") || *status == "no check";
    Some(((*row.get("svname")?).to_owned(), Stat { up, sessions: number("scur")?, counters }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_states() {
        let answer = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight\n\
                      3 web 1 blue 10.0.0.1 2 0 100 100\n3 web 2 green 10.0.0.2 2 8 0 1\n3 web 3 old 10.0.0.3 0 1 7 1\n\n";
        let states = server_states("web", answer).unwrap();
        assert_eq!(states["blue"], Admitted { weight: 100, state: Admin::Ready });
        assert_eq!(states["green"], Admitted { weight: 0, state: Admin::Drain });
        assert_eq!(states["old"].state, Admin::Maint);
    }

    #[test]
    fn a_missing_backend_and_a_half_answer_differ() {
        assert!(matches!(server_states("x", "Can't find backend.\n"), Err(PlaneError::NotFound { .. })));
        assert!(matches!(server_states("x", ""), Err(PlaneError::Malformed { .. })));
        assert!(matches!(server_states("x", "1\n# srv_name srv_uweight\nblue"), Err(PlaneError::Malformed { .. })));
        assert!(matches!(server_stats("x", "# pxname,svname,scur\nx,blue,"), Err(PlaneError::Malformed { .. })));
    }

    #[test]
    fn reads_statistics() {
        let answer = "# pxname,svname,scur,stot,status,hrsp_5xx,econ,eresp,req_tot\n\
                      web,blue,3,70,UP,1,0,1,71\nother,blue,0,9,UP,0,0,0,9\nweb,green,0,0,DOWN 1/2,0,0,0,0\n";
        let stats = server_stats("web", answer).unwrap();
        assert_eq!(stats.len(), 2);
        assert!(stats["blue"].up && !stats["green"].up);
        assert_eq!(stats["blue"].counters, Counters { requests: 71, failed: 2 });
    }

    /// A Runtime API that answers every line with a prompt, and what it was told.
    fn listener(directory: &std::path::Path) -> (Runtime, tokio::task::JoinHandle<Vec<String>>) {
        let path = directory.join("socket");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let told = tokio::spawn(async move {
            let mut stream = BufStream::new(listener.accept().await.unwrap().0);
            let mut told = Vec::new();
            let mut line = String::new();
            while stream.read_line(&mut line).await.unwrap() > 0 {
                told.push(std::mem::take(&mut line).trim().to_owned());
                let answer = if told.last().unwrap().contains("nope") { "No such server.\n\n> " } else { "\n> " };
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
            }
            told
        });
        (Runtime::new(HaproxyAddress::Unix(path)), told)
    }

    #[tokio::test]
    async fn the_fence_is_asked_when_the_connection_stands_and_before_the_command() {
        for (fence, command, sent) in [
            (Fence::lock(), "set server web/green weight 5", true),
            (Fence::lock(), "set server web/nope weight 5", true),
            (Fence::lease(Default::default()), "set server web/green weight 5", false),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let (runtime, told) = listener(directory.path());
            let outcome = runtime.tell(&fence, command).await;
            let expected = ["prompt", "set timeout cli 2", command];
            assert_eq!(told.await.unwrap(), &expected[..2 + usize::from(sent)]);
            match outcome {
                Ok(()) => assert!(sent && command.contains("green")),
                Err(PlaneError::Refused { answer, .. }) => assert_eq!(answer, "No such server."),
                Err(error) => assert!(matches!(error, PlaneError::Fenced(_)) && !sent, "{error}"),
            }
        }
    }
}
