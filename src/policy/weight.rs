//! The target's share of the traffic. PURE.
//!
//! A weight is stored in basis points, so `0.01 %` is the smallest step that can be written down and
//! sums of two sides are exact. It refuses everything outside 0–100 %.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Basis points in 100 %.
const WHOLE: u16 = 10_000;

/// The target's share in basis points, `0..=10_000`; the source has the rest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(try_from = "u16", into = "u16")]
pub struct Weight(u16);

/// A number that is no weight.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WeightError {
    /// Outside 0–100 %.
    #[error("a weight is between 0 and 100 percent")]
    OutOfRange,
    /// Finer than the two decimals a weight has.
    #[error("a weight has at most two decimals")]
    TooFine,
    /// Not a number at all.
    #[error("a weight is a number of percent such as 25 or 0.5")]
    NotANumber,
}

impl Weight {
    /// Everything goes to the source.
    pub const ZERO: Self = Self(0);
    /// Everything goes to the target.
    pub const FULL: Self = Self(WHOLE);

    /// Half of it goes to either side: as far as a drill may be.
    pub const HALF: Self = Self(WHOLE / 2);

    /// A weight from basis points, `0..=10_000`.
    pub const fn from_basis_points(points: u16) -> Result<Self, WeightError> {
        if points > WHOLE { Err(WeightError::OutOfRange) } else { Ok(Self(points)) }
    }

    /// A weight from whole percent; values above 100 are taken as 100.
    pub const fn percent_saturating(percent: u16) -> Self {
        if percent >= 100 { Self::FULL } else { Self(percent * 100) }
    }

    /// The weight nearest to `target` parts of `target + source`, rounded half up; `None` where both are zero.
    pub fn from_parts(target: u64, source: u64) -> Option<Self> {
        let sum = u128::from(target) + u128::from(source);
        if sum == 0 {
            return None;
        }
        let points = (u128::from(target) * u128::from(WHOLE) * 2 + sum) / (sum * 2);
        u16::try_from(points).ok().map(Self)
    }

    /// The weight nearest to a fraction; what lies outside `0.0..=1.0` is taken as the nearer end.
    pub fn nearest(fraction: f64) -> Self {
        Self((fraction.clamp(0.0, 1.0) * f64::from(WHOLE)).round() as u16)
    }

    /// The weight in basis points, `0..=10_000`.
    pub const fn basis_points(self) -> u16 {
        self.0
    }

    /// The target's share as a fraction, `0.0..=1.0`.
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(WHOLE)
    }

    /// How many of `demand` units fall to the target, rounded up: `ceil(share × demand)`.
    pub fn ceil_of(self, demand: u32) -> u32 {
        let product = u64::from(demand) * u64::from(self.0);
        u32::try_from(product.div_ceil(u64::from(WHOLE))).unwrap_or(u32::MAX)
    }

    /// The source's share under this weight.
    pub const fn complement(self) -> Self {
        Self(WHOLE - self.0)
    }

    /// Whether `self` lies between `a` and `b`, both included, in whichever order they come.
    pub fn is_between(self, a: Self, b: Self) -> bool {
        let (low, high) = if a <= b { (a, b) } else { (b, a) };
        low <= self && self <= high
    }
}

impl TryFrom<u16> for Weight {
    type Error = WeightError;
    fn try_from(points: u16) -> Result<Self, WeightError> {
        Self::from_basis_points(points)
    }
}

impl From<Weight> for u16 {
    fn from(weight: Weight) -> Self {
        weight.0
    }
}

impl FromStr for Weight {
    type Err = WeightError;

    /// Reads percent with at most two decimals, with or without a trailing `%`.
    fn from_str(text: &str) -> Result<Self, WeightError> {
        let number = text.trim().trim_end_matches('%').trim_end();
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if number.starts_with('-') {
            return Err(WeightError::OutOfRange);
        }
        if !is_digits(whole) || !is_digits(fraction) {
            return Err(WeightError::NotANumber);
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 2 {
            return Err(WeightError::TooFine);
        }
        let whole: u16 = whole.parse().map_err(|_| WeightError::OutOfRange)?;
        let hundredths: u16 = format!("{fraction:0<2}").parse().map_err(|_| WeightError::NotANumber)?;
        let points = whole.checked_mul(100).and_then(|p| p.checked_add(hundredths));
        Self::from_basis_points(points.ok_or(WeightError::OutOfRange)?)
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, hundredths) = (self.0 / 100, self.0 % 100);
        let text = match (hundredths, hundredths % 10) {
            (0, _) => format!("{whole}%"),
            (_, 0) => format!("{whole}.{}%", hundredths / 10),
            _ => format!("{whole}.{hundredths:02}%"),
        };
        f.pad(&text)
    }
}

impl fmt::Debug for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_percent() {
        for (text, points) in [("0", 0), ("100", 10_000), ("12.5", 1_250), ("0.01%", 1), ("33.330", 3_333)] {
            assert_eq!(text.parse::<Weight>().map(Weight::basis_points), Ok(points), "{text}");
        }
        for (text, error) in [
            ("-1", WeightError::OutOfRange),
            ("100.01", WeightError::OutOfRange),
            ("70000", WeightError::OutOfRange),
            ("0.001", WeightError::TooFine),
            ("ten", WeightError::NotANumber),
            ("1.", WeightError::NotANumber),
            ("", WeightError::NotANumber),
        ] {
            assert_eq!(text.parse::<Weight>(), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn display_reads_back(points in 0u16..=10_000) {
            let weight = Weight(points);
            prop_assert_eq!(weight.to_string().parse(), Ok(weight));
        }

        #[test]
        fn both_sides_hold_the_whole_demand(points in 0u16..=10_000, demand in 0u32..100_000) {
            let weight = Weight(points);
            let both = weight.ceil_of(demand) + weight.complement().ceil_of(demand);
            prop_assert!(both == demand || both == demand + 1);
        }
    }
}
