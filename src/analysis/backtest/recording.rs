//! What was recorded of a migration's metrics, grain by grain. PURE.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::analysis::record;
use crate::analysis::statistics::Counted;
use crate::migration::snapshot::SidePair;
use crate::policy::{Name, Weight};

/// Bad and all requests of both sides in one grain; a side without an answer has none.
pub type Grain = SidePair<Option<Counted>>;

/// What was recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recording {
    /// When the first grain began.
    pub from: Timestamp,
    /// How long each is.
    pub grain: SignedDuration,
    /// Every grain of each metric that counts.
    pub metrics: BTreeMap<Name, Vec<Grain>>,
    /// Every grain of each metric that tells requests apart, by stratum.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub strata: BTreeMap<Name, BTreeMap<String, Vec<Grain>>>,
    /// What each metric with a range was at the end of every grain.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub numbers: BTreeMap<Name, Vec<SidePair<Option<Number>>>>,
}

impl Recording {
    /// Whether there is anything of a metric.
    pub fn has(&self, metric: &Name) -> bool {
        self.metrics.contains_key(metric) || self.strata.contains_key(metric) || self.numbers.contains_key(metric)
    }

    /// How many grains there are.
    pub fn grains(&self) -> usize {
        let counted = self.metrics.values().chain(self.strata.values().flat_map(BTreeMap::values));
        let lengths = counted.map(Vec::len).chain(self.numbers.values().map(Vec::len));
        lengths.max().unwrap_or_default()
    }

    /// The requests of both sides in a grain, bad ones and all; of every stratum together.
    pub fn pooled(&self, metric: &Name, grain: usize) -> Option<Counted> {
        let pooled = |(_, grains): (_, &Vec<Grain>)| pooled(grains.get(grain)?);
        self.kinds(metric).filter_map(pooled).reduce(plus)
    }

    /// The grains of a metric by stratum, or those of the only one, which has no name.
    pub(super) fn kinds(&self, metric: &Name) -> impl Iterator<Item = (Option<&str>, &Vec<Grain>)> {
        let strata = self.strata.get(metric).into_iter().flatten();
        let whole = self.metrics.get(metric).into_iter().map(|grains| (None, grains));
        strata.map(|(stratum, grains)| (Some(stratum.as_str()), grains)).chain(whole)
    }

    /// What a metric with a range was in a grain, of whichever side has it: the source's own, if both.
    pub fn number(&self, metric: &Name, grain: usize) -> Option<Number> {
        let SidePair { source, target } = self.numbers.get(metric)?.get(grain)?;
        source.or(*target)
    }
}

pub(super) fn pooled(Grain { source, target }: &Grain) -> Option<Counted> {
    source.iter().chain(target).copied().reduce(plus)
}

pub(super) fn plus(mut sum: Counted, more: Counted) -> Counted {
    record::add(&mut sum, more);
    sum
}

/// What a metric with a range was.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Number {
    /// The number.
    pub value: f64,
    /// Requests behind it, where they were counted.
    pub count: Option<f64>,
}

/// Which part of each side's requests is of a stratum. None where a side was not recorded: its mix is the other's then.
pub(super) type Mixes<'a> = BTreeMap<&'a str, SidePair<f64>>;

pub(super) fn mixes<'a>(recording: &'a Recording, metric: &Name) -> Mixes<'a> {
    let requests = |grains: &'a Vec<Grain>| {
        let side =
            |of: fn(&Grain) -> Option<Counted>| grains.iter().filter_map(of).map(|(_, total)| total).sum::<f64>();
        SidePair { source: side(|grain| grain.source), target: side(|grain| grain.target) }
    };
    let strata = recording.kinds(metric).filter_map(|(stratum, grains)| Some((stratum?, requests(grains))));
    let strata: Vec<_> = strata.collect();
    let all = |of: fn(&SidePair<f64>) -> f64| strata.iter().map(|(_, requests)| of(requests)).sum::<f64>();
    let (source, target) = (all(|requests| requests.source), all(|requests| requests.target));
    if source <= 0.0 || target <= 0.0 {
        return BTreeMap::new();
    }
    let part =
        |requests: &SidePair<f64>| SidePair { source: requests.source / source, target: requests.target / target };
    strata.iter().map(|(stratum, requests)| (*stratum, part(requests))).collect()
}

/// The target's part of the requests of a stratum at a weight, as a balancer gives it that splits by what they are.
pub(super) fn share_of(mix: Option<&SidePair<f64>>, weight: Weight) -> f64 {
    let share = weight.fraction();
    let Some(SidePair { source, target }) = mix else { return share };
    let (source, target) = ((1.0 - share) * source, share * target);
    if source + target > 0.0 { target / (source + target) } else { share }
}
