//! Two clusters behind the balancer, under traffic: the road the demo takes.

use std::net::SocketAddr;

use super::traffic::{Load, Traffic};
use super::*;
use crate::balancer::{self, Balancer, Side};
use crate::policy::Weight;

fn ready_addresses(pods: &[Pod]) -> Vec<SocketAddr> {
    pods.iter().filter(|pod| pod.ready).map(|pod| pod.address).collect()
}

/// Keeps the side's backends what the cluster's ready pods are.
fn follow(balancer: &Balancer, side: Side, cluster: &Embedded) -> JoinHandle<()> {
    let (balancer, mut pods) = (balancer.clone(), cluster.watch_pods());
    tokio::spawn(async move {
        loop {
            let ready = ready_addresses(&pods.borrow_and_update());
            balancer.set_backends(side, ready);
            if pods.changed().await.is_err() {
                return;
            }
        }
    })
}

/// Waits until the side has settled so many more requests.
async fn settled(balancer: &Balancer, requests: u64) {
    let total = || Side::BOTH.map(|side| balancer.counters(side).requests).iter().sum::<u64>();
    let goal = total() + requests;
    while total() < goal {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Counts of both sides, read without a turn of the runtime in between.
struct Moment {
    source: u64,
    target: u64,
    open: u64,
}

impl Moment {
    fn of(balancer: &Balancer) -> Self {
        let [source, target] = Side::BOTH.map(|side| balancer.counters(side));
        Self { source: source.requests, target: target.requests, open: source.in_flight + target.in_flight }
    }
}

#[tokio::test]
async fn traffic_moves_without_a_failed_request_while_pods_are_replaced() {
    let (blue, blue_client) = cluster("blue", Shape::V1_20).await;
    let (green, green_client) = cluster("green", Shape::V1_37).await;
    let config = balancer::Config::new(([127, 0, 0, 1], 0).into());
    let balancer = Balancer::start(config).await.unwrap();
    for (cluster, client, side) in [(&blue, &blue_client, Side::Source), (&green, &green_client, Side::Target)] {
        apply(client, "apps/v1", "Deployment", "shop", deployment(2, "web:1")).await.unwrap();
        follow(&balancer, side, cluster);
        balancer.until_healthy(side, 2).await;
    }
    let traffic = Traffic::start(Load { rate: 500, concurrency: 1_000, ..Load::new(balancer.address()) });
    let mut weight = Weight::ZERO;
    for (step, percent) in [10, 25, 50, 75, 100].into_iter().enumerate() {
        let next = Weight::percent_saturating(percent);
        balancer.set_weight(weight, next).unwrap();
        weight = next;
        for client in [&blue_client, &green_client] {
            let image = format!("web:{}", step + 2);
            apply(client, "apps/v1", "Deployment", "shop", deployment(2, &image)).await.unwrap();
        }
        let before = Moment::of(&balancer);
        settled(&balancer, 200).await;
        let after = Moment::of(&balancer);
        let (source, target) = (after.source - before.source, after.target - before.target);
        let due = weight.fraction() * (source + target) as f64;
        // One for the split itself, and those that were picked but not counted at either moment.
        let off_by = 1 + before.open + after.open;
        assert!((target as f64 - due).abs() <= off_by as f64, "{target} of {} at {weight}", source + target);
    }
    let report = traffic.stop().await;
    assert_eq!(report.failed(), 0, "{report:?}");
    assert_eq!(report.settled(), report.started);
    for (side, name) in [(Side::Source, "blue"), (Side::Target, "green")] {
        let counters = balancer.counters(side);
        assert_eq!((counters.failed, counters.spilled), (0, 0), "{counters:?}");
        assert_eq!(report.answered[name].requests, counters.requests);
    }
    balancer.shutdown(Duration::from_secs(1)).await;
    blue.shutdown().await;
    green.shutdown().await;
}
