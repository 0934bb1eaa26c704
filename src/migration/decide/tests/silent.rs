//! Budgets of silence across passes, crashes and rests.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::answers::at;
use super::world::*;
use crate::migration::command::Reply;
use crate::migration::decide::{Decision, Written, decide};
use crate::migration::state::*;
use crate::policy::metric::{OnNoData, Silence};

const BUDGET: SignedDuration = SignedDuration::from_secs(60);

/// A migration whose first step is being judged, under a policy with short budgets.
fn judged(on_no_data: OnNoData) -> (State, World) {
    let silence = Silence { on_no_data, no_data_budget: BUDGET, error_budget: BUDGET };
    let (mut state, mut world) = fresh_under(|policy| policy.analysis.metrics[0].silence = silence);
    until(&mut state, &mut world, waits_on("Window"));
    (state, world)
}

/// A process begins after such a rest with what the one before it wrote; the clock went on meanwhile.
fn restart(state: &mut State, world: &mut World, rest: SignedDuration) {
    world.now += rest;
    *state = state.clone().after_rest(rest);
}

/// Seconds of silence until a pass is as it should be, with a restart after every tenth of them.
fn seconds_until(state: &mut State, world: &mut World, is_so: impl Fn(&State, &Decision) -> bool) -> i64 {
    for second in 0..600 {
        let decision = pass(state, world);
        if is_so(state, &decision) {
            return second;
        }
        if second % 10 == 9 {
            restart(state, world, SignedDuration::from_secs(3 * second));
        }
    }
    panic!("it never came to that: {:?}", state.phase);
}

#[test]
fn no_restart_begins_a_budget_anew() {
    for prometheus in [Ok(false), Err("refused".to_owned())] {
        let (mut state, mut world) = judged(OnNoData::Hold);
        world.prometheus = prometheus.clone();
        let asked = seconds_until(&mut state, &mut world, |_, decision| decision.needs_human);
        assert_eq!(asked, 60, "{prometheus:?}");
        restart(&mut state, &mut world, SignedDuration::from_hours(5));
        assert!(pass(&mut state, &mut world).needs_human, "a budget that was spent stays spent");
        world.prometheus = Ok(true);
        assert!(!pass(&mut state, &mut world).needs_human, "one look that says something begins anew");
        world.prometheus = prometheus;
        assert!(!pass(&mut state, &mut world).needs_human);
    }
}

#[test]
fn no_data_comes_to_what_the_policy_says_whoever_drives() {
    let (mut state, mut world) = judged(OnNoData::Fail);
    world.prometheus = Ok(false);
    let back = |state: &State, _: &Decision| matches!(state.phase, Phase::RollingBack { .. });
    assert_eq!(seconds_until(&mut state, &mut world, back), 60);
    let Phase::RollingBack { cause: Cause::MetricFailed { account, .. }, .. } = &state.phase else { panic!() };
    assert_eq!(account, "no series; for 1m, and onNoData is fail");
    until(&mut state, &mut world, in_phase("RolledBack"));
    assert!(state.lasting.is_empty(), "nothing goes on once the target has no traffic");
}

#[test]
fn a_state_of_a_version_that_kept_no_budgets_is_read() {
    let (mut state, mut world) = judged(OnNoData::Hold);
    let older = serde_json::to_value(&state).unwrap();
    assert_eq!(older.get("lasting"), None, "nothing goes on, and nothing is kept");
    assert_eq!(serde_json::from_value::<State>(older).unwrap(), state);
    let began = world.now.to_string();
    world.prometheus = Ok(false);
    pass(&mut state, &mut world);
    assert_eq!(serde_json::to_value(&state).unwrap()["lasting"]["errors"], serde_json::json!({"noData": began}));
}

#[test]
fn what_begins_is_written_once_a_tenth_of_its_budget_is_spent_and_what_is_over_at_once() {
    for prometheus in [Ok(false), Err("refused".to_owned())] {
        let (mut state, mut world) = at("at an approval");
        pass(&mut state, &mut world);
        let nothing = Written::default();
        let began = world.now;
        world.prometheus = prometheus;
        let mut first = None;
        for _ in 0..100 {
            let decision = decide(&state, &world.snapshot());
            if first.is_none() && decision.is_worth_recording(&state, &nothing, world.now) {
                first = Some(world.now.duration_since(began).as_secs());
            }
            assert!(!decision.is_worth_recording(&state, &decision.state.lasting, world.now), "it is written already");
            pass(&mut state, &mut world);
        }
        assert_eq!(first, Some(60), "of ten minutes");
        let written = state.lasting.clone();
        world.prometheus = Ok(true);
        let decision = decide(&state, &world.snapshot());
        assert!(decision.is_worth_recording(&state, &written, world.now));
        assert!(!decision.is_worth_recording(&state, &nothing, world.now), "nobody would take it for going on");
        // A policy was adopted that has no such metric.
        let mut state = decision.state.clone();
        let mut assignment = (*state.assignment).clone();
        assignment.policy.analysis.metrics.clear();
        state.assignment = assignment.into();
        let decision = Decision { state: state.clone(), ..decision };
        assert!(decision.is_worth_recording(&state, &written, world.now));
    }
}

type Change = fn(&mut State);

#[test]
fn everything_else_about_a_state_is_written_at_once() {
    let (state, mut world) = at("soaking");
    let decision = decide(&state, &world.snapshot());
    let decision = Decision { state: state.clone(), replies: Vec::new(), ..decision };
    let is_written = |decision: &Decision| decision.is_worth_recording(&state, &Written::default(), world.now);
    assert!(!is_written(&decision));
    fn mark() -> Mark {
        Mark { by: "ada".to_owned(), at: Timestamp::UNIX_EPOCH }
    }
    fn reply() -> Reply {
        Reply { id: "1".to_owned(), accepted: true, message: String::new() }
    }
    let changes: [Change; 10] = [
        |state| Arc::make_mut(&mut state.assignment).policy.soak += SignedDuration::from_secs(1),
        |state| state.phase = Phase::Completed { at: Timestamp::MAX },
        |state| state.paused = Some(mark()),
        |state| _ = Arc::make_mut(&mut state.ledger).pop_first(),
        |state| state.answers = [reply()].into(),
        |state| state.working = Some(Timestamp::MAX),
        |state| {
            let action = crate::migration::Action::DrainSource { plane: name("edge") };
            state.retries.push(Retry { action, failures: 1, at: mark().at, error: String::new(), unseen: false });
        },
        |state| state.approvals = [Approved { weight: percent(10), mark: mark() }].into(),
        |state| state.drills.push(Drilled { at: mark().at, weight: percent(10), took: SignedDuration::ZERO }),
        |state| state.letting = Some(Letting { up_to: 1, mark: mark() }),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut changed = decision.clone();
        change(&mut changed.state);
        assert!(is_written(&changed), "change {number}");
    }
    assert!(is_written(&Decision { replies: vec![reply()], ..decision }), "what is answered is");
}
