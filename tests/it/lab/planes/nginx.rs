//! nginx between backends, and in every kind of trouble.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use async_trait::async_trait;
use crossfade::balancer::Side;
use crossfade::plane::Plane;
use crossfade::plane::conformance::{Beyond, Client, Ground, Property, Trouble, Verdict};
use crossfade::plane::nginx::Nginx;
use crossfade::policy::{NginxSpec, Weight};

use super::part::{Site, free_address, liar, until_it_serves};

pub struct Proxied {
    site: Site,
    status: SocketAddr,
}

pub async fn examined() -> Vec<(Property, Verdict)> {
    let (even, uneven) = (Proxied::start(2, 2).await, Proxied::start(1, 3).await);
    super::examined(&even, &uneven).await.unwrap()
}

impl Proxied {
    pub async fn start(source: usize, target: usize) -> Self {
        Self::on(Site::between(source, target).await).await
    }

    pub async fn on(site: Site) -> Self {
        // Its workers are of another user and look for their own files in it.
        std::fs::set_permissions(site.directory(), PermissionsExt::from_mode(0o755)).unwrap();
        let plane = Self { site, status: free_address() };
        std::fs::write(plane.file("checkout.conf"), plane.upstream()).unwrap();
        std::fs::write(plane.file("nginx.conf"), plane.configuration()).unwrap();
        plane.run().await;
        plane
    }

    pub fn address(&self) -> SocketAddr {
        self.site.address
    }

    fn file(&self, name: &str) -> PathBuf {
        self.site.file(name)
    }

    pub fn servers(&self, side: Side) -> Vec<String> {
        self.site.servers(side).iter().map(SocketAddr::to_string).collect()
    }

    /// The file that the driver writes to, as somebody wrote it by hand.
    fn upstream(&self) -> String {
        let mut text = "# The shop's own.\nupstream checkout {\n    zone checkout 64k;\n".to_owned();
        for (side, entry) in [(Side::Source, "weight=100 max_fails=3"), (Side::Target, "weight=100 down")] {
            for server in self.servers(side) {
                text += &format!("    server {server} {entry}; # {side}\n");
            }
        }
        text + "    server 127.0.0.1:9 weight=33 down;\n    keepalive 16;\n}\n\
                map \"\" $crossfade_checkout { default \"\"; }\n"
    }

    fn configuration(&self) -> String {
        let at = self.site.directory().display();
        format!(
            "worker_processes 2;\npid {at}/pid;\nerror_log {at}/log;\nevents {{ worker_connections 512; }}\nhttp {{\n\
             \x20 access_log off;\n  include {at}/checkout.conf;\n  client_body_temp_path {at}/body;\n  proxy_temp_path {at}/proxy;\n\
             \x20 fastcgi_temp_path {at}/fastcgi;\n  uwsgi_temp_path {at}/uwsgi;\n  scgi_temp_path {at}/scgi;\n\
             \x20 server {{\n    listen {};\n    location / {{\n      proxy_pass http://checkout;\n      proxy_http_version 1.1;\n\
             \x20     proxy_set_header Connection \"\";\n    }}\n\
             \x20   location /tunnel {{\n      proxy_pass http://checkout;\n      proxy_http_version 1.1;\n\
             \x20     proxy_set_header Upgrade $http_upgrade;\n      proxy_set_header Connection upgrade;\n    }}\n  }}\n\
             \x20 server {{\n    listen {};\n    location = / {{ return 200 \"$pid $crossfade_checkout\"; }}\n  }}\n}}\n",
            self.address(),
            self.status
        )
    }

    async fn run(&self) {
        let mut command = Command::new("nginx");
        command.arg("-c").arg(self.file("nginx.conf")).args(["-g", "daemon off;"]);
        self.site.run(&mut command);
        until_it_serves(self).await;
    }

    pub fn spec(&self) -> NginxSpec {
        NginxSpec {
            config: self.file("nginx.conf"),
            file: self.file("checkout.conf"),
            status: format!("http://{}/", self.status),
            upstream: "checkout".to_owned(),
            source: self.servers(Side::Source),
            target: self.servers(Side::Target),
        }
    }

    fn with(&self, change: impl FnOnce(&mut NginxSpec)) -> Box<dyn Plane> {
        let mut spec = self.spec();
        change(&mut spec);
        Box::new(Nginx::new(spec))
    }

    /// A driver whose file is another one.
    fn with_file(&self, name: &str, text: &str) -> Box<dyn Plane> {
        std::fs::write(self.file(name), text).unwrap();
        self.with(|spec| spec.file = self.file(name))
    }

    /// Makes the configuration one that nginx refuses, or whole again; what runs goes on.
    pub fn spoil(&self, spoilt: bool) {
        let text = if spoilt { "events { nonsense on; }\n".to_owned() } else { self.configuration() };
        std::fs::write(self.file("nginx.conf"), text).unwrap();
    }

