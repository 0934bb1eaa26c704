//! nginx, by the file that holds an upstream.
//!
//! Plain nginx has no API, so weights are written into a file of its configuration, tested (`nginx -t`), and reloaded. The file holds
//! one `upstream`, and a `map` whose value says the weights: `map "" $crossfade_NAME { default ""; }`. Somewhere in the configuration
//! a location answers `return 200 "$pid $crossfade_NAME";`. A worker has the whole of one configuration, so what a worker answers
//! there is what it does: a write is done once only new workers answer. Where the file was edited by hand and the map was not, the
//! file is taken at its word, which shows as drift.
//!
//! Ours are the `weight` and `down` of the servers named; every other byte of the file stays. Every weight is represented: the file
//! changes as a whole, so numbers need no room on the way. Servers on neither side must be `down`.
//!
//! What zero means: `down`, since nginx takes no weight of 0. It asks nothing of the other side, so zero and drained are the same.
//! What is in flight: after a reload the workers before it end what they began; the observed count is of such workers, whichever
//! side they still talk to. Plain nginx does not count requests by server.
//!
//! What a write costs: a reload closes idle connections of clients, and nginx before 1.27.4 (`keepalive_min_timeout`) does so at
//! once. A request that is sent on one at that moment gets no answer; browsers and most proxies send it again.
//!
//! A write holds a lock beside the file from its look to the answer of the new workers, and looks behind it. Whoever is frozen in
//! between keeps every other writer of this file waiting, so it cannot undo what another one has written. The file must therefore
//! be on a disk of the machine that nginx and Crossfade share.
//!
//! Sources: nginx 1.22, ngx_http_upstream_module and "Controlling nginx"; tried with 1.22.1.

mod file;
mod process;
mod weights;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;

use self::file::{Entry, File};
use self::process::{Process, Told};
use super::replace::{self, replace};
use super::sheet::{Affinity, Condition, Connections, InFlight, Known, Resolution, Restart, Sheet, Spread, Zero};
use super::{Plane, PlaneError, recorded};
use crate::fence::Fence;
use crate::migration::snapshot::{PlaneView, SideView};
use crate::policy::{NginxSpec, Weight};

/// What nginx can and cannot do.
pub const SHEET: Sheet = Sheet {
    resolution: Resolution::Every,
    // Smooth over one turn of all weights where workers share a `zone`, by one request for each server of it.
    spread: Spread::Turns { within: 8 },
    zero: Zero::Nothing,
    delay: Duration::ZERO,
    connections: Connections::IdleClosed,
    affinity: Affinity::None,
    counts: Known::No,
    in_flight: InFlight::Ending,
    condition: Condition::Locked,
    restart: Restart::Keeps,
};

/// Time in which a tested file is in force, or it is not: a lease must last that long.
const WRITE: Duration = Duration::from_secs(5);

/// A driver for one upstream.
#[derive(Debug)]
pub struct Nginx {
    spec: NginxSpec,
    process: Process,
}

/// Weight and `down` of each server that is on a side: all that a rollback restores.
type Setting = BTreeMap<String, Entry>;

impl Nginx {
    /// A driver for the upstream of `spec`. Contacts nobody.
    pub fn new(spec: NginxSpec) -> Self {
        let process = Process::new(spec.config.clone(), spec.status.clone());
        Self { spec, process }
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        self.spec.source.iter().chain(&self.spec.target)
    }

    /// The file, with every server that the migration names and none that it should not have.
    async fn read(&self) -> Result<File, PlaneError> {
        let place = self.spec.file.display().to_string();
        let text = replace::read(&self.spec.file).await?;
        let file = File::parse(text, &self.spec.upstream)
            .map_err(|what| PlaneError::Malformed { what: format!("{place}: {what}") })?;
        if let Some(missing) = self.names().find(|name| !file.servers.contains_key(*name)) {
            return Err(PlaneError::NotFound {
                what: format!("server {missing} of {} in {place}", self.spec.upstream),
            });
        }
        let ours = |name: &String| self.names().any(|known| known == name);
        let stranger = file.servers.iter().find(|(name, entry)| !ours(name) && !entry.down);
        if let Some((name, _)) = stranger {
            return Err(PlaneError::Stranger { what: format!("server {name} of {}", self.spec.upstream) });
        }
        Ok(file)
    }

    fn setting(&self, file: &File) -> Setting {
        self.names().filter_map(|name| Some((name.clone(), *file.servers.get(name)?))).collect()
    }

