//! One situation, one answer.

use super::world::*;
use crate::migration::command::Request;
use crate::migration::state::{Cause, Phase};
use crate::policy::Weight;

/// A migration that waits for an approval at 50 %.
fn at_fifty() -> (crate::migration::State, World) {
    let (mut state, mut world) = fresh();
    until(&mut state, &mut world, waits_on("Approval"));
    assert!(world.planes.values().all(|weight| *weight == percent(50)));
    (state, world)
}

#[test]
fn the_whole_road() {
    let (mut state, mut world) = at_fifty();
    world.ask(Request::Approve);
    until(&mut state, &mut world, waits_on("Soak"));
    assert!(world.planes.values().all(|weight| *weight == Weight::FULL));
    world.ask(Request::Commit);
    let early = pass(&mut state, &mut world);
    assert!(!early.replies[0].accepted, "it still soaks");
    until(&mut state, &mut world, waits_on("Commit"));
    assert_eq!((world.source, world.drained, world.released), (4, false, false), "nothing shrinks before commit");
    world.ask(Request::Commit);
    until(&mut state, &mut world, in_phase("Completed"));
    assert_eq!((world.source, world.drained, world.released), (0, true, true));
    let written: Vec<u16> = world.writes.iter().map(|(_, weight)| weight.basis_points() / 100).collect();
    assert_eq!(written, [10, 10, 50, 50, 100, 100]);
}

#[test]
fn missing_data_holds_for_as_long_as_it_is_missing() {
    for (prometheus, reason) in [(Ok(false), "MetricNoData"), (Err("refused".to_owned()), "MetricError")] {
        let (mut state, mut world) = fresh();
        until(&mut state, &mut world, waits_on("Window"));
        world.prometheus = prometheus;
        until(&mut state, &mut world, waits_on(reason));
        for _ in 0..1000 {
            let decision = pass(&mut state, &mut world);
            assert!(waits_on(reason)(&state, &decision) && decision.actions.is_empty());
        }
        world.prometheus = Ok(true);
        until(&mut state, &mut world, waits_on("Approval"));
    }
}

#[test]
fn a_bad_target_is_relieved_in_the_pass_that_sees_it() {
    for reason in ["Window", "PauseStep", "Approval"] {
        let (mut state, mut world) = fresh();
        until(&mut state, &mut world, waits_on(reason));
        world.bad = 200.0;
        let decision = pass(&mut state, &mut world);
        assert_eq!(decision.actions.len(), 2, "every plane at once, while it waits for {reason}");
        until(&mut state, &mut world, in_phase("RolledBack"));
        assert!(world.planes.values().all(|weight| *weight == Weight::ZERO));
        let Phase::RolledBack { cause: Cause::MetricFailed { account, .. }, .. } = &state.phase else {
            panic!("{:?}", state.phase)
        };
        assert!(account.contains("bad"), "{account}");
    }
}

#[test]
fn a_target_without_pods_is_relieved() {
    let (mut state, mut world) = at_fifty();
    world.target_ready = 0;
    let decision = until(&mut state, &mut world, in_phase("RolledBack"));
    assert!(matches!(decision.state.phase, Phase::RolledBack { cause: Cause::TargetLost { .. }, .. }));
}

#[test]
fn too_few_pods_hold() {
    let (mut state, mut world) = fresh();
    until(&mut state, &mut world, waits_on("PauseStep"));
    world.target_ready = 1;
    until(&mut state, &mut world, waits_on("Capacity"));
    world.target_ready = 3;
    until(&mut state, &mut world, waits_on("WorkloadReady"));
    assert!(world.planes.values().all(|weight| *weight == percent(10)));
}

#[test]
fn drift_holds_and_is_not_overwritten() {
    let (mut state, mut world) = fresh();
    until(&mut state, &mut world, waits_on("Window"));
    world.planes.insert(name("edge"), percent(33));
    let writes = world.writes.len();
    for _ in 0..50 {
        let decision = pass(&mut state, &mut world);
        assert!(waits_on("Drift")(&state, &decision), "{:?}", decision.waiting);
    }
    assert_eq!(world.writes.len(), writes);
    world.planes.insert(name("edge"), percent(10));
    until(&mut state, &mut world, waits_on("Approval"));
}

