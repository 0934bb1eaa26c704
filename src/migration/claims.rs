//! What another migration that is under way has taken already. PURE.
//!
//! Two that shift one plane would take each other's weights for drift, and two that mirror one workload would take turns in writing
//! it. So each is refused before its first write, with the other's name, for as long as the other has not ended.

use super::state::State;
use crate::cluster::ObjectRef;
use crate::policy::{Assignment, Migration};

/// Every plane and workload of a migration that another one has, in a sentence each.
pub fn conflicts<'w>(
    ours: &Assignment,
    workloads: impl Iterator<Item = &'w ObjectRef>,
    others: &[State],
) -> Vec<String> {
    let workloads: Vec<_> = workloads.collect();
    let mut found = Vec::new();
    for other in others {
        let theirs = &other.assignment.migration;
        let Migration { namespace, name, .. } = theirs;
        let who = format!("migration {namespace}.{name}, which is {}", other.phase.name());
        for plane in &ours.migration.planes {
            if theirs.planes.iter().any(|taken| taken.driver.shifts_the_same_as(&plane.driver)) {
                found.push(format!("{} is shifted by {who}", plane.name));
            }
        }
        let same_clusters = theirs.source == ours.migration.source || theirs.target == ours.migration.target;
        let taken = other.phase.origin().map(|origin| &origin.replicas).filter(|_| same_clusters);
        let taken = workloads.iter().filter(|workload| taken.is_some_and(|taken| taken.contains_key(workload)));
        found.extend(taken.map(|workload| format!("{workload} belongs to {who}")));
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::migration::state::{Origin, Phase};
    use crate::policy::{SourceFile, load};

    fn assignment(name: &str, address: &str, target: &str) -> Assignment {
        let text = include_str!("claims/two.yaml");
        let text = text.replace("NAME", name).replace("ADDRESS", address).replace("TARGET", target);
        let definitions = load(&[SourceFile { name: "two.yaml".into(), text }]).unwrap();
        let migration = definitions.migrations[0].clone();
        Assignment { policy: definitions.policy_of(&migration).unwrap().clone(), migration }
    }

    fn begun(assignment: Assignment, workload: &ObjectRef) -> State {
        let at = Timestamp::UNIX_EPOCH;
        let origin = Origin { at, planes: BTreeMap::new(), replicas: [(workload.clone(), 3)].into() };
        State { phase: Phase::Mirroring { since: at, origin: Arc::new(origin) }, ..State::new(assignment, at) }
    }

    #[test]
    fn a_plane_or_a_workload_of_another_migration_is_refused_with_its_name() {
        let web = ObjectRef::new("Deployment", "shop", "web");
        let ours = assignment("checkout", "unix:/run/a.sock", "green");
        for (address, target, source, expected) in [
            (
                "unix:/run/a.sock",
                "green",
                "blue",
                vec![
                    "edge is shifted by migration shop.cart, which is Mirroring",
                    "Deployment shop/web belongs to migration shop.cart, which is Mirroring",
                ],
            ),
            ("unix:/run/a.sock", "red", "white", vec!["edge is shifted by migration shop.cart, which is Mirroring"]),
            (
                "unix:/run/b.sock",
                "green",
                "white",
                vec!["Deployment shop/web belongs to migration shop.cart, which is Mirroring"],
            ),
            ("unix:/run/b.sock", "red", "white", vec![]),
        ] {
            let mut theirs = assignment("cart", address, target);
            if source != "blue" {
                theirs.migration.source = theirs.migration.target.clone();
            }
            let found = conflicts(&ours, [&web].into_iter(), &[begun(theirs, &web)]);
            assert_eq!(found, expected, "{address} {target} {source}");
        }
        let other =
            begun(assignment("cart", "unix:/run/b.sock", "green"), &ObjectRef::new("Deployment", "shop", "api"));
        assert_eq!(conflicts(&ours, [&web].into_iter(), &[other]), Vec::<String>::new());
    }
}
