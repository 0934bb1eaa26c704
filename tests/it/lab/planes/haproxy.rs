//! HAProxy between backends, and in every kind of trouble.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use async_trait::async_trait;
use crossfade::balancer::Side;
use crossfade::plane::Plane;
use crossfade::plane::conformance::{Beyond, Client, Ground, Property, Trouble, Verdict};
use crossfade::plane::haproxy::Haproxy;
use crossfade::policy::{HaproxyAddress, HaproxySpec, Weight};
use tokio::net::UnixListener;

use super::part::{Site, lie, send, until, until_it_serves};

/// What each server of a side weighs in the file; the target's begin at 0.
const WEIGHT: u32 = 100;

pub struct Balanced(Site);

pub async fn examined() -> Vec<(Property, Verdict)> {
    let (even, uneven) = (Balanced::start(2, 2).await, Balanced::start(1, 3).await);
    super::examined(&even, &uneven).await.unwrap()
}

impl Balanced {
    pub async fn start(source: usize, target: usize) -> Self {
        Self::on(Site::between(source, target).await).await
    }

    pub async fn on(site: Site) -> Self {
        let plane = Self(site);
        std::fs::write(plane.file("haproxy.cfg"), plane.configuration()).unwrap();
        let mut command = Command::new("haproxy");
        command.args(["-W", "-db", "-f"]).arg(plane.file("haproxy.cfg"));
        plane.0.run(&mut command);
        until_it_serves(&plane).await;
        plane
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.file(name)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    fn servers(&self, side: Side) -> Vec<String> {
        (0..self.0.servers(side).len()).map(|index| format!("{side}-{index}")).collect()
    }

    /// A backend with a cookie for those who keep it, a server that nobody may touch, and a backend of somebody else.
    fn configuration(&self) -> String {
        let mut text = format!(
            "global\n    stats socket {} mode 600 level admin\n    stats socket {} mode 600 level operator\n\
             \x20   hard-stop-after 5s\n\
             defaults\n    mode http\n    timeout connect 1s\n    timeout client 30s\n    timeout server 10s\n\
             \x20   timeout queue 1s\n    retries 3\n    option redispatch 1\n    retry-on conn-failure empty-response\n\
             frontend web\n    bind {}\n    use_backend other if {{ path_beg /other }}\n    default_backend checkout\n\
             backend other\n    server legacy 127.0.0.1:9 weight 77\n\
             backend checkout\n    balance roundrobin\n    cookie SERVED insert indirect nocache\n\
             \x20   server spare 127.0.0.1:9 weight 33 disabled\n",
            self.file("socket").display(),
            self.file("weak").display(),
            self.address()
        );
        for (side, weight) in [(Side::Source, WEIGHT), (Side::Target, 0)] {
            for (name, address) in self.servers(side).iter().zip(self.0.servers(side)) {
                text += &format!("    server {name} {address} cookie {name} weight {weight}\n");
            }
        }
        text
    }

    /// One command, as an operator gives it.
    fn say(&self, command: &str) -> String {
        let mut socket = UnixStream::connect(self.file("socket")).unwrap();
        socket.write_all(format!("{command}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }

    pub fn socket(&self) -> PathBuf {
        self.file("socket")
    }

    pub fn directory(&self) -> &Path {
        self.0.directory()
    }

    pub fn spec(&self) -> HaproxySpec {
        HaproxySpec {
            address: HaproxyAddress::Unix(self.file("socket")),
            backend: "checkout".to_owned(),
            source: self.servers(Side::Source),
            target: self.servers(Side::Target),
        }
    }

    /// A driver that talks to a socket on which somebody answers as told: nothing at all, or so much.
    fn liar(&self, name: &str, answer: Option<&'static str>) -> Box<dyn Plane> {
        let path = self.file(name);
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.extend(lie(stream, answer).await);
            }
        });
        self.at(path)
    }

    fn at(&self, socket: PathBuf) -> Box<dyn Plane> {
        Box::new(Haproxy::new(HaproxySpec { address: HaproxyAddress::Unix(socket), ..self.spec() }))
    }
}

#[async_trait]
impl Ground for Balanced {
    fn driver(&self) -> Box<dyn Plane> {
        Box::new(Haproxy::new(self.spec()))
    }

    fn client(&self, keeps: bool) -> Box<dyn Client> {
        self.0.client(keeps)
    }

    async fn admit(&self) -> Result<(), Beyond> {
        for server in self.servers(Side::Source) {
            assert_eq!(self.say(&format!("set server checkout/{server} state ready")).trim(), "");
        }
        Ok(())
    }

    async fn meddle(&self, to: Weight) -> Result<(), Beyond> {
        let target = u32::from(to.basis_points() / 100);
        for (side, weight) in [(Side::Target, target), (Side::Source, 100 - target)] {
            for server in self.servers(side) {
                assert_eq!(self.say(&format!("set server checkout/{server} weight {weight}")).trim(), "");
            }
        }
        Ok(())
    }

    /// A reload: the file's weights come back.
    async fn restart(&self) -> Result<(), Beyond> {
        let old = self.say("show info");
        send("USR2", self.0.process());
        let worker = |info: &str| info.lines().find(|line| line.starts_with("Pid:")).map(str::to_owned);
        until("another worker answers", || worker(&self.say("show info")) != worker(&old)).await;
        until_it_serves(self).await;
        Ok(())
    }

    /// Address, weight and state of every server that is not ours, and the file.
    async fn others(&self) -> Result<Option<String>, Beyond> {
        let states = self.say("show servers state");
        let theirs = states.lines().filter(|line| [" legacy ", " spare "].iter().any(|name| line.contains(name)));
        // The seventh field is its state as measured, the last change among it; what is written are fields 4 to 9.
        let told = |line: &str| line.split(' ').skip(3).take(6).collect::<Vec<_>>().join(" ");
        let theirs: Vec<String> = theirs.map(told).collect();
        assert_eq!(theirs.len(), 2, "{states}");
        Ok(Some(theirs.join("\n") + &std::fs::read_to_string(self.file("haproxy.cfg")).unwrap()))
    }

    async fn lose_target(&self, back: bool) -> Result<(), Beyond> {
        self.0.lose_target(back).await
    }

    fn too_fine(&self) -> Option<Weight> {
        Weight::from_basis_points(10).ok()
    }

    async fn troubles(&self) -> Result<Vec<Trouble>, Beyond> {
        let stranger = HaproxySpec { backend: "unheard-of".to_owned(), ..self.spec() };
        let gone = HaproxySpec { target: vec!["unheard-of".to_owned()], ..self.spec() };
        let half = HaproxySpec { source: vec!["source-0".to_owned()], ..self.spec() };
        let trouble = |what, plane, means| Trouble { what, plane, means };
        Ok(vec![
            trouble("nobody listens", self.at(self.file("nobody")), "unreachable"),
            trouble("no answer", self.liar("silent", None), "timed out"),
            trouble("an empty answer", self.liar("empty", Some("")), "malformed"),
            trouble("half an answer", self.liar("half", Some("1\n# srv_name srv_uweight\nsource")), "malformed"),
            trouble("HTML", self.liar("html", Some("<html>502 Bad Gateway</html>\n")), "malformed"),
            trouble("no such backend", Box::new(Haproxy::new(stranger)), "not found"),
            trouble("no such server", Box::new(Haproxy::new(gone)), "not found"),
            trouble("a server on neither side", Box::new(Haproxy::new(half)), "stranger"),
            trouble("a socket that may only read", self.at(self.file("weak")), "refused"),
        ])
    }
}
