//! Planes of a Migration. PURE.
//!
//! Refuses two planes that would shift the same thing, and what a plane would read as something else.

use std::path::PathBuf;

use super::super::cursor::{Cursor, Fields};
use super::super::types::{DrivenBalancer, DriverSpec, EnvoySpec, ExecSpec, NginxSpec, PlaneSpec, WebhookSpec};
use super::{dns, haproxy};

pub(super) fn planes(at: &Cursor<'_>) -> Option<Vec<PlaneSpec>> {
    let planes = at.each_named(|item| {
        let mut fields = item.fields()?;
        let name = fields.require("name").and_then(|at| at.name());
        let drivers = &["balancer", "haproxy", "nginx", "envoy", "dns", "exec", "webhook", "embedded"];
        let driver = fields.variant(drivers).and_then(|(driver, at)| match driver {
            "balancer" => balancer(&at).map(DriverSpec::Balancer),
            "haproxy" => haproxy::haproxy(&at).map(DriverSpec::Haproxy),
            "nginx" => nginx(&at).map(DriverSpec::Nginx),
            "envoy" => envoy(&at).map(DriverSpec::Envoy),
            "dns" => dns::dns(&at).map(DriverSpec::Dns),
            "exec" => exec(&at).map(DriverSpec::Exec),
            "webhook" => webhook(&at).map(DriverSpec::Webhook),
            _ => at.fields().map(Fields::finish).map(|()| DriverSpec::Embedded),
        });
        fields.finish();
        Some((PlaneSpec { name: name?, driver: driver? }, item))
    })?;
    one_plane_each(&planes);
    Some(planes.into_iter().map(|(plane, _)| plane).collect())
}

fn balancer(at: &Cursor<'_>) -> Option<DrivenBalancer> {
    let mut fields = at.fields()?;
    let balancer = match (fields.get("socket"), fields.get("url"), fields.get("tokenFile")) {
        (Some(socket), None, None) => socket.path().map(DrivenBalancer::Socket),
        (None, Some(at), Some(token_file)) => {
            let (url, token_file) = (url(&at), token_file.path());
            url.zip(token_file).map(|(url, token_file)| DrivenBalancer::Url { url, token_file })
        }
        _ => fields.refuse("needs either socket, or url and tokenFile"),
    };
    fields.finish();
    balancer
}

fn nginx(at: &Cursor<'_>) -> Option<NginxSpec> {
    let mut fields = at.fields()?;
    let config = fields.or("config", PathBuf::from("/etc/nginx/nginx.conf"), |at| at.path());
    let file = fields.require("file").and_then(|at| at.path());
    let status = fields.require("status").and_then(|at| url(&at));
    let upstream = fields.require("upstream").and_then(|at| word(&at));
    let sides = servers(&mut fields, word);
    fields.finish();
    let (source, target) = sides?;
    Some(NginxSpec { config: config?, file: file?, status: status?, upstream: upstream?, source, target })
}

fn envoy(at: &Cursor<'_>) -> Option<EnvoySpec> {
    let mut fields = at.fields()?;
    let file = fields.require("file").and_then(|at| routes_file(&at));
    let admin = fields.require("admin").and_then(|at| url(&at));
    let source = fields.require("source").and_then(|at| cluster(&at));
    let target = fields.require("target").and_then(|at| match cluster(&at)? {
        name if source.as_ref() == Some(&name) => {
            at.refuse(format!("cluster {name} is the source's side too"), Some("a cluster of Envoy leads to one side"))
        }
        name => Some(name),
    });
    fields.finish();
    Some(EnvoySpec { file: file?, admin: admin?, source: source?, target: target? })
}

/// A file of one of the two forms that Envoy reads and we write, which it tells by the ending.
fn routes_file(at: &Cursor<'_>) -> Option<PathBuf> {
    let path = at.path()?;
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("json" | "yaml" | "yml") => Some(path),
        _ => at.refuse("is no file of Envoy's routes", Some("Envoy discovers them from .json, .yaml or .yml")),
    }
}

