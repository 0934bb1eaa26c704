//! BIND, a primary and its secondary, which tell clients which backend to connect to; and every kind of trouble.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use crossfade::balancer::Side;
use crossfade::observe::clock::Moment;
use crossfade::plane::Plane;
use crossfade::plane::conformance::backends::Backends;
use crossfade::plane::conformance::front::{Front, Tunnel};
use crossfade::plane::conformance::{Beyond, Client, Ground, Property, Trouble, Verdict};
use crossfade::plane::dns::connect;
use crossfade::policy::{DnsSpec, DnsWriter, UpdateSpec, Weight};
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::rdata::tsig::{TSIG, TsigError, make_tsig_record};
use hickory_proto::rr::{Name, RData, RecordType};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use super::part::{Part, free_address, liar, lose_target, until, until_it_serves};

pub const ZONE: &str = "example.test";
pub const NAME: &str = "checkout.example.test";

/// Seconds that clients may go by an answer: time enough for a busy machine to look while they do.
pub const TTL: u32 = 3;

/// The key of the migration, one of somebody who may write nothing, and what each is called.
const KEYS: [(&str, &str); 2] = [("shop", "c2VjcmV0LW9mLXRoZS1zaG9w"), ("weak", "c2VjcmV0LW9mLW5vYm9keQ==")];

pub async fn examined() -> Vec<(Property, Verdict)> {
    let (even, uneven) = (Named::start(4, 4).await, Named::start(1, 3).await);
    super::examined(&even, &uneven).await.unwrap()
}

/// A primary and a secondary, and what they lead to.
pub struct Named {
    directory: TempDir,
    servers: [SocketAddr; 2],
    sides: [Vec<IpAddr>; 2],
    port: u16,
    front: fn(SocketAddr) -> Front,
    backends: Option<Backends>,
    primary: Mutex<Option<Part>>,
    /// Servers beside it, which end with it.
    others: Mutex<Vec<Part>>,
}

/// So many addresses of a side on this machine. Those of DNS have no port, so all backends listen on one.
pub fn addresses(side: Side, count: usize) -> Vec<IpAddr> {
    let network = if side == Side::Source { 1 } else { 2 };
    (1..=count).map(|host| IpAddr::from([127, 53, network, u8::try_from(host).unwrap()])).collect()
}

/// Backends at the addresses of both sides, on one port.
pub async fn backends(sides: &[Vec<IpAddr>; 2], port: u16) -> Backends {
    let [source, target] =
        sides.each_ref().map(|side| side.iter().map(|address| SocketAddr::new(*address, port)).collect::<Vec<_>>());
    Backends::at(&source, &target).await.unwrap()
}

fn key(name: &str, secret: &str) -> String {
    format!("key \"{name}\" {{\n\talgorithm hmac-sha256;\n\tsecret \"{secret}\";\n}};\n")
}

/// A configuration of its own directory, which no other server reads.
fn configuration(directory: &Path, at: SocketAddr, zones: &str) -> String {
    let keys: String = KEYS.iter().map(|(name, secret)| key(name, secret)).collect();
    format!(
        "{keys}options {{\n  directory \"{0}\";\n  pid-file \"{0}/pid\";\n  session-keyfile \"{0}/session\";\n\
         \x20 listen-on port {1} {{ 127.0.0.1; }};\n  listen-on-v6 {{ none; }};\n  recursion no;\n  dnssec-validation no;\n\
         \x20 allow-transfer {{ 127.0.0.1; }};\n  notify-delay 0;\n  empty-zones-enable no;\n  max-journal-size 64k;\n}};\n\
         controls {{ }};\n{zones}",
        directory.display(),
        at.port()
    )
}

fn zone(records: &str) -> String {
    format!(
        "$TTL 60\n@ SOA ns.{ZONE}. host.{ZONE}. 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\nalias CNAME checkout\n\
         checkout TXT \"the shop's own\"\nother {TTL} A 127.53.1.1\n{records}"
    )
}

fn named(directory: &Path) -> Part {
    let mut command = Command::new("named");
    command.args(["-g", "-n", "1", "-c"]).arg(directory.join("named.conf"));
    Part::start(&mut command, &directory.join("output"))
}

impl Named {
    pub async fn start(source: usize, target: usize) -> Self {
        let sides = [addresses(Side::Source, source), addresses(Side::Target, target)];
        let port = free_address().port();
        let backends = backends(&sides, port).await;
        let plane = Self { backends: Some(backends), ..Self::before(sides, port, Backends::front).await };
        until_it_serves(&plane).await;
        plane
    }

