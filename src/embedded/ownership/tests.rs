//! Ownership, by the answers of a real v1.37.2 server and by properties.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const fn writer(manager: &str) -> Writer<'_> {
    Writer { manager, api_version: "apps/v1", subresource: "", now: "2026-01-01T00:00:00Z" }
}

fn object(parts: Value) -> Value {
    let mut object =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"}});
    overlay_in_place(&mut object, parts);
    object
}

fn overlay_in_place(object: &mut Value, parts: Value) {
    *object = overlay(object, &parts);
}

fn applied(live: Option<&Value>, manager: &str, parts: Value) -> Result<Value, Vec<Conflict>> {
    apply(live, &object(parts), writer(manager), false)
}

fn forced(live: &Value, manager: &str, parts: Value) -> Value {
    apply(Some(live), &object(parts), writer(manager), true).unwrap()
}

fn fields_of(object: &Value, manager: &str) -> Value {
    let mut entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    entries.find(|entry| entry["manager"] == manager).map_or(Value::Null, |entry| entry["fieldsV1"].clone())
}

fn container(parts: Value) -> Value {
    let container = overlay(&json!({"name": "c"}), &parts);
    json!({"spec": {"template": {"spec": {"containers": [container]}}}})
}

#[test]
fn an_apply_owns_its_leaves_and_items() {
    let parts = json!({
        "metadata": {"labels": {"a": "1"}},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c", "image": "i:1", "ports": [{"containerPort": 80}],
                                     "env": [{"name": "X", "value": "1"}]}]}}},
    });
    let live = applied(None, "m1", parts).unwrap();
    // As a real server answered to the same request.
    assert_eq!(
        fields_of(&live, "m1"),
        json!({"f:metadata": {"f:labels": {"f:a": {}}}, "f:spec": {"f:replicas": {}, "f:selector": {}, "f:template": {
            "f:metadata": {"f:labels": {"f:app": {}}},
            "f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {".": {},
                "f:env": {"k:{\"name\":\"X\"}": {".": {}, "f:name": {}, "f:value": {}}},
                "f:image": {}, "f:name": {},
                "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}}}}}}})
    );
}

#[test]
fn changing_what_others_own_is_a_conflict() {
    let live = applied(None, "m1", json!({"spec": {"replicas": 2, "paused": false}})).unwrap();
    let conflicts = applied(Some(&live), "m2", json!({"spec": {"replicas": 5, "paused": false}})).unwrap_err();
    assert_eq!(conflicts, [Conflict { owner: r#""m1""#.into(), field: ".spec.replicas".into() }]);

    let live = update(Some(&live), &overlay(&live, &json!({"spec": {"replicas": 7}})), writer("m3"));
    let conflicts = applied(Some(&live), "m2", json!({"spec": {"replicas": 5}})).unwrap_err();
    assert_eq!(conflicts[0].owner, r#""m3" using apps/v1"#);
}

#[test]
fn force_moves_the_field_to_its_new_owner() {
    let live = applied(None, "m1", json!({"spec": {"replicas": 2, "paused": false}})).unwrap();
    let live = forced(&live, "m2", json!({"spec": {"replicas": 5}}));
    assert_eq!(live["spec"]["replicas"], 5);
    assert_eq!(fields_of(&live, "m1"), json!({"f:spec": {"f:paused": {}}}));
    assert_eq!(fields_of(&live, "m2"), json!({"f:spec": {"f:replicas": {}}}));
}

#[test]
fn equal_values_are_owned_together_and_outlive_one_owner() {
    let live = applied(None, "m1", json!({"spec": {"replicas": 2}})).unwrap();
    let live = applied(Some(&live), "m2", json!({"spec": {"replicas": 2}})).unwrap();
    let live = applied(Some(&live), "m1", json!({})).unwrap();
    assert_eq!(live["spec"]["replicas"], 2);
    let live = applied(Some(&live), "m2", json!({})).unwrap();
    assert_eq!(live["spec"], Value::Null);
    assert_eq!(live["metadata"]["managedFields"], Value::Null);
}

#[test]
fn an_item_applied_no_more_goes_with_its_defaults() {
    let live = applied(None, "m1", container(json!({"image": "i:1"}))).unwrap();
    let mut defaulted = live;
    defaulted["spec"]["template"]["spec"]["containers"][0]["terminationMessagePath"] = "/dev/termination-log".into();
    let two = json!({"spec": {"template": {"spec": {"containers": [{"name": "d", "image": "i:1"}]}}}});
    let live = applied(Some(&defaulted), "m1", two).unwrap();
    assert_eq!(live["spec"]["template"]["spec"]["containers"], json!([{"name": "d", "image": "i:1"}]));
}

#[test]
fn defaults_beside_an_applied_field_stay() {
    let mut live = applied(None, "m1", container(json!({"image": "i:1", "tty": true}))).unwrap();
    live["spec"]["template"]["spec"]["containers"][0]["terminationMessagePath"] = "/dev/termination-log".into();
    let live = applied(Some(&live), "m1", container(json!({"image": "i:2"}))).unwrap();
    assert_eq!(
        live["spec"]["template"]["spec"]["containers"],
        json!([{"name": "c", "image": "i:2", "terminationMessagePath": "/dev/termination-log"}])
    );
}

#[test]
fn an_update_takes_over_what_it_changes() {
    let live = applied(None, "m1", json!({"spec": {"replicas": 2, "paused": false}})).unwrap();
    let new = overlay(&live, &json!({"metadata": {"annotations": {"x": "y"}}, "spec": {"replicas": 7}}));
    let live = update(Some(&live), &new, writer("m3"));
    assert_eq!(fields_of(&live, "m1"), json!({"f:spec": {"f:paused": {}}}));
    assert_eq!(
        fields_of(&live, "m3"),
        json!({"f:metadata": {"f:annotations": {".": {}, "f:x": {}}}, "f:spec": {"f:replicas": {}}})
    );
}

#[test]
fn a_subresource_is_another_owner() {
    let live = applied(None, "m1", json!({"spec": {"replicas": 2}})).unwrap();
    let scaled = overlay(&live, &json!({"spec": {"replicas": 3}}));
    let live = update(Some(&live), &scaled, Writer { subresource: "scale", ..writer("m1") });
    let conflicts = applied(Some(&live), "m1", json!({"spec": {"replicas": 2}})).unwrap_err();
    assert_eq!(conflicts[0].owner, r#""m1" with subresource "scale" using apps/v1"#);
}

/// Configurations over a few fields, in the shapes ownership tells apart.
fn configs() -> impl Strategy<Value = Value> {
    let labels = prop::collection::btree_map("[a-c]", "[1-2]", 0..3);
    let items = prop::collection::btree_map("[A-C]", "[1-2]", 0..3);
    (labels, items, prop::option::of(0u32..3)).prop_map(|(labels, items, replicas)| {
        let env: Vec<Value> = items.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        let mut parts = container(json!({ "env": env }));
        parts["metadata"] = json!({ "labels": labels });
        if let Some(replicas) = replicas {
            parts["spec"]["replicas"] = replicas.into();
        }
        parts
    })
}

proptest! {
    #[test]
    fn applying_twice_is_applying_once(first in configs(), second in configs()) {
        let live = applied(None, "m1", first).unwrap();
        let once = forced(&live, "m2", second.clone());
        prop_assert_eq!(forced(&once, "m2", second), once);
    }

    #[test]
    fn a_forced_apply_leaves_every_field_as_asked(first in configs(), second in configs()) {
        let live = forced(&applied(None, "m1", first).unwrap(), "m2", second.clone());
        prop_assert_eq!(overlay(&live, &second), live);
    }

    #[test]
    fn disjoint_fields_never_conflict(labels in configs(), replicas in 0..9) {
        let live = applied(None, "m1", labels).unwrap();
        let mut mine = live.clone();
        mine["spec"].as_object_mut().unwrap().remove("replicas");
        let live = forced(&live, "m1", json!({"spec": mine["spec"], "metadata": {"labels": mine["metadata"]["labels"]}}));
        let applied = applied(Some(&live), "m2", json!({"spec": {"replicas": replicas}}));
        prop_assert!(applied.is_ok());
    }

    #[test]
    fn releasing_takes_only_what_nobody_else_owns(first in configs(), second in configs()) {
        let alone = applied(None, "m1", first).unwrap();
        let both = forced(&alone, "m2", second.clone());
        let released = forced(&both, "m2", json!({}));
        // What is left is what `m1` still owns, with the values both had agreed on last.
        let kept = FieldSet::from_json(&fields_of(&released, "m1"));
        prop_assert_eq!(fields_of(&both, "m1"), fields_of(&released, "m1"));
        prop_assert_eq!(claimed(&bare(&released)).difference(&kept).difference(&identity()).paths()
            .into_iter().filter(|path| path.len() > 3).count(), 0);
        prop_assert_eq!(fields_of(&released, "m2"), Value::Null);
    }
}
