//! A name whose addresses lead to the clusters. PURE.

use core::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The address records of a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsSpec {
    /// The zone, in small letters and without the dot at its end.
    pub zone: String,
    /// The name, written alike; within the zone.
    pub name: String,
    /// Addresses that lead to the source; of the same families as those of the target.
    pub source: Vec<IpAddr>,
    /// Addresses that lead to the target; none of them in `source`.
    pub target: Vec<IpAddr>,
    /// Every server with authority over the zone that clients may be answered by; at least one.
    pub servers: Vec<SocketAddr>,
    /// Seconds that an answer may be remembered; a record with more is refused.
    pub max_ttl: u32,
    /// How the records are written.
    pub writer: DnsWriter,
}

/// How records are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DnsWriter {
    /// Messages of RFC 2136.
    Update(UpdateSpec),
    /// The API of PowerDNS, and records that draw an address.
    Powerdns(PowerdnsSpec),
}

/// Who takes updates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateSpec {
    /// The zone's primary server.
    pub server: SocketAddr,
    /// A file with the key that signs them, as `tsig-keygen` writes it.
    pub key: PathBuf,
}

/// The API of a PowerDNS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerdnsSpec {
    /// Its URL, before `/api/v1`.
    pub url: String,
    /// A file with the key of the API.
    pub key: PathBuf,
}

impl DnsSpec {
    /// Whether both write the records of one name somewhere.
    pub fn shifts_the_same_as(&self, other: &Self) -> bool {
        let met = self.servers.iter().any(|server| other.servers.contains(server));
        (&self.zone, &self.name) == (&other.zone, &other.name) && (met || self.writer == other.writer)
    }
}
