//! Names, namespaces and image registries that are other ones on the target. PURE.
//!
//! Works on what the mirror made, so that conversions and transforms see the source's names. What is renamed is followed by
//! every reference that a kind knows of; texts that only happen to hold a name (an address in an environment) are told and not
//! touched. Two objects that would become one are refused.

use std::collections::BTreeMap;

use serde_json::Value;

use super::digest::{digested, without_digest};
use super::kind::{KINDS, entries, kind, written_kind};
use super::object::ObjectRef;
use super::plan::{Desired, MirrorPlan, MirrorProblem};
use crate::convert::Finding;
use crate::policy::{Maps, Name, Workloads};

/// The plan with every name as it is on the target.
pub fn mapped(plan: MirrorPlan, maps: &Maps) -> MirrorPlan {
    let mut result = MirrorPlan { problems: plan.problems, ..MirrorPlan::default() };
    let mut taken: BTreeMap<ObjectRef, ObjectRef> = BTreeMap::new();
    for desired in plan.objects {
        let source = desired.made_of.clone();
        let Some(desired) = renamed(desired, maps, &mut result.problems) else { continue };
        let target = desired.object().clone();
        match taken.get(&target) {
            // Namespaces are only made, so two may become one.
            Some(_) if target.kind == "Namespace" => {}
            Some(other) => {
                let message = format!("{source} and {other} would both be {target}: map one of them to another name");
                result
                    .problems
                    .push(MirrorProblem { object: Some(source), finding: Finding::blocks("metadata.name", message) });
            }
            None => {
                taken.insert(target, source);
                result.objects.push(desired);
            }
        }
    }
    result
}

/// An object with every name as it is on the target; what is worth knowing about it is told.
pub fn renamed(desired: Desired, maps: &Maps, problems: &mut Vec<MirrorProblem>) -> Option<Desired> {
    let source = desired.object().clone();
    let Desired { made_of, manifest, digest: _, initial_replicas } = desired;
    let mut body = without_digest(&manifest).into_value();
    references(&mut body, &source, maps);
    subjects(&mut body, maps);
    images(&mut body, maps);
    let target = target_of(&source, maps);
    body["metadata"]["name"] = target.name.clone().into();
    if !target.namespace.is_empty() {
        body["metadata"]["namespace"] = target.namespace.into();
    }
    for old in maps.namespaces.keys() {
        let mut told = Vec::new();
        addresses(&body, "", old, &mut told);
        problems.extend(told.into_iter().map(|field| {
            let message = format!("names namespace {old}, which has another name on the target: patch it");
            MirrorProblem { object: Some(source.clone()), finding: Finding::notice(field, message) }
        }));
    }
    digested(body).map(|desired| Desired { made_of, initial_replicas, ..desired })
}

/// What a namespace is called on the target.
pub fn namespace_of<'a>(namespace: &'a Name, maps: &'a Maps) -> &'a Name {
    maps.namespaces.get(namespace).unwrap_or(namespace)
}

/// Each of some namespaces as it is called on the target, once.
pub fn namespaces_of<'a>(namespaces: &'a [Name], maps: &'a Maps) -> Vec<&'a Name> {
    let mut mapped: Vec<&Name> = Vec::new();
    for name in namespaces.iter().map(|name| namespace_of(name, maps)) {
        if !mapped.contains(&name) {
            mapped.push(name);
        }
    }
    mapped
}

/// Every object of the source that would become this one of the target: of the same kind or one that becomes it, under whichever
/// name is mapped to its own. What is called so already and has another mapped to its name is no part of the selection, or the two
/// would collide.
pub fn sources_of(target: &ObjectRef, workloads: &Workloads) -> Vec<ObjectRef> {
    let (ObjectRef { kind, namespace, name }, maps) = (target, &workloads.maps);
    let mapped = maps.names.iter().filter(|map| map.kind == *kind && map.to == *name).map(|map| map.from.as_str());
    let mapped: Vec<&str> = mapped.collect();
    let names = if mapped.is_empty() { vec![name.as_str()] } else { mapped };
    let here = workloads.namespaces.iter().filter(|from| namespace_of(from, maps).as_str() == namespace);
    let named = here.flat_map(|from| names.iter().map(move |name| ObjectRef::new(kind, from.as_str(), *name)));
    let named = named.filter(|source| target_of(source, maps) == *target);
    let kinds = || KINDS.iter().filter(|from| written_kind(**from).name() == kind);
    named
        .flat_map(|source| kinds().map(move |from| ObjectRef { kind: from.name().to_owned(), ..source.clone() }))
        .collect()
}

