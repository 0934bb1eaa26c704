//! One migration over four planes at once: the embedded balancer, HAProxy, Envoy and nginx, before two clusters of this process.

use std::net::SocketAddr;
use std::time::Duration;

use crossfade::act::directory::Directory;
use crossfade::analysis::prometheus::Servers;
use crossfade::balancer::{Balancer, Config, Side};
use crossfade::cluster::Link;
use crossfade::drive::{Attempt, Driver, Seat, World};
use crossfade::embedded::traffic::{Load, Traffic};
use crossfade::embedded::{Embedded, Shape, apply};
use crossfade::migration::{Command, Phase, Request, WaitingOn};
use crossfade::observe::clock::Moment;
use crossfade::plane::Plane;
use crossfade::plane::conformance::Ground;
use crossfade::plane::conformance::front::Front;
use crossfade::policy::{Assignment, SourceFile, Weight, load};
use kube::api::DynamicObject;
use tempfile::TempDir;

use super::super::stage::root;
use super::envoy::{Form, Routed};
use super::haproxy::Balanced;
use super::nginx::Proxied;
use super::part::{Site, until};

const DEFINITIONS: &str = r#"
apiVersion: crossfade.dev/v1alpha1
kind: Migration
metadata: {name: checkout, namespace: shop}
spec:
  source: {context: blue}
  target: {context: green}
  workloads: {namespaces: [shop], selector: {matchLabels: {part-of: checkout}}}
  planes:
    - {name: inner, embedded: {}}
    - {name: edge, webhook: {url: "http://edge"}}
    - {name: mesh, webhook: {url: "http://mesh"}}
    - {name: old, webhook: {url: "http://old"}}
  policy: {name: hasty}
---
apiVersion: crossfade.dev/v1alpha1
kind: ShiftPolicy
metadata: {name: hasty}
spec:
  steps: [{setWeight: 25}, {setWeight: 50}, {setWeight: 100}]
  stepDeadline: 20s
  analysis:
    interval: 100ms
    window: 1s
    metrics: [{name: errors, planeErrors: {plane: inner}, max: 1%, minSamples: 10}]
    share: {minSamples: 20, tolerance: 10%}
"#;

/// Requests a second before each plane.
const RATE: u32 = 60;

/// Longest a migration may take.
const PATIENCE: Duration = Duration::from_secs(180);

/// Weights of the policy, and the origin.
const STEPS: [u16; 4] = [0, 25, 50, 100];

/// Everything that is before the clusters, and they.
struct Stage {
    driver: Driver,
    directory: Directory,
    inner: Balancer,
    edge: Balanced,
    mesh: Routed,
    old: Proxied,
    users: [Traffic; 4],
    _state: TempDir,
    _clusters: [Embedded; 2],
}

/// An address for the pods of a cluster, whichever are ready.
pub async fn front(cluster: &Embedded, address: SocketAddr) -> Balancer {
    let balancer = Balancer::start(Config::new(address)).await.unwrap();
    cluster.keep_backends(&balancer, Side::Source);
    balancer
}

/// An old cluster with the shop in it, and a new one.
pub async fn clusters() -> [Embedded; 2] {
    let blue = Embedded::start("blue", Shape::V1_20).await.unwrap();
    let green = Embedded::start("green", Shape::V1_37).await.unwrap();
    let objects = std::fs::read_to_string(root().join("src/demo/workload.json")).unwrap();
    for object in serde_json::from_str::<Vec<DynamicObject>>(&objects).unwrap() {
        apply(&blue.client().unwrap(), &object).await.unwrap();
    }
    [blue, green]
}

pub fn told_by_pods(address: SocketAddr) -> Front {
    Front {
        url: format!("http://{address}/"),
        header: "x-cluster".to_owned(),
        source: "blue".to_owned(),
        target: "green".to_owned(),
        lingering: None,
        tunnel: None,
    }
}

/// The embedded balancer before the pods of both clusters.
pub async fn inner([blue, green]: &[Embedded; 2]) -> Balancer {
    let inner = Balancer::start(Config::new(([127, 0, 0, 1], 0).into())).await.unwrap();
    blue.keep_backends(&inner, Side::Source);
    green.keep_backends(&inner, Side::Target);
    inner.until_healthy(Side::Source, 3).await;
    inner
}

/// Somebody who drives the one migration of `definitions`, whose planes are these in their order; where people speak to it; and what keeps its state.
pub async fn driven<const N: usize>(
    definitions: &str,
    [blue, green]: &[Embedded; 2],
    planes: [Box<dyn Plane>; N],
) -> (Driver, Directory, TempDir) {
    let definitions = load(&[SourceFile { name: "a".to_owned(), text: definitions.to_owned() }]).unwrap();
    let migration = definitions.migrations[0].clone();
    let policy = definitions.policies[0].clone();
    let names: Vec<_> = migration.planes.iter().map(|plane| plane.name.clone()).collect();
    let world = World {
        source: Link::from_client("blue", blue.client().unwrap()),
        target: Link::from_client("green", green.client().unwrap()),
        planes: names.into_iter().zip(planes).collect(),
        servers: Servers::open(),
    };
    let state = tempfile::tempdir().unwrap();
    let directory = Directory::of(state.path(), &migration);
    let seat = Seat::in_directory(Assignment { migration, policy }, &directory, Attempt::Same).await.unwrap();
    (seat.drive(world).unwrap(), directory, state)
}

