//! A balancer that runs as a process of its own, as an operator writes it. PURE.

use core::net::SocketAddr;
use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::SignedDuration;

use super::cursor::{Cursor, Fields};
use super::decode::API_VERSION;
use super::types::Name;

/// A balancer.
#[derive(Debug, Clone, PartialEq)]
pub struct BalancerSpec {
    /// Its name, for people.
    pub name: Name,
    /// Where users come in.
    pub listen: SocketAddr,
    /// Where it is driven.
    pub admin: AdminSpec,
    /// The file that keeps its weight while it does not run.
    pub state: PathBuf,
    /// Servers of the source; at least one.
    pub source: BTreeSet<SocketAddr>,
    /// Servers of the target, none of them in `source`; there may be none yet.
    pub target: BTreeSet<SocketAddr>,
    /// How servers are checked.
    pub health: HealthSpec,
    /// Longest time a connection to a server may take to open; at least 1 ms.
    pub connect: SignedDuration,
    /// Longest time until an answer begins; at least 1 ms.
    pub response: SignedDuration,
}

/// Where a balancer is driven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminSpec {
    /// A Unix socket, which the file system keeps from others.
    Socket(PathBuf),
    /// A TCP address, for whoever has the token.
    Tcp {
        /// The address.
        listen: SocketAddr,
        /// The file that has the token.
        token_file: PathBuf,
    },
}

/// How servers are checked.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthSpec {
    /// The path that is asked; any answer of 200 to 399 passes.
    pub path: String,
    /// Time between two checks; at least 10 ms.
    pub interval: SignedDuration,
    /// Longest time of one check; at least 1 ms.
    pub timeout: SignedDuration,
    /// Passed checks in a row after which a failed server is used again; at least 1.
    pub rise: u32,
    /// Failed checks in a row after which a server is used no longer; at least 1.
    pub fall: u32,
}

const MILLISECOND: SignedDuration = SignedDuration::from_millis(1);
const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// Reads one document.
pub(super) fn document(top: &Cursor<'_>) -> Option<BalancerSpec> {
    let mut fields = top.fields()?;
    let version = fields.require("apiVersion").and_then(|at| at.one_of(&[(API_VERSION, ())]));
    let kind = fields.require("kind").and_then(|at| at.one_of(&[("Balancer", ())]));
    let name = fields.require("metadata").and_then(|at| {
        let mut fields = at.fields()?;
        let name = fields.require("name").and_then(|at| at.name());
        fields.finish();
        name
    });
    let spec = fields.require("spec");
    fields.finish();
    let spec = spec.and_then(|at| spec_of(&at, name));
    version.and(kind).and(spec)
}

fn spec_of(at: &Cursor<'_>, name: Option<Name>) -> Option<BalancerSpec> {
    let mut fields = at.fields()?;
    let listen = fields.require("listen").and_then(|at| address(&at));
    let admin = fields.require("admin").and_then(|at| admin(&at));
    let state = fields.require("state").and_then(|at| at.path());
    let source = fields.require("source").and_then(|at| at.each_once(|item| address(&item)));
    let target = fields.or("target", Vec::new(), |at| {
        at.each_once(|item| match address(&item)? {
            server if source.as_ref().is_some_and(|source| source.contains(&server)) => item
                .refuse(format!("server {server} is on the source's side too"), Some("a server leads to one cluster")),
            server => Some(server),
        })
    });
    let health = match fields.get("health") {
        Some(at) => health(&at),
        None => Some(HealthSpec::default()),
    };
    let (connect, response) = match fields.get("timeouts") {
        Some(at) => timeouts(&at)?,
        None => (SECOND, 30 * SECOND),
    };
    fields.finish();
    Some(BalancerSpec {
        name: name?,
        listen: listen?,
        admin: admin?,
        state: state?,
        source: source?.into_iter().collect(),
        target: target?.into_iter().collect(),
        health: health?,
        connect,
        response,
    })
}

fn admin(at: &Cursor<'_>) -> Option<AdminSpec> {
    let mut fields = at.fields()?;
    let admin = match (fields.get("socket"), fields.get("listen"), fields.get("tokenFile")) {
        (Some(socket), None, None) => socket.path().map(AdminSpec::Socket),
        (None, Some(listen), Some(token_file)) => {
            let (listen, token_file) = (address(&listen), token_file.path());
            listen.zip(token_file).map(|(listen, token_file)| AdminSpec::Tcp { listen, token_file })
        }
        _ => fields.refuse("needs either socket, or listen and tokenFile"),
    };
    fields.finish();
    admin
}

impl Default for HealthSpec {
    fn default() -> Self {
        Self { path: "/readyz".to_owned(), interval: SECOND, timeout: SECOND, rise: 2, fall: 2 }
    }
}

