//! Ingress `extensions/v1beta1` and `networking.k8s.io/v1beta1` → `networking.k8s.io/v1`. PURE.
//!
//! The two old versions have the same shape. The new one says `defaultBackend` for `backend`, nests the
//! service of a backend, and demands a path type. A path without one keeps what it meant: whatever the
//! controller makes of it, which is `ImplementationSpecific`. The annotation `kubernetes.io/ingress.class`
//! stays an annotation, because `ingressClassName` names an object that the target may not have.

use serde_json::{Map, Value, json};

use super::Converted;
use super::fields::{Fields, convert_object};
use super::finding::Finding;

/// The version converted to.
pub const V1: &str = "networking.k8s.io/v1";

/// The Ingress in `networking.k8s.io/v1`.
pub fn from_v1beta1(body: Value) -> Converted {
    let mut findings = Vec::new();
    let body = convert_object(body, V1, &mut findings, spec);
    Converted { body, findings }
}

fn spec(mut old: Fields, findings: &mut Vec<Finding>) -> Map<String, Value> {
    let mut new = Map::new();
    old.carry("ingressClassName", &mut new);
    old.carry("tls", &mut new);
    if let Some(default) = old.object("backend", findings) {
        new.insert("defaultBackend".to_owned(), backend(default, findings));
    }
    if let Some(rules) = old.list("rules", findings) {
        let rules = rules.into_iter().map(|(path, entry)| rule(Fields::new(path, entry, findings), findings));
        new.insert("rules".to_owned(), rules.collect());
    }
    old.finish(findings);
    new
}

fn rule(mut old: Fields, findings: &mut Vec<Finding>) -> Value {
    let mut new = Map::new();
    old.carry("host", &mut new);
    if let Some(mut http) = old.object("http", findings) {
        let paths = http.list("paths", findings).unwrap_or_default();
        let paths = paths.into_iter().map(|(path, entry)| http_path(Fields::new(path, entry, findings), findings));
        new.insert("http".to_owned(), json!({"paths": paths.collect::<Value>()}));
        http.finish(findings);
    }
    old.finish(findings);
    Value::Object(new)
}

fn http_path(mut old: Fields, findings: &mut Vec<Finding>) -> Value {
    let mut new = Map::new();
    old.carry("path", &mut new);
    let path_type = old.take("pathType").unwrap_or_else(|| "ImplementationSpecific".into());
    new.insert("pathType".to_owned(), path_type);
    match old.object("backend", findings) {
        Some(old_backend) => {
            new.insert("backend".to_owned(), backend(old_backend, findings));
        }
        None => findings.push(Finding::blocks(old.path_of("backend"), "is missing")),
    }
    old.finish(findings);
    Value::Object(new)
}

/// `{serviceName, servicePort}` becomes `{service: {name, port: {number | name}}}`.
fn backend(mut old: Fields, findings: &mut Vec<Finding>) -> Value {
    let mut new = Map::new();
    old.carry("resource", &mut new);
    let name = old.take("serviceName").filter(|name| name.as_str() != Some(""));
    let port_path = old.path_of("servicePort");
    let port = match old.take("servicePort") {
        // The old servers write 0 where a resource takes the service's place.
        None => None,
        Some(Value::Number(number)) if number.as_u64() == Some(0) => None,
        Some(Value::Number(number)) => Some(json!({"number": number})),
        Some(Value::String(port)) => Some(json!({"name": port})),
        Some(_) => {
            findings.push(Finding::blocks(port_path, "is neither a number nor a name"));
            None
        }
    };
    if name.is_some() || port.is_some() {
        let mut service = Map::new();
        service.extend(name.map(|name| ("name".to_owned(), name)));
        service.extend(port.map(|port| ("port".to_owned(), port)));
        new.insert("service".to_owned(), Value::Object(service));
    }
    old.finish(findings);
    Value::Object(new)
}
