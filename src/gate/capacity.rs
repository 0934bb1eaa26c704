//! Whether a cluster has the pods for its share: the target for a weight, the source for what would come back. PURE.
//!
//! **Trip.** A workload that carries traffic and has no ready pod left. Fewer ready pods than the weight needs hold, because
//! pods also go away for a rolling restart.
//!
//! **First start.** A workload the target does not know has no ready pod: readiness is never vacuous.
//!
//! **Recovery.** At once, with the next snapshot.
//!
//! **Missing data** is not asked here: a target that cannot be observed holds before any gate is asked.

use std::collections::BTreeMap;

use crate::cluster::{ObjectRef, Replicas};
use crate::migration::waiting::WaitingOn;
use crate::policy::Weight;

/// Replicas of each workload on the source as the origin recorded them.
pub type Demand = BTreeMap<ObjectRef, u32>;

/// Every workload of the demand with its pods in a cluster. Both are in the order of their names and walked side by side: a
/// thousand workloads are looked at in every pass, more than once.
fn paired<'d, 'c>(
    demand: &'d Demand,
    cluster: &'c BTreeMap<ObjectRef, Replicas>,
) -> impl Iterator<Item = (&'d ObjectRef, u32, Option<&'c Replicas>)> {
    let mut rest = cluster.iter().peekable();
    demand.iter().map(move |(workload, demand)| {
        while rest.next_if(|(other, _)| *other < workload).is_some() {}
        (workload, *demand, rest.next_if(|(other, _)| *other == workload).map(|(_, pods)| pods))
    })
}

/// The first workload that has not got all its pods of the newest template ready.
pub fn unready(demand: &Demand, target: &BTreeMap<ObjectRef, Replicas>) -> Option<WaitingOn> {
    paired(demand, target).find_map(|(workload, _, pods)| {
        let waiting = |ready, wanted| Some(WaitingOn::WorkloadReady { workload: workload.clone(), ready, wanted });
        match pods {
            None => waiting(0, 1),
            Some(pods) => {
                let ready = pods.ready.min(pods.updated).min(pods.available);
                if pods.is_complete() { None } else { waiting(ready, pods.desired) }
            }
        }
    })
}

/// The first workload with fewer ready pods than `weight` of its demand: `ready ≥ ceil(share × demand)`.
pub fn shortage(weight: Weight, demand: &Demand, target: &BTreeMap<ObjectRef, Replicas>) -> Option<WaitingOn> {
    let (workload, ready, needed) = short(weight, demand, target)?;
    Some(WaitingOn::Capacity { workload: workload.clone(), weight, ready, needed })
}

/// The first workload of which the source has fewer ready pods than its share needs when the target has `weight`.
pub fn source_shortage(weight: Weight, demand: &Demand, source: &BTreeMap<ObjectRef, Replicas>) -> Option<WaitingOn> {
    let (workload, ready, needed) = short(weight.complement(), demand, source)?;
    Some(WaitingOn::SourceCapacity { workload: workload.clone(), weight, ready, needed })
}

/// The first workload with fewer ready pods than a share needs, and both numbers.
fn short<'d>(
    share: Weight,
    demand: &'d Demand,
    cluster: &BTreeMap<ObjectRef, Replicas>,
) -> Option<(&'d ObjectRef, u32, u32)> {
    paired(demand, cluster).find_map(|(workload, demand, pods)| {
        let (needed, ready) = (share.ceil_of(demand), pods.map_or(0, |pods| pods.ready));
        (ready < needed).then_some((workload, ready, needed))
    })
}

/// The first workload that a cluster has fewer replicas of than the demand, with the number it has.
pub fn shrunk(demand: &Demand, source: &BTreeMap<ObjectRef, Replicas>) -> Option<WaitingOn> {
    paired(demand, source).find_map(|(workload, origin, pods)| {
        let now = pods.map_or(0, |pods| pods.desired);
        (now < origin).then(|| WaitingOn::SourceShrank { workload: workload.clone(), now, origin })
    })
}

