//! Writes and comparisons against a server that says what it was asked.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::super::double::{Seen, cluster, newest, object};
use super::super::error::Retry;
use super::super::mirror::namespace;
use super::super::{Inventory, inventory, mirror, workloads};
use super::*;
use crate::policy::{Name, Workloads};

/// The engine runs these on a multi-threaded runtime.
#[allow(dead_code)]
fn futures_can_move_between_threads(cluster: &Cluster, plan: &MirrorPlan, selection: &Workloads) {
    fn movable<T: Send>(_: T) {}
    movable(compare(cluster, plan));
    movable(apply(cluster, &plan.objects[0]));
    movable(release(cluster, plan.objects[0].object()));
    movable(inventory(cluster, cluster.served(), selection));
    movable(workloads(cluster, &[]));
    movable(Cluster::connect("green", None));
}

fn desired(manifest: Manifest) -> Desired {
    let all = Workloads { namespaces: vec![Name::new("shop").unwrap()], ..Workloads::default() };
    let inventory = Inventory { objects: [(manifest.object().clone(), manifest)].into(), ..Inventory::default() };
    mirror(&inventory, &newest(), &all).objects.pop().unwrap()
}

fn config_map() -> Desired {
    desired(object("v1", "ConfigMap", "web", json!({"data": {"a": "b"}})))
}

fn failure(code: u16, reason: &str, message: &str, details: Value) -> (u16, Value) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": message, "details": details});
    (code, status)
}

#[tokio::test]
async fn applies_under_one_manager_and_never_by_force() {
    let (target, log) = cluster(|_| (200, json!({})));
    let desired = config_map();
    apply(&target, &desired).await.unwrap();
    let seen = log.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].line, "PATCH /api/v1/namespaces/shop/configmaps/web?&fieldManager=crossfade");
    assert_eq!(&seen[0].body, desired.manifest.value());
}

#[tokio::test]
async fn a_conflict_names_managers_and_fields() {
    let cause = |manager: &str, field: &str| {
        let message = format!("conflict with \"{manager}\" using v1");
        json!({"reason": "FieldManagerConflict", "message": message, "field": field})
    };
    let causes = json!([cause("kubectl-patch", ".data.a"), cause("argocd", ".data.b"), cause("argocd", ".data.c")]);
    let (target, _) = cluster(move |_| failure(409, "Conflict", "Apply failed", json!({"causes": causes})));
    let error = apply(&target, &config_map()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "ConfigMap shop/web on cluster green has fields owned by argocd, kubectl-patch: data.a, data.b, data.c"
    );
    assert_eq!(error.retry(), Retry::AfterChange);
}

#[tokio::test]
async fn each_refusal_has_its_meaning() {
    for (answer, text, retry) in [
        (failure(401, "Unauthorized", "Unauthorized", json!({})), "does not know who asks", Retry::AfterChange),
        (
            failure(403, "Forbidden", "not you", json!({})),
            "cluster green does not allow to patch configmaps web in namespace shop: not you",
            Retry::AfterChange,
        ),
        (failure(404, "NotFound", "no namespace", json!({})), "has nothing to patch", Retry::AfterChange),
        (failure(409, "Conflict", "modified", json!({})), "it changed meanwhile", Retry::Soon),
        (failure(422, "Invalid", "data: too long", json!({})), "data: too long", Retry::AfterChange),
        (failure(429, "TooManyRequests", "slow down", json!({})), "right now: slow down (HTTP 429)", Retry::Soon),
        (failure(503, "ServiceUnavailable", "starting", json!({})), "(HTTP 503)", Retry::Soon),
        (
            failure(
                500,
                "",
                "failed to create typed patch object: .spec.none: field not declared in schema",
                json!({}),
            ),
            "cluster green refuses to patch configmaps web in namespace shop: failed to create typed patch object: .spec.none",
            Retry::AfterChange,
        ),
        ((502, "<html>bad gateway</html>".into()), "right now: no reason given (HTTP 502)", Retry::Soon),
        ((200, "<html>log in</html>".into()), "answered nonsense", Retry::AfterChange),
    ] {
        let (target, _) = cluster(move |_| answer.clone());
        let error = apply(&target, &config_map()).await.unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(error.retry(), retry, "{error}");
    }
}