/// A name of a cluster of Envoy, which takes nearly anything.
fn cluster(at: &Cursor<'_>) -> Option<String> {
    let name = at.text()?;
    if name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return at
            .refuse("is not a name of a cluster of Envoy", Some("write it as `/clusters` of its administration does"));
    }
    Some(name)
}

/// The servers of source and target, none of them on both sides.
pub(super) fn servers(
    fields: &mut Fields<'_>,
    name: fn(&Cursor<'_>) -> Option<String>,
) -> Option<(Vec<String>, Vec<String>)> {
    let source = fields.require("source").and_then(|at| at.each_once(|item| name(&item)));
    let target = fields.require("target").and_then(|at| {
        at.each_once(|item| match name(&item)? {
            name if source.as_ref().is_some_and(|source| source.contains(&name)) => {
                item.refuse(format!("server {name} is on the source's side too"), Some("a server leads to one cluster"))
            }
            name => Some(name),
        })
    });
    source.zip(target)
}

fn exec(at: &Cursor<'_>) -> Option<ExecSpec> {
    let mut fields = at.fields()?;
    let command = fields.require("command").and_then(|at| at.each(|item| item.text()));
    fields.finish();
    Some(ExecSpec { command: command? })
}

fn webhook(at: &Cursor<'_>) -> Option<WebhookSpec> {
    let mut fields = at.fields()?;
    let url = fields.require("url").and_then(|at| url(&at));
    fields.finish();
    Some(WebhookSpec { url: url? })
}

pub(super) fn url(at: &Cursor<'_>) -> Option<String> {
    let text = at.text()?;
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match rest.and_then(|rest| rest.split('/').next()) {
        Some(host) if host.contains('@') => at.refuse("holds a password, which would be shown", None),
        Some(host) if !host.is_empty() => Some(text),
        _ => at.refuse("is not a URL", Some("write http://127.0.0.1:8088/")),
    }
}

/// A word of nginx's language, which goes into a file of it as it is written.
fn word(at: &Cursor<'_>) -> Option<String> {
    let name = at.text()?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.:-/[]".contains(c);
    if name.chars().all(allowed) {
        return Some(name);
    }
    at.refuse("is not a name of an upstream or a server", Some("letters, digits and any of _ . : - / [ ]"))
}

/// Two planes that shift the same would each take what the other writes for drift, or send the same server both ways.
fn one_plane_each(planes: &[(PlaneSpec, Cursor<'_>)]) {
    for (index, (plane, at)) in planes.iter().enumerate() {
        let same = |other: &&(PlaneSpec, Cursor<'_>)| other.0.driver.shifts_the_same_as(&plane.driver);
        if let Some((earlier, _)) = planes[..index].iter().find(same) {
            let backend = at.peek("haproxy").and_then(|at| at.peek("backend"));
            let (message, help) = match &backend {
                Some(_) => ("shifts this backend already", "name all servers of a backend in one plane"),
                None => ("shifts the same already", "name it once"),
            };
            let at = backend.unwrap_or_else(|| at.clone());
            let _: Option<()> = at.refuse(format!("plane {} {message}", earlier.name), Some(help));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::{DnsWriter, DrivenBalancer, DriverSpec, SourceFile, load};

    const MIGRATION: &str = "apiVersion: crossfade.dev/v1alpha1\nkind: Migration\nmetadata: {name: a}\nspec:\n  \
        source: {context: b}\n  target: {context: g}\n  workloads: {namespaces: [s]}\n  policy: {name: p}\n  planes: ";

    const POLICY: &str = "\n---\napiVersion: crossfade.dev/v1alpha1\nkind: ShiftPolicy\nmetadata: {name: p}\nspec:\n  \
        steps: [{setWeight: 100}]\n  analysis: {metrics: [{name: up, probe: {tcp: \"{{ cluster }}:1\"}, max: 1%}], SHARE}\n";

    fn read(planes: &str, share: &str) -> Result<Vec<DriverSpec>, String> {
        let text = format!("{MIGRATION}{planes}{}", POLICY.replace("SHARE", share));
        let file = SourceFile { name: "a".to_owned(), text };
        let definitions = load(&[file]).map_err(|invalid| {
            let problems = invalid.problems.iter().map(|problem| format!("{}: {}", problem.field, problem.message));
            problems.collect::<Vec<_>>().join("; ")
        })?;
        Ok(definitions.migrations[0].planes.iter().map(|plane| plane.driver.clone()).collect())
    }

    const NGINX: &str = "{file: /x, status: \"http://a/\", upstream: web, source: [\"a:1\"], target: [\"b:1\"]}";
    const ENVOY: &str = "{file: /r.json, admin: \"http://a:9901\", source: blue, target: green}";
    const TOTAL: &str =
        "share: {total: 'increase(x{c=\"{{ cluster }}\"}[{{ window }}])'}, prometheus: {address: \"http://p\"}";

    #[test]
    fn every_driver_is_read() {
        let planes = format!(
            "[{{name: a, nginx: {NGINX}}}, {{name: b, exec: {{command: [/p, x, x]}}}}, {{name: c, webhook: {{url: \"https://h/p\"}}}}, \
             {{name: d, envoy: {ENVOY}}}, {{name: e, envoy: {}}}]",
            ENVOY.replace("blue", "red").replace("green", "white")
        );
        let drivers = read(&planes, "").unwrap();
        let [
            DriverSpec::Nginx(nginx),
            DriverSpec::Exec(exec),
            DriverSpec::Webhook(webhook),
            DriverSpec::Envoy(envoy),
            _,
        ] = &drivers[..]
        else {
            panic!("{drivers:?}")
        };
        assert_eq!((envoy.file.to_str(), envoy.target.as_str()), (Some("/r.json"), "green"));
        assert_eq!((nginx.config.to_str(), nginx.upstream.as_str()), (Some("/etc/nginx/nginx.conf"), "web"));
        assert_eq!(exec.command, ["/p", "x", "x"]);
        assert_eq!(webhook.url, "https://h/p");
    }

    const DNS: &str = "{zone: Example.test., name: shop.example.test, source: [192.0.2.1], target: [192.0.2.2], \
        servers: [192.0.2.53, \"[::1]:54\"], update: {key: /k}}";

    #[test]
    fn a_name_of_dns_is_read() {
        let drivers = read(&format!("[{{name: a, dns: {DNS}}}]"), TOTAL).unwrap();
        let [DriverSpec::Dns(dns)] = &drivers[..] else { panic!("{drivers:?}") };
        let DnsWriter::Update(update) = &dns.writer else { panic!("{dns:?}") };
        assert_eq!((dns.zone.as_str(), dns.name.as_str(), dns.max_ttl), ("example.test", "shop.example.test", 30));
        let servers: Vec<String> = dns.servers.iter().map(ToString::to_string).collect();
        assert_eq!((servers, update.server), (vec!["192.0.2.53:53".to_owned(), "[::1]:54".to_owned()], dns.servers[0]));
    }

    #[test]
    fn what_is_wrong_with_a_name_of_dns_is_said() {
        let six = "target: [\"2001:db8::2\"]";
        for (what, instead, why) in [
            ("name: shop.example.test", "name: shop.example.org", "dns.name: is not within the zone example.test"),
            ("name: shop.example.test", "name: shopexample.test", "dns.name: is not within the zone"),
            ("name: shop.example.test", "name: shop..test", "dns.name: is not a name of DNS"),
            ("target: [192.0.2.2]", "target: [192.0.2.1]", "on the source's side too"),
            ("target: [192.0.2.2]", "target: [192.0.2.2, 192.0.2.2]", "is given twice"),
            ("target: [192.0.2.2]", "target: [shop]", "is not an address"),
            ("target: [192.0.2.2]", "target: [0.0.0.0]", "is not an address of somebody"),
            ("target: [192.0.2.2]", six, "dns.target: has addresses of other families"),
            ("servers: [192.0.2.53,", "servers: [ns1,", "dns.servers[0]: is not the address of a server"),
            ("update: {key: /k}", "update: {key: k}", "not a path from the root"),
            ("update: {key: /k}", "maxTtl: 31s, update: {key: /k}", "for 31 s, longer than a rollback may take (30s)"),
            (", update: {key: /k}", "", "needs exactly one of update, powerdns"),
            ("update: {key: /k}", "powerdns: {url: h, key: /k}", "is not a URL"),
        ] {
            let planes = format!("[{{name: a, dns: {}}}]", DNS.replace(what, instead));
            assert!(planes.contains(instead), "{what}");
            let said = read(&planes, TOTAL).map(|drivers| format!("{drivers:?}")).unwrap_or_else(|said| said);
            assert!(said.contains(why), "{planes}: {said}");
        }
        let twice = format!("[{{name: a, dns: {DNS}}}, {{name: b, dns: {DNS}}}]");
        assert!(read(&twice, TOTAL).unwrap_err().contains("plane a shifts the same already"));
        assert!(read(&format!("[{{name: a, dns: {DNS}}}]"), "").unwrap_err().contains("nobody counts"));
    }

    #[test]
    fn a_balancer_is_named_by_its_socket_or_by_its_address_and_token() {
        let read = |balancer: &str| read(&format!("[{{name: a, balancer: {{{balancer}}}}}]"), "");
        let socket = DriverSpec::Balancer(DrivenBalancer::Socket("/s".into()));
        assert_eq!(read("socket: /s").unwrap(), [socket]);
        let url = DrivenBalancer::Url { url: "http://h:1".to_owned(), token_file: "/t".into() };
        assert_eq!(read("url: \"http://h:1\", tokenFile: /t").unwrap(), [DriverSpec::Balancer(url)]);
        for wrong in ["", "url: \"http://h:1\"", "tokenFile: /t", "socket: /s, tokenFile: /t"] {
            let said = read(wrong).unwrap_err();
            assert!(
                said.contains("spec.planes[0].balancer: needs either socket, or url and tokenFile"),
                "{wrong}: {said}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (planes, share, why) in [
            (
                format!("[{{name: a, nginx: {NGINX}}}, {{name: b, nginx: {NGINX}}}]"),
                TOTAL,
                "plane a shifts the same already",
            ),
            (format!("[{{name: a, nginx: {}}}]", NGINX.replace("a:1", "a 1")), TOTAL, "source[0]: is not a name"),
            (format!("[{{name: a, nginx: {}}}]", NGINX.replace("a:1", "a;}")), TOTAL, "source[0]: is not a name"),
            (format!("[{{name: a, nginx: {}}}]", NGINX.replace("b:1", "a:1")), TOTAL, "on the source's side too"),
            (format!("[{{name: a, nginx: {}}}]", NGINX.replace("/x", "x")), TOTAL, "not a path from the root"),
            (
                format!("[{{name: a, envoy: {ENVOY}}}, {{name: b, envoy: {}}}]", ENVOY.replace("blue", "red")),
                "",
                "plane a shifts the same already",
            ),
            (
                format!("[{{name: a, envoy: {}}}]", ENVOY.replace("green", "blue")),
                "",
                "target: cluster blue is the source's",
            ),
            (format!("[{{name: a, envoy: {}}}]", ENVOY.replace("/r.json", "r.json")), "", "not a path from the root"),
            (format!("[{{name: a, envoy: {}}}]", ENVOY.replace("/r.json", "/r.pb")), "", "no file of Envoy's routes"),
            (format!("[{{name: a, envoy: {}}}]", ENVOY.replace("blue", "'b lue'")), "", "not a name of a cluster"),
            (format!("[{{name: a, envoy: {}}}]", ENVOY.replace("admin: \"http://a:9901\", ", "")), "", "admin"),
            ("[{name: a, webhook: {url: h}}]".to_owned(), "", "is not a URL"),
            ("[{name: a, webhook: {url: \"http://me:secret@h\"}}]".to_owned(), "", "holds a password"),
            ("[{name: a, exec: {command: []}}]".to_owned(), "", "must not be empty"),
            ("[{name: a, exec: {command: [x]}, embedded: {}}]".to_owned(), "", "needs exactly one of"),
            (format!("[{{name: a, nginx: {NGINX}}}]"), "", "nobody counts"),
        ] {
            let said = read(&planes, share).unwrap_err();
            assert!(said.contains(why), "{planes}: {said}");
        }
    }
}
