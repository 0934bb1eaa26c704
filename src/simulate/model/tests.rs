//! Nothing is broken within the bounds, and what is planted is found.

use std::sync::Arc;

use super::*;
use crate::migration::state::{Entry, Phase, Shifting};
use crate::migration::{Action, decide};

#[test]
fn no_promise_is_broken_within_the_bounds() {
    let mut states = 0;
    for bounds in Bounds::SMALL {
        let found = explore(&sample().unwrap(), bounds, Fence::Up, decide);
        println!("{bounds}:\n  {found}");
        assert!(found.broken.is_none(), "{bounds}: {found}");
        states += found.states;
    }
    assert!(states > 30_000, "{states} states");
}

/// The promise a planted mistake breaks.
fn planted(fence: Fence, wrong: impl Fn(&State, &Snapshot) -> Decision + Copy) -> Option<Promise> {
    Bounds::SMALL.into_iter().find_map(|bounds| {
        let found = explore(&sample().unwrap(), bounds, fence, wrong);
        let (broken, story) = found.broken?;
        println!("{broken}, in {} steps", story.len());
        Some(broken.promise)
    })
}

#[test]
fn a_former_leader_that_is_not_fenced_is_found() {
    assert!(planted(Fence::Down, decide).is_some());
}

#[test]
fn writing_over_drift_is_found() {
    let wrong = |state: &State, snapshot: &Snapshot| {
        let mut state = state.clone();
        for (plane, entry) in Arc::make_mut(&mut state.ledger) {
            let strange =
                snapshot.planes.get(plane).and_then(|seen| seen.known()).filter(|view| !entry.explains(view.weight));
            strange.into_iter().for_each(|view| *entry = Entry::Settled(view.weight));
        }
        decide(&state, snapshot)
    };
    assert_eq!(planted(Fence::Up, wrong), Some(Promise::Drift));
}

#[test]
fn a_rollback_that_does_not_write_is_found() {
    let wrong = |state: &State, snapshot: &Snapshot| {
        let mut decision = decide(state, snapshot);
        decision.actions.retain(|action| !matches!(action, Action::RestorePlane { .. }));
        decision
    };
    assert_eq!(planted(Fence::Up, wrong), Some(Promise::WayBack));
}

#[test]
fn a_source_that_is_let_go_too_soon_is_found() {
    let wrong = |state: &State, snapshot: &Snapshot| {
        let mut decision = decide(state, snapshot);
        if let Phase::Shifting(Shifting { origin, step: 1, .. }) = &decision.state.phase {
            let scale =
                |(workload, from): (&_, &u32)| Action::ScaleSource { workload: Clone::clone(workload), from: *from };
            decision.actions.extend(origin.replicas.iter().map(scale));
        }
        decision
    };
    assert_eq!(planted(Fence::Up, wrong), Some(Promise::SourceKept));
}

#[test]
fn forgetting_a_write_on_its_way_is_found() {
    let wrong = |state: &State, snapshot: &Snapshot| {
        let mut state = state.clone();
        if let Phase::RollingBack { .. } = state.phase {
            Arc::make_mut(&mut state.ledger).values_mut().for_each(|entry| *entry = Entry::Settled(entry.desired()));
        }
        decide(&state, snapshot)
    };
    assert_eq!(planted(Fence::Up, wrong), Some(Promise::WayBack));
}
