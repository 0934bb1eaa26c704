//! A test that may be looked at as often as one likes. PURE.
//!
//! **What it tests.** Of `of` events each is *bad* with a chance of at most `share`. Both questions of a metric have this form:
//!
//! - *Is the target's fraction of bad requests within `max`?* The events are the target's requests, `share` is `max`.
//! - *Is the target no worse than the source?* The events are the bad requests of both sides, and "bad" means that it was the
//!   target's. If both sides fail alike, each of them is the target's with a chance of the target's part of all requests,
//!   whatever the fraction of failures is, and however it changes from one look to the next: only what one look counted is compared
//!   with each other. So a source that gets worse during the day, or during a fault behind both clusters, proves nothing.
//!
//! **How.** For an alternative with odds `w > 1`, `L = w^bad / (1 - share + share w)^of` has a mean of at most 1 as long as nothing is
//! wrong, so the product over all looks is a supermartingale and exceeds `1 / alpha` with a chance of at most `alpha`, ever
//! (Ville 1939). That is Wald's sequential probability ratio test (1945) with its upper bound alone. Without replacement, which is how
//! the bad requests of a look fall on its requests, the mean is smaller still (Hoeffding 1963, theorem 4).
//!
//! **Which alternative, and since when,** nobody knows beforehand. A mixture of products is again one (Robbins 1970; de la Peña, Lai
//! and Shao 2009), and so is a mixture over the look at which the target begins to be bad (Shiryaev 1963; Shin, Ramdas and Rinaldo
//! 2022), which is one sum for each alternative: `S <- (S + mass) L`. All the mass that is ever given adds up to at most 1.
//! Counting under random assignment whatever the base rate does: Lindon and Malek (2022); two proportions: Turner, Ly and
//! Grünwald (2024).

/// How many alternatives are weighed against each other.
pub const ALTERNATIVES: usize = 6;

/// The weight of the regression that was named. The others cost what their weight is below 1 only as a logarithm.
const NAMED: f64 = 0.7;

/// Where a sum ends: proof beyond any level that is asked for. The lower it is, the sooner what is over is forgotten.
const MOST: f64 = 1e30;

/// The odds that are weighed, and how much each counts.
///
/// Most of the weight is on the regression that was named, so that it is found nearly as soon as by a test made for it alone.
/// The smallest alternative lies half way to it: a target that is worse by less than about half of that again makes every product
/// fall, and is never a reason to go back. The largest ones are there for a target that fails almost everything.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alternatives([Alternative; ALTERNATIVES]);

#[derive(Debug, Clone, Copy, PartialEq)]
struct Alternative {
    odds: f64,
    log: f64,
    weight: f64,
}

impl Alternatives {
    /// For finding a target that is `times` as bad as it may be, `times > 1`.
    pub fn for_finding(times: f64) -> Self {
        let times = if times.is_finite() { times.max(1.000_1) } else { 1e6 };
        let all = [times.midpoint(1.0), times, 2.0 * times, 5.0 * times, 20.0 * times, 100.0 * times];
        let weight = |index| if index == 1 { NAMED } else { (1.0 - NAMED) / (ALTERNATIVES - 1) as f64 };
        Self(std::array::from_fn(|index| {
            let odds = all[index];
            Alternative { odds, log: odds.ln(), weight: weight(index) }
        }))
    }

    /// What these events tell on average, all together, and the variance of that; for the alternative that learns most. With it goes the
    /// weight of that alternative.
    pub fn gain(&self, kinds: &[Kind]) -> Gain {
        let gain = |alternative: &Alternative| {
            let none = Gain { mean: 0.0, variance: 0.0, weight: alternative.weight };
            kinds.iter().fold(none, |sum, Kind { events, share, truth }| {
                let step = (share * (alternative.odds - 1.0)).ln_1p();
                let (up, down) = (alternative.log - step, -step);
                let mean = truth * up + (1.0 - truth) * down;
                let variance = truth * up * up + (1.0 - truth) * down * down - mean * mean;
                Gain { mean: sum.mean + events * mean, variance: sum.variance + events * variance, ..sum }
            })
        };
        let better = |best: Gain, next: Gain| if next.mean > best.mean { next } else { best };
        self.0.iter().map(gain).reduce(better).unwrap_or(Gain { mean: 0.0, variance: 0.0, weight: 1.0 })
    }
}

/// Events that are alike, as far as they are expected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kind {
    /// How many.
    pub events: f64,
    /// The chance of each to be bad, at the most, if nothing is wrong.
    pub share: f64,
    /// The fraction that is bad.
    pub truth: f64,
}

/// What some events add to the logarithm of the evidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gain {
    /// On average.
    pub mean: f64,
    /// The variance of it.
    pub variance: f64,
    /// The weight of the alternative that gains most.
    pub weight: f64,
}

/// Events of one look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Events {
    /// Bad ones, `0..=of`; may be fractional, as extrapolated counters are.
    pub bad: f64,
    /// All of them.
    pub of: f64,
    /// The chance of each to be bad, at the most, if nothing is wrong.
    pub share: f64,
}

/// Evidence gathered so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence {
    alternatives: Alternatives,
    sums: [f64; ALTERNATIVES],
}

impl Evidence {
    /// Nothing gathered yet.
    pub fn new(alternatives: Alternatives) -> Self {
        Self { alternatives, sums: [0.0; ALTERNATIVES] }
    }

    /// From here on the target may have begun to be bad, with this much of the mass.
    pub fn may_begin(&mut self, mass: f64) {
        self.sums.iter_mut().for_each(|sum| *sum += mass);
    }

    /// Learns from the events of one look; several strata are several calls.
    pub fn learn(&mut self, events: Events) {
        let share = events.share.clamp(0.0, 1.0);
        if events.of <= 0.0 || share == 0.0 {
            return;
        }
        let bad = events.bad.clamp(0.0, events.of);
        for (sum, alternative) in self.sums.iter_mut().zip(&self.alternatives.0) {
            let log = bad * alternative.log - events.of * (share * (alternative.odds - 1.0)).ln_1p();
            *sum = (*sum * log.exp()).min(MOST);
        }
    }

    /// How many times better the numbers are explained by a bad target than by a good one. A good target brings this to `1 / alpha`
    /// with a chance of at most `alpha`, over all looks together.
    pub fn value(&self) -> f64 {
        self.sums.iter().zip(&self.alternatives.0).map(|(sum, alternative)| sum * alternative.weight).sum()
    }
}

#[cfg(test)]
mod tests;
