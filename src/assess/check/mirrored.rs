//! What the mirror itself would say: conversions, references, what stays behind. PURE.

use super::Check;
use crate::assess::rule::{Effort, Findings, Rule};
use crate::assess::sight::Sight;
use crate::cluster::kind;
use crate::convert::conversion_of;

/// The check.
pub const CHECK: Check = Check { rules: &[&BLOCKS, &NOTICE, &BEHIND], look };

const BLOCKS: Rule = Rule {
    id: "XF-V007",
    title: "the mirror cannot carry this",
    effort: Effort::Blocked,
    why: "The object would not mean the same on the target, or not work there.",
    fix: "Do what the message says, on the source or with a transform of the Migration.",
};
const NOTICE: Rule = Rule {
    id: "XF-V008",
    title: "changes on the way, or expects something of the target",
    effort: Effort::Ready,
    why: "It is carried, and something about it is different afterwards.",
    fix: "Read it once; nothing has to be done where it is what you want.",
};
const BEHIND: Rule = Rule {
    id: "XF-V009",
    title: "kind that is not mirrored",
    effort: Effort::NeedsChange,
    why: "The object stays behind: nothing of it arrives on the target by itself.",
    fix: "Bring it to the target by the way it came to the source, or turn it into a kind that is mirrored.",
};

/// Kinds that clusters fill by themselves, or that a rule of its own is about.
const MADE: &[&str] = &[
    "ControllerRevision",
    "Endpoints",
    "PersistentVolume",
    "Pod",
    "PodMetrics",
    "PodSecurityPolicy",
    "ReplicaSet",
    "VolumeAttachment",
    "CustomResourceDefinition",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
    "StorageClass",
    "IngressClass",
    "PriorityClass",
    "RuntimeClass",
    "Namespace",
    "Node",
];

fn look(sight: &Sight<'_>, found: &mut Findings) {
    for problem in &sight.problems {
        let rule = if problem.blocks() { &BLOCKS } else { &NOTICE };
        let (field, what) = (problem.finding.field.clone(), problem.finding.message.clone());
        match &problem.object {
            Some(object) => found.on(rule, object, field, what),
            None => found.about(rule, field, what),
        }
    }
    for manifest in sight.objects() {
        let object = manifest.object();
        let made = manifest.controller().is_some() || MADE.contains(&object.kind.as_str());
        let version = manifest.api_version();
        let becomes = conversion_of(&object.kind, version).map_or(version, |conversion| conversion.to);
        let served = sight.target.served.resource(becomes, &object.kind).is_some();
        if kind(&object.kind).is_none() && !made && served {
            found.on(&BEHIND, object, "", format!("a {} is not mirrored", object.kind));
        }
    }
}
