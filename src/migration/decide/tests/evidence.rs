//! What a step needs before it is done: all of it seen, all of it in this step, and from every metric.

use std::sync::Arc;

use jiff::SignedDuration;

use super::answers::at;
use super::world::*;
use crate::migration::command::Request;
use crate::migration::decide::{Decision, decide};
use crate::migration::snapshot::{Observed, SideSample, Snapshot};
use crate::migration::state::{Entry, Phase, Standing, State};
use crate::migration::waiting::WaitingOn;
use crate::policy::Weight;

fn step(state: &State) -> (usize, Standing) {
    match &state.phase {
        Phase::Shifting(shifting) => (shifting.step, shifting.standing),
        phase => panic!("{phase:?}"),
    }
}

fn reason(decision: &Decision) -> &'static str {
    decision.waiting.as_ref().map_or("", WaitingOn::reason)
}

/// A step whose window has just passed, and what is seen then.
fn window_passed() -> (State, Snapshot) {
    let (state, mut world) = at("in a window");
    let (_, Standing::Settled(settled)) = step(&state) else { panic!("{:?}", state.phase) };
    world.now = settled + state.assignment.policy.analysis.window;
    (state, world.snapshot())
}

#[test]
fn a_window_has_passed_at_its_end_and_not_before() {
    let (state, mut snapshot) = window_passed();
    assert_eq!(step(&decide(&state, &snapshot).state).0, 1);
    snapshot.now -= SignedDuration::from_millis(1);
    assert_eq!(reason(&decide(&state, &snapshot)), "Window");
}

type Lack = fn(&mut Snapshot);

#[test]
fn whatever_is_lacking_keeps_a_step_from_being_done() {
    let lacks: [(&str, Lack); 7] = [
        ("MetricNoData", |seen| {
            seen.metrics.values_mut().for_each(|sample| sample.target = SideSample::NoData("".into()))
        }),
        ("MetricError", |seen| {
            seen.metrics.values_mut().for_each(|sample| sample.target = SideSample::Error("".into()))
        }),
        ("Unobserved", |seen| seen.metrics.clear()),
        ("Unobserved", |seen| seen.target = Observed::Unknown("away".into())),
        ("WorkloadReady", |seen| {
            let Observed::Known(target) = &mut seen.target else { panic!("{:?}", seen.target) };
            target.values_mut().for_each(|pods| pods.ready = 3);
        }),
        ("Share", |seen| seen.share.target = SideSample::Counts { bad: 0.0, total: 600.0 }),
        ("Share", |seen| seen.share.target = SideSample::Error("away".into())),
    ];
    for (expected, lack) in lacks {
        let (state, mut snapshot) = window_passed();
        lack(&mut snapshot);
        let decision = decide(&state, &snapshot);
        assert_eq!((reason(&decision), step(&decision.state).0), (expected, 0), "{:?}", decision.waiting);
    }
}

#[test]
fn drift_makes_a_window_begin_anew_and_nothing_that_is_proven() {
    let away = |state: &mut State, world: &mut World| {
        world.planes.insert(name("edge"), percent(33));
        let drift = pass(state, world);
        assert_eq!(reason(&drift), "Drift");
    };
    let (mut state, mut world) = at("in a window");
    let (_, before) = step(&state);
    away(&mut state, &mut world);
    assert_eq!(step(&state).1, Standing::Moving);
    world.planes.insert(name("edge"), percent(10));
    until(&mut state, &mut world, waits_on("Window"));
    assert_ne!(step(&state).1, before, "a new window");
    let (mut state, mut world) = at("at an approval");
    away(&mut state, &mut world);
    world.planes.insert(name("edge"), percent(50));
    assert_eq!((step(&state).1, reason(&pass(&mut state, &mut world))), (Standing::Proven, "Approval"));
}

