//! Step by step to 100 %, and watching it there. PURE.
//!
//! A step is done when three things agree on it: every plane was read back at the weight, the measured share is inside its
//! tolerance, and every metric passed on evidence that was gathered entirely within the step.
//!
//! Every step stands at a weight: its own, or that of the last step before it that has one. Where a drill took the planes from it,
//! whatever step that was in, the weight is brought back and proven anew before the step goes on.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;

use super::retry::failure;
use super::start::{paused, reachable};
use super::{Gates, Step, capacity, drill, later, mirror, open, seen};
use crate::gate::Verdict;
use crate::migration::action::Action;
use crate::migration::snapshot::{MirrorView, Snapshot};
use crate::migration::state::{Entry, Mark, Origin, Phase, Shifting, Standing, State};
use crate::migration::waiting::WaitingOn;
use crate::policy::{Name, Step as PolicyStep, Weight};

/// One pass over the current step.
pub(super) fn shift(state: &State, snapshot: &Snapshot, shifting: &Shifting, gates: &Gates) -> Step {
    match shifting.standing {
        Standing::Drilling(since) => return drill::go_home(state, snapshot, shifting, since),
        Standing::Late(took) => return drill::late(state, took),
        Standing::Moving | Standing::Settled(_) | Standing::Proven => {}
    }
    let state = &*settle(state, snapshot);
    let policy = &state.assignment.policy;
    let Some(step) = policy.steps.get(shifting.step) else { return next(state, snapshot, shifting) };
    let held = no_drift(state, snapshot).and_then(|()| match policy.weight_at(shifting.step) {
        Some(weight) if shifting.standing != Standing::Proven || step.weight().is_some() => {
            let established = establish(state, snapshot, shifting, weight, gates)?;
            let proven = || Step::enter(state, standing(shifting, Standing::Proven));
            Ok(established.or_else(|| step.weight().is_none().then(proven)))
        }
        _ => waited(state, snapshot, shifting, *step),
    });
    let held = match held {
        Err(wait @ (WaitingOn::PauseStep { .. } | WaitingOn::Approval)) => {
            keep_mirrored(state, snapshot, &shifting.origin).and_then(|step| step.map(Some).ok_or(wait))
        }
        held => held,
    };
    match held {
        // What was gathered while a plane was elsewhere says nothing about this step: its window begins anew.
        Err(waiting @ WaitingOn::Drift { .. }) if matches!(shifting.standing, Standing::Settled(_)) => {
            Step::hold(&State { phase: standing(shifting, Standing::Moving), ..state.clone() }, waiting)
        }
        Err(waiting) => Step::hold(state, waiting),
        Ok(Some(step)) => step,
        Ok(None) if state.paused.is_some() => Step::hold(state, paused(state)),
        Ok(None) => next(state, snapshot, shifting),
    }
}

/// `Ok(None)` where a step has waited for whatever it says, `Ok(Some)` where there is something to do, or the wait.
fn waited(
    state: &State,
    snapshot: &Snapshot,
    shifting: &Shifting,
    step: PolicyStep,
) -> Result<Option<Step>, WaitingOn> {
    match step {
        PolicyStep::SetWeight(_) => Ok(None),
        PolicyStep::Pause(duration) => {
            let until = duration.map(|duration| later(shifting.since, duration));
            let over = until.is_some_and(|until| snapshot.now >= until) || shifting.passed.is_some();
            if over { Ok(None) } else { Err(WaitingOn::PauseStep { until }) }
        }
        PolicyStep::Approval => shifting.passed.as_ref().map(|_: &Mark| None).ok_or(WaitingOn::Approval),
        PolicyStep::Drill if state.drilled().is_some() => Ok(None),
        PolicyStep::Drill => drill::begin(state, snapshot, shifting).map(Some),
    }
}

/// The same step, with its planes standing another way.
pub(super) fn standing(shifting: &Shifting, standing: Standing) -> Phase {
    Phase::Shifting(Shifting { standing, ..shifting.clone() })
}

/// The next step, or the soak after the last one.
fn next(state: &State, snapshot: &Snapshot, shifting: &Shifting) -> Step {
    let (step, since) = (shifting.step + 1, snapshot.now);
    let (origin, policy) = (shifting.origin.clone(), &state.assignment.policy);
    let more = step < policy.steps.len();
    let phase = if more {
        Phase::Shifting(Shifting::at(step, origin, policy, since))
    } else {
        Phase::Soaking { origin, since }
    };
    Step::enter(state, phase)
}