    /// Before addresses of the source and of the target at which somebody listens, all on one port.
    pub async fn before(sides: [Vec<IpAddr>; 2], port: u16, front: fn(SocketAddr) -> Front) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let servers = [free_address(), free_address()];
        let of = ["primary", "secondary"].map(|name| directory.path().join(name));
        let records: String = sides[0].iter().map(|address| format!("checkout {TTL} A {address}\n")).collect();
        let also = format!("also-notify {{ 127.0.0.1 port {}; }}; notify explicit;", servers[1].port());
        let policy = "update-policy { grant shop name checkout.example.test. A AAAA; };";
        let zones = [
            format!("zone \"{ZONE}\" {{ type primary; file \"zone\"; {policy} {also} }};\n"),
            format!(
                "zone \"{ZONE}\" {{ type secondary; file \"copy\"; primaries {{ 127.0.0.1 port {}; }}; \
                 notify no; allow-notify {{ 127.0.0.1; }}; }};\n",
                servers[0].port()
            ),
        ];
        for ((directory, at), zones) in of.iter().zip(servers).zip(zones) {
            std::fs::create_dir(directory).unwrap();
            std::fs::write(directory.join("named.conf"), configuration(directory, at, &zones)).unwrap();
        }
        std::fs::write(of[0].join("zone"), zone(&records)).unwrap();
        for (name, secret) in KEYS {
            std::fs::write(directory.path().join(name), key(name, secret)).unwrap();
        }
        let (primary, others) = (Mutex::new(Some(named(&of[0]))), Mutex::new(vec![named(&of[1])]));
        for server in servers {
            until("it answers", || !dig(server, &[NAME, "A", "+short"]).is_empty()).await;
        }
        Self { directory, servers, sides, port, front, backends: None, primary, others }
    }

    pub fn spec(&self) -> DnsSpec {
        let [source, target] = self.sides.clone();
        DnsSpec {
            zone: ZONE.to_owned(),
            name: NAME.to_owned(),
            source,
            target,
            servers: self.servers.to_vec(),
            max_ttl: TTL,
            writer: self.writer("shop", self.servers[0]),
        }
    }

    fn writer(&self, file: &str, server: SocketAddr) -> DnsWriter {
        DnsWriter::Update(UpdateSpec { server, key: self.directory.path().join(file) })
    }

    fn with(&self, change: impl FnOnce(&mut DnsSpec)) -> Box<dyn Plane> {
        let mut spec = self.spec();
        change(&mut spec);
        connect(spec)
    }

    /// A driver whose primary is another one, which is the only server.
    fn at(&self, server: SocketAddr) -> Box<dyn Plane> {
        self.with(|spec| {
            spec.servers = vec![server];
            spec.writer = self.writer("shop", server);
        })
    }

    /// A driver with a key file that says this.
    fn with_key(&self, file: &str, text: &str) -> Box<dyn Plane> {
        std::fs::write(self.directory.path().join(file), text).unwrap();
        self.with(|spec| spec.writer = self.writer(file, self.servers[0]))
    }

    /// Another server, with the same zone and another address in it.
    async fn stale(&self) -> SocketAddr {
        let (directory, at) = (self.directory.path().join("stale"), free_address());
        std::fs::create_dir_all(&directory).unwrap();
        let zones = format!("zone \"{ZONE}\" {{ type primary; file \"zone\"; allow-update {{ key shop; }}; }};\n");
        std::fs::write(directory.join("named.conf"), configuration(&directory, at, &zones)).unwrap();
        std::fs::write(directory.join("zone"), zone(&format!("checkout {TTL} A {}\n", self.sides[1][0]))).unwrap();
        self.others.lock().unwrap().push(named(&directory));
        until("it answers", || !dig(at, &[NAME, "A", "+short"]).is_empty()).await;
        at
    }

    /// Writes addresses as an operator does.
    fn update(&self, addresses: &[IpAddr]) {
        let mut script = format!("server 127.0.0.1 {}\nzone {ZONE}\nupdate delete {NAME} A\n", self.servers[0].port());
        for address in addresses {
            script += &format!("update add {NAME} {TTL} A {address}\n");
        }
        let file = self.directory.path().join("script");
        std::fs::write(&file, script + "send\n").unwrap();
        let mut command = Command::new("nsupdate");
        let done = command.arg("-k").arg(self.directory.path().join("shop")).arg(&file).status().unwrap();
        assert!(done.success());
    }

    /// The addresses that make a share, in nobody's order.
    fn making(&self, weight: Weight) -> Vec<IpAddr> {
        let [source, target] = &self.sides;
        let pairs = (0..=source.len()).flat_map(|s| (0..=target.len()).map(move |t| (s, t)));
        let made = |(s, t): &(usize, usize)| s + t > 0 && t * 10_000 == usize::from(weight.basis_points()) * (s + t);
        let (s, t) = pairs.into_iter().find(made).unwrap_or_else(|| panic!("{weight} of {source:?} and {target:?}"));
        source.iter().rev().take(s).chain(target.iter().rev().take(t)).copied().collect()
    }

    pub fn asking(&self, keeps: bool) -> Asking {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let server = self.servers[NEXT.fetch_add(1, Ordering::Relaxed) % 2];
        Asking::new(server, self.port, self.front, keeps)
    }

    /// What the primary tells of the name, sorted.
    pub fn shown(&self) -> Vec<IpAddr> {
        let told = dig(self.servers[0], &[NAME, "A", "+short"]);
        let mut told: Vec<IpAddr> = told.lines().filter_map(|line| line.parse().ok()).collect();
        told.sort();
        told
    }
}