/// The first workload that should have pods and has none ready.
pub fn lost(demand: &Demand, cluster: &BTreeMap<ObjectRef, Replicas>) -> Option<ObjectRef> {
    let lost = |demand, pods: Option<&Replicas>| demand > 0 && pods.is_none_or(|pods| pods.ready == 0);
    paired(demand, cluster).find_map(|(workload, demand, pods)| lost(demand, pods).then(|| workload.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(desired: u32, ready: u32, updated: u32, current: bool) -> (Demand, BTreeMap<ObjectRef, Replicas>) {
        let web = ObjectRef::new("Deployment", "shop", "web");
        let pods = Replicas { desired, ready, updated, available: ready, current };
        (BTreeMap::from([(web.clone(), 4)]), BTreeMap::from([(web, pods)]))
    }

    #[test]
    fn readiness_is_never_vacuous() {
        let (demand, target) = world(4, 4, 4, true);
        assert_eq!(unready(&demand, &target), None);
        assert!(unready(&demand, &BTreeMap::new()).is_some());
        for (desired, ready, updated, current) in [(4, 3, 4, true), (4, 4, 2, true), (4, 4, 4, false)] {
            let (demand, target) = world(desired, ready, updated, current);
            assert!(unready(&demand, &target).is_some());
        }
    }

    #[test]
    fn a_weight_needs_its_pods() {
        let (demand, target) = world(4, 2, 4, true);
        assert_eq!(shortage(Weight::percent_saturating(50), &demand, &target), None);
        assert!(shortage(Weight::percent_saturating(51), &demand, &target).is_some());
        assert_eq!(source_shortage(Weight::percent_saturating(50), &demand, &target), None);
        assert!(source_shortage(Weight::percent_saturating(49), &demand, &target).is_some());
        assert_eq!(lost(&demand, &target), None);
        assert!(lost(&demand, &BTreeMap::new()).is_some());
    }

    #[test]
    fn every_workload_meets_its_own_pods() {
        let named = |name: &str| ObjectRef::new("Deployment", "shop", name);
        let pods = |ready| Replicas { desired: ready, ready, updated: ready, available: ready, current: true };
        let demand: Demand = ["b", "d", "e", "g"].map(|name| (named(name), 2)).into();
        let cluster = BTreeMap::from(
            ["a", "b", "c", "e", "g", "h"].map(|name| (named(name), pods(if name == "e" { 1 } else { 2 }))),
        );
        let met: Vec<_> = paired(&demand, &cluster)
            .map(|(workload, _, pods)| (workload.name.as_str(), pods.map(|pods| pods.ready)))
            .collect();
        assert_eq!(met, [("b", Some(2)), ("d", None), ("e", Some(1)), ("g", Some(2))]);
        assert_eq!(lost(&demand, &cluster), Some(named("d")));
    }

    #[test]
    fn what_is_short_is_told_with_what_it_has_and_needs() {
        let ((demand, target), workload) = (world(3, 2, 1, true), ObjectRef::new("Deployment", "shop", "web"));
        let web = || workload.clone();
        assert_eq!(unready(&demand, &target), Some(WaitingOn::WorkloadReady { workload: web(), ready: 1, wanted: 3 }));
        let missing = WaitingOn::WorkloadReady { workload: web(), ready: 0, wanted: 1 };
        assert_eq!(unready(&demand, &BTreeMap::new()), Some(missing));
        let weight = Weight::percent_saturating(75);
        let short = WaitingOn::Capacity { workload: web(), weight, ready: 2, needed: 3 };
        assert_eq!(shortage(weight, &demand, &target), Some(short));
        let weight = Weight::percent_saturating(25);
        let short = WaitingOn::SourceCapacity { workload: web(), weight, ready: 2, needed: 3 };
        assert_eq!(source_shortage(weight, &demand, &target), Some(short));
        assert_eq!(shrunk(&demand, &target), Some(WaitingOn::SourceShrank { workload: web(), now: 3, origin: 4 }));
        assert_eq!(shrunk(&demand, &world(4, 0, 0, false).1), None, "ready or not, it is whole");
        assert!(shrunk(&demand, &BTreeMap::new()).is_some());
    }

    #[test]
    fn a_workload_that_began_with_no_pod_has_none_to_lose() {
        let asleep = BTreeMap::from([(ObjectRef::new("Deployment", "shop", "web"), 0)]);
        assert_eq!(lost(&asleep, &world(0, 0, 0, true).1), None);
        assert_eq!(lost(&asleep, &BTreeMap::new()), None);
        assert!(lost(&world(4, 0, 0, true).0, &world(4, 0, 0, true).1).is_some());
    }
}
