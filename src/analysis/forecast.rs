//! What a policy can see at a given rate of requests, before anything is asked. PURE.
//!
//! For each weight of a policy and each metric: how bad a target has to be for the step to see it, how long that takes, how many
//! requests fail meanwhile. The numbers are those of `power`, for the very evidence the gates ask.

use jiff::SignedDuration;
use serde::Serialize;

use super::power::{Chance, Comparison, requests_above};
use super::record::mass_of_beginning;
use super::sequential::Alternatives;
use crate::policy::{Analysis, Baseline, MetricSpec, Name, ShiftPolicy, Step, Weight};

/// The traffic a policy is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Traffic {
    /// Requests a second, of both sides together.
    pub rate: f64,
    /// The fraction of bad requests on a healthy side; `None` for a tenth of what each metric allows.
    pub healthy: Option<f64>,
}

/// What one weight of a policy can see.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepForecast {
    /// Counted from 1.
    pub step: usize,
    /// The weight.
    pub weight: Weight,
    /// Seconds at this weight, as far as the policy says: its window, the pauses after it, or the soak.
    pub seconds: f64,
    /// Each metric.
    pub metrics: Vec<MetricForecast>,
}

/// What one metric can see at one weight.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricForecast {
    /// Its name.
    pub name: Name,
    /// The smallest fraction of bad requests of the target that this step sees nine times of ten; `None` where it sees none at all.
    pub smallest: Option<f64>,
    /// The fraction it should see: what `detect` names, or twice the healthy one; at least just above the limit where that is all there is.
    pub named: f64,
    /// Seconds until half of the targets that fail that much are found; `None` where they never are.
    pub seconds: Option<f64>,
    /// Requests that fail until then.
    pub failed: Option<f64>,
}

impl MetricForecast {
    /// Whether the step is over, and the next begins, before what is named could be seen.
    pub fn is_blind(&self) -> bool {
        self.smallest.is_none_or(|smallest| smallest > self.named * 1.000_1)
    }
}

/// Every weight of a policy under this traffic.
pub fn forecast(policy: &ShiftPolicy, traffic: Traffic) -> Vec<StepForecast> {
    let weights = policy.steps.iter().enumerate().filter_map(|(index, step)| match step {
        Step::SetWeight(weight) => Some((index, *weight)),
        _ => None,
    });
    let of_step = |(index, weight): (usize, Weight)| {
        let seconds = time_at(policy, index).as_secs_f64();
        let look = |spec| Look {
            analysis: &policy.analysis,
            spec,
            traffic,
            weight,
            first: index == 0,
            of: policy.steps.len(),
        };
        let counting = policy.analysis.metrics.iter().filter(|spec| spec.source.counts());
        let metrics = counting.map(|spec| look(spec).forecast(seconds)).collect();
        StepForecast { step: index + 1, weight, seconds, metrics }
    };
    weights.map(of_step).collect()
}

/// The window, and all pauses until the next weight; after the last one the soak.
pub(super) fn time_at(policy: &ShiftPolicy, index: usize) -> SignedDuration {
    let after = &policy.steps[index + 1..];
    let until_next = after.iter().take_while(|step| !matches!(step, Step::SetWeight(_)));
    let pauses = until_next.filter_map(|step| match step {
        Step::Pause(duration) => *duration,
        _ => None,
    });
    let is_last = !after.iter().any(|step| matches!(step, Step::SetWeight(_)));
    let soak = if is_last { policy.soak } else { SignedDuration::ZERO };
    pauses.fold(policy.analysis.window.saturating_add(soak), SignedDuration::saturating_add)
}

struct Look<'p> {
    analysis: &'p Analysis,
    spec: &'p MetricSpec,
    traffic: Traffic,
    weight: Weight,
    first: bool,
    of: usize,
}

/// Steps by which the smallest visible fraction is narrowed down; 60 halvings are finer than anybody reads.
const HALVINGS: u32 = 60;