    /// The weights in force: what the workers say, but for a file that was edited by hand.
    fn in_force(&self, file: &File, told: &Told) -> Result<Setting, PlaneError> {
        let in_file = self.setting(file);
        if file.map != weights::text(&in_file) {
            return Ok(in_file);
        }
        let said = weights::read(&told.weights);
        let said = said.filter(|said| self.names().all(|name| said.contains_key(name)));
        said.ok_or_else(|| PlaneError::Malformed { what: format!("{:?}, which nginx says it runs", told.weights) })
    }

    fn weight(&self, setting: &Setting) -> Weight {
        let sum = |names: &[String]| names.iter().filter_map(|name| setting.get(name)).map(Entry::in_force).sum();
        Weight::from_parts(sum(&self.spec.target), sum(&self.spec.source)).unwrap_or(Weight::ZERO)
    }

    fn to(&self, weight: Weight, origin: &Setting) -> Result<Setting, PlaneError> {
        weights::spread(&self.spec.source, &self.spec.target, origin, weight).ok_or(PlaneError::NotRepresentable {
            weight,
            below: Weight::ZERO,
            above: Weight::FULL,
        })
    }

    /// Brings the file to `wanted` and nginx to the file. The lock is held by the caller.
    async fn write(&self, fence: &Fence, file: &File, wanted: &Setting) -> Result<(), PlaneError> {
        let expected = weights::text(&self.complete(file, wanted));
        let text = file.with(wanted, &expected);
        let now = self.process.told().await?;
        if text == file.text && now.weights == expected {
            return Ok(());
        }
        replace(&self.spec.file, &file.text, &text, || Ok(fence.check(WRITE)?)).await?;
        let tested = self.process.test().await;
        let tested = tested.and_then(|()| Ok(fence.check(Duration::ZERO)?));
        if let Err(error) = tested {
            // Nothing runs it, and nothing shall by chance.
            replace(&self.spec.file, &text, &file.text, || Ok(())).await?;
            return Err(error);
        }
        self.process.reload(&expected).await
    }

    /// What all servers of the sides will be.
    fn complete(&self, file: &File, wanted: &Setting) -> Setting {
        let mut whole = self.setting(file);
        whole.extend(wanted.iter().map(|(name, entry)| (name.clone(), *entry)));
        whole
    }
}

#[async_trait]
impl Plane for Nginx {
    fn sheet(&self) -> Sheet {
        SHEET
    }

    async fn observe(&self) -> Result<PlaneView, PlaneError> {
        let told = self.process.told().await?;
        let file = self.read().await?;
        let setting = self.in_force(&file, &told)?;
        // Whether a server is well nginx does not say. One of the target can be used at any weight; one of the source that is down
        // has been let go.
        let open = self.spec.source.iter().filter(|name| setting.get(*name).is_some_and(|entry| !entry.down)).count();
        let side = |usable, in_flight| SideView {
            usable: u32::try_from(usable).unwrap_or(u32::MAX),
            in_flight,
            counters: None,
        };
        Ok(PlaneView {
            weight: self.weight(&setting),
            setting: serde_json::to_value(self.setting(&file)).unwrap_or_default(),
            source: side(open, process::ending_beside(told.worker).await),
            target: side(self.spec.target.len(), 0),
        })
    }

    fn propose(&self, view: &PlaneView, weight: Weight) -> Result<(), PlaneError> {
        self.to(weight, &recorded(&view.setting)?).map(|_| ())
    }

    async fn shift(
        &self,
        fence: &Fence,
        from: Weight,
        to: Weight,
        origin: &serde_json::Value,
    ) -> Result<(), PlaneError> {
        let _held = replace::lock(&self.spec.file).await?;
        let (told, file) = (self.process.told().await?, self.read().await?);
        // What runs and what the next reload would bring: neither may be somebody else's.
        for shown in [self.in_force(&file, &told)?, self.setting(&file)] {
            let observed = self.weight(&shown);
            if !observed.is_between(from, to) {
                return Err(PlaneError::Changed { from, to, observed });
            }
        }
        let wanted = self.to(to, &recorded(origin)?)?;
        self.write(fence, &file, &wanted).await
    }

    async fn restore(&self, fence: &Fence, setting: &serde_json::Value) -> Result<(), PlaneError> {
        let wanted = recorded(setting)?;
        let _held = replace::lock(&self.spec.file).await?;
        self.write(fence, &self.read().await?, &wanted).await
    }

    async fn drain_source(&self, fence: &Fence) -> Result<(), PlaneError> {
        let _held = replace::lock(&self.spec.file).await?;
        let file = self.read().await?;
        let mut wanted = self.setting(&file);
        for name in &self.spec.source {
            wanted.entry(name.clone()).and_modify(|entry| entry.down = true);
        }
        self.write(fence, &file, &wanted).await
    }
}