#[tokio::test]
async fn a_secret_never_shows() {
    let secret = desired(object("v1", "Secret", "db", json!({"data": {"password": "aHVudGVyMg=="}})));
    let shown = format!("{secret:?}");
    let quote = "Secret \"db\" is invalid: data[password]: Invalid value: \"aHVudGVyMg==\"";
    let details = json!({"causes": [{"field": "data[password]", "message": quote}]});
    for answer in [
        failure(422, "Invalid", quote, details.clone()),
        failure(403, "Forbidden", quote, details),
        (200, quote.into()),
    ] {
        let (target, _) = cluster(move |_| answer.clone());
        let error = apply(&target, &secret).await.unwrap_err();
        let everything = format!("{shown} {error} {error:?}");
        assert!(!everything.contains("aHVudGVyMg") && !everything.contains("hunter2"), "{everything}");
        assert!(everything.contains("secrets db in namespace shop"), "{everything}");
    }
}

#[tokio::test]
async fn compares_without_writing() {
    let desired = config_map();
    let plan = MirrorPlan { objects: vec![desired.clone()], problems: Vec::new() };
    let live = |change: Value| {
        let mut live = desired.manifest.value().clone();
        json_patch::merge(&mut live, &json!({"metadata": {"uid": "1", "labels": {"theirs": "stays"}}}));
        json_patch::merge(&mut live, &change);
        (200, live)
    };
    for (answer, state) in [
        (live(json!({})), ObjectState::InSync),
        (live(json!({"data": {"more": "of somebody else"}})), ObjectState::InSync),
        (live(json!({"data": {"a": "edited"}})), ObjectState::Differs),
        (live(json!({"metadata": {"annotations": null}})), ObjectState::Differs),
        (live(json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})), ObjectState::Differs),
        (failure(404, "NotFound", "", json!({})), ObjectState::Missing),
    ] {
        let (target, log) = cluster(move |_| answer.clone());
        let states = compare(&target, &plan).await.unwrap();
        assert_eq!(states, [(desired.object().clone(), state)].into());
        assert_eq!(log.lines(), ["GET /api/v1/namespaces/shop/configmaps/web"]);
    }
}

#[tokio::test]
async fn lists_many_objects_page_by_page_instead_of_reading_each() {
    let objects: Vec<_> =
        (0..20).map(|at| desired(object("v1", "ConfigMap", &format!("web-{at}"), json!({})))).collect();
    let plan = MirrorPlan { objects, problems: Vec::new() };
    let page = |objects: &[Desired], next: &str| {
        let bare = |desired: &Desired| {
            let mut item = desired.manifest.value().clone();
            item.as_object_mut().unwrap().retain(|key, _| key != "kind" && key != "apiVersion");
            item
        };
        let items: Vec<_> = objects.iter().map(bare).collect();
        (200, json!({"kind": "ConfigMapList", "metadata": {"continue": next}, "items": items}))
    };
    let pages = [page(&plan.objects[..12], "more"), page(&plan.objects[12..], "")];
    let (target, log) = cluster(move |seen| pages[usize::from(seen.line.contains("continue=more"))].clone());
    let states = compare(&target, &plan).await.unwrap();
    assert_eq!(states.len(), 20);
    assert!(states.values().all(|state| *state == ObjectState::InSync));
    let path = "GET /api/v1/namespaces/shop/configmaps?&limit=250";
    assert_eq!(log.lines(), [path.to_owned(), format!("{path}&continue=more")]);
}

/// A target that answers a Deployment of `size`, with or without a fingerprint, or none.
fn sized(size: Option<u32>, finished: bool) -> impl Fn(&Seen) -> (u16, Value) {
    move |seen| match size {
        _ if !seen.line.starts_with("GET") => (200, json!({})),
        None => failure(404, "NotFound", "", json!({})),
        Some(size) => {
            let annotations = if finished { json!({DIGEST_ANNOTATION: "x"}) } else { json!({}) };
            let rest = json!({"metadata": {"annotations": annotations}, "spec": {"replicas": size}});
            (200, object("apps/v1", "Deployment", "web", rest).into_value())
        }
    }
}

