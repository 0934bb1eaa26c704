//! Numbers that only look random: the same seed gives the same ones, on every machine. PURE.
//!
//! SplitMix64 (G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators", 2014): one addition and
//! three mixing steps a number, and neighbouring seeds give unrelated numbers. Good for stories, not for secrets.

/// A source of numbers.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The numbers of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A fraction in `0.0..1.0`.
    pub fn fraction(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A whole number in `0..end`; 0 where `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        // Widening multiplication (D. Lemire, 2019); its bias is below `end` / 2^64.
        ((u128::from(self.bits()) * u128::from(end)) >> 64) as u64
    }

    /// A position in a list of `length`.
    pub fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// A whole number in `low..=high`, every order of magnitude as likely as the next.
    pub fn spread(&mut self, low: i64, high: i64) -> i64 {
        let (low, high) = (low.max(1) as f64, high.max(low).max(1) as f64);
        (low * (high / low).powf(self.fraction())) as i64
    }

    /// `true` in `percent` of a hundred cases.
    pub fn happens(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// How many of `of` events are those that each are with this chance (binomial).
    pub fn part(&mut self, of: f64, chance: f64) -> f64 {
        let (whole, chance) = (of.floor(), chance.clamp(0.0, 1.0));
        let rest = if self.fraction() < of - whole { 1.0 } else { 0.0 };
        let few = if chance <= 0.5 { chance } else { 1.0 - chance };
        let (of, mean) = (whole + rest, (whole + rest) * few);
        let those = if of <= 64.0 {
            (0..of as u64).filter(|_| self.fraction() < few).count() as f64
        } else if mean < 16.0 {
            self.count(mean).min(of)
        } else {
            let normal = (0..12).map(|_| self.fraction()).sum::<f64>() - 6.0;
            (mean + (mean * (1.0 - few)).sqrt() * normal).round().clamp(0.0, of)
        };
        if chance <= 0.5 { those } else { of - those }
    }

    /// How often something happens that happens `mean` times on average, each time on its own (Poisson).
    pub fn count(&mut self, mean: f64) -> f64 {
        if mean <= 0.0 {
            0.0
        } else if mean < 16.0 {
            // D. Knuth: multiply fractions until they fall below e^-mean.
            let (end, mut product, mut count) = ((-mean).exp(), self.fraction(), 0.0);
            while product > end {
                product *= self.fraction();
                count += 1.0;
            }
            count
        } else {
            // Where it is often, it is as good as normal. The sum of twelve fractions is, nearly enough.
            let normal = (0..12).map(|_| self.fraction()).sum::<f64>() - 6.0;
            (mean + mean.sqrt() * normal).round().max(0.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_published_numbers() {
        let mut random = Random::new(1_234_567);
        let first = [random.bits(), random.bits(), random.bits()];
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn parts_have_their_mean_and_spread() {
        let mut random = Random::new(7);
        for (of, chance) in [(10.0, 0.3), (5_000.0, 0.001), (1_000.0, 0.9)] {
            let parts: Vec<_> = (0..20_000).map(|_| random.part(of, chance)).collect();
            let mean = parts.iter().sum::<f64>() / 20_000.0;
            let spread = parts.iter().map(|part| (part - mean).powi(2)).sum::<f64>() / 20_000.0;
            assert!((mean - of * chance).abs() < 0.05 * of * chance + 0.01, "{mean} of {of}");
            assert!((spread - of * chance * (1.0 - chance)).abs() < 0.1 * of * chance + 0.01, "{spread} of {of}");
        }
    }

    #[test]
    fn counts_have_their_mean() {
        let mut random = Random::new(7);
        for mean in [0.3, 4.0, 60.0] {
            let average = (0..20_000).map(|_| random.count(mean)).sum::<f64>() / 20_000.0;
            assert!((average - mean).abs() < 0.05 * mean + 0.01, "{average} for {mean}");
        }
    }
}