/// What an object is called on the target.
pub fn target_of(source: &ObjectRef, maps: &Maps) -> ObjectRef {
    let ObjectRef { kind, namespace, name } = source;
    let place = |text: &str| {
        let known = Name::new(text).map(|name| namespace_of(&name, maps).as_str().to_owned());
        known.unwrap_or_else(|| text.to_owned())
    };
    if kind == "Namespace" {
        return ObjectRef::new(kind, "", place(name));
    }
    let same = maps.names.iter().find(|map| map.kind == *kind && map.from == *name);
    ObjectRef::new(kind, place(namespace), same.map_or(name.as_str(), |map| map.to.as_str()))
}

/// Lets every reference by name follow.
fn references(body: &mut Value, from: &ObjectRef, maps: &Maps) {
    let references = kind(&from.kind).map(|kind| kind.refers_to(body)).unwrap_or_default();
    for reference in references {
        let to = target_of(&ObjectRef::new(reference.kind, &from.namespace, &reference.name), maps).name;
        if to != reference.name
            && let Some(field) = body.pointer_mut(&pointer(&reference.field)).filter(|field| **field == *reference.name)
        {
            *field = to.into();
        }
    }
}

/// `a.b[0].c` as a JSON pointer. References are never under keys of a user's choice.
fn pointer(path: &str) -> String {
    path.split(['.', '[']).fold(String::new(), |pointer, part| pointer + "/" + part.trim_end_matches(']'))
}

/// The accounts of a role binding are named with their namespace.
fn subjects(body: &mut Value, maps: &Maps) {
    for subject in body.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten() {
        let text = |key: &str| subject.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        if text("kind") == "ServiceAccount" {
            let to = target_of(&ObjectRef::new("ServiceAccount", text("namespace"), text("name")), maps);
            subject["name"] = to.name.into();
            subject["namespace"] = to.namespace.into();
        }
    }
}

/// Replaces the beginning of every container's image, the longest that fits.
fn images(body: &mut Value, maps: &Maps) {
    if maps.images.is_empty() {
        return;
    }
    for template in ["/spec/template", "/spec/jobTemplate/spec/template"] {
        for list in ["containers", "initContainers"] {
            let containers = body.pointer_mut(&format!("{template}/spec/{list}")).and_then(Value::as_array_mut);
            for container in containers.into_iter().flatten() {
                let image = container.get("image").and_then(Value::as_str);
                if let Some(image) = image.and_then(|image| mapped_image(image, &maps.images)) {
                    container["image"] = image.into();
                }
            }
        }
    }
}

/// An image without a registry is one of Docker's, and may be named with it in the map.
fn mapped_image(image: &str, map: &BTreeMap<String, String>) -> Option<String> {
    let first = image.split('/').next().unwrap_or_default();
    let has_registry = image.contains('/') && (first.contains(['.', ':']) || first == "localhost");
    let full = if has_registry { image.to_owned() } else { format!("docker.io/{image}") };
    let ends = |rest: &str| rest.is_empty() || rest.starts_with(['/', ':', '@']);
    let fits =
        |from: &&String| [image, &full].into_iter().any(|image| image.strip_prefix(from.as_str()).is_some_and(ends));
    let (from, to) = map.iter().filter(|(from, _)| fits(from)).max_by_key(|(from, _)| from.len())?;
    let rest =
        full.strip_prefix(from.as_str()).filter(|rest| ends(rest)).or_else(|| image.strip_prefix(from.as_str()))?;
    Some(format!("{to}{rest}"))
}

