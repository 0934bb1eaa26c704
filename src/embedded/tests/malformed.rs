//! No document, however malformed, may take the server down: a good one of each kind the server knows
//! more of than its name, with every place in it replaced by every sort of value.

use super::kinds::Group;
use super::read;
use super::rollout::Wanted;
use super::workload::{Census, deployment_status, owner, pod_of, pod_status};
use super::write::{Edit, scale_of};
use super::*;

fn samples() -> Vec<Value> {
    let pod = json!({"metadata": {"labels": {"app": "web"}, "annotations": {"a": "b"}}, "spec": {
        "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}], "readinessProbe": {"httpGet": {"port": 80}}}]}});
    let cpu = |value: Value| json!({"maxReplicas": 2, "metrics": [{"type": "Resource", "resource": value}]});
    let target = json!({"type": "Utilization", "averageUtilization": 70});
    let backends = |backend: Value, default: &str| json!({default: backend, "rules": [{"http": {"paths": [{"backend": backend}]}}]});
    let workload = json!({"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": pod,
                          "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}}});
    let of = |api_version: &str, kind: &str, parts: Value| {
        let mut object =
            json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "web", "labels": {"a": "b"}}});
        json_patch::merge(&mut object, &parts);
        object
    };
    let owners = json!([{"controller": true, "uid": "u", "name": "web"}]);
    let finalizers = json!({"metadata": {"finalizers": ["a/b"], "generateName": "w-", "ownerReferences": owners}});
    vec![
        of("v1", "ConfigMap", finalizers),
        of("v1", "Secret", json!({"stringData": {"a": "1"}, "data": {"b": "Mg=="}})),
        of("v1", "Service", json!({"spec": {"type": "NodePort", "clusterIP": "10.96.0.9", "ports": [{"port": 80}]}})),
        of("v1", "Pod", pod.clone()),
        of(
            "apps/v1",
            "Deployment",
            json!({"spec": workload, "status": {"replicas": 1, "conditions": [{"type": "Available"}]}}),
        ),
        of("apps/v1", "StatefulSet", json!({"spec": workload})),
        of("batch/v1beta1", "CronJob", json!({"spec": {"jobTemplate": {"spec": {"template": pod}}}})),
        of(
            "extensions/v1beta1",
            "Ingress",
            json!({"spec": backends(json!({"serviceName": "web", "servicePort": 80}), "backend")}),
        ),
        of(
            "networking.k8s.io/v1",
            "Ingress",
            json!({"spec": backends(json!({"service": {"name": "web", "port": {"number": 80}}}), "defaultBackend")}),
        ),
        of(
            "autoscaling/v1",
            "HorizontalPodAutoscaler",
            json!({"spec": {"maxReplicas": 2, "targetCPUUtilizationPercentage": 70}}),
        ),
        of(
            "autoscaling/v2beta1",
            "HorizontalPodAutoscaler",
            json!({"spec": cpu(json!({"name": "cpu", "targetAverageUtilization": 70}))}),
        ),
        of(
            "autoscaling/v2beta2",
            "HorizontalPodAutoscaler",
            json!({"spec": cpu(json!({"name": "cpu", "target": target}))}),
        ),
    ]
}

/// The path of every value in a document, its own included.
fn places(value: &Value, at: &str, places: &mut Vec<String>) {
    places.push(at.to_owned());
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            let name = name.replace('~', "~0").replace('/', "~1");
            self::places(value, &format!("{at}/{name}"), places);
        }),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| self::places(value, &format!("{at}/{index}"), places));
        }
        _ => {}
    }
}

/// Does with a document whatever a client may do, and looks at the outcome in every version.
fn exercise(sample: &Value, document: &Value) {
    let (shape, now) = (Shape::V1_20, "2026-01-01T00:00:00Z");
    let store = Store::new(store::HISTORY);
    found_namespaces(shape, &store);
    let api_version = sample["apiVersion"].as_str().unwrap();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let served = |group: &Group, version: &kinds::Version| -> Vec<_> {
        let kinds = version.kinds.iter().filter(|kind| sample["kind"] == kind.name);
        kinds.map(|kind| (group.name, version.name, *kind)).collect()
    };
    let everywhere: Vec<_> = shape
        .groups()
        .iter()
        .flat_map(|group| group.versions.iter().flat_map(|version| served(group, version)))
        .collect();
    let (_, _, kind) = *everywhere.iter().find(|place| (place.0, place.1) == (group, version)).unwrap();
    let target = Target { group, version, kind, namespace: "default", name: "web", subresource: "" };
    let write = Write { shape, target, api_version, manager: "test", force: true, dry_run: false, now };
    let on = |subresource| Write { target: Target { subresource, ..target }, ..write };
    // Whether any of these succeeds is another matter; each has to come to an end.
    let _ = Write { target: Target { name: "", ..target }, ..write }.create(&store, document.clone());
    let _ = write.edit(&store, Edit::Merge(sample.clone()));
    let _ = write.apply(&store, document.clone());
    let _ = write.apply(&store, sample.clone());
    let _ = on("").edit(&store, Edit::Merge(document.clone()));
    let _ = on("status").edit(&store, Edit::Replace(document.clone()));
    let _ = on("scale").scale(&store, Edit::Replace(document.clone()));
    for (group, version, kind) in everywhere {
        let target = Target { group, version, kind, name: "", ..target };
        let _ = read::list(&store, target, &discovery::group_version(group, version), &Default::default());
    }
    if let Ok(object) = read::get(&store, target, api_version) {
        let wanted = Wanted::of(&object["spec"]);
        let _ = (owner(&object), pod_of(&object), scale_of(&object), pod_status(&object, None, true, now));
        let _ = deployment_status(&object, wanted, Census::default(), now);
    }
    let _ = write.delete(&store, document);
}

#[test]
fn nothing_written_makes_the_server_panic() {
    let values = json!([null, 7, "text", [7], {"a": 7}]);
    for sample in samples() {
        let mut everywhere = Vec::new();
        places(&sample, "", &mut everywhere);
        for place in everywhere {
            for value in values.as_array().unwrap() {
                let mut document = sample.clone();
                *document.pointer_mut(&place).unwrap() = value.clone();
                exercise(&sample, &document);
            }
        }
    }
}
