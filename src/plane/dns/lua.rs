//! Records of the type LUA that draw an address: `A "pickwrandom({{3, '192.0.2.1'}, {1, '198.51.100.1'}})"`. PURE.
//!
//! An address that nobody shall be given is not in the list. A side's share is spread over its addresses in the proportions
//! that they had in the origin, and evenly where they had none.

use core::net::IpAddr;
use std::collections::BTreeMap;

use super::super::PlaneError;
use super::records::Family;
use crate::policy::Weight;

/// Largest number of an address: sums of a hundred of them, and products of two sums, are exact.
const MOST: u64 = 1_000_000_000;

/// The addresses of one family, with how often each of them is drawn.
pub(super) type Draw = BTreeMap<IpAddr, u64>;

/// The family of a record's answers; `None` for those that are not addresses.
pub(super) fn family(content: &str) -> Option<Family> {
    match content.split_whitespace().next()? {
        "A" => Some(Family::A),
        "AAAA" => Some(Family::Aaaa),
        _ => None,
    }
}

/// What a record draws from, or what else it is.
pub(super) fn parse(content: &str) -> Result<Draw, String> {
    let unfit = || format!("the record LUA {content}, which is not `A \"pickwrandom({{{{1, 'address'}}}})\"`");
    let text: String = content.chars().filter(|c| !c.is_whitespace() && *c != '"' && *c != '\\').collect();
    let inner = text.strip_prefix("AAAA").or_else(|| text.strip_prefix('A')).ok_or_else(unfit)?;
    let inner = inner.strip_prefix("pickwrandom({{").and_then(|inner| inner.strip_suffix("}})")).ok_or_else(unfit)?;
    let mut draw = Draw::new();
    for pair in inner.split("},{") {
        let (number, address) = pair.split_once(',').ok_or_else(unfit)?;
        let number: u64 = number.parse().ok().filter(|number| *number <= MOST).ok_or_else(unfit)?;
        let address = address.strip_prefix('\'').and_then(|address| address.strip_suffix('\'')).ok_or_else(unfit)?;
        let address: IpAddr = address.parse().map_err(|_| unfit())?;
        if family(content) != Some(Family::of(&address)) || draw.insert(address, number).is_some() {
            return Err(unfit());
        }
    }
    Ok(draw)
}

/// The record of a draw.
pub(super) fn content(family: Family, draw: &Draw) -> String {
    let kind = match family {
        Family::A => "A",
        Family::Aaaa => "AAAA",
    };
    let drawn = draw.iter().filter(|(_, number)| **number > 0);
    let pairs: Vec<String> = drawn.map(|(address, number)| format!("{{{number}, '{address}'}}")).collect();
    format!("{kind} \"pickwrandom({{{}}})\"", pairs.join(", "))
}

fn sum(side: &[IpAddr], draw: &Draw) -> u64 {
    side.iter().filter_map(|address| draw.get(address)).sum()
}

/// The share that draws make, each family counting as much as the other.
pub(super) fn weight<'d>(source: &[IpAddr], target: &[IpAddr], draws: impl Iterator<Item = &'d Draw>) -> Weight {
    let (mut from_target, mut from_source, mut whole) = (0_u128, 0_u128, 1_u128);
    for draw in draws {
        let (target, source) = (u128::from(sum(target, draw)), u128::from(sum(source, draw)));
        let all = target + source;
        if all == 0 {
            continue;
        }
        (from_target, from_source) = (from_target * all + target * whole, from_source * all + source * whole);
        whole *= all;
    }
    // Two families of a hundred addresses are beyond 64 bits; a basis point is not.
    let scale = (from_target + from_source) / u128::from(u32::MAX) + 1;
    let part = |part: u128| u64::try_from(part / scale).unwrap_or(u64::MAX);
    Weight::from_parts(part(from_target), part(from_source)).unwrap_or(Weight::ZERO)
}

