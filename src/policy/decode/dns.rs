//! DNS planes. PURE.
//!
//! Refuses names outside of their zone, addresses that some clients could not split between the sides, and servers by name:
//! whoever says where names lead is not found by one.

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeSet;

use super::super::cursor::Cursor;
use super::super::types::{DnsSpec, DnsWriter, PowerdnsSpec, UpdateSpec};
use super::planes::url;
use jiff::SignedDuration;

/// Seconds that clients remember an answer at most, unless somebody allows more: the time a rollback has unless somebody allows
/// more.
const MAX_TTL: u32 = 30;

/// Most addresses of a side and family: that many in one answer no client wants, and any share that people choose needs fewer.
const MOST: usize = 100;

/// The port of DNS.
const PORT: u16 = 53;

pub(super) fn dns(at: &Cursor<'_>) -> Option<DnsSpec> {
    let mut fields = at.fields()?;
    let zone = fields.require("zone").and_then(|at| name(&at));
    let own = fields.require("name").and_then(|at| {
        let own = name(&at)?;
        match &zone {
            Some(zone) if !is_within(&own, zone) => {
                at.refuse(format!("is not within the zone {zone}"), Some("write the whole name"))
            }
            _ => Some(own),
        }
    });
    let source = fields.require("source").and_then(|at| addresses(&at, &[]));
    let other = source.clone().unwrap_or_default();
    let target_at = fields.require("target");
    let target = target_at.as_ref().and_then(|at| addresses(at, &other));
    let servers = fields.require("servers").and_then(|at| at.each_once(|item| server(&item)));
    let max_ttl = fields.or("maxTtl", MAX_TTL, |at| {
        let allowed = at.duration(SignedDuration::from_secs(1))?;
        u32::try_from(allowed.as_secs()).ok().or_else(|| at.refuse("is more than any TTL", None))
    });
    let first = servers.as_ref().and_then(|servers| servers.first()).copied();
    let written = [
        fields.get("update").map(|at| update(&at, first).map(DnsWriter::Update)),
        fields.get("powerdns").map(|at| powerdns(&at).map(DnsWriter::Powerdns)),
    ];
    let mut written: Vec<_> = written.into_iter().flatten().collect();
    let writer = match written.len() {
        1 => written.remove(0),
        found => fields.refuse(&format!("needs exactly one of update, powerdns, has {found}")),
    };
    fields.finish();
    let (source, target) = (source?, target?);
    if families(&source) != families(&target) {
        const HELP: &str = "a client that asks for one family only would see one side only";
        return target_at?.refuse("has addresses of other families than the source", Some(HELP));
    }
    Some(DnsSpec { zone: zone?, name: own?, source, target, servers: servers?, max_ttl: max_ttl?, writer: writer? })
}

fn update(at: &Cursor<'_>, first: Option<SocketAddr>) -> Option<UpdateSpec> {
    let mut fields = at.fields()?;
    let given = fields.get("server");
    let server = given.map_or(first, |at| server(&at));
    let key = fields.require("key").and_then(|at| at.path());
    fields.finish();
    Some(UpdateSpec { server: server?, key: key? })
}

fn powerdns(at: &Cursor<'_>) -> Option<PowerdnsSpec> {
    let mut fields = at.fields()?;
    let url = fields.require("url").and_then(|at| url(&at));
    let key = fields.require("key").and_then(|at| at.path());
    fields.finish();
    Some(PowerdnsSpec { url: url?, key: key? })
}

/// A name of letters, digits, `-` and `_` between dots, in small letters and without the dot at its end.
fn name(at: &Cursor<'_>) -> Option<String> {
    let text = at.text()?.to_ascii_lowercase();
    let text = text.strip_suffix('.').unwrap_or(&text).to_owned();
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let label = |label: &str| (1..=63).contains(&label.len()) && label.chars().all(allowed);
    if text.len() <= 253 && text.split('.').all(label) {
        return Some(text);
    }
    at.refuse("is not a name of DNS", Some("letters, digits, - and _ between dots, such as shop.example.com"))
}

fn is_within(name: &str, zone: &str) -> bool {
    name == zone || name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.'))
}

fn addresses(at: &Cursor<'_>, other: &[IpAddr]) -> Option<Vec<IpAddr>> {
    let addresses = at.each_once(|item| {
        let address = match item.text()?.parse::<IpAddr>() {
            Ok(address) if address.is_unspecified() || address.is_multicast() => {
                return item.refuse("is not an address of somebody", None);
            }
            Ok(address) => address,
            Err(_) => return item.refuse("is not an address", Some("write 192.0.2.1 or 2001:db8::1")),
        };
        if other.contains(&address) {
            return item.refuse("is on the source's side too", Some("an address leads to one cluster"));
        }
        Some(address)
    })?;
    if addresses.iter().collect::<BTreeSet<_>>().len() < addresses.len() {
        return at.refuse("has an address twice", None);
    }
    let most = [true, false].map(|v4| addresses.iter().filter(|address| address.is_ipv4() == v4).count());
    if most.into_iter().any(|count| count > MOST) {
        return at.refuse(format!("has more than {MOST} addresses of a family"), None);
    }
    Some(addresses)
}

fn families(addresses: &[IpAddr]) -> [bool; 2] {
    [addresses.iter().any(IpAddr::is_ipv4), addresses.iter().any(IpAddr::is_ipv6)]
}

fn server(at: &Cursor<'_>) -> Option<SocketAddr> {
    let text = at.text()?;
    let whole = text.parse().ok();
    let server = whole.or_else(|| text.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, PORT)));
    server.or_else(|| at.refuse("is not the address of a server", Some("write 192.0.2.53 or 192.0.2.53:5353")))
}
