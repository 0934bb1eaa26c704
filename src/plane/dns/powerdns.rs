//! PowerDNS, by its API: one record of the type LUA that draws an address for each answer.
//!
//! `pickwrandom` has weights, so every share is exact, whatever the number of addresses, and an answer holds one address.
//! Write that record once by hand (`lua`); zone or server must allow such records (`enable-lua-records`). Ours are its `A`
//! and `AAAA` contents. Other contents, names, types, comments and the TTL stay.
//!
//! What is drawn cannot be read by asking DNS, so the record is read by the API, and every server is asked for the version of
//! the zone and for an address: it has to be one that can be drawn. Time is as with any DNS ([`super`]).
//!
//! **Two writers.** The API knows no condition: a writer looks, asks the fence, and writes. One that was frozen in between is
//! kept back only by the length of its request, which its lease outlasts.
//!
//! Sources: PowerDNS 4.7, "Lua records" and "HTTP API"; tried with 4.7.3.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::try_join_all;
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::lua::{self, Draw};
use super::records::{Family, Sides, addresses, ttl};
use super::remembered::{Former, Remembered, Told};
use super::wire::{Conversation, PATIENCE};
use super::{AGREED, LOOK, delayed, judge, names, views};
use crate::fence::Fence;
use crate::http;
use crate::migration::snapshot::PlaneView;
use crate::observe::clock::{Clock, Moment};
use crate::plane::question::exchange;
use crate::plane::sheet::{Condition, Resolution, Sheet};
use crate::plane::{Plane, PlaneError, recorded};
use crate::policy::{DnsSpec, PowerdnsSpec, Weight};

/// What PowerDNS can and cannot do.
pub const SHEET: Sheet = Sheet { resolution: Resolution::Every, condition: Condition::LooksFirst, ..super::SHEET };

/// Time in which a request that was sent is taken or never will be.
const WRITE: Duration = Duration::from_secs(3);

/// Largest answer read: records of one name.
const MOST_BYTES: usize = 1 << 20;

/// A driver for the record LUA of a name.
#[derive(Debug)]
pub struct Powerdns {
    spec: DnsSpec,
    api: PowerdnsSpec,
    sides: Sides,
    client: Result<reqwest::Client, String>,
    clock: Clock,
    remembered: Mutex<Remembered<Setting>>,
}

/// What is ours of the record: all that a rollback restores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Setting {
    ttl: u32,
    contents: BTreeMap<Family, String>,
}

impl Told for Setting {
    fn ttl(&self) -> u32 {
        self.ttl
    }
}

/// An answer of the API.
#[derive(Debug, Deserialize)]
struct Zone {
    edited_serial: u32,
    rrsets: Vec<Set>,
}

#[derive(Debug, Deserialize)]
struct Set {
    name: String,
    r#type: String,
    ttl: u32,
    records: Vec<Content>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Content {
    content: String,
    disabled: bool,
}

impl Content {
    fn family(&self) -> Option<Family> {
        lua::family(&self.content).filter(|_| !self.disabled)
    }
}

/// The record as it was read.
struct Read {
    serial: u32,
    setting: Setting,
    draws: BTreeMap<Family, Draw>,
    /// Contents that are not ours.
    others: Vec<Content>,
}

impl Powerdns {
    /// A driver for the name of `spec`, which `api` writes. Contacts nobody.
    pub fn new(spec: DnsSpec, api: PowerdnsSpec) -> Self {
        let client = http::client().no_proxy().build().map_err(|error| error.to_string());
        let sides = Sides { source: spec.source.clone(), target: spec.target.clone() };
        Self { spec, api, sides, client, clock: Clock::start(), remembered: Mutex::default() }
    }

    fn url(&self) -> String {
        let base = self.api.url.trim_end_matches('/');
        format!("{base}/api/v1/servers/localhost/zones/{}.", self.spec.zone)
    }

    async fn ask(&self, method: Method, url: &str, body: Option<String>) -> Result<Vec<u8>, PlaneError> {
        let is_missing = |why: String| PlaneError::NotFound {
            what: format!("a key of the API in {}, which {why},", self.api.key.display()),
        };
        let key = tokio::fs::read_to_string(&self.api.key).await;
        let key = key.map_err(|error| is_missing(format!("cannot be read ({error})")))?;
        if key.trim().is_empty() {
            return Err(is_missing("is empty".to_owned()));
        }
        let request = |client: &reqwest::Client| {
            let asked = client.request(method.clone(), url).header("X-API-Key", key.trim());
            asked.body(body.unwrap_or_default())
        };
        let (status, body) = exchange(&self.client, url, PATIENCE, MOST_BYTES, request).await?;
        match status {
            StatusCode::OK | StatusCode::NO_CONTENT => Ok(body),
            StatusCode::NOT_FOUND => {
                Err(PlaneError::NotFound { what: format!("the zone {} at {url}", self.spec.zone) })
            }
            status => {
                let told: String = String::from_utf8_lossy(&body).chars().take(200).collect();
                let answer = format!("{status}: {}", told.trim());
                Err(PlaneError::Refused { command: format!("{method} {url}"), answer })
            }
        }
    }

