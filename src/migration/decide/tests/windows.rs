//! What windows gate and what they never gate, and planes that take turns. The world begins on a Thursday at 00:00 UTC.

use jiff::{SignedDuration, Timestamp};

use super::world::*;
use crate::migration::command::Request;
use crate::migration::decide::Decision;
use crate::migration::state::State;
use crate::migration::waiting::WaitingOn;
use crate::policy::window::{Effect, Window};
use crate::policy::{ShiftPolicy, Weight};

fn deny(ranges: &str) -> impl Fn(&mut ShiftPolicy) {
    let window = Window { effect: Effect::Deny, ranges: ranges.parse().unwrap(), zone: "UTC".parse().unwrap() };
    move |policy| policy.windows.0.push(window.clone())
}

fn minute(minute: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute)
}

fn opens(decision: &Decision) -> Option<Timestamp> {
    match decision.waiting {
        Some(WaitingOn::WindowClosed { opens }) => Some(opens),
        _ => None,
    }
}

/// A migration that waits at 50 % for an approval, under a policy that closes at ten past and opens at twenty past.
fn at_fifty() -> (State, World) {
    let (mut state, mut world) = fresh_under(deny("Thu 00:10 - Thu 00:20"));
    until(&mut state, &mut world, waits_on("Approval"));
    (state, world)
}

#[test]
fn nothing_is_written_before_the_first_opening() {
    let (mut state, mut world) = fresh_under(deny("Wed 20:00 - Thu 00:05"));
    let decision = pass(&mut state, &mut world);
    assert_eq!(opens(&decision), Some(minute(5)));
    until(&mut state, &mut world, in_phase("Mirroring"));
    assert_eq!((world.now, world.attempts), (minute(5) + SignedDuration::from_secs(1), 0));
    until(&mut state, &mut world, waits_on("Approval"));
}

#[test]
fn a_step_begins_when_it_opens() {
    let (mut state, mut world) = at_fifty();
    world.now = minute(10);
    world.ask(Request::Approve);
    let decision = until(&mut state, &mut world, waits_on("WindowClosed"));
    assert_eq!(opens(&decision), Some(minute(20)));
    until(&mut state, &mut world, waits_on("PlaneMoving"));
    assert!(world.now > minute(20));
    assert!(world.planes.values().all(|weight| *weight == Weight::FULL));
}

#[test]
fn going_back_does_not_wait_for_an_opening() {
    let wrongs: [fn(&mut World); 3] = [
        |world| world.bad = 300.0,
        |world| world.target_ready = 0,
        |world| world.ask(Request::Abort { why: "enough".into() }),
    ];
    for wrong in wrongs {
        let (mut state, mut world) = at_fifty();
        world.now = minute(10);
        wrong(&mut world);
        pass(&mut state, &mut world);
        pass(&mut state, &mut world);
        assert_eq!(state.phase.name(), "RolledBack");
    }
}

#[test]
fn a_step_that_began_before_the_closing_is_finished() {
    let (mut state, mut world) = fresh_under(|policy| {
        deny("Thu 00:10 - Thu 00:20")(policy);
        policy.plane_order = vec![name("inner")];
    });
    until(&mut state, &mut world, waits_on("Approval"));
    world.ask(Request::Approve);
    pass(&mut state, &mut world);
    world.now = minute(10) - SignedDuration::from_secs(1);
    until(&mut state, &mut world, in_phase("Soaking"));
    assert!(world.planes.values().all(|weight| *weight == Weight::FULL) && world.now < minute(20));
}

#[test]
fn a_commit_waits_for_an_opening() {
    let (mut state, mut world) = at_fifty();
    world.ask(Request::Approve);
    until(&mut state, &mut world, waits_on("Commit"));
    world.now = minute(15);
    world.ask(Request::Commit);
    let decision = pass(&mut state, &mut world);
    assert!(
        !decision.replies[0].accepted && decision.replies[0].message.contains("00:20:00"),
        "{:?}",
        decision.replies
    );
    assert_eq!(opens(&decision), Some(minute(20)));
    world.now = minute(20);
    world.ask(Request::Commit);
    assert!(pass(&mut state, &mut world).replies[0].accepted);
}

#[test]
fn planes_take_turns_where_the_policy_orders_them() {
    let (mut state, mut world) = fresh_under(|policy| policy.plane_order = vec![name("inner"), name("edge")]);
    world.lag = true;
    until(&mut state, &mut world, waits_on("PlaneMoving"));
    for _ in 0..20 {
        pass(&mut state, &mut world);
    }
    assert!(world.writes.iter().all(|(plane, _)| *plane == name("inner")), "edge waits until inner was read back");
    world.lag = false;
    until(&mut state, &mut world, waits_on("Approval"));
    let order: Vec<_> = world.writes.iter().map(|(plane, weight)| (plane.as_str(), *weight)).collect();
    let steps = [("inner", percent(10)), ("edge", percent(10)), ("inner", percent(50)), ("edge", percent(50))];
    assert_eq!(order[order.len() - 4..], steps);
    world.bad = 300.0;
    assert_eq!(pass(&mut state, &mut world).actions.len(), 2, "nobody takes turns on the way back");
}

#[test]
fn a_plane_that_had_the_weight_before_the_first_write_has_begun_nothing() {
    let (mut state, mut world) = fresh_under(deny("Thu 00:10 - Thu 00:20"));
    world.planes.insert(name("inner"), percent(10));
    until(&mut state, &mut world, in_phase("Shifting"));
    world.now = minute(10);
    let decision = pass(&mut state, &mut world);
    assert!(opens(&decision) == Some(minute(20)) && world.writes.is_empty(), "{:?}", decision.waiting);
    world.now = minute(20);
    until(&mut state, &mut world, waits_on("Window"));
    assert_eq!(world.writes, [(name("edge"), percent(10))]);
}
