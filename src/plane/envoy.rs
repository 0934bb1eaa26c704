//! Envoy, by the file that it discovers routes from.
//!
//! Envoy takes a route configuration from a file (`rds` with a `path_config_source`) and takes it up again whenever another file is
//! moved to that place. Ours are the weights of two clusters in every split (`weighted_clusters`) of that file between them; every
//! other byte stays, of JSON as of YAML. What is shown is what Envoy says it runs (`/config_dump`), and a write is done once it runs
//! that. A file that Envoy refuses is put back: it counts `update_rejected` or `update_failure`, says why in its log, and goes
//! on with what it had.
//!
//! The share is one of clusters, so it does not matter how many servers each has. Every weight is represented, unless a split has a
//! `total_weight`. A route of the file that leads to the source alone, and a third cluster of a split that has a weight, are refused.
//!
//! What zero means: no request, whatever becomes of the other cluster; so zero and drained are the same. A split draws a cluster for
//! each request. With `use_hash_policy` it takes the cluster by the client's cookie or header instead: such a client goes over once,
//! when the weight passes it, and no sooner comes back than the weight does. That holds because a split's weights add up to the same
//! number at every share.
//!
//! What is counted: responses by cluster (`upstream_rq_completed`, `upstream_rq_5xx`), and what is in flight, upgraded connections
//! included. Requests that reach the clusters by other routes are counted too.
//!
//! A write holds a lock beside the file from its look to Envoy's answer, looks behind it, and replaces the file only if it is still
//! the one that was read. An edit in place is not seen by Envoy, nor by requests, until it starts again; a write then finds it.
//!
//! Sources: Envoy 1.40, "xDS configuration API overview" (filesystem subscriptions), `route_components.proto`, administration
//! interface, and cluster statistics; tried with 1.40.0.

mod admin;
mod routes;

use std::time::Duration;

use async_trait::async_trait;

use self::admin::{Admin, Cluster, Updates};
use self::routes::{Clusters, Fault, Routes, Split};
use super::replace::{self, replace};
use super::sheet::{Affinity, Condition, Connections, InFlight, Known, Resolution, Restart, Sheet, Spread, Zero};
use super::{Plane, PlaneError, recorded};
use crate::fence::Fence;
use crate::migration::snapshot::{PlaneView, SideView};
use crate::observe::clock::Moment;
use crate::policy::{EnvoySpec, Weight};

/// What Envoy can and cannot do.
pub const SHEET: Sheet = Sheet {
    resolution: Resolution::Every,
    spread: Spread::Drawn,
    zero: Zero::Nothing,
    delay: Duration::ZERO,
    connections: Connections::Kept,
    affinity: Affinity::MovesOnce,
    counts: Known::Yes,
    in_flight: InFlight::Counted,
    condition: Condition::Locked,
    restart: Restart::Keeps,
};

/// Time in which a file that was put in place runs, or does not: a lease must last that long.
const WRITE: Duration = Duration::from_secs(5);

/// Between two questions while Envoy is awaited.
const LOOK: Duration = Duration::from_millis(10);

/// From Envoy's main thread saying that routes run to every worker running them. They have them in their queues by then, before
/// any request that comes later, so this is for a worker that is in the middle of its turn.
const SETTLED: Duration = Duration::from_millis(50);

/// A driver for two clusters of one route configuration.
#[derive(Debug)]
pub struct Envoy {
    spec: EnvoySpec,
    admin: Admin,
}

/// The file and what runs of it.
struct Seen {
    text: String,
    file: Routes,
    running: Routes,
}

impl Fault {
    /// As the trouble of a plane, about `what`.
    fn of(self, what: &str) -> PlaneError {
        match self {
            Self::Malformed(why) => PlaneError::Malformed { what: format!("{what}: {why}") },
            Self::Missing(missing) => PlaneError::NotFound { what: format!("{missing} in {what}") },
            Self::Stranger(stranger) => PlaneError::Stranger { what: format!("{stranger} in {what}") },
        }
    }
}

impl Envoy {
    /// A driver for the clusters of `spec`. Contacts nobody.
    pub fn new(spec: EnvoySpec) -> Self {
        let admin = Admin::new(&spec.admin);
        Self { spec, admin }
    }

