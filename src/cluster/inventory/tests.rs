//! Which requests reading a selection takes.

use serde_json::{Value, json};

use super::super::closure::Absence;
use super::super::double::{Seen, cluster, newest, object, served};
use super::super::manifest::Manifest;
use super::*;
use crate::policy::Name;

fn workloads() -> Workloads {
    let match_labels = [("part-of".to_owned(), "shop".to_owned())].into();
    Workloads {
        namespaces: vec![Name::new("shop").unwrap()],
        selector: LabelSelector { match_labels },
        ..Workloads::default()
    }
}

fn list(objects: impl IntoIterator<Item = Manifest>) -> (u16, Value) {
    (200, json!({"items": objects.into_iter().map(Manifest::into_value).collect::<Vec<_>>()}))
}

/// A source with one Deployment whose account pulls with a Secret, and a ConfigMap that does not exist.
fn shop(seen: &Seen) -> (u16, Value) {
    let pod = json!({"serviceAccountName": "web", "containers": [{"envFrom": [{"configMapRef": {"name": "none"}}]}]});
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": pod});
    let labels = json!({"part-of": "shop"});
    let deployment =
        object("apps/v1", "Deployment", "web", json!({"metadata": {"labels": labels}, "spec": {"template": template}}));
    let account = object("v1", "ServiceAccount", "web", json!({"imagePullSecrets": [{"name": "pull"}]}));
    let service = object("v1", "Service", "web", json!({"spec": {"selector": {"app": "web"}}}));
    match seen.line.split('?').next().unwrap_or_default() {
        "GET /apis/apps/v1/namespaces/shop/deployments" => list([deployment]),
        "GET /api/v1/namespaces/shop/services" => list([service]),
        "GET /api/v1/namespaces/shop/serviceaccounts/web" => (200, account.into_value()),
        "GET /api/v1/namespaces/shop/secrets/pull" => (200, object("v1", "Secret", "pull", json!({})).into_value()),
        line if line.ends_with('s') => list([]),
        _ => (404, json!({"kind": "Status", "reason": "NotFound", "code": 404})),
    }
}

#[tokio::test]
async fn reads_what_belongs_together_and_no_secret_besides() {
    let (source, log) = cluster(shop);
    let inventory = inventory(&source, &newest(), &workloads()).await.unwrap();
    let objects: Vec<_> = inventory.objects.keys().map(ToString::to_string).collect();
    assert_eq!(objects, ["Deployment shop/web", "Secret shop/pull", "Service shop/web", "ServiceAccount shop/web"]);
    assert_eq!(inventory.left_out, [(ObjectRef::new("ConfigMap", "shop", "none"), Absence::Missing)].into());
    let lines = log.lines();
    assert!(lines.iter().all(|line| line.starts_with("GET ") && line.contains("/namespaces/shop/")), "{lines:?}");
    let secrets: Vec<_> = lines.iter().filter(|line| line.contains("/secrets")).collect();
    assert_eq!(
        secrets,
        [
            "GET /api/v1/namespaces/shop/secrets?&labelSelector=part-of%3Dshop&limit=250",
            "GET /api/v1/namespaces/shop/secrets/pull",
        ]
    );
}

#[tokio::test]
async fn a_kind_that_may_not_be_listed_is_an_error_and_no_empty_list() {
    let (source, _) = cluster(|seen| match seen.line.contains("/ingresses") {
        true => (403, json!({"kind": "Status", "reason": "Forbidden", "message": "no", "code": 403})),
        false => shop(seen),
    });
    let error = inventory(&source, &newest(), &workloads()).await.unwrap_err();
    let message = "cluster green does not allow to list ingresses.networking.k8s.io in namespace shop: no";
    assert_eq!(error.to_string(), message);
}

#[tokio::test]
async fn what_carries_the_labels_and_stays_behind_is_named() {
    let (mut source, log) = cluster(|seen| {
        let owner =
            json!({"metadata": {"ownerReferences": [{"kind": "CronJob", "name": "nightly", "controller": true}]}});
        match seen.line.split('?').next().unwrap_or_default() {
            "GET /apis/apps/v1/namespaces/shop/replicasets" => list([object("apps/v1", "ReplicaSet", "db", json!({}))]),
            "GET /apis/batch/v1/namespaces/shop/jobs" => list([object("batch/v1", "Job", "nightly-1", owner)]),
            "GET /api/v1/namespaces/shop/pods" => (403, json!({"kind": "Status", "reason": "Forbidden", "code": 403})),
            _ => shop(seen),
        }
    });
    let others = [("apps/v1", "ReplicaSet"), ("batch/v1", "Job"), ("v1", "Pod")];
    let mirrored = KINDS.iter().map(|kind| (kind.versions()[0], kind.name()));
    source.served = std::sync::Arc::new(served(mirrored.chain(others)));
    let inventory = inventory(&source, &newest(), &workloads()).await.unwrap();
    assert_eq!(inventory.unmirrored, [ObjectRef::new("ReplicaSet", "shop", "db")].into());
    assert_eq!(inventory.unseen, ["Pod".to_owned()].into());
    let looked = log
        .lines()
        .into_iter()
        .filter(|line| line.contains("/pods") || line.contains("sets") || line.contains("/jobs"));
    assert!(looked.into_iter().all(|line| line.contains("labelSelector=part-of%3Dshop")));
}
