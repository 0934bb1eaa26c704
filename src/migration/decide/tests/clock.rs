//! What the clock does to what waits: deadlines, and the pauses of what failed.

use jiff::SignedDuration;

use super::world::*;
use crate::migration::command::Request;
use crate::migration::decide::Decision;
use crate::migration::state::{Cause, Phase, State};
use crate::migration::waiting::WaitingOn;
use crate::policy::Weight;

/// Passes until the wait of a kind is overdue; what it is overdue for, and how long that took.
fn until_overdue(state: &mut State, world: &mut World) -> (WaitingOn, SignedDuration) {
    let start = world.now;
    let decision = until(state, world, waits_on("Overdue"));
    assert!(decision.needs_human);
    (decision.waiting.unwrap().plain().clone(), world.now.duration_since(start))
}

#[test]
fn a_step_without_evidence_asks_for_a_person_and_goes_on_once_there_is_some() {
    let (mut state, mut world) = fresh();
    until(&mut state, &mut world, waits_on("Window"));
    world.prometheus = Err("refused".into());
    let (waiting, took) = until_overdue(&mut state, &mut world);
    assert_eq!(waiting.reason(), "MetricError");
    let limit = state.assignment.policy.step_deadline;
    assert!(took > limit - SignedDuration::from_secs(10) && took < limit + SignedDuration::from_secs(10), "{took:#}");
    world.prometheus = Ok(true);
    until(&mut state, &mut world, waits_on("Approval"));
    assert_eq!(world.planes[&name("edge")], percent(50));
}

#[test]
fn no_deadline_runs_while_a_person_is_waited_for() {
    for reason in ["Approval", "Paused", "Commit"] {
        let (mut state, mut world) = fresh();
        match reason {
            "Paused" => {
                until(&mut state, &mut world, waits_on("Mirror"));
                world.ask(Request::Pause);
            }
            "Commit" => {
                until(&mut state, &mut world, waits_on("Approval"));
                world.ask(Request::Approve);
            }
            _ => {}
        }
        until(&mut state, &mut world, waits_on(reason));
        world.now += SignedDuration::from_hours(48);
        let decision = pass(&mut state, &mut world);
        assert!(waits_on(reason)(&state, &decision) && !decision.needs_human, "{:?}", decision.waiting);
        // What comes after it has all its time again.
        world.ask(if reason == "Paused" { Request::Resume } else { Request::Approve });
        pass(&mut state, &mut world);
        assert!(state.phase.name() != "RolledBack" && state.phase.name() != "RollingBack", "{:?}", state.phase);
    }
}

/// Gets a migration stuck in a phase.
type Stick = fn(&mut State, &mut World);

#[test]
fn every_phase_at_work_has_a_deadline() {
    let stuck: [(&str, Stick); 3] = [
        ("Preparing", |_, world| world.clusters = false),
        ("Soaking", |state, world| {
            until(state, world, waits_on("Approval"));
            world.ask(Request::Approve);
            until(state, world, in_phase("Soaking"));
            world.unreachable.push(name("edge"));
        }),
        ("Committing", |state, world| {
            until(state, world, waits_on("Approval"));
            world.ask(Request::Approve);
            until(state, world, waits_on("Commit"));
            world.ask(Request::Commit);
            pass(state, world);
            world.unreachable.push(name("edge"));
        }),
    ];
    for (phase, stick) in stuck {
        let (mut state, mut world) = fresh();
        stick(&mut state, &mut world);
        until_overdue(&mut state, &mut world);
        assert_eq!(state.phase.name(), phase);
    }
}

#[test]
fn a_step_half_done_takes_every_plane_back() {
    let (mut state, mut world) = fresh();
    until(&mut state, &mut world, waits_on("PauseStep"));
    world.refusing.push(name("inner"));
    until(&mut state, &mut world, in_phase("RollingBack"));
    let half = (world.planes[&name("edge")], world.planes[&name("inner")]);
    assert_eq!(half, (Weight::ZERO, percent(10)), "edge goes back in the same pass");
    world.refusing.clear();
    until(&mut state, &mut world, in_phase("RolledBack"));
    assert!(matches!(&state.phase, Phase::RolledBack { cause: Cause::StepDeadline { .. }, .. }), "{:?}", state.phase);
    assert!(world.planes.values().all(|weight| *weight == Weight::ZERO));
}

