//! What a commit waits for on its way, stage by stage, and what it leaves alone.

use jiff::{SignedDuration, Timestamp};

use super::answers::at;
use super::situation::{nightly, web};
use super::world::*;
use crate::migration::action::{Action, Outcome};
use crate::migration::command::Request;
use crate::migration::decide::{Decision, decide};
use crate::migration::snapshot::{Observed, Snapshot};
use crate::migration::state::{CommitStage, Phase, State};
use crate::policy::{OnCommit, Weight};

fn stage(state: &State) -> CommitStage {
    match &state.phase {
        Phase::Committing { stage, .. } => *stage,
        phase => panic!("{phase:?}"),
    }
}

/// A commit at a stage, when it began, and what is seen in its next pass.
fn committing(at_stage: CommitStage) -> (State, Snapshot, Timestamp) {
    let (mut state, mut world) = at("committing");
    let Phase::Committing { since, stage, .. } = &mut state.phase else { panic!("{:?}", state.phase) };
    *stage = at_stage;
    let began = *since;
    world.drained = at_stage != CommitStage::Draining;
    let mut snapshot = world.snapshot();
    snapshot.outcomes.clear();
    (state, snapshot, began)
}

fn on_source(snapshot: &mut Snapshot, usable: u32, in_flight: u64) {
    for plane in snapshot.planes.values_mut() {
        let Observed::Known(view) = plane else { panic!("{plane:?}") };
        (view.source.usable, view.source.in_flight) = (usable, in_flight);
    }
}

fn told(decision: &Decision) -> Vec<String> {
    decision.actions.iter().map(ToString::to_string).collect()
}

const DRAINS: [&str; 2] = ["drain the source on edge", "drain the source on inner"];

#[test]
fn a_commit_is_taken_at_the_end_of_the_soak_and_not_before() {
    let (state, world) = at("soaked");
    let Phase::Soaking { since, .. } = &state.phase else { panic!("{:?}", state.phase) };
    let end = *since + state.assignment.policy.soak;
    for (now, accepted) in [(end - SignedDuration::from_millis(1), false), (end, true)] {
        let mut world = World { now, ..world.clone() };
        world.ask(Request::Commit);
        let decision = decide(&state, &world.snapshot());
        assert_eq!(decision.replies[0].accepted, accepted, "{}", decision.replies[0].message);
    }
}

#[test]
fn connections_are_waited_for_until_the_deadline_and_a_drain_for_ever() {
    let deadline = committing(CommitStage::Draining).0.assignment.policy.rollback.deadline;
    let past = deadline + SignedDuration::from_millis(1);
    for (usable, in_flight, after, drains) in [
        (0, 0, SignedDuration::ZERO, false),
        (0, 3, SignedDuration::ZERO, true),
        (4, 0, SignedDuration::ZERO, true),
        (4, 3, SignedDuration::ZERO, true),
        (0, 3, deadline, true),
        (0, 3, past, false),
        (4, 0, past, true),
        (4, 3, past, true),
    ] {
        let (state, mut snapshot, began) = committing(CommitStage::Draining);
        on_source(&mut snapshot, usable, in_flight);
        snapshot.now = began + after;
        let decision = decide(&state, &snapshot);
        let what = format!("{usable} usable, {in_flight} in flight, after {after:#}");
        let next = if drains { CommitStage::Draining } else { CommitStage::Scaling };
        assert_eq!(stage(&decision.state), next, "{what}");
        assert_eq!(told(&decision), if drains { &DRAINS[..] } else { &[] }, "{what}");
        assert_eq!(waits_on("Drain")(&state, &decision), drains, "{what}");
    }
}

