//! Envoy between backends, and in every kind of trouble.

use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use async_trait::async_trait;
use crossfade::balancer::Side;
use crossfade::plane::Plane;
use crossfade::plane::conformance::{Beyond, Client, Ground, Property, Trouble, Verdict};
use crossfade::plane::envoy::Envoy;
use crossfade::policy::{EnvoySpec, Weight};

use super::part::{Site, free_address, liar, until_it_serves, until_it_shows};
use crate::lab::stage::root;

/// In which of its forms a file is written.
#[derive(Clone, Copy)]
pub enum Form {
    Json,
    Yaml,
}

pub struct Routed {
    site: Site,
    admin: SocketAddr,
    form: Form,
}

pub async fn examined() -> Vec<(Property, Verdict)> {
    let even = Routed::on(Site::between(2, 2).await, Form::Json).await;
    let uneven = Routed::on(Site::between(1, 3).await, Form::Yaml).await;
    super::examined(&even, &uneven).await.unwrap()
}

/// Where the lab keeps its Envoy.
fn program() -> String {
    let say = ". tests/lab/versions; . tests/lab/layout.sh; printf %s \"$ENVOY\"";
    let said = Command::new("bash").args(["-c", say]).current_dir(root()).output().unwrap();
    String::from_utf8(said.stdout).unwrap()
}

impl Routed {
    pub async fn on(site: Site, form: Form) -> Self {
        let plane = Self { site, admin: free_address(), form };
        std::fs::write(plane.routes(), plane.text()).unwrap();
        std::fs::write(plane.file("other.json"), Self::other(false)).unwrap();
        std::fs::write(plane.file("envoy.json"), plane.configuration()).unwrap();
        plane.run().await;
        plane
    }

    pub fn address(&self) -> SocketAddr {
        self.site.address
    }

    fn file(&self, name: &str) -> PathBuf {
        self.site.file(name)
    }

    fn routes(&self) -> PathBuf {
        self.file(match self.form {
            Form::Json => "routes.json",
            Form::Yaml => "routes.yaml",
        })
    }

