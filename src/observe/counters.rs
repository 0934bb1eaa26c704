//! What planes counted within the analysis window. PURE.
//!
//! Planes count since they started. Two readings give what happened between them; a reading below the one before means that
//! the plane was restarted, and what was counted before is forgotten.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use crate::analysis::record;
use crate::analysis::strata::Strata;
use crate::migration::snapshot::{Counters, Observed, PlaneView, SidePair, SideSample};
use crate::policy::Name;

/// Most readings kept of a plane: at the shortest interval, a window of some minutes.
const MOST: usize = 4096;

#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Timestamp,
    source: Counters,
    target: Counters,
}

/// Readings of every plane, as far back as the window goes, and the first one since it was started.
#[derive(Debug, Default)]
pub struct History {
    planes: BTreeMap<Name, VecDeque<Reading>>,
    first: BTreeMap<Name, Reading>,
}

impl History {
    /// Adds what the planes count now, and forgets what lies before the window.
    pub fn add(&mut self, now: Timestamp, planes: &BTreeMap<Name, Observed<PlaneView>>, window: SignedDuration) {
        for (name, view) in planes {
            let view = view.known();
            let counted = view.and_then(|view| Some((view.source.counters?, view.target.counters?)));
            self.note(now, name, counted, window);
        }
    }

    /// Adds what one of them counts now, for source and target; `None` where that is not known.
    pub fn note(&mut self, now: Timestamp, name: &Name, counted: Option<(Counters, Counters)>, window: SignedDuration) {
        let readings = self.planes.entry(name.clone()).or_default();
        let Some((source, target)) = counted else { return };
        let reading = Reading { at: now, source, target };
        let last = readings.back();
        // What happened in a long gap is told as little apart as what happened before a restart.
        if last.is_some_and(|last| now.duration_since(last.at) > window || went_back(last, &reading)) {
            self.first.remove(name);
        }
        if last.is_some_and(|last| went_back(last, &reading)) {
            readings.clear();
        }
        self.first.entry(name.clone()).or_insert(reading);
        readings.push_back(reading);
        // Strictly within the window: what was counted before a step began must not speak for it.
        while readings.len() > MOST || readings.front().is_some_and(|first| now.duration_since(first.at) > window) {
            readings.pop_front();
        }
    }

    /// What one plane counted.
    pub fn of(&self, plane: &Name) -> SidePair<SideSample> {
        let difference = self.planes.get(plane).and_then(difference);
        let sample = |counters: Option<Counters>| match counters {
            Some(counters) => SideSample::Counts { bad: counters.failed as f64, total: counters.requests as f64 },
            None => SideSample::NoData(format!("{plane} has not been read twice yet")),
        };
        SidePair {
            source: sample(difference.map(|(source, _)| source)),
            target: sample(difference.map(|(_, target)| target)),
        }
    }

    /// What a plane counted since it was first read after its start.
    pub fn since_start(&self, plane: &Name) -> Option<record::Reading> {
        let (first, last) = (self.first.get(plane)?, self.planes.get(plane)?.back()?);
        let (source, target) = minus(last, first);
        let counted = |counters: Counters| (counters.failed as f64, counters.requests as f64);
        Some(record::Reading {
            anchor: first.at,
            source: counted(source),
            target: counted(target),
            strata: Strata::default(),
        })
    }

    /// What all planes together counted.
    pub fn of_all(&self) -> SidePair<SideSample> {
        let differences: Vec<_> = self.planes.values().filter_map(difference).collect();
        if differences.is_empty() {
            let none = SideSample::NoData("no plane has counted requests yet".to_owned());
            return SidePair { source: none.clone(), target: none };
        }
        let sum = |side: fn(&(Counters, Counters)) -> Counters| {
            let counters = || differences.iter().map(side);
            let bad = counters().map(|counters| counters.failed).sum::<u64>() as f64;
            SideSample::Counts { bad, total: counters().map(|counters| counters.requests).sum::<u64>() as f64 }
        };
        SidePair { source: sum(|both| both.0), target: sum(|both| both.1) }
    }
}

fn went_back(before: &Reading, after: &Reading) -> bool {
    let less = |before: Counters, after: Counters| after.requests < before.requests || after.failed < before.failed;
    less(before.source, after.source) || less(before.target, after.target)
}

fn difference(readings: &VecDeque<Reading>) -> Option<(Counters, Counters)> {
    let (first, last) = (readings.front()?, readings.back()?);
    (readings.len() > 1).then(|| minus(last, first))
}

fn minus(after: &Reading, before: &Reading) -> (Counters, Counters) {
    let minus = |after: Counters, before: Counters| Counters {
        requests: after.requests.saturating_sub(before.requests),
        failed: after.failed.saturating_sub(before.failed),
    };
    (minus(after.source, before.source), minus(after.target, before.target))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::snapshot::SideView;
    use crate::policy::Weight;

    fn view(source: u64, target: u64) -> BTreeMap<Name, Observed<PlaneView>> {
        let side = |requests| SideView { usable: 1, in_flight: 0, counters: Some(Counters { requests, failed: 0 }) };
        let (source, target) = (side(source), side(target));
        let view = PlaneView { weight: Weight::ZERO, setting: serde_json::Value::Null, source, target };
        BTreeMap::from([(Name::new("edge").unwrap(), Observed::Known(view))])
    }

    #[test]
    fn counts_what_happened_within_the_window() {
        let (mut history, edge) = (History::default(), Name::new("edge").unwrap());
        let window = SignedDuration::from_secs(10);
        let at = |second| Timestamp::from_second(second).unwrap();
        history.add(at(0), &view(1000, 50), window);
        assert!(matches!(history.of(&edge).target, SideSample::NoData(_)));
        history.add(at(5), &view(1100, 60), window);
        assert_eq!(history.of(&edge).target, SideSample::Counts { bad: 0.0, total: 10.0 });
        history.add(at(12), &view(1400, 90), window);
        assert_eq!(
            history.of(&edge).target,
            SideSample::Counts { bad: 0.0, total: 30.0 },
            "what was before is not counted"
        );
        let since_start = history.since_start(&edge).unwrap();
        assert_eq!((since_start.anchor, since_start.target), (at(0), (0.0, 40.0)), "and nothing is forgotten that was");
        history.add(at(13), &view(3, 0), window);
        assert_eq!(history.since_start(&edge).unwrap().target, (0.0, 0.0));
        assert!(matches!(history.of(&edge).source, SideSample::NoData(_)), "restarted");
    }
}
