//! HAProxy planes. PURE.
//!
//! Refuses names that the Runtime API would read as something else.

use std::path::PathBuf;

use super::super::cursor::Cursor;
use super::super::types::{HaproxyAddress, HaproxySpec};
use super::planes::servers;

/// A backend of a running HAProxy.
pub(super) fn haproxy(at: &Cursor<'_>) -> Option<HaproxySpec> {
    let mut fields = at.fields()?;
    let address = fields.require("address").and_then(|at| address(&at));
    let backend = fields.require("backend").and_then(|at| name(&at));
    let sides = servers(&mut fields, name);
    fields.finish();
    let (source, target) = sides?;
    Some(HaproxySpec { address: address?, backend: backend?, source, target })
}

/// A name as HAProxy allows it. It goes to the Runtime API as it is written, where a space or a `;` begins something else.
fn name(at: &Cursor<'_>) -> Option<String> {
    let name = at.text()?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
    if name.chars().all(allowed) {
        return Some(name);
    }
    at.refuse("is not a name HAProxy knows", Some("use letters, digits and any of _ . : -"))
}

fn address(at: &Cursor<'_>) -> Option<HaproxyAddress> {
    const HELP: Option<&str> = Some("write unix:/run/haproxy.sock or tcp:127.0.0.1:9999");
    let text = at.text()?;
    match text.split_once(':') {
        Some(("unix", path)) if path.starts_with('/') => Some(HaproxyAddress::Unix(PathBuf::from(path))),
        Some(("tcp", address)) if address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) => {
            Some(HaproxyAddress::Tcp(address.to_owned()))
        }
        _ => at.refuse("is not an address of a Runtime API", HELP),
    }
}