#[tokio::test]
async fn an_autoscaled_workload_starts_at_the_source_s_size_and_is_never_shrunk() {
    let (get, patch) = ("GET", "PATCH");
    for (size, finished, calls) in [
        (None, false, vec![get, patch, "SCALE", patch]),
        (Some(1), false, vec![get, patch, "SCALE", patch]),
        (Some(9), false, vec![get, patch, patch]),
        (Some(1), true, vec![get, patch]),
    ] {
        let (target, log) = cluster(sized(size, finished));
        let manifest = object("apps/v1", "Deployment", "web", json!({"spec": {"template": {}}}));
        apply(&target, &Desired { initial_replicas: Some(3), ..desired(manifest) }).await.unwrap();
        let seen = log.seen();
        let verbs = seen.iter().map(|seen| {
            if seen.line.contains("/scale?") { "SCALE" } else { &seen.line[..seen.line.find(' ').unwrap()] }
        });
        assert_eq!(verbs.collect::<Vec<_>>(), calls);
        let annotated: Vec<_> = seen.iter().filter(|seen| seen.body.to_string().contains(DIGEST_ANNOTATION)).collect();
        assert_eq!(annotated.len(), 1, "only the last write finishes it");
        assert_eq!(annotated[0].line, seen.last().unwrap().line);
        assert!(seen.iter().all(|seen| seen.line.contains("/scale?") || !seen.body.to_string().contains("replicas")));
    }
}

#[tokio::test]
async fn scales_through_the_subresource_and_touches_nothing_else() {
    let (target, log) = cluster(|_| (200, json!({})));
    scale(&target, &ObjectRef::new("Deployment", "shop", "web"), 0).await.unwrap();
    let seen = log.seen();
    assert_eq!(seen[0].line, "PATCH /apis/apps/v1/namespaces/shop/deployments/web/scale?&fieldManager=crossfade");
    assert_eq!(seen[0].body, json!({"spec": {"replicas": 0}}));
}

