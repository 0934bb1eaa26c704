//! What is applied and deleted while a migration stands, and what an abort leaves on the target.

use jiff::SignedDuration;

use super::world::*;
use crate::cluster::ObjectRef;
use crate::migration::action::Deletion;
use crate::migration::command::Request;
use crate::migration::decide::Decision;
use crate::migration::{Action, State, WaitingOn};
use crate::policy::{OnAbort, Weight};

fn map(name: &str) -> ObjectRef {
    ObjectRef::new("ConfigMap", "shop", name)
}

fn deletions(decision: &Decision) -> Vec<String> {
    let deletion = |action: &Action| matches!(action, Action::DeleteObject { .. }).then(|| action.to_string());
    decision.actions.iter().filter_map(deletion).collect()
}

/// A migration that waits so at some weight.
fn standing(reason: &'static str) -> (State, World) {
    let (mut state, mut world) = fresh();
    until(&mut state, &mut world, waits_on(reason));
    world.writes.clear();
    (state, world)
}

#[test]
fn changes_of_the_source_reach_the_target_while_a_step_waits_and_no_weight_moves() {
    for reason in ["PauseStep", "Approval"] {
        let (mut state, mut world) = standing(reason);
        world.edited = Some(false);
        let decision = pass(&mut state, &mut world);
        assert!(matches!(decision.actions[..], [Action::ApplyObject { .. }]), "{reason}: {:?}", decision.actions);
        assert!(world.edited.is_none() && waits_on("Mirror")(&state, &decision));
        let decision = pass(&mut state, &mut world);
        assert!(waits_on(reason)(&state, &decision), "{:?}", decision.waiting);
        assert!(world.writes.is_empty() && state.drilled().is_none());
    }
}

#[test]
fn a_person_s_pause_keeps_the_target_as_it_is() {
    let (mut state, mut world) = standing("Approval");
    world.ask(Request::Pause);
    (world.edited, world.gone) = (Some(false), vec![map("a")]);
    assert!(pass(&mut state, &mut world).actions.is_empty());
}

#[test]
fn a_source_that_shrank_is_told_of_while_a_step_waits() {
    let (mut state, mut world) = standing("Approval");
    (world.source, world.edited) = (3, Some(false));
    let decision = pass(&mut state, &mut world);
    assert!(waits_on("SourceShrank")(&state, &decision) && decision.actions.is_empty());
}

#[test]
fn what_is_gone_from_the_source_is_deleted_in_every_phase_that_mirrors() {
    for reason in ["Window", "PauseStep", "Approval", "Soak"] {
        let (mut state, mut world) = fresh();
        if reason == "Soak" {
            until(&mut state, &mut world, waits_on("Approval"));
            world.ask(Request::Approve);
        }
        until(&mut state, &mut world, waits_on(reason));
        world.gone = vec![map("a")];
        let decision = pass(&mut state, &mut world);
        assert_eq!(deletions(&decision), ["delete ConfigMap shop/a, gone from the source"], "{reason}");
        assert!(world.gone.is_empty());
    }
}

#[test]
fn a_workload_of_the_origin_is_never_deleted() {
    let (mut state, mut world) = standing("Approval");
    world.gone = vec![ObjectRef::new("Deployment", "shop", "web")];
    let decision = pass(&mut state, &mut world);
    assert!(decision.actions.is_empty() && waits_on("Approval")(&state, &decision));
}

#[test]
fn much_at_once_waits_for_a_person_and_what_comes_on_top_asks_again() {
    let (mut state, mut world) = standing("Window");
    world.gone = vec![map("a"), map("b")];
    for _ in 0..3 {
        let decision = pass(&mut state, &mut world);
        assert!(decision.actions.is_empty() && decision.needs_human, "{:?}", decision.actions);
        let expected = WaitingOn::ManyGone { gone: 2, all: 3, some: vec![map("a"), map("b")] };
        assert_eq!(decision.waiting, Some(expected));
    }
    world.gone.push(map("c"));
    world.ask(Request::Approve);
    let decision = pass(&mut state, &mut world);
    assert!(decision.replies[0].accepted, "{:?}", decision.replies);
    assert_eq!(deletions(&decision).len(), 3);
    world.gone = (0..4).map(|at| map(&at.to_string())).collect();
    let decision = pass(&mut state, &mut world);
    assert!(decision.actions.is_empty() && waits_on("ManyGone")(&state, &decision), "three were let go, not four");
    world.gone.clear();
    until(&mut state, &mut world, waits_on("PauseStep"));
    assert_eq!(state.letting, None, "the word is good for once");
    world.gone = vec![map("a"), map("b"), map("c")];
    assert!(deletions(&pass(&mut state, &mut world)).is_empty());
}

