//! HAProxy, by its Runtime API.
//!
//! One backend, some of whose servers lead to the source and some to the target. The weight of a side is spread over its
//! servers in the proportions of the origin, so a small server stays a small server. Servers on neither side are never
//! written, and refused if they take traffic: their share would belong to nobody.
//!
//! What is ours is the weights, and before commit nothing else: who puts a server into maintenance or takes it out is not
//! followed, not undone, and while a server is out it counts as 0 and is not written.
//!
//! What zero means here: weight 0 takes no new sessions but keeps persistent ones, and so does HAProxy's own DRAIN. What drains
//! a side here is therefore MAINT, which sends kept clients elsewhere and lets what is in flight end, unless the backend says
//! `on-marked-down shutdown-sessions`. A server in DRAIN or MAINT still shows its weight. A percentage would be of the *initial* weight, so only plain numbers are written. A
//! reload silently restores the file's weights; it shows as drift.
//!
//! A write knows no precondition, so a writer that was frozen must find its way to HAProxy closed when it wakes. It opens the
//! connection, has HAProxy end it after so many idle seconds (`set timeout cli`, of this connection only), asks the fence whether
//! it leads for longer than that, and only then sends the command. Frozen between asking and sending, it wakes to a connection
//! that HAProxy closed before anybody else could lead. What is left: HAProxy itself frozen with the command already in its hands.
//!
//! Sources: HAProxy 2.6 management guide, sections 9.1 and 9.3; tried with 2.6.12.

mod runtime;
mod weights;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;

use self::runtime::Runtime;
use self::weights::{Server, Sides};
use super::sheet::{Affinity, Condition, Connections, InFlight, Known, Resolution, Restart, Sheet, Spread, Zero};
use super::{Plane, PlaneError, recorded};
use crate::fence::Fence;
use crate::migration::snapshot::{Counters, PlaneView, SideView};
use crate::policy::{HaproxySpec, Weight};

/// What HAProxy can and cannot do.
pub const SHEET: Sheet = Sheet {
    resolution: Resolution::Units { most: weights::MOST },
    // `balance roundrobin` is exact over a whole turn of all weights; in between it was off by less than this, with 2.6.12.
    spread: Spread::Turns { within: 8 },
    zero: Zero::KeptClients,
    delay: Duration::ZERO,
    connections: Connections::Kept,
    affinity: Affinity::UntilDrained,
    counts: Known::Yes,
    in_flight: InFlight::Counted,
    condition: Condition::LooksFirst,
    restart: Restart::Forgets,
};

/// What HAProxy gives a server that nobody gave a weight.
const UNTOUCHED: u32 = 1;

/// A driver for one backend.
#[derive(Debug)]
pub struct Haproxy {
    spec: HaproxySpec,
    runtime: Runtime,
}

/// The weight of each server that is on a side: all that a rollback restores.
type Setting = BTreeMap<String, u32>;

/// Weight and administrative state of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Admitted {
    weight: u32,
    state: Admin,
}

/// Administrative state of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Admin {
    Ready,
    Drain,
    Maint,
}

/// One server as observed.
#[derive(Debug, Clone)]
struct Observed {
    admitted: Admitted,
    up: bool,
    sessions: u64,
    counters: Counters,
}

impl Observed {
    fn takes_traffic(&self) -> bool {
        self.up && self.admitted.state == Admin::Ready && self.admitted.weight > 0
    }
}

type Servers = BTreeMap<String, Observed>;

impl Haproxy {
    /// A driver for the backend of `spec`. Contacts nobody.
    pub fn new(spec: HaproxySpec) -> Self {
        let runtime = Runtime::new(spec.address.clone());
        Self { spec, runtime }
    }

    async fn servers(&self) -> Result<Servers, PlaneError> {
        let backend = &self.spec.backend;
        let states = self.runtime.server_states(backend).await?;
        let mut stats = self.runtime.server_stats(backend).await?;
        let mut servers = Servers::new();
        for (name, admitted) in states {
            let Some(stat) = stats.remove(&name) else {
                return Err(PlaneError::NotFound { what: format!("server {backend}/{name} in the statistics") });
            };
            servers.insert(name, Observed { admitted, up: stat.up, sessions: stat.sessions, counters: stat.counters });
        }
        for name in self.spec.source.iter().chain(&self.spec.target) {
            if !servers.contains_key(name) {
                return Err(PlaneError::NotFound { what: format!("server {backend}/{name}") });
            }
        }
        Ok(servers)
    }

    fn is_ours(&self, name: &String) -> bool {
        self.spec.source.contains(name) || self.spec.target.contains(name)
    }

