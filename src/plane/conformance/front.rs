//! Clients over HTTP, and how many requests which side answered. IO.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use reqwest::header::{COOKIE, SET_COOKIE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Beyond, Client, Ground};
use crate::balancer::Side;
use crate::http;

/// Clients that ask at the same time.
const CLIENTS: u64 = 8;

/// Longest wait for an answer. A plane that takes longer has lost the request for its user.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where requests enter, and how an answer says which side it came from.
#[derive(Debug, Clone)]
pub struct Front {
    /// The URL that is asked.
    pub url: String,
    /// The header that tells.
    pub header: String,
    /// What it says on the source.
    pub source: String,
    /// What it says on the target.
    pub target: String,
    /// A URL whose answer begins at once and takes a second, where the backends have one.
    pub lingering: Option<String>,
    /// An address and a path of it that is left for WebSocket, where the backends have one.
    pub tunnel: Option<(SocketAddr, String)>,
}

impl Front {
    /// A new client with a connection of its own, and with cookies where it `keeps` them.
    pub fn client(&self, keeps: bool) -> Box<dyn Client> {
        // One idle connection, so that it is the same one as long as it lasts.
        let mut client = http::client().no_proxy().pool_max_idle_per_host(1).timeout(PATIENCE);
        if !self.url.starts_with("https:") {
            // Reading the machine's authorities takes longer than some hundred requests.
            client = client.tls_certs_only([]);
        }
        Box::new(HttpClient { front: self.clone(), client: client.build().ok(), keeps, cookies: Vec::new() })
    }
}

struct HttpClient {
    front: Front,
    client: Option<reqwest::Client>,
    keeps: bool,
    cookies: Vec<String>,
}

impl HttpClient {
    async fn get(&mut self, url: &str) -> Option<Side> {
        let mut request = self.client.as_ref()?.get(url);
        if !self.cookies.is_empty() {
            request = request.header(COOKIE, self.cookies.join("; "));
        }
        let answer = request.send().await.ok()?;
        let cookies = answer.headers().get_all(SET_COOKIE).iter();
        let cookies = cookies.filter_map(|cookie| cookie.to_str().ok()?.split(';').next().map(str::to_owned));
        let (cookies, well) = (cookies.collect::<Vec<_>>(), answer.status().is_success());
        if self.keeps && !cookies.is_empty() {
            self.cookies = cookies;
        }
        let told = answer.headers().get(&self.front.header)?.to_str().ok()?.to_owned();
        answer.bytes().await.ok().filter(|_| well)?;
        match told {
            told if told == self.front.source => Some(Side::Source),
            told if told == self.front.target => Some(Side::Target),
            _ => None,
        }
    }
}

#[async_trait]
impl Client for HttpClient {
    async fn ask(&mut self) -> Option<Side> {
        let url = self.front.url.clone();
        self.get(&url).await
    }

    async fn linger(&mut self) -> Result<Option<Side>, Beyond> {
        let url = self.front.lingering.clone();
        let url = url.ok_or(Beyond("no address was given whose answers take long"))?;
        Ok(self.get(&url).await)
    }

    async fn tunnel(&mut self) -> Result<Option<Tunnel>, Beyond> {
        let (address, path) =
            self.front.tunnel.clone().ok_or(Beyond("no address was given that is left for WebSocket"))?;
        Ok(Tunnel::open(address, &path).await.ok().flatten())
    }
}

/// A connection that was left for another protocol.
#[derive(Debug)]
pub struct Tunnel(TcpStream);

impl Tunnel {
    /// Asks for WebSocket; `None` where that was not granted.
    async fn open(address: SocketAddr, path: &str) -> io::Result<Option<Self>> {
        let mut stream = TcpStream::connect(address).await?;
        let asked = format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(asked.as_bytes()).await?;
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            timeout(PATIENCE, stream.read_exact(&mut byte)).await.map_err(io::Error::other)??;
            head.push(byte[0]);
        }
        Ok(head.starts_with(b"HTTP/1.1 101 ").then_some(Self(stream)))
    }

    /// Says something, and whose backend answers; `None` once it has ended.
    pub(super) async fn say(&mut self) -> Option<Side> {
        let Self(stream) = self;
        let mut letter = [0];
        stream.write_all(b".").await.ok()?;
        timeout(PATIENCE, stream.read_exact(&mut letter)).await.ok()?.ok()?;
        [Side::Source, Side::Target].into_iter().find(|side| side.to_string().as_bytes().first() == letter.first())
    }
}

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Answers {
    /// Answered by the source.
    pub source: u64,
    /// Answered by the target.
    pub target: u64,
    /// Answered by neither, or not well.
    pub lost: u64,
}

impl Answers {
    /// All requests.
    pub fn all(&self) -> u64 {
        self.source + self.target + self.lost
    }

    /// Takes one more into account.
    pub fn count(&mut self, answer: Option<Side>) {
        match answer {
            Some(Side::Source) => self.source += 1,
            Some(Side::Target) => self.target += 1,
            None => self.lost += 1,
        }
    }
}

impl std::iter::Sum for Answers {
    fn sum<I: Iterator<Item = Self>>(answers: I) -> Self {
        answers.fold(Self::default(), |a, b| Self {
            source: a.source + b.source,
            target: a.target + b.target,
            lost: a.lost + b.lost,
        })
    }
}

/// Has so many requests answered, from clients that keep nothing between requests but their connection.
pub(super) async fn ask(ground: &dyn Ground, requests: u64) -> Answers {
    let clients = CLIENTS.min(requests.max(1));
    let asked = (0..clients).map(|index| async move {
        let (mut answers, mut client) = (Answers::default(), ground.client(false));
        for _ in (index..requests).step_by(usize::try_from(clients).unwrap_or(1)) {
            answers.count(client.ask().await);
        }
        answers
    });
    join_all(asked).await.into_iter().sum()
}