/// `Ok(None)` where the weight is reached and proven, `Ok(Some)` where there is something to do, or the wait.
fn establish(
    state: &State,
    snapshot: &Snapshot,
    shifting: &Shifting,
    weight: Weight,
    gates: &Gates,
) -> Result<Option<Step>, WaitingOn> {
    if state.ledger.values().any(|entry| *entry != Entry::Settled(weight)) {
        return move_planes(state, snapshot, shifting, weight, gates).map(Some);
    }
    let Standing::Settled(settled) = shifting.standing else {
        return Ok(Some(Step::enter(state, standing(shifting, Standing::Settled(snapshot.now)))));
    };
    if let Some(step) = keep_mirrored(state, snapshot, &shifting.origin)? {
        return Ok(Some(step));
    }
    proven(state, snapshot, shifting, settled, gates).map(|()| None)
}

/// Planes that show what they were told have settled.
fn settle<'s>(state: &'s State, snapshot: &Snapshot) -> Cow<'s, State> {
    let shows = |plane: &Name| Some(snapshot.planes.get(plane)?.known()?.weight);
    let has_come = |(plane, entry): (&Name, &Entry)| match entry {
        Entry::Moving { to, .. } => shows(plane) == Some(*to),
        Entry::Settled(_) => false,
    };
    if !state.ledger.iter().any(has_come) {
        return Cow::Borrowed(state);
    }
    let mut state = state.clone();
    let come = Arc::make_mut(&mut state.ledger).iter_mut().filter(|(plane, entry)| has_come((plane, entry)));
    come.for_each(|(_, entry)| *entry = Entry::Settled(entry.desired()));
    Cow::Owned(state)
}

/// Holds where a plane cannot be seen, or shows what nobody here wrote.
pub(super) fn no_drift(state: &State, snapshot: &Snapshot) -> Result<(), WaitingOn> {
    for (plane, entry) in state.ledger.iter() {
        let observed = reachable(plane, snapshot)?.weight;
        if !entry.explains(observed) {
            return Err(WaitingOn::Drift { plane: plane.clone(), expected: entry.desired(), observed });
        }
    }
    Ok(())
}

/// Writes the weight to every plane whose turn it is, once the target can carry it.
fn move_planes(
    state: &State,
    snapshot: &Snapshot,
    shifting: &Shifting,
    weight: Weight,
    gates: &Gates,
) -> Result<Step, WaitingOn> {
    if state.paused.is_some() {
        return Err(paused(state));
    }
    // A drill that has begun ends with the weight it began from.
    if state.drilled().is_none() && !has_begun(state, &shifting.origin, weight) {
        open(state, snapshot)?;
    }
    let target = seen("the target", &snapshot.target)?;
    seen("the selection", &snapshot.mirror)?;
    if let Some(step) = keep_mirrored(state, snapshot, &shifting.origin)? {
        return Ok(step);
    }
    let demand = &shifting.origin.replicas;
    if let Some(waiting) = capacity::shortage(weight, demand, target).or_else(|| capacity::unready(demand, target)) {
        return Err(waiting);
    }
    // With traffic on the target `protect` has looked already; here it is the first request that waits.
    if let Some((metric, finding)) = gates.metrics.iter().find(|(_, finding)| finding.verdict == Verdict::Fail) {
        return Err(WaitingOn::MetricFailing { metric: metric.clone(), why: finding.account.to_string() });
    }
    let mut next = State { phase: standing(shifting, Standing::Moving), ..state.clone() };
    let mut actions = Vec::new();
    let mut moving = None;
    let turn = whose_turn(state, weight);
    for (plane, entry) in Arc::make_mut(&mut next.ledger) {
        let view = reachable(plane, snapshot)?;
        if *entry == Entry::Settled(weight) || turn.is_some_and(|turn| turn != plane) {
            continue;
        }
        if view.target.usable == 0 {
            return Err(WaitingOn::PlaneBackends { plane: plane.clone() });
        }
        // A write that was cut short keeps its beginning, so that whatever it left is still explained.
        let from = match *entry {
            Entry::Settled(from) | Entry::Moving { from, .. } => from,
        };
        *entry = Entry::Moving { from, to: weight };
        let origin = shifting.origin.planes.get(plane).map(|origin| origin.setting.clone()).unwrap_or_default();
        actions.push(Action::SetWeight { plane: plane.clone(), from, to: weight, origin });
        moving.get_or_insert(WaitingOn::PlaneMoving { plane: plane.clone(), observed: view.weight, desired: weight });
    }
    let waiting = failure(state, |action| matches!(action, Action::SetWeight { .. })).or(moving);
    Ok(Step { actions, waiting, ..Step::with(next) })
}

/// Whether a plane was written already on the way to a weight.
fn has_begun(state: &State, origin: &Origin, weight: Weight) -> bool {
    let was_there = |plane| origin.planes.get(plane).is_some_and(|origin| origin.weight == weight);
    state.ledger.iter().any(|(plane, entry)| entry.desired() == weight && !was_there(plane))
}