    /// The servers that are in service, with their weights, and their proportions from `origin`.
    fn sides(&self, servers: &Servers, origin: Option<&Setting>) -> Sides {
        let side = |names: &[String]| {
            let servers = names.iter().filter_map(|name| Some((name, servers.get(name)?)));
            let ready = servers.filter(|(_, seen)| seen.admitted.state == Admin::Ready);
            ready
                .map(|(name, seen)| Server {
                    name: name.clone(),
                    weight: seen.admitted.weight,
                    part: origin.and_then(|origin| origin.get(name)).copied().unwrap_or(seen.admitted.weight),
                })
                .collect()
        };
        Sides { source: side(&self.spec.source), target: side(&self.spec.target) }
    }

    fn setting(&self, servers: &Servers) -> Setting {
        let ours = servers.iter().filter(|(name, _)| self.is_ours(name));
        ours.map(|(name, seen)| (name.clone(), seen.admitted.weight)).collect()
    }

    fn side_view(&self, names: &[String], servers: &Servers) -> SideView {
        let seen = || names.iter().filter_map(|name| servers.get(name));
        let usable = seen().filter(|seen| seen.up && seen.admitted.state == Admin::Ready).count();
        let requests = seen().map(|seen| seen.counters.requests).sum();
        let failed = seen().map(|seen| seen.counters.failed).sum();
        SideView {
            usable: u32::try_from(usable).unwrap_or(u32::MAX),
            in_flight: seen().map(|seen| seen.sessions).sum(),
            counters: Some(Counters { requests, failed }),
        }
    }

    async fn write(&self, fence: &Fence, name: &str, what: &str) -> Result<(), PlaneError> {
        self.runtime.tell(fence, &format!("set server {}/{name} {what}", self.spec.backend)).await
    }
}

#[async_trait]
impl Plane for Haproxy {
    fn sheet(&self) -> Sheet {
        SHEET
    }

    async fn observe(&self) -> Result<PlaneView, PlaneError> {
        let servers = self.servers().await?;
        let stranger = servers.iter().find(|(name, seen)| !self.is_ours(name) && seen.takes_traffic());
        if let Some((name, _)) = stranger {
            return Err(PlaneError::Stranger { what: format!("server {}/{name}", self.spec.backend) });
        }
        Ok(PlaneView {
            weight: self.sides(&servers, None).weight().unwrap_or(Weight::ZERO),
            setting: serde_json::to_value(self.setting(&servers)).unwrap_or_default(),
            source: self.side_view(&self.spec.source, &servers),
            target: self.side_view(&self.spec.target, &servers),
        })
    }

    fn propose(&self, view: &PlaneView, weight: Weight) -> Result<(), PlaneError> {
        let setting: Setting = recorded(&view.setting)?;
        let side = |names: &[String]| {
            let servers = names.iter().filter_map(|name| Some((name, *setting.get(name)?)));
            servers.map(|(name, weight)| Server { name: name.clone(), weight, part: weight }).collect()
        };
        Sides { source: side(&self.spec.source), target: side(&self.spec.target) }.to(weight).map(|_| ())
    }

    fn untouched(&self) -> serde_json::Value {
        let servers = self.spec.source.iter().chain(&self.spec.target);
        servers.map(|server| (server.clone(), UNTOUCHED.into())).collect::<serde_json::Map<_, _>>().into()
    }

    async fn shift(
        &self,
        fence: &Fence,
        from: Weight,
        to: Weight,
        origin: &serde_json::Value,
    ) -> Result<(), PlaneError> {
        let sides = self.sides(&self.servers().await?, Some(&recorded(origin)?));
        let observed = sides.weight().unwrap_or(Weight::ZERO);
        if !observed.is_between(from, to) {
            return Err(PlaneError::Changed { from, to, observed });
        }
        for write in sides.path(&sides.to(to)?) {
            self.write(fence, &write.name, &format!("weight {}", write.weight)).await?;
        }
        Ok(())
    }

    async fn restore(&self, fence: &Fence, setting: &serde_json::Value) -> Result<(), PlaneError> {
        let recorded: Setting = recorded(setting)?;
        let now = self.setting(&self.servers().await?);
        let mut writes: Vec<_> = recorded.iter().filter(|(name, weight)| now.get(*name) != Some(weight)).collect();
        // Who gains comes first, so that at no moment everything is zero.
        writes.sort_by_key(|(name, weight)| now.get(*name) > Some(weight));
        for (name, weight) in writes {
            self.write(fence, name, &format!("weight {weight}")).await?;
        }
        Ok(())
    }

    async fn drain_source(&self, fence: &Fence) -> Result<(), PlaneError> {
        for name in &self.spec.source {
            self.write(fence, name, "state maint").await?;
        }
        Ok(())
    }
}