#[test]
fn one_plane_that_leads_to_the_source_is_drained_before_anything_is_scaled() {
    for stage_before in [CommitStage::Draining, CommitStage::Scaling] {
        let (mut state, mut snapshot, _) = committing(stage_before);
        on_source(&mut snapshot, 0, 0);
        if let Some(Observed::Known(view)) = snapshot.planes.get_mut(&name("inner")) {
            view.source.usable = 1;
        }
        // A plane that was restarted has forgotten that it was drained.
        for _ in 0..2 {
            let decision = decide(&state, &snapshot);
            assert!(!told(&decision).iter().any(|action| action.contains("scale")), "{:?}", decision.actions);
            state = decision.state;
        }
        assert_eq!(stage(&state), CommitStage::Draining);
        assert_eq!(told(&decide(&state, &snapshot)), DRAINS[1..]);
    }
}

#[test]
fn a_drain_that_is_refused_is_named_and_not_passed_over_at_the_deadline() {
    let (state, mut snapshot, began) = committing(CommitStage::Draining);
    let action = Action::DrainSource { plane: name("edge") };
    on_source(&mut snapshot, 0, 3);
    snapshot.outcomes = vec![Outcome { action, error: Some("refused".into()) }];
    snapshot.now = began + state.assignment.policy.rollback.deadline * 2;
    let decision = decide(&state, &snapshot);
    assert!(waits_on("ActionFailed")(&state, &decision), "{:?}", decision.waiting);
    assert_eq!(stage(&decision.state), CommitStage::Draining);
}

#[test]
fn the_source_is_scaled_once_and_waited_for_until_its_last_pod_is_gone() {
    for (desired, ready, scales, waits) in
        [(4, 4, true, true), (4, 0, true, true), (0, 2, false, true), (0, 0, false, false)]
    {
        let (state, mut snapshot, _) = committing(CommitStage::Scaling);
        let Observed::Known(source) = &mut snapshot.source else { panic!("{:?}", snapshot.source) };
        let pods = source.get_mut(&web()).unwrap();
        (pods.desired, pods.ready) = (desired, ready);
        let decision = decide(&state, &snapshot);
        let expected = ["scale the source's Deployment shop/web from 4 to 0"];
        assert_eq!(told(&decision), expected[..usize::from(scales)], "{desired} desired, {ready} ready");
        assert_eq!(waits_on("SourceScaling")(&state, &decision), waits, "{desired} desired, {ready} ready");
        let next = if waits { CommitStage::Scaling } else { CommitStage::HandingOver };
        assert_eq!(stage(&decision.state), next);
    }
}

#[test]
fn it_is_completed_once_every_release_of_one_pass_was_answered_well() {
    let release = |object| Action::Release { object };
    let well = |action| Outcome { action, error: None };
    let refused = |action| Outcome { action, error: Some("refused".to_owned()) };
    for (outcomes, completed) in [
        (vec![], false),
        (vec![well(release(web()))], false),
        (vec![well(release(web())), refused(release(nightly()))], false),
        (vec![refused(release(web())), refused(release(nightly()))], false),
        (vec![well(release(web())), well(Action::SuspendSource { job: nightly() })], false),
        (vec![well(release(web())), well(release(nightly()))], true),
    ] {
        let (mut state, mut snapshot, _) = committing(CommitStage::Releasing);
        let Phase::Committing { objects, .. } = &mut state.phase else { panic!("{:?}", state.phase) };
        *objects = [web(), nightly()].into();
        snapshot.outcomes = outcomes;
        let decision = decide(&state, &snapshot);
        assert_eq!(decision.state.phase.is_terminal(), completed, "{:?}", snapshot.outcomes);
        assert_eq!(decision.waiting.is_none(), completed);
    }
}

#[test]
fn a_source_that_is_retained_is_neither_drained_nor_scaled_wherever_the_planes_lead() {
    let (mut state, mut world) = at("soaked");
    let mut assignment = (*state.assignment).clone();
    assignment.migration.on_commit = OnCommit::Retain;
    state.assignment = assignment.into();
    world.ask(Request::Commit);
    pass(&mut state, &mut world);
    assert_eq!(state.phase.name(), "Committing");
    // Who retains the source may lead users there again: it is whole.
    world.planes.insert(name("edge"), Weight::ZERO);
    until(&mut state, &mut world, in_phase("Completed"));
    assert_eq!((world.drained, world.source, world.released, world.job), (false, 4, true, (true, false)));
}
