//! What people are answered, wherever a migration may stand when they ask.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::SignedDuration;

use super::world::*;
use crate::migration::command::{Reply, Request};
use crate::migration::decide::{Decision, decide};
use crate::migration::state::{Phase, State};
use crate::policy::{OnAbort, RollbackMode};

/// What happens on the road to a place, each until a phase or a wait is reached.
pub type Road = [(&'static str, &'static str)];

pub const PLACES: [(&str, &Road); 18] = [
    ("preparing", &[]),
    ("mirroring", &[("no pods", "WorkloadReady")]),
    ("moving", &[("planes lag", "PlaneMoving")]),
    ("in a window", &[("", "Window")]),
    ("at a pause", &[("", "PauseStep")]),
    ("at an approval", &[("", "Approval")]),
    ("paused", &[("", "Window"), ("pause", "Paused")]),
    ("in a drill", &[("", "Approval"), ("drill", "Drill")]),
    (
        "late from a drill",
        &[("", "Approval"), ("drill", "Drill"), ("a minute", "Drill"), ("planes follow", "DrillLate")],
    ),
    ("soaking", &[("", "Approval"), ("approve", "Soak")]),
    ("soaked", &[("", "Approval"), ("approve", "Commit")]),
    ("soaked and paused", &[("", "Approval"), ("approve", "Commit"), ("pause", "Paused")]),
    ("committing", &[("", "Approval"), ("approve", "Commit"), ("commit", "Committing")]),
    ("completed", &[("", "Approval"), ("approve", "Commit"), ("commit", "Completed")]),
    ("on the way back by steps", &[("", "Approval"), ("rollback", "RollingBack")]),
    ("on the way back at once", &[("", "Approval"), ("abort", "RollingBack")]),
    ("clearing", &[("", "Approval"), ("planes follow", "Approval"), ("abort", "Clearing")]),
    ("back", &[("", "PauseStep"), ("bad", "RolledBack")]),
];

fn happen(world: &mut World, event: &str) {
    match event {
        "" => {}
        "no pods" => world.target_ready = 0,
        "planes lag" => world.lag = true,
        "planes follow" => world.lag_back = false,
        "a minute" => world.now += SignedDuration::from_mins(1),
        "bad" => (world.bad, world.lag_back) = (300.0, false),
        request => world.ask(requests().remove(request).unwrap()),
    }
}

fn requests() -> BTreeMap<&'static str, Request> {
    let why = || "enough".to_owned();
    [
        ("pause", Request::Pause),
        ("resume", Request::Resume),
        ("approve", Request::Approve),
        ("drill", Request::Drill),
        ("rollback", Request::Rollback { why: why() }),
        ("abort", Request::Abort { why: why() }),
        ("commit", Request::Commit),
    ]
    .into()
}

/// A migration that stands there. What goes back lags, goes by the policy's weights, and leaves nothing on the target.
pub fn at(place: &str) -> (State, World) {
    let (mut state, mut world) = fresh_under(|policy| policy.rollback.mode = RollbackMode::Stepped);
    let mut assignment = (*state.assignment).clone();
    assignment.migration.on_abort = OnAbort::Delete;
    state.assignment = assignment.into();
    world.brought = vec![crate::cluster::ObjectRef::new("ConfigMap", "shop", "a")];
    world.shared = world.brought.clone();
    world.lag_back = true;
    let (_, road) = PLACES.iter().find(|(name, _)| *name == place).unwrap();
    for (event, reached) in *road {
        happen(&mut world, event);
        until(&mut state, &mut world, |state, decision| {
            in_phase(reached)(state, decision) || waits_on(reached)(state, decision)
        });
    }
    (state, world)
}

/// The answer to one request, and what that pass comes to.
fn ask(state: &State, world: &World, request: Request) -> (Reply, Decision) {
    let mut asked = world.clone();
    asked.ask(request);
    let decision = decide(state, &asked.snapshot());
    (decision.replies[0].clone(), decision)
}

/// Where a migration stands, in a few words.
fn told(state: &State) -> String {
    let paused = state.paused.as_ref().map_or("", |_| ", paused");
    let way = match &state.phase {
        Phase::RollingBack { way, .. } => format!(" {way:?}"),
        Phase::Shifting(shifting) => format!(" {}", shifting.step),
        _ => String::new(),
    };
    format!("{}{way}{paused}", state.phase.name())
}

#[test]
fn everybody_is_answered_wherever_it_stands() {
    let mut table = String::new();
    for (name, request) in requests() {
        let mut answers: BTreeMap<(bool, String), Vec<String>> = BTreeMap::new();
        for (place, _) in PLACES {
            let (state, world) = at(place);
            let (reply, decision) = ask(&state, &world, request.clone());
            let place =
                if reply.accepted { format!("{place} → {}", told(&decision.state)) } else { place.to_owned() };
            answers.entry((!reply.accepted, reply.message)).or_default().push(place);
        }
        writeln!(table, "{name}").unwrap();
        for ((refused, message), places) in answers {
            writeln!(table, "  {}: {message}", if refused { "refused" } else { "accepted" }).unwrap();
            places.iter().for_each(|place| writeln!(table, "      {place}").unwrap());
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn what_is_refused_changes_nothing() {
    for (place, _) in PLACES {
        let (state, world) = at(place);
        let mut expected = decide(&state, &world.clone().snapshot());
        for (name, request) in requests() {
            let (reply, decision) = ask(&state, &world, request);
            if !reply.accepted {
                expected.replies = decision.replies.clone();
                expected.state.answers = decision.replies.as_slice().into();
                assert_eq!(decision, expected, "{name} {place}");
            }
        }
    }
}

#[test]
fn a_command_that_comes_again_gets_the_same_answer_and_is_not_obeyed_twice() {
    let (mut state, mut world) = at("at a pause");
    world.ask(Request::Pause);
    let pause = world.commands.clone();
    let given = pass(&mut state, &mut world).replies;
    assert!(given[0].accepted && state.paused.is_some());
    // Passes in which nobody asks for anything do not forget it.
    pass(&mut state, &mut world);
    state.paused = None;
    world.commands = pause;
    assert_eq!(pass(&mut state, &mut world).replies, given);
    assert_eq!(state.paused, None, "it was obeyed once");
    world.ask(Request::Pause);
    assert!(pass(&mut state, &mut world).replies[0].accepted && state.paused.is_some(), "another command is");
}

#[test]
fn who_approved_is_kept_with_the_weight_of_the_step() {
    let (mut state, mut world) = at("at an approval");
    world.ask(Request::Approve);
    world.ask(Request::Approve);
    let replies = pass(&mut state, &mut world).replies;
    assert_eq!(replies.iter().map(|reply| reply.accepted).collect::<Vec<_>>(), [true, false], "one is enough");
    let kept: Vec<_> = state.approvals.iter().map(|kept| (kept.weight, kept.mark.by.as_str())).collect();
    assert_eq!(kept, [(percent(50), "ada")]);
}
