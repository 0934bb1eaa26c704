//! Conversion, checked against the conversion of a real v1.20 server.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

mod kinds;

macro_rules! recorded {
    ($name:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!("../../tests/fixtures/v1.20.15/", $name, ".json"))).unwrap()
    };
}

fn converted(body: &Value, to: &str) -> Converted {
    let (kind, from) = (body["kind"].as_str().unwrap(), body["apiVersion"].as_str().unwrap());
    convert(kind, from, to, body.clone()).unwrap()
}

/// An object of a kind and version, with `rest` beside its name, in its new version.
fn convert_as(kind: &str, from: &str, rest: Value) -> Converted {
    let mut body = json!({"apiVersion": from, "kind": kind, "metadata": {"name": "a"}});
    json_patch::merge(&mut body, &rest);
    conversion_of(kind, from).unwrap().convert(body)
}

fn convert_ingress(rest: Value) -> Converted {
    convert_as("Ingress", "extensions/v1beta1", rest)
}

fn convert_pdb(rest: Value) -> Converted {
    convert_as("PodDisruptionBudget", "policy/v1beta1", rest)
}

fn convert_hpa(from: &str, rest: Value) -> Converted {
    convert_as("HorizontalPodAutoscaler", from, rest)
}

fn blockers(converted: &Converted) -> Vec<String> {
    let blocking = converted.findings.iter().filter(|finding| finding.severity == Severity::Blocks);
    blocking.map(ToString::to_string).collect()
}

#[test]
fn an_ingress_becomes_what_the_old_server_itself_makes_of_it() {
    let wanted = recorded!("ingress-v1");
    for old in [recorded!("ingress-v1beta1"), recorded!("ingress-extensions-v1beta1")] {
        let new = converted(&old, "networking.k8s.io/v1");
        assert_eq!(blockers(&new), [""; 0]);
        assert_eq!(new.body["spec"], wanted["spec"]);
        assert_eq!(new.body["apiVersion"], wanted["apiVersion"]);
        assert_eq!(new.body["metadata"], old["metadata"]);
    }
}

#[test]
fn an_autoscaler_becomes_the_same_from_every_old_version() {
    let plain = converted(&recorded!("hpa-v2beta2"), "autoscaling/v2");
    let mut wanted = plain.body["spec"].clone();
    // The only trace the way through the old versions leaves, and it means nothing beside an average.
    wanted["metrics"][2]["object"]["target"].as_object_mut().unwrap().remove("value");
    for old in [recorded!("hpa-v2beta1"), recorded!("hpa-v1")] {
        let new = converted(&old, "autoscaling/v2");
        assert_eq!(blockers(&new), [""; 0]);
        assert_eq!(new.body["spec"], wanted, "from {}", old["apiVersion"]);
        let annotations: Vec<_> = new.body["metadata"]["annotations"].as_object().unwrap().keys().collect();
        assert!(!annotations.iter().any(|key| key.ends_with("/metrics") || key.ends_with("/behavior")));
    }
}

#[test]
fn backends_keep_their_meaning() {
    for (old, new) in [
        (json!({"serviceName": "web", "servicePort": 80}), json!({"service": {"name": "web", "port": {"number": 80}}})),
        (
            json!({"serviceName": "web", "servicePort": "http"}),
            json!({"service": {"name": "web", "port": {"name": "http"}}}),
        ),
        (
            json!({"resource": {"kind": "Bucket", "name": "b"}, "servicePort": 0}),
            json!({"resource": {"kind": "Bucket", "name": "b"}}),
        ),
    ] {
        let body = json!({"spec": {"backend": old, "rules": [{"host": "a"}]}});
        let converted = convert_ingress(body);
        assert_eq!(converted.body["spec"]["defaultBackend"], new);
        assert_eq!(converted.body["spec"]["rules"], json!([{"host": "a"}]));
        assert_eq!(converted.findings, []);
    }
}

#[test]
fn a_path_keeps_its_type_and_gets_one_where_it_had_none() {
    let backend = json!({"serviceName": "web", "servicePort": 80});
    let paths = json!([{"path": "/a", "pathType": "Prefix", "backend": backend}, {"backend": backend}]);
    let converted = convert_ingress(json!({"spec": {"rules": [{"http": {"paths": paths}}]}}));
    let paths = &converted.body["spec"]["rules"][0]["http"]["paths"];
    assert_eq!(paths[0]["pathType"], "Prefix");
    assert_eq!(paths[1]["pathType"], "ImplementationSpecific");
    assert_eq!(paths[1].get("path"), None);
}

