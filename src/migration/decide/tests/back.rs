//! The ways back: at once, by steps, as fast as the source can.

use jiff::SignedDuration;

use super::world::*;
use crate::migration::command::Request;
use crate::migration::state::{Phase, State, Way};
use crate::policy::{RollbackMode, Weight};

/// A migration at 100 % under a policy that goes back in a mode.
fn at_full(mode: RollbackMode) -> (State, World) {
    let (mut state, mut world) = fresh_under(|policy| policy.rollback.mode = mode);
    until(&mut state, &mut world, waits_on("Approval"));
    world.ask(Request::Approve);
    until(&mut state, &mut world, waits_on("Commit"));
    world.writes.clear();
    (state, world)
}

/// The weights that were written to a plane, each once.
fn written(world: &World, plane: &str) -> Vec<u16> {
    let own = world.writes.iter().filter(|(written, _)| written.as_str() == plane);
    let mut weights: Vec<_> = own.map(|(_, weight)| weight.basis_points() / 100).collect();
    weights.dedup();
    weights
}

fn way(state: &State) -> &Way {
    match &state.phase {
        Phase::RollingBack { way, .. } => way,
        phase => panic!("{phase:?}"),
    }
}

#[test]
fn stepped_goes_by_the_earlier_weights_within_the_deadline() {
    let (mut state, mut world) = at_full(RollbackMode::Stepped);
    world.bad = 300.0;
    let began = world.now;
    until(&mut state, &mut world, in_phase("RolledBack"));
    for plane in ["edge", "inner"] {
        assert_eq!(written(&world, plane), [50, 10, 0]);
    }
    let took = world.now.duration_since(began);
    let deadline = state.assignment.policy.rollback.deadline;
    assert!(took > deadline / 2 && took <= deadline, "{took:#}");
}

#[test]
fn a_plane_that_does_not_answer_holds_up_no_other() {
    let (mut state, mut world) = at_full(RollbackMode::Stepped);
    world.unreachable.push(name("inner"));
    world.ask(Request::Rollback { why: String::new() });
    until(&mut state, &mut world, |_, decision| decision.needs_human);
    assert_eq!(written(&world, "edge"), [50, 10, 0]);
    world.unreachable.clear();
    until(&mut state, &mut world, in_phase("RolledBack"));
}

#[test]
fn a_capacity_gated_way_back_goes_only_as_low_as_the_source_has_pods() {
    let (mut state, mut world) = at_full(RollbackMode::CapacityGated);
    world.source_ready = Some(1);
    world.ask(Request::Rollback { why: String::new() });
    let held = until(&mut state, &mut world, waits_on("SourceCapacity"));
    assert!(held.actions.is_empty() && world.writes.is_empty(), "one pod of four carries no half: {:?}", world.writes);
    world.source_ready = Some(2);
    pass(&mut state, &mut world);
    pass(&mut state, &mut world);
    assert!(world.planes.values().all(|weight| *weight == percent(50)));
    world.source_ready = Some(1);
    for _ in 0..3 {
        pass(&mut state, &mut world);
        assert!(world.planes.values().all(|weight| *weight == percent(50)), "never up again");
    }
    world.source_ready = None;
    until(&mut state, &mut world, in_phase("RolledBack"));
    assert_eq!(written(&world, "edge"), [50, 0]);
}

#[test]
fn a_whole_source_makes_a_capacity_gated_way_back_an_instant_one() {
    let (mut state, mut world) = at_full(RollbackMode::CapacityGated);
    world.bad = 300.0;
    pass(&mut state, &mut world);
    assert!(world.planes.values().all(|weight| *weight == Weight::ZERO));
}

#[test]
fn the_deadline_makes_every_way_an_instant_one() {
    for hidden in [true, false] {
        let (mut state, mut world) = at_full(RollbackMode::CapacityGated);
        world.clusters = !hidden;
        world.source_ready = Some(0);
        world.ask(Request::Rollback { why: String::new() });
        let began = world.now;
        until(&mut state, &mut world, |state, _| state.phase.is_terminal() || *way(state) == Way::Instant);
        assert!(world.now.duration_since(began) > state.assignment.policy.rollback.deadline);
        until(&mut state, &mut world, in_phase("RolledBack"));
        assert_eq!(written(&world, "edge"), [0]);
    }
}

