//! Server weights for a share, and how they are said in a line. PURE.

use std::collections::BTreeMap;

use super::file::Entry;
use crate::policy::Weight;

/// The servers of both sides at a share, each side in the proportions of `origin`; `None` where the numbers get out of hand.
pub(super) fn spread(
    source: &[String],
    target: &[String],
    origin: &BTreeMap<String, Entry>,
    weight: Weight,
) -> Option<BTreeMap<String, Entry>> {
    let parts = |names: &[String]| -> Vec<u64> {
        let weights = names.iter().map(|name| origin.get(name).map_or(1, |entry| u64::from(entry.number())));
        let weights: Vec<u64> = weights.collect();
        let divisor = weights.iter().copied().fold(0, gcd).max(1);
        weights.into_iter().map(|weight| weight / divisor).collect()
    };
    let (source_parts, target_parts) = (parts(source), parts(target));
    let (source_sum, target_sum): (u64, u64) = (source_parts.iter().sum(), target_parts.iter().sum());
    // Each side in units of the other one's sum, so that both are whole.
    let source_unit = u64::from(weight.complement().basis_points()).checked_mul(target_sum)?;
    let target_unit = u64::from(weight.basis_points()).checked_mul(source_sum)?;
    let divisor = gcd(source_unit, target_unit).max(1);
    let mut spread = BTreeMap::new();
    for (names, parts, unit) in [(source, source_parts, source_unit), (target, target_parts, target_unit)] {
        for (name, part) in names.iter().zip(parts) {
            // nginx adds numbers of 64 bits up, so any of 32 will do.
            let number = part.checked_mul(unit / divisor)?;
            let entry = match (u32::try_from(number).ok()?, origin.get(name)) {
                // A side at zero keeps the numbers it had, which mean nothing while it is down.
                (0, Some(origin)) => Entry { down: true, ..*origin },
                (0, None) => Entry { weight: None, down: true },
                (number, _) => Entry { weight: Some(number), down: false },
            };
            spread.insert(name.clone(), entry);
        }
    }
    Some(spread)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The weights in a line: `10.0.0.1:80=3 10.1.0.1:80=0`.
pub(super) fn text(setting: &BTreeMap<String, Entry>) -> String {
    let said = setting.iter().map(|(name, entry)| format!("{name}={}", entry.in_force()));
    said.collect::<Vec<_>>().join(" ")
}

/// The weights of a line.
pub(super) fn read(text: &str) -> Option<BTreeMap<String, Entry>> {
    let said = text.split_whitespace().map(|word| {
        let (name, weight) = word.rsplit_once('=')?;
        let weight: u32 = weight.parse().ok()?;
        Some((name.to_owned(), Entry { weight: Some(weight.max(1)), down: weight == 0 }))
    });
    said.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn side(prefix: &str, weights: &[u32]) -> (Vec<String>, Vec<(String, Entry)>) {
        let named = weights
            .iter()
            .enumerate()
            .map(|(index, weight)| (format!("{prefix}{index}"), Entry { weight: Some(*weight), down: prefix == "t" }));
        let named: Vec<_> = named.collect();
        (named.iter().map(|(name, _)| name.clone()).collect(), named)
    }

    proptest! {
        #[test]
        fn every_weight_is_exact_and_a_side_keeps_its_proportions(
            points in 0u16..=10_000,
            source in proptest::collection::vec(1u32..100, 1..5),
            target in proptest::collection::vec(1u32..100, 1..5),
        ) {
            let weight = Weight::from_basis_points(points).unwrap();
            let ((sources, s), (targets, t)) = (side("s", &source), side("t", &target));
            let origin = s.into_iter().chain(t).collect();
            let spread = spread(&sources, &targets, &origin, weight).unwrap();
            let sum = |names: &[String]| names.iter().map(|name| spread[name].in_force()).sum::<u64>();
            let (s, t) = (sum(&sources), sum(&targets));
            prop_assert_eq!(t * 10_000, u64::from(points) * (s + t));
            for (names, parts) in [(&sources, &source), (&targets, &target)] {
                for (name, part) in names.iter().zip(parts) {
                    let (own, first) = (spread[name].in_force(), spread[&names[0]].in_force());
                    prop_assert_eq!(own * u64::from(parts[0]), first * u64::from(*part));
                }
            }
            let said = read(&text(&spread)).unwrap();
            prop_assert!(said.iter().all(|(name, entry)| entry.in_force() == spread[name].in_force()));
        }
    }

    #[test]
    fn a_line_that_is_none_is_not_read() {
        assert_eq!(read("a=1 b"), None);
        assert_eq!(read("a=x"), None);
        assert_eq!(read("<html>"), None);
        assert_eq!(read("").unwrap(), BTreeMap::new());
    }
}
