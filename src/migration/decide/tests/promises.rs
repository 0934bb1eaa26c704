//! One property a promise, named after it, over arbitrary states and snapshots; and for each a planted bug that it catches.
//!
//! What a property says it says without asking the gates: in plain fractions, strict enough that both agree wherever it speaks.
//! Promises 9 (registries), 11 (Secrets) and 12 (input) are not `decide`'s to keep.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::situation::*;
use super::world::{name, percent};
use crate::migration::Action;
use crate::migration::command::Request;
use crate::migration::decide::{Decision, decide};
use crate::migration::snapshot::*;
use crate::migration::state::*;
use crate::migration::waiting::Sort;
use crate::policy::{Name, Step, Weight};

/// One pass: what was, what was seen, and what was decided.
struct Pass<'p> {
    before: &'p State,
    seen: &'p Snapshot,
    decision: &'p Decision,
}

type Kept = Result<(), String>;

/// Whether a way to decide keeps a promise in every situation.
fn keeps(promise: fn(&Pass<'_>) -> Kept, decide: impl Fn(&State, &Snapshot) -> Decision) -> Kept {
    let mut runner = TestRunner::new_with_rng(
        Config { cases: 2_048, failure_persistence: None, ..Config::default() },
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let run = runner.run(&vec(any::<u8>(), THROWS), |throws| {
        let Situation { state, snapshot } = situation(&throws);
        let decision = decide(&state, &snapshot);
        let pass = Pass { before: &state, seen: &snapshot, decision: &decision };
        promise(&pass)
            .map_err(|broken| TestCaseError::fail(format!("{broken}\n{state:#?}\n{snapshot:#?}\n{decision:#?}")))
    });
    run.map_err(|error| error.to_string())
}

macro_rules! promise {
    ($kept:ident, $caught:ident, $promise:ident, $planted:expr) => {
        #[test]
        fn $kept() {
            keeps($promise, decide).unwrap();
        }

        #[test]
        fn $caught() {
            assert!(keeps($promise, $planted).is_err(), "a planted bug went by unseen");
        }
    };
}

fn hold(condition: bool, broken: impl FnOnce() -> String) -> Kept {
    if condition { Ok(()) } else { Err(broken()) }
}

impl Pass<'_> {
    fn after(&self) -> &State {
        &self.decision.state
    }

    fn shown(&self, plane: &Name) -> Option<Weight> {
        self.seen.planes.get(plane)?.known().map(|view| view.weight)
    }

    fn asks(&self, request: impl Fn(&Request) -> bool) -> bool {
        self.seen.commands.iter().any(|command| request(&command.request))
    }

    fn ready(
        pods: &Observed<std::collections::BTreeMap<crate::cluster::ObjectRef, crate::cluster::Replicas>>,
    ) -> Option<u32> {
        pods.known()?.get(&web()).map(|pods| pods.ready)
    }

    fn ready_on_target(&self) -> u32 {
        Self::ready(&self.seen.target).unwrap_or_default()
    }

    fn ready_on_source(&self) -> u32 {
        Self::ready(&self.seen.source).unwrap_or_default()
    }

    fn written(&self) -> impl Iterator<Item = (&Name, Weight)> {
        self.decision.actions.iter().filter_map(|action| match action {
            Action::SetWeight { plane, to, .. } => Some((plane, *to)),
            _ => None,
        })
    }

    fn restores(&self, plane: &Name) -> bool {
        let is_it =
            |action: &Action| matches!(action, Action::RestorePlane { plane: restored, .. } if restored == plane);
        self.decision.actions.iter().any(is_it)
    }

    /// The weight that counts as proven after this pass, and since when every plane had been seen at it.
    fn proven(&self) -> Option<(Weight, Option<Timestamp>)> {
        let Phase::Shifting(was) = &self.before.phase else { return None };
        let policy = &self.before.assignment.policy;
        let proven = match &self.after().phase {
            Phase::Shifting(is) if is.step == was.step => {
                was.standing != Standing::Proven && is.standing == Standing::Proven
            }
            Phase::Shifting(_) | Phase::Soaking { .. } => policy.steps[was.step].weight().is_some(),
            _ => false,
        };
        let settled = match was.standing {
            Standing::Settled(at) => Some(at),
            _ => None,
        };
        proven.then(|| (policy.weight_at(was.step).unwrap_or_default(), settled))
    }

    /// The step that was left.
    fn left(&self) -> Option<(&Shifting, Step)> {
        let Phase::Shifting(was) = &self.before.phase else { return None };
        let stays = matches!(&self.after().phase, Phase::Shifting(is) if is.step == was.step);
        let goes_on = matches!(self.after().phase, Phase::Shifting(_) | Phase::Soaking { .. });
        (goes_on && !stays).then(|| (was, self.before.assignment.policy.steps[was.step]))
    }

    fn began_to_go_back(&self) -> Option<&Cause> {
        let cause = |state: &State| match &state.phase {
            Phase::RollingBack { cause, .. } | Phase::RolledBack { cause, .. } => Some(cause.clone()),
            _ => None,
        };
        if cause(self.before).is_some() {
            return None;
        }
        match &self.after().phase {
            Phase::RollingBack { cause, .. } | Phase::RolledBack { cause, .. } => Some(cause),
            _ => None,
        }
    }
}

fn is_late(since: Option<Timestamp>, deadline: SignedDuration) -> bool {
    since.is_some_and(|since| now().duration_since(since) > deadline)
}

/// 1: weights move as the steps say, one step at a time, and on the way back only down.
fn step_by_step(pass: &Pass<'_>) -> Kept {
    let policy = &pass.after().assignment.policy;
    for (plane, to) in pass.written() {
        let shown = pass.shown(plane);
        let right = match &pass.after().phase {
            Phase::Shifting(is) => {
                let entry = pass.after().ledger[plane];
                policy.weight_at(is.step) == Some(to)
                    && entry.desired() == to
                    && shown.is_some_and(|at| entry.explains(at))
            }
            Phase::RollingBack { .. } => policy.weights().any(|weight| weight == to) && shown.is_none_or(|at| to < at),
            _ => false,
        };
        hold(right, || format!("{plane} goes from {shown:?} to {to}"))?;
    }
    let last = policy.steps.len() - 1;
    let follows = match (&pass.before.phase, &pass.after().phase) {
        (Phase::Shifting(was), Phase::Shifting(is)) => is.step == was.step || is.step == was.step + 1,
        (Phase::Shifting(was), Phase::Soaking { .. }) => was.step == last,
        (Phase::Mirroring { .. }, Phase::Shifting(is)) => is.step == 0,
        (was, Phase::Shifting(_)) => matches!(was, Phase::Mirroring { .. }),
        (was, Phase::Soaking { .. }) => matches!(was, Phase::Soaking { .. }),
        (was, Phase::Committing { .. }) => matches!(was, Phase::Soaking { .. } | Phase::Committing { .. }),
        (was, Phase::Completed { .. }) => matches!(was, Phase::Committing { .. }),
        _ => true,
    };
    hold(follows, || "a step was skipped".to_owned())
}

promise!(
    promise_01_weights_move_step_by_step,
    promise_01_catches_a_weight_that_jumps,
    step_by_step,
    |state: &State, snapshot: &Snapshot| {
        let mut decision = decide(state, snapshot);
        for action in &mut decision.actions {
            if let Action::SetWeight { to, .. } = action {
                *to = Weight::FULL;
            }
        }
        decision
    }
);

/// 2: no side is given requests that it has no ready pods for; a way back that waits for pods really does.
fn capacity_first(pass: &Pass<'_>) -> Kept {
    let shifts = matches!(pass.after().phase, Phase::Shifting(_));
    for (plane, to) in pass.written().filter(|_| shifts) {
        hold(pass.ready_on_target() >= to.ceil_of(DEMAND), || format!("{plane} gets {to}"))?;
    }
    if let (Phase::RollingBack { way: Way::CapacityGated(_), since, .. }, true) =
        (&pass.before.phase, pass.seen.commands.is_empty())
    {
        let hurries = is_late(Some(*since), pass.before.assignment.policy.rollback.deadline)
            || Pass::ready(&pass.seen.target) == Some(0);
        let restores = pass.decision.actions.iter().any(|action| matches!(action, Action::RestorePlane { .. }));
        hold(hurries || !restores || pass.ready_on_source() >= DEMAND, || "it goes all the way back".to_owned())?;
        for (plane, to) in pass.written() {
            hold(pass.ready_on_source() >= to.complement().ceil_of(DEMAND), || format!("{plane} goes back to {to}"))?;
        }
    }
    let drills =
        |state: &State| matches!(&state.phase, Phase::Shifting(Shifting { standing: Standing::Drilling(_), .. }));
    let begins = drills(pass.after()) && !drills(pass.before);
    hold(!begins || pass.ready_on_source() >= DEMAND, || "a drill begins".to_owned())
}

promise!(
    promise_02_no_requests_without_ready_pods,
    promise_02_catches_pods_that_are_only_wished_for,
    capacity_first,
    |state: &State, snapshot: &Snapshot| {
        let mut rosy = snapshot.clone();
        for pods in [&mut rosy.target, &mut rosy.source] {
            if let Observed::Known(pods) = pods {
                pods.values_mut().for_each(|pods| pods.ready = pods.desired);
            }
        }
        decide(state, &rosy)
    }
);

/// 3: nothing on the source shrinks before commit, and then only once nobody is sent there.
fn source_kept(pass: &Pass<'_>) -> Kept {
    let committed = matches!(pass.after().phase, Phase::Committing { .. });
    for action in &pass.decision.actions {
        let right = match action {
            Action::DrainSource { plane } => committed && pass.shown(plane) == Some(Weight::FULL),
            Action::ScaleSource { .. } => {
                committed
                    && pass.seen.planes.values().all(|plane| {
                        plane.known().is_some_and(|view| view.source.usable == 0 && view.weight == Weight::FULL)
                    })
            }
            Action::Release { .. } | Action::SuspendSource { .. } => committed,
            Action::ResumeTarget { .. } => committed && action.precondition().holds(pass.seen),
            Action::DeleteObject { .. } => !committed,
            Action::ApplyObject { .. } | Action::SetWeight { .. } | Action::RestorePlane { .. } => true,
        };
        hold(right, || action.to_string())?;
    }
    Ok(())
}

promise!(
    promise_03_the_source_is_kept_until_commit,
    promise_03_catches_a_source_that_shrinks_early,
    source_kept,
    |state: &State, snapshot: &Snapshot| {
        let mut decision = decide(state, snapshot);
        if matches!(decision.state.phase, Phase::Soaking { .. }) {
            decision.actions.push(Action::ScaleSource { workload: web(), from: DEMAND });
        }
        decision
    }
);

/// 4: an abort is taken in every state before commit and goes at once; back is what was read back.
fn way_back(pass: &Pass<'_>) -> Kept {
    let over = matches!(pass.before.phase, Phase::Committing { .. }) || pass.before.phase.is_terminal();
    let first_word = !pass.asks(|request| *request == Request::Commit);
    if pass.asks(|request| matches!(request, Request::Abort { .. })) && !over && first_word {
        let goes =
            matches!(pass.after().phase, Phase::RollingBack { way: Way::Instant, .. } | Phase::RolledBack { .. });
        hold(goes, || "an abort was not obeyed at once".to_owned())?;
    }
    let Some(origin) = pass.before.phase.origin() else { return Ok(()) };
    for (plane, recorded) in &origin.planes {
        let entry = pass.before.ledger[plane];
        let answered = pass.seen.outcomes.iter().any(|outcome| {
            outcome.error.is_none()
                && matches!(&outcome.action, Action::RestorePlane { plane: restored, .. } if restored == plane)
        });
        let in_flight = matches!(entry, Entry::Moving { .. }) && !answered;
        let home =
            entry == Entry::Settled(recorded.weight) || (pass.shown(plane) == Some(recorded.weight) && !in_flight);
        match &pass.after().phase {
            Phase::RolledBack { .. } => hold(home, || format!("{plane} is not back"))?,
            Phase::RollingBack { way: Way::Instant, .. } => {
                let pauses = pass.after().retries.iter().any(|retry| retry.action.plane() == Some(plane));
                hold(home || pauses || pass.restores(plane), || format!("{plane} is forgotten"))?;
            }
            _ => {}
        }
    }
    Ok(())
}

promise!(
    promise_04_there_is_always_a_way_back,
    promise_04_catches_a_rollback_that_was_not_read_back,
    way_back,
    |state: &State, snapshot: &Snapshot| {
        let mut decision = decide(state, snapshot);
        if let Phase::RollingBack { cause, .. } = decision.state.phase {
            decision.state.phase = Phase::RolledBack { cause, at: snapshot.now };
        }
        decision
    }
);

/// 5: missing data neither advances nor goes back.
fn no_data_holds(pass: &Pass<'_>) -> Kept {
    let target = &pass.seen.metrics[&name("errors")].target;
    let counted = matches!(target, SideSample::Counts { .. });
    hold(counted || pass.proven().is_none(), || "it advances without data".to_owned())?;
    let policy = &pass.before.assignment.policy;
    let right = match pass.began_to_go_back() {
        None => true,
        Some(Cause::MetricFailed { .. }) => matches!(target, SideSample::Counts { bad, total } if bad / total > 0.01),
        Some(Cause::TargetLost { .. }) => Pass::ready(&pass.seen.target) == Some(0),
        Some(Cause::MirrorDeadline { .. }) => is_late(pass.before.working, policy.mirror_deadline),
        Some(Cause::StepDeadline { .. }) => is_late(pass.before.working, policy.step_deadline),
        Some(Cause::Requested { .. }) => {
            pass.asks(|request| matches!(request, Request::Abort { .. } | Request::Rollback { .. }))
        }
    };
    hold(right, || format!("it goes back for {:?}", pass.began_to_go_back()))
}

promise!(
    promise_05_missing_data_neither_advances_nor_goes_back,
    promise_05_catches_missing_data_taken_for_good,
    no_data_holds,
    |state: &State, snapshot: &Snapshot| {
        let mut rosy = snapshot.clone();
        for sample in rosy.metrics.values_mut().filter(|sample| !matches!(sample.target, SideSample::Counts { .. })) {
            sample.target = SideSample::Counts { bad: 0.0, total: 1_000.0 };
        }
        decide(state, &rosy)
    }
);

/// 6: advancing needs positive evidence of this step, and a person where the policy asks for one.
fn evidence(pass: &Pass<'_>) -> Kept {
    let policy = &pass.before.assignment.policy;
    if let Some((weight, settled)) = pass.proven() {
        let lasted = settled.is_some_and(|at| now().duration_since(at) >= policy.analysis.window);
        hold(lasted, || format!("{weight} counts as proven since {settled:?}"))?;
        let all = pass.seen.planes.keys().all(|plane| pass.shown(plane) == Some(weight));
        hold(all, || format!("{weight} counts as proven while a plane is not seen there"))?;
        let SidePair { source, target } = &pass.seen.metrics[&name("errors")];
        let fraction = |sample: &SideSample| match sample {
            SideSample::Counts { bad, total } if *total >= 50.0 => Some(bad / total),
            _ => None,
        };
        let passes = fraction(target).is_some_and(|bad| bad <= fraction(source).unwrap_or_default().max(0.01));
        hold(passes, || format!("{weight} counts as proven on {target:?}"))?;
        let total = |sample: &SideSample| match sample {
            SideSample::Counts { total, .. } => Some(*total),
            _ => None,
        };
        let SidePair { source, target } = &pass.seen.share;
        let share = total(source).zip(total(target)).map(|(source, target)| target / (source + target));
        let agrees = share.is_some_and(|share| (share - weight.fraction()).abs() < 0.12);
        hold(agrees, || format!("{weight} counts as proven at a share of {share:?}"))?;
    }
    if let Some((was, step)) = pass.left() {
        let resumed = pass.asks(|request| *request == Request::Resume);
        hold(pass.before.paused.is_none() || resumed, || "a step was left while a person has paused".to_owned())?;
        let passed = was.passed.is_some();
        let right = match step {
            Step::SetWeight(_) => true,
            Step::Pause(Some(lasts)) => passed || resumed || now().duration_since(was.since) >= lasts,
            Step::Pause(None) => passed || resumed,
            Step::Approval => passed || pass.asks(|request| *request == Request::Approve),
            Step::Drill => pass.before.drills.iter().any(|drill| drill.at >= was.since),
        };
        hold(right, || format!("{step:?} was left"))?;
    }
    if let (Phase::Soaking { since, .. }, Phase::Committing { .. }) = (&pass.before.phase, &pass.after().phase) {
        let asked = pass.asks(|request| *request == Request::Commit);
        let full = pass.seen.planes.keys().all(|plane| pass.shown(plane) == Some(Weight::FULL));
        let soaked = now().duration_since(*since) >= policy.soak;
        hold(asked && full && soaked && pass.ready_on_target() >= DEMAND, || "it was committed".to_owned())?;
    }
    Ok(())
}

promise!(
    promise_06_advancing_needs_evidence_of_this_step,
    promise_06_catches_evidence_of_another_step,
    evidence,
    |state: &State, snapshot: &Snapshot| {
        let mut state = state.clone();
        if let Phase::Shifting(Shifting { standing: Standing::Settled(at), .. }) = &mut state.phase {
            *at -= SignedDuration::from_hours(1);
        }
        decide(&state, snapshot)
    }
);

/// 7: what somebody else changed is never overwritten blindly.
fn drift_holds(pass: &Pass<'_>) -> Kept {
    let Some(origin) = pass.before.phase.origin() else { return Ok(()) };
    let drifts = |plane: &&Name| {
        let (entry, shown) = (pass.before.ledger[*plane], pass.shown(plane));
        shown.is_some_and(|shown| !entry.explains(shown))
    };
    let goes_back = matches!(pass.after().phase, Phase::RollingBack { .. } | Phase::RolledBack { .. });
    let drifted = origin.planes.keys().find(drifts);
    hold(goes_back || drifted.is_none() || pass.written().next().is_none(), || format!("{drifted:?} drifted"))?;
    for (plane, recorded) in &origin.planes {
        let entry = pass.before.ledger[plane];
        let ours = entry != Entry::Settled(recorded.weight);
        hold(ours || !pass.restores(plane), || format!("{plane} was never written"))?;
        let between = |shown: Weight| shown.is_between(entry.highest(), recorded.weight);
        let strange = pass.shown(plane).is_some_and(|shown| !between(shown));
        hold(goes_back || !strange || !pass.restores(plane), || format!("a drill overwrites {plane}"))?;
    }
    Ok(())
}

promise!(
    promise_07_drift_is_never_overwritten_blindly,
    promise_07_catches_drift_that_is_taken_for_ones_own,
    drift_holds,
    |state: &State, snapshot: &Snapshot| {
        let mut state = state.clone();
        for (plane, entry) in Arc::make_mut(&mut state.ledger) {
            if let Some(view) = snapshot.planes.get(plane).and_then(Observed::known) {
                *entry = Entry::Settled(view.weight);
            }
        }
        decide(&state, snapshot)
    }
);

/// 8: only what is ours is written: this migration's planes, to its own origin, and the objects that it mirrors.
fn only_ours(pass: &Pass<'_>) -> Kept {
    let origin = pass.before.phase.origin().or(pass.after().phase.origin());
    let recorded = |plane: &Name| origin.and_then(|origin| origin.planes.get(plane)).map(|plane| &plane.setting);
    let planes = &pass.before.assignment.migration.planes;
    for action in &pass.decision.actions {
        let ours = action.plane().is_none_or(|written| planes.iter().any(|plane| plane.name == *written));
        let right = match action {
            Action::RestorePlane { plane, setting } => recorded(plane) == Some(setting),
            Action::SetWeight { plane, origin, .. } => recorded(plane) == Some(origin),
            Action::ApplyObject { object } | Action::Release { object } => *object == web(),
            Action::DeleteObject { .. } => true,
            Action::SuspendSource { job } | Action::ResumeTarget { job } => *job == nightly(),
            Action::ScaleSource { workload, .. } => *workload == web(),
            Action::DrainSource { .. } => true,
        };
        hold(ours && right, || action.to_string())?;
    }
    Ok(())
}

promise!(
    promise_08_only_what_is_ours_is_written,
    promise_08_catches_a_setting_that_is_not_the_origins,
    only_ours,
    |state: &State, snapshot: &Snapshot| {
        let mut decision = decide(state, snapshot);
        for action in &mut decision.actions {
            if let Action::RestorePlane { setting, .. } = action {
                *setting = percent(100).basis_points().into();
            }
        }
        decision
    }
);

/// 10: whatever does not move says why, and whatever is late asks for a person or goes back.
fn named(pass: &Pass<'_>) -> Kept {
    let after = pass.after();
    let moves =
        after.phase != pass.before.phase || after.ledger != pass.before.ledger || after.paused != pass.before.paused;
    let silent = pass.decision.waiting.is_none() && !after.phase.is_terminal();
    hold(!silent || moves, || format!("it stays {} and does not say why", after.phase.name()))?;
    if let Some(waiting) = &pass.decision.waiting {
        hold(!waiting.reason().is_empty() && !waiting.to_string().is_empty(), || "a wait without a name".to_owned())?;
    }
    let policy = &after.assignment.policy;
    let works = pass.decision.waiting.as_ref().is_some_and(|waiting| waiting.sort() != Sort::Patient);
    let late = match &after.phase {
        Phase::RollingBack { since, .. } | Phase::Shifting(Shifting { standing: Standing::Drilling(since), .. }) => {
            is_late(Some(*since), policy.rollback.deadline)
        }
        Phase::Mirroring { .. } => is_late(after.working, policy.mirror_deadline),
        _ => is_late(after.working, policy.step_deadline),
    };
    hold(!works || !late || pass.decision.needs_human, || "it is late and asks nobody".to_owned())
}

promise!(
    promise_10_every_wait_has_a_name_and_an_end,
    promise_10_catches_a_wait_without_a_name,
    named,
    |state: &State, snapshot: &Snapshot| {
        let mut decision = decide(state, snapshot);
        decision.waiting = decision.waiting.filter(|waiting| waiting.reason() != "Window");
        decision
    }
);
