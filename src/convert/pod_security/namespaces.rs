//! Which namespaces could use a PodSecurityPolicy, as far as the roles and bindings beside it tell, and their labels. PURE.
//!
//! A RoleBinding lets pods of its own namespace use a policy, a ClusterRoleBinding those of the accounts it names, or of every
//! namespace where it names all accounts. Of several policies a namespace could use, a pod needed only one: the loosest counts.
//! People are not followed: what they may start by hand says nothing about what runs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Level, level};
use crate::convert::finding::Finding;

/// The label that names the level which pods of a namespace have to meet.
pub const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

/// Groups that every account of a cluster is in.
const EVERYBODY: &[&str] = &["system:authenticated", "system:serviceaccounts"];

/// What comes before a namespace in the name of the group of its accounts.
const ACCOUNTS_OF: &str = "system:serviceaccounts:";

/// The namespaces of a set of objects, and the policies each of them could use.
#[derive(Debug, Default)]
pub struct Users {
    /// By namespace: the level it needs, and the policies it comes from.
    needed: BTreeMap<String, (Level, BTreeSet<String>)>,
    /// The namespaces that are among the objects themselves.
    written: BTreeSet<String>,
}

impl Users {
    /// Looks for them in all objects of a set.
    pub fn of<'a>(objects: impl Iterator<Item = &'a Value> + Clone) -> Self {
        let of_kind = |kind: &'static str| objects.clone().filter(move |object| text(object, "/kind") == kind);
        let policies: BTreeMap<&str, Level> =
            of_kind("PodSecurityPolicy").map(|policy| (text(policy, "/metadata/name"), level(policy).level)).collect();
        let mut users = Self::default();
        if policies.is_empty() {
            return users;
        }
        users.written = of_kind("Namespace").map(|object| text(object, "/metadata/name").to_owned()).collect();
        let inhabited =
            objects.clone().map(|object| text(object, "/metadata/namespace")).filter(|name| !name.is_empty());
        let all: BTreeSet<&str> = users.written.iter().map(String::as_str).chain(inhabited).collect();
        let mut found = Vec::new();
        for binding in of_kind("RoleBinding").chain(of_kind("ClusterRoleBinding")) {
            let granted =
                objects.clone().filter(|role| is_bound(binding, role)).flat_map(|role| granted(role, &policies));
            let granted: BTreeSet<&str> = granted.collect();
            let places = places(binding, &all);
            found.extend(
                places.into_iter().flat_map(|place| granted.clone().into_iter().map(move |name| (place, name))),
            );
        }
        for (place, name) in found {
            let needed = users.needed.entry(place.to_owned()).or_insert((Level::Restricted, BTreeSet::new()));
            needed.0 = needed.0.max(policies[name]);
            needed.1.insert(name.to_owned());
        }
        users
    }

    /// The namespaces that could use a policy.
    pub fn of_policy(&self, policy: &str) -> Vec<&str> {
        let using = self.needed.iter().filter(|(_, (_, policies))| policies.contains(policy));
        using.map(|(place, _)| place.as_str()).collect()
    }

    /// Labels a namespace, unless it names a level already; says what was done.
    pub fn label(&self, namespace: &mut Value) -> Option<Finding> {
        let (level, policies) = self.needed.get(text(namespace, "/metadata/name"))?;
        let field = format!("metadata.labels[{ENFORCE}]");
        let named = policies.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let labels = namespace.get_mut("metadata")?.as_object_mut()?.entry("labels").or_insert(Value::Null);
        if labels.is_null() {
            *labels = json!({});
        }
        let labels = labels.as_object_mut()?;
        if let Some(own) = labels.get(ENFORCE) {
            let own = own.as_str().unwrap_or_default();
            let message =
                format!("stays {own}; the strictest level that admits what its policies admit ({named}) is {level}");
            return Some(Finding::notice(field, message));
        }
        labels.insert(ENFORCE.to_owned(), level.to_string().into());
        let message = format!("is {level} now, the strictest level that admits what its policies admit ({named})");
        Some(Finding::notice(field, message))
    }

    /// The namespaces that get their labels in place of a policy: those that are not among the objects, each in place of the
    /// first of its policies. Applied to one that exists, such an object adds the label and changes nothing else.
    pub fn unwritten(&self, policy: &str) -> Vec<Value> {
        let first = |policies: &BTreeSet<String>| policies.first().is_some_and(|first| first == policy);
        let here =
            self.needed.iter().filter(|(place, (_, policies))| !self.written.contains(*place) && first(policies));
        let object = |(place, (level, _)): (&String, &(Level, BTreeSet<String>))| {
            let metadata = json!({"name": place, "labels": {ENFORCE: level.to_string()}});
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        };
        here.map(object).collect()
    }
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(object: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    object.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// Whether a binding refers to this role.
fn is_bound(binding: &Value, role: &Value) -> bool {
    let kind = text(role, "/kind");
    let near = kind == "ClusterRole" || text(role, "/metadata/namespace") == text(binding, "/metadata/namespace");
    matches!(kind, "Role" | "ClusterRole")
        && kind == text(binding, "/roleRef/kind")
        && text(role, "/metadata/name") == text(binding, "/roleRef/name")
        && near
}

/// The policies that a role lets somebody use.
fn granted<'p>(role: &Value, policies: &BTreeMap<&'p str, Level>) -> Vec<&'p str> {
    let has = |rule: &Value, key: &str, wanted: &[&str]| {
        list(rule, key).any(|entry| entry == "*" || entry.as_str().is_some_and(|entry| wanted.contains(&entry)))
    };
    let mut names = Vec::new();
    for rule in list(role, "rules") {
        let uses = has(rule, "verbs", &["use"])
            && has(rule, "apiGroups", &["policy", "extensions"])
            && has(rule, "resources", &["podsecuritypolicies"]);
        let named = || list(rule, "resourceNames").filter_map(Value::as_str);
        let is_granted = |policy: &&&str| named().next().is_none() || named().any(|name| name == **policy);
        names.extend(policies.keys().filter(|_| uses).filter(is_granted).copied());
    }
    names
}