#[test]
fn a_dead_target_and_an_abort_are_never_gradual() {
    for mode in [RollbackMode::Stepped, RollbackMode::CapacityGated] {
        let (mut state, mut world) = at_full(mode);
        world.target_ready = 0;
        pass(&mut state, &mut world);
        assert!(world.planes.values().all(|weight| *weight == Weight::ZERO), "{mode:?}");
        let (mut state, mut world) = at_full(mode);
        world.source_ready = Some(1);
        world.ask(Request::Abort { why: String::new() });
        pass(&mut state, &mut world);
        assert!(world.planes.values().all(|weight| *weight == Weight::ZERO), "{mode:?}");
    }
    // Also once the gradual way has begun.
    for hurry in ["abort", "dead"] {
        let (mut state, mut world) = at_full(RollbackMode::Stepped);
        world.bad = 300.0;
        pass(&mut state, &mut world);
        assert!(matches!(way(&state), Way::Stepped(_)) && world.planes[&name("edge")] == percent(50));
        match hurry {
            "abort" => world.ask(Request::Abort { why: String::new() }),
            _ => world.target_ready = 0,
        }
        pass(&mut state, &mut world);
        assert!(world.planes.values().all(|weight| *weight == Weight::ZERO), "{hurry}");
    }
}

#[test]
fn a_step_half_written_goes_down_from_the_higher_of_its_two_weights() {
    let (mut state, mut world) = fresh_under(|policy| policy.rollback.mode = RollbackMode::Stepped);
    until(&mut state, &mut world, waits_on("Approval"));
    world.ask(Request::Approve);
    world.lag = true;
    until(&mut state, &mut world, waits_on("PlaneMoving"));
    world.planes.insert(name("edge"), percent(80));
    world.lag = false;
    world.writes.clear();
    world.ask(Request::Rollback { why: String::new() });
    let began = world.now;
    until(&mut state, &mut world, in_phase("RolledBack"));
    assert_eq!((written(&world, "edge"), written(&world, "inner")), (vec![50, 10, 0], vec![10, 0]));
    assert!(world.now.duration_since(began) <= SignedDuration::from_secs(30));
}

#[test]
fn the_timetable_gives_every_weight_an_equal_part_of_the_deadline() {
    let (mut state, mut world) = at_full(RollbackMode::Stepped);
    world.ask(Request::Rollback { why: String::new() });
    let began = world.now;
    // By way of 50 % and 10 % within 30 s.
    for (second, weight) in [(0, 50), (1, 50), (9, 50), (10, 10), (19, 10), (20, 0)] {
        world.now = began + SignedDuration::from_secs(second);
        pass(&mut state, &mut world);
        assert_eq!(world.planes[&name("edge")], percent(weight), "after {second} s");
    }
}

#[test]
fn a_way_back_goes_by_weights_between_where_it_is_and_where_it_began() {
    let (mut state, mut world) = fresh_under(|policy| policy.rollback.mode = RollbackMode::Stepped);
    world.planes.insert(name("inner"), percent(10));
    until(&mut state, &mut world, waits_on("Approval"));
    world.writes.clear();
    world.ask(Request::Rollback { why: String::new() });
    until(&mut state, &mut world, in_phase("RolledBack"));
    assert_eq!(
        (written(&world, "edge"), written(&world, "inner")),
        (vec![0], vec![10]),
        "50 % is here, 10 % the origin"
    );
}

#[test]
fn without_a_weight_in_between_no_source_is_waited_for() {
    let (mut state, mut world) = fresh_under(|policy| policy.rollback.mode = RollbackMode::CapacityGated);
    until(&mut state, &mut world, waits_on("PauseStep"));
    world.source_ready = Some(3);
    world.ask(Request::Rollback { why: String::new() });
    pass(&mut state, &mut world);
    assert!(world.planes.values().all(|weight| *weight == Weight::ZERO));
}

#[test]
fn a_plane_that_shows_less_is_not_taken_up_to_a_weight_on_the_way_back() {
    let (mut state, mut world) = at_full(RollbackMode::Stepped);
    world.planes.insert(name("edge"), percent(20));
    world.ask(Request::Rollback { why: String::new() });
    pass(&mut state, &mut world);
    assert_eq!((written(&world, "edge"), written(&world, "inner")), (vec![], vec![50]));
    until(&mut state, &mut world, in_phase("RolledBack"));
    assert_eq!(written(&world, "edge"), [10, 0]);
}

#[test]
fn a_way_back_is_late_past_its_deadline_and_not_at_it() {
    for mode in [RollbackMode::Instant, RollbackMode::CapacityGated] {
        let (mut state, mut world) = at_full(mode);
        (world.source_ready, world.lag_back) = (Some(0), true);
        world.ask(Request::Rollback { why: String::new() });
        let due = world.now + state.assignment.policy.rollback.deadline;
        pass(&mut state, &mut world);
        for (at, late) in [(due, false), (due + SignedDuration::from_millis(1), true)] {
            world.now = at;
            let decision = pass(&mut state, &mut world);
            assert_eq!(decision.needs_human, late, "{mode:?}");
            assert_eq!(*way(&state) == Way::Instant, late || mode == RollbackMode::Instant, "{mode:?}");
        }
        world.lag_back = false;
        let decision = until(&mut state, &mut world, in_phase("RolledBack"));
        assert!(!decision.needs_human, "once it is back nobody is needed");
    }
}
