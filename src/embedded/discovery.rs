//! The documents a client learns the served kinds from. PURE.
//!
//! The plain documents are served by both shapes; the aggregated ones, where the client asks for them,
//! by v1.37 alone: v1.20 answers such a request with its plain document, as the real one does.

use serde_json::{Value, json};

use super::kinds::{Group, Kind, Shape, Version};

/// Media type of the aggregated documents.
pub(super) const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

const OBJECT_VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const SUBRESOURCE_VERBS: [&str; 3] = ["get", "patch", "update"];

/// `/version`.
pub(super) fn version(shape: Shape) -> Value {
    json!({
        "major": "1",
        "minor": shape.minor(),
        "gitVersion": shape.git_version(),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": "linux/amd64",
    })
}

/// `/api`.
pub(super) fn core_versions(address: &str) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    })
}

/// `/apis`.
pub(super) fn groups(shape: Shape) -> Value {
    let groups: Vec<Value> = named_groups(shape).map(group).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/<group>`.
pub(super) fn one_group(shape: Shape, name: &str) -> Option<Value> {
    let mut document = group(named_groups(shape).find(|group| group.name == name)?);
    document["kind"] = "APIGroup".into();
    document["apiVersion"] = "v1".into();
    Some(document)
}

/// `/api/v1` or `/apis/<group>/<version>`.
pub(super) fn resources(shape: Shape, name: &str, version: &str) -> Option<Value> {
    let group = shape.groups().iter().find(|group| group.name == name)?;
    let served = group.versions.iter().find(|served| served.name == version)?;
    let mut resources = Vec::new();
    for kind in served.kinds {
        resources.push(resource(shape, kind));
        resources.extend(subresources(kind).map(|(name, of)| {
            let mut resource = of.clone();
            resource["name"] = format!("{}/{name}", kind.plural).into();
            resource["singularName"] = "".into();
            resource["namespaced"] = kind.namespaced.into();
            resource["verbs"] = json!(SUBRESOURCE_VERBS);
            resource
        }));
    }
    let group_version = group_version(name, version);
    Some(json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}))
}

/// `/api` or `/apis` in the aggregated form.
pub(super) fn aggregated(shape: Shape, core: bool) -> Value {
    let groups = shape.groups().iter().filter(|group| group.name.is_empty() == core);
    let items: Vec<Value> = groups
        .map(|group| {
            let metadata = if core { json!({}) } else { json!({"name": group.name}) };
            let versions: Vec<Value> = group.versions.iter().map(aggregated_version).collect();
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

/// `v1` for the core group, `group/version` for the others.
pub(super) fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

fn named_groups(shape: Shape) -> impl Iterator<Item = &'static Group> {
    shape.groups().iter().filter(|group| !group.name.is_empty())
}

fn group(group: &Group) -> Value {
    let version =
        |version: &Version| json!({"groupVersion": group_version(group.name, version.name), "version": version.name});
    let versions: Vec<Value> = group.versions.iter().map(version).collect();
    let preferred = versions.first().cloned();
    json!({"name": group.name, "versions": versions, "preferredVersion": preferred})
}

fn resource(shape: Shape, kind: &Kind) -> Value {
    let mut resource = json!({
        "name": kind.plural,
        // The old server leaves it empty, and clients make it up from the kind.
        "singularName": if shape == Shape::V1_20 { "" } else { kind.singular },
        "namespaced": kind.namespaced,
        "kind": kind.name,
        "verbs": verbs(shape, kind),
    });
    decorate(&mut resource, kind);
    resource
}

fn aggregated_version(version: &Version) -> Value {
    let resources: Vec<Value> = version.kinds.iter().map(|kind| aggregated_resource(kind)).collect();
    json!({"version": version.name, "resources": resources, "freshness": "Current"})
}

fn aggregated_resource(kind: &Kind) -> Value {
    let mut resource = json!({
        "resource": kind.plural,
        "responseKind": {"group": "", "version": "", "kind": kind.name},
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular,
        "verbs": verbs(Shape::V1_37, kind),
    });
    decorate(&mut resource, kind);
    let below: Vec<Value> = subresources(kind)
        .map(|(name, of)| {
            let mut full = json!({"group": "", "version": ""});
            json_patch::merge(&mut full, &of);
            json!({"subresource": name, "responseKind": full, "verbs": SUBRESOURCE_VERBS})
        })
        .collect();
    if !below.is_empty() {
        resource["subresources"] = below.into();
    }
    resource
}

fn decorate(resource: &mut Value, kind: &Kind) {
    if !kind.short.is_empty() {
        resource["shortNames"] = json!(kind.short);
    }
    if kind.in_all {
        resource["categories"] = json!(["all"]);
    }
}

/// Namespaces cannot be deleted as a collection, nor could Services once.
fn verbs(shape: Shape, kind: &Kind) -> Vec<&'static str> {
    let singly = kind.name == "Namespace" || (kind.name == "Service" && shape == Shape::V1_20);
    OBJECT_VERBS.into_iter().filter(|verb| !singly || *verb != "deletecollection").collect()
}

/// Name and kind of each subresource, in the order of names.
fn subresources(kind: &Kind) -> impl Iterator<Item = (&'static str, Value)> {
    let scale = json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
    let scale = kind.scale.then_some(("scale", scale));
    let status = kind.status.then(|| ("status", json!({"kind": kind.name})));
    scale.into_iter().chain(status)
}
