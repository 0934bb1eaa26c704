//! From a recorded v1.20 server to what a v1.37 server shall hold.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::closure::{Absence, close};
use super::super::cover::covers;
use super::super::double::{newest, object, oldest};
use super::super::kind::{ClusterMade, Objects};
use super::*;
use crate::convert::Severity;
use crate::policy::{LabelSelector, Name};

fn workloads() -> Workloads {
    let namespaces = vec![Name::new("shop").unwrap()];
    let match_labels = [("part-of".to_owned(), "shop".to_owned())].into();
    Workloads { namespaces, selector: LabelSelector { match_labels }, ..Workloads::default() }
}

/// The recorded objects of a v1.20 server.
fn recorded() -> Objects {
    let list: Value = serde_json::from_str(include_str!("../../../tests/fixtures/v1.20.15/shop.json")).unwrap();
    let items = list["items"].as_array().unwrap().iter().cloned().map(|item| Manifest::new(item).unwrap());
    items.map(|manifest| (manifest.object().clone(), manifest)).collect()
}

fn inventory_of(mut objects: Objects) -> Inventory {
    let closure = close(&objects, &BTreeSet::new(), &workloads().selector);
    objects.retain(|object, _| closure.selected.contains(object));
    Inventory { objects, left_out: closure.left_out, ..Inventory::default() }
}

fn only(manifest: Manifest) -> Inventory {
    Inventory { objects: [(manifest.object().clone(), manifest)].into(), ..Inventory::default() }
}

fn blockers(plan: &MirrorPlan) -> Vec<String> {
    plan.blockers().map(ToString::to_string).collect()
}

#[test]
fn a_shop_of_a_v1_20_server_becomes_one_of_a_v1_37_server() {
    let plan = mirror(&inventory_of(recorded()), &newest(), &workloads());
    let problems: Vec<_> =
        plan.problems.iter().map(|problem| format!("{:?} {problem}", problem.finding.severity)).collect();
    let bodies: Vec<_> =
        plan.objects.iter().map(|desired| (desired.initial_replicas, desired.manifest.value())).collect();
    insta::assert_json_snapshot!(json!({"problems": problems, "objects": bodies}));
}

#[test]
fn what_is_referred_to_comes_first() {
    let plan = mirror(&inventory_of(recorded()), &newest(), &workloads());
    let at = |kind: &str| plan.objects.iter().position(|desired| desired.object().kind == kind).unwrap();
    for (first, second) in [
        ("Namespace", "ConfigMap"),
        ("Secret", "ServiceAccount"),
        ("ServiceAccount", "Deployment"),
        ("ConfigMap", "Deployment"),
        ("Service", "Ingress"),
        ("Deployment", "HorizontalPodAutoscaler"),
    ] {
        assert!(at(first) < at(second), "{first} before {second}");
    }
}

#[test]
fn mirroring_a_mirror_changes_nothing() {
    let plan = mirror(&inventory_of(recorded()), &newest(), &workloads());
    let mirrored = plan.objects.iter().filter(|desired| desired.object().kind != "Namespace");
    let objects = mirrored.map(|desired| (desired.object().clone(), desired.manifest.clone())).collect();
    let again = mirror(&Inventory { objects, ..Inventory::default() }, &newest(), &workloads());
    let bodies = |plan: &MirrorPlan| plan.objects.iter().map(|desired| desired.manifest.clone()).collect::<Vec<_>>();
    assert_eq!(bodies(&again), bodies(&plan));
    assert!(bodies(&again).iter().zip(bodies(&plan)).all(|(a, b)| a.value() == b.value()));
}

#[test]
fn nothing_selected_is_a_problem_and_no_success() {
    let plan = mirror(&Inventory::default(), &newest(), &workloads());
    assert_eq!(blockers(&plan), ["workloads.namespaces[0]: nothing is selected in namespace shop"]);
    assert_eq!(plan.objects, []);
}