fn owned(manager: &str, fields: Value) -> Value {
    json!({"manager": manager, "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields})
}

#[tokio::test]
async fn releases_all_but_the_fingerprint_and_only_once() {
    let digest = json!({"f:metadata": {"f:annotations": {format!("f:{DIGEST_ANNOTATION}"): {}}}});
    let mut all = digest.clone();
    json_patch::merge(&mut all, &json!({"f:data": {"f:a": {}}}));
    let theirs = owned("argocd", json!({"f:data": {"f:b": {}}}));
    for (before, after) in [
        (json!([owned("crossfade", all.clone()), theirs]), Some(json!([owned("crossfade", digest.clone()), theirs]))),
        (json!([owned("crossfade", digest.clone()), theirs]), None),
        (json!([theirs]), None),
        (json!([owned("crossfade", json!({"f:spec": {}}))]), Some(json!([{}]))),
    ] {
        let live =
            object("v1", "ConfigMap", "web", json!({"metadata": {"resourceVersion": "7", "managedFields": before}}));
        let (target, log) = cluster(move |_| (200, live.value().clone()));
        release(&target, &ObjectRef::new("ConfigMap", "shop", "web")).await.unwrap();
        let writes: Vec<_> =
            log.seen().into_iter().filter(|seen| seen.line.starts_with("PATCH")).map(|seen| seen.body).collect();
        let wanted = after.map(|after| json!({"metadata": {"resourceVersion": "7", "managedFields": after}}));
        assert_eq!(writes, wanted.into_iter().collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn release_reads_again_when_somebody_wrote_in_between_and_gives_up_in_the_end() {
    for (refusals, attempts) in [(2, 3), (99, 5)] {
        let refused = AtomicUsize::new(0);
        let (target, log) = cluster(move |seen| {
            let fields = json!([owned("crossfade", json!({"f:data": {}}))]);
            let live = object(
                "v1",
                "ConfigMap",
                "web",
                json!({"metadata": {"resourceVersion": "7", "managedFields": fields}}),
            );
            if seen.line.starts_with("PATCH") && refused.fetch_add(1, Ordering::Relaxed) < refusals {
                return failure(409, "Conflict", "the object has been modified", json!({}));
            }
            (200, live.into_value())
        });
        let outcome = release(&target, &ObjectRef::new("ConfigMap", "shop", "web")).await;
        assert_eq!(outcome.is_ok(), refusals < attempts);
        assert_eq!(log.lines().iter().filter(|line| line.starts_with("PATCH")).count(), attempts);
    }
}

#[tokio::test]
async fn what_is_gone_is_released() {
    let (target, log) = cluster(|_| failure(404, "NotFound", "", json!({})));
    release(&target, &ObjectRef::new("ConfigMap", "shop", "web")).await.unwrap();
    assert_eq!(log.lines().len(), 1);
}

#[tokio::test]
async fn a_rehearsal_writes_nothing_and_finds_every_refusal() {
    let plan = MirrorPlan {
        objects: vec![
            desired(object("v1", "ConfigMap", "refused", json!({}))),
            desired(object("v1", "ConfigMap", "owned", json!({}))),
            desired(object("v1", "ConfigMap", "fine", json!({}))),
        ],
        problems: Vec::new(),
    };
    let namespace =
        Manifest::new(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})).unwrap();
    for exists in [true, false] {
        let mut plan = plan.clone();
        plan.objects.insert(
            0,
            Desired {
                made_of: namespace.object().clone(),
                manifest: namespace.clone(),
                digest: String::new(),
                initial_replicas: None,
            },
        );
        let live = namespace.value().clone();
        let (target, log) = cluster(move |seen| {
            let cause = json!({"reason": "FieldManagerConflict", "message": "conflict with \"argocd\" using v1", "field": ".data.a"});
            match &seen.line {
                line if line == "GET /api/v1/namespaces/shop" && exists => (200, live.clone()),
                line if line.starts_with("GET") => failure(404, "NotFound", "", json!({})),
                line if line.contains("/refused?") => failure(422, "Invalid", "data: too long", json!({})),
                line if line.contains("/owned?") => failure(409, "Conflict", "", json!({"causes": [cause]})),
                _ => (200, json!({})),
            }
        });
        let problems =
            super::super::rehearse(&target, &plan, &super::live(&target, &plan).await.unwrap()).await.unwrap();
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        let writes: Vec<_> = log.lines().into_iter().filter(|line| !line.starts_with("GET")).collect();
        assert!(writes.iter().all(|line| line.contains("dryRun=All")), "{writes:?}");
        if exists {
            assert_eq!(writes.len(), 3);
            assert_eq!(
                problems,
                [
                    "ConfigMap shop/owned: data.a: owned on the target by argocd",
                    "ConfigMap shop/refused: cluster green refuses to patch configmaps refused in namespace shop: data: too long",
                ]
            );
        } else {
            assert_eq!(problems, ["Namespace shop: does not exist yet, so its objects cannot be tried out beforehand"]);
            assert_eq!(writes, ["PATCH /api/v1/namespaces/shop?&dryRun=All&fieldManager=crossfade"]);
        }
    }
}

/// The body of each write.
fn writes(log: &super::super::double::Log) -> Vec<Value> {
    log.seen().into_iter().filter(|seen| seen.line.starts_with("PATCH")).map(|seen| seen.body).collect()
}

#[tokio::test]
async fn the_size_is_given_up_before_it_is_no_longer_applied() {
    let fields = json!([owned("crossfade", json!({"f:spec": {"f:replicas": {}, "f:paused": {}}}))]);
    let metadata = json!({"resourceVersion": "7", "managedFields": fields, "annotations": {DIGEST_ANNOTATION: "x"}});
    let live = object("apps/v1", "Deployment", "web", json!({"metadata": metadata, "spec": {"replicas": 4}}));
    let (target, log) = cluster(move |_| (200, live.value().clone()));
    let manifest = object("apps/v1", "Deployment", "web", json!({"spec": {"template": {}}}));
    let desired = Desired { initial_replicas: Some(3), ..desired(manifest) };
    apply(&target, &desired).await.unwrap();
    let left = json!([owned("crossfade", json!({"f:spec": {"f:paused": {}}}))]);
    let given_up = json!({"metadata": {"resourceVersion": "7", "managedFields": left}});
    assert_eq!(writes(&log), [given_up, desired.manifest.value().clone()]);
}

/// A `NodePort` Service as a migration that keeps node ports wants it.
fn service() -> Desired {
    let spec = json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]});
    let all = Workloads {
        namespaces: vec![Name::new("shop").unwrap()],
        keep: [crate::policy::Keep::NodePort].into(),
        ..Workloads::default()
    };
    let manifest = object("v1", "Service", "web", json!({"spec": spec}));
    let inventory = Inventory { objects: [(manifest.object().clone(), manifest)].into(), ..Inventory::default() };
    mirror(&inventory, &newest(), &all).objects.pop().unwrap()
}