/// The plane that goes next, where the policy orders them; `None` where all that are left go together.
///
/// A plane's turn comes once those before it were read back at the weight. On the way back nobody takes turns: the order is there to
/// learn from the first plane, and then there is nothing left to learn.
fn whose_turn(state: &State, weight: Weight) -> Option<&Name> {
    let waits = |plane: &&Name| state.ledger.get(*plane).is_some_and(|entry| *entry != Entry::Settled(weight));
    state.assignment.policy.plane_order.iter().find(waits)
}

/// Brings changes of the source to the target; `None` where there are none or they cannot be seen.
///
/// A source that shrank is not followed: it would take the target's pods away while they serve, and a rollback would find
/// fewer pods than it left.
fn keep_mirrored(state: &State, snapshot: &Snapshot, origin: &Origin) -> Result<Option<Step>, WaitingOn> {
    if let Some(waiting) = snapshot.source.known().and_then(|source| capacity::shrunk(&origin.replicas, source)) {
        return Err(waiting);
    }
    let pending = mirror::pending(state, snapshot);
    Ok(pending.map(|(actions, waiting)| Step::act(state, actions, waiting)))
}

/// Holds until there is evidence for the weight, all of it gathered within this step.
fn proven(
    state: &State,
    snapshot: &Snapshot,
    shifting: &Shifting,
    settled: Timestamp,
    gates: &Gates,
) -> Result<(), WaitingOn> {
    let target = seen("the target", &snapshot.target)?;
    if let Some(waiting) = capacity::unready(&shifting.origin.replicas, target) {
        return Err(waiting);
    }
    let until = later(settled, state.assignment.policy.analysis.window);
    if snapshot.now < until {
        return Err(WaitingOn::Window { until });
    }
    evident(state, gates)
}

/// Holds unless every metric passes and the measured share is the weight.
fn evident(state: &State, gates: &Gates) -> Result<(), WaitingOn> {
    for (metric, finding) in &gates.metrics {
        let (metric, why) = (|| metric.clone(), || finding.account.to_string());
        match finding.verdict {
            Verdict::Pass => {}
            // A failure is `protect`'s business and never arrives here; it would hold.
            Verdict::NoData | Verdict::Fail => {
                return Err(WaitingOn::MetricNoData { metric: metric(), why: why() });
            }
            Verdict::Error => return Err(WaitingOn::MetricError { metric: metric(), why: why() }),
        }
    }
    if gates.metrics.len() < state.assignment.policy.analysis.metrics.len() {
        return Err(WaitingOn::Unobserved { what: "the analysis".into(), why: "a metric was not looked at".into() });
    }
    match &gates.share {
        Some(finding) if finding.verdict == Verdict::Pass => Ok(()),
        Some(finding) => Err(WaitingOn::Share { why: finding.account.to_string() }),
        None => Err(WaitingOn::Share { why: "not measured yet".into() }),
    }
}

/// Watches the target at 100 % until somebody says commit.
pub(super) fn soak(state: &State, snapshot: &Snapshot, origin: &Origin, since: Timestamp, gates: &Gates) -> Step {
    let kept = no_drift(state, snapshot).and_then(|()| keep_mirrored(state, snapshot, origin));
    let until = later(since, state.assignment.policy.soak);
    match kept {
        Err(waiting) => Step::hold(state, waiting),
        Ok(Some(step)) => step,
        Ok(None) if state.paused.is_some() => Step::hold(state, paused(state)),
        Ok(None) if snapshot.now < until => Step::hold(state, WaitingOn::Soak { until }),
        Ok(None) => {
            let fit = fit_to_commit(state, snapshot, origin, gates);
            Step::hold(state, fit.err().unwrap_or(WaitingOn::Commit))
        }
    }
}

/// What is mirrored, where the target has, can carry and is seen to serve everything; else what is in the way of a commit.
///
/// There is no way back from a commit, so it needs the evidence of a step once more, of this very moment.
pub(super) fn fit_to_commit<'s>(
    state: &State,
    snapshot: &'s Snapshot,
    origin: &Origin,
    gates: &Gates,
) -> Result<&'s MirrorView, WaitingOn> {
    open(state, snapshot)?;
    no_drift(state, snapshot)?;
    let target = seen("the target", &snapshot.target)?;
    let missing = capacity::shortage(Weight::FULL, &origin.replicas, target);
    if let Some(waiting) = missing.or_else(|| capacity::unready(&origin.replicas, target)) {
        return Err(waiting);
    }
    evident(state, gates)?;
    seen("the selection", &snapshot.mirror)
}