#[test]
fn a_window_begins_anew_after_whatever_had_to_be_written_again() {
    let (mut state, mut world) = at("in a window");
    // As a hand that edits the state leaves it: a plane short of the weight in the middle of its window.
    Arc::make_mut(&mut state.ledger).insert(name("edge"), Entry::Settled(Weight::ZERO));
    world.planes.insert(name("edge"), Weight::ZERO);
    let decision = pass(&mut state, &mut world);
    assert_eq!((reason(&decision), step(&state).1), ("PlaneMoving", Standing::Moving));
    until(&mut state, &mut world, waits_on("Window"));
    let Standing::Settled(settled) = step(&state).1 else { panic!("{:?}", state.phase) };
    assert!(world.now.duration_since(settled) <= SignedDuration::from_secs(2), "it is judged from now on");
}

#[test]
fn no_plane_is_written_that_sees_no_backend_on_the_target() {
    let (mut state, mut world) = fresh();
    until(&mut state, &mut world, in_phase("Shifting"));
    let mut snapshot = world.snapshot();
    let Some(Observed::Known(view)) = snapshot.planes.get_mut(&name("inner")) else { panic!("{:?}", snapshot.planes) };
    view.target.usable = 0;
    let decision = decide(&state, &snapshot);
    assert_eq!(decision.waiting, Some(WaitingOn::PlaneBackends { plane: name("inner") }));
    assert!(decision.actions.is_empty() && decision.state.ledger == state.ledger);
    // One that is there already is not asked.
    let (mut state, mut world) = fresh();
    world.planes.insert(name("inner"), percent(10));
    until(&mut state, &mut world, in_phase("Shifting"));
    let mut snapshot = world.snapshot();
    let Some(Observed::Known(view)) = snapshot.planes.get_mut(&name("inner")) else { panic!("{:?}", snapshot.planes) };
    view.target.usable = 0;
    assert_eq!(decide(&state, &snapshot).actions.len(), 1);
}

#[test]
fn a_pause_and_a_soak_are_over_at_their_end_and_not_before() {
    for (place, reason_before, reason_after) in [("at a pause", "PauseStep", ""), ("soaking", "Soak", "Commit")] {
        let (state, mut world) = at(place);
        let policy = &state.assignment.policy;
        let end = match &state.phase {
            Phase::Shifting(shifting) => shifting.since + SignedDuration::from_secs(5),
            Phase::Soaking { since, .. } => *since + policy.soak,
            phase => panic!("{phase:?}"),
        };
        world.now = end - SignedDuration::from_millis(1);
        assert_eq!(reason(&decide(&state, &world.clone().snapshot())), reason_before);
        world.now = end;
        assert_eq!(reason(&decide(&state, &world.snapshot())), reason_after, "{place}");
    }
}

#[test]
fn a_pause_of_a_person_holds_a_soak_and_a_step_that_is_done() {
    for place in ["in a window", "at a pause", "soaking", "soaked"] {
        let (mut state, mut world) = at(place);
        let stood = state.phase.clone();
        world.ask(Request::Pause);
        until(&mut state, &mut world, waits_on("Paused"));
        for _ in 0..20 {
            let decision = pass(&mut state, &mut world);
            assert_eq!((reason(&decision), decision.actions.len()), ("Paused", 0), "{place}");
        }
        assert_eq!(state.phase, stood, "{place}");
    }
}

#[test]
fn steps_are_taken_one_by_one_and_the_soak_follows_the_last() {
    let (mut state, mut world) = fresh();
    until(&mut state, &mut world, in_phase("Shifting"));
    let mut steps = vec![0];
    for _ in 0..100 {
        if let Phase::Shifting(shifting) = &state.phase {
            steps.push(shifting.step);
        }
        if pass(&mut state, &mut world).waiting == Some(WaitingOn::Approval) {
            world.ask(Request::Approve);
        }
    }
    steps.dedup();
    assert_eq!((steps, state.phase.name()), (vec![0, 1, 2, 3, 4], "Soaking"));
}