impl Look<'_> {
    fn healthy(&self) -> f64 {
        self.traffic.healthy.unwrap_or(self.spec.max / 10.0).clamp(1e-9, 0.999)
    }

    fn compares(&self) -> bool {
        self.spec.baseline == Some(Baseline::Source) && self.weight < Weight::FULL
    }

    fn forecast(&self, seconds: f64) -> MetricForecast {
        let requests = seconds * self.traffic.rate;
        let healthy = self.healthy();
        let twice = healthy * self.spec.regression().times_of(healthy);
        // Without a comparison only what is above the limit is bad at all.
        let named = if self.compares() { twice } else { twice.max(2.0 * self.spec.max) }.min(1.0);
        let median = self.requests(named, Chance::Median);
        let found = median.is_finite().then_some(median);
        MetricForecast {
            name: self.spec.name.clone(),
            smallest: self.smallest(requests),
            named,
            seconds: found.map(|requests| requests / self.traffic.rate),
            failed: found.map(|requests| requests * self.weight.fraction() * named),
        }
    }

    /// Requests of both sides until a target that fails so much is found.
    fn requests(&self, fraction: f64, chance: Chance) -> f64 {
        let spec = self.spec;
        let alternatives = Alternatives::for_finding(spec.regression().times_of(spec.max));
        let mass = mass_of_beginning(self.first, self.of);
        let proof = self.analysis.proof(spec);
        let share = self.weight.fraction();
        let above = requests_above(spec.max, fraction, &alternatives, proof.above / mass, chance) / share;
        if !self.compares() {
            return above;
        }
        let healthy = self.healthy();
        let comparison = Comparison { share, fraction: healthy, times: fraction / healthy };
        above.min(comparison.requests(&alternatives, proof.worse / mass, chance))
    }

    /// The smallest fraction that so many requests show.
    fn smallest(&self, requests: f64) -> Option<f64> {
        let seen = |fraction: f64| self.requests(fraction, Chance::Power) <= requests;
        if !seen(1.0) {
            return None;
        }
        let (mut blind, mut seeing) = (self.healthy(), 1.0);
        for _ in 0..HALVINGS {
            let middle = (blind * seeing).sqrt();
            if seen(middle) { seeing = middle } else { blind = middle }
        }
        Some(seeing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{SourceFile, load};

    fn policy(text: &str) -> ShiftPolicy {
        load(&[SourceFile { name: "policy.yaml".into(), text: text.into() }]).unwrap().policies.remove(0)
    }

    #[test]
    fn longer_and_heavier_steps_see_more() {
        let policy = policy(include_str!("../../policies/careful.yaml"));
        let steps = forecast(&policy, Traffic { rate: 200.0, healthy: Some(0.002) });
        assert_eq!(steps.iter().map(|step| step.step).collect::<Vec<_>>(), [1, 3, 6, 8]);
        assert_eq!(steps[0].seconds, 720.0, "two minutes of window, ten of pause");
        let smallest: Vec<f64> = steps.iter().map(|step| step.metrics[0].smallest.unwrap()).collect();
        assert!(smallest[0] > smallest[1], "{smallest:?}");
        assert!(steps[0].metrics[0].is_blind(), "two requests a second do not show 0.4% instead of 0.2% in 12 minutes");
        assert!(!steps[1].metrics[0].is_blind());
        let more = forecast(&policy, Traffic { rate: 20_000.0, healthy: Some(0.002) });
        assert!(more.iter().all(|step| !step.metrics[0].is_blind()), "{more:?}");
    }

    #[test]
    fn what_is_found_costs_requests() {
        let policy = policy(include_str!("../../policies/brisk.yaml"));
        for step in forecast(&policy, Traffic { rate: 500.0, healthy: None }) {
            let metric = &step.metrics[0];
            let (seconds, failed) = (metric.seconds.unwrap(), metric.failed.unwrap());
            let given = seconds * 500.0 * step.weight.fraction();
            assert!((failed / given - metric.named).abs() < 1e-9);
        }
    }
}