#[test]
fn an_empty_selector_goes_on_protecting_nothing() {
    for (selector, kept) in [
        (json!({}), None),
        (json!({"matchLabels": {}, "matchExpressions": []}), None),
        (json!({"matchLabels": {"app": "web"}}), Some(json!({"matchLabels": {"app": "web"}}))),
    ] {
        let converted = convert_pdb(json!({"spec": {"minAvailable": "50%", "selector": selector}}));
        assert_eq!(converted.body["spec"].get("selector"), kept.as_ref());
        assert_eq!(converted.body["spec"]["minAvailable"], "50%");
        assert_eq!(converted.findings.len(), usize::from(kept.is_none()));
        assert_eq!(blockers(&converted), [""; 0]);
    }
}

#[test]
fn autoscaling_v1_means_80_percent_where_it_says_nothing() {
    let cpu = |percent: u32| {
        let target = json!({"type": "Utilization", "averageUtilization": percent});
        json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}])
    };
    for (spec, metrics) in
        [(json!({"maxReplicas": 3}), cpu(80)), (json!({"targetCPUUtilizationPercentage": 50}), cpu(50))]
    {
        assert_eq!(convert_hpa("autoscaling/v1", json!({"spec": spec})).body["spec"]["metrics"], metrics);
    }
}

#[test]
fn what_cannot_be_carried_is_named_with_its_path() {
    let metric = |source: Value| json!({"spec": {"metrics": [source]}});
    let hidden = |key: &str| json!({"metadata": {"annotations": {key: "not JSON"}}, "spec": {}});
    for (converted, path) in [
        (
            convert_ingress(json!({"spec": {"rules": [{"http": {"paths": [{"backend": {"weight": 1}}]}}]}})),
            "spec.rules[0].http.paths[0].backend.weight",
        ),
        (
            convert_ingress(json!({"spec": {"rules": [{"http": {"paths": [{}]}}]}})),
            "spec.rules[0].http.paths[0].backend",
        ),
        (convert_ingress(json!({"spec": {"rules": 1}})), "spec.rules"),
        (convert_ingress(json!({"spec": {}, "data": {}})), "data"),
        (convert_pdb(json!({"spec": {"maxDisruption": 1}})), "spec.maxDisruption"),
        (convert_hpa("autoscaling/v2beta2", json!({"spec": {"tolerance": 1}})), "spec.tolerance"),
        (convert_hpa("autoscaling/v2beta1", metric(json!({"type": "Magic"}))), "spec.metrics[0].type"),
        (convert_hpa("autoscaling/v2beta1", metric(json!({"type": "Pods"}))), "spec.metrics[0].pods"),
        (
            convert_hpa("autoscaling/v2beta1", metric(json!({"type": "Pods", "pods": {"window": 5}}))),
            "spec.metrics[0].pods.window",
        ),
        (
            convert_hpa(
                "autoscaling/v2beta1",
                metric(json!({"type": "External", "external": {"targetValue": 1, "targetAverageValue": 1}})),
            ),
            "spec.metrics[0].external.targetAverageValue",
        ),
        (
            convert_hpa("autoscaling/v1", hidden(hpa::METRICS_ANNOTATION)),
            "metadata.annotations[autoscaling.alpha.kubernetes.io/metrics]",
        ),
        (
            convert_hpa("autoscaling/v1", hidden(hpa::BEHAVIOR_ANNOTATION)),
            "metadata.annotations[autoscaling.alpha.kubernetes.io/behavior]",
        ),
    ] {
        let paths: Vec<_> =
            converted.findings.iter().map(|finding| (finding.field.as_str(), finding.severity)).collect();
        assert_eq!(paths, [(path, Severity::Blocks)]);
    }
}

/// Any JSON, with the keys the converters look for among others.
fn any_json() -> impl Strategy<Value = Value> {
    let keys = [
        "subjects",
        "endpoints",
        "topology",
        "webhooks",
        "limited",
        "assuredConcurrencyShares",
        "versions",
        "version",
        "validation",
        "openAPIV3Schema",
        "properties",
        "additionalProperties",
        "items",
        "anyOf",
        "conversion",
        "conversionReviewVersions",
        "additionalPrinterColumns",
        "JSONPath",
        "template",
        "jobTemplate",
        "containers",
        "securityContext",
        "labels",
        "strategy",
        "rollingUpdate",
        "rollbackTo",
        "scaleTargetRef",
        "kind",
        "apiVersion",
        "name",
        "seccomp.security.alpha.kubernetes.io/pod",
        "spec",
        "metadata",
        "annotations",
        "rules",
        "http",
        "paths",
        "backend",
        "serviceName",
        "servicePort",
        "metrics",
        "type",
        "resource",
        "pods",
        "object",
        "external",
        "selector",
        "target",
        "targetValue",
        "behavior",
        "tls",
        "unknown",
        hpa::METRICS_ANNOTATION,
    ];
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec![
            "Pods",
            "Resource",
            "User",
            "*",
            "runtime/default",
            "ReplicationController",
            "v1",
            "[]",
            "[{\"type\":\"Pods\"}]",
            ""
        ])
        .prop_map(Value::from),
    ];
    scalar.prop_recursive(6, 64, 6, move |inner| {
        let map = prop::collection::btree_map(prop::sample::select(keys.to_vec()), inner.clone(), 0..6);
        let map = map.prop_map(|map| {
            Value::Object(map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
        });
        prop_oneof![map, prop::collection::vec(inner, 0..4).prop_map(Value::Array)]
    })
}