#[test]
fn a_version_the_target_cannot_take_is_named() {
    let manifest = object("policy/v1", "PodDisruptionBudget", "web", json!({}));
    let plan = mirror(&only(manifest), &oldest(), &workloads());
    let message = "apiVersion: policy/v1 can be converted to no version that the target serves";
    assert_eq!(blockers(&plan), [format!("PodDisruptionBudget shop/web: {message}")]);
}

#[test]
fn a_size_an_autoscaler_decides_is_only_a_start() {
    let reference = json!({"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}});
    let autoscaler = object("autoscaling/v2", "HorizontalPodAutoscaler", "web", reference);
    for (autoscaled, replicas, initial, written) in [
        (true, json!(3), Some(3), None),
        (true, json!(0), None, Some(json!(0))),
        (false, json!(3), None, Some(json!(3))),
    ] {
        let mut inventory = only(object("apps/v1", "Deployment", "web", json!({"spec": {"replicas": replicas}})));
        if autoscaled {
            inventory.objects.insert(autoscaler.object().clone(), autoscaler.clone());
        }
        let plan = mirror(&inventory, &newest(), &workloads());
        let desired = plan.objects.iter().find(|desired| desired.object().kind == "Deployment").unwrap();
        assert_eq!(desired.initial_replicas, initial);
        assert_eq!(desired.manifest.value()["spec"].get("replicas"), written.as_ref());
    }
}

#[test]
fn a_reference_that_leads_nowhere_is_judged_by_why() {
    let db = || ObjectRef::new("Secret", "shop", "db");
    let environment = |optional: bool| {
        let reference = json!({"name": "db", "key": "a", "optional": optional});
        let container = json!({"env": [{"name": "A", "valueFrom": {"secretKeyRef": reference}}]});
        object("apps/v1", "Deployment", "web", json!({"spec": {"template": {"spec": {"containers": [container]}}}}))
    };
    let controlled = Absence::Controlled("SealedSecret db".to_owned());
    for (absence, optional, severity) in [
        (Absence::Missing, false, Some(Severity::Blocks)),
        (Absence::Missing, true, None),
        (Absence::Deleting, false, Some(Severity::Blocks)),
        (controlled.clone(), false, Some(Severity::Notice)),
        (Absence::ClusterMade(ClusterMade::SameName), false, None),
        (Absence::ClusterMade(ClusterMade::Extended), true, Some(Severity::Notice)),
        (Absence::ClusterMade(ClusterMade::OtherName), false, Some(Severity::Blocks)),
    ] {
        let inventory = Inventory { left_out: [(db(), absence.clone())].into(), ..only(environment(optional)) };
        let plan = mirror(&inventory, &newest(), &workloads());
        let web = |problem: &&MirrorProblem| problem.object.as_ref().is_some_and(|object| object.name == "web");
        let found = plan.problems.iter().find(web);
        assert_eq!(found.map(|problem| problem.finding.severity), severity, "{absence:?}");
        assert!(found.is_none_or(|problem| problem.to_string().contains("Secret shop/db")));
    }
}

#[test]
fn an_ingress_that_also_leads_elsewhere_blocks_until_that_path_is_patched_away() {
    let path = |service: &str| json!({"backend": {"service": {"name": service, "port": {"number": 80}}}});
    let rules = json!([{"http": {"paths": [path("web"), path("elsewhere")]}}]);
    let mut inventory = only(object("networking.k8s.io/v1", "Ingress", "web", json!({"spec": {"rules": rules}})));
    let service = object("v1", "Service", "web", json!({}));
    inventory.objects.insert(service.object().clone(), service);
    let plan = mirror(&inventory, &newest(), &workloads());
    let field = "spec.rules[0].http.paths[1].backend.service.name";
    assert_eq!(
        blockers(&plan),
        [format!("Ingress shop/web: {field}: needs Service shop/elsewhere, which is not part of the selection")]
    );
    let patch = json!([{"op": "remove", "path": "/spec/rules/0/http/paths/1"}]);
    let patched = mirror(&inventory, &newest(), &transformed("Ingress", patch));
    assert_eq!(blockers(&patched), [""; 0]);
}

#[test]
fn a_replication_controller_becomes_a_deployment_unless_there_is_one() {
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}});
    let spec = json!({"spec": {"replicas": 3, "selector": {"app": "web"}, "template": template}});
    let mut inventory = only(object("v1", "ReplicationController", "web", spec));
    let plan = mirror(&inventory, &newest(), &workloads());
    let deployment = ObjectRef::new("Deployment", "shop", "web");
    assert_eq!(blockers(&plan), [""; 0]);
    assert_eq!(plan.workloads().collect::<Vec<_>>(), [&deployment]);
    assert_eq!(*plan.on_source(&deployment), ObjectRef::new("ReplicationController", "shop", "web"));
    let there = object("apps/v1", "Deployment", "web", json!({}));
    inventory.objects.insert(there.object().clone(), there);
    let plan = mirror(&inventory, &newest(), &workloads());
    let message = "metadata.name: would become Deployment shop/web, which is part of the selection too";
    assert_eq!(blockers(&plan), [format!("ReplicationController shop/web: {message}")]);
    assert_eq!(*plan.on_source(&deployment), deployment);
}