    fn clusters(&self) -> Clusters<'_> {
        Clusters { source: &self.spec.source, target: &self.spec.target }
    }

    async fn read(&self) -> Result<(String, Routes), PlaneError> {
        let place = self.spec.file.display().to_string();
        if tokio::fs::symlink_metadata(&self.spec.file).await.is_ok_and(|file| file.is_symlink()) {
            // Envoy looks at the place of the link, and there a file would take its place.
            return Err(PlaneError::Malformed { what: format!("{place}: a link; name the file itself") });
        }
        let text = replace::read(&self.spec.file).await?;
        let file = Routes::in_file(&text, self.clusters()).map_err(|fault| fault.of(&place))?;
        Ok((text, file))
    }

    async fn seen(&self) -> Result<Seen, PlaneError> {
        let (text, file) = self.read().await?;
        let running = self.admin.routes(&file.name, self.clusters()).await?;
        Ok(Seen { text, file, running })
    }

    /// Brings the file to `wanted`, and Envoy to the file. The lock is held by the caller.
    async fn write(&self, fence: &Fence, text: &str, file: &Routes, wanted: &[Split]) -> Result<(), PlaneError> {
        let new = file.with(text, wanted);
        let running = self.admin.routes(&file.name, self.clusters()).await;
        if new == text && running.is_ok_and(|running| running.splits == wanted) {
            return Ok(());
        }
        let before = self.admin.updates(&file.name).await?;
        replace(&self.spec.file, text, &new, || Ok(fence.check(WRITE)?)).await?;
        let taken = self.taken(&file.name, wanted, before).await;
        if taken.is_err() {
            // Nothing runs it, and nothing shall by chance.
            replace(&self.spec.file, &new, text, || Ok(())).await?;
        }
        taken
    }

    /// Waits until Envoy runs `wanted`, or says that it will not.
    async fn taken(&self, name: &str, wanted: &[Split], before: Updates) -> Result<(), PlaneError> {
        let began = Moment::now();
        loop {
            let Updates { taken, rejected, failed } = self.admin.updates(name).await?;
            for (count, known, counter) in
                [(rejected, before.rejected, "update_rejected"), (failed, before.failed, "update_failure")]
            {
                if count > known {
                    let command = format!("take up {} with other weights", self.spec.file.display());
                    let answer = format!("{counter}: Envoy goes on with what it had, and says why in its log");
                    return Err(PlaneError::Refused { command, answer });
                }
            }
            if taken > before.taken && self.admin.routes(name, self.clusters()).await?.splits == wanted {
                tokio::time::sleep(SETTLED).await;
                return Ok(());
            }
            if began.elapsed() > WRITE {
                let address = format!("Envoy at {}, reading {},", self.admin.url(), self.spec.file.display());
                return Err(PlaneError::TimedOut { address, seconds: WRITE.as_secs() });
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// The splits of a file at another share.
fn exact(file: &Routes, weight: Weight) -> Result<Vec<Split>, PlaneError> {
    file.at(weight).map_err(|(below, above)| PlaneError::NotRepresentable { weight, below, above })
}

#[async_trait]
impl Plane for Envoy {
    fn sheet(&self) -> Sheet {
        SHEET
    }

    async fn observe(&self) -> Result<PlaneView, PlaneError> {
        let Seen { file, running, .. } = self.seen().await?;
        let [source, target] = self.admin.clusters(self.clusters()).await?;
        let side = |Cluster { usable, in_flight, counters }| SideView { usable, in_flight, counters: Some(counters) };
        // A cluster that no split leads to has been let go, however well its servers are.
        let is_left = running.splits.iter().all(|split| split.source == 0);
        let source = Cluster { usable: if is_left { 0 } else { source.usable }, ..source };
        Ok(PlaneView {
            weight: running.weight,
            setting: serde_json::to_value(file.splits).unwrap_or_default(),
            source: side(source),
            target: side(target),
        })
    }

    fn propose(&self, view: &PlaneView, weight: Weight) -> Result<(), PlaneError> {
        let splits: Vec<Split> = recorded(&view.setting)?;
        let refused = splits.iter().find_map(|split| split.at(weight).err());
        refused.map_or(Ok(()), |(below, above)| Err(PlaneError::NotRepresentable { weight, below, above }))
    }

    /// Whether a split has a `total_weight` nobody knows yet.
    fn untouched(&self) -> serde_json::Value {
        serde_json::Value::Array(Vec::new())
    }

    async fn shift(&self, fence: &Fence, from: Weight, to: Weight, _: &serde_json::Value) -> Result<(), PlaneError> {
        let _held = replace::lock(&self.spec.file).await?;
        let Seen { text, file, running } = self.seen().await?;
        // What runs, and what the next start would bring: neither may be somebody else's.
        for observed in [running.weight, file.weight] {
            if !observed.is_between(from, to) {
                return Err(PlaneError::Changed { from, to, observed });
            }
        }
        let wanted = exact(&file, to)?;
        self.write(fence, &text, &file, &wanted).await
    }

    async fn restore(&self, fence: &Fence, setting: &serde_json::Value) -> Result<(), PlaneError> {
        let recorded: Vec<Split> = recorded(setting)?;
        let _held = replace::lock(&self.spec.file).await?;
        let (text, file) = self.read().await?;
        let wanted = if recorded.len() == file.splits.len() {
            recorded
        } else {
            // Of splits that came or went nothing was recorded: all go where those went.
            exact(&file, recorded.first().and_then(Split::weight).unwrap_or(Weight::ZERO))?
        };
        self.write(fence, &text, &file, &wanted).await
    }

    async fn drain_source(&self, fence: &Fence) -> Result<(), PlaneError> {
        let _held = replace::lock(&self.spec.file).await?;
        let (text, file) = self.read().await?;
        let wanted = exact(&file, Weight::FULL)?;
        self.write(fence, &text, &file, &wanted).await
    }
}