/// The draw of one family at a share, each side in the proportions of `origin`.
pub(super) fn to(source: &[IpAddr], target: &[IpAddr], origin: &Draw, weight: Weight) -> Result<Draw, PlaneError> {
    let parts = |side: &[IpAddr]| -> Vec<u64> {
        let weighed: Vec<u64> = side.iter().map(|address| origin.get(address).copied().unwrap_or_default()).collect();
        let weighed = if weighed.contains(&0) { vec![1; side.len()] } else { weighed };
        let divisor = weighed.iter().copied().fold(0, gcd).max(1);
        weighed.into_iter().map(|part| part / divisor).collect()
    };
    let (source_parts, target_parts) = (parts(source), parts(target));
    let whole = |parts: &[u64]| parts.iter().sum::<u64>();
    // Each side in units of the other one's sum, so that both are whole.
    let source_unit = u64::from(weight.complement().basis_points()).saturating_mul(whole(&target_parts));
    let target_unit = u64::from(weight.basis_points()).saturating_mul(whole(&source_parts));
    let divisor = gcd(source_unit, target_unit).max(1);
    let mut draw = Draw::new();
    for (side, parts, unit) in [(source, source_parts, source_unit), (target, target_parts, target_unit)] {
        for (address, part) in side.iter().zip(parts) {
            let number = part.saturating_mul(unit / divisor);
            if number > MOST {
                return Err(PlaneError::NotRepresentable { weight, below: Weight::ZERO, above: Weight::FULL });
            }
            if number > 0 {
                draw.insert(*address, number);
            }
        }
    }
    Ok(draw)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn side(network: u8, count: usize) -> Vec<IpAddr> {
        (1..=count).map(|host| IpAddr::from([192, 0, network, u8::try_from(host).unwrap()])).collect()
    }

    proptest! {
        #[test]
        fn every_weight_is_exact_and_a_side_keeps_its_proportions(
            points in 0u16..=10_000,
            source in proptest::collection::vec(1u64..50, 1..5),
            target in proptest::collection::vec(0u64..50, 1..5),
        ) {
            let weight = Weight::from_basis_points(points).unwrap();
            let (sources, targets) = (side(1, source.len()), side(2, target.len()));
            let origin: Draw = sources.iter().zip(&source).chain(targets.iter().zip(&target)).map(|(a, n)| (*a, *n)).collect();
            let draw = to(&sources, &targets, &origin, weight).unwrap();
            let (s, t) = (sum(&sources, &draw), sum(&targets, &draw));
            prop_assert_eq!(t * 10_000, u64::from(points) * (s + t));
            let number = |address: &IpAddr| draw.get(address).copied().unwrap_or_default();
            for (address, part) in sources.iter().zip(&source) {
                prop_assert_eq!(number(address) * source[0], number(&sources[0]) * part);
            }
            let text = content(Family::A, &draw);
            prop_assert_eq!((parse(&text).unwrap(), family(&text)), (draw.clone(), Some(Family::A)));
            prop_assert_eq!(super::weight(&sources, &targets, [&draw, &draw].into_iter()), weight);
        }
    }

    #[test]
    fn reads_what_people_write_and_refuses_what_it_does_not_know() {
        let own = side(1, 2);
        for text in [
            "A \"pickwrandom({{3,'192.0.1.1'},{0,'192.0.1.2'}})\"",
            "A \"pickwrandom( { {3, '192.0.1.1'}, { 0,'192.0.1.2' } } )\"",
        ] {
            assert_eq!(parse(text).unwrap(), Draw::from([(own[0], 3), (own[1], 0)]), "{text}");
        }
        let six = "AAAA \"pickwrandom({{1,'2001:db8::1'}})\"";
        assert_eq!((family(six), parse(six).unwrap().len()), (Some(Family::Aaaa), 1));
        for text in [
            "A \"pickrandom({'192.0.1.1'})\"",
            "A \"ifportup(443, {'192.0.1.1'})\"",
            "A \"pickwrandom({{1,'192.0.1.1'},{2,'192.0.1.1'}})\"",
            "A \"pickwrandom({{1,'2001:db8::1'}})\"",
            "A \"pickwrandom({{x,'192.0.1.1'}})\"",
            "A \"pickwrandom({{99999999999,'192.0.1.1'}})\"",
            "A \"pickwrandom({{1,'host'}})\"",
            "A \"pickwrandom({})\"",
            "TXT \"os.date()\"",
            "",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(family("TXT \"os.date()\""), None);
    }

    #[test]
    fn who_shall_get_nothing_is_not_named() {
        let (sources, targets) = (side(1, 1), side(2, 2));
        let draw = to(&sources, &targets, &Draw::new(), Weight::FULL).unwrap();
        assert_eq!(content(Family::A, &draw), "A \"pickwrandom({{1, '192.0.2.1'}, {1, '192.0.2.2'}})\"");
        let draw = to(&sources, &targets, &Draw::new(), "0.01".parse().unwrap()).unwrap();
        assert_eq!(
            content(Family::A, &draw),
            "A \"pickwrandom({{19998, '192.0.1.1'}, {1, '192.0.2.1'}, {1, '192.0.2.2'}})\""
        );
        assert_eq!(weight(&sources, &targets, [].into_iter()), Weight::ZERO);
    }
}