    /// The file that the driver writes to, as somebody wrote it by hand: two splits of ours, one of others', and a way to the target.
    fn text(&self) -> String {
        match self.form {
            Form::Json => r#"{ "version_info": "by hand", "resources": [
  {"@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration", "name": "checkout", "virtual_hosts": [
    {"name": "all", "domains": ["*"], "routes": [
      {"match": {"prefix": "/other"}, "route": {"weightedClusters": {"clusters":
        [{"name":"spare","weight":3},{"name":"more","weight":1}]}}},
      {"match": {"prefix": "/preview"}, "route": {"cluster": "green"}},
      {"match": {"prefix": "/linger"}, "route": {"timeout": "30s", "weighted_clusters": {"clusters":
        [ {"weight":   7, "name": "blue"}, {"name": "green", "weight": 0 } ]}}},
      {"match": {"prefix": "/"}, "route": {"hash_policy": [{"cookie": {"name": "kept", "ttl": "0s"}}],
        "weighted_clusters": {"use_hash_policy": true, "clusters":
          [{"name":"blue","weight":100},{"name":"spare","weight":0},{"name":"green","weight":0}]}}}
    ]}]}
]}
"#
            .to_owned(),
            Form::Yaml => "# The shop's own, weight: 5.\nresources:\n\
                - \"@type\": type.googleapis.com/envoy.config.route.v3.RouteConfiguration\n\
                \x20 name: checkout\n  virtual_hosts:\n  - name: all\n    domains: ['*']\n    routes:\n    - match: {prefix: /}\n      route:\n\
                \x20       weighted_clusters:\n          clusters:\n          - name: blue # the old one\n            weight: 1\n\
                \x20         - {name: green, weight: 0}   # the new one\n"
                .to_owned(),
        }
    }

    /// Routes that nobody asks for; with `refused` one of them leads to a cluster that there is not, which Envoy is told to mind.
    fn other(refused: bool) -> String {
        let nowhere = r#"{"match": {"prefix": "/nowhere"}, "route": {"cluster": "unheard-of"}},"#;
        format!(
            r#"{{"resources": [{{"@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration", "name": "other",
            "validate_clusters": {refused}, "virtual_hosts": [{{"name": "all", "domains": ["*"], "routes": [{}
            {{"match": {{"prefix": "/"}}, "route": {{"weighted_clusters": {{"clusters":
            [{{"name": "blue", "weight": 100}}, {{"name": "green", "weight": 0}}]}}}}}}]}}]}}]}}"#,
            if refused { nowhere } else { "" }
        )
    }

    /// Two listeners, each with routes from a file, and clusters that give a cookie to clients without one.
    fn configuration(&self) -> String {
        let socket = |address: &SocketAddr| {
            format!(r#"{{"socket_address": {{"address": "{}", "port_value": {}}}}}"#, address.ip(), address.port())
        };
        let listener = |name: &str, address: &SocketAddr, routes: &Path| {
            format!(
                r#"{{"name": "{name}", "address": {}, "filter_chains": [{{"filters": [{{"name": "http", "typed_config": {{
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": "{name}", "upgrade_configs": [{{"upgrade_type": "websocket"}}], "http_filters": [{{"name": "router", "typed_config":
                {{"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}}}],
                "rds": {{"route_config_name": "{name}", "config_source": {{"path_config_source": {{"path": "{}"}}}}}}}}}}]}}]}}"#,
                socket(address),
                routes.display()
            )
        };
        let cluster = |name: &str, servers: &[SocketAddr]| {
            let servers = servers.iter().map(|server| format!(r#"{{"endpoint": {{"address": {}}}}}"#, socket(server)));
            let servers = servers.collect::<Vec<_>>().join(", ");
            format!(
                r#"{{"name": "{name}", "lb_policy": "RING_HASH", "connect_timeout": "1s", "load_assignment":
                {{"cluster_name": "{name}", "endpoints": [{{"lb_endpoints": [{servers}]}}]}}}}"#
            )
        };
        let nobody = [free_address()];
        let listeners = [
            listener("checkout", &self.address(), &self.routes()),
            listener("other", &free_address(), &self.file("other.json")),
        ];
        let clusters = [
            cluster("blue", self.site.servers(Side::Source)),
            cluster("green", self.site.servers(Side::Target)),
            cluster("spare", &nobody),
            cluster("more", &nobody),
        ];
        format!(
            r#"{{"node": {{"id": "one", "cluster": "lab"}}, "admin": {{"address": {}}},
            "static_resources": {{"listeners": [{}], "clusters": [{}]}}}}"#,
            socket(&self.admin),
            listeners.join(", "),
            clusters.join(", ")
        )
    }

    async fn run(&self) {
        let mut command = Command::new(program());
        command.arg("-c").arg(self.file("envoy.json"));
        command.args([
            "--concurrency",
            "2",
            "--use-dynamic-base-id",
            "--disable-hot-restart",
            "--log-level",
            "warning",
        ]);
        self.site.run(&mut command);
        until_it_serves(self).await;
    }

    pub fn spec(&self) -> EnvoySpec {
        EnvoySpec {
            file: self.routes(),
            admin: format!("http://{}", self.admin),
            source: "blue".to_owned(),
            target: "green".to_owned(),
        }
    }

    fn with(&self, change: impl FnOnce(&mut EnvoySpec)) -> Box<dyn Plane> {
        let mut spec = self.spec();
        change(&mut spec);
        Box::new(Envoy::new(spec))
    }

    /// A driver whose file is another one, which no Envoy reads.
    fn with_file(&self, name: &str, text: &str) -> Box<dyn Plane> {
        std::fs::write(self.file(name), text).unwrap();
        self.with(|spec| spec.file = self.file(name))
    }

    /// The lines of a split of ours, in which numbers are ours.
    fn is_ours(line: &str) -> bool {
        line.contains("blue") || line.contains("green, weight") || line.starts_with("            weight: ")
    }
}

#[async_trait]
impl Ground for Routed {
    fn driver(&self) -> Box<dyn Plane> {
        Box::new(Envoy::new(self.spec()))
    }

    fn client(&self, keeps: bool) -> Box<dyn Client> {
        self.site.client(keeps)
    }

    /// A drained side is one at zero, which the next weight ends.
    async fn admit(&self) -> Result<(), Beyond> {
        Ok(())
    }

