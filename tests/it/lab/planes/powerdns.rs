//! PowerDNS, which draws the backend that a client is told to connect to; and every kind of trouble.

use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use async_trait::async_trait;
use crossfade::balancer::Side;
use crossfade::plane::Plane;
use crossfade::plane::conformance::backends::Backends;
use crossfade::plane::conformance::{Beyond, Client, Ground, Property, Trouble, Verdict};
use crossfade::plane::dns::connect;
use crossfade::policy::{DnsSpec, DnsWriter, PowerdnsSpec, Weight};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::dns::{Asking, NAME, TTL, ZONE, addresses, backends, dig};
use super::part::{Part, free_address, liar, lose_target, until, until_it_serves};

/// The key of the API.
const KEY: &str = "the-key-of-the-api";

/// Debian's, with which a database begins.
const SCHEMA: &str = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";

pub async fn examined() -> Vec<(Property, Verdict)> {
    let (even, uneven) = (Powered::start(2, 2).await, Powered::start(1, 3).await);
    super::examined(&even, &uneven).await.unwrap()
}

/// A server, and what it leads to.
struct Powered {
    directory: TempDir,
    server: SocketAddr,
    api: SocketAddr,
    sides: [Vec<IpAddr>; 2],
    port: u16,
    backends: Backends,
    process: Mutex<Option<Part>>,
}

/// A record that draws, as people write it.
fn drawn(numbers: &[(usize, IpAddr)]) -> String {
    let pairs: Vec<String> = numbers.iter().map(|(number, address)| format!("{{{number},'{address}'}}")).collect();
    format!("A \"pickwrandom({{{}}})\"", pairs.join(","))
}

fn set(name: &str, kind: &str, ttl: u32, contents: &[String]) -> Value {
    let records: Vec<Value> = contents.iter().map(|content| json!({"content": content, "disabled": false})).collect();
    json!({"name": format!("{name}."), "type": kind, "ttl": ttl, "changetype": "REPLACE", "records": records})
}

impl Powered {
    async fn start(source: usize, target: usize) -> Self {
        let sides = [addresses(Side::Source, source), addresses(Side::Target, target)];
        let port = free_address().port();
        let backends = backends(&sides, port).await;
        let (server, api, directory) = (free_address(), free_address(), tempfile::tempdir().unwrap());
        let plane = Self { directory, server, api, sides, port, backends, process: Mutex::default() };
        plane.configure();
        plane.run().await;
        plane.create();
        until_it_serves(&plane).await;
        plane
    }

    fn configure(&self) {
        let at = self.directory.path();
        let configuration = format!(
            "launch=gsqlite3\ngsqlite3-database={0}/db\nlocal-address=127.0.0.1\nlocal-port={1}\nsocket-dir={0}\nconfig-dir={0}\n\
             webserver=yes\nwebserver-address=127.0.0.1\nwebserver-port={2}\nwebserver-allow-from=127.0.0.1\napi=yes\n\
             api-key={KEY}\nenable-lua-records=yes\nsecurity-poll-suffix=\ndaemon=no\nguardian=no\n",
            at.display(),
            self.server.port(),
            self.api.port()
        );
        std::fs::write(at.join("pdns.conf"), configuration).unwrap();
        std::fs::write(at.join("key"), format!("{KEY}\n")).unwrap();
        let schema = std::fs::File::open(SCHEMA).unwrap();
        assert!(Command::new("sqlite3").arg(at.join("db")).stdin(schema).status().unwrap().success());
    }

    async fn run(&self) {
        let mut command = Command::new("pdns_server");
        command.arg(format!("--config-dir={}", self.directory.path().display()));
        *self.process.lock().unwrap() = Some(Part::start(&mut command, &self.directory.path().join("output")));
        until("the API answers", || self.ask("GET", "/zones", &Value::Null).is_some()).await;
    }

    /// One request to the API, as an operator makes it.
    fn ask(&self, method: &str, path: &str, body: &Value) -> Option<String> {
        let mut command = Command::new("curl");
        command.args(["-s", "-f", "-m", "5", "-X", method, "-H", &format!("X-API-Key: {KEY}")]);
        command.arg(format!("http://{}/api/v1/servers/localhost{path}", self.api)).stderr(Stdio::null());
        if !body.is_null() {
            command.args(["-d", &body.to_string()]);
        }
        let done = command.output().unwrap();
        done.status.success().then(|| String::from_utf8(done.stdout).unwrap())
    }

    /// The zone as somebody made it: the name's record draws, another of its records tells, and another name has addresses.
    fn create(&self) {
        let source: Vec<_> = self.sides[0].iter().map(|address| (10, *address)).collect();
        let lua = [drawn(&source), "TXT \"'the shop'\"".to_owned()];
        let odd = ["A \"pickrandom({'127.53.1.1'})\"".to_owned()];
        let sets = [
            set(NAME, "LUA", TTL, &lua),
            set(NAME, "MX", 60, &[format!("10 mail.{ZONE}.")]),
            set(&format!("plain.{ZONE}"), "A", TTL, &["127.53.1.1".to_owned()]),
            set(&format!("odd.{ZONE}"), "LUA", TTL, &odd),
        ];
        let nameservers = [format!("ns.{ZONE}.")];
        let zone = json!({"name": format!("{ZONE}."), "kind": "Native", "nameservers": nameservers, "rrsets": sets});
        self.ask("POST", "/zones", &zone).unwrap();
    }

