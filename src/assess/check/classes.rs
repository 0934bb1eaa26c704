//! Classes and webhooks: what objects rely on without bringing it along. PURE.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Check;
use crate::assess::rule::{Effort, Findings, Rule};
use crate::assess::sight::Sight;
use crate::cluster::{Manifest, ObjectRef, entries, text_at};

/// The check.
pub const CHECK: Check = Check { rules: &[&STORAGE, &INGRESS, &PRIORITY, &RUNTIME, &WEBHOOK, &JUDGE], look };

const STORAGE: Rule = Rule {
    id: "XF-T001",
    title: "storage class the target does not have",
    effort: Effort::Blocked,
    why: "A claim of an unknown class stays pending, and with it every pod that mounts it.",
    fix: "Create the class on the target, or patch spec.storageClassName.",
};
const INGRESS: Rule = Rule {
    id: "XF-T002",
    title: "ingress class the target does not have",
    effort: Effort::NeedsChange,
    why: "No controller on the target feels responsible: the Ingress leads nowhere, without an error.",
    fix: "Install the controller and its IngressClass on the target, or patch spec.ingressClassName.",
};
const PRIORITY: Rule = Rule {
    id: "XF-T003",
    title: "priority class the target does not have",
    effort: Effort::Blocked,
    why: "The target's server refuses pods of an unknown priority class.",
    fix: "Create the PriorityClass on the target, or patch priorityClassName.",
};
const RUNTIME: Rule = Rule {
    id: "XF-T004",
    title: "runtime class the target does not have",
    effort: Effort::Blocked,
    why: "The target's server refuses pods of an unknown runtime class.",
    fix: "Create the RuntimeClass on the target, or patch runtimeClassName.",
};
const WEBHOOK: Rule = Rule {
    id: "XF-T005",
    title: "webhook only the source has",
    effort: Effort::NeedsChange,
    why: "What it filled in (sidecars, labels, defaults) or refused is missing on the target.",
    fix: "Install the program behind it on the target before the first workload moves.",
};
const JUDGE: Rule = Rule {
    id: "XF-T006",
    title: "webhook of the target that may refuse objects",
    effort: Effort::Ready,
    why: "It judges every object the mirror writes, and its failure policy is to refuse when it is away.",
    fix: "crossfade plan asks it beforehand with a dry run.",
};

fn look(sight: &Sight<'_>, found: &mut Findings) {
    let lacks = |plural: &str, kind: &str, name: &str| {
        sight.target.knows(plural) && sight.target.get(&ObjectRef::new(kind, "", name)).is_none()
    };
    let claims = sight.of("PersistentVolumeClaim").map(|claim| (claim, "/spec/storageClassName", String::new()));
    let sets = sight.of("StatefulSet").flat_map(|set| {
        entries(set.value(), "/spec/volumeClaimTemplates")
            .map(move |(at, _)| (set, "/spec/storageClassName", format!("/spec/volumeClaimTemplates/{at}")))
    });
    for (manifest, pointer, prefix) in claims.chain(sets) {
        let pointer = format!("{prefix}{pointer}");
        if let Some(class) = text_at(manifest.value(), &pointer)
            && lacks("storageclasses", "StorageClass", class)
        {
            found.on(&STORAGE, manifest.object(), dotted(&pointer), format!("{class} does not exist on the target"));
        }
    }
    sight.of("Ingress").for_each(|ingress| ingress_class(sight, ingress, found));
    for workload in &sight.workloads {
        for (rule, plural, kind, key) in [
            (&PRIORITY, "priorityclasses", "PriorityClass", "priorityClassName"),
            (&RUNTIME, "runtimeclasses", "RuntimeClass", "runtimeClassName"),
        ] {
            let name = workload.spec().get(key).and_then(Value::as_str).filter(|name| !name.starts_with("system-"));
            if let Some(name) = name.filter(|name| lacks(plural, kind, name)) {
                found.on(rule, workload.object, workload.field(key), format!("{name} does not exist on the target"));
            }
        }
    }
    webhooks(sight, found);
}

/// A pointer as the path people write.
fn dotted(pointer: &str) -> String {
    let mut path = String::new();
    for part in pointer.split('/').skip(1) {
        match part.parse::<usize>() {
            Ok(index) => path.push_str(&format!("[{index}]")),
            Err(_) if path.is_empty() => path.push_str(part),
            Err(_) => path.push_str(&format!(".{part}")),
        }
    }
    path
}

fn ingress_class(sight: &Sight<'_>, ingress: &Manifest, found: &mut Findings) {
    if !sight.target.knows("ingressclasses") {
        return;
    }
    let annotation = "kubernetes.io/ingress.class";
    let field =
        text_at(ingress.value(), "/spec/ingressClassName").map(|name| (name, "spec.ingressClassName".to_owned()));
    let named =
        field.or_else(|| Some((ingress.annotation(annotation)?, format!("metadata.annotations[{annotation}]"))));
    let classes: Vec<_> = sight.target.of("IngressClass").collect();
    let standard = |class: &&&Manifest| class.annotation("ingressclass.kubernetes.io/is-default-class") == Some("true");
    match named {
        Some((name, field)) if !classes.iter().any(|class| class.object().name == name) => {
            found.on(&INGRESS, ingress.object(), field, format!("{name} does not exist on the target"));
        }
        None if !classes.iter().any(|class| standard(&class)) => {
            let what = "names no class, and the target has no default one";
            found.on(&INGRESS, ingress.object(), "spec.ingressClassName", what);
        }
        _ => {}
    }
}

fn webhooks(sight: &Sight<'_>, found: &mut Findings) {
    for kind in ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"] {
        let names: BTreeSet<_> = sight.target.of(kind).map(|there| there.object().name.as_str()).collect();
        for here in sight.source.of(kind).filter(|here| !names.contains(here.object().name.as_str())) {
            found.on(&WEBHOOK, here.object(), "webhooks", format!("acts on {} only", sight.source.name));
        }
        for there in sight.target.of(kind) {
            for (at, hook) in entries(there.value(), "/webhooks") {
                if text_at(hook, "/failurePolicy") != Some("Ignore") {
                    let what = format!("{} on {}", text_at(hook, "/name").unwrap_or("?"), sight.target.name);
                    found.on(&JUDGE, there.object(), format!("webhooks[{at}]"), what);
                }
            }
        }
    }
}
