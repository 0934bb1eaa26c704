//! The address records of a name, and which of them make a share. PURE.
//!
//! Every address is as likely as any other one, so a share is a number of addresses of each side: the most that make it
//! exactly, the first ones of each side in the order in which they were named. Each family by itself makes the share, since
//! most clients ask for both and use one.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::super::PlaneError;
use crate::policy::Weight;

/// The records of a name, by family; a family without any is not there.
pub(super) type Records = BTreeMap<Family, Set>;

/// A family of addresses, called as its record type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Family {
    A,
    Aaaa,
}

/// The records of one family.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Set {
    /// Seconds that an answer may be remembered.
    pub(super) ttl: u32,
    pub(super) addresses: BTreeSet<IpAddr>,
}

impl Family {
    pub(super) const ALL: [Self; 2] = [Self::A, Self::Aaaa];

    pub(super) fn of(address: &IpAddr) -> Self {
        if address.is_ipv4() { Self::A } else { Self::Aaaa }
    }
}

/// The longest TTL of a name's records, in seconds.
pub(super) fn ttl(records: &Records) -> u32 {
    records.values().map(|set| set.ttl).max().unwrap_or_default()
}

/// Every address of a name's records.
pub(super) fn addresses(records: &Records) -> impl Iterator<Item = &IpAddr> {
    records.values().flat_map(|set| &set.addresses)
}

/// The addresses of either side, in the order in which they were named.
#[derive(Debug, Clone)]
pub(super) struct Sides {
    pub(super) source: Vec<IpAddr>,
    pub(super) target: Vec<IpAddr>,
}

impl Sides {
    /// How many of these are the source's, and how many the target's.
    pub(super) fn count<'a>(&self, addresses: impl Iterator<Item = &'a IpAddr>) -> (u64, u64) {
        let (mut source, mut target) = (0, 0);
        for address in addresses {
            source += u64::from(self.source.contains(address));
            target += u64::from(self.target.contains(address));
        }
        (source, target)
    }

    /// The share that records make.
    pub(super) fn weight(&self, records: &Records) -> Weight {
        let (source, target) = self.count(addresses(records));
        Weight::from_parts(target, source).unwrap_or(Weight::ZERO)
    }

    /// An address that clients are sent to and that is on neither side.
    pub(super) fn stranger<'a>(&self, mut shown: impl Iterator<Item = &'a IpAddr>) -> Option<&'a IpAddr> {
        shown.find(|address| !self.source.contains(address) && !self.target.contains(address))
    }

    /// A family that was named and that nothing is shown of.
    pub(super) fn missing<T>(&self, shown: &BTreeMap<Family, T>) -> Option<Family> {
        Family::ALL.into_iter().find(|family| self.has(*family) && !shown.contains_key(family))
    }

    pub(super) fn has(&self, family: Family) -> bool {
        self.source.iter().any(|address| Family::of(address) == family)
    }

    /// The addresses of one family, of either side.
    pub(super) fn of(&self, family: Family) -> (Vec<IpAddr>, Vec<IpAddr>) {
        let of = |side: &[IpAddr]| side.iter().filter(|address| Family::of(address) == family).copied().collect();
        (of(&self.source), of(&self.target))
    }

    /// So many addresses of each side and family as make the share, each with the TTL that its family has in `now`.
    pub(super) fn to(&self, weight: Weight, now: &Records) -> Result<Records, PlaneError> {
        let mut records = Records::new();
        for family in Family::ALL.into_iter().filter(|family| self.has(*family)) {
            let (source, target) = self.of(family);
            let Some((from_source, from_target)) = most(weight, source.len(), target.len()) else {
                return Err(self.not_representable(weight));
            };
            let addresses = source[..from_source].iter().chain(&target[..from_target]).copied().collect();
            records.insert(family, Set { ttl: now.get(&family).map_or_else(|| ttl(now), |set| set.ttl), addresses });
        }
        Ok(records)
    }

    fn not_representable(&self, weight: Weight) -> PlaneError {
        let families = Family::ALL.into_iter().filter(|family| self.has(*family));
        let made = families.map(|family| {
            let (source, target) = self.of(family);
            shares(source.len(), target.len())
        });
        let made = made.reduce(|one, other| &one & &other).unwrap_or_default();
        let below = made.range(..weight).next_back().copied().unwrap_or(Weight::ZERO);
        let above = made.range(weight..).next().copied().unwrap_or(Weight::FULL);
        PlaneError::NotRepresentable { weight, below, above }
    }
}

/// The most addresses of each side, out of so many, that make a share exactly.
fn most(weight: Weight, source: usize, target: usize) -> Option<(usize, usize)> {
    let pairs = (0..=source).flat_map(|from_source| (0..=target).map(move |from_target| (from_source, from_target)));
    let exact = pairs.filter(|(from_source, from_target)| is_exactly(weight, *from_source, *from_target));
    exact.max_by_key(|(from_source, from_target)| from_source + from_target)
}