/// Where somebody answers every message as a server does whose clock is elsewhere: no real one can be made to have one.
async fn untimely() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut question = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut question).await.unwrap();
            let question = Message::from_vec(&question).unwrap();
            let signed = question.signature().unwrap();
            let (name, of) = (signed.name.clone(), signed.data.clone());
            let error = Some(TsigError::BadTime);
            let answer = TSIG::new(of.algorithm, of.time, of.fudge, of.mac, of.oid, error, Vec::new());
            let mut message = Message::error_msg(question.id, question.op_code, ResponseCode::NotAuth);
            message.set_signature(Box::new(make_tsig_record(name, answer)));
            let bytes = message.to_vec().unwrap();
            stream.write_u16(u16::try_from(bytes.len()).unwrap()).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
        }
    });
    address
}

pub fn dig(server: SocketAddr, question: &[&str]) -> String {
    let mut command = Command::new("dig");
    command.args(["@127.0.0.1", "-p", &server.port().to_string(), "+tries=1", "+time=1"]).args(question);
    let told = String::from_utf8(command.output().unwrap().stdout).unwrap();
    // What dig itself has to say.
    told.lines().filter(|line| !line.starts_with(";;") && !line.is_empty()).map(|line| format!("{line}\n")).collect()
}

/// A client that asks a server itself, goes to the first address it is told, and keeps a connection to each.
pub struct Asking {
    server: SocketAddr,
    port: u16,
    front: fn(SocketAddr) -> Front,
    keeps: bool,
    socket: Option<UdpSocket>,
    told: Option<(IpAddr, Moment, Duration)>,
    connections: BTreeMap<IpAddr, Box<dyn Client>>,
}

impl Asking {
    pub fn new(server: SocketAddr, port: u16, front: fn(SocketAddr) -> Front, keeps: bool) -> Self {
        Self { server, port, front, keeps, socket: None, told: None, connections: BTreeMap::new() }
    }

    async fn resolve(&mut self) -> Option<IpAddr> {
        if let Some((address, since, ttl)) = &self.told
            && since.elapsed() < *ttl
        {
            return Some(*address);
        }
        // It counts from before it was told.
        let asked = Moment::now();
        let (address, ttl) = self.told_by_server().await?;
        if self.keeps {
            self.told = Some((address, asked, Duration::from_secs(ttl.into())));
        }
        Some(address)
    }

    async fn told_by_server(&mut self) -> Option<(IpAddr, u32)> {
        if self.socket.is_none() {
            let socket = UdpSocket::bind("127.0.0.1:0").await.ok()?;
            socket.connect(self.server).await.ok()?;
            self.socket = Some(socket);
        }
        let socket = self.socket.as_ref()?;
        let mut question = Message::query();
        question.add_query(Query::query(Name::from_ascii(format!("{NAME}.")).ok()?, RecordType::A));
        socket.send(&question.to_vec().ok()?).await.ok()?;
        let mut bytes = [0; 4096];
        loop {
            let length = tokio::time::timeout(Duration::from_secs(2), socket.recv(&mut bytes)).await.ok()?.ok()?;
            let answer = Message::from_vec(&bytes[..length]).ok()?;
            if answer.id != question.id {
                continue;
            }
            let addresses = answer.answers.iter().filter_map(|record| match &record.data {
                RData::A(address) => Some((address.0.into(), record.ttl)),
                _ => None,
            });
            return addresses.into_iter().next();
        }
    }

