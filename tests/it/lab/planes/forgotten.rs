//! One migration over DNS and the embedded balancer: what clients were told before is waited for.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crossfade::act::directory::Directory;
use crossfade::balancer::Balancer;
use crossfade::drive::Driver;
use crossfade::embedded::Embedded;
use crossfade::embedded::traffic::{Load, Traffic};
use crossfade::migration::state::Entry;
use crossfade::migration::{Command, Phase, Request};
use crossfade::observe::clock::Moment;
use crossfade::plane::Plane;
use crossfade::plane::conformance::Ground;
use crossfade::policy::{Name, Weight};

use super::dns::{Named, TTL};
use super::part::free_address;
use super::several::{clusters, driven, front, inner, told_by_pods};

const DEFINITIONS: &str = r#"
apiVersion: crossfade.dev/v1alpha1
kind: Migration
metadata: {name: checkout, namespace: shop}
spec:
  source: {context: blue}
  target: {context: green}
  workloads: {namespaces: [shop], selector: {matchLabels: {part-of: checkout}}}
  planes: [{name: inner, embedded: {}}, {name: front, webhook: {url: "http://front"}}]
  policy: {name: hasty}
---
apiVersion: crossfade.dev/v1alpha1
kind: ShiftPolicy
metadata: {name: hasty}
spec:
  steps: [{setWeight: 50}, {setWeight: 100}]
  analysis:
    interval: 100ms
    window: 1s
    metrics: [{name: errors, planeErrors: {plane: inner}, max: 1%, minSamples: 10}]
    share: {minSamples: 20, tolerance: 10%}
"#;

/// Where either cluster is found: DNS knows no ports.
const CLUSTERS: [[u8; 4]; 2] = [[127, 53, 9, 1], [127, 53, 9, 2]];

/// Longest that either way may take.
const PATIENCE: Duration = Duration::from_secs(120);

struct Stage {
    driver: Driver,
    directory: Directory,
    dns: Named,
    _balancers: [Balancer; 3],
    _users: Traffic,
    _state: tempfile::TempDir,
    _clusters: [Embedded; 2],
}

impl Stage {
    async fn set() -> Self {
        let both = clusters().await;
        let [blue, green] = &both;
        let port = free_address().port();
        let at = CLUSTERS.map(|address| SocketAddr::from((address, port)));
        let fronts = [front(blue, at[0]).await, front(green, at[1]).await];
        let inner = inner(&both).await;
        let sides = CLUSTERS.map(|address| vec![IpAddr::from(address)]);
        let dns = Named::before(sides, port, told_by_pods).await;
        let users = Traffic::start(Load { rate: 60, duration: 2 * PATIENCE, ..Load::new(inner.address()) });
        let embedded: Box<dyn Plane> = Box::new(crossfade::plane::embedded::Embedded::new(inner.clone()));
        let (driver, directory, state) = driven(DEFINITIONS, &both, [embedded, dns.driver()]).await;
        let [blue_front, green_front] = fronts;
        let balancers = [blue_front, green_front, inner];
        Self { driver, directory, dns, _balancers: balancers, _users: users, _state: state, _clusters: both }
    }

    /// Drives until `done`; how long before that the pass began in which servers began to tell so many addresses.
    async fn drive(&mut self, addresses: usize, mut done: impl FnMut(&Driver) -> bool) -> Duration {
        let (began, mut told) = (Moment::now(), None);
        loop {
            let before = Moment::now();
            let pass = self.driver.pass().await.unwrap();
            if told.is_none() && self.dns.shown().len() == addresses {
                told = Some(before);
            }
            if done(&self.driver) {
                return told.unwrap_or_else(|| panic!("{:?} instead of {addresses}", self.dns.shown())).elapsed();
            }
            assert!(began.elapsed() < PATIENCE, "stuck at {:?}: {:?}", self.dns.shown(), pass.report.waiting);
            if !pass.moved {
                self.driver.rest().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_waits_until_the_former_answer_is_forgotten_and_a_rollback_for_nobody() {
    let (mut stage, ttl) = (Stage::set().await, Duration::from_secs(TTL.into()));
    let front = Name::new("front").unwrap();
    let half = Entry::Settled(Weight::HALF);
    let settled = stage.drive(2, |driver| driver.state().ledger.get(&front) == Some(&half)).await;
    assert!(settled >= ttl, "the step went on {settled:?} after the servers told something new");
    let (id, at, by) = ("abort".to_owned(), stage.driver.now(), "test".to_owned());
    stage.directory.send(&Command { id, at, by, request: Request::Abort { why: "tried".to_owned() } }).unwrap();
    stage.drive(1, |driver| matches!(driver.state().phase, Phase::RolledBack { .. })).await;
    assert_eq!(stage.dns.shown(), [IpAddr::from(CLUSTERS[0])]);
}
