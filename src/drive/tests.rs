//! Fail and repeat: a migration of the embedded clusters, under traffic, ended at every record of its journal.
//!
//! A process that ends right before a record was written has done everything before it and nothing after it. All records
//! in turn are all points at which a crash can make a difference: before and after each decision, intent and outcome.

use futures::StreamExt;
use futures::stream;
use jiff::SignedDuration;

use super::*;
use crate::act::journal::Record;
use crate::balancer::Side;
use crate::demo::stage::Stage;
use crate::embedded::Fault;
use crate::migration::WaitingOn;
use crate::migration::command::Request;
use crate::policy::Weight;

const DEFINITIONS: &str = r#"
apiVersion: crossfade.dev/v1alpha1
kind: Migration
metadata: {name: checkout, namespace: shop}
spec:
  source: {context: blue}
  target: {context: green}
  workloads: {namespaces: [shop], selector: {matchLabels: {part-of: checkout}}}
  planes: [{name: edge, embedded: {}}]
  policy: {name: hasty}
  onCommit: scaleToZero
---
apiVersion: crossfade.dev/v1alpha1
kind: ShiftPolicy
metadata: {name: hasty}
spec:
  steps: [{setWeight: 50}, {setWeight: 100}]
  analysis:
    interval: 100ms
    window: 1s
    metrics: [{name: errors, planeErrors: {plane: edge}, max: 1%, minSamples: 10}]
    share: {minSamples: 20, tolerance: 10%}
"#;

/// Requests a second: enough evidence within a second, and six stages at a time on two cores.
const RATE: u32 = 80;

/// Stages at a time. They mostly wait for the window.
const AT_A_TIME: usize = 6;

/// Longest a migration may take; alone it takes some four seconds, on a machine that builds something else many times as long.
const PATIENCE: SignedDuration = SignedDuration::from_secs(180);

/// Records no migration of this size reaches.
const MANY: usize = 1_000;

/// Drives until the migration ends (`true`) or a record cannot be written (`false`).
async fn drive(stage: &Stage, mut driver: Driver, fault: bool) -> bool {
    let (mut asked, started) = (0, driver.now());
    while !driver.state().phase.is_terminal() {
        let Ok(pass) = driver.pass().await else { return false };
        let waited = driver.now().duration_since(started);
        assert!(waited < PATIENCE, "stuck: {:?} {:?}", driver.state().phase, pass.report.waiting);
        let unrecorded =
            |outcome: &Outcome| outcome.error.as_ref().is_some_and(|error| error.contains("not be recorded"));
        if pass.unrecorded.is_some() || driver.outcomes.iter().any(unrecorded) {
            return false;
        }
        let half = stage.balancer.weight() == Weight::percent_saturating(50);
        // Not only while the window is waited for: on a busy machine one pass may take as long as that.
        if fault && half {
            stage.green.set_fault(Fault::ErrorRate(0.5));
        }
        let request = match pass.report.waiting {
            Some(WaitingOn::Commit) => Some(Request::Commit),
            // The way back does not wait for the disk. A process that ends right after it finds the origin where it left
            // a weight, which is drift, and leaves it to a person.
            Some(WaitingOn::Drift { observed: Weight::ZERO, .. }) if fault => {
                Some(Request::Abort { why: String::new() })
            }
            _ => None,
        };
        if let Some(request) = request {
            asked += 1;
            let (id, by) = (format!("{}-{asked}", driver.now()), "test".to_owned());
            stage.directory().send(&Command { id, at: driver.now(), by, request }).unwrap();
        }
        if !pass.moved {
            driver.rest().await;
        }
    }
    true
}

/// Plays a migration that ends before its `records`-th record, and then goes on. Whether it was ended at all.
async fn ended_before(records: usize, fault: bool) -> bool {
    let stage = Stage::set_for(DEFINITIONS, RATE).await.unwrap();
    let directory = stage.directory();
    let take = || Seat::in_directory(stage.assignment(), &directory, Attempt::Same);
    let seat = take().await.unwrap().leave_room_for(records);
    let whole = drive(&stage, seat.drive(stage.world()).unwrap(), fault).await;
    if !whole {
        let driver = stage.driver(Attempt::Same).await.unwrap();
        // A repaired green must not be let off: what was decided before the end is carried out after it.
        assert!(drive(&stage, driver, fault).await, "record {records}: it goes on to its end");
    }
    let journal = crate::act::journal::read(&stage.directory().journal()).unwrap();
    let last = journal.iter().rev().find_map(|record| match record {
        Record::State { state, .. } => Some(state.phase.clone()),
        _ => None,
    });
    let counted = |side| stage.balancer.counters(side);
    if fault {
        assert!(matches!(last, Some(Phase::RolledBack { .. })), "record {records}: {last:?}");
        assert_eq!(stage.balancer.weight(), Weight::ZERO, "record {records}");
        assert_eq!(stage.source_replicas().await.unwrap(), 3, "record {records}");
        assert_eq!(stage.afterwards(Side::Target, 20).await.green, 0, "record {records}");
        let taken_up = take().await.unwrap().taken_up();
        assert_eq!(taken_up, TakenUp::RolledBack, "record {records}: it is not begun again unasked");
    } else {
        assert!(matches!(last, Some(Phase::Completed { .. })), "record {records}: {last:?}");
        assert_eq!(stage.balancer.weight(), Weight::FULL, "record {records}");
        assert_eq!(stage.source_replicas().await.unwrap(), 0, "record {records}");
        assert_eq!(stage.traffic.report().failed(), 0, "record {records}: no request of a user failed");
        assert_eq!(counted(Side::Target).spilled, 0, "record {records}");
    }
    stage.strike().await;
    !whole
}

/// Ends migrations at every record, and gives how many records there were.
async fn at_every_record(fault: bool) -> usize {
    let ends = stream::iter(0..MANY).map(|records| ended_before(records, fault)).buffered(AT_A_TIME);
    ends.take_while(|ended| std::future::ready(*ended)).count().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_ends_before_any_record_goes_on_to_the_same_end() {
    let points = at_every_record(false).await;
    println!("ended before each of {points} records of a migration: completed each time, no request failed");
    assert!(points > 30, "{points}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_that_ends_before_any_record_goes_on_to_the_origin() {
    let points = at_every_record(true).await;
    println!("ended before each of {points} records of a rollback: back at the origin each time");
    assert!(points > 15, "{points}");
}

mod ground;
mod harm;
mod repeat;

#[tokio::test]
async fn a_wall_that_was_set_back_between_two_processes_is_not_followed() {
    let root = tempfile::tempdir().unwrap();
    let file = crate::policy::SourceFile { name: "test.yaml".into(), text: DEFINITIONS.into() };
    let definitions = crate::policy::load(&[file]).unwrap();
    let migration = definitions.migrations[0].clone();
    let assignment = Assignment { policy: definitions.policy_of(&migration).unwrap().clone(), migration };
    let directory = Directory::of(root.path(), &assignment.migration);
    let ahead = Clock::start().now() + SignedDuration::from_hours(1);
    drop(HeldDirectory::open(&directory, &Clock::at(ahead)).unwrap());
    let seat = Seat::in_directory(assignment, &directory, Attempt::Same).await.unwrap();
    assert!(seat.clock.now() >= ahead);
}
