//! What an account has to be allowed to do for one plan, and no more. PURE.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::Value;

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

/// What is allowed, by namespace. A namespace without a name is the cluster as a whole.
type Rules = BTreeMap<String, BTreeMap<What, Allowed>>;

/// Group, resource, and why the names of the objects count, where they do.
type What = (String, String, Option<ByName>);

/// Why a right is given for single objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ByName {
    /// What is of no namespace is of everybody.
    Cluster,
    /// Writing a Role hands rights on.
    Escalate,
    /// So does binding one.
    Bind,
}

impl ByName {
    fn why(self) -> &'static str {
        match self {
            Self::Cluster => "these and no other: they are of the whole cluster",
            Self::Escalate => {
                "an account may write a Role with rights it lacks itself only where it may escalate; these are the plan's"
            }
            Self::Bind => {
                "and bind a role with such rights only where it may bind; these are named by the plan's bindings"
            }
        }
    }
}

/// Verbs, and the names they are for; for any where there is none.
#[derive(Debug, Default)]
struct Allowed {
    verbs: BTreeSet<&'static str>,
    names: BTreeSet<String>,
}

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
        for ((group, resource, by_name), Allowed { verbs, names }) in rules {
            let verbs = verbs.iter().copied().collect::<Vec<_>>().join(", ");
            let mut only = String::new();
            if let Some(by_name) = by_name {
                let _ = writeln!(text, "  # {}", by_name.why());
                let names: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
                only = format!(", resourceNames: [{}]", names.join(", "));
            }
            let _ = writeln!(text, "  - {{apiGroups: [{group:?}], resources: [{resource}]{only}, verbs: [{verbs}]}}");
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

fn allow(rules: &mut Rules, namespace: &str, resource: &Resource, subresource: &str, verbs: &[&'static str]) {
    let what = (resource.group().to_owned(), format!("{}{subresource}", resource.plural), None);
    rules.entry(namespace.to_owned()).or_default().entry(what).or_default().verbs.extend(verbs);
}

fn allow_one(
    rules: &mut Rules,
    namespace: &str,
    resource: &Resource,
    name: &str,
    by_name: ByName,
    verbs: &[&'static str],
) {
    let what = (resource.group().to_owned(), resource.plural.clone(), Some(by_name));
    let allowed = rules.entry(namespace.to_owned()).or_default().entry(what).or_default();
    allowed.verbs.extend(verbs);
    allowed.names.insert(name.to_owned());
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
        let version = planned.manifest.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
        let Some(resource) = target.resource(version, &object.kind) else { continue };
        if resource.namespaced {
            allow(&mut rules, &object.namespace, resource, "", &["get", "list", "create", "patch"]);
        } else {
            allow_one(&mut rules, "", resource, &object.name, ByName::Cluster, &["get", "patch"]);
        }
        if object.kind == "Role" {
            allow_one(&mut rules, &object.namespace, resource, &object.name, ByName::Escalate, &["escalate"]);
        }
        let bound = |field: &str| planned.manifest.pointer(&format!("/roleRef/{field}")).and_then(Value::as_str);
        if let (Some(kind), Some(name)) = (bound("kind"), bound("name"))
            && let Some(roles) = target.versions_of(kind).first()
        {
            allow_one(&mut rules, &object.namespace, roles, name, ByName::Bind, &["bind"]);
        }
        if planned.initial_replicas.is_some() {
            allow(&mut rules, &object.namespace, resource, "/scale", &["patch"]);
        }
    }
    rules
}