#[test]
fn a_step_that_no_plane_has_taken_holds() {
    let (mut state, mut world) = fresh();
    until(&mut state, &mut world, waits_on("PauseStep"));
    world.refusing.extend([name("inner"), name("edge")]);
    let (waiting, _) = until_overdue(&mut state, &mut world);
    assert_eq!(waiting.reason(), "ActionFailed");
    world.refusing.clear();
    until(&mut state, &mut world, waits_on("Approval"));
}

#[test]
fn drift_and_a_cluster_away_never_take_a_step_back() {
    let troubles: [fn(&mut World); 2] =
        [|world| _ = world.planes.insert(name("edge"), percent(33)), |world| world.clusters = false];
    for trouble in troubles {
        let (mut state, mut world) = fresh();
        until(&mut state, &mut world, waits_on("PauseStep"));
        world.refusing.push(name("inner"));
        until(&mut state, &mut world, waits_on("ActionFailed"));
        trouble(&mut world);
        until_overdue(&mut state, &mut world);
        assert_eq!(state.phase.name(), "Shifting");
    }
}

/// Passes for so long, and how many actions were tried meanwhile.
fn attempts(state: &mut State, world: &mut World, seconds: u32) -> (u32, Decision) {
    let before = world.attempts;
    let last = (0..seconds).map(|_| pass(state, world)).last().unwrap();
    (world.attempts - before, last)
}

#[test]
fn what_fails_is_tried_ever_more_rarely_and_at_once_when_its_plane_reappears() {
    let (mut state, mut world) = fresh();
    until(&mut state, &mut world, waits_on("Approval"));
    world.unreachable.push(name("inner"));
    world.ask(Request::Abort { why: String::new() });
    let (first, _) = attempts(&mut state, &mut world, 60);
    assert!((5..=12).contains(&first), "{first} attempts in the first minute");
    let (hour, _) = attempts(&mut state, &mut world, 3_600);
    assert!((50..=60).contains(&hour), "{hour} attempts in an hour");
    world.unreachable.clear();
    pass(&mut state, &mut world);
    assert_eq!(world.planes[&name("inner")], Weight::ZERO, "restored in the pass that sees it again");
}

#[test]
fn a_wait_for_what_failed_says_how_often_and_when_it_comes_again() {
    let (mut state, mut world) = fresh();
    until(&mut state, &mut world, waits_on("PauseStep"));
    world.refusing.push(name("inner"));
    until(&mut state, &mut world, waits_on("ActionFailed"));
    let (_, last) = attempts(&mut state, &mut world, 30);
    let Some(WaitingOn::ActionFailed { failures, again, error, .. }) = last.waiting else {
        panic!("{:?}", last.waiting)
    };
    assert!((4..=8).contains(&failures) && again >= world.now - SignedDuration::from_secs(1), "{failures} {again}");
    assert_eq!(error, "refused");
    world.refusing.clear();
    until(&mut state, &mut world, waits_on("Approval"));
    assert!(state.retries.is_empty(), "a success forgets the failures");
}

#[test]
fn objects_behind_one_that_fails_wait_for_it() {
    let (mut state, mut world) = fresh();
    until(&mut state, &mut world, waits_on("Mirror"));
    let mut snapshot = world.snapshot();
    let objects = ["a", "b"].map(|name| crate::cluster::ObjectRef::new("ConfigMap", "shop", name));
    let view = crate::migration::snapshot::MirrorView {
        objects: objects
            .iter()
            .map(|object| crate::migration::snapshot::MirroredObject { object: object.clone(), in_sync: false })
            .collect(),
        problems: Vec::new(),
    };
    snapshot.mirror = crate::migration::snapshot::Observed::Known(view);
    for second in 0..6 {
        snapshot.now = world.now + SignedDuration::from_secs(second);
        let decision = crate::migration::decide(&state, &snapshot);
        let due = second < 2 || second == 3;
        assert_eq!(decision.actions.len(), if due { 2 } else { 0 }, "after {second} s");
        let failed = decision.actions.first().cloned();
        snapshot.outcomes =
            failed.into_iter().map(|action| crate::migration::Outcome { action, error: Some("no".into()) }).collect();
        state = decision.state;
    }
}