#[test]
fn a_plane_that_lags_is_waited_for() {
    let (mut state, mut world) = fresh();
    world.lag = true;
    until(&mut state, &mut world, waits_on("PlaneMoving"));
    for _ in 0..20 {
        let decision = pass(&mut state, &mut world);
        assert!(waits_on("PlaneMoving")(&state, &decision));
    }
    world.lag = false;
    until(&mut state, &mut world, waits_on("Approval"));
}

#[test]
fn abort_is_accepted_whatever_it_waits_for() {
    for reason in
        ["Mirror", "WorkloadReady", "Window", "PauseStep", "Approval", "Paused", "Unobserved", "PlaneUnreachable"]
    {
        let (mut state, mut world) = fresh();
        match reason {
            "WorkloadReady" => world.target_ready = 0,
            "Unobserved" | "PlaneUnreachable" | "Paused" => {
                until(&mut state, &mut world, waits_on("Window"));
                world.clusters = reason != "Unobserved";
                world.unreachable.extend((reason == "PlaneUnreachable").then(|| name("edge")));
                if reason == "Paused" {
                    world.ask(Request::Pause);
                }
            }
            _ => {}
        }
        until(&mut state, &mut world, waits_on(reason));
        world.ask(Request::Abort { why: "enough".into() });
        let decision = pass(&mut state, &mut world);
        assert!(decision.replies[0].accepted, "{reason}");
        world.unreachable.clear();
        until(&mut state, &mut world, in_phase("RolledBack"));
        assert!(world.planes.values().all(|weight| *weight == Weight::ZERO), "{reason}");
    }
}

#[test]
fn a_rollback_that_cannot_finish_asks_for_a_person_and_goes_on() {
    let (mut state, mut world) = at_fifty();
    world.unreachable.push(name("inner"));
    world.ask(Request::Abort { why: String::new() });
    let stuck = until(&mut state, &mut world, |_, decision| decision.needs_human);
    assert_eq!(stuck.waiting.unwrap().reason(), "PlaneUnreachable");
    assert_eq!(world.planes[&name("edge")], Weight::ZERO, "the dead plane holds up nobody");
    world.unreachable.clear();
    until(&mut state, &mut world, in_phase("RolledBack"));
}

#[test]
fn the_mirror_has_a_deadline_that_no_failure_stops() {
    for clusters in [true, false] {
        let (mut state, mut world) = fresh();
        world.target_ready = 0;
        until(&mut state, &mut world, waits_on("WorkloadReady"));
        world.clusters = clusters;
        until(&mut state, &mut world, in_phase("RolledBack"));
        assert!(world.writes.is_empty() || world.planes.values().all(|weight| *weight == Weight::ZERO));
    }
}

#[test]
fn a_pause_holds_and_a_resume_goes_on() {
    let (mut state, mut world) = fresh();
    until(&mut state, &mut world, waits_on("Window"));
    world.ask(Request::Pause);
    until(&mut state, &mut world, waits_on("Paused"));
    for _ in 0..100 {
        assert!(pass(&mut state, &mut world).actions.is_empty());
    }
    world.ask(Request::Resume);
    until(&mut state, &mut world, waits_on("Approval"));
}

#[test]
fn failures_left_over_from_an_earlier_attempt_hold_the_first_request() {
    let (mut state, mut world) = fresh();
    until(&mut state, &mut world, in_phase("Shifting"));
    let mut snapshot = world.snapshot();
    let left_over = crate::migration::snapshot::SideSample::Counts { bad: 30.0, total: 90.0 };
    snapshot.metrics.get_mut(&name("errors")).unwrap().target = left_over;
    let decision = crate::migration::decide(&state, &snapshot);
    assert_eq!(decision.waiting.unwrap().reason(), "MetricFailing");
    assert!(decision.actions.is_empty());
}

