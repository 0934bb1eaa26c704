//! What a number of requests could have shown. PURE.
//!
//! The logarithm of the evidence is a sum over events, so after enough of them it is nearly normal (Wald 1945, chapter 3): a
//! regression is seen with a stated power once its mean, less the deviation that goes with that power, has reached what proof takes.

use super::sequential::{Alternatives, Kind};

/// Standard normal quantile of the power with which a regression must have been visible: nine times of ten.
const Z_POWER: f64 = 1.281_552;

/// The same in words and for documentation.
pub const POWER: f64 = 0.9;

/// Both sides of a comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// The target's part of all requests, `0.0..=1.0`.
    pub share: f64,
    /// The fraction of bad requests on the source.
    pub fraction: f64,
    /// How many times as bad the target is.
    pub times: f64,
}

impl Comparison {
    /// Requests of both sides after which the regression has been seen with a chance of `chance` (`0.5` for the median), where `proof` is
    /// what the evidence has to reach; infinite where it never is.
    pub fn requests(&self, alternatives: &Alternatives, proof: f64, chance: Chance) -> f64 {
        times_as_many(&[(*self, 1.0)], alternatives, proof, chance)
    }

    /// The bad ones among so many requests of both sides.
    fn bad(&self, requests: f64) -> Option<Kind> {
        let target = self.share * self.fraction * self.times;
        let bad = target + (1.0 - self.share) * self.fraction;
        let truth = (target / bad).clamp(0.0, 1.0);
        (bad > 0.0).then_some(Kind { events: requests * bad, share: self.share, truth })
    }
}

/// How many times as many requests of both sides, as many of each stratum as here, it takes until the regression has been seen.
pub fn times_as_many(strata: &[(Comparison, f64)], alternatives: &Alternatives, proof: f64, chance: Chance) -> f64 {
    let kinds: Vec<_> = strata.iter().filter_map(|(comparison, requests)| comparison.bad(*requests)).collect();
    enough(alternatives, &kinds, proof, chance)
}

/// Requests of the target after which a fraction of `fraction` has been seen to be above `limit`.
pub fn requests_above(limit: f64, fraction: f64, alternatives: &Alternatives, proof: f64, chance: Chance) -> f64 {
    let truth = fraction.clamp(0.0, 1.0);
    enough(alternatives, &[Kind { events: 1.0, share: limit, truth }], proof, chance)
}

/// How sure one wants to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chance {
    /// Every second time.
    Median,
    /// With a chance of [`POWER`].
    Power,
}

/// How many times as many such events are proof.
fn enough(alternatives: &Alternatives, kinds: &[Kind], proof: f64, chance: Chance) -> f64 {
    let gain = alternatives.gain(kinds);
    if gain.mean <= 0.0 {
        return f64::INFINITY;
    }
    let z = match chance {
        Chance::Median => 0.0,
        Chance::Power => Z_POWER,
    };
    let spread = z * gain.variance.sqrt();
    let threshold = (proof / gain.weight).ln();
    let root = (spread + (spread * spread + 4.0 * gain.mean * threshold).sqrt()) / (2.0 * gain.mean);
    root * root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_needed_for_less() {
        let alternatives = Alternatives::for_finding(2.0);
        let needed = |share, fraction, times, chance| {
            Comparison { share, fraction, times }.requests(&alternatives, 2_000.0, chance)
        };
        let twice = needed(0.1, 0.01, 2.0, Chance::Median);
        assert!((20_000.0..40_000.0).contains(&twice), "{twice}");
        assert!(needed(0.1, 0.01, 2.0, Chance::Power) > twice);
        assert!(needed(0.01, 0.01, 2.0, Chance::Median) > 5.0 * twice);
        assert!(needed(0.1, 0.001, 2.0, Chance::Median) > 5.0 * twice);
        assert!(needed(0.1, 0.01, 1.1, Chance::Median).is_infinite());
        assert!(needed(0.1, 0.0, 2.0, Chance::Median).is_infinite());
        assert!(requests_above(0.01, 0.01, &alternatives, 2_000.0, Chance::Median).is_infinite());
        assert!(requests_above(0.01, 0.5, &alternatives, 2_000.0, Chance::Median) < 10.0);
    }
}
