//! What the server adds to an object it is given, and what it refuses. PURE.
//!
//! The defaults a tenant's objects come back with from a real server, because a mirror has to tell them
//! from what somebody wrote; and the few rules that a migration runs into: selectors that may not
//! change, and workloads whose pods they do not select.

use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::kinds::{Kind, Shape};

/// Fills in what the writer left out.
pub(super) fn fill(shape: Shape, kind: &Kind, object: &mut Value) {
    let spec = &mut object["spec"];
    match kind.name {
        "Namespace" => namespace(shape, object),
        "Deployment" => {
            let rolling = json!({"maxUnavailable": "25%", "maxSurge": "25%"});
            put(spec, &json!({"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}));
            put(spec, &json!({"strategy": {"type": "RollingUpdate"}}));
            if spec["strategy"]["type"] == "RollingUpdate" {
                put(spec, &json!({"strategy": {"rollingUpdate": rolling}}));
            }
            pod(&mut spec["template"]["spec"]);
        }
        "ReplicaSet" | "StatefulSet" | "ReplicationController" => {
            put(spec, &json!({"replicas": 1}));
            pod(&mut spec["template"]["spec"]);
        }
        "DaemonSet" => pod(&mut spec["template"]["spec"]),
        "Pod" => pod(spec),
        "Service" => service(shape, spec),
        "HorizontalPodAutoscaler" => put(spec, &json!({"minReplicas": 1})),
        "Secret" => put(object, &json!({"type": "Opaque"})),
        _ => {}
    }
    if kind.status {
        put(object, &json!({"status": {}}));
    }
    if object["spec"].is_null()
        && let Some(fields) = object.as_object_mut()
    {
        fields.remove("spec");
    }
}

/// Refuses what a real server would refuse.
pub(super) fn check(group: &str, kind: &Kind, before: Option<&Value>, object: &Value) -> Result<(), Failure> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let invalid =
        |field: &str, reason: &str, why: String| Failure::invalid(kind.name, group, name, field, reason, &why);
    if !is_name(name) {
        let why = format!(
            "Invalid value: {name:?}: a lowercase RFC 1123 subdomain must consist of lower case \
                           alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"
        );
        return Err(invalid("metadata.name", "FieldValueInvalid", why));
    }
    if let "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" = kind.name {
        let (selector, labels) = (&object["spec"]["selector"], &object["spec"]["template"]["metadata"]["labels"]);
        let wanted = selector["matchLabels"].as_object();
        if selector.is_null() {
            return Err(invalid("spec.selector", "FieldValueRequired", "Required value".to_owned()));
        }
        if wanted.into_iter().flatten().any(|(key, value)| labels[key] != *value) {
            let why = format!("Invalid value: {labels}: `selector` does not match template `labels`");
            return Err(invalid("spec.template.metadata.labels", "FieldValueInvalid", why));
        }
        if before.is_some_and(|before| before["spec"]["selector"] != *selector) {
            return Err(invalid(
                "spec.selector",
                "FieldValueInvalid",
                format!("Invalid value: {selector}: field is immutable"),
            ));
        }
    }
    if kind.name == "Service" {
        let address = |object: &Value| object["spec"]["clusterIP"].clone();
        if before.is_some_and(|before| !address(before).is_null() && address(before) != address(object)) {
            let why = format!("Invalid value: {}: field is immutable", address(object));
            return Err(invalid("spec.clusterIPs[0]", "FieldValueInvalid", why));
        }
    }
    Ok(())
}

fn namespace(shape: Shape, object: &mut Value) {
    if shape == Shape::V1_37 {
        let name = object["metadata"]["name"].clone();
        put(object, &json!({"metadata": {"labels": {"kubernetes.io/metadata.name": name}}}));
    }
    put(object, &json!({"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}));
}

fn service(shape: Shape, spec: &mut Value) {
    put(spec, &json!({"type": "ClusterIP", "sessionAffinity": "None"}));
    if shape == Shape::V1_37 {
        put(
            spec,
            &json!({"internalTrafficPolicy": "Cluster", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}),
        );
    }
    for port in items(spec, "ports") {
        let target = port["port"].clone();
        put(port, &json!({"protocol": "TCP", "targetPort": target}));
    }
}

fn pod(spec: &mut Value) {
    put(spec, &json!({"restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst"}));
    put(spec, &json!({"securityContext": {}, "schedulerName": "default-scheduler"}));
    for list in ["containers", "initContainers"] {
        for container in items(spec, list) {
            let latest = container["image"].as_str().is_none_or(|image| {
                let tag = image.rsplit('/').next().unwrap_or(image);
                !tag.contains(':') || tag.ends_with(":latest")
            });
            let pull = if latest { "Always" } else { "IfNotPresent" };
            put(container, &json!({"resources": {}, "imagePullPolicy": pull}));
            put(
                container,
                &json!({"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}),
            );
            for port in items(container, "ports") {
                put(port, &json!({"protocol": "TCP"}));
            }
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                if container[probe].is_object() {
                    put(
                        &mut container[probe],
                        &json!({"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}),
                    );
                    if container[probe]["httpGet"].is_object() {
                        put(&mut container[probe]["httpGet"], &json!({"scheme": "HTTP"}));
                    }
                }
            }
        }
    }
}

/// Adds the fields of `defaults` that are missing, at any depth.
fn put(object: &mut Value, defaults: &Value) {
    if object.is_null() {
        *object = Value::Object(Map::new());
    }
    let (Some(fields), Some(defaults)) = (object.as_object_mut(), defaults.as_object()) else { return };
    for (name, default) in defaults {
        match fields.get_mut(name) {
            Some(present) if !present.is_null() => put(present, default),
            _ => {
                fields.insert(name.clone(), default.clone());
            }
        }
    }
}

fn items<'a>(object: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Value> {
    object.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten()
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
