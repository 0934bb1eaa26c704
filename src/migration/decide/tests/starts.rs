//! What has to be seen and settled before the first write, and before the first weight.

use super::world::*;
use crate::migration::command::Request;
use crate::migration::waiting::WaitingOn;
use crate::policy::Weight;

/// What is wrong with the world.
type Change = fn(&mut World);

#[test]
fn a_plane_may_begin_at_the_first_weight_and_not_above_it() {
    for (weight, blocked) in [(0, false), (10, false), (11, true), (100, true)] {
        let (mut state, mut world) = fresh();
        world.planes.insert(name("inner"), percent(weight));
        let decision = pass(&mut state, &mut world);
        assert_eq!((state.phase.name() == "Preparing", decision.needs_human), (blocked, blocked), "{weight}");
        let told = format!("inner is at {weight}% already, above the policy's first weight");
        let expected = blocked.then(|| WaitingOn::Blocked { problems: vec![told] });
        assert_eq!(decision.waiting, expected);
    }
}

#[test]
fn what_stands_in_the_way_is_named_before_the_first_write_and_asks_for_a_person() {
    let wrongs: [Change; 2] =
        [|world| world.problems = vec!["wrong".into()], |world| world.misfits = vec!["wrong".into()]];
    for wrong in wrongs {
        let (mut state, mut world) = fresh();
        wrong(&mut world);
        for _ in 0..3 {
            let decision = pass(&mut state, &mut world);
            assert_eq!(decision.waiting, Some(WaitingOn::Blocked { problems: vec!["wrong".into()] }));
            assert!(decision.needs_human && state.phase.name() == "Preparing" && state.ledger.is_empty());
        }
    }
}

#[test]
fn a_selection_that_is_in_doubt_gives_no_target_its_first_weight() {
    let (mut state, mut world) = fresh();
    until(&mut state, &mut world, in_phase("Mirroring"));
    (world.applied, world.misfits) = (true, vec!["nothing is selected".into()]);
    for _ in 0..3 {
        let decision = pass(&mut state, &mut world);
        assert_eq!(decision.waiting, Some(WaitingOn::Blocked { problems: vec!["nothing is selected".into()] }));
    }
    world.misfits.clear();
    until(&mut state, &mut world, in_phase("Shifting"));
}

#[test]
fn everything_is_seen_before_the_origin_is_recorded() {
    let unseen: [(&str, Change); 2] = [
        ("Unobserved", |world| world.clusters = false),
        ("PlaneUnreachable", |world| world.unreachable.push(name("inner"))),
    ];
    for (reason, hide) in unseen {
        let (mut state, mut world) = fresh();
        hide(&mut world);
        let decision = pass(&mut state, &mut world);
        assert!(waits_on(reason)(&state, &decision) && !decision.needs_human, "{:?}", decision.waiting);
        assert!(state.phase.origin().is_none());
    }
    let (state, mut world) = fresh();
    let mut snapshot = world.snapshot();
    snapshot.planes.remove(&name("inner"));
    let decision = crate::migration::decide(&state, &snapshot);
    assert!(waits_on("PlaneUnreachable")(&state, &decision), "it was not looked at: {:?}", decision.waiting);
}

#[test]
fn the_origin_is_what_was_there_and_a_pause_before_it_writes_nothing() {
    let (mut state, mut world) = fresh();
    world.ask(Request::Pause);
    let decision = pass(&mut state, &mut world);
    assert!(waits_on("Paused")(&state, &decision) && state.phase.name() == "Preparing", "{:?}", decision.waiting);
    world.planes.insert(name("edge"), percent(5));
    world.ask(Request::Resume);
    pass(&mut state, &mut world);
    let origin = state.phase.origin().unwrap().clone();
    let weights: Vec<_> = origin.planes.values().map(|plane| plane.weight).collect();
    assert_eq!(weights, [percent(5), Weight::ZERO]);
    assert_eq!(origin.replicas.values().copied().collect::<Vec<_>>(), [4]);
    let left: Vec<_> = state.ledger.values().map(|entry| entry.desired()).collect();
    assert_eq!(left, weights);
}