#[test]
fn an_autoscaler_of_a_replication_controller_scales_what_it_becomes() {
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}});
    let spec = json!({"spec": {"replicas": 3, "selector": {"app": "web"}, "template": template}});
    let mut inventory = only(object("v1", "ReplicationController", "web", spec));
    let scaled = json!({"apiVersion": "v1", "kind": "ReplicationController", "name": "web"});
    let autoscaler =
        object("autoscaling/v2", "HorizontalPodAutoscaler", "web", json!({"spec": {"scaleTargetRef": scaled}}));
    inventory.objects.insert(autoscaler.object().clone(), autoscaler);
    let plan = mirror(&inventory, &newest(), &workloads());
    assert_eq!(blockers(&plan), [""; 0]);
    let of = |kind: &str| plan.objects.iter().find(|desired| desired.object().kind == kind).unwrap();
    assert_eq!(of("Deployment").initial_replicas, Some(3));
    let scaled = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"});
    assert_eq!(of("HorizontalPodAutoscaler").manifest.value()["spec"]["scaleTargetRef"], scaled);
}

#[test]
fn a_cron_job_arrives_asleep_unless_it_is_patched() {
    let job =
        only(object("batch/v1", "CronJob", "report", json!({"spec": {"schedule": "* * * * *", "suspend": false}})));
    let awake = json!([{"op": "replace", "path": "/spec/suspend", "value": false}]);
    for (workloads, asleep) in [(workloads(), true), (transformed("CronJob", awake), false)] {
        let plan = mirror(&job, &newest(), &workloads);
        let arrived = plan.objects.iter().find(|desired| desired.object().kind == "CronJob").unwrap();
        assert_eq!(arrived.manifest.value()["spec"]["suspend"], asleep);
        assert!(plan.problems.iter().any(|problem| problem.finding.field == "spec.suspend"));
    }
}

#[test]
fn a_finding_blocks_until_it_is_waived_by_name() {
    let inventory = only(object("apps/v1", "Deployment", "web", json!({"spec": {"paused": true}})));
    for (name, blocked) in [("Deployment:spec.paused", false), ("Deployment:spec.replicas", true)] {
        let waived = Workloads { waive: [name.to_owned()].into(), ..workloads() };
        let plan = mirror(&inventory, &newest(), &waived);
        assert_eq!(plan.blockers().count(), usize::from(blocked), "{name}");
    }
}

fn transformed(kind: &str, patch: Value) -> Workloads {
    let transform = Transform { kind: kind.to_owned(), name: None, patch: serde_json::from_value(patch).unwrap() };
    Workloads { transforms: vec![transform], ..workloads() }
}

