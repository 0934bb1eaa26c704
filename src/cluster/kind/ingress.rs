//! Ingress. PURE.

use serde_json::Value;

use super::super::object::ObjectRef;
use super::{Kind, Reference, Selection, entries, text_at};
use crate::convert::Finding;

/// The Ingress kind.
pub struct Ingress;

/// The annotation that named a class before there was a field.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

impl Kind for Ingress {
    fn name(&self) -> &'static str {
        "Ingress"
    }

    fn versions(&self) -> &'static [&'static str] {
        &["networking.k8s.io/v1", "networking.k8s.io/v1beta1", "extensions/v1beta1"]
    }

    fn acts(&self) -> bool {
        true
    }

    fn acts_on(&self, body: &Value, selection: &Selection) -> bool {
        let namespace = text_at(body, "/metadata/namespace").unwrap_or_default();
        services(body).any(|(_, service)| selection.contains(&ObjectRef::new("Service", namespace, service)))
    }

    /// Services do not come along with an Ingress: an Ingress that also leads to others is a problem to
    /// be seen, because on the target those paths would lead nowhere.
    fn refers_to(&self, body: &Value) -> Vec<Reference> {
        let services = services(body).map(|(field, name)| Reference {
            kind: "Service",
            name: name.to_owned(),
            field,
            optional: false,
            brings: false,
        });
        let certificates = entries(body, "/spec/tls").filter_map(|(at, tls)| {
            let name = text_at(tls, "/secretName")?.to_owned();
            let field = format!("spec.tls[{at}].secretName");
            // Without its certificate an Ingress serves the controller's own, here as on the source.
            Some(Reference { kind: "Secret", name, field, optional: true, brings: true })
        });
        let class = text_at(body, "/spec/ingressClassName").map(|name| Reference {
            kind: "IngressClass",
            name: name.to_owned(),
            field: "spec.ingressClassName".to_owned(),
            optional: false,
            brings: false,
        });
        services.chain(certificates).chain(class).collect()
    }

    fn check(&self, body: &Value, findings: &mut Vec<Finding>) {
        let annotations = body.pointer("/metadata/annotations");
        let annotated = annotations.and_then(|annotations| annotations.get(CLASS_ANNOTATION)).is_some();
        let field = format!("metadata.annotations[{CLASS_ANNOTATION}]");
        if annotated && text_at(body, "/spec/ingressClassName").is_some() {
            let message = "no server creates an Ingress that also has spec.ingressClassName: patch one of them away";
            findings.push(Finding::blocks(field, message));
        } else if annotated {
            let message = "is kept; the target's controller has to know the annotation and the class";
            findings.push(Finding::notice(field, message));
        }
    }
}

/// Every Service that traffic is led to, in the old shape of a backend or the new one.
fn services(body: &Value) -> impl Iterator<Item = (String, &str)> {
    let defaults = ["backend", "defaultBackend"]
        .into_iter()
        .filter_map(|key| backend(body.pointer(&format!("/spec/{key}"))?, &format!("spec.{key}")));
    let routed = entries(body, "/spec/rules").flat_map(|(rule_at, rule)| {
        entries(rule, "/http/paths").filter_map(move |(at, path)| {
            backend(path.get("backend")?, &format!("spec.rules[{rule_at}].http.paths[{at}].backend"))
        })
    });
    defaults.chain(routed)
}

fn backend<'a>(backend: &'a Value, path: &str) -> Option<(String, &'a str)> {
    let new = text_at(backend, "/service/name").map(|name| (format!("{path}.service.name"), name));
    new.or_else(|| text_at(backend, "/serviceName").map(|name| (format!("{path}.serviceName"), name)))
}