#[test]
fn an_approval_answers_what_is_asked_and_not_the_step_behind_it() {
    let (mut state, mut world) = standing("Approval");
    world.gone = vec![map("a"), map("b")];
    world.ask(Request::Approve);
    assert_eq!(deletions(&pass(&mut state, &mut world)).len(), 2);
    let decision = pass(&mut state, &mut world);
    assert!(waits_on("Approval")(&state, &decision) && state.approvals.is_empty());
}

#[test]
fn nothing_is_deleted_unasked_while_the_selection_is_in_doubt() {
    let (mut state, mut world) = standing("Approval");
    (world.gone, world.misfits) = (vec![map("a")], vec!["nothing is selected in namespace shop".into()]);
    let decision = pass(&mut state, &mut world);
    assert!(decision.actions.is_empty() && waits_on("ManyGone")(&state, &decision));
}

#[test]
fn deletions_that_fail_are_tried_again_and_named() {
    let (mut state, mut world) = standing("Approval");
    world.gone = vec![map("a")];
    let action = Action::DeleteObject { object: map("a"), because: Deletion::Gone };
    for failures in 1..3 {
        pass(&mut state, &mut world);
        world.gone = vec![map("a")];
        world.outcomes[0].error = Some("forbidden".into());
        let decision = crate::migration::decide(&state, &world.clone().snapshot());
        assert!(decision.state.retries.iter().any(|retry| retry.action == action && retry.failures == failures));
        assert!(waits_on("ActionFailed")(&state, &decision), "{:?}", decision.waiting);
    }
}

/// A migration that clears its target after an abort, at 50 %.
fn clearing() -> (State, World) {
    let (mut state, mut world) = standing("Approval");
    let mut assignment = (*state.assignment).clone();
    assignment.migration.on_abort = OnAbort::Delete;
    state.assignment = assignment.into();
    world.brought = vec![map("a"), map("b")];
    (state, world)
}

#[test]
fn an_abort_clears_the_target_once_every_plane_is_back_and_drained() {
    let (mut state, mut world) = clearing();
    world.in_flight = 3;
    world.lag_back = true;
    world.ask(Request::Abort { why: String::new() });
    for _ in 0..3 {
        let decision = pass(&mut state, &mut world);
        assert!(deletions(&decision).is_empty(), "planes are on their way: {:?}", decision.actions);
    }
    world.lag_back = false;
    until(&mut state, &mut world, waits_on("Drain"));
    assert!(world.planes.values().all(|weight| *weight == Weight::ZERO));
    world.in_flight = 0;
    let decision = pass(&mut state, &mut world);
    assert_eq!(deletions(&decision), ["delete ConfigMap shop/b", "delete ConfigMap shop/a"]);
    until(&mut state, &mut world, in_phase("RolledBack"));
    assert!(world.brought.is_empty());
}

#[test]
fn requests_under_way_are_answered_before_the_target_is_cleared_until_the_deadline() {
    let (mut state, mut world) = clearing();
    world.in_flight = 1;
    world.ask(Request::Abort { why: String::new() });
    let due = world.now + state.assignment.policy.rollback.deadline;
    until(&mut state, &mut world, waits_on("Drain"));
    for (at, clears) in [(due, false), (due + SignedDuration::from_millis(1), true)] {
        world.now = at;
        assert_eq!(!deletions(&pass(&mut state, &mut world)).is_empty(), clears);
    }
}

#[test]
fn a_target_that_has_traffic_in_the_origin_is_never_cleared() {
    let (mut state, mut world) = fresh();
    world.planes.insert(name("inner"), percent(10));
    until(&mut state, &mut world, waits_on("Approval"));
    let mut assignment = (*state.assignment).clone();
    assignment.migration.on_abort = OnAbort::Delete;
    (state.assignment, world.brought) = (assignment.into(), vec![map("a")]);
    world.ask(Request::Abort { why: String::new() });
    until(&mut state, &mut world, in_phase("RolledBack"));
    assert_eq!(world.brought, [map("a")]);
}