#[tokio::test]
async fn node_ports_are_taken_by_a_create_that_hands_them_back_when_it_comes_to_nothing() {
    let desired = service();
    let unfinished = desired.manifest.without_annotation(DIGEST_ANNOTATION).value().clone();
    let mut created = owned("crossfade", json!({"f:spec": {"f:ports": {}}}));
    created["operation"] = "Update".into();
    let mut live = unfinished.clone();
    json_patch::merge(&mut live, &json!({"metadata": {"resourceVersion": "7", "managedFields": [created]}}));
    // What is there before: nothing, what a killed process created, and what was applied.
    for (before, calls) in [
        (None, &["GET", "POST", "PATCH", "PATCH"][..]),
        (Some("Update"), &["GET", "PATCH", "PATCH"]),
        (Some("Apply"), &["GET", "PATCH"]),
    ] {
        let mut live = live.clone();
        live["metadata"]["managedFields"][0]["operation"] = before.unwrap_or("Update").into();
        let read = AtomicUsize::new(0);
        let (target, log) = cluster(move |seen| {
            match seen.line.starts_with("GET") && read.fetch_add(1, Ordering::Relaxed) == 0 && before.is_none() {
                true => failure(404, "NotFound", "", json!({})),
                false => (200, live.clone()),
            }
        });
        apply(&target, &desired).await.unwrap();
        let seen = log.seen();
        let verbs: Vec<_> = seen.iter().map(|seen| seen.line.split(' ').next().unwrap()).collect();
        assert_eq!(verbs, calls, "{before:?}");
        let posted = seen.iter().find(|seen| seen.line.starts_with("POST"));
        if let Some(posted) = posted {
            assert_eq!(posted.line, "POST /api/v1/namespaces/shop/services?&fieldManager=crossfade");
            assert_eq!(posted.body, unfinished, "a create alone does not finish it");
        }
        let applied = json!([owned("crossfade", json!({"f:spec": {"f:ports": {}}}))]);
        let mut expected = vec![desired.manifest.value().clone()];
        if before != Some("Apply") {
            expected.insert(0, json!({"metadata": {"resourceVersion": "7", "managedFields": applied}}));
        }
        assert_eq!(writes(&log), expected);
    }
}

#[tokio::test]
async fn a_conflict_with_ourselves_is_none() {
    let cause = json!({"reason": "FieldManagerConflict", "message": "conflict with \"crossfade\" using apps/v1", "field": ".spec.replicas"});
    let mut scaled = owned("crossfade", json!({"f:spec": {"f:replicas": {}}}));
    scaled["operation"] = "Update".into();
    let metadata = json!({"resourceVersion": "7", "managedFields": [scaled, owned("argocd", json!({}))]});
    let live = object("apps/v1", "Deployment", "web", json!({"metadata": metadata}));
    let asked = AtomicUsize::new(0);
    let (target, log) =
        cluster(move |seen| match seen.line.starts_with("PATCH") && asked.fetch_add(1, Ordering::Relaxed) == 0 {
            true => failure(409, "Conflict", "", json!({"causes": [cause]})),
            false => (200, live.value().clone()),
        });
    let desired = desired(object("apps/v1", "Deployment", "web", json!({"spec": {"replicas": 3}})));
    apply(&target, &desired).await.unwrap();
    let given_up = json!({"metadata": {"resourceVersion": "7", "managedFields": [owned("argocd", json!({}))]}});
    let whole = desired.manifest.value().clone();
    assert_eq!(writes(&log), [whole.clone(), given_up, whole]);
}

#[tokio::test]
async fn a_namespace_that_is_being_deleted_is_told_once_and_its_objects_are_not_tried_out() {
    let answer = |seen: &Seen| match seen.line.split('?').next().unwrap_or_default() {
        "GET /api/v1/namespaces/shop" => {
            let metadata = json!({"name": "shop", "deletionTimestamp": "2026-01-01T00:00:00Z"});
            (200, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}))
        }
        line if line.starts_with("GET") => failure(404, "NotFound", "no", json!({})),
        line => panic!("{line} of a namespace on its way out"),
    };
    let (target, _) = cluster(answer);
    let objects = vec![namespace("shop").unwrap(), config_map()];
    let plan = MirrorPlan { objects, problems: Vec::new() };
    let problems = super::super::rehearse(&target, &plan, &live(&target, &plan).await.unwrap()).await.unwrap();
    let told: Vec<_> = problems.iter().filter(|problem| problem.blocks()).map(ToString::to_string).collect();
    assert_eq!(told, ["Namespace shop: is being deleted on the target, with everything in it"]);
    let selection = super::super::double::workloads();
    let problems = super::super::leaving(&target, &selection).await.unwrap();
    assert_eq!(problems[0].to_string(), "Namespace shop: is being deleted on the source, with everything in it");
    let (unseen, _) = cluster(|_| failure(403, "Forbidden", "no", json!({})));
    assert_eq!(super::super::leaving(&unseen, &selection).await.unwrap(), [], "not every account may look");
}
