//! Tables of objects that are wrong, and of objects that get in each other's way.

use super::*;

fn object(kind: &str, name: &str, spec: serde_json::Value) -> DynamicObject {
    let metadata = json!({"name": name, "namespace": "shop", "uid": "1", "resourceVersion": "7", "generation": 1});
    serde_json::from_value(json!({
        "apiVersion": "crossfade.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec, "status": {"phase": "x"}
    }))
    .unwrap()
}

fn migration(backend: &str, labels: serde_json::Value) -> serde_json::Value {
    json!({
        "source": {"cluster": "blue"}, "target": {"cluster": "green"},
        "workloads": {"namespaces": ["shop"], "selector": {"matchLabels": labels}},
        "planes": [{"name": "edge", "haproxy": {"address": "unix:/h", "backend": backend, "source": ["b"], "target": ["g"]}}],
        "policy": {"name": "careful"},
    })
}

fn policy() -> DynamicObject {
    let metrics = json!([{"name": "errors", "planeErrors": {"plane": "edge"}, "max": "1%"}]);
    object(
        "ShiftPolicy",
        "careful",
        json!({"steps": [{"setWeight": 1}, {"setWeight": 100}], "analysis": {"metrics": metrics}}),
    )
}

fn accepted(backend: &str, labels: serde_json::Value) -> Migration {
    read(&object("Migration", "checkout", migration(backend, labels)), Some(&policy())).unwrap().migration
}

#[test]
fn every_mistake_is_said_with_its_field() {
    let mut spec = migration("checkout", json!({"part-of": "checkout"}));
    spec["onCommmit"] = json!("retain");
    spec["target"] = json!({});
    let refusal = read(&object("Migration", "checkout", spec), Some(&policy())).unwrap_err();
    assert_eq!(refusal.reason, "InvalidSpec");
    for part in [
        "spec.target: needs exactly one of context, cluster",
        "spec.onCommmit: is not a field",
        "did you mean onCommit?",
    ] {
        assert!(refusal.message.contains(part), "{part}: {}", refusal.message);
    }
    let mut policy = policy();
    policy.data["spec"]["steps"][1] = json!({"setWeight": 90});
    let whole = object("Migration", "checkout", migration("checkout", json!({})));
    let refusal = read(&whole, Some(&policy)).unwrap_err();
    assert!(refusal.message.starts_with("ShiftPolicy careful: spec.steps: never reach 100%"), "{}", refusal.message);
    assert_eq!(read(&whole, None).unwrap_err().reason, "NoPolicy");
}

#[test]
fn two_that_would_write_the_same_are_told_apart() {
    let checkout = accepted("checkout", json!({"part-of": "checkout"}));
    let perhaps = Contest::Possible("workloads of namespace shop, perhaps the same".to_owned());
    for (backend, labels, contested_part) in [
        ("checkout", json!({"part-of": "cart"}), Some(Contest::Certain("the backend checkout".to_owned()))),
        ("cart", json!({"part-of": "checkout"}), Some(perhaps.clone())),
        ("cart", json!({"app": "cart"}), Some(perhaps.clone())),
        ("cart", json!({}), Some(perhaps)),
        ("cart", json!({"part-of": "cart", "app": "x"}), None),
    ] {
        assert_eq!(contested(&accepted(backend, labels.clone()), &checkout), contested_part, "{backend} {labels}");
    }
}