fn is_exactly(weight: Weight, source: usize, target: usize) -> bool {
    let (points, sum) = (usize::from(weight.basis_points()), source + target);
    sum > 0 && target * usize::from(Weight::FULL.basis_points()) == points * sum
}

/// Every share that addresses make exactly, out of so many of each side.
fn shares(source: usize, target: usize) -> BTreeSet<Weight> {
    let pairs = (0..=source).flat_map(|from_source| (0..=target).map(move |from_target| (from_source, from_target)));
    let made = pairs.filter_map(|(from_source, from_target)| {
        let weight = Weight::from_parts(from_target as u64, from_source as u64)?;
        is_exactly(weight, from_source, from_target).then_some(weight)
    });
    made.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sides(source: u8, target: u8, v6: bool) -> Sides {
        let side = |network: u8, count: u8| -> Vec<IpAddr> {
            let v4 = (1..=count).map(|host| IpAddr::from([192, 0, network, host]));
            let v6 = (1..=u16::from(count * u8::from(v6)))
                .map(|host| IpAddr::from([0x2001, 0xdb8, 0, u16::from(network), 0, 0, 0, host]));
            v4.chain(v6).collect()
        };
        Sides { source: side(1, source), target: side(2, target) }
    }

    fn records(ttl: u32) -> Records {
        Family::ALL.map(|family| (family, Set { ttl, addresses: BTreeSet::new() })).into()
    }

    proptest! {
        #[test]
        fn a_share_is_exact_in_each_family_or_refused_with_neighbours_that_are_not(
            points in 0u16..=10_000,
            round in 0u16..=100,
            source in 1u8..12,
            target in 1u8..12,
            v6: bool,
        ) {
            let sides = sides(source, target, v6);
            for points in [points, round * 100] {
                let weight = Weight::from_basis_points(points).unwrap();
                match sides.to(weight, &records(60)) {
                    Ok(records) => {
                        prop_assert_eq!(records.len(), 1 + usize::from(v6));
                        for set in records.values() {
                            let (source, target) = sides.count(set.addresses.iter());
                            prop_assert_eq!(target * 10_000, u64::from(points) * (source + target));
                            prop_assert_eq!(set.ttl, 60);
                        }
                        prop_assert_eq!(sides.weight(&records), weight);
                        prop_assert_eq!((sides.stranger(addresses(&records)), sides.missing(&records)), (None, None));
                    }
                    Err(PlaneError::NotRepresentable { below, above, .. }) => {
                        prop_assert!(below < weight && weight < above);
                        for near in [below, above] {
                            prop_assert!(sides.to(near, &records(60)).is_ok(), "{} is refused too", near);
                        }
                        let between = ((below.basis_points() + 1)..above.basis_points()).step_by(97);
                        for points in between {
                            let weight = Weight::from_basis_points(points).unwrap();
                            prop_assert!(sides.to(weight, &records(60)).is_err(), "{} is nearer", weight);
                        }
                    }
                    Err(error) => prop_assert!(false, "{}", error),
                }
            }
        }
    }

    #[test]
    fn as_many_addresses_as_make_it_and_the_first_ones_of_a_side() {
        let sides = sides(4, 4, false);
        for (percent, source, target) in
            [(0, 4, 0), (20, 4, 1), (25, 3, 1), (40, 3, 2), (50, 4, 4), (60, 2, 3), (75, 1, 3), (80, 1, 4), (100, 0, 4)]
        {
            let records = sides.to(Weight::percent_saturating(percent), &records(60)).unwrap();
            let expected: BTreeSet<_> = sides.source[..source].iter().chain(&sides.target[..target]).copied().collect();
            assert_eq!(records[&Family::A].addresses, expected, "{percent} %");
        }
        let refused = sides.to(Weight::percent_saturating(5), &records(60)).unwrap_err();
        assert_eq!(refused.to_string(), "5% cannot be represented; the nearest are 0% and 20%");
    }

    #[test]
    fn who_is_on_neither_side_and_what_is_missing_is_said() {
        let sides = sides(1, 1, true);
        let mut records = sides.to(Weight::HALF, &records(60)).unwrap();
        records.remove(&Family::Aaaa);
        assert_eq!(sides.missing(&records), Some(Family::Aaaa));
        let stranger = IpAddr::from([203, 0, 113, 1]);
        records.get_mut(&Family::A).unwrap().addresses.insert(stranger);
        assert_eq!(sides.stranger(addresses(&records)), Some(&stranger));
    }

    #[test]
    fn a_setting_is_read_as_it_was_written() {
        let setting = serde_json::to_value(sides(1, 1, true).to(Weight::ZERO, &records(30)).unwrap()).unwrap();
        let expected = serde_json::json!({
            "A": {"ttl": 30, "addresses": ["192.0.1.1"]},
            "AAAA": {"ttl": 30, "addresses": ["2001:db8:0:1::1"]},
        });
        assert_eq!(setting, expected);
    }
}
