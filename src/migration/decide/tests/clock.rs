//! What the clock does to what waits: deadlines, and the pauses of what failed.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::situation::{Situation, THROWS, situation};
use super::world::*;
use crate::migration::Snapshot;
use crate::migration::command::Request;
use crate::migration::decide::{Decision, decide};
use crate::migration::state::{Cause, Drilled, Phase, Shifting, Standing, State};
use crate::migration::waiting::WaitingOn;
use crate::policy::{Step, Weight};

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

#[test]
fn a_plane_away_once_all_have_taken_the_step_takes_nothing_back() {
    let (mut state, mut world) = fresh();
    until(&mut state, &mut world, waits_on("Window"));
    world.unreachable.push(name("edge"));
    let (waiting, _) = until_overdue(&mut state, &mut world);
    assert_eq!((waiting.reason(), state.phase.name()), ("PlaneUnreachable", "Shifting"));
}

#[test]
fn objects_that_are_refused_take_no_step_back() {
    let (mut state, mut world) = fresh();
    until(&mut state, &mut world, waits_on("PauseStep"));
    world.refusing.push(name("inner"));
    until(&mut state, &mut world, waits_on("ActionFailed"));
    assert_eq!(world.planes[&name("edge")], percent(50), "half done");
    world.edited = Some(true);
    let (waiting, _) = until_overdue(&mut state, &mut world);
    assert_eq!((waiting.reason(), state.phase.name()), ("ActionFailed", "Shifting"));
}

#[test]
fn every_phase_and_every_step_has_all_its_time_whatever_those_before_took() {
    let (mut state, mut world) =
        fresh_under(|policy| policy.steps = [10, 50, 100].map(|to| Step::SetWeight(percent(to))).into());
    world.clusters = false;
    pass(&mut state, &mut world);
    world.now += SignedDuration::from_mins(15);
    world.clusters = true;
    for weight in [10, 50] {
        until(&mut state, &mut world, |state, decision| {
            assert!(state.phase.name() != "RollingBack" && !decision.needs_human, "{:?}", decision.waiting);
            state.highest_weight() == percent(weight) && waits_on("Window")(state, decision)
        });
        world.prometheus = Ok(false);
        world.now += SignedDuration::from_mins(15);
        let decision = pass(&mut state, &mut world);
        assert!(waits_on("MetricNoData")(&state, &decision), "{weight}: {:?}", decision.waiting);
        world.prometheus = Ok(true);
    }
    until(&mut state, &mut world, in_phase("Soaking"));
}

#[test]
fn a_deadline_is_kept_to_the_instant() {
    let (mut state, mut world) = fresh();
    until(&mut state, &mut world, waits_on("Window"));
    world.prometheus = Err("refused".into());
    let due = state.working.unwrap() + state.assignment.policy.step_deadline;
    for (at, reason) in [(due, "MetricError"), (due + SignedDuration::from_millis(1), "Overdue")] {
        world.now = at;
        let decision = pass(&mut state, &mut world);
        assert!(waits_on(reason)(&state, &decision), "{:?}", decision.waiting);
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
        ..Default::default()
    };
    snapshot.mirror = crate::migration::snapshot::Observed::Known(view);
    for second in 0..6 {
        snapshot.now = world.now + SignedDuration::from_secs(second);
        let decision = decide(&state, &snapshot);
        let due = second < 2 || second == 3;
        assert_eq!(decision.actions.len(), if due { 2 } else { 0 }, "after {second} s");
        let failed = decision.actions.first().cloned();
        snapshot.outcomes =
            failed.into_iter().map(|action| crate::migration::Outcome { action, error: Some("no".into()) }).collect();
        state = decision.state;
    }
}

#[test]
fn a_step_begins_later_by_a_rest_unless_it_has_drilled_and_would_lose_its_drill() {
    let (mut state, mut world) = fresh();
    until(&mut state, &mut world, waits_on("Window"));
    let began = |state: &State| match &state.phase {
        Phase::Shifting(shifting) => shifting.since,
        phase => panic!("{}", phase.name()),
    };
    let (since, rest) = (began(&state), SignedDuration::from_hours(1));
    assert_eq!(began(&state.clone().after_rest(rest)), since + rest);
    state.drills.push(Drilled { at: since, weight: percent(10), took: SignedDuration::from_secs(1) });
    let rested = state.after_rest(rest);
    assert_eq!(began(&rested), since);
    assert!(rested.drilled().is_some(), "it need not drill again");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_048))]

    /// Time in which nobody looked, or a wall that was set forth meanwhile: no weight moves because of it, nothing is over sooner,
    /// and nothing is late. The way back and its rehearsal are excepted: they go by the clock.
    #[test]
    fn a_rest_moves_no_weight_ends_no_wait_and_makes_nothing_late(
        throws in prop::collection::vec(any::<u8>(), THROWS),
        seconds in 1_i64..1_000_000,
    ) {
        let Situation { state, snapshot } = situation(&throws);
        let drills = matches!(&state.phase, Phase::Shifting(Shifting { standing: Standing::Drilling(_), .. }));
        prop_assume!(!drills && state.drilled().is_none() && !matches!(state.phase, Phase::RollingBack { .. }));
        let rest = SignedDuration::from_secs(seconds);
        let later = Snapshot { now: snapshot.now + rest, ..snapshot.clone() };
        let (without, with) = (decide(&state, &snapshot), decide(&state.clone().after_rest(rest), &later));
        let told = |decision: &Decision| {
            let waits = decision.waiting.as_ref().map(|waiting| waiting.reason());
            (decision.actions.clone(), decision.state.phase.name(), waits, decision.needs_human)
        };
        prop_assert_eq!(told(&without), told(&with), "{:?}", state.phase);
    }
}
