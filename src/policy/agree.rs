//! What documents say about each other. PURE.
//!
//! Each document is right by itself when it comes here; a policy that no migration uses may name any plane.

use super::cursor::Cursor;
use super::decode::Document;
use super::types::{DriverSpec, Migration, Name, ShiftPolicy};

/// Notes where documents contradict each other. A name that nothing answers to is a riddle only where every document could
/// be read: one that could not be has been reported at its own place.
pub fn check(documents: &[Document<'_>], every_document_read: bool) {
    let (mut migrations, mut policies) = (Vec::new(), Vec::new());
    for document in documents {
        match document {
            Document::Migration { migration, name_at, policy_at } => {
                unique_migration(migration, name_at, &migrations);
                unclaimed_planes(migration, name_at, &migrations);
                migrations.push(&**migration);
                if every_document_read {
                    known_policy(&migration.policy, policy_at, documents);
                }
            }
            Document::Policy { policy, name_at, .. } => {
                unique_policy(policy, name_at, &policies);
                policies.push(&**policy);
            }
        }
    }
    for document in documents {
        if let Document::Policy { policy, name_at, planes_at } = document {
            let users: Vec<_> = migrations.iter().filter(|migration| migration.policy == policy.name).collect();
            for (plane, at) in planes_at {
                users.iter().for_each(|user| known_plane(plane, at, user));
            }
            users.iter().for_each(|user| somebody_counts(policy, name_at, user));
            users.iter().for_each(|user| remembered_in_time(policy, name_at, user));
        }
    }
}

fn unique_migration(migration: &Migration, at: &Cursor<'_>, before: &[&Migration]) {
    let same = |other: &&&Migration| other.name == migration.name && other.namespace == migration.namespace;
    if before.iter().any(|other| same(&other)) {
        let _: Option<()> =
            at.refuse(format!("another Migration in {} has this name already", migration.namespace), None);
    }
}

fn unclaimed_planes(migration: &Migration, at: &Cursor<'_>, before: &[&Migration]) {
    for plane in &migration.planes {
        let shifts =
            |other: &&&Migration| other.planes.iter().any(|taken| taken.driver.shifts_the_same_as(&plane.driver));
        // One of the same name is a mistake of its own.
        let same_name = |other: &Migration| (&other.namespace, &other.name) == (&migration.namespace, &migration.name);
        if let Some(other) = before.iter().filter(|other| !same_name(other)).find(|other| shifts(other)) {
            let message =
                format!("its plane {} is the one that migration {}.{} shifts", plane.name, other.namespace, other.name);
            let _: Option<()> = at.refuse(message, Some("a plane belongs to one migration"));
        }
    }
}

fn unique_policy(policy: &ShiftPolicy, at: &Cursor<'_>, before: &[&ShiftPolicy]) {
    if before.iter().any(|other| other.name == policy.name) {
        let _: Option<()> = at.refuse("another policy has this name already", None);
    }
}

fn known_policy(name: &Name, at: &Cursor<'_>, documents: &[Document<'_>]) {
    let is_it = |document: &Document<'_>| matches!(document, Document::Policy { policy, .. } if policy.name == *name);
    if !documents.iter().any(is_it) {
        let _: Option<()> = at.refuse(format!("no ShiftPolicy called {name} in these files"), None);
    }
}

/// The measured share needs a count of each side's requests: a query, or a plane that counts.
fn somebody_counts(policy: &ShiftPolicy, at: &Cursor<'_>, user: &Migration) {
    let asked = policy.analysis.share.total.is_some()
        || policy.analysis.metrics.iter().any(|metric| metric.source.queries().is_some());
    if asked || user.planes.iter().any(|plane| plane.driver.may_count()) {
        return;
    }
    let message = format!("nobody counts the requests of each side: no plane of migration {} does", user.name);
    let _: Option<()> = at.refuse(message, Some("give analysis.share.total, or a metric with a total"));
}

/// A rollback is over once nobody remembers an address of the target, and it has a deadline.
fn remembered_in_time(policy: &ShiftPolicy, at: &Cursor<'_>, user: &Migration) {
    let deadline = policy.rollback.deadline;
    for plane in &user.planes {
        let DriverSpec::Dns(spec) = &plane.driver else { continue };
        if i64::from(spec.max_ttl) > deadline.as_secs() {
            let message = format!(
                "clients may remember an answer of plane {} of migration {} for {} s, \
                 longer than a rollback may take ({deadline:#})",
                plane.name, user.name, spec.max_ttl
            );
            let _: Option<()> = at.refuse(message, Some("lower the TTL and maxTtl, or raise rollback.deadline"));
        }
    }
}

/// A plane that a metric counts on, or that has its turn.
fn known_plane(plane: &Name, at: &Cursor<'_>, migration: &Migration) {
    if migration.planes.iter().any(|known| known.name == *plane) {
        return;
    }
    let planes: Vec<_> = migration.planes.iter().map(|plane| plane.name.as_str()).collect();
    let Migration { namespace, name, .. } = migration;
    let message = format!("migration {namespace}.{name} uses this policy and has no plane {plane}");
    let _: Option<()> = at.refuse(message, Some(&format!("its planes: {}", planes.join(", "))));
}