/// The namespaces whose pods a binding is about, of `all` there are.
fn places<'a>(binding: &'a Value, all: &BTreeSet<&'a str>) -> BTreeSet<&'a str> {
    let subjects = || list(binding, "subjects");
    if text(binding, "/kind") == "RoleBinding" {
        let own = text(binding, "/metadata/namespace");
        return subjects().next().map(|_| own).filter(|own| !own.is_empty()).into_iter().collect();
    }
    let mut found = BTreeSet::new();
    for subject in subjects() {
        let name = text(subject, "/name");
        match text(subject, "/kind") {
            "ServiceAccount" => found.extend(Some(text(subject, "/namespace")).filter(|place| !place.is_empty())),
            "Group" if EVERYBODY.contains(&name) => found.extend(all),
            "Group" => found.extend(name.strip_prefix(ACCOUNTS_OF)),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(name: &str, privileged: bool) -> Value {
        json!({"kind": "PodSecurityPolicy", "metadata": {"name": name}, "spec": {"privileged": privileged}})
    }

    fn role(kind: &str, namespace: Value, rule: Value) -> Value {
        json!({"kind": kind, "metadata": {"name": "r", "namespace": namespace}, "rules": [rule]})
    }

    fn binding(kind: &str, namespace: Value, role: &str, subjects: Value) -> Value {
        let role = json!({"kind": role, "name": "r"});
        json!({"kind": kind, "metadata": {"name": "b", "namespace": namespace}, "roleRef": role, "subjects": subjects})
    }

    #[test]
    fn a_binding_is_about_its_own_namespace_or_those_of_the_accounts_it_names() {
        let rule = json!({"apiGroups": ["policy"], "resources": ["podsecuritypolicies"], "verbs": ["use"]});
        let account = json!([{"kind": "ServiceAccount", "name": "a", "namespace": "other"}]);
        let all = json!([{"kind": "Group", "name": "system:serviceaccounts"}]);
        let some = json!([{"kind": "Group", "name": "system:serviceaccounts:other"}]);
        let person = json!([{"kind": "User", "name": "somebody"}]);
        let (near, far) = (json!("shop"), json!("away"));
        for (role_kind, role_in, kind, bound_in, subjects, places) in [
            ("Role", &near, "RoleBinding", &near, &account, vec!["shop"]),
            ("Role", &far, "RoleBinding", &near, &account, vec![]),
            ("ClusterRole", &Value::Null, "RoleBinding", &near, &all, vec!["shop"]),
            ("ClusterRole", &Value::Null, "RoleBinding", &near, &json!([]), vec![]),
            ("ClusterRole", &Value::Null, "ClusterRoleBinding", &Value::Null, &account, vec!["other"]),
            ("ClusterRole", &Value::Null, "ClusterRoleBinding", &Value::Null, &some, vec!["other"]),
            ("ClusterRole", &Value::Null, "ClusterRoleBinding", &Value::Null, &all, vec!["db", "shop"]),
            ("ClusterRole", &Value::Null, "ClusterRoleBinding", &Value::Null, &person, vec![]),
        ] {
            let objects = [
                policy("p", false),
                json!({"kind": "Namespace", "metadata": {"name": "db"}}),
                json!({"kind": "Pod", "metadata": {"name": "a", "namespace": "shop"}}),
                role(role_kind, role_in.clone(), rule.clone()),
                binding(kind, bound_in.clone(), role_kind, subjects.clone()),
            ];
            assert_eq!(Users::of(objects.iter()).of_policy("p"), places, "{kind} {subjects}");
        }
    }

    #[test]
    fn a_rule_has_to_be_about_using_this_policy() {
        let rule = |group: &str, resource: &str, verb: &str, names: &[&str]| json!({"apiGroups": [group], "resources": [resource], "verbs": [verb], "resourceNames": names});
        for (rule, granted) in [
            (rule("extensions", "podsecuritypolicies", "use", &["strict"]), vec!["strict"]),
            (rule("*", "*", "*", &[]), vec!["loose", "strict"]),
            (rule("policy", "podsecuritypolicies", "get", &[]), vec![]),
            (rule("policy", "poddisruptionbudgets", "use", &[]), vec![]),
            (rule("apps", "podsecuritypolicies", "use", &[]), vec![]),
            (rule("policy", "podsecuritypolicies", "use", &["another"]), vec![]),
        ] {
            let subjects = json!([{"kind": "ServiceAccount", "name": "a", "namespace": "shop"}]);
            let objects = [
                policy("loose", true),
                policy("strict", false),
                role("Role", json!("shop"), rule.clone()),
                binding("RoleBinding", json!("shop"), "Role", subjects),
            ];
            let users = Users::of(objects.iter());
            let using: Vec<_> =
                ["loose", "strict"].into_iter().filter(|name| users.of_policy(name) == ["shop"]).collect();
            assert_eq!(using, granted, "{rule}");
            let mut namespace = json!({"metadata": {"name": "shop", "labels": null}});
            let level = if granted.contains(&"loose") { "privileged" } else { "baseline" };
            let labelled = users.label(&mut namespace).map(|_| namespace["metadata"]["labels"][ENFORCE].clone());
            assert_eq!(labelled, (!granted.is_empty()).then(|| level.into()), "{rule}");
            assert_eq!(users.unwritten("strict").len(), usize::from(granted == ["strict"]), "in place of the first");
        }
    }
}
