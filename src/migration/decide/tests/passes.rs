//! What holds of every pass: when the next follows, and whom a long silence calls.

use jiff::SignedDuration;

use super::answers::at;
use super::world::*;
use crate::analysis::lasting::Since;
use crate::gate::Verdict;
use crate::migration::command::Request;
use crate::migration::decide::decide;
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

#[test]
fn a_metric_that_is_silent_beyond_its_budget_calls_a_person_while_the_target_is_judged() {
    let analysis = fresh().0.assignment.policy.analysis.clone();
    let (budget, second) = (analysis.metrics[0].silence.no_data_budget, SignedDuration::from_secs(1));
    let silent = |place: &str, long: SignedDuration| {
        let (mut state, mut world) = at(place);
        let since = Since::default().look(world.now - long, analysis.window, None, Some(Verdict::NoData));
        state.lasting.insert(name("errors"), since);
        world.prometheus = Ok(false);
        (state, world)
    };
    for (place, judged) in [
        ("in a window", true),
        ("at an approval", true),
        ("soaking", true),
        ("mirroring", false),
        ("on the way back at once", false),
        ("committing", false),
    ] {
        for (long, spent) in [(budget - second, false), (budget, true)] {
            let (state, mut world) = silent(place, long);
            let decision = decide(&state, &world.snapshot());
            assert_eq!(decision.needs_human, judged && spent, "{place}, silent for {long:#}");
        }
        let (state, mut world) = silent(place, budget);
        world.prometheus = Ok(true);
        assert!(!decide(&state, &world.snapshot()).needs_human, "{place}, and it speaks again");
    }
    let (state, mut world) = silent("in a window", budget);
    world.target_ready = 0;
    let decision = decide(&state, &world.snapshot());
    assert_eq!(
        (decision.state.phase.name(), decision.needs_human),
        ("RollingBack", false),
        "nobody has to, it goes back"
    );
}