    fn spec(&self) -> DnsSpec {
        let [source, target] = self.sides.clone();
        DnsSpec {
            zone: ZONE.to_owned(),
            name: NAME.to_owned(),
            source,
            target,
            servers: vec![self.server],
            max_ttl: TTL,
            writer: self.writer(self.api, "key"),
        }
    }

    fn writer(&self, api: SocketAddr, key: &str) -> DnsWriter {
        DnsWriter::Powerdns(PowerdnsSpec { url: format!("http://{api}/"), key: self.directory.path().join(key) })
    }

    fn with(&self, change: impl FnOnce(&mut DnsSpec)) -> Box<dyn Plane> {
        let mut spec = self.spec();
        change(&mut spec);
        connect(spec)
    }

    fn at(&self, api: SocketAddr) -> Box<dyn Plane> {
        self.with(|spec| spec.writer = self.writer(api, "key"))
    }

    fn zone(&self) -> Value {
        serde_json::from_str(&self.ask("GET", &format!("/zones/{ZONE}."), &Value::Null).unwrap()).unwrap()
    }
}

#[async_trait]
impl Ground for Powered {
    fn driver(&self) -> Box<dyn Plane> {
        connect(self.spec())
    }

    fn client(&self, keeps: bool) -> Box<dyn Client> {
        Box::new(Asking::new(self.server, self.port, Backends::front, keeps))
    }

    /// A drained side is one at zero, which the next weight ends.
    async fn admit(&self) -> Result<(), Beyond> {
        Ok(())
    }

    async fn meddle(&self, to: Weight) -> Result<(), Beyond> {
        let points = usize::from(to.basis_points());
        let [source, target] = &self.sides;
        let source = source.iter().map(|address| ((10_000 - points) * target.len(), *address));
        let target = target.iter().map(|address| (points * self.sides[0].len(), *address));
        let lua = [drawn(&source.chain(target).collect::<Vec<_>>()), "TXT \"'the shop'\"".to_owned()];
        self.ask("PATCH", &format!("/zones/{ZONE}."), &json!({"rrsets": [set(NAME, "LUA", TTL, &lua)]})).unwrap();
        Ok(())
    }

    /// Ended and started: the database is what it finds.
    async fn restart(&self) -> Result<(), Beyond> {
        let running = self.process.lock().unwrap().take().unwrap();
        running.end("TERM").await;
        self.run().await;
        until("it answers", || !dig(self.server, &[NAME, "A", "+short"]).is_empty()).await;
        Ok(())
    }

    /// The whole zone but for its version and the record that draws.
    async fn others(&self) -> Result<Option<String>, Beyond> {
        let zone = self.zone();
        let sets = zone["rrsets"].as_array().unwrap().iter().filter(|set| set["type"] != "SOA");
        let mut theirs: Vec<String> = Vec::new();
        for set in sets {
            let mut set = set.clone();
            if set["name"] == format!("{NAME}.") && set["type"] == "LUA" {
                let ours = |record: &Value| record["content"].as_str().unwrap().starts_with("A ");
                set["records"].as_array_mut().unwrap().retain(|record| !ours(record));
            }
            theirs.push(set.to_string());
        }
        theirs.sort();
        assert_eq!(theirs.len(), 5, "{zone}");
        Ok(Some(theirs.join("\n")))
    }

    async fn lose_target(&self, back: bool) -> Result<(), Beyond> {
        lose_target(Some(&self.backends), back).await
    }

    fn too_fine(&self) -> Option<Weight> {
        None
    }

    async fn troubles(&self) -> Result<Vec<Trouble>, Beyond> {
        std::fs::write(self.directory.path().join("empty"), "").unwrap();
        std::fs::write(self.directory.path().join("other"), "another-key").unwrap();
        let html = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>";
        let half = "HTTP/1.1 200 OK\r\nContent-Length: 600\r\n\r\n{\"rrsets\"";
        let trouble = |what, plane, means| Trouble { what, plane, means };
        Ok(vec![
            trouble("nobody listens", self.at(free_address()), "unreachable"),
            trouble("no answer", self.at(liar(None).await), "timed out"),
            trouble("half an answer", self.at(liar(Some(half)).await), "unreachable"),
            trouble("HTML", self.at(liar(Some(html)).await), "malformed"),
            trouble("another key", self.with(|spec| spec.writer = self.writer(self.api, "other")), "refused"),
            trouble("an empty key", self.with(|spec| spec.writer = self.writer(self.api, "empty")), "not found"),
            trouble("no key", self.with(|spec| spec.writer = self.writer(self.api, "none")), "not found"),
            trouble("no such zone", self.with(|spec| spec.zone = "test".to_owned()), "not found"),
            trouble("no such name", self.with(|spec| spec.name = format!("x.{ZONE}")), "not found"),
            trouble("a plain record", self.with(|spec| spec.name = format!("plain.{ZONE}")), "stranger"),
            trouble("another function", self.with(|spec| spec.name = format!("odd.{ZONE}")), "malformed"),
            trouble("an address on neither side", self.with(|spec| spec.source.truncate(1)), "stranger"),
            trouble("a longer TTL", self.with(|spec| spec.max_ttl = TTL - 1), "remembered too long"),
            trouble("a server that is away", self.with(|spec| spec.servers.push(free_address())), "unreachable"),
        ])
    }
}
