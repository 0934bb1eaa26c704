//! HAProxy, by its Runtime API.
//!
//! One backend, some of whose servers lead to the source and some to the target. The weight of a side is spread over its
//! servers in the proportions they had when first seen, so a small server stays a small server. Servers on neither side
//! are never written, and refused if they take traffic: their share would belong to nobody.
//!
//! What zero means here: weight 0 takes no new sessions but keeps persistent ones; `drain` ends those too. A server in DRAIN
//! or MAINT still shows its weight, so it counts as 0. A percentage would be of the *initial* weight, so only plain numbers
//! are written. A reload silently restores the file's weights; it shows as drift. Sources: HAProxy 2.6 management guide,
//! sections 9.1 and 9.3.

mod runtime;
mod weights;

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use self::runtime::Runtime;
use self::weights::{Server, Sides};
use super::{Plane, PlaneError};
use crate::migration::snapshot::{Counters, PlaneView, SideView};
use crate::policy::{HaproxySpec, Weight};

/// A driver for one backend.
#[derive(Debug)]
pub struct Haproxy {
    spec: HaproxySpec,
    runtime: Runtime,
}

/// What Crossfade may change on a server: all that a rollback restores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Setting {
    weight: u32,
    state: Admin,
}

/// Administrative state of a server, as `set server … state` takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Admin {
    Ready,
    Drain,
    Maint,
}

impl Admin {
    fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maint => "maint",
        }
    }
}

/// One server as observed.
#[derive(Debug, Clone)]
struct Observed {
    setting: Setting,
    up: bool,
    sessions: u64,
    counters: Counters,
}

impl Observed {
    fn takes_traffic(&self) -> bool {
        self.up && self.setting.state == Admin::Ready && self.setting.weight > 0
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
        for (name, setting) in states {
            let Some(stat) = stats.remove(&name) else {
                return Err(PlaneError::NotFound { what: format!("server {backend}/{name} in the statistics") });
            };
            servers.insert(name, Observed { setting, up: stat.up, sessions: stat.sessions, counters: stat.counters });
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

    fn sides(&self, servers: &Servers) -> Sides {
        let side = |names: &[String]| {
            let servers = names.iter().filter_map(|name| Some((name, servers.get(name)?)));
            // Whoever took a server out of service keeps it that way: it is neither counted nor written.
            let ready = servers.filter(|(_, seen)| seen.setting.state == Admin::Ready);
            ready.map(|(name, seen)| Server { name: name.clone(), weight: seen.setting.weight }).collect()
        };
        Sides { source: side(&self.spec.source), target: side(&self.spec.target) }
    }

    fn settings(&self, servers: &Servers) -> BTreeMap<String, Setting> {
        let ours = servers.iter().filter(|(name, _)| self.is_ours(name));
        ours.map(|(name, seen)| (name.clone(), seen.setting.clone())).collect()
    }

    fn side_view(&self, names: &[String], servers: &Servers) -> SideView {
        let seen = || names.iter().filter_map(|name| servers.get(name));
        let usable = seen().filter(|seen| seen.up && seen.setting.state == Admin::Ready).count();
        let requests = seen().map(|seen| seen.counters.requests).sum();
        let failed = seen().map(|seen| seen.counters.failed).sum();
        SideView {
            usable: u32::try_from(usable).unwrap_or(u32::MAX),
            in_flight: seen().map(|seen| seen.sessions).sum(),
            counters: Some(Counters { requests, failed }),
        }
    }

    async fn write(&self, name: &str, what: &str) -> Result<(), PlaneError> {
        self.runtime.tell(&format!("set server {}/{name} {what}", self.spec.backend)).await
    }
}

#[async_trait]
impl Plane for Haproxy {
    async fn observe(&self) -> Result<PlaneView, PlaneError> {
        let servers = self.servers().await?;
        let stranger = servers.iter().find(|(name, seen)| !self.is_ours(name) && seen.takes_traffic());
        if let Some((name, _)) = stranger {
            let answer = format!("server {name} takes traffic and is on neither side");
            return Err(PlaneError::Refused { command: format!("observe backend {}", self.spec.backend), answer });
        }
        Ok(PlaneView {
            weight: self.sides(&servers).weight().unwrap_or(Weight::ZERO),
            setting: serde_json::to_value(self.settings(&servers)).unwrap_or_default(),
            source: self.side_view(&self.spec.source, &servers),
            target: self.side_view(&self.spec.target, &servers),
        })
    }

    fn propose(&self, view: &PlaneView, weight: Weight) -> Result<(), PlaneError> {
        sides_of(&self.spec, view)?.to(weight).map(|_| ())
    }

    async fn shift(&self, from: Weight, to: Weight) -> Result<(), PlaneError> {
        let sides = self.sides(&self.servers().await?);
        let observed = sides.weight().unwrap_or(Weight::ZERO);
        if !observed.is_between(from, to) {
            return Err(PlaneError::Changed { from, to, observed });
        }
        for write in sides.path(&sides.to(to)?) {
            self.write(&write.name, &format!("weight {}", write.weight)).await?;
        }
        Ok(())
    }

    async fn restore(&self, setting: &serde_json::Value) -> Result<(), PlaneError> {
        let recorded: BTreeMap<String, Setting> = serde_json::from_value(setting.clone())
            .map_err(|_| PlaneError::Malformed { what: "the recorded setting".to_owned() })?;
        let now = self.settings(&self.servers().await?);
        // Who gains comes first, so that at no moment everything is zero.
        let gains = |name: &String| {
            let before = now.get(name).map_or(0, |seen| seen.weight);
            recorded.get(name).is_some_and(|wanted| wanted.weight > before || wanted.state == Admin::Ready)
        };
        let mut order: Vec<&String> = recorded.keys().collect();
        order.sort_by_key(|name| (!gains(name), !self.spec.source.contains(name)));
        for name in order {
            let (Some(wanted), seen) = (recorded.get(name), now.get(name)) else { continue };
            if seen.is_none_or(|seen| seen.weight != wanted.weight) {
                self.write(name, &format!("weight {}", wanted.weight)).await?;
            }
            if seen.is_none_or(|seen| seen.state != wanted.state) {
                self.write(name, &format!("state {}", wanted.state.word())).await?;
            }
        }
        Ok(())
    }

    async fn drain_source(&self) -> Result<(), PlaneError> {
        for name in &self.spec.source {
            self.write(name, "state drain").await?;
        }
        Ok(())
    }
}

/// The sides as a view's own setting tells them.
fn sides_of(spec: &HaproxySpec, view: &PlaneView) -> Result<Sides, PlaneError> {
    let settings: BTreeMap<String, Setting> = serde_json::from_value(view.setting.clone())
        .map_err(|_| PlaneError::Malformed { what: "the plane's setting".to_owned() })?;
    let side = |names: &[String]| {
        let servers = names.iter().filter_map(|name| Some((name, settings.get(name)?)));
        servers.map(|(name, setting)| Server { name: name.clone(), weight: setting.weight }).collect()
    };
    Ok(Sides { source: side(&spec.source), target: side(&spec.target) })
}
