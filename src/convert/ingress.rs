//! Ingress `extensions/v1beta1` and `networking.k8s.io/v1beta1` → `networking.k8s.io/v1`. PURE.
//!
//! The two old versions have the same shape. The new one says `defaultBackend` for `backend`, nests the
//! service of a backend, and demands a path type. A path without one keeps what it meant: whatever the
//! controller makes of it, which is `ImplementationSpecific`. The annotation `kubernetes.io/ingress.class`
//! stays an annotation, because `ingressClassName` names an object that the target may not have.

use serde_json::{Map, Value, json};

use super::draft::Draft;

/// From either old version.
pub fn from_v1beta1(ingress: &mut Draft<'_>) {
    ingress.nested("spec", |spec| {
        spec.carry(&["ingressClassName", "tls"]);
        spec.nested_as("backend", "defaultBackend", backend);
        spec.each("rules", |rule| {
            rule.carry(&["host"]);
            rule.nested("http", |http| {
                http.each("paths", path);
                http.put_default("paths", json!([]));
            });
        });
    });
}

fn path(path: &mut Draft<'_>) {
    path.carry(&["path", "pathType"]);
    path.put_default("pathType", "ImplementationSpecific");
    if path.peek("backend").is_none() {
        path.blocks("backend", "is missing");
    }
    path.nested("backend", backend);
}

/// `{serviceName, servicePort}` becomes `{service: {name, port: {number | name}}}`.
fn backend(backend: &mut Draft<'_>) {
    backend.carry(&["resource"]);
    let name = backend.take("serviceName").filter(|name| name.as_str() != Some(""));
    let port = match backend.take("servicePort") {
        // The old servers write 0 where a resource takes the service's place.
        None => None,
        Some(Value::Number(number)) if number.as_u64() == Some(0) => None,
        Some(Value::Number(number)) => Some(json!({"number": number})),
        Some(Value::String(port)) => Some(json!({"name": port})),
        Some(_) => {
            backend.blocks("servicePort", "is neither a number nor a name");
            None
        }
    };
    if name.is_some() || port.is_some() {
        let mut service = Map::new();
        service.extend(name.map(|name| ("name".to_owned(), name)));
        service.extend(port.map(|port| ("port".to_owned(), port)));
        backend.put("service", service);
    }
}
