//! Another policy under a migration that has begun.

use jiff::SignedDuration;

use super::world::*;
use crate::migration::command::{Reply, Request};
use crate::migration::state::{Phase, State};
use crate::policy::{ShiftPolicy, Step, Weight};

/// Asks for an edit of the policy that is followed, and what was answered.
fn adopt(state: &mut State, world: &mut World, edit: impl Fn(&mut ShiftPolicy)) -> Reply {
    let mut policy = state.assignment.policy.clone();
    edit(&mut policy);
    world.ask(Request::AdoptPolicy { policy: Box::new(policy), replaces: state.assignment.policy.fingerprint() });
    pass(state, world).replies.remove(0)
}

fn step(state: &State) -> usize {
    match &state.phase {
        Phase::Shifting(shifting) => shifting.step,
        phase => panic!("{phase:?}"),
    }
}

fn weights(policy: &mut ShiftPolicy, weights: &[u16]) {
    policy.steps = weights.iter().map(|weight| Step::SetWeight(percent(*weight))).collect();
}

#[test]
fn it_stands_at_the_same_weight_and_proves_it_anew() {
    let (mut state, mut world) = fresh();
    until(&mut state, &mut world, waits_on("Approval"));
    let (old, writes) = (state.assignment.policy.fingerprint(), world.writes.len());
    let reply = adopt(&mut state, &mut world, |policy| weights(policy, &[5, 50, 75, 100]));
    let new = state.assignment.policy.fingerprint();
    assert!(reply.accepted && reply.message.contains(&old) && reply.message.contains(&new), "{reply:?}");
    assert_eq!(step(&state), 1);
    until(&mut state, &mut world, waits_on("Window"));
    assert_eq!(world.writes.len(), writes, "no weight is given by an adoption");
    until(&mut state, &mut world, in_phase("Soaking"));
    let written: Vec<u16> = world.writes[writes..].iter().map(|(_, weight)| weight.basis_points() / 100).collect();
    assert_eq!(written, [75, 75, 100, 100]);
}

#[test]
fn what_comes_after_the_weight_is_asked_for_again() {
    let (mut state, mut world) = fresh();
    until(&mut state, &mut world, waits_on("Approval"));
    world.ask(Request::Approve);
    until(&mut state, &mut world, waits_on("Commit"));
    let reply = adopt(&mut state, &mut world, |policy| policy.steps.push(Step::Approval));
    assert!(reply.accepted, "{}", reply.message);
    until(&mut state, &mut world, waits_on("Approval"));
    assert_eq!((step(&state), world.planes[&name("edge")]), (5, Weight::FULL));
}

#[test]
fn it_is_refused_where_it_cannot_be_mapped() {
    let (mut state, mut world) = fresh();
    until(&mut state, &mut world, waits_on("Approval"));
    let reply = adopt(&mut state, &mut world, |policy| weights(policy, &[5, 20, 75, 100]));
    assert!(!reply.accepted && reply.message.contains("stands at 50%"), "{}", reply.message);
    let reply = adopt(&mut state, &mut world, |policy| policy.plane_order = vec![name("nobody")]);
    assert!(!reply.accepted && reply.message.contains("no plane nobody"), "{}", reply.message);
    world.problems = vec!["on edge: 33% cannot be represented".into()];
    let reply = adopt(&mut state, &mut world, |policy| weights(policy, &[50, 100]));
    assert!(!reply.accepted && reply.message.contains("represented"), "{}", reply.message);
    world.problems.clear();
    let policy = Box::new(state.assignment.policy.clone());
    world.ask(Request::AdoptPolicy { policy, replaces: "another".into() });
    assert!(pass(&mut state, &mut world).replies[0].accepted, "nothing changes, so nothing can be lost");
    world.ask(Request::Drill);
    world.lag_back = true;
    pass(&mut state, &mut world);
    let reply = adopt(&mut state, &mut world, |policy| weights(policy, &[50, 100]));
    assert!(!reply.accepted && reply.message.contains("drill"), "{}", reply.message);
    world.ask(Request::Abort { why: String::new() });
    pass(&mut state, &mut world);
    let reply = adopt(&mut state, &mut world, |policy| weights(policy, &[50, 100]));
    assert!(!reply.accepted && reply.message.contains("RollingBack"), "{}", reply.message);
}