/// Every scalar of a value, as text.
fn scalars(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::Object(map) => map.values().for_each(|value| scalars(value, found)),
        Value::Array(entries) => entries.iter().for_each(|value| scalars(value, found)),
        scalar => found.push(scalar.to_string()),
    }
}

proptest! {
    #[test]
    fn converting_is_total_and_loses_nothing_in_silence(spec in any_json(), rest in any_json()) {
        for conversion in CONVERSIONS {
            let mut body = json!({"apiVersion": conversion.from, "kind": conversion.kind, "metadata": {"name": "a"}});
            if let Value::Object(rest) = &rest {
                let stated = ["apiVersion", "kind", "metadata"];
                rest.iter().filter(|(key, _)| !stated.contains(&key.as_str())).for_each(|(key, value)| body[key] = value.clone());
            }
            body["spec"] = spec.clone();
            let converted = conversion.convert(body.clone());
            prop_assert_eq!(&converted.body["apiVersion"], conversion.to);
            prop_assert_eq!(&converted.body["kind"], conversion.becomes);
            if converted.findings.is_empty() {
                let (mut before, mut after) = (Vec::new(), Vec::new());
                scalars(&body, &mut before);
                scalars(&converted.body, &mut after);
                let expected = |value: &String| {
                    let names = [conversion.from, conversion.kind].map(|name| format!("{name:?}"));
                    // What v1alpha1 of RBAC says of a subject by its version, and of everybody as a user, is said otherwise.
                    let restated = conversion.from.starts_with("rbac") && ["\"v1\"", "\"*\"", "\"User\""].contains(&value.as_str());
                    !names.contains(value) && !restated && !["0", "\"\""].contains(&value.as_str())
                };
                let lost: Vec<_> = before.iter().filter(|value| !after.contains(value) && expected(value)).collect();
                prop_assert!(lost.is_empty(), "{} {} lost {:?}", conversion.from, conversion.kind, lost);
            }
        }
    }

    #[test]
    fn converting_and_renewing_again_changes_nothing(spec in any_json()) {
        for conversion in CONVERSIONS {
            let body = json!({"apiVersion": conversion.from, "kind": conversion.kind, "metadata": {"name": "a"}, "spec": spec});
            let mut once = conversion.convert(body).body;
            renew(conversion.becomes, &mut once, &mut Vec::new());
            let mut twice = convert(conversion.becomes, conversion.to, conversion.to, once.clone()).unwrap().body;
            renew(conversion.becomes, &mut twice, &mut Vec::new());
            prop_assert_eq!(once, twice);
        }
    }

    #[test]
    fn any_policy_has_a_level(spec in any_json()) {
        let needed = level(&json!({"spec": spec}));
        prop_assert!(needed.level >= Level::Baseline || needed.findings.iter().all(|finding| !finding.message.contains(": p")));
    }
}

/// The paths of every object inside a value.
fn objects(value: &Value, path: String, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| objects(value, format!("{path}/{key}"), found));
            found.push(path);
        }
        Value::Array(entries) => {
            entries.iter().enumerate().for_each(|(at, value)| objects(value, format!("{path}/{at}"), found));
        }
        _ => {}
    }
}

#[test]
fn a_field_nobody_knows_is_carried_or_reported_wherever_it_is() {
    for old in [
        recorded!("ingress-extensions-v1beta1"),
        recorded!("hpa-v1"),
        recorded!("hpa-v2beta1"),
        recorded!("hpa-v2beta2"),
    ] {
        let to = if old["kind"] == "Ingress" { "networking.k8s.io/v1" } else { "autoscaling/v2" };
        let mut paths = Vec::new();
        objects(&old["spec"], "/spec".to_owned(), &mut paths);
        for path in paths {
            let mut strange = old.clone();
            strange.pointer_mut(&path).unwrap()["strange"] = "marker".into();
            let new = converted(&strange, to);
            assert!(
                new.body.to_string().contains("marker") || blockers(&new).len() == 1,
                "{path} of {}",
                old["apiVersion"]
            );
        }
    }
}