    /// As a script does it: another file with other weights in its place.
    async fn meddle(&self, to: Weight) -> Result<(), Beyond> {
        let (target, source) = (to.basis_points(), to.complement().basis_points());
        let text = match self.form {
            Form::Json => self
                .text()
                .replace(r#""weight":   7, "name": "blue""#, &format!(r#""weight": {source}, "name": "blue""#))
                .replace(r#""name":"blue","weight":100"#, &format!(r#""name":"blue","weight":{source}"#))
                .replace(r#""name": "green", "weight": 0"#, &format!(r#""name": "green", "weight": {target}"#))
                .replace(r#""name":"green","weight":0"#, &format!(r#""name":"green","weight":{target}"#)),
            Form::Yaml => self
                .text()
                .replace("weight: 1\n", &format!("weight: {source}\n"))
                .replace("weight: 0", &format!("weight: {target}")),
        };
        std::fs::write(self.file("meddled"), text).unwrap();
        std::fs::rename(self.file("meddled"), self.routes()).unwrap();
        until_it_shows(&*self.driver(), to).await;
        Ok(())
    }

    /// Ended and started: the file is what it finds.
    async fn restart(&self) -> Result<(), Beyond> {
        self.site.end("TERM").await;
        self.run().await;
        Ok(())
    }

    /// The whole file but for the numbers of our splits, and the file of the other routes.
    async fn others(&self) -> Result<Option<String>, Beyond> {
        let text = std::fs::read_to_string(self.routes()).unwrap();
        let theirs = |line: &str| {
            if Self::is_ours(line) { line.chars().filter(|c| !c.is_ascii_digit()).collect() } else { line.to_owned() }
        };
        let theirs: Vec<String> = text.lines().map(theirs).collect();
        Ok(Some(theirs.join("\n") + &std::fs::read_to_string(self.file("other.json")).unwrap()))
    }

    async fn lose_target(&self, back: bool) -> Result<(), Beyond> {
        self.site.lose_target(back).await
    }

    fn too_fine(&self) -> Option<Weight> {
        None
    }

    async fn troubles(&self) -> Result<Vec<Trouble>, Beyond> {
        let trouble = |what, plane, means| Trouble { what, plane, means };
        let lie = |answer: Option<&'static str>| async move { format!("http://{}", liar(answer).await) };
        let nobody = free_address();
        let (silent, empty) = (lie(None).await, lie(Some("")).await);
        let html = lie(Some("HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>")).await;
        let half = lie(Some("HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{\"configs\": [")).await;
        let nothing = lie(Some("HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\n{}\n")).await;
        let refused = lie(Some("HTTP/1.1 403 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")).await;
        let text = self.text();
        symlink(self.routes(), self.file("link.json")).unwrap();
        // Edited in place, which Envoy does not look at, and will not take up with the next weights.
        std::fs::write(self.file("other.json"), Self::other(true)).unwrap();
        let alone = text.replacen(r#"{"cluster": "green"}"#, r#"{"cluster": "blue"}"#, 1);
        let third = text.replacen(r#""name":"spare","weight":0"#, r#""name":"spare","weight":1"#, 1);
        Ok(vec![
            trouble("nobody listens", self.with(|spec| spec.admin = format!("http://{nobody}")), "unreachable"),
            trouble("no answer", self.with(|spec| spec.admin = silent), "timed out"),
            trouble("an empty answer", self.with(|spec| spec.admin = empty), "unreachable"),
            trouble("half an answer", self.with(|spec| spec.admin = half), "unreachable"),
            trouble("HTML", self.with(|spec| spec.admin = html), "malformed"),
            trouble("not let in", self.with(|spec| spec.admin = refused), "refused"),
            trouble("an Envoy without these routes", self.with(|spec| spec.admin = nothing), "not found"),
            trouble("no such file", self.with(|spec| spec.file = "/nowhere.json".into()), "not found"),
            trouble("half a file", self.with_file("half.json", &text[..text.len() / 2]), "malformed"),
            trouble("a link", self.with(|spec| spec.file = self.file("link.json")), "malformed"),
            trouble("no such cluster", self.with(|spec| spec.target = "unheard-of".to_owned()), "stranger"),
            trouble("no split between the two", self.with(|spec| spec.source = "unheard-of".to_owned()), "not found"),
            trouble("a way to the source alone", self.with_file("alone.json", &alone), "stranger"),
            trouble("a third cluster", self.with_file("third.json", &third), "stranger"),
            trouble("a file that Envoy does not read", self.with_file("unread.json", &text), "timed out"),
            trouble("a file that Envoy refuses", self.with(|spec| spec.file = self.file("other.json")), "refused"),
        ])
    }
}
