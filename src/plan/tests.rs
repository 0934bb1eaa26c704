//! Plans of a small migration: the same bytes, no secrets, and every change named.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::compare::changed;
use super::draw::{Inputs, draw};
use super::*;
use crate::cluster::{Manifest, MirrorPlan, ObjectRef, Served, digested};
use crate::policy::{Migration, SourceFile};

fn migration() -> Migration {
    let text = include_str!("../../tests/lab/checkout.yaml").to_owned();
    let definitions = crate::policy::load(&[SourceFile { name: "checkout.yaml".to_owned(), text }]).unwrap();
    definitions.migrations.into_iter().next().unwrap()
}

fn object(kind: &str, name: &str, rest: Value) -> Manifest {
    let version = if kind == "Deployment" { "apps/v1" } else { "v1" };
    let mut value = json!({"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "shop"}});
    json_patch::merge(&mut value, &rest);
    Manifest::new(value).unwrap()
}

/// What is read of a source, and of a target.
#[derive(Clone)]
struct World {
    source: Vec<Manifest>,
    live: Vec<Manifest>,
}

impl World {
    fn new() -> Self {
        let container = json!({"name": "app", "image": "app:1", "resources": {"requests": {"cpu": "1"}}});
        let template = json!({"spec": {"containers": [container]}});
        let secret = json!({"metadata": {"uid": "u", "resourceVersion": "7"}, "data": {"password": "aHVudGVyMg=="}});
        let service = json!({"spec": {"type": "LoadBalancer", "clusterIP": "10.0.0.7"}});
        Self {
            source: vec![
                object("Secret", "database", secret),
                object("Service", "web", service),
                object("Deployment", "web", json!({"spec": {"replicas": 2, "template": template}})),
            ],
            live: Vec::new(),
        }
    }

    /// The plan, where the mirror leaves cluster addresses out and nothing else.
    fn plan(&self) -> Plan {
        let desired = |manifest: &Manifest| {
            let mut body = manifest.value().clone();
            for (part, key) in [("spec", "clusterIP"), ("metadata", "uid"), ("metadata", "resourceVersion")] {
                if let Some(Value::Object(part)) = body.get_mut(part) {
                    part.remove(key);
                }
            }
            digested(body).unwrap()
        };
        let mirror = MirrorPlan { objects: self.source.iter().map(desired).collect(), problems: Vec::new() };
        let by_name = |all: &[Manifest]| -> BTreeMap<ObjectRef, Manifest> {
            all.iter().map(|one| (one.object().clone(), one.clone())).collect()
        };
        let free = Some(Default::default());
        let versions = ["v1.20.15".to_owned(), "v1.37.2".to_owned()];
        let (source, live) = (by_name(&self.source), by_name(&self.live));
        draw(&Inputs { migration: &migration(), versions, source: &source, mirror: &mirror, live: &live, free })
    }

    /// The world after the plan was applied.
    fn applied(mut self) -> Self {
        let desired = |manifest: &Manifest| {
            let mut body = manifest.value().clone();
            if let Some(Value::Object(spec)) = body.get_mut("spec") {
                spec.remove("clusterIP");
            }
            if let Some(Value::Object(metadata)) = body.get_mut("metadata") {
                metadata.retain(|key, _| key == "name" || key == "namespace");
            }
            digested(body).unwrap().manifest
        };
        self.live = self.source.iter().map(desired).collect();
        self
    }

    fn with(mut self, object: Manifest, on_source: bool) -> Self {
        let side = if on_source { &mut self.source } else { &mut self.live };
        side.retain(|one| one.object() != object.object());
        side.push(object);
        self
    }

    fn edited(self, at: usize, on_source: bool, patch: Value) -> Self {
        let side = if on_source { &self.source } else { &self.live };
        let mut value = side[at].value().clone();
        json_patch::merge(&mut value, &patch);
        let changed = Manifest::new(value).unwrap();
        self.with(changed, on_source)
    }
}

fn named(was: &Plan, is: &Plan) -> Vec<String> {
    changed(was, is).iter().map(ToString::to_string).collect()
}

#[test]
fn the_same_inputs_give_the_same_bytes_and_no_secret() {
    let text = write(&World::new().plan()).unwrap();
    assert_eq!(text, write(&World::new().plan()).unwrap());
    assert_eq!(read(&text).unwrap(), World::new().plan());
    assert!(!text.contains("aHVudGVyMg") && !text.contains("hunter2"), "a secret is in the plan");
    let secret = World::new().plan().objects[0].clone();
    assert_eq!(secret.manifest["data"], json!({"password": null}), "its keys are told");
    assert!(!secret.manifest.to_string().contains("digest"), "a hash of a short secret can be guessed");
}

#[test]
fn a_plan_tells_what_happens_to_each_object() {
    let plan = World::new().plan();
    let shown = text(&plan);
    for line in [
        "Plan of checkout from blue (v1.20.15) to green (v1.37.2)",
        "3 to create, 0 to change, 0 as they should be",
        "on the way: spec.clusterIP: \"10.0.0.7\" is left out",
        "! Service shop/web: spec.type: ",
        "The pods ask for 2.00 cores, 0 MiB, which is more than is free on the target.",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    assert!(text(&World::new().applied().plan()).contains("0 to create, 0 to change, 3 as they should be"));
}

#[test]
fn what_changed_is_named_by_object_and_field() {
    let fresh = || World::new().plan();
    let image = json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "app:2"}]}}}});
    for (world, expected) in [
        (World::new(), vec![]),
        (World::new().applied(), vec![]),
        (
            World::new().edited(0, true, json!({"metadata": {"resourceVersion": "8"}})),
            vec!["Secret shop/database: data: changed on the source"],
        ),
        (
            World::new().edited(0, true, json!({"data": {"more": "eA=="}})),
            vec!["Secret shop/database: data.more: changed on the source"],
        ),
        (
            World::new().edited(2, true, image),
            vec![
                "Deployment shop/web: spec.template.spec.containers[0].image: changed on the source",
                "Deployment shop/web: spec.template.spec.containers[0].resources: changed on the source",
            ],
        ),
        (
            World::new().with(object("Service", "new", json!({})), true),
            vec!["Service shop/new: is new in the selection"],
        ),
        (
            World::new().with(object("Service", "web", json!({"spec": {"type": "NodePort"}})), false),
            vec!["Service shop/web: exists on the target now, and is different"],
        ),
    ] {
        assert_eq!(named(&fresh(), &world.plan()), expected);
    }
    let mut fewer = World::new();
    fewer.source.remove(1);
    assert_eq!(named(&fresh(), &fewer.plan()), ["Service shop/web: is not part of the selection any more"]);
}

