//! Who owns which field of an object, and giving ours up. PURE.
//!
//! Kubernetes keeps that in `metadata.managedFields`, one entry per manager and way of writing: what we
//! apply and what we scale are two entries, and the server takes them for two strangers. An entry is
//! changed by a merge patch that carries the resource version, so that the server refuses it when somebody
//! else wrote in between; nothing else of the object changes.

use serde_json::{Value, json};

use super::digest::DIGEST_ANNOTATION;
use super::manifest::Manifest;

/// The name under which Crossfade owns fields.
pub const FIELD_MANAGER: &str = "crossfade";

/// A way of giving fields up: the patch that does it, or `None` where there is nothing to give up.
pub type GiveUp = fn(&Manifest) -> Option<Value>;

/// Leaves only the fingerprint to us.
///
/// It stays ours because an object without any owner counts as owned by `before-first-apply` from the next
/// apply on: a second migration would conflict with nobody.
pub fn everything(live: &Manifest) -> Option<Value> {
    rewritten(live, |entry| {
        let field = format!("f:{DIGEST_ANNOTATION}");
        entry.get("fieldsV1")?.pointer("/f:metadata/f:annotations")?.get(&field)?;
        Some(with_fields(entry, json!({"f:metadata": {"f:annotations": {field: {}}}})))
    })
}

/// Leaves to us what we applied, and not the size of a workload.
///
/// Whoever stops applying a field that nobody else owns removes it, and a Deployment without a size has one
/// pod. A field without any owner stays as it is.
pub fn size(live: &Manifest) -> Option<Value> {
    rewritten(live, |entry| {
        let mut fields = entry.get("fieldsV1")?.clone();
        if let Some(Value::Object(spec)) = fields.get_mut("f:spec") {
            spec.remove("f:replicas");
        }
        is_applied(entry).then(|| with_fields(entry, fields))
    })
}

/// Leaves to us what we applied, and nothing that we wrote in another way.
pub fn all_but_applied(live: &Manifest) -> Option<Value> {
    rewritten(live, |entry| is_applied(entry).then(|| entry.clone()))
}

/// Turns what we created into what we applied, so that a field no longer desired goes with the next apply.
///
/// Kubernetes takes the two for two owners, and a field goes only when neither is left.
pub fn created(live: &Manifest) -> Option<Value> {
    let entries = live.value().pointer("/metadata/managedFields")?.as_array()?;
    if entries.iter().any(|entry| is_ours(entry) && is_applied(entry)) {
        return None;
    }
    rewritten(live, |entry| {
        let mut entry = entry.clone();
        entry["operation"] = "Apply".into();
        Some(entry)
    })
}

/// Whether an object is mirrored, not released, and nobody else manages a field of it.
///
/// What is written to a subresource says nothing about whose the object is: there controllers tell how it is, and autoscalers how
/// large.
pub fn is_ours_alone(live: &Manifest) -> bool {
    let entries = live.value().pointer("/metadata/managedFields").and_then(Value::as_array);
    let mut entries = entries.into_iter().flatten().filter(|entry| entry.get("subresource").is_none());
    let is_held = everything(live).is_some();
    live.annotation(DIGEST_ANNOTATION).is_some() && is_held && entries.all(is_ours)
}

fn is_ours(entry: &Value) -> bool {
    entry.get("manager").and_then(Value::as_str) == Some(FIELD_MANAGER)
}

fn is_applied(entry: &Value) -> bool {
    entry.get("operation").and_then(Value::as_str) == Some("Apply")
}

fn with_fields(entry: &Value, fields: Value) -> Value {
    let mut entry = entry.clone();
    entry["fieldsV1"] = fields;
    entry
}

/// The patch that replaces each entry of ours by what `left` leaves of it, or `None` where that is the same.
///
/// Kubernetes takes one empty entry for "nobody owns anything", and an empty list for "leave it as it is".
fn rewritten(live: &Manifest, left: impl Fn(&Value) -> Option<Value>) -> Option<Value> {
    let entries = live.value().pointer("/metadata/managedFields")?.as_array()?;
    let rest = entries.iter().filter_map(|entry| if is_ours(entry) { left(entry) } else { Some(entry.clone()) });
    let mut rest: Vec<_> = rest.collect();
    if rest == *entries {
        return None;
    }
    if rest.is_empty() {
        rest.push(json!({}));
    }
    Some(json!({"metadata": {"resourceVersion": live.resource_version()?, "managedFields": rest}}))
}

