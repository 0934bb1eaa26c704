//! Server weights for a share, and the way there. PURE.
//!
//! HAProxy knows 0..=256 per server and no sides. A share is represented exactly or not at all: with one server a side, every
//! whole percent is, and many halves; 0.1 % is not.

use super::PlaneError;
use crate::policy::Weight;

/// Largest weight of a server (HAProxy 2.6 configuration manual, `weight`).
pub(super) const MOST: u32 = 256;

/// One server, its weight, and its part of its side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) weight: u32,
    /// Its weight in the origin: servers of a side stay in these proportions.
    pub(super) part: u32,
}

/// One write: a server's new weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) name: String,
    pub(super) weight: u32,
}

/// The servers of both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sides {
    pub(super) source: Vec<Server>,
    pub(super) target: Vec<Server>,
}

impl Sides {
    /// The target's share; `None` where every weight is zero.
    pub(super) fn weight(&self) -> Option<Weight> {
        Weight::from_parts(sum(&self.target), sum(&self.source))
    }

    /// The same servers at another share.
    pub(super) fn to(&self, weight: Weight) -> Result<Self, PlaneError> {
        let (source, target) = (proportions(&self.source), proportions(&self.target));
        let (whole_source, whole_target) = (source.iter().sum::<u32>(), target.iter().sum::<u32>());
        let (mut below, mut above) = (Weight::ZERO, Weight::FULL);
        let mut exact = Vec::new();
        for s in 0..=room(&source) {
            for t in 0..=room(&target) {
                let (s_sum, t_sum) = (u64::from(s * whole_source), u64::from(t * whole_target));
                match Weight::from_parts(t_sum, s_sum) {
                    None => {}
                    Some(share) if share < weight => below = below.max(share),
                    Some(share) if share > weight => above = above.min(share),
                    Some(_) if is_whole(weight, t_sum, s_sum) => exact.push((s, t)),
                    Some(_) => {}
                }
            }
        }
        // Sums near 100 read like percent. Small numbers leave little room on the way, so the first that can be reached is taken.
        exact.sort_by_key(|(s, t)| ((s + t).abs_diff(100), *s));
        let sides = |(s, t): &(u32, u32)| Self {
            source: scaled(&self.source, &source, *s),
            target: scaled(&self.target, &target, *t),
        };
        let reachable = exact.iter().map(sides).find(|to| self.reaches(to));
        let best = reachable.or_else(|| exact.first().map(sides));
        best.ok_or(PlaneError::NotRepresentable { weight, below, above })
    }

    /// The single writes from these weights to `to`, during which the share stays between the two.
    ///
    /// Each server goes as far towards its new weight as the share allows, target first, round after round: where both sides are
    /// rescaled they climb or descend in turns. Where not even a small step is allowed the rest is written as it is.
    pub(super) fn path(&self, to: &Self) -> Vec<Write> {
        let (mut now, mut writes) = (self.clone(), Vec::new());
        loop {
            let before = writes.len();
            for index in 0..now.target.len() + now.source.len() {
                let wanted = to.weight_at(index);
                let allowed = |weight: &u32| self.allows(to, &now.with(index, *weight));
                let reached = towards(now.weight_at(index), wanted).find(allowed);
                if let Some(weight) = reached {
                    now = now.with(index, weight);
                    writes.push(Write { name: now.name_at(index), weight });
                }
            }
            if writes.len() == before {
                break;
            }
        }
        let rest =
            (0..now.target.len() + now.source.len()).filter(|index| now.weight_at(*index) != to.weight_at(*index));
        writes.extend(rest.map(|index| Write { name: to.name_at(index), weight: to.weight_at(index) }));
        writes
    }

    /// Whether the way there stays between the two shares.
    fn reaches(&self, to: &Self) -> bool {
        let mut now = self.clone();
        self.path(to).iter().all(|write| {
            for server in now.target.iter_mut().chain(&mut now.source).filter(|server| server.name == write.name) {
                server.weight = write.weight;
            }
            self.allows(to, &now)
        })
    }

    /// Whether the share of `now` lies between the two ends. A moment without any weight answers 503 and is never allowed.
    fn allows(&self, to: &Self, now: &Self) -> bool {
        match (self.weight(), to.weight(), now.weight()) {
            (Some(a), Some(b), Some(share)) => share.is_between(a, b),
            // Nothing is served before the first weight is written, so nothing can be worse.
            (None, Some(_), Some(_)) => true,
            _ => false,
        }
    }

    fn at(&self, index: usize) -> Option<&Server> {
        self.target.iter().chain(&self.source).nth(index)
    }

    fn weight_at(&self, index: usize) -> u32 {
        self.at(index).map_or(0, |server| server.weight)
    }

    fn name_at(&self, index: usize) -> String {
        self.at(index).map(|server| server.name.clone()).unwrap_or_default()
    }

    fn with(&self, index: usize, weight: u32) -> Self {
        let mut next = self.clone();
        if let Some(server) = next.target.iter_mut().chain(&mut next.source).nth(index) {
            server.weight = weight;
        }
        next
    }
}

