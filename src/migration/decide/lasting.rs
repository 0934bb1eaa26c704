//! What goes on about the metrics, look after look. PURE.
//!
//! Kept in the state, so that whoever goes on after a crash neither begins a budget anew nor forgets that it was spent.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::Gates;
use crate::analysis::lasting::{Allowed, Lasting, Since};
use crate::analysis::record::Stage;
use crate::gate::{self, Finding, silence};
use crate::migration::snapshot::Snapshot;
use crate::migration::state::{Phase, State};
use crate::policy::{MetricSource, Name};

/// What of it was written down, by metric.
pub type Written = BTreeMap<Name, Since>;

/// Whether a state that differs from the one on disk in nothing else has to be written for what goes on about its metrics.
pub(super) fn is_worth_writing(state: &State, written: &Written, now: Timestamp) -> bool {
    let analysis = &state.assignment.policy.analysis;
    let differs = |name: &Name| {
        let [is, was] = [&state.lasting, written].map(|all| all.get(name).copied().unwrap_or_default());
        // Nothing goes on about a metric that an adopted policy has no more.
        let spec = analysis.metrics.iter().find(|spec| spec.name == *name);
        spec.map_or(is != was, |spec| {
            let outside = match &spec.source {
                MetricSource::Value(value) => value.lasting,
                _ => SignedDuration::ZERO,
            };
            let (no_data, error) = (spec.silence.no_data_budget, spec.silence.error_budget);
            is.is_worth_writing(was, now, Allowed { outside, unseen: analysis.window, no_data, error })
        })
    };
    state.lasting.keys().chain(written.keys()).any(differs)
}

/// Whether two states are the same but for what goes on about their metrics.
pub(super) fn are_alike_otherwise(state: &State, other: &State) -> bool {
    let State { assignment, phase, paused, ledger, answers, working, retries, approvals, drills, lasting: _, letting } =
        state;
    (assignment, phase, paused, ledger) == (&other.assignment, &other.phase, &other.paused, &other.ledger)
        && (answers, working, retries) == (&other.answers, &other.working, &other.retries)
        && (approvals, drills, letting) == (&other.approvals, &other.drills, &other.letting)
}

/// Takes in what this look saw of each metric. Before the target may have traffic, and after, nothing goes on.
pub(super) fn follow(state: &mut State, snapshot: &Snapshot) {
    let known = std::mem::take(&mut state.lasting);
    if Stage::of(state).is_none() {
        return;
    }
    let analysis = &state.assignment.policy.analysis;
    for spec in &analysis.metrics {
        let Some(sample) = snapshot.metrics.get(&spec.name) else { continue };
        let since = known.get(&spec.name).copied().unwrap_or_default();
        let since = gate::follow(since, spec, sample, snapshot.now, analysis.window);
        if since != Since::default() {
            state.lasting.insert(spec.name.clone(), since);
        }
    }
}

/// How long it has gone on about a metric.
pub(super) fn of(state: &State, snapshot: &Snapshot, metric: &Name) -> Lasting {
    state.lasting.get(metric).map(|since| since.lasting(snapshot.now)).unwrap_or_default()
}

/// Whether a metric has said nothing for longer than its budget while the target may have traffic.
pub(super) fn is_silent_too_long(state: &State, snapshot: &Snapshot, gates: &Gates) -> bool {
    let metrics = &state.assignment.policy.analysis.metrics;
    let judged = matches!(state.phase, Phase::Shifting(_) | Phase::Soaking { .. });
    let spent = |(name, finding): &(Name, Finding)| {
        let spec = metrics.iter().find(|spec| spec.name == *name);
        spec.is_some_and(|spec| silence::spent(&spec.silence, of(state, snapshot, name), finding.verdict))
    };
    judged && gates.metrics.iter().any(spent)
}