#[cfg(test)]
mod tests {
    use super::super::double::object;
    use super::*;

    fn entry(manager: &str, operation: &str, fields: Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "apps/v1", "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    fn left(give_up: GiveUp, entries: &[Value]) -> Option<Value> {
        let metadata = json!({"metadata": {"resourceVersion": "7", "managedFields": entries}});
        let patch = give_up(&object("apps/v1", "Deployment", "web", metadata))?;
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        assert_eq!(patch.as_object().unwrap().len() + patch["metadata"].as_object().unwrap().len(), 3);
        Some(patch["metadata"]["managedFields"].clone())
    }

    #[test]
    fn an_object_is_ours_alone_until_somebody_else_writes_it_or_it_is_released() {
        let fields =
            json!({"f:metadata": {"f:annotations": {format!("f:{DIGEST_ANNOTATION}"): {}}}, "f:data": {"f:key": {}}});
        let mark = json!({"f:metadata": {"f:annotations": {format!("f:{DIGEST_ANNOTATION}"): {}}}});
        let on_status = |manager: &str| {
            let mut entry = entry(manager, "Update", json!({"f:status": {}}));
            entry["subresource"] = "status".into();
            entry
        };
        let ours = || entry("crossfade", "Apply", fields.clone());
        for (marked, entries, expected) in [
            (true, vec![ours()], true),
            (true, vec![ours(), on_status("kube-controller-manager")], true),
            (true, vec![ours(), entry("kubectl-edit", "Update", json!({"f:data": {}}))], false),
            (true, vec![entry("crossfade", "Apply", mark)], false),
            (true, vec![], false),
            (false, vec![ours()], false),
        ] {
            let annotations = if marked { json!({DIGEST_ANNOTATION: "abc"}) } else { json!({}) };
            let metadata = json!({"resourceVersion": "7", "annotations": annotations, "managedFields": entries});
            let live = object("v1", "ConfigMap", "a", json!({"metadata": metadata}));
            assert_eq!(is_ours_alone(&live), expected, "{marked} {entries:?}");
        }
    }

    #[test]
    fn gives_up_what_it_says_and_never_what_others_own() {
        let digest = json!({"f:metadata": {"f:annotations": {format!("f:{DIGEST_ANNOTATION}"): {}}}});
        let body = json!({"f:spec": {"f:paused": {}}});
        let (mut all, mut sized) = (digest.clone(), body.clone());
        json_patch::merge(&mut sized, &json!({"f:spec": {"f:replicas": {}}}));
        json_patch::merge(&mut all, &sized);
        let (mut rest, theirs) = (digest.clone(), entry("argocd", "Apply", sized.clone()));
        json_patch::merge(&mut rest, &body);
        let scaled = entry("crossfade", "Update", json!({"f:spec": {"f:replicas": {}}}));
        let applied = |fields: &Value| entry("crossfade", "Apply", fields.clone());
        let before = [applied(&all), theirs.clone(), scaled.clone()];
        for (give_up, after) in [
            (everything as GiveUp, json!([applied(&digest), theirs])),
            (size, json!([applied(&rest), theirs])),
            (all_but_applied, json!([applied(&all), theirs])),
        ] {
            assert_eq!(left(give_up, &before), Some(after.clone()));
            assert_eq!(left(give_up, after.as_array().unwrap()), None, "a second time there is nothing to give up");
        }
        let made = entry("crossfade", "Update", all.clone());
        assert_eq!(left(created, &[made.clone(), theirs.clone()]), Some(json!([applied(&all), theirs])));
        assert_eq!(left(created, &[made, applied(&all)]), None, "what was applied already has its owner");
        assert_eq!(left(everything, &[theirs]), None);
        assert_eq!(left(everything, &[scaled]), Some(json!([{}])));
    }
}
