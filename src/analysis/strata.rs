//! Requests told apart by a label, so that only what is alike is compared. PURE.
//!
//! A target that is given more of what fails more often fails more often, and is no worse for it; one that is given less of it hides what is
//! worse (Simpson 1951). So each stratum is compared with its own on the source: the evidence of a look is the product of that of its
//! strata, for the same alternative, and as each of them has a mean of at most 1 whatever the mix is, so has the product. A stratum
//! that only one side has counted says nothing.

use std::collections::BTreeMap;

use super::statistics::Counted;
use crate::migration::snapshot::SidePair;

/// Most strata that are told apart. Every one of them is asked for and remembered in every look.
pub const MOST: usize = 100;

/// Bad and all requests of both sides, by stratum; none where they are not told apart.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Strata(BTreeMap<String, SidePair<Counted>>);

/// Neither side has counted anything.
pub(super) const NOTHING: SidePair<Counted> = SidePair { source: (0.0, 0.0), target: (0.0, 0.0) };

impl Strata {
    /// Of what either side has counted.
    pub fn of(source: BTreeMap<String, Counted>, target: BTreeMap<String, Counted>) -> Self {
        let mut strata: BTreeMap<_, _> =
            source.into_iter().map(|(stratum, source)| (stratum, SidePair { source, ..NOTHING })).collect();
        for (stratum, target) in target {
            strata.entry(stratum).or_insert(NOTHING).target = target;
        }
        Self(strata)
    }

    /// Each stratum and what both sides counted of it.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &SidePair<Counted>)> {
        self.0.iter().map(|(stratum, counted)| (stratum.as_str(), counted))
    }

    /// Each number made of two: what was counted here, and in `other`.
    pub fn with(&self, other: &Self, make: impl Fn(Counted, Counted) -> Counted) -> Self {
        // Most metrics tell nothing apart, and this is asked for in every look.
        if self.0.is_empty() && other.0.is_empty() {
            return Self::default();
        }
        let strata = self.0.keys().chain(other.0.keys()).map(|stratum| {
            let [one, another] = [&self.0, &other.0].map(|strata| strata.get(stratum).unwrap_or(&NOTHING));
            let (source, target) = (make(one.source, another.source), make(one.target, another.target));
            (stratum.clone(), SidePair { source, target })
        });
        Self(strata.collect())
    }

    /// The target's requests in strata that the source has too, and what the source would have come to with as many of each: what
    /// statistics calls standardised. Nothing where they share no stratum.
    pub fn like_with_like(&self) -> Option<SidePair<Counted>> {
        let shared = self.0.values().filter(|SidePair { source, target }| source.1 > 0.0 && target.1 > 0.0);
        let sum = shared.fold(NOTHING, |sum, SidePair { source, target }| SidePair {
            source: (sum.source.0 + target.1 * source.0 / source.1, sum.source.1 + target.1),
            target: (sum.target.0 + target.0, sum.target.1 + target.1),
        });
        (sum.target.1 > 0.0).then_some(sum)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Strata of one side: their names, bad and all requests.
    pub(crate) fn side(strata: &[(&str, f64, f64)]) -> BTreeMap<String, Counted> {
        strata.iter().map(|(stratum, bad, all)| ((*stratum).to_owned(), (*bad, *all))).collect()
    }

    #[test]
    fn a_mix_is_taken_out_of_the_comparison() {
        let source = side(&[("easy", 9.0, 900.0), ("hard", 10.0, 100.0), ("gone", 5.0, 5.0)]);
        let target = side(&[("easy", 1.0, 100.0), ("hard", 90.0, 900.0), ("new", 7.0, 7.0)]);
        let like = Strata::of(source.clone(), target).like_with_like().unwrap();
        assert_eq!(like, SidePair { source: (91.0, 1_000.0), target: (91.0, 1_000.0) });
        assert_eq!(Strata::of(source, side(&[("new", 7.0, 7.0)])).like_with_like(), None);
    }
}