#[test]
fn it_is_refused_while_a_weight_is_written_and_where_another_was_adopted_meanwhile() {
    let (mut state, mut world) = fresh();
    world.lag = true;
    until(&mut state, &mut world, waits_on("PlaneMoving"));
    let reply = adopt(&mut state, &mut world, |policy| weights(policy, &[10, 100]));
    assert!(!reply.accepted && reply.message.contains("being written"), "{}", reply.message);
    world.lag = false;
    until(&mut state, &mut world, waits_on("PauseStep"));
    let first = state.assignment.policy.fingerprint();
    assert!(adopt(&mut state, &mut world, |policy| weights(policy, &[10, 100])).accepted);
    let mut policy = state.assignment.policy.clone();
    weights(&mut policy, &[10, 20, 100]);
    world.ask(Request::AdoptPolicy { policy: Box::new(policy), replaces: first });
    let reply = pass(&mut state, &mut world).replies.remove(0);
    assert!(!reply.accepted && reply.message.contains("by now"), "{}", reply.message);
}

#[test]
fn before_the_first_write_it_begins_at_the_first_step() {
    let (mut state, mut world) = fresh_under(|policy| policy.steps.insert(0, Step::Approval));
    until(&mut state, &mut world, waits_on("Approval"));
    assert!(adopt(&mut state, &mut world, |policy| weights(policy, &[20, 100])).accepted);
    until(&mut state, &mut world, in_phase("Soaking"));
    assert_eq!(world.writes[0].1, percent(20));
}

#[test]
fn it_begins_at_or_above_what_the_planes_had_before_the_first_write() {
    for (first, fits) in [(5, false), (10, true), (20, true)] {
        let (mut state, mut world) = fresh();
        world.planes.insert(name("inner"), percent(10));
        until(&mut state, &mut world, waits_on("Approval"));
        let reply = adopt(&mut state, &mut world, |policy| weights(policy, &[first, 50, 100]));
        assert_eq!(reply.accepted, fits, "{first}: {}", reply.message);
        assert!(fits || reply.message.contains("inner was at 10% before the first write"), "{}", reply.message);
    }
}

#[test]
fn the_new_policy_has_all_its_time() {
    let (mut state, mut world) = fresh();
    until(&mut state, &mut world, waits_on("Window"));
    world.prometheus = Ok(false);
    until(&mut state, &mut world, waits_on("MetricNoData"));
    world.now += SignedDuration::from_mins(15);
    pass(&mut state, &mut world);
    let adopted = world.now;
    assert!(adopt(&mut state, &mut world, |policy| policy.soak = SignedDuration::from_hours(1)).accepted);
    assert_eq!((step(&state), state.working), (0, Some(adopted)));
    // Whereas a policy that is followed already takes the place of none.
    world.now += SignedDuration::from_mins(1);
    assert!(adopt(&mut state, &mut world, |_| {}).accepted);
    assert_eq!(state.working, Some(adopted));
}

#[test]
fn a_weight_that_a_drill_has_left_is_the_one_it_stands_at() {
    let (mut state, mut world) = fresh();
    until(&mut state, &mut world, waits_on("Approval"));
    world.ask(Request::Drill);
    until(&mut state, &mut world, |state, _| state.drilled().is_some());
    assert_eq!(world.planes[&name("edge")], Weight::ZERO, "home, and not back yet");
    let reply = adopt(&mut state, &mut world, |policy| weights(policy, &[20, 50, 100]));
    assert!(reply.accepted, "{}", reply.message);
    assert_eq!(step(&state), 1);
    until(&mut state, &mut world, waits_on("Window"));
    assert_eq!(world.planes[&name("edge")], percent(50));
}

#[test]
fn before_the_first_weight_and_after_a_commit_no_place_is_looked_for() {
    let (mut state, mut world) = fresh();
    let reply = adopt(&mut state, &mut world, |policy| weights(policy, &[20, 100]));
    assert!(reply.accepted && state.assignment.policy.weights().next() == Some(percent(20)), "{}", reply.message);
    for place in ["committing", "completed", "back"] {
        let (mut state, mut world) = super::answers::at(place);
        let reply = adopt(&mut state, &mut world, |policy| policy.steps.push(Step::Approval));
        assert!(!reply.accepted && reply.message.contains("no step is left"), "{place}: {}", reply.message);
    }
}