#[test]
fn what_is_somebody_else_s_too_stays_and_holds_up_nothing() {
    let (mut state, mut world) = clearing();
    world.shared = vec![map("a")];
    world.ask(Request::Abort { why: String::new() });
    until(&mut state, &mut world, in_phase("RolledBack"));
    assert_eq!(world.brought, [map("a")]);
}

#[test]
fn a_plane_that_leaves_the_origin_meanwhile_is_brought_back_first() {
    let (mut state, mut world) = clearing();
    world.in_flight = 1;
    world.ask(Request::Abort { why: String::new() });
    until(&mut state, &mut world, waits_on("Drain"));
    world.planes.insert(name("edge"), percent(50));
    world.in_flight = 0;
    let decision = pass(&mut state, &mut world);
    assert!(matches!(decision.actions[..], [Action::RestorePlane { .. }]), "{:?}", decision.actions);
    until(&mut state, &mut world, in_phase("RolledBack"));
    assert!(world.brought.is_empty() && world.planes.values().all(|weight| *weight == Weight::ZERO));
}

#[test]
fn a_second_abort_leaves_the_rest_on_a_target_that_cannot_be_cleared() {
    let (mut state, mut world) = clearing();
    world.ask(Request::Abort { why: String::new() });
    until(&mut state, &mut world, in_phase("RollingBack"));
    world.clusters = false;
    until(&mut state, &mut world, waits_on("Unobserved"));
    world.ask(Request::Abort { why: String::new() });
    pass(&mut state, &mut world);
    assert_eq!((state.phase.name(), world.brought.len()), ("RolledBack", 2));
}

#[test]
fn nothing_is_cleared_unless_the_migration_says_so_and_a_person_asked() {
    let retain = || {
        let (mut state, world) = clearing();
        let mut assignment = (*state.assignment).clone();
        assignment.migration.on_abort = OnAbort::Retain;
        state.assignment = assignment.into();
        (state, world)
    };
    let (mut state, mut world) = retain();
    world.ask(Request::Abort { why: String::new() });
    until(&mut state, &mut world, in_phase("RolledBack"));
    assert_eq!(world.brought.len(), 2);
    let (mut state, mut world) = clearing();
    world.bad = 300.0;
    until(&mut state, &mut world, in_phase("RolledBack"));
    assert_eq!(world.brought.len(), 2, "what failed is kept, to be looked at");
}

/// A migration that waits for a commit.
fn at_the_end() -> (State, World) {
    let (mut state, mut world) = standing("Approval");
    world.ask(Request::Approve);
    until(&mut state, &mut world, waits_on("Commit"));
    (state, world)
}

#[test]
fn a_cron_job_sleeps_on_the_source_before_it_wakes_on_the_target() {
    let (mut state, mut world) = at_the_end();
    assert_eq!(world.job, (false, true), "nothing of that before commit");
    world.ask(Request::Commit);
    until(&mut state, &mut world, in_phase("Completed"));
    assert_eq!(world.job, (true, false));
}

#[test]
fn a_cron_job_that_somebody_wakes_on_the_source_is_put_to_sleep_before_the_other_wakes() {
    let (mut state, mut world) = at_the_end();
    world.ask(Request::Commit);
    until(&mut state, &mut world, waits_on("Jobs"));
    for _ in 0..3 {
        world.job = (false, true);
        let decision = pass(&mut state, &mut world);
        assert!(matches!(decision.actions[..], [Action::SuspendSource { .. }]), "{:?}", decision.actions);
    }
    until(&mut state, &mut world, in_phase("Completed"));
    assert_eq!(world.job, (true, false));
}

#[test]
fn a_cron_job_that_slept_before_the_commit_sleeps_on() {
    let (mut state, mut world) = at_the_end();
    world.job = (true, true);
    world.ask(Request::Commit);
    until(&mut state, &mut world, in_phase("Completed"));
    assert_eq!(world.job, (true, true));
}