/// The weights from `wanted` back to, but without, `now`.
fn towards(now: u32, wanted: u32) -> impl Iterator<Item = u32> {
    (0..now.abs_diff(wanted)).map(move |back| if wanted > now { wanted - back } else { wanted + back })
}

fn sum(servers: &[Server]) -> u64 {
    servers.iter().map(|server| u64::from(server.weight)).sum()
}

/// The smallest whole numbers in the proportions of the servers' parts; equal ones where all are zero.
fn proportions(servers: &[Server]) -> Vec<u32> {
    let divisor = servers.iter().fold(0, |divisor, server| gcd(divisor, server.part));
    match divisor {
        0 => vec![1; servers.len()],
        _ => servers.iter().map(|server| server.part / divisor).collect(),
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// How often the largest of `proportions` fits below the largest weight.
fn room(proportions: &[u32]) -> u32 {
    MOST / proportions.iter().copied().max().unwrap_or(1).max(1)
}

/// Whether a side is zero only where the weight says so; rounding alone must not silence a side.
fn is_whole(weight: Weight, target: u64, source: u64) -> bool {
    (target == 0) == (weight == Weight::ZERO) && (source == 0) == (weight == Weight::FULL)
}

fn scaled(servers: &[Server], proportions: &[u32], factor: u32) -> Vec<Server> {
    let pairs = servers.iter().zip(proportions);
    pairs.map(|(server, part)| Server { weight: part * factor, ..server.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sides(source: &[u32], target: &[u32]) -> Sides {
        let side = |prefix: &str, weights: &[u32]| {
            let servers = weights.iter().enumerate();
            servers.map(|(i, weight)| Server { name: format!("{prefix}{i}"), weight: *weight, part: *weight }).collect()
        };
        Sides { source: side("s", source), target: side("t", target) }
    }

    fn weights(servers: &[Server]) -> Vec<u32> {
        servers.iter().map(|server| server.weight).collect()
    }

    #[test]
    fn whole_percent_reads_like_percent() {
        let start = sides(&[100], &[0]);
        for percent in 0..=100u16 {
            let to = start.to(Weight::percent_saturating(percent)).unwrap();
            assert_eq!(
                (weights(&to.source), weights(&to.target)),
                (vec![100 - u32::from(percent)], vec![u32::from(percent)])
            );
        }
    }

    #[test]
    fn too_fine_a_weight_is_refused_with_its_neighbours() {
        let error = sides(&[100], &[0]).to("0.1".parse().unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "0.1% cannot be represented; the nearest are 0% and 0.39%");
        assert!(sides(&[100], &[0]).to("0.5".parse().unwrap()).is_ok());
    }

    #[test]
    fn the_share_is_per_side_and_servers_keep_their_proportions() {
        let to = sides(&[100, 50], &[0, 0, 0]).to(Weight::percent_saturating(25)).unwrap();
        assert_eq!(to.weight(), Some(Weight::percent_saturating(25)));
        assert_eq!(to.source[0].weight, 2 * to.source[1].weight);
        assert_eq!(to.target[0].weight, to.target[2].weight);
    }

    proptest! {
        /// Killed after any write, the next attempt arrives at the same weights.
        #[test]
        fn a_way_that_was_cut_short_ends_at_the_same_weights(
            from in 0u16..=100, to in 0u16..=100, cut in 0usize..40, sources in 1usize..4, targets in 1usize..4,
        ) {
            let origin = sides(&vec![100; sources], &vec![0; targets]);
            let Ok(from) = origin.to(Weight::percent_saturating(from)) else { return Ok(()) };
            let Ok(whole) = from.to(Weight::percent_saturating(to)) else { return Ok(()) };
            let mut at = from.clone();
            for write in from.path(&whole).into_iter().take(cut) {
                let index = (0..sources + targets).find(|index| at.name_at(*index) == write.name).unwrap();
                at = at.with(index, write.weight);
            }
            let again = at.to(Weight::percent_saturating(to)).unwrap();
            prop_assert_eq!(again.weight(), whole.weight());
            let even = |servers: &[Server]| servers.iter().all(|server| server.weight == servers[0].weight);
            prop_assert!(even(&again.source) && even(&again.target), "{again:?}");
        }

        #[test]
        fn the_way_there_never_leaves_the_two_weights(
            percents in proptest::collection::vec(0u16..=100, 1..6), sources in 1usize..4, targets in 1usize..4,
        ) {
            let mut now = sides(&vec![100; sources], &vec![0; targets]);
            for percent in percents {
                let Ok(to) = now.to(Weight::percent_saturating(percent)) else { continue };
                let (start, mut at) = (now.clone(), now.clone());
                for write in now.path(&to) {
                    let index = (0..sources + targets).find(|index| at.name_at(*index) == write.name).unwrap();
                    at = at.with(index, write.weight);
                    prop_assert!(start.allows(&to, &at), "{start:?} to {to:?} at {at:?}");
                }
                prop_assert_eq!(&at, &to);
                now = to;
            }
        }
    }
}
