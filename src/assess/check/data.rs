//! Data: what a pod leaves on a volume, and objects too large to write. PURE.

use serde_json::Value;

use super::Check;
use crate::assess::rule::{Effort, Findings, Rule};
use crate::assess::sight::Sight;
use crate::cluster::{Manifest, entries, text_at};

/// The check.
pub const CHECK: Check = Check { rules: &[&CLAIM, &SET, &BIG], look };

const CLAIM: Rule = Rule {
    id: "XF-U030",
    title: "data on a claim",
    effort: Effort::Blocked,
    why: "Crossfade moves traffic and objects, not data: the claim is not mirrored, and two clusters cannot write one volume.",
    fix: "Move the data with the storage's own tools, create the claim on the target, and patch or waive the reference.",
};
const SET: Rule = Rule {
    id: "XF-U031",
    title: "stateful set with data of its own",
    effort: Effort::Blocked,
    why: "Every pod has a volume of its own, none of which is mirrored.",
    fix: "Replicate the data by the program's own means (a replica on the target), and move its clients.",
};
const BIG: Rule = Rule {
    id: "XF-U032",
    title: "almost too large to be written",
    effort: Effort::NeedsChange,
    why: "A ConfigMap or Secret holds at most 1 MiB, and a request to etcd 1.5 MiB; ownership and conversion add to an object.",
    fix: "Split it.",
};

/// Where an object begins to be in danger: nine tenths of what a ConfigMap holds.
const NEAR_LIMIT: usize = 943_718;

fn look(sight: &Sight<'_>, found: &mut Findings) {
    for workload in &sight.workloads {
        for (at, volume) in entries(workload.spec(), "/volumes") {
            if let Some(claim) = text_at(volume, "/persistentVolumeClaim/claimName") {
                let field = workload.field(&format!("volumes[{at}].persistentVolumeClaim"));
                found.on(&CLAIM, workload.object, field, format!("mounts {claim}"));
            }
        }
    }
    for set in sight.of("StatefulSet") {
        for (at, claim) in entries(set.value(), "/spec/volumeClaimTemplates") {
            let name = text_at(claim, "/metadata/name").unwrap_or("?");
            found.on(
                &SET,
                set.object(),
                format!("spec.volumeClaimTemplates[{at}]"),
                format!("a claim {name} for each pod"),
            );
        }
    }
    for manifest in sight.objects() {
        let size = size(manifest);
        if size > NEAR_LIMIT {
            found.on(&BIG, manifest.object(), "", format!("{} KiB", size / 1024));
        }
    }
}

/// Bytes of an object's own part, near enough: those of its texts.
fn size(manifest: &Manifest) -> usize {
    let parts = ["spec", "data", "binaryData"].into_iter().filter_map(|key| manifest.value().get(key));
    parts.map(weigh).sum()
}

fn weigh(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(weigh).sum(),
        Value::Object(map) => map.iter().map(|(key, value)| key.len() + 3 + weigh(value)).sum(),
        _ => 4,
    }
}