    /// The file with weights of somebody else's in it, as an editor leaves them.
    fn edited(&self, to: Weight) -> String {
        let target = self.servers(Side::Target);
        let text = std::fs::read_to_string(self.file("checkout.conf")).unwrap();
        let points = |server: &str| {
            let is_target = target.iter().any(|name| name == server);
            if is_target { to.basis_points() } else { 10_000 - to.basis_points() }
        };
        let ours = |line: &str| {
            let server = line.trim().strip_prefix("server ")?.split([' ', ';']).next()?.to_owned();
            let known = target.iter().chain(&self.servers(Side::Source)).any(|name| *name == server);
            known.then(|| format!("    server {server} weight={};", points(&server)))
        };
        text.lines().map(|line| ours(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
    }
}

#[async_trait]
impl Ground for Proxied {
    fn driver(&self) -> Box<dyn Plane> {
        Box::new(Nginx::new(self.spec()))
    }

    fn client(&self, keeps: bool) -> Box<dyn Client> {
        self.site.client(keeps)
    }

    /// A drained side is one at zero, which the next weight ends.
    async fn admit(&self) -> Result<(), Beyond> {
        Ok(())
    }

    async fn meddle(&self, to: Weight) -> Result<(), Beyond> {
        std::fs::write(self.file("checkout.conf"), self.edited(to)).unwrap();
        self.restart().await
    }

    /// Ended and started: the file is what it finds.
    async fn restart(&self) -> Result<(), Beyond> {
        self.site.end("QUIT").await;
        self.run().await;
        Ok(())
    }

    /// The whole file but for what is ours of our servers' lines and of the map.
    async fn others(&self) -> Result<Option<String>, Beyond> {
        let ours: Vec<String> = [Side::Source, Side::Target].iter().flat_map(|side| self.servers(*side)).collect();
        let text = std::fs::read_to_string(self.file("checkout.conf")).unwrap();
        let theirs = |line: &str| {
            let is_ours = ours.iter().any(|server| line.contains(&format!("server {server} ")));
            let word = |word: &&str| !word.starts_with("weight=") && !["down", "down;"].contains(word);
            match (is_ours, line.split_once("default ")) {
                (true, _) => {
                    line.split(' ').filter(word).map(|word| word.trim_end_matches(';')).collect::<Vec<_>>().join(" ")
                }
                (false, Some((head, _))) => head.to_owned(),
                (false, None) => line.to_owned(),
            }
        };
        Ok(Some(text.lines().map(theirs).collect::<Vec<_>>().join("\n")))
    }

    async fn lose_target(&self, back: bool) -> Result<(), Beyond> {
        self.site.lose_target(back).await?;
        // nginx asks a server again ten seconds after it failed, unless it begins anew.
        if back { self.restart().await } else { Ok(()) }
    }

    fn too_fine(&self) -> Option<Weight> {
        None
    }

    async fn troubles(&self) -> Result<Vec<Trouble>, Beyond> {
        let trouble = |what, plane, means| Trouble { what, plane, means };
        let lie = |answer: Option<&'static str>| async move { format!("http://{}/", liar(answer).await) };
        let nobody = free_address();
        let (silent, empty) = (lie(None).await, lie(Some("")).await);
        let html = lie(Some("HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>")).await;
        let half = lie(Some("HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n77 127.0.0")).await;
        let refused = lie(Some("HTTP/1.1 403 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")).await;
        let broken = self.file("broken.conf");
        std::fs::write(&broken, "events { nonsense on; }\n").unwrap();
        let text = std::fs::read_to_string(self.file("checkout.conf")).unwrap();
        Ok(vec![
            trouble("nobody listens", self.with(|spec| spec.status = format!("http://{nobody}/")), "unreachable"),
            trouble("no answer", self.with(|spec| spec.status = silent), "timed out"),
            trouble("an empty answer", self.with(|spec| spec.status = empty), "unreachable"),
            trouble("half an answer", self.with(|spec| spec.status = half), "unreachable"),
            trouble("HTML", self.with(|spec| spec.status = html), "malformed"),
            trouble("not let in", self.with(|spec| spec.status = refused), "refused"),
            trouble("no such file", self.with(|spec| spec.file = Path::new("/nowhere").into()), "not found"),
            trouble("half a file", self.with_file("half", &text[..text.len() / 2]), "malformed"),
            trouble("no such server", self.with(|spec| spec.target = vec!["127.0.0.1:8".to_owned()]), "not found"),
            trouble("a server on neither side", self.with(|spec| spec.source.truncate(1)), "stranger"),
            trouble("a configuration that nginx refuses", self.with(|spec| spec.config = broken), "refused"),
        ])
    }
}
