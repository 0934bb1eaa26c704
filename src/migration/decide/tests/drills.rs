//! A rehearsed rollback: home, timed, and back.

use jiff::SignedDuration;

use super::world::*;
use crate::migration::command::Request;
use crate::migration::decide::Decision;
use crate::migration::state::{Cause, Phase, Shifting, Standing, State};
use crate::migration::waiting::WaitingOn;
use crate::migration::{Action, Report};
use crate::policy::{Step, Weight};

/// A migration under a policy that drills at 10 %.
fn drilling() -> (State, World) {
    fresh_under(|policy| policy.steps[1] = Step::Drill)
}

/// The same, in the first pass of its drill.
fn in_a_drill() -> (State, World) {
    let (mut state, mut world) = drilling();
    world.lag_back = true;
    until(&mut state, &mut world, waits_on("Drill"));
    (state, world)
}

fn standing(state: &State) -> Standing {
    match &state.phase {
        Phase::Shifting(Shifting { standing, .. }) => *standing,
        phase => panic!("{phase:?}"),
    }
}

fn restores(decision: &Decision) -> usize {
    decision.actions.iter().filter(|action| matches!(action, Action::RestorePlane { .. })).count()
}

#[test]
fn a_drill_goes_home_takes_its_time_and_proves_the_weight_anew() {
    let (mut state, mut world) = in_a_drill();
    let began = world.now - SignedDuration::from_secs(1);
    let decision = pass(&mut state, &mut world);
    assert_eq!(restores(&decision), 2, "every plane at once, as in a rollback");
    world.lag_back = false;
    until(&mut state, &mut world, waits_on("PlaneMoving"));
    assert_eq!((state.drills[0].at, state.drills[0].weight), (began, percent(10)));
    assert!(state.drills[0].took >= SignedDuration::from_secs(2), "{:?}", state.drills);
    until(&mut state, &mut world, waits_on("Window"));
    assert!(world.planes.values().all(|weight| *weight == percent(10)), "the weight is back");
    let proving = world.now;
    until(&mut state, &mut world, waits_on("Approval"));
    let window = state.assignment.policy.analysis.window;
    assert!(world.now.duration_since(proving) >= window, "and proven anew");
    let report = Report::new(&world.snapshot(), &crate::migration::decide(&state, &world.snapshot()));
    assert_eq!(report.drills, state.drills);
    let written: Vec<u16> = world.writes.iter().map(|(_, weight)| weight.basis_points() / 100).collect();
    assert_eq!(written.iter().filter(|weight| **weight == 10).count(), 4, "{written:?}");
}

#[test]
fn a_drill_that_comes_home_late_stays_there_until_a_person_says_so() {
    let (mut state, mut world) = in_a_drill();
    let late = until(&mut state, &mut world, |_, decision| decision.needs_human);
    assert!(waits_on("Drill")(&state, &late), "it goes on meanwhile: {:?}", late.waiting);
    assert_eq!(restores(&late), 2);
    world.lag_back = false;
    let held = until(&mut state, &mut world, waits_on("DrillLate"));
    assert!(held.needs_human);
    for _ in 0..2_000 {
        let decision = pass(&mut state, &mut world);
        assert!(waits_on("DrillLate")(&state, &decision) && decision.actions.is_empty(), "{:?}", decision.waiting);
    }
    world.ask(Request::Approve);
    assert!(pass(&mut state, &mut world).replies[0].accepted);
    assert_eq!((state.approvals[0].weight, state.approvals[0].mark.by.as_str()), (percent(10), "ada"));
    until(&mut state, &mut world, waits_on("Approval"));
    assert!(world.planes.values().all(|weight| *weight == percent(50)));
}

#[test]
fn a_drill_is_late_past_its_deadline_and_not_at_it() {
    let deadline = drilling().0.assignment.policy.rollback.deadline;
    for (took, late) in [(deadline, false), (deadline + SignedDuration::from_millis(1), true)] {
        let (mut state, mut world) = in_a_drill();
        let Standing::Drilling(since) = standing(&state) else { panic!("{:?}", state.phase) };
        world.now = since + took;
        let decision = pass(&mut state, &mut world);
        assert!(
            waits_on("Drill")(&state, &decision) && decision.needs_human == late,
            "on its way: {:?}",
            decision.waiting
        );
        world.planes.values_mut().for_each(|weight| *weight = Weight::ZERO);
        world.now = since + took;
        pass(&mut state, &mut world);
        assert_eq!((state.drills[0].took, matches!(standing(&state), Standing::Late(_))), (took, late), "at home");
    }
}

