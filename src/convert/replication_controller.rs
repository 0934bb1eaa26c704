//! ReplicationController `v1` → Deployment `apps/v1`. PURE.
//!
//! Name, labels, pods and size stay; the selector, a plain map, becomes `matchLabels`, and is made of the template's labels where
//! there is none, as the old server does. Services select by the same labels and go on matching.
//!
//! # Why nothing is adopted twice
//!
//! A controller adopts pods that match its selector and belong to nobody. The pods of a Deployment belong to its ReplicaSet from
//! the moment they are made, so a ReplicationController that is left somewhere never takes them. The other way round, the
//! ReplicaSet selects by `pod-template-hash` besides the labels, and no pod of a ReplicationController carries that, even one
//! that was orphaned. So no label of ours has to tell them apart. What a Deployment does adopt is a ReplicaSet that matches and
//! belongs to nobody: ReplicaSets are not mirrored, and where the input of `crossfade convert` holds such a pair it blocks.
//!
//! # What it does not have
//!
//! A ReplicationController never replaces running pods when its template changes; a Deployment rolls, by its defaults.

use serde_json::json;

use super::draft::Draft;

/// From `v1`.
pub fn from_v1(controller: &mut Draft<'_>) {
    let template = controller.peek("spec").and_then(|spec| spec.get("template"));
    let labels = template.and_then(|template| template.pointer("/metadata/labels")).cloned();
    controller.nested("spec", |spec| {
        spec.carry(&["replicas", "minReadySeconds", "template"]);
        let selector = spec.take("selector").filter(|selector| *selector != json!({})).or(labels);
        match selector {
            Some(selector) => spec.put("selector", json!({"matchLabels": selector})),
            None => spec.blocks("selector", "is missing, and the template has no labels it could be made of"),
        }
    });
    controller.notice("", "becomes a Deployment, which replaces its pods by itself when the template changes");
}