#[test]
fn somebody_s_change_of_the_target_is_named() {
    let planned = World::new().applied().plan();
    let touched = World::new().applied().edited(2, false, json!({"spec": {"replicas": 9}}));
    assert_eq!(named(&planned, &touched.plan()), ["Deployment shop/web: spec.replicas: changed on the target"]);
}

#[test]
fn files_that_are_no_plan_say_why() {
    let good = write(&World::new().plan()).unwrap();
    let newer = good.replace("\"format\": 1", "\"format\": 2");
    let edited = good.replace("\"app:1\"", "\"app:2\"");
    for (text, why) in [
        ("", "it is no whole JSON document"),
        (&good[..good.len() / 2], "it was cut short"),
        ("{\"kind\": \"Migration\"}", "it is a Migration, not a Plan"),
        ("[]", "it is a document of no kind, not a Plan"),
        (newer.as_str(), "it has the layout 2, and this program knows 1"),
        (edited.as_str(), "it was changed after it was made"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(why), "{why}: {error}");
    }
}

#[test]
fn what_is_too_large_is_in_the_way_beforehand() {
    let big = |kind: &str, size: usize| object(kind, "big", json!({"data": {"x": "y".repeat(size)}}));
    for (size, blocks) in [(900 * 1024, false), (1100 * 1024, true), (1600 * 1024, true)] {
        let plan = World::new().with(big("ConfigMap", size), true).plan();
        assert_eq!(plan.blockers().count() == 1, blocks, "{size}");
    }
}

/// A Role is handed on with the rights in it, and so is whatever a RoleBinding names; nothing else of the kind may be.
#[test]
fn rights_are_handed_on_by_name_and_each_line_that_allows_that_says_why() {
    let rbac = "rbac.authorization.k8s.io/v1";
    let mut target = Served::default();
    for (version, kind, plural, namespaced) in [
        ("v1", "Namespace", "namespaces", false),
        ("v1", "Service", "services", true),
        (rbac, "Role", "roles", true),
        (rbac, "RoleBinding", "rolebindings", true),
        (rbac, "ClusterRole", "clusterroles", false),
    ] {
        let resource = json!({"name": plural, "kind": kind, "namespaced": namespaced, "verbs": ["list"]});
        target.add(serde_json::from_value(json!({"groupVersion": version, "resources": [resource]})).unwrap());
    }
    let of_rbac = |kind: &str, name: &str, rest: Value| {
        let mut rest = rest;
        json_patch::merge(&mut rest, &json!({"apiVersion": rbac}));
        object(kind, name, rest)
    };
    let binds = |kind: &str, name: &str| json!({"roleRef": {"kind": kind, "name": name}});
    let world = World { source: vec![object("Service", "web", json!({}))], live: Vec::new() };
    let without = role(&world.plan(), Side::Target, &target, &target);
    assert!(!without.contains("escalate") && !without.contains("bind,") && !without.contains("[bind"), "{without}");
    let namespace = object("Namespace", "shop", json!({"metadata": {"namespace": null}}));
    let world = world
        .with(namespace, true)
        .with(of_rbac("Role", "counter", json!({"rules": []})), true)
        .with(of_rbac("RoleBinding", "a", binds("Role", "counter")), true)
        .with(of_rbac("RoleBinding", "b", binds("ClusterRole", "view")), true);
    let text = role(&world.plan(), Side::Target, &target, &target);
    let lines: Vec<&str> = text.lines().collect();
    for (expected, explained) in [
        (r#"  - {apiGroups: [""], resources: [namespaces], resourceNames: ["shop"], verbs: [get, patch]}"#, true),
        (r#"  - {apiGroups: [""], resources: [services], verbs: [create, get, list, patch]}"#, false),
        (
            r#"  - {apiGroups: ["rbac.authorization.k8s.io"], resources: [roles], resourceNames: ["counter"], verbs: [escalate]}"#,
            true,
        ),
        (
            r#"  - {apiGroups: ["rbac.authorization.k8s.io"], resources: [roles], resourceNames: ["counter"], verbs: [bind]}"#,
            true,
        ),
        (
            r#"  - {apiGroups: ["rbac.authorization.k8s.io"], resources: [clusterroles], resourceNames: ["view"], verbs: [bind]}"#,
            true,
        ),
    ] {
        let at = lines.iter().position(|line| *line == expected).unwrap_or_else(|| panic!("{expected}\n{text}"));
        assert_eq!(lines[at - 1].starts_with("  # "), explained, "{expected}");
    }
    assert_eq!(text.matches("escalate]").count(), 1);
    assert!(!text.contains("delete"), "a plan deletes nothing");
}
