//! What the server adds to an object it is given, and what it refuses. PURE.
//!
//! A mirror has to tell what somebody wrote from what the server made of it, so the defaults and the
//! assigned fields of the kinds a migration moves are those of a real server; and the few rules that a
//! migration runs into are enforced: selectors and addresses that may not change, and workloads that do
//! not select their own pods.

use k8s_openapi::ByteString;
use serde_json::{Map, Value, json};

use super::failure::{Cause, Failure};
use super::kinds::{Kind, Shape};

/// Fills in what the writer left out and is taken to have meant. The writer owns it.
pub(super) fn fill(shape: Shape, kind: &Kind, object: &mut Value) {
    match kind.name {
        "Namespace" if shape == Shape::V1_37 => {
            let name = object["metadata"]["name"].clone();
            put(object, "", &json!({"metadata": {"labels": {"kubernetes.io/metadata.name": name}}}));
        }
        "Secret" => {
            put(object, "", &json!({"type": "Opaque"}));
            encode(object);
        }
        "Service" => service(shape, object),
        "HorizontalPodAutoscaler" => put(object, "/spec", &json!({"minReplicas": 1})),
        "CronJob" => {
            put(object, "/spec", &json!({"concurrencyPolicy": "Allow", "suspend": false}));
            put(object, "/spec", &json!({"successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1}));
            pod(object, "/spec/jobTemplate/spec/template/spec");
        }
        "Ingress" => items(object, "/spec/rules")
            .flat_map(|rule| items(rule, "/http/paths"))
            .for_each(|path| put(path, "", &json!({"pathType": "ImplementationSpecific"}))),
        "Pod" => pod(object, "/spec"),
        _ => workload(kind, object),
    }
}

/// Adds what only the server decides, where it is missing. Nobody owns it.
pub(super) fn assign(shape: Shape, kind: &Kind, object: &mut Value) {
    match kind.name {
        "Namespace" => put(object, "", &json!({"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}})),
        "Service" => {
            give_addresses(shape, object);
            put(object, "", &json!({"status": {"loadBalancer": {}}}));
        }
        "Ingress" => put(object, "", &json!({"status": {"loadBalancer": {}}})),
        "HorizontalPodAutoscaler" => {
            put(object, "", &json!({"status": {"currentReplicas": 0, "desiredReplicas": 0}}));
        }
        "PodDisruptionBudget" => {
            let none = json!({"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0});
            put(object, "", &json!({ "status": none }));
        }
        _ if kind.status => put(object, "", &json!({"status": {}})),
        _ => {}
    }
    // The old server writes out the empty time of templates, which every mirror has to bear.
    if shape == Shape::V1_20
        && let Some(Value::Object(metadata)) = object.pointer_mut("/spec/template/metadata")
    {
        metadata.entry("creationTimestamp").or_insert(Value::Null);
    }
}

/// Refuses what a real server would refuse, with every reason at once.
pub(super) fn check(group: &str, kind: &Kind, before: Option<&Value>, object: &Value) -> Result<(), Failure> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let mut causes: Vec<Cause> = Vec::new();
    if !is_name(name) {
        let why = format!("Invalid value: {name:?}: not a lowercase RFC 1123 subdomain");
        causes.push(("metadata.name", "FieldValueInvalid", why).into());
    }
    match kind.name {
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" => check_selector(before, object, &mut causes),
        "Service" => check_address(before, object, &mut causes),
        _ => {}
    }
    if causes.is_empty() { Ok(()) } else { Err(Failure::invalid(kind.name, group, name, &causes)) }
}

/// A workload selects its own pods, and the same ones for ever.
fn check_selector(before: Option<&Value>, object: &Value, causes: &mut Vec<Cause>) {
    let (selector, labels) = (&object["spec"]["selector"], &object["spec"]["template"]["metadata"]["labels"]);
    if selector.is_null() {
        causes.push(("spec.selector", "FieldValueRequired", "Required value").into());
    }
    let mut wanted = selector["matchLabels"].as_object().into_iter().flatten();
    if selector.is_null() || wanted.any(|(key, value)| labels[key] != *value) {
        let why = format!("Invalid value: {labels}: `selector` does not match template `labels`");
        causes.push(("spec.template.metadata.labels", "FieldValueInvalid", why).into());
    }
    if before.is_some_and(|before| before["spec"]["selector"] != *selector) {
        let why = format!("Invalid value: {selector}: field is immutable");
        causes.push(("spec.selector", "FieldValueInvalid", why).into());
    }
}

/// A Service keeps its cluster address.
fn check_address(before: Option<&Value>, object: &Value, causes: &mut Vec<Cause>) {
    let address = |object: &Value| object["spec"]["clusterIP"].clone();
    if before.is_some_and(|before| !address(before).is_null() && address(before) != address(object)) {
        let why = format!("Invalid value: [{}]: may not change once set", address(object));
        causes.push(("spec.clusterIPs[0]", "FieldValueInvalid", why).into());
    }
}

fn workload(kind: &Kind, object: &mut Value) {
    let rolling = match kind.name {
        "Deployment" => {
            put(object, "/spec", &json!({"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}));
            ("strategy", json!({"maxUnavailable": "25%", "maxSurge": "25%"}))
        }
        "StatefulSet" => {
            put(
                object,
                "/spec",
                &json!({"replicas": 1, "revisionHistoryLimit": 10, "podManagementPolicy": "OrderedReady"}),
            );
            ("updateStrategy", json!({"partition": 0}))
        }
        "DaemonSet" => {
            put(object, "/spec", &json!({"revisionHistoryLimit": 10}));
            ("updateStrategy", json!({"maxUnavailable": 1, "maxSurge": 0}))
        }
        "ReplicaSet" | "ReplicationController" => {
            put(object, "/spec", &json!({"replicas": 1}));
            pod(object, "/spec/template/spec");
            return;
        }
        _ => return,
    };
    let (strategy, rolling) = rolling;
    put(object, "/spec", &json!({strategy: {"type": "RollingUpdate"}}));
    if object["spec"][strategy]["type"] == "RollingUpdate" {
        put(object, "/spec", &json!({strategy: {"rollingUpdate": rolling}}));
    }
    pod(object, "/spec/template/spec");
}

fn service(shape: Shape, object: &mut Value) {
    put(object, "/spec", &json!({"type": "ClusterIP", "sessionAffinity": "None"}));
    let kind = object["spec"]["type"].as_str().unwrap_or_default();
    let (inside, outside) = (kind != "ExternalName", matches!(kind, "NodePort" | "LoadBalancer"));
    if outside {
        put(object, "/spec", &json!({"externalTrafficPolicy": "Cluster"}));
    }
    if inside && shape == Shape::V1_37 {
        put(object, "/spec", &json!({"internalTrafficPolicy": "Cluster"}));
    }
    for port in items(object, "/spec/ports") {
        let target = port["port"].clone();
        put(port, "", &json!({"protocol": "TCP", "targetPort": target}));
    }
}

/// Gives a Service its cluster address and node ports, made from its number so that no two are alike.
fn give_addresses(shape: Shape, service: &mut Value) {
    let kind = service["spec"]["type"].as_str().unwrap_or_default().to_owned();
    if kind == "ExternalName" {
        return;
    }
    let uid = service["metadata"]["uid"].as_str().unwrap_or_default();
    let number = uid.get(uid.len().saturating_sub(4)..).and_then(|digits| u16::from_str_radix(digits, 16).ok());
    let [high, low] = number.unwrap_or_default().to_be_bytes();
    put(service, "/spec", &json!({"clusterIP": format!("10.96.{high}.{low}")}));
    let address = service["spec"]["clusterIP"].clone();
    put(service, "/spec", &json!({"clusterIPs": [address]}));
    if shape == Shape::V1_37 {
        put(service, "/spec", &json!({"ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}));
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
        let first = 30_000 + number.unwrap_or_default() % 2_000;
        for (port, node_port) in items(service, "/spec/ports").zip(first..) {
            put(port, "", &json!({"nodePort": node_port}));
        }
    }
}

fn pod(object: &mut Value, at: &str) {
    let always = json!({
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
    });
    put(object, at, &always);
    for list in ["containers", "initContainers"] {
        items(object, &format!("{at}/{list}")).for_each(container);
    }
}

fn container(container: &mut Value) {
    let latest = container["image"].as_str().is_none_or(|image| {
        let tag = image.rsplit('/').next().unwrap_or(image);
        !tag.contains(':') || tag.ends_with(":latest")
    });
    let pull = if latest { "Always" } else { "IfNotPresent" };
    put(container, "", &json!({"resources": {}, "imagePullPolicy": pull}));
    put(container, "", &json!({"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}));
    for port in items(container, "/ports") {
        put(port, "", &json!({"protocol": "TCP"}));
    }
    for probe in ["/livenessProbe", "/readinessProbe", "/startupProbe"] {
        let timing = json!({"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3});
        if container.pointer(probe).is_some_and(Value::is_object) {
            put(container, probe, &timing);
        }
        let request = format!("{probe}/httpGet");
        if container.pointer(&request).is_some_and(Value::is_object) {
            put(container, &request, &json!({"scheme": "HTTP"}));
        }
    }
}

/// Turns `stringData`, which is only ever written, into `data`.
fn encode(secret: &mut Value) {
    let Some(Value::Object(plain)) = secret.as_object_mut().and_then(|fields| fields.remove("stringData")) else {
        return;
    };
    for (name, value) in plain {
        let bytes = ByteString(value.as_str().unwrap_or_default().into());
        if let Ok(encoded) = serde_json::to_value(bytes) {
            secret["data"][name] = encoded;
        }
    }
}

/// Adds the fields of `defaults` that are missing at this place, at any depth; a place that is missing
/// itself is made, one that holds something else is left alone.
fn put(object: &mut Value, at: &str, defaults: &Value) {
    let place = match at.rsplit_once('/') {
        Some((parent, name)) => object.pointer_mut(parent).and_then(Value::as_object_mut).map(|parent| {
            let place = parent.entry(name).or_insert_with(|| Value::Object(Map::new()));
            if place.is_null() {
                *place = Value::Object(Map::new());
            }
            place
        }),
        None => Some(object),
    };
    let (Some(Value::Object(fields)), Value::Object(defaults)) = (place, defaults) else { return };
    for (name, default) in defaults {
        match fields.get_mut(name) {
            Some(present) if !present.is_null() => put(present, "", default),
            _ => {
                fields.insert(name.clone(), default.clone());
            }
        }
    }
}

fn items<'a>(object: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Value> {
    object.pointer_mut(list).and_then(Value::as_array_mut).into_iter().flatten()
}

fn is_name(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.' || b == b':';
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    bytes.len() <= 253 && bytes.iter().copied().all(inner) && edge(bytes.first()) && edge(bytes.last())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(plural: &str, group: &str, mut object: Value) -> Value {
        let kind = Shape::V1_37.find(group, "v1", plural).unwrap();
        fill(Shape::V1_37, kind, &mut object);
        assign(Shape::V1_37, kind, &mut object);
        object
    }

    #[test]
    fn a_deployment_comes_back_as_from_a_real_server() {
        let spec = json!({"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c", "image": "i:1", "ports": [{"containerPort": 80}]}]}}});
        let container = json!({
            "name": "c", "image": "i:1", "ports": [{"containerPort": 80, "protocol": "TCP"}], "resources": {},
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
            "imagePullPolicy": "IfNotPresent"});
        assert_eq!(
            filled("deployments", "apps", json!({ "spec": spec })),
            json!({"spec": {
                "replicas": 2, "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": {
                    "containers": [container], "restartPolicy": "Always", "terminationGracePeriodSeconds": 30,
                    "dnsPolicy": "ClusterFirst", "securityContext": {}, "schedulerName": "default-scheduler"}},
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
                "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}, "status": {}})
        );
    }

    #[test]
    fn a_plain_object_stays_as_it_is() {
        let object = json!({"metadata": {"name": "a"}, "data": {"k": "v"}});
        assert_eq!(filled("configmaps", "", object.clone()), object);
    }

    #[test]
    fn a_secret_is_kept_encoded() {
        let secret = filled("secrets", "", json!({"stringData": {"a": "1"}, "data": {"b": "Mg=="}}));
        assert_eq!(secret, json!({"type": "Opaque", "data": {"a": "MQ==", "b": "Mg=="}}));
    }

    #[test]
    fn a_service_gets_addresses_once() {
        let ports = json!([{"port": 80}, {"port": 443, "nodePort": 31_000}]);
        let object = json!({"metadata": {"uid": "00000000-0000-4000-8000-000000000102"}, "spec": {"type": "NodePort", "ports": ports}});
        let service = filled("services", "", object);
        assert_eq!(service["spec"]["clusterIPs"], json!(["10.96.1.2"]));
        let node_ports: Vec<&Value> =
            service["spec"]["ports"].as_array().unwrap().iter().map(|p| &p["nodePort"]).collect();
        assert_eq!(node_ports, [30_258, 31_000]);
        assert_eq!(filled("services", "", service.clone()), service);
    }

    #[test]
    fn refuses_what_a_migration_runs_into() {
        let kind = Shape::V1_37.find("apps", "v1", "deployments").unwrap();
        let object = |selector: &str, label: &str| {
            json!({"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": {"app": selector}},
                   "template": {"metadata": {"labels": {"app": label}}}}})
        };
        assert!(check("apps", kind, None, &object("a", "a")).is_ok());
        assert_eq!(check("apps", kind, None, &object("a", "b")).unwrap_err().code, 422);
        assert_eq!(check("apps", kind, Some(&object("a", "a")), &object("b", "b")).unwrap_err().code, 422);
        assert_eq!(check("apps", kind, None, &json!({"metadata": {"name": "web"}})).unwrap_err().code, 422);
        assert_eq!(check("apps", kind, None, &json!({"metadata": {"name": "Web"}})).unwrap_err().code, 422);
    }
}
