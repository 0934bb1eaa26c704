//! What counts can and cannot say. PURE.

/// Standard normal quantile of a one-sided level of 0.001. A look that finds nothing wrong with a healthy target must
/// stay silent through the hundreds of looks of one migration; one in a thousand is the most a single look may add.
const Z: f64 = 3.090_232;

/// The lowest fraction of bad requests that `bad` of `total` still leave plausible, at a one-sided level of 0.001.
///
/// Wilson's score bound (E. B. Wilson, 1927). It stays honest for small counts, where the plain fraction is not:
/// 1 of 1 gives 0.09, 3 of 3 gives 0.24. `bad` may be fractional, as extrapolated counters are, and is cut to
/// `0..=total`; without any requests the bound is 0.
pub fn lowest_plausible(bad: f64, total: f64) -> f64 {
    plausible(bad, total).0
}

/// Wilson's score bounds, the lowest and the highest plausible fraction.
fn plausible(bad: f64, total: f64) -> (f64, f64) {
    if total <= 0.0 {
        return (0.0, 1.0);
    }
    let p = (bad / total).clamp(0.0, 1.0);
    let z2 = Z * Z;
    let centre = p + z2 / (2.0 * total);
    let spread = Z * (p * (1.0 - p) / total + z2 / (4.0 * total * total)).sqrt();
    let bound = |at: f64| (at / (1.0 + z2 / total)).clamp(0.0, 1.0);
    (bound(centre - spread), bound(centre + spread))
}

/// Bad and all requests of one side.
pub type Counted = (f64, f64);

/// The bad ones' part in `0.0..=1.0`; zero where there are none at all.
pub fn fraction((bad, all): Counted) -> f64 {
    if all > 0.0 { bad / all } else { 0.0 }
}

/// By how much the target's fraction of bad requests exceeds the source's at the least; negative where it may not exceed it.
///
/// The lower bound of a difference of two proportions from their score bounds (R. G. Newcombe, 1998, method 10), at the same
/// level. Two sides that fail alike differ by chance, and the smaller of them by more: both have their say in the bound.
pub fn least_excess(target: Counted, source: Counted) -> f64 {
    let fraction = |(bad, total): Counted| if total > 0.0 { (bad / total).clamp(0.0, 1.0) } else { 0.0 };
    let (t, s) = (fraction(target), fraction(source));
    let below = t - plausible(target.0, target.1).0;
    let above = plausible(source.0, source.1).1 - s;
    t - s - below.hypot(above)
}

/// How far a share measured over `total` requests may lie from a true share of `share` by chance, at the same level.
pub fn chance_distance(share: f64, total: f64) -> f64 {
    if total <= 0.0 { 1.0 } else { Z * (share * (1.0 - share) / total).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_counts_say_little() {
        assert!((lowest_plausible(1.0, 1.0) - 0.0948).abs() < 1e-3);
        assert!((lowest_plausible(3.0, 3.0) - 0.239).abs() < 1e-3);
        assert!(lowest_plausible(1.0, 100.0) < 0.01);
        assert!(lowest_plausible(50.0, 100.0) > 0.34);
        assert_eq!(lowest_plausible(5.0, 0.0), 0.0);
    }

    #[test]
    fn an_excess_is_proven_only_where_both_sides_have_counted_enough() {
        assert!(least_excess((500.0, 1000.0), (10.0, 1000.0)) > 0.4);
        assert!(least_excess((44.0, 1000.0), (44.0, 1000.0)) < 0.0);
        assert!(least_excess((460.0, 29_786.0), (2.0, 200.0)) < 0.0);
        assert!(least_excess((3.0, 3.0), (0.0, 1000.0)) > 0.2);
        assert!(least_excess((20.0, 100.0), (0.0, 0.0)) < 0.0);
    }

    proptest! {
        #[test]
        fn the_bound_is_below_the_fraction_and_rises_with_it(total in 1u32..100_000, a in 0.0f64..=1.0, b in 0.0f64..=1.0) {
            let total = f64::from(total);
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(lowest_plausible(low * total, total) <= low + 1e-12);
            prop_assert!(lowest_plausible(low * total, total) <= lowest_plausible(high * total, total) + 1e-12);
        }
    }
}