#[test]
fn a_transform_that_goes_wrong_is_named_with_object_and_operation() {
    let ok = json!({"op": "add", "path": "/data", "value": {}});
    for (patch, problem) in [
        (
            json!([ok, {"op": "remove", "path": "/spec/none"}]),
            "ConfigMap shop/web: workloads.transforms[0].jsonPatch[1]: cannot be applied at /spec/none: path is invalid",
        ),
        (
            json!([{"op": "replace", "path": "/metadata/name", "value": "other"}]),
            "ConfigMap shop/web: metadata: a transform may not change what an object is called",
        ),
        (
            json!([{"op": "replace", "path": "/metadata", "value": "none"}]),
            "ConfigMap shop/web: metadata: a transform may not change what an object is called",
        ),
        (
            json!([{"op": "add", "path": "/metadata/annotations", "value": 1}]),
            "ConfigMap shop/web: metadata: a transform may not change what an object is called",
        ),
        (
            json!([{"op": "replace", "path": "", "value": []}]),
            "ConfigMap shop/web: metadata: a transform may not change what an object is called",
        ),
    ] {
        let plan =
            mirror(&only(object("v1", "ConfigMap", "web", json!({}))), &newest(), &transformed("ConfigMap", patch));
        assert_eq!(blockers(&plan), [problem]);
    }
}

#[test]
fn a_transform_that_matches_nothing_is_noticed() {
    let workloads = transformed("Deploymnet", json!([]));
    let plan = mirror(&only(object("v1", "ConfigMap", "web", json!({}))), &newest(), &workloads);
    let problems: Vec<_> = plan.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems, ["workloads.transforms[0]: matches no Deploymnet of the selection"]);
}

#[test]
fn debug_never_shows_a_secret() {
    let secret = object("v1", "Secret", "db", json!({"data": {"password": "aHVudGVyMg=="}}));
    let inventory = only(secret);
    let plan = mirror(&inventory, &newest(), &workloads());
    let digest = plan.objects.iter().map(|desired| desired.digest.clone()).next_back().unwrap();
    let shown = format!("{inventory:?} {plan:?}");
    assert!(shown.contains("Secret shop/db"));
    assert!(!shown.contains("aHVudGVyMg") && !shown.contains(&digest), "{shown}");
}

/// The paths of everything inside a value.
fn paths(value: &Value, path: String, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            paths(value, format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), found);
        }),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(at, value)| paths(value, format!("{path}/{at}"), found))
        }
        _ => {}
    }
    found.push(path);
}

/// Whether a field is `null`. Entries of lists are left alone, because removing one would move the others.
fn has_null(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.values().any(|value| value.is_null() || has_null(value)),
        Value::Array(list) => list.iter().any(has_null),
        _ => false,
    }
}

proptest! {
    /// Whatever stands in an object, mirroring neither panics nor carries what belongs to the old cluster,
    /// and what it wants is covered by itself.
    #[test]
    fn any_object_is_scrubbed_or_refused(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(),
        strange in prop::sample::select(vec![json!(null), json!({}), json!([]), json!(""), json!(-1), json!({"a": [null]})])) {
        let mut objects = recorded();
        let key = which.get(&objects.keys().cloned().collect::<Vec<_>>()).clone();
        let mut value = objects[&key].value().clone();
        let mut places = Vec::new();
        paths(&value, String::new(), &mut places);
        *value.pointer_mut(at.get(&places).as_str()).unwrap() = strange;
        objects.remove(&key);
        objects.extend(Manifest::new(value).map(|manifest| (manifest.object().clone(), manifest)));
        let plan = mirror(&inventory_of(objects), &newest(), &workloads());
        for desired in &plan.objects {
            let body = desired.manifest.value();
            prop_assert!(body.get("status").is_none());
            let kept = ["name", "namespace", "labels", "annotations"];
            prop_assert!(body["metadata"].as_object().unwrap().keys().all(|key| kept.contains(&key.as_str())));
            prop_assert!(!has_null(body), "{}", desired.object());
            prop_assert!(covers(body, body));
        }
    }
}