    async fn connection(&mut self) -> Option<&mut Box<dyn Client>> {
        let address = self.resolve().await?;
        let (port, front, keeps) = (self.port, self.front, self.keeps);
        let open = || front(SocketAddr::new(address, port)).client(keeps);
        Some(self.connections.entry(address).or_insert_with(open))
    }
}

#[async_trait]
impl Client for Asking {
    async fn ask(&mut self) -> Option<Side> {
        self.connection().await?.ask().await
    }

    async fn linger(&mut self) -> Result<Option<Side>, Beyond> {
        match self.connection().await {
            Some(connection) => connection.linger().await,
            None => Ok(None),
        }
    }

    async fn tunnel(&mut self) -> Result<Option<Tunnel>, Beyond> {
        match self.connection().await {
            Some(connection) => connection.tunnel().await,
            None => Ok(None),
        }
    }
}

#[async_trait]
impl Ground for Named {
    fn driver(&self) -> Box<dyn Plane> {
        connect(self.spec())
    }

    fn client(&self, keeps: bool) -> Box<dyn Client> {
        Box::new(self.asking(keeps))
    }

    /// A drained side is one at zero, which the next weight ends.
    async fn admit(&self) -> Result<(), Beyond> {
        Ok(())
    }

    async fn meddle(&self, to: Weight) -> Result<(), Beyond> {
        self.update(&self.making(to));
        Ok(())
    }

    /// Ended and started: its journal is what it finds.
    async fn restart(&self) -> Result<(), Beyond> {
        let running = self.primary.lock().unwrap().take().unwrap();
        running.end("TERM").await;
        *self.primary.lock().unwrap() = Some(named(&self.directory.path().join("primary")));
        until("it answers", || !self.shown().is_empty()).await;
        Ok(())
    }

    /// The whole zone but for its version and the addresses of the name.
    async fn others(&self) -> Result<Option<String>, Beyond> {
        let whole = dig(self.servers[0], &[ZONE, "AXFR", "+noall", "+answer", "+tcp"]);
        let is_ours = |line: &&str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            fields[3] == "SOA" || (fields[0] == format!("{NAME}.") && fields[3] == "A")
        };
        let mut theirs: Vec<&str> = whole.lines().filter(|line| !is_ours(line)).collect();
        theirs.sort_unstable();
        assert_eq!(theirs.len(), 5, "{whole}");
        Ok(Some(theirs.join("\n")))
    }

    async fn lose_target(&self, back: bool) -> Result<(), Beyond> {
        lose_target(self.backends.as_ref(), back).await
    }

    fn too_fine(&self) -> Option<Weight> {
        Weight::from_basis_points(10).ok()
    }

    async fn troubles(&self) -> Result<Vec<Trouble>, Beyond> {
        let secret = KEYS[0].1;
        let stale = self.stale().await;
        let trouble = |what, plane, means| Trouble { what, plane, means };
        Ok(vec![
            trouble("nobody listens", self.at(free_address()), "unreachable"),
            trouble("no answer", self.at(liar(None).await), "timed out"),
            trouble("an empty answer", self.at(liar(Some("")).await), "malformed"),
            trouble("half an answer", self.at(liar(Some("\0\u{50}half")).await), "malformed"),
            trouble("HTML", self.at(liar(Some("<html>502 Bad Gateway</html>\n")).await), "malformed"),
            trouble("a zone that is somebody else's", self.with(|spec| spec.zone = "test".to_owned()), "not found"),
            trouble("no such name", self.with(|spec| spec.name = format!("x.{ZONE}")), "not found"),
            trouble("an alias", self.with(|spec| spec.name = format!("alias.{ZONE}")), "not found"),
            trouble("an address on neither side", self.with(|spec| spec.source.truncate(1)), "stranger"),
            trouble("a longer TTL", self.with(|spec| spec.max_ttl = TTL - 1), "remembered too long"),
            trouble("a secondary with another zone", self.with(|spec| spec.servers[1] = stale), "malformed"),
            trouble("no key file", self.with_key("empty", ""), "not found"),
            trouble("a key that it does not know", self.with_key("unknown", &key("unknown", secret)), "refused"),
            trouble("another secret", self.with_key("forged", &key(KEYS[0].0, KEYS[1].1)), "refused"),
            trouble("a clock that is an hour off", self.at(untimely().await), "refused"),
            trouble("a key that may write nothing", self.with_key("reads", &key(KEYS[1].0, KEYS[1].1)), "refused"),
        ])
    }
}
