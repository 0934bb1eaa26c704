//! What stands in the way of an order: needs outside of what is looked at, circles, namespaces on their way out. PURE.

use std::collections::BTreeSet;

use super::Check;
use crate::assess::graph::Graph;
use crate::assess::rule::{Effort, Findings, Rule};
use crate::assess::sight::Sight;
use crate::cluster::{ObjectRef, text_at};

/// The check. What the graph says is added by [`circles`].
pub const CHECK: Check = Check { rules: &[&OUTSIDE, &CIRCLE, &LEAVING, &EXTERNAL], look };

const OUTSIDE: Rule = Rule {
    id: "XF-I001",
    title: "needs a service that is not looked at",
    effort: Effort::NeedsChange,
    why: "The service is in another namespace or outside of the selection. On the target its name leads nowhere.",
    fix: "Move it in an earlier wave, or make its name lead back to the source from the target.",
};
const CIRCLE: Rule = Rule {
    id: "XF-I002",
    title: "need each other in a circle",
    effort: Effort::Ready,
    why: "There is no order in which one of them could move before the other.",
    fix: "Move them in one Migration.",
};
const LEAVING: Rule = Rule {
    id: "XF-I003",
    title: "is being deleted",
    effort: Effort::Blocked,
    why: "Its deletion has begun on the source and waits for finalizers; it will be gone, and is not mirrored.",
    fix: "Let the deletion finish (see metadata.finalizers), or leave the namespace out.",
};
const EXTERNAL: Rule = Rule {
    id: "XF-I004",
    title: "name for something outside of the cluster",
    effort: Effort::Ready,
    why: "An ExternalName leads the target's pods to the same host; whether they reach it from there is not said.",
    fix: "Try to reach it from a pod of the target.",
};

fn look(sight: &Sight<'_>, found: &mut Findings) {
    let namespaces = sight.namespaces();
    for namespace in
        sight.source.of("Namespace").filter(|namespace| namespaces.contains(namespace.object().name.as_str()))
    {
        if text_at(namespace.value(), "/status/phase") == Some("Terminating") || namespace.is_deleting() {
            found.on(&LEAVING, namespace.object(), "metadata.deletionTimestamp", "the namespace is being deleted");
        }
    }
    for manifest in sight.objects().filter(|manifest| manifest.is_deleting() && manifest.controller().is_none()) {
        found.on(&LEAVING, manifest.object(), "metadata.deletionTimestamp", "its deletion has begun");
    }
    for service in sight.of("Service") {
        if let Some(host) = text_at(service.value(), "/spec/externalName") {
            found.on(&EXTERNAL, service.object(), "spec.externalName", host);
        }
    }
}

/// What the graph says.
pub fn circles(sight: &Sight<'_>, graph: &Graph, found: &mut Findings) {
    for circle in &graph.cycles {
        for member in circle {
            let others: Vec<_> =
                circle.iter().filter(|other| *other != member).map(|other| other.name.as_str()).collect();
            found.on(&CIRCLE, member, "", format!("with {}", others.join(", ")));
        }
    }
    let known: BTreeSet<&ObjectRef> = sight.chosen.iter().copied().collect();
    for edge in graph.edges.iter().filter(|edge| !known.contains(&edge.to)) {
        found.on(&OUTSIDE, &edge.from, edge.field.clone(), edge.to.to_string());
    }
}
