//! What a person is shown of one pass.

use super::answers::{self, PLACES};
use super::world::*;
use crate::migration::Report;
use crate::migration::command::Request;
use crate::migration::decide::decide;
use crate::migration::state::{Cause, Phase, State};
use crate::policy::{RollbackMode, Step, Weight};

fn report(state: &State, world: &World) -> Report {
    let snapshot = world.clone().snapshot();
    Report::new(&snapshot, &decide(state, &snapshot))
}

/// What is desired and what is observed on both planes.
fn planes(report: &Report) -> Vec<(Option<Weight>, Option<Weight>)> {
    report.planes.iter().map(|plane| (plane.desired, plane.observed)).collect()
}

fn at(reason: &'static str) -> (State, World) {
    let (mut state, mut world) = fresh_under(|policy| policy.rollback.mode = RollbackMode::Stepped);
    until(&mut state, &mut world, waits_on(reason));
    (state, world)
}

#[test]
fn a_report_says_where_it_stands_and_what_it_waits_for() {
    let (state, world) = at("Approval");
    let report = report(&state, &world);
    let step = report.step.as_ref().map(|step| (step.number, step.of, step.step));
    assert_eq!(step, Some((4, 5, Some(Step::Approval))));
    let half = Some(percent(50));
    assert_eq!((planes(&report), report.measured_share), (vec![(half, half); 2], Some(0.5)));
    assert_eq!((report.phase.as_str(), report.at, report.needs_human), ("Shifting", world.now, false));
    assert_eq!(report.message.as_deref(), Some("the policy asks for an approval"));
    assert_eq!(report.policy.hash, state.assignment.policy.fingerprint());
    let checks: Vec<_> = report.metrics.iter().map(|check| (check.name.as_str(), check.basis.is_some())).collect();
    assert_eq!((checks, report.cause), (vec![("errors", true)], None));
}

#[test]
fn a_plane_that_cannot_be_seen_shows_why_and_no_weight() {
    let (state, mut world) = at("Approval");
    world.unreachable.push(name("inner"));
    let report = report(&state, &world);
    assert_eq!(planes(&report), [(Some(percent(50)), Some(percent(50))), (Some(percent(50)), None)]);
    let errors: Vec<_> = report.planes.iter().map(|plane| plane.error.as_deref()).collect();
    assert_eq!(errors, [None, Some("refused")]);
}

#[test]
fn what_is_desired_is_where_the_planes_are_on_their_way_to() {
    let desired = |state: &State, world: &World| planes(&report(state, world)).remove(0).0;
    let (mut state, mut world) = fresh();
    world.lag = true;
    until(&mut state, &mut world, waits_on("PlaneMoving"));
    assert_eq!(planes(&report(&state, &world)), [(Some(percent(10)), Some(Weight::ZERO)); 2]);

    let (mut state, mut world) = at("Approval");
    world.lag_back = true;
    let mut drill = (state.clone(), world.clone());
    drill.1.ask(Request::Drill);
    pass(&mut drill.0, &mut drill.1);
    assert_eq!(desired(&drill.0, &drill.1), Some(Weight::ZERO), "a drill goes to the origin");
    world.ask(Request::Rollback { why: String::new() });
    pass(&mut state, &mut world);
    assert_eq!(desired(&state, &world), Some(percent(10)), "by way of a weight");
    world.ask(Request::Abort { why: String::new() });
    pass(&mut state, &mut world);
    assert_eq!(desired(&state, &world), Some(Weight::ZERO), "at once");
    world.lag_back = false;
    until(&mut state, &mut world, in_phase("RolledBack"));
    assert_eq!(desired(&state, &world), None, "whose planes they are then is not ours to say");
}

#[test]
fn why_it_went_back_is_told_on_the_way_and_at_the_end() {
    let (mut state, mut world) = at("Approval");
    world.lag_back = true;
    world.ask(Request::Abort { why: "enough".into() });
    for phase in ["RollingBack", "RolledBack"] {
        until(&mut state, &mut world, in_phase(phase));
        let Some(Cause::Requested { why, .. }) = report(&state, &world).cause else { panic!("{phase}") };
        assert_eq!(why, "enough");
        world.lag_back = false;
    }
}

#[test]
fn only_an_end_has_ended_and_only_a_step_is_counted() {
    for (place, _) in PLACES {
        let (state, world) = answers::at(place);
        let snapshot = world.clone().snapshot();
        let decision = decide(&state, &snapshot);
        let (report, phase) = (Report::new(&snapshot, &decision), &decision.state.phase);
        assert_eq!(report.has_ended(), phase.is_terminal(), "{place}");
        assert_eq!(report.step.is_some(), matches!(phase, Phase::Shifting(_)), "{place}");
    }
}
