//! The stage of the demo: clusters, balancer, traffic, and a directory for the journal. IO.

use std::net::SocketAddr;

use jiff::Timestamp;
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::{Afterwards, LOOK};
use crate::act::directory::Directory;
use crate::analysis::prometheus::Servers;
use crate::balancer::{Balancer, Config, Side};
use crate::cluster::Link;
use crate::drive::{Attempt, Driver, Seat, StartError, World};
use crate::embedded::traffic::{Load, Traffic};
use crate::embedded::{self, ClientError, Embedded, Shape};
use crate::observe::clock::Clock;
use crate::plane::embedded::Embedded as Plane;
use crate::policy::{Assignment, InvalidInput, SourceFile, load};

/// Users' requests a second: enough that a step has evidence within its two seconds, little enough for any machine.
const RATE: u32 = 400;

/// When traffic ends by itself, should the play not end it: longer than any act may take.
const PLAYTIME: std::time::Duration = std::time::Duration::from_secs(180);

/// What is migrated, and how.
const DEFINITIONS: &str = include_str!("checkout.yaml");

/// What stands on blue before.
const WORKLOAD: &str = include_str!("workload.json");

/// The kinds that are looked for on green, in the versions a server of 1.37 has.
const KINDS: &[(&str, &str, &str)] = &[
    ("v1", "ServiceAccount", "serviceaccounts"),
    ("v1", "ConfigMap", "configmaps"),
    ("v1", "Secret", "secrets"),
    ("v1", "Service", "services"),
    ("apps/v1", "Deployment", "deployments"),
    ("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    ("networking.k8s.io/v1", "Ingress", "ingresses"),
];

/// Why the stage could not be set.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A port or a directory could not be had.
    #[error("this machine gave no port or directory")]
    Machine(#[from] std::io::Error),
    /// No client for an embedded cluster.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// An embedded cluster refused something.
    #[error("an embedded cluster refused")]
    Refused(#[from] kube::Error),
    /// The demo's own files are wrong.
    #[error("the demo's own files are wrong")]
    Definitions(#[from] InvalidInput),
    /// The demo's own workload is wrong.
    #[error("the demo's own workload is wrong")]
    Workload(#[from] serde_json::Error),
    /// The demo's own migration has no policy.
    #[error("the demo's own migration has no policy")]
    NoPolicy,
}

/// Everything the play needs.
pub(crate) struct Stage {
    pub(crate) green: Embedded,
    pub(crate) balancer: Balancer,
    pub(crate) traffic: Traffic,
    blue: Embedded,
    clients: Clients,
    assignment: Assignment,
    state: TempDir,
    followers: Vec<JoinHandle<()>>,
}

/// A client for each cluster.
struct Clients {
    blue: kube::Client,
    green: kube::Client,
}

impl Stage {
    /// Sets the stage: blue serves the workload, green is empty, traffic flows.
    pub(crate) async fn set() -> Result<Self, StageError> {
        Self::set_for(DEFINITIONS, RATE).await
    }

    /// Sets the stage for another migration of the same workload, under another rate of requests.
    pub(crate) async fn set_for(definitions: &str, rate: u32) -> Result<Self, StageError> {
        let definitions = load(&[SourceFile { name: "checkout.yaml".to_owned(), text: definitions.to_owned() }])?;
        let migration = definitions.migrations.first().ok_or(StageError::NoPolicy)?.clone();
        let policy = definitions.policy_of(&migration).ok_or(StageError::NoPolicy)?.clone();
        let blue = Embedded::start("blue", Shape::V1_20).await?;
        let green = Embedded::start("green", Shape::V1_37).await?;
        let clients = Clients { blue: blue.client()?, green: green.client()? };
        for object in serde_json::from_str::<Vec<DynamicObject>>(WORKLOAD)? {
            embedded::apply(&clients.blue, &object).await?;
        }
        let balancer = Balancer::start(Config::new(SocketAddr::from(([127, 0, 0, 1], 0)))).await?;
        let sides = [(&blue, Side::Source), (&green, Side::Target)];
        let followers = sides.map(|(cluster, side)| cluster.keep_backends(&balancer, side)).into();
        balancer.until_healthy(Side::Source, 3).await;
        let traffic = Traffic::start(Load { rate, duration: PLAYTIME, ..Load::new(balancer.address()) });
        let state = tempfile::Builder::new().prefix("crossfade-demo-").tempdir()?;
        let assignment = Assignment { migration, policy };
        Ok(Self { green, balancer, traffic, blue, clients, assignment, state, followers })
    }

    /// Who is on the stage.
    pub(crate) fn programme(&self) -> Vec<String> {
        vec![
            format!("blue    an old cluster (API of 1.20) at {}, with 3 pods", self.blue.url()),
            format!("green   a new cluster (API of 1.37) at {}, empty", self.green.url()),
            format!("edge    a balancer at {}, everything to blue", self.balancer.address()),
            format!("users   {RATE} requests a second"),
        ]
    }

    /// Where the journal is kept.
    pub(crate) fn directory(&self) -> Directory {
        Directory::of(self.state.path(), &self.assignment.migration)
    }

    /// What is migrated, and how.
    pub(crate) fn assignment(&self) -> Assignment {
        self.assignment.clone()
    }

    /// The engine, at the beginning of an attempt or where the last one was left.
    pub(crate) async fn driver(&self, attempt: Attempt) -> Result<Driver, StartError> {
        Seat::in_directory(self.assignment(), &self.directory(), attempt).await?.drive(self.world())
    }

    /// The clusters and the balancer, as the engine reaches them.
    pub(crate) fn world(&self) -> World {
        let plane: Box<dyn crate::plane::Plane> = Box::new(Plane::new(self.balancer.clone()));
        let names = self.assignment.migration.planes.iter().map(|plane| plane.name.clone());
        World {
            source: Link::from_client("blue", self.clients.blue.clone()),
            target: Link::from_client("green", self.clients.green.clone()),
            planes: names.zip([plane]).collect(),
            servers: Servers::open(),
        }
    }

    /// What green holds, as `kind version`.
    pub(crate) async fn mirrored(&self) -> Result<Vec<String>, StageError> {
        let mut found = Vec::new();
        for (version, kind, plural) in KINDS {
            let objects = api(&self.clients.green, version, kind, plural).list(&ListParams::default()).await?;
            found.extend(objects.iter().map(|_| format!("{kind} {version}")));
        }
        Ok(found)
    }

    /// Replicas that blue's Deployment asks for.
    pub(crate) async fn source_replicas(&self) -> Result<u64, StageError> {
        let deployment = api(&self.clients.blue, "apps/v1", "Deployment", "deployments").get("checkout").await?;
        Ok(deployment.data.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1))
    }

    /// Waits for so many more answers, once the balancer has passed on those of the `idle` side, and counts those of green: that side's
    /// own count is exact, whereas an answer may reach its user late on a busy machine.
    pub(crate) async fn afterwards(&self, idle: Side, requests: u64) -> Afterwards {
        while self.balancer.in_flight(idle) > 0 {
            tokio::time::sleep(LOOK).await;
        }
        let given = || self.balancer.counters(idle).requests;
        let (before, given_before) = (self.traffic.report().settled(), given());
        loop {
            let requests_since = self.traffic.report().settled() - before;
            if requests_since >= requests {
                let given = given() - given_before;
                let green = if idle == Side::Target { given } else { requests_since.saturating_sub(given) };
                return Afterwards { requests: requests_since, green };
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// When a user first saw a request fail, beyond the `before` that failed already.
    pub(crate) fn first_failure(&self, before: u64, clock: Clock) -> impl Future<Output = Timestamp> + use<> {
        let traffic = self.traffic.live();
        let watching = tokio::spawn(async move {
            while traffic.report().failed() <= before {
                tokio::time::sleep(LOOK).await;
            }
            clock.now()
        });
        async move { watching.await.unwrap_or(Timestamp::MAX) }
    }

    /// Clears the stage.
    pub(crate) async fn strike(self) {
        self.traffic.stop().await;
        for follower in &self.followers {
            follower.abort();
        }
        self.balancer.shutdown(std::time::Duration::from_secs(1)).await;
        self.blue.shutdown().await;
        self.green.shutdown().await;
    }
}

fn api(client: &kube::Client, version: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
    Api::namespaced_with(client.clone(), "shop", &resource)
}
