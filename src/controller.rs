//! `crossfade controller`: many migrations, from objects in a home cluster.
//!
//! ```text
//!  home cluster                         this process
//!  Migration, ShiftPolicy, Cluster ──watch──▶ fleet ──▶ steer: the loop of `drive`, one task a migration
//!  Lease ◀──────────────elect────────▶ term ──▶ fence ──┐        │
//!  Migration.status ◀───record: state, epoch, journal ──┴────────┤
//!  Event ◀───────────── news ────────────────────────────────────┘
//! ```
//!
//! One process leads, by a Lease; the others watch and wait. Two things keep a former leader from writing. Outward, the fence: right
//! before each write it is asked whether the lease lasts for as long as the write may take (`fence`, and for HAProxy, which knows no
//! precondition, `plane::haproxy`). And in the home cluster the epoch: whoever takes a migration over raises it, and a record that
//! carries an older one is refused by the API server itself (`record`).
//!
//! Where the home cluster does not answer, nothing is decided and no weight moves: what cannot be kept must not happen, and after
//! ten seconds nobody can know any more who leads. Rolling back does not go on without it either.

pub mod accept;
pub mod command;
pub mod crd;
mod elect;
mod fleet;
pub mod health;
pub mod home;
mod lease;
mod news;
mod reach;
mod ready;
mod record;
pub mod status;
mod steer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use self::elect::Elector;
use self::fleet::{Fleet, Watched};
use self::health::Health;
use self::home::{Home, Key};
use self::reach::{Secrets, Ways};
use crate::analysis::prometheus::Servers;
use crate::cluster::Links;
use crate::fence::Fence;

/// How a controller is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whose migrations it drives; those of every namespace unless given.
    pub namespace: Option<String>,
    /// Where the lease is.
    pub lease: Key,
    /// What this process calls itself; no other may have the name.
    pub identity: String,
    /// kubeconfig with the contexts that migrations name.
    pub kubeconfig: Option<PathBuf>,
    /// Passes at a time.
    pub concurrency: usize,
}

/// Longest wait for a pass that was begun when this process was told to end.
const GRACE: Duration = Duration::from_secs(5);

/// Watches, is elected, leads, is deposed, and so on until `end`.
pub async fn run(home: Home, settings: Settings, health: Health, end: impl Future<Output = ()>) {
    let changed = Arc::new(Notify::new());
    let (watched, watching) = Watched::start(&home, settings.namespace.as_deref(), &changed);
    let mut elector = Elector::new(home.clone(), settings.lease.clone(), settings.identity.clone());
    let servers = Servers::new(Secrets(home.clone())).measured(health.telemetry().queries());
    let (clusters, kubeconfig) = (watched.clusters.clone(), settings.kubeconfig);
    let ways = Ways { home: home.clone(), clusters, kubeconfig, servers, links: Links::default() };
    let seen = watched.clone();
    let mut fleet = Fleet::new(home, ways, watched, settings.identity, settings.concurrency, changed, health.clone());
    let ready = async {
        seen.is_complete().await;
        health.is_ready();
        watching.failed().await;
        tracing::error!("a watch of the home cluster ended, which none does by itself; ends, to be started anew");
    };
    tokio::pin!(end, ready);
    loop {
        tokio::select! {
            () = &mut end => break,
            () = &mut ready => break,
            () = elector.elected() => {}
        }
        health.leads(true);
        let fence = Fence::lease(elector.term());
        let deposed = tokio::select! {
            () = &mut end => false,
            () = &mut ready => false,
            () = elector.deposed() => true,
            () = fleet.lead(fence) => true,
        };
        health.leads(false);
        if deposed {
            fleet.abandon().await;
            continue;
        }
        // In order: what was begun is recorded, and only then may somebody else begin.
        let stopped = tokio::time::timeout(GRACE, fleet.stop()).await;
        if stopped.is_err() {
            tracing::warn!("a pass was cut short; whoever takes over finishes it");
        }
        fleet.abandon().await;
        elector.release().await;
        break;
    }
}
