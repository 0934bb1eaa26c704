//! What an account has to be allowed to do for one plan, and no more. PURE.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::draw::Plan;
use crate::cluster::{Resource, Served, mirrored_from};

/// Which cluster a role is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// It is read there.
    Source,
    /// It is written there.
    Target,
}

/// Verbs by namespace, then by group and resource. A namespace without a name is the cluster as a whole.
type Rules = BTreeMap<String, BTreeMap<(String, String), BTreeSet<&'static str>>>;

/// The manifests of the roles and bindings, ready to be applied by an administrator of that cluster. The account is called
/// `crossfade`; put another in its place.
pub fn role(plan: &Plan, side: Side, source: &Served, target: &Served) -> String {
    let (name, rules) = match side {
        Side::Source => ("source", source_rules(plan, source, target)),
        Side::Target => ("target", target_rules(plan, target)),
    };
    // Two migrations of one cluster have a role each.
    let name = format!("crossfade-{name}-{}", plan.migration.name);
    let mut text = String::new();
    for (namespace, rules) in &rules {
        let (kind, place) = if namespace.is_empty() {
            ("ClusterRole", String::new())
        } else {
            ("Role", format!(", namespace: {namespace}"))
        };
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata: {{name: {name}{place}}}\nrules:\n"
        );
        for ((group, resource), verbs) in rules {
            let verbs = verbs.iter().copied().collect::<Vec<_>>().join(", ");
            let names = match resource.as_str() {
                "namespaces" => format!(", resourceNames: [{}]", created_namespaces(plan).join(", ")),
                _ => String::new(),
            };
            let _ = writeln!(text, "  - {{apiGroups: [{group:?}], resources: [{resource}]{names}, verbs: [{verbs}]}}");
        }
        let _ = write!(
            text,
            "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}Binding\nmetadata: {{name: {name}{place}}}\n\
             roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: {kind}, name: {name}}}\n\
             subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: crossfade}}]\n---\n"
        );
    }
    text.trim_end_matches("---\n").to_owned()
}

fn created_namespaces(plan: &Plan) -> Vec<&str> {
    plan.objects.iter().filter(|one| one.object.kind == "Namespace").map(|one| one.object.name.as_str()).collect()
}

fn allow(rules: &mut Rules, namespace: &str, resource: &Resource, subresource: &str, verbs: &[&'static str]) {
    let key = (resource.group().to_owned(), format!("{}{subresource}", resource.plural));
    rules.entry(namespace.to_owned()).or_default().entry(key).or_default().extend(verbs);
}

/// Every mirrored kind is looked for in every namespace: an object that acts on the selection may be of any of them.
fn source_rules(plan: &Plan, source: &Served, target: &Served) -> Rules {
    let mut rules = Rules::new();
    for namespace in &plan.migration.workloads.namespaces {
        for resource in mirrored_from(source, target) {
            allow(&mut rules, namespace.as_str(), resource, "", &["get", "list"]);
        }
    }
    rules
}

/// Only the kinds of this plan's objects, where they are written.
fn target_rules(plan: &Plan, target: &Served) -> Rules {
    let mut rules = Rules::new();
    for planned in &plan.objects {
        let object = &planned.object;
        let version = planned.manifest.get("apiVersion").and_then(serde_json::Value::as_str).unwrap_or_default();
        let Some(resource) = target.resource(version, &object.kind) else { continue };
        if resource.namespaced {
            allow(&mut rules, &object.namespace, resource, "", &["get", "list", "create", "patch"]);
        } else {
            allow(&mut rules, "", resource, "", &["get", "patch"]);
        }
        // Rights are handed on only by who may hand on more than it holds itself.
        if object.kind == "Role" {
            allow(&mut rules, &object.namespace, resource, "", &["bind", "escalate"]);
        }
        if planned.manifest.pointer("/roleRef/kind").is_some_and(|kind| kind == "ClusterRole")
            && let Some(roles) = target.versions_of("ClusterRole").first()
        {
            allow(&mut rules, &object.namespace, roles, "", &["bind"]);
        }
        if planned.initial_replicas.is_some() {
            allow(&mut rules, &object.namespace, resource, "/scale", &["patch"]);
        }
    }
    rules
}
