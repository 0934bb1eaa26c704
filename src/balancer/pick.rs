//! Which side answers the next request. PURE.
//!
//! Two sides need no list to be balanced smoothly: keep what the target is owed in basis points, add
//! its weight for every request, and send the request there once a whole request is owed. After any
//! requests with weights `w₁ … wₙ` the target has received `⌊(½ + Σwᵢ)⌋` of them (as fractions), so
//! the count never differs from its exact share by more than one request, at no prefix, also while
//! the weight changes; 0 % and 100 % are exact, and equal weights alternate.

use std::fmt;

use crate::policy::Weight;

/// Basis points of one whole request.
const WHOLE: u16 = Weight::FULL.basis_points();

/// One of the two sides traffic is split between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The cluster traffic comes from.
    Source,
    /// The cluster traffic goes to.
    Target,
}

impl Side {
    /// Both sides.
    pub const BOTH: [Self; 2] = [Self::Source, Self::Target];

    /// The side that is not this one.
    pub const fn other(self) -> Self {
        match self {
            Self::Source => Self::Target,
            Self::Target => Self::Source,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Source => "source",
            Self::Target => "target",
        })
    }
}

/// The weight together with what the target is owed; small enough to swap atomically as one `u32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split {
    weight: Weight,
    /// Basis points of a request, always below one whole.
    owed: u16,
}

impl Split {
    /// A split that has sent nothing yet; starting at one half rounds to the nearest request.
    pub const fn new(weight: Weight) -> Self {
        Self { weight, owed: WHOLE / 2 }
    }

    /// The target's share.
    pub const fn weight(self) -> Weight {
        self.weight
    }

    /// The same split with another weight; what is owed stays owed.
    pub const fn with_weight(self, weight: Weight) -> Self {
        Self { weight, ..self }
    }

    /// The side of the next request, and the split after it.
    pub const fn next(self) -> (Side, Self) {
        let owed = self.owed + self.weight.basis_points();
        if owed >= WHOLE {
            (Side::Target, Self { owed: owed - WHOLE, ..self })
        } else {
            (Side::Source, Self { owed, ..self })
        }
    }

    /// The split as one number.
    pub fn to_bits(self) -> u32 {
        u32::from(self.weight.basis_points()) << 16 | u32::from(self.owed)
    }

    /// The split that [`to_bits`](Self::to_bits) gave; anything else reads as a valid split nearby.
    pub fn from_bits(bits: u32) -> Self {
        let [w1, w0, o1, o0] = bits.to_be_bytes();
        let weight = Weight::from_basis_points(u16::from_be_bytes([w1, w0])).unwrap_or(Weight::FULL);
        Self { weight, owed: u16::from_be_bytes([o1, o0]).min(WHOLE - 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn weights() -> impl Strategy<Value = Weight> {
        (0u16..=WHOLE).prop_map(|points| Weight::from_basis_points(points).unwrap())
    }

    /// How many of `requests` go to the target.
    fn targets(mut split: Split, requests: u32) -> u32 {
        let mut count = 0;
        for _ in 0..requests {
            let (side, after) = split.next();
            count += u32::from(side == Side::Target);
            split = after;
        }
        count
    }

    #[test]
    fn one_in_four_is_spread_evenly() {
        let mut split = Split::new(Weight::percent_saturating(25));
        let sides: Vec<Side> = std::iter::repeat_with(|| {
            let (side, after) = split.next();
            split = after;
            side
        })
        .take(8)
        .collect();
        use Side::{Source as S, Target as T};
        assert_eq!(sides, [S, T, S, S, S, T, S, S]);
    }

    #[test]
    fn zero_and_full_are_exact() {
        for owed in 0..WHOLE {
            let split = |weight| Split { weight, owed };
            assert_eq!(split(Weight::ZERO).next().0, Side::Source);
            assert_eq!(split(Weight::FULL).next().0, Side::Target);
        }
    }

    proptest! {
        #[test]
        fn no_prefix_is_off_by_more_than_one(steps in prop::collection::vec((weights(), 1u32..200), 1..12)) {
            let (mut split, mut count, mut due) = (Split::new(Weight::ZERO), 0.0, 0.0);
            for (weight, requests) in steps {
                split = split.with_weight(weight);
                for _ in 0..requests {
                    let (side, after) = split.next();
                    split = after;
                    due += weight.fraction();
                    count += f64::from(u8::from(side == Side::Target));
                    prop_assert!((count - due).abs() <= 1.0, "{count} of {due}");
                }
            }
        }

        #[test]
        fn a_higher_weight_never_sends_fewer(a in weights(), b in weights(), requests in 0u32..2_000) {
            let (low, high) = if a <= b { (a, b) } else { (b, a) };
            prop_assert!(targets(Split::new(low), requests) <= targets(Split::new(high), requests));
        }

        #[test]
        fn the_sides_are_treated_alike(weight in weights(), requests in 0u32..2_000) {
            let target = targets(Split::new(weight), requests);
            let source = requests - targets(Split::new(weight.complement()), requests);
            prop_assert!(target.abs_diff(source) <= 1);
        }

        #[test]
        fn survives_as_one_number(weight in weights(), owed in 0..WHOLE) {
            let split = Split { weight, owed };
            prop_assert_eq!(Split::from_bits(split.to_bits()), split);
        }
    }
}
