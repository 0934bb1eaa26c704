//! What a pod template refers to. PURE.
//!
//! Only references inside the namespace, which is all that a pod can make.

use serde_json::Value;

use super::{Reference, entries, text_at};
use crate::convert::template_of;

/// Volume sources whose whole meaning is an object of the namespace: key, name field, kind.
const NAMED_VOLUMES: &[(&str, &str, &str)] = &[
    ("configMap", "name", "ConfigMap"),
    ("secret", "secretName", "Secret"),
    ("persistentVolumeClaim", "claimName", "PersistentVolumeClaim"),
    ("azureFile", "secretName", "Secret"),
];

/// Everything that pods of a workload of this kind need from their namespace; nothing where it has no pods.
pub fn references_of(kind: &str, body: &Value) -> Vec<Reference> {
    let Some(pointer) = template_of(kind) else { return Vec::new() };
    let path = pointer.trim_start_matches('/').replace('/', ".");
    body.pointer(pointer).map(|template| references(template, &path)).unwrap_or_default()
}

/// Everything that pods of the template at `path` need from their namespace.
fn references(template: &Value, path: &str) -> Vec<Reference> {
    let mut found = Vec::new();
    let Some(spec) = template.get("spec") else { return found };
    let path = format!("{path}.spec");
    service_account(spec, &path, &mut found);
    for (at, secret) in entries(spec, "/imagePullSecrets") {
        // A pull secret that does not exist is tolerated by the kubelet, here as on the source.
        refer("Secret", secret, "name", format!("{path}.imagePullSecrets[{at}]"), Some(true), &mut found);
    }
    for key in ["initContainers", "containers"] {
        for (at, container) in entries(spec, &format!("/{key}")) {
            environment(container, &format!("{path}.{key}[{at}]"), &mut found);
        }
    }
    for (at, volume) in entries(spec, "/volumes") {
        volume_sources(volume, &format!("{path}.volumes[{at}]"), &mut found);
    }
    for (key, kind) in [("priorityClassName", "PriorityClass"), ("runtimeClassName", "RuntimeClass")] {
        refer(kind, spec, key, path.clone(), None, &mut found);
    }
    found
}

/// Pods that name no account run as `default`, which may have been given pull secrets.
fn service_account(spec: &Value, path: &str, found: &mut Vec<Reference>) {
    let named =
        ["serviceAccountName", "serviceAccount"].into_iter().find(|key| text_at(spec, &format!("/{key}")).is_some());
    match named {
        Some(key) => refer("ServiceAccount", spec, key, path.to_owned(), None, found),
        None => found.push(Reference {
            kind: "ServiceAccount",
            name: "default".to_owned(),
            field: format!("{path}.serviceAccountName"),
            optional: true,
            brings: true,
        }),
    }
}

fn environment(container: &Value, path: &str, found: &mut Vec<Reference>) {
    for (list, inner, keys) in [
        ("env", "/valueFrom", [("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")]),
        ("envFrom", "", [("configMapRef", "ConfigMap"), ("secretRef", "Secret")]),
    ] {
        for (at, entry) in entries(container, &format!("/{list}")) {
            for (key, kind) in keys {
                if let Some(source) = entry.pointer(&format!("{inner}/{key}")) {
                    let inner = inner.replace('/', ".");
                    refer(kind, source, "name", format!("{path}.{list}[{at}]{inner}.{key}"), None, found);
                }
            }
        }
    }
}

fn volume_sources(volume: &Value, path: &str, found: &mut Vec<Reference>) {
    named_volumes(volume, path, found);
    for (at, projection) in entries(volume, "/projected/sources") {
        for (key, kind) in [("configMap", "ConfigMap"), ("secret", "Secret")] {
            if let Some(source) = projection.get(key) {
                refer(kind, source, "name", format!("{path}.projected.sources[{at}].{key}"), None, found);
            }
        }
    }
    for (driver, source) in volume.as_object().into_iter().flatten() {
        for key in ["secretRef", "nodePublishSecretRef"] {
            if let Some(secret) = source.get(key) {
                refer("Secret", secret, "name", format!("{path}.{driver}.{key}"), None, found);
            }
        }
    }
}

fn named_volumes(volume: &Value, path: &str, found: &mut Vec<Reference>) {
    for (key, name, kind) in NAMED_VOLUMES {
        if let Some(source) = volume.get(key) {
            refer(kind, source, name, format!("{path}.{key}"), None, found);
        }
    }
}

/// Adds a reference whose name is the text of field `key` of `holder`; `optional` also where the holder says so.
fn refer(
    kind: &'static str,
    holder: &Value,
    key: &str,
    path: String,
    optional: Option<bool>,
    found: &mut Vec<Reference>,
) {
    let Some(name) = holder.get(key).and_then(Value::as_str).filter(|name| !name.is_empty()) else { return };
    let says_so = holder.get("optional").and_then(Value::as_bool);
    let optional = optional.or(says_so).unwrap_or(false);
    found.push(Reference { kind, name: name.to_owned(), field: format!("{path}.{key}"), optional, brings: true });
}