#[test]
fn commit_is_refused_before_the_end_and_abort_after_it() {
    let (mut state, mut world) = at_fifty();
    world.ask(Request::Commit);
    assert!(!pass(&mut state, &mut world).replies[0].accepted);
    world.ask(Request::Approve);
    until(&mut state, &mut world, waits_on("Commit"));
    world.ask(Request::Commit);
    world.ask(Request::Abort { why: "too late".into() });
    let decision = pass(&mut state, &mut world);
    assert_eq!(decision.replies.iter().map(|reply| reply.accepted).collect::<Vec<_>>(), [true, false]);
}

/// A migration that waits for somebody to say commit.
fn at_the_end() -> (crate::migration::State, World) {
    let (mut state, mut world) = at_fifty();
    world.ask(Request::Approve);
    until(&mut state, &mut world, waits_on("Commit"));
    (state, world)
}

type Wrong = (&'static str, fn(&mut World));

#[test]
fn commit_is_refused_while_anything_is_wrong() {
    let wrongs: [Wrong; 5] = [
        ("drift", |world| _ = world.planes.insert(name("edge"), Weight::ZERO)),
        ("an unreachable plane", |world| world.unreachable.push(name("inner"))),
        ("a cluster away", |world| world.clusters = false),
        ("too few pods", |world| world.target_ready = 3),
        ("a failing metric", |world| world.bad = 300.0),
    ];
    for (what, wrong) in wrongs {
        let (mut state, mut world) = at_the_end();
        wrong(&mut world);
        world.ask(Request::Commit);
        let decision = pass(&mut state, &mut world);
        assert!(!decision.replies[0].accepted, "{what}");
        assert!(!world.drained && world.source == 4, "{what}");
    }
}

#[test]
fn a_plane_that_leads_back_to_the_source_stops_a_commit() {
    let (mut state, mut world) = at_the_end();
    world.ask(Request::Commit);
    world.drained = false;
    pass(&mut state, &mut world);
    world.planes.insert(name("edge"), Weight::ZERO);
    for _ in 0..100 {
        let decision = pass(&mut state, &mut world);
        assert!(decision.needs_human && waits_on("Drift")(&state, &decision), "{:?}", decision.waiting);
    }
    assert_eq!(world.source, 4);
    world.planes.insert(name("edge"), Weight::FULL);
    until(&mut state, &mut world, in_phase("Completed"));
}

#[test]
fn a_source_that_shrinks_holds_and_is_not_followed() {
    let (mut state, mut world) = fresh();
    until(&mut state, &mut world, waits_on("PauseStep"));
    world.source = 2;
    let held = until(&mut state, &mut world, waits_on("SourceShrank"));
    assert!(held.actions.is_empty());
    world.source = 4;
    until(&mut state, &mut world, waits_on("Approval"));
}

#[test]
fn there_is_no_way_back_to_a_source_without_pods_except_by_a_persons_word() {
    let (mut state, mut world) = at_the_end();
    (world.source, world.bad) = (0, 300.0);
    for _ in 0..50 {
        let decision = pass(&mut state, &mut world);
        assert!(decision.needs_human && waits_on("NoWayBack")(&state, &decision), "{:?}", decision.waiting);
    }
    assert!(world.planes.values().all(|weight| *weight == Weight::FULL));
    world.ask(Request::Abort { why: "I know".into() });
    until(&mut state, &mut world, in_phase("RolledBack"));
}

#[test]
fn a_plane_that_was_never_written_is_left_as_somebody_else_made_it() {
    let (mut state, mut world) = fresh();
    world.target_ready = 0;
    until(&mut state, &mut world, waits_on("WorkloadReady"));
    world.planes.insert(name("edge"), percent(40));
    world.ask(Request::Abort { why: String::new() });
    until(&mut state, &mut world, in_phase("RolledBack"));
    assert_eq!((world.planes[&name("edge")], world.writes.len()), (percent(40), 0));
}

#[test]
fn drift_is_seen_in_every_step() {
    for reason in ["Window", "PauseStep", "Approval"] {
        let (mut state, mut world) = fresh();
        until(&mut state, &mut world, waits_on(reason));
        world.planes.insert(name("inner"), percent(77));
        let decision = pass(&mut state, &mut world);
        assert!(waits_on("Drift")(&state, &decision), "in {reason}: {:?}", decision.waiting);
    }
}