    async fn read(&self) -> Result<Read, PlaneError> {
        let malformed = |what: String| PlaneError::Malformed { what };
        let url = format!("{}?rrset_name={}.", self.url(), self.spec.name);
        let answer = self.ask(Method::GET, &url, None).await?;
        let zone: Zone =
            serde_json::from_slice(&answer).map_err(|error| malformed(format!("the answer of {url} ({error})")))?;
        let name = format!("{}.", self.spec.name);
        let mut sets = zone.rrsets.into_iter().filter(|set| set.name.eq_ignore_ascii_case(&name)).collect::<Vec<_>>();
        if let Some(set) = sets.iter().find(|set| ["A", "AAAA", "CNAME"].contains(&set.r#type.as_str())) {
            return Err(PlaneError::Stranger { what: format!("the record {} of {name}", set.r#type) });
        }
        sets.retain(|set| set.r#type == "LUA");
        let set = sets.pop().ok_or_else(|| PlaneError::NotFound { what: format!("a record LUA of {name}") })?;
        let (ours, others): (Vec<_>, Vec<_>) = set.records.into_iter().partition(|content| content.family().is_some());
        let (mut contents, mut draws) = (BTreeMap::new(), BTreeMap::new());
        for Content { content, .. } in ours {
            let draw = lua::parse(&content).map_err(malformed)?;
            let Some(family) = lua::family(&content) else { continue };
            if contents.insert(family, content).is_some() {
                return Err(malformed(format!("the two records LUA of {name} for one family")));
            }
            draws.insert(family, draw);
        }
        Ok(Read { serial: zone.edited_serial, setting: Setting { ttl: set.ttl, contents }, draws, others })
    }

    /// Refuses a record whose share could not be said, or that is remembered for too long.
    fn judge(&self, read: &Read) -> Result<(), PlaneError> {
        let name = &self.spec.name;
        if let Some(family) = self.sides.missing(&read.draws) {
            return Err(PlaneError::NotFound { what: format!("a record LUA of {name} for {family:?}") });
        }
        judge(&self.spec, &self.sides, drawn(read.draws.values()), read.setting.ttl)
    }

    /// The first server that does not serve what was read.
    async fn behind(&self, read: &Read) -> Result<Option<SocketAddr>, PlaneError> {
        let names = names(&self.spec)?;
        let looks = self.spec.servers.iter().map(|server| {
            let names = &names;
            async move { Ok::<_, PlaneError>((*server, Conversation::open(*server).await?.look(names, None).await?)) }
        });
        for (server, shown) in try_join_all(looks).await? {
            if shown.soa.serial != read.serial || ttl(&shown.records) > read.setting.ttl {
                return Ok(Some(server));
            }
            if shown.records.is_empty() {
                let what =
                    format!("an address of {} on the server {server} (does it allow records LUA?)", self.spec.name);
                return Err(PlaneError::NotFound { what });
            }
            let is_drawn = |address: &IpAddr| drawn(read.draws.values()).any(|drawn| drawn == address);
            if !addresses(&shown.records).all(is_drawn) {
                return Ok(Some(server));
            }
        }
        Ok(None)
    }

    /// Looks until every server serves what the API says, for a moment.
    async fn agreed(&self) -> Result<(Read, Former<Setting>), PlaneError> {
        let began = Moment::now();
        loop {
            let read = self.read().await?;
            // What is wrong with the record is said before what servers make of it.
            self.judge(&read)?;
            let behind = self.behind(&read).await?;
            if behind.is_none() {
                let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
                let former = remembered.note(std::slice::from_ref(&read.setting), &read.setting, self.clock.now());
                return Ok((read, former));
            }
            if let (Some(server), true) = (behind, began.elapsed() >= AGREED) {
                let what = format!("one answer for {}: {server} does not serve what the API says", self.spec.name);
                return Err(PlaneError::Malformed { what });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn weight(&self, draws: &BTreeMap<Family, Draw>) -> Weight {
        lua::weight(&self.sides.source, &self.sides.target, draws.values())
    }

    /// The contents at a share, each side in the proportions of an origin.
    fn to(&self, weight: Weight, ttl: u32, origin: &Setting) -> Result<Setting, PlaneError> {
        let mut contents = BTreeMap::new();
        for family in Family::ALL.into_iter().filter(|family| self.sides.has(*family)) {
            let content = origin.contents.get(&family);
            let origin = content.and_then(|content| lua::parse(content).ok()).unwrap_or_default();
            let (source, target) = self.sides.of(family);
            contents.insert(family, lua::content(family, &lua::to(&source, &target, &origin, weight)?));
        }
        Ok(Setting { ttl, contents })
    }

    async fn write(&self, fence: &Fence, read: &Read, wanted: Setting) -> Result<(), PlaneError> {
        if read.setting == wanted {
            return Ok(());
        }
        let ours = wanted.contents.into_values().map(|content| Content { content, disabled: false });
        let records: Vec<Content> = read.others.iter().cloned().chain(ours).collect();
        let name = format!("{}.", self.spec.name);
        let set = json!({"name": name, "type": "LUA", "ttl": wanted.ttl, "changetype": "REPLACE", "records": records});
        let body = json!({"rrsets": [set]}).to_string();
        fence.check(WRITE)?;
        self.ask(Method::PATCH, &self.url(), Some(body)).await?;
        // Whether they do is found by those who look.
        let _ = self.agreed().await;
        Ok(())
    }

    /// How many addresses of each side may be remembered beside those that are drawn now.
    fn remembered(&self, former: &Former<Setting>) -> (u64, u64) {
        match former {
            Former::Unknown => self.sides.count(self.spec.source.iter().chain(&self.spec.target)),
            Former::Seen(settings) => {
                let draws = settings.iter().flat_map(|setting| setting.contents.values());
                let draws: Vec<Draw> = draws.filter_map(|content| lua::parse(content).ok()).collect();
                self.sides.count(drawn(draws.iter()))
            }
        }
    }
}

#[async_trait]
impl Plane for Powerdns {
    fn sheet(&self) -> Sheet {
        delayed(SHEET, &self.spec, &self.remembered)
    }

    async fn observe(&self) -> Result<PlaneView, PlaneError> {
        let (read, former) = self.agreed().await?;
        let (source, target) = views(&self.sides, drawn(read.draws.values()), self.remembered(&former));
        let setting = serde_json::to_value(&read.setting).unwrap_or_default();
        Ok(PlaneView { weight: self.weight(&read.draws), setting, source, target })
    }

    fn propose(&self, view: &PlaneView, weight: Weight) -> Result<(), PlaneError> {
        self.to(weight, 0, &recorded(&view.setting)?).map(|_| ())
    }

    fn untouched(&self) -> Value {
        json!({"ttl": 0, "contents": {}})
    }

    async fn shift(&self, fence: &Fence, from: Weight, to: Weight, origin: &Value) -> Result<(), PlaneError> {
        let read = self.read().await?;
        self.judge(&read)?;
        let wanted = self.to(to, read.setting.ttl, &recorded(origin)?)?;
        let observed = self.weight(&read.draws);
        if !observed.is_between(from, to) {
            return Err(PlaneError::Changed { from, to, observed });
        }
        // Two spellings of one share are one share, and the first one stays.
        if observed == to && read.draws.iter().all(|(family, draw)| same(wanted.contents.get(family), draw)) {
            return Ok(());
        }
        self.write(fence, &read, wanted).await
    }

    async fn restore(&self, fence: &Fence, setting: &Value) -> Result<(), PlaneError> {
        let wanted = recorded(setting)?;
        self.write(fence, &self.read().await?, wanted).await
    }

    async fn drain_source(&self, fence: &Fence) -> Result<(), PlaneError> {
        let read = self.read().await?;
        let wanted = self.to(Weight::FULL, read.setting.ttl, &read.setting)?;
        self.write(fence, &read, wanted).await
    }
}

/// Addresses that an answer can have.
fn drawn<'a>(draws: impl Iterator<Item = &'a Draw>) -> impl Iterator<Item = &'a IpAddr> {
    draws.flatten().filter(|(_, number)| **number > 0).map(|(address, _)| address)
}

fn same(wanted: Option<&String>, draw: &Draw) -> bool {
    wanted.and_then(|wanted| lua::parse(wanted).ok()).is_some_and(|wanted| wanted == *draw)
}
