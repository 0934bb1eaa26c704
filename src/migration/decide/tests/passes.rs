//! What holds of every pass: when the next follows, and whom a long silence calls.

use jiff::SignedDuration;

use super::answers::at;
use super::world::*;
use crate::analysis::lasting::Lasting;
use crate::analysis::record::Learnt;
use crate::migration::command::Request;
use crate::migration::decide::decide;
use crate::migration::snapshot::{SidePair, Snapshot};
use crate::migration::{Outcome, State};

#[test]
fn the_next_look_follows_at_once_where_something_changed_or_is_tried_that_was_not_before() {
    let (mut state, mut world) = fresh();
    world.lag = true;
    // The origin is recorded, an object applied, the phase left, weights written: each is a reason.
    let moved = |state: &mut State, world: &mut World| {
        let (before, snapshot) = (state.clone(), world.clone().snapshot());
        pass(state, world).moves(&before, &snapshot)
    };
    for what in ["origin", "mirror", "shifting", "writing"] {
        assert!(moved(&mut state, &mut world), "{what}");
    }
    // What was tried and does not show yet is no news.
    assert!(!moved(&mut state, &mut world));
    // Another plane's action among them is.
    world.outcomes.pop();
    assert!(moved(&mut state, &mut world));
    let (mut state, mut world) = at("at an approval");
    assert!(!moved(&mut state, &mut world), "a wait");
    world.ask(Request::Pause);
    assert!(moved(&mut state, &mut world), "a pause");
    world.ask(Request::Pause);
    assert!(!moved(&mut state, &mut world), "an answer changes nothing");
}

#[test]
fn what_was_tried_alone_does_not_hurry_a_pass_that_tries_nothing() {
    let (state, mut world) = at("at an approval");
    let mut snapshot = world.snapshot();
    let action = crate::migration::Action::RestorePlane { plane: name("edge"), setting: 0.into() };
    snapshot.outcomes = vec![Outcome { action, error: None }];
    assert!(!decide(&state, &snapshot).moves(&state, &snapshot));
}

/// What is seen where the metric has said nothing for so long.
fn silent(world: &World, long: SignedDuration) -> Snapshot {
    let mut snapshot = World { prometheus: Ok(false), ..world.clone() }.snapshot();
    let gathered = SidePair { source: (0.0, 0.0), target: (0.0, 0.0) };
    let lasting = Lasting { no_data: long, ..Lasting::default() };
    snapshot.learnt = [(name("errors"), Learnt { above: 0.0, worse: 0.0, gathered, lasting })].into();
    snapshot
}

#[test]
fn a_metric_that_is_silent_beyond_its_budget_calls_a_person_while_the_target_is_judged() {
    let budget = fresh().0.assignment.policy.analysis.metrics[0].silence.no_data_budget;
    let second = SignedDuration::from_secs(1);
    for (place, judged) in [
        ("in a window", true),
        ("at an approval", true),
        ("soaking", true),
        ("mirroring", false),
        ("on the way back at once", false),
        ("committing", false),
    ] {
        let (state, world) = at(place);
        for (long, spent) in [(budget - second, false), (budget, true)] {
            let decision = decide(&state, &silent(&world, long));
            assert_eq!(decision.needs_human, judged && spent, "{place}, silent for {long:#}");
        }
        let mut spoken = silent(&world, budget);
        spoken.metrics = world.clone().snapshot().metrics;
        assert!(!decide(&state, &spoken).needs_human || !judged, "{place}, and it speaks again");
    }
}