#[test]
fn evidence_of_a_bad_target_and_an_abort_turn_a_drill_into_a_rollback() {
    for lag in [true, false] {
        let (mut state, mut world) = in_a_drill();
        world.lag_back = lag;
        world.ask(Request::Abort { why: String::new() });
        pass(&mut state, &mut world);
        world.lag_back = false;
        until(&mut state, &mut world, in_phase("RolledBack"));
        assert!(world.planes.values().all(|weight| *weight == Weight::ZERO));
    }
    let (mut state, mut world) = in_a_drill();
    let mut snapshot = world.snapshot();
    let bad = crate::migration::snapshot::SideSample::Counts { bad: 30.0, total: 90.0 };
    snapshot.metrics.get_mut(&name("errors")).unwrap().target = bad;
    let decision = crate::migration::decide(&state, &snapshot);
    assert!(matches!(decision.state.phase, Phase::RollingBack { cause: Cause::MetricFailed { .. }, .. }));
    // Also once everything is home: what failed at the weight counts.
    world.lag_back = false;
    until(&mut state, &mut world, |state, _| standing(state) == Standing::Moving);
    snapshot.planes = world.snapshot().planes;
    let decision = crate::migration::decide(&state, &snapshot);
    assert_eq!(decision.state.phase.name(), "RolledBack");
}

#[test]
fn a_pause_lets_a_drill_come_home_and_keeps_it_there() {
    let (mut state, mut world) = in_a_drill();
    world.lag_back = false;
    world.ask(Request::Pause);
    until(&mut state, &mut world, waits_on("Paused"));
    for _ in 0..20 {
        pass(&mut state, &mut world);
        assert!(world.planes.values().all(|weight| *weight == Weight::ZERO));
    }
    world.ask(Request::Resume);
    until(&mut state, &mut world, waits_on("Approval"));
}

#[test]
fn drift_holds_a_drill() {
    let (mut state, mut world) = in_a_drill();
    world.planes.insert(name("edge"), percent(33));
    let decision = pass(&mut state, &mut world);
    assert!(waits_on("Drift")(&state, &decision) && decision.actions.is_empty() && decision.needs_human);
}

#[test]
fn a_drill_waits_for_a_source_that_can_take_everything() {
    let (mut state, mut world) = drilling();
    world.source_ready = Some(3);
    let held = until(&mut state, &mut world, waits_on("SourceCapacity"));
    assert!(held.actions.is_empty() && world.planes.values().all(|weight| *weight == percent(10)));
    world.source_ready = None;
    until(&mut state, &mut world, waits_on("Approval"));
    assert_eq!(state.drills.len(), 1);
}

#[test]
fn a_person_can_ask_for_a_drill_between_writes_up_to_half_of_the_traffic() {
    let refused = |state: &mut State, world: &mut World| {
        world.ask(Request::Drill);
        let reply = pass(state, world).replies.remove(0);
        assert!(!reply.accepted, "{}", reply.message);
        reply.message
    };
    let (mut state, mut world) = fresh();
    assert!(refused(&mut state, &mut world).contains("Preparing"));
    world.lag = true;
    until(&mut state, &mut world, waits_on("PlaneMoving"));
    assert!(refused(&mut state, &mut world).contains("read back"));
    world.lag = false;
    until(&mut state, &mut world, waits_on("Approval"));
    world.planes.insert(name("edge"), percent(33));
    assert!(refused(&mut state, &mut world).contains("somebody else"));
    world.planes.insert(name("edge"), percent(50));
    world.ask(Request::Drill);
    let decision = pass(&mut state, &mut world);
    assert!(decision.replies[0].accepted && restores(&decision) == 2, "{:?}", decision.replies);
    let decision = until(&mut state, &mut world, waits_on("Approval"));
    assert!(state.drills.len() == 1 && world.planes.values().all(|weight| *weight == percent(50)), "{decision:?}");
    world.ask(Request::Approve);
    until(&mut state, &mut world, |_, decision| matches!(decision.waiting, Some(WaitingOn::Window { .. })));
    assert!(refused(&mut state, &mut world).contains("up to 50%"));
}
