//! Whether the target has a place for the pods: nodes, room, quotas, names. PURE.

use serde_json::{Map, Value};

use super::Check;
use crate::assess::capacity::{Room, nodes};
use crate::assess::rule::{Effort, Findings, Rule};
use crate::assess::sight::{Sight, Workload};
use crate::cluster::{ObjectRef, entries, kind, quantity, text_at};

/// The check.
pub const CHECK: Check = Check { rules: &[&NOWHERE, &RENAMED, &TOLERATION, &ROOM, &LARGE, &QUOTA, &TAKEN], look };

const NOWHERE: Rule = Rule {
    id: "XF-T010",
    title: "no node of the target is allowed",
    effort: Effort::Blocked,
    why: "Node selector, affinity and taints leave no node, so the pods stay pending.",
    fix: "Label the target's nodes alike, or patch the template.",
};
const RENAMED: Rule = Rule {
    id: "XF-T011",
    title: "node label or taint that was renamed",
    effort: Effort::NeedsChange,
    why: "Newer versions no longer set it: what selects it finds nothing, what tolerates it tolerates nothing.",
    fix: "Use the new name: topology.kubernetes.io/zone and region, node.kubernetes.io/instance-type, \
          node-role.kubernetes.io/control-plane.",
};
const TOLERATION: Rule = Rule {
    id: "XF-T012",
    title: "toleration that matches no taint of the target",
    effort: Effort::Ready,
    why: "The nodes it was written for may not exist there.",
    fix: "Taint the nodes meant for these pods on the target, or remove it.",
};
const ROOM: Rule = Rule {
    id: "XF-T013",
    title: "the target is too small",
    effort: Effort::Blocked,
    why: "What is free on its nodes (allocatable minus requests) is less than what all these pods ask for. While traffic moves, \
          both sides are at full size.",
    fix: "Add nodes to the target, or move in waves and let the source go in between.",
};
const LARGE: Rule = Rule {
    id: "XF-T014",
    title: "pod larger than the room on any node",
    effort: Effort::Blocked,
    why: "One pod asks for more than what is free on any node of the target.",
    fix: "Add larger nodes, or ask for less.",
};
const QUOTA: Rule = Rule {
    id: "XF-T015",
    title: "quota of the target too small",
    effort: Effort::Blocked,
    why: "The namespace's ResourceQuota refuses pods beyond it.",
    fix: "Raise the quota on the target.",
};
const TAKEN: Rule = Rule {
    id: "XF-T016",
    title: "name is taken on the target",
    effort: Effort::NeedsChange,
    why: "An object of this kind and name exists there and was not made by Crossfade. Fields of other owners are never taken over.",
    fix: "Find out whose it is: delete it, let Crossfade change only what nobody owns, or map the name.",
};

/// Labels and taints by their old names.
const OLD_NAMES: &[&str] = &[
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "beta.kubernetes.io/instance-type",
    "node-role.kubernetes.io/master",
];

fn look(sight: &Sight<'_>, found: &mut Findings) {
    sight.workloads.iter().for_each(|workload| old_names(workload, found));
    if let Some(nodes) = nodes(sight.target) {
        let free = nodes.iter().fold(Room::default(), |free, node| free + node.free);
        let all = sight.workloads.iter().filter(|workload| workload.is_serving());
        let asked =
            all.fold(Room::default(), |asked, workload| asked + Room::of_pod(workload.spec()).times(workload.replicas));
        if !free.holds(asked) {
            found.about(&ROOM, "", format!("asked for: {asked}; free on {}: {free}", sight.target.name));
        }
        for workload in &sight.workloads {
            let allowed: Vec<_> = nodes.iter().filter(|node| allows(workload.spec(), node.value)).collect();
            let room = Room::of_pod(workload.spec());
            if allowed.is_empty() {
                found.on(
                    &NOWHERE,
                    workload.object,
                    workload.field("nodeSelector"),
                    "matches none of the target's nodes",
                );
            } else if !room.is_nothing() && !allowed.iter().any(|node| node.free.holds(room)) {
                found.on(&LARGE, workload.object, workload.field("containers"), format!("one pod asks for {room}"));
            }
            tolerations(sight, workload, found);
        }
    }
    quotas(sight, found);
    for manifest in sight.objects().filter(|manifest| kind(&manifest.object().kind).is_some()) {
        let there = sight.target.get(manifest.object());
        let made_there =
            kind(&manifest.object().kind).is_some_and(|kind| kind.made_by_cluster(manifest.value()).is_some());
        if there.is_some_and(|there| there.annotation("crossfade.dev/digest").is_none()) && !made_there {
            found.on(&TAKEN, manifest.object(), "metadata.name", format!("exists on {}", sight.target.name));
        }
    }
}

/// Whether a node's labels and taints allow a pod.
fn allows(spec: &Value, node: &Value) -> bool {
    let none = Map::new();
    let labels = node.pointer("/metadata/labels").and_then(Value::as_object).unwrap_or(&none);
    let selector = spec.get("nodeSelector").and_then(Value::as_object);
    let selected = selector.is_none_or(|wanted| wanted.iter().all(|(key, value)| labels.get(key) == Some(value)));
    let terms = "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let mut terms = entries(spec, terms).peekable();
    let near = terms.peek().is_none() || terms.any(|(_, term)| crate::cluster::labels_match(term, labels));
    let mut taints =
        entries(node, "/spec/taints").filter(|(_, taint)| text_at(taint, "/effect") != Some("PreferNoSchedule"));
    selected && near && taints.all(|(_, taint)| entries(spec, "/tolerations").any(|(_, one)| tolerates(one, taint)))
}

fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let same = |key: &str| toleration.get(key).is_none() || toleration.get(key) == taint.get(key);
    let exists = text_at(toleration, "/operator") == Some("Exists");
    let value = exists || toleration.get("value").unwrap_or(&Value::Null) == taint.get("value").unwrap_or(&Value::Null);
    same("key") && same("effect") && value
}

fn old_names(workload: &Workload<'_>, found: &mut Findings) {
    let mut note = |field: &str, name: &str| {
        if OLD_NAMES.contains(&name) {
            found.on(&RENAMED, workload.object, workload.field(field), name);
        }
    };
    let spec = workload.spec();
    let selector = spec.get("nodeSelector").and_then(Value::as_object);
    selector.into_iter().flatten().for_each(|(key, _)| note("nodeSelector", key));
    for (at, one) in entries(spec, "/tolerations") {
        note(&format!("tolerations[{at}].key"), text_at(one, "/key").unwrap_or_default());
    }
    for (at, one) in entries(spec, "/topologySpreadConstraints") {
        note(&format!("topologySpreadConstraints[{at}].topologyKey"), text_at(one, "/topologyKey").unwrap_or_default());
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        for (at, term) in entries(spec, &format!("/affinity/{kind}/requiredDuringSchedulingIgnoredDuringExecution")) {
            let field = format!("affinity.{kind}.requiredDuringSchedulingIgnoredDuringExecution[{at}].topologyKey");
            note(&field, text_at(term, "/topologyKey").unwrap_or_default());
        }
    }
}

fn tolerations(sight: &Sight<'_>, workload: &Workload<'_>, found: &mut Findings) {
    for (at, one) in entries(workload.spec(), "/tolerations") {
        let key = text_at(one, "/key").unwrap_or_default();
        let taints = || sight.target.of("Node").flat_map(|node| entries(node.value(), "/spec/taints"));
        // The server adds tolerations of its own taints to every pod.
        let own = key.is_empty() || key.starts_with("node.kubernetes.io/");
        if !own && !taints().any(|(_, taint)| tolerates(one, taint)) {
            found.on(&TOLERATION, workload.object, workload.field(&format!("tolerations[{at}]")), key);
        }
    }
}

/// What the pods of each namespace ask for, against what its quotas on the target leave.
fn quotas(sight: &Sight<'_>, found: &mut Findings) {
    for quota in sight.target.of("ResourceQuota") {
        let namespace = quota.object().namespace.as_str();
        let here = || sight.workloads.iter().filter(|workload| workload.object.namespace == namespace);
        let asked = here()
            .fold(Room::default(), |asked, workload| asked + Room::of_pod(workload.spec()).times(workload.replicas));
        let pods: u32 = here().map(|workload| workload.replicas).fold(0, u32::saturating_add);
        let left = |key: &str| {
            let value = |part: &str| quantity(quota.value().pointer(&format!("/{part}/hard/{key}"))?);
            let used = || quantity(quota.value().pointer(&format!("/status/used/{key}"))?);
            Some(value("spec")? - used().unwrap_or(0))
        };
        for (key, wanted) in [
            ("pods", i128::from(pods) * 1_000_000_000),
            ("cpu", i128::from(asked.cpu_millis) * 1_000_000),
            ("requests.cpu", i128::from(asked.cpu_millis) * 1_000_000),
            ("memory", i128::from(asked.memory_bytes) * 1_000_000_000),
            ("requests.memory", i128::from(asked.memory_bytes) * 1_000_000_000),
        ] {
            if left(key).is_some_and(|left| left < wanted) {
                let (namespace, name) = (ObjectRef::new("Namespace", "", namespace), &quota.object().name);
                let what = format!("{name} on the target leaves less than the {pods} pods ({asked}) need");
                found.on(&QUOTA, &namespace, format!("spec.hard.{key}"), what);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_node_is_allowed_by_labels_affinity_and_taints_together() {
        let node = json!({"metadata": {"labels": {"disk": "ssd"}}, "spec": {"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]}});
        let tolerated = json!([{"key": "gpu", "operator": "Exists"}]);
        let affinity = |values: Value| {
            let term = json!({"matchExpressions": [{"key": "disk", "operator": "In", "values": values}]});
            json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}})
        };
        for (spec, allowed) in [
            (json!({}), false),
            (json!({"tolerations": tolerated}), true),
            (json!({"tolerations": [{"key": "gpu", "value": "yes"}]}), true),
            (json!({"tolerations": [{"key": "gpu", "value": "no"}]}), false),
            (json!({"tolerations": [{"operator": "Exists"}]}), true),
            (json!({"tolerations": tolerated, "nodeSelector": {"disk": "ssd"}}), true),
            (json!({"tolerations": tolerated, "nodeSelector": {"disk": "hdd"}}), false),
            (json!({"tolerations": tolerated, "affinity": affinity(json!(["ssd"]))}), true),
            (json!({"tolerations": tolerated, "affinity": affinity(json!(["hdd"]))}), false),
        ] {
            assert_eq!(allows(&spec, &node), allowed, "{spec}");
        }
    }
}