fn health(at: &Cursor<'_>) -> Option<HealthSpec> {
    let mut fields = at.fields()?;
    let HealthSpec { path, interval, timeout, rise, fall } = HealthSpec::default();
    let path = fields.or("path", path, |at| {
        let path = at.text()?;
        if path.starts_with('/') { Some(path) } else { at.refuse("is not a path", Some("write /readyz")) }
    });
    let interval = fields.or("interval", interval, |at| at.duration(10 * MILLISECOND));
    let timeout = fields.or("timeout", timeout, |at| at.duration(MILLISECOND));
    let rise = times(&mut fields, "rise", rise);
    let fall = times(&mut fields, "fall", fall);
    fields.finish();
    Some(HealthSpec { path: path?, interval: interval?, timeout: timeout?, rise: rise?, fall: fall? })
}

fn times(fields: &mut Fields<'_>, name: &'static str, absent: u32) -> Option<u32> {
    fields.or(name, absent, |at| match u32::try_from(at.count(1)?) {
        Ok(times) => Some(times),
        Err(_) => at.refuse("is more than anybody waits for", None),
    })
}

fn timeouts(at: &Cursor<'_>) -> Option<(SignedDuration, SignedDuration)> {
    let mut fields = at.fields()?;
    let connect = fields.or("connect", SECOND, |at| at.duration(MILLISECOND));
    let response = fields.or("response", 30 * SECOND, |at| at.duration(MILLISECOND));
    fields.finish();
    connect.zip(response)
}

fn address(at: &Cursor<'_>) -> Option<SocketAddr> {
    let text = at.text()?;
    match text.parse() {
        Ok(address) => Some(address),
        Err(_) => at.refuse("is not an address and a port", Some("write 10.0.0.7:8080 or [2001:db8::7]:8080")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{SourceFile, load_balancer};
    use super::*;

    const LEAST: &str = "listen: 127.0.0.1:80, admin: {socket: /s}, state: /k, source: [\"10.0.0.1:80\"]";

    fn read(spec: &str) -> Result<BalancerSpec, String> {
        let text = format!("apiVersion: {API_VERSION}\nkind: Balancer\nmetadata: {{name: edge}}\nspec: {{{spec}}}\n");
        load_balancer(&[SourceFile { name: "edge.yaml".to_owned(), text }]).map_err(|invalid| {
            let problems = invalid.problems.iter().map(|problem| format!("{}: {}", problem.field, problem.message));
            problems.collect::<Vec<_>>().join("; ")
        })
    }

    #[test]
    fn the_least_is_enough_and_everything_is_read() {
        let least = read(LEAST).unwrap();
        assert_eq!((least.admin, least.target.len()), (AdminSpec::Socket("/s".into()), 0));
        assert_eq!((least.health, least.connect, least.response), (HealthSpec::default(), SECOND, 30 * SECOND));
        let whole = "listen: \"[::1]:80\", admin: {listen: 127.0.0.1:9, tokenFile: /t}, state: /k, source: [\"10.0.0.1:80\"], \
            target: [\"10.1.0.1:80\", \"10.1.0.2:80\"], health: {path: /up, interval: 5s, timeout: 2s, rise: 3, fall: 1}, \
            timeouts: {connect: 200ms, response: 5m}";
        let whole = read(whole).unwrap();
        assert_eq!(whole.admin, AdminSpec::Tcp { listen: ([127, 0, 0, 1], 9).into(), token_file: "/t".into() });
        assert_eq!((whole.target.len(), whole.health.rise, whole.health.fall), (2, 3, 1));
        assert_eq!((whole.connect.as_millis(), whole.response.as_secs()), (200, 300));
    }

    #[test]
    fn what_is_wrong_is_said_where_it_is() {
        for (spec, why) in [
            (LEAST.replace("127.0.0.1:80", "localhost:80"), "spec.listen: is not an address and a port"),
            (LEAST.replace("/k", "k"), "spec.state: is not a path from the root"),
            (LEAST.replace("socket: /s", ""), "spec.admin: needs either socket, or listen and tokenFile"),
            (LEAST.replace("socket: /s", "listen: 127.0.0.1:9"), "spec.admin: needs either socket"),
            (format!("{LEAST}, target: [\"10.0.0.1:80\"]"), "server 10.0.0.1:80 is on the source's side too"),
            (format!("{LEAST}, health: {{rise: 0}}"), "spec.health.rise"),
            (format!("{LEAST}, health: {{path: up}}"), "spec.health.path: is not a path"),
            (format!("{LEAST}, timeouts: {{connect: 0s}}"), "spec.timeouts.connect: must be at least 1ms"),
            (format!("{LEAST}, weight: 5"), "spec.weight"),
        ] {
            let found = read(&spec).unwrap_err();
            assert!(found.contains(why), "{spec}: {found}");
        }
    }
}