impl Stage {
    async fn set() -> Self {
        let both = clusters().await;
        let [blue, green] = &both;
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let (blue_front, green_front) = (front(blue, free).await, front(green, free).await);
        blue_front.until_healthy(Side::Source, 3).await;
        let inner = inner(&both).await;
        let servers = || [vec![blue_front.address()], vec![green_front.address()]];
        let edge = Balanced::on(Site::before(servers(), told_by_pods)).await;
        let mesh = Routed::on(Site::before(servers(), told_by_pods), Form::Yaml).await;
        let old = Proxied::on(Site::before(servers(), told_by_pods)).await;
        let users = [inner.address(), edge.address(), mesh.address(), old.address()]
            .map(|address| Traffic::start(Load { rate: RATE, duration: PATIENCE, ..Load::new(address) }));
        let embedded: Box<dyn Plane> = Box::new(crossfade::plane::embedded::Embedded::new(inner.clone()));
        let planes = [embedded, edge.driver(), mesh.driver(), old.driver()];
        let (driver, directory, state) = driven(DEFINITIONS, &both, planes).await;
        Self { driver, directory, inner, edge, mesh, old, users, _state: state, _clusters: both }
    }

    /// What each of the planes shows: embedded, HAProxy, Envoy, nginx.
    async fn shown(&self) -> [Weight; 4] {
        let observed = async |plane: Box<dyn Plane>| plane.observe().await.unwrap().weight;
        let (edge, mesh, old) = (self.edge.driver(), self.mesh.driver(), self.old.driver());
        [self.inner.weight(), observed(edge).await, observed(mesh).await, observed(old).await]
    }

    /// Waits until each plane's users have so many more answers that none is left of those before.
    async fn more_answers(&self) {
        let settled = || self.users.each_ref().map(|users| users.report().settled());
        let before = settled();
        until("more answers", || settled().iter().zip(before).all(|(now, before)| *now >= before + u64::from(RATE)))
            .await;
    }

    /// Drives until `done`, and holds all the way that no plane is further than a step ahead of another.
    async fn drive(&mut self, mut done: impl FnMut(&Phase, [Weight; 4]) -> bool) {
        let began = Moment::now();
        loop {
            let pass = self.driver.pass().await.unwrap();
            let shown = self.shown().await;
            if !matches!(self.driver.state().phase, Phase::RollingBack { .. }) {
                let step =
                    |weight: Weight| STEPS.iter().position(|step| Weight::percent_saturating(*step) >= weight).unwrap();
                let steps = shown.map(step);
                let ahead = steps.iter().max().unwrap() - steps.iter().min().unwrap();
                assert!(ahead <= 1, "out of step: {shown:?}");
            }
            if done(&self.driver.state().phase, shown) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "stuck at {shown:?}: {:?}", pass.report.waiting);
            if matches!(pass.report.waiting, Some(WaitingOn::Commit)) {
                let id = format!("commit-{}", self.driver.now());
                let by = "test".to_owned();
                self.directory.send(&Command { id, at: self.driver.now(), by, request: Request::Commit }).unwrap();
            }
            if !pass.moved {
                self.driver.rest().await;
            }
        }
    }
}

const NOWHERE: [Weight; 4] = [Weight::ZERO; 4];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_planes_keep_in_step_to_the_end() {
    let mut stage = Stage::set().await;
    stage.drive(|phase, _| matches!(phase, Phase::Completed { .. })).await;
    assert_eq!(stage.shown().await, [Weight::FULL; 4]);
    // What nginx loses on kept connections by its reloads, its sheet says.
    for users in &stage.users[..3] {
        let report = users.report();
        assert_eq!(report.failed(), 0, "{report:?}");
        assert!(report.answered["green"].requests > 0, "{report:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_plane_that_fails_takes_the_others_back() {
    let mut stage = Stage::set().await;
    let quarter = Weight::percent_saturating(25);
    stage.drive(|_, shown| shown == [quarter; 4]).await;
    stage.old.spoil(true);
    // The others have gone ahead by a step, and wait for it until the step's deadline.
    stage.drive(|_, shown| shown == [Weight::HALF, Weight::HALF, Weight::HALF, quarter]).await;
    stage.drive(|_, shown| shown[..3] == NOWHERE[..3]).await;
    assert!(matches!(stage.driver.state().phase, Phase::RollingBack { .. }), "{:?}", stage.driver.state().phase);
    assert_eq!(stage.shown().await[3], quarter, "nginx refuses its configuration still");
    stage.old.spoil(false);
    stage.drive(|phase, _| matches!(phase, Phase::RolledBack { .. })).await;
    assert_eq!(stage.shown().await, NOWHERE);
    stage.more_answers().await;
    let green = |users: &Traffic| users.report().answered.get("green").map_or(0, |answered| answered.requests);
    let given: Vec<u64> = stage.users.iter().map(green).collect();
    stage.more_answers().await;
    assert_eq!(stage.users.iter().map(green).collect::<Vec<_>>(), given, "nobody is sent to green any more");
}