/// Fields of containers that name a host in namespace `old`.
fn addresses(value: &Value, path: &str, old: &Name, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            addresses(value, &path, old, found);
        }),
        Value::Array(_) => {
            entries(value, "").for_each(|(at, value)| addresses(value, &format!("{path}[{at}]"), old, found))
        }
        Value::String(text) if text.contains(&format!(".{old}.svc")) => found.push(path.to_owned()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::double::object;
    use super::super::manifest::Manifest;
    use super::*;
    use crate::policy::NameMap;
    use serde_json::json;

    fn maps() -> Maps {
        let name = |text: &str| Name::new(text).unwrap();
        let rename = |kind: &str, from: &str, to: &str| NameMap { kind: kind.into(), from: from.into(), to: to.into() };
        Maps {
            images: [("docker.io", "mirror.example/hub"), ("old.example/team", "new.example")]
                .map(|(from, to)| (from.to_owned(), to.to_owned()))
                .into(),
            namespaces: [(name("shop"), name("shop-new"))].into(),
            names: vec![rename("ConfigMap", "settings", "web-settings"), rename("ConfigMap", "other", "web-settings")],
        }
    }

    fn plan(objects: Vec<Manifest>) -> MirrorPlan {
        let desired = objects.into_iter().map(|manifest| {
            let made_of = manifest.object().clone();
            Desired { made_of, digest: String::new(), manifest, initial_replicas: None }
        });
        MirrorPlan { objects: desired.collect(), problems: Vec::new() }
    }

    #[test]
    fn references_follow_what_is_renamed() {
        let container = json!({"name": "app", "image": "old.example/team/app:1", "envFrom": [{"configMapRef": {"name": "settings"}}],
            "env": [{"name": "PEER", "value": "http://api.shop.svc:80"}]});
        let spec = json!({"containers": [container], "initContainers": [{"name": "init", "image": "busybox"}]});
        let web = object("apps/v1", "Deployment", "web", json!({"spec": {"template": {"spec": spec}}}));
        let plan = mapped(plan(vec![object("v1", "ConfigMap", "settings", json!({})), web]), &maps());
        let names: Vec<_> = plan.objects.iter().map(|desired| desired.object().to_string()).collect();
        assert_eq!(names, ["ConfigMap shop-new/web-settings", "Deployment shop-new/web"]);
        assert_eq!(plan.objects[0].made_of.to_string(), "ConfigMap shop/settings");
        let pod = &plan.objects[1].manifest.value()["spec"]["template"]["spec"];
        assert_eq!(pod["containers"][0]["envFrom"][0]["configMapRef"]["name"], "web-settings");
        assert_eq!(pod["containers"][0]["image"], "new.example/app:1");
        assert_eq!(pod["initContainers"][0]["image"], "mirror.example/hub/busybox");
        let told: Vec<_> = plan.problems.iter().map(|problem| problem.finding.field.as_str()).collect();
        assert_eq!(told, ["spec.template.spec.containers[0].env[0].value"]);
    }

    #[test]
    fn two_objects_never_become_one() {
        let settings = |name: &str| object("v1", "ConfigMap", name, json!({}));
        let plan = mapped(plan(vec![settings("other"), settings("settings"), settings("web-settings")]), &maps());
        assert_eq!(plan.objects.len(), 1);
        assert_eq!(plan.blockers().count(), 2, "all at once");
    }

    #[test]
    fn what_an_object_was_is_whatever_would_become_it() {
        let sources = |kind: &str, namespace: &str, name: &str| -> Vec<String> {
            let target = ObjectRef::new(kind, namespace, name);
            let namespaces = vec![Name::new("shop").unwrap()];
            let workloads = Workloads { namespaces, maps: maps(), ..Workloads::default() };
            sources_of(&target, &workloads).iter().map(ToString::to_string).collect()
        };
        let both = ["ConfigMap shop/settings", "ConfigMap shop/other"];
        assert_eq!(sources("ConfigMap", "shop-new", "web-settings"), both);
        assert_eq!(sources("ConfigMap", "shop-new", "settings"), [""; 0], "that one is called otherwise");
        assert_eq!(sources("ConfigMap", "shop", "plain"), [""; 0], "and this namespace too");
        let kinds = ["Deployment shop/web", "ReplicationController shop/web"];
        assert_eq!(sources("Deployment", "shop-new", "web"), kinds);
    }

    #[test]
    fn an_image_s_registry_ends_where_its_name_does() {
        let map: BTreeMap<_, _> =
            [("a.example", "b.example"), ("a.example/x", "c.example"), ("docker.io/library", "d.example")]
                .map(|(from, to)| (from.to_owned(), to.to_owned()))
                .into();
        for (image, to) in [
            ("a.example/app:1", Some("b.example/app:1")),
            ("a.example/x/app", Some("c.example/app")),
            ("a.example.org/app", None),
            ("a.example/xy/app", Some("b.example/xy/app")),
            ("library/nginx@sha256:0", Some("d.example/nginx@sha256:0")),
            ("nginx", None),
        ] {
            assert_eq!(mapped_image(image, &map).as_deref(), to, "{image}");
        }
    }
}
