//! What belongs to a selection, and what is left out of it.

use std::borrow::Borrow;

use serde_json::{Value, json};

use super::super::double::object;
use super::*;

const LABELS: &[(&str, &str)] = &[("part-of", "shop")];

fn labelled(rest: Value) -> Value {
    let mut labelled = json!({"metadata": {"labels": {"part-of": "shop"}}});
    json_patch::merge(&mut labelled, &rest);
    labelled
}

fn deployment(name: &str, pod_spec: Value) -> Manifest {
    let template = json!({"metadata": {"labels": {"app": name}}, "spec": pod_spec});
    object("apps/v1", "Deployment", name, labelled(json!({"spec": {"template": template}})))
}

fn closed(objects: Vec<Manifest>, missing: &[ObjectRef]) -> Closure {
    let found = objects.into_iter().map(|manifest| (manifest.object().clone(), manifest)).collect();
    let match_labels = LABELS.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    close(&found, &missing.iter().cloned().collect(), &LabelSelector { match_labels })
}

fn names<T: Borrow<ObjectRef>>(objects: &BTreeSet<T>) -> Vec<String> {
    objects.iter().map(Borrow::borrow).map(|object| format!("{} {}", object.kind, object.name)).collect()
}

#[test]
fn follows_references_and_what_acts_until_nothing_is_new() {
    let pod = json!({"serviceAccountName": "web", "containers": [{"envFrom": [{"configMapRef": {"name": "map"}}]}]});
    let scale = json!({"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}});
    let backend = |service: &str| json!({"service": {"name": service, "port": {"number": 80}}});
    let closure = closed(
        vec![
            deployment("web", pod),
            object("v1", "ConfigMap", "map", json!({})),
            object("v1", "ConfigMap", "not-asked-for", json!({})),
            object("v1", "ServiceAccount", "web", json!({"imagePullSecrets": [{"name": "pull"}]})),
            object("v1", "Secret", "pull", json!({})),
            object("v1", "Service", "web", json!({"spec": {"selector": {"app": "web"}}})),
            object("v1", "Service", "other", json!({"spec": {"selector": {"app": "other"}}})),
            object("v1", "Service", "by-hand", json!({"spec": {}})),
            object("autoscaling/v2", "HorizontalPodAutoscaler", "web", scale),
            object(
                "policy/v1",
                "PodDisruptionBudget",
                "web",
                json!({"spec": {"selector": {"matchLabels": {"app": "web"}}}}),
            ),
            object(
                "networking.k8s.io/v1",
                "Ingress",
                "web",
                json!({"spec": {"defaultBackend": backend("web"), "tls": [{"secretName": "cert"}]}}),
            ),
            object("networking.k8s.io/v1", "Ingress", "other", json!({"spec": {"defaultBackend": backend("other")}})),
            object("v1", "Secret", "cert", json!({})),
        ],
        &[],
    );
    assert_eq!(
        names(&closure.selected),
        [
            "ConfigMap map",
            "Deployment web",
            "HorizontalPodAutoscaler web",
            "Ingress web",
            "PodDisruptionBudget web",
            "Secret cert",
            "Secret pull",
            "Service web",
            "ServiceAccount web",
        ]
    );
    assert_eq!((names(&closure.wanted), closure.left_out.len()), (vec![], 0));
}

#[test]
fn asks_for_what_it_has_not_seen_and_asks_only_once() {
    let pod = json!({"containers": [{"envFrom": [{"secretRef": {"name": "db"}}]}], "volumes": [{"persistentVolumeClaim": {"claimName": "disk"}}]});
    let wanted = [ObjectRef::new("Secret", "shop", "db"), ObjectRef::new("ServiceAccount", "shop", "default")];
    let closure = closed(vec![deployment("web", pod.clone())], &[]);
    assert_eq!(closure.wanted, wanted.clone().into());
    let closure = closed(vec![deployment("web", pod)], &wanted);
    assert_eq!(closure.wanted, BTreeSet::new());
    assert_eq!(closure.left_out, wanted.map(|object| (object, Absence::Missing)).into());
}

#[test]
fn leaves_out_what_others_make() {
    let owner = json!({"metadata": {"ownerReferences": [{"kind": "Shop", "name": "main", "controller": true}]}});
    let token = json!({"type": "kubernetes.io/service-account-token"});
    let closure = closed(
        vec![
            object("apps/v1", "Deployment", "made", labelled(owner)),
            object(
                "apps/v1",
                "Deployment",
                "going",
                labelled(json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})),
            ),
            object("v1", "ConfigMap", "kube-root-ca.crt", labelled(json!({}))),
            object("v1", "ServiceAccount", "default", labelled(json!({"imagePullSecrets": [{"name": "pull"}]}))),
            object("v1", "Secret", "default-token-abcde", labelled(token)),
        ],
        &[],
    );
    assert_eq!(names(&closure.selected), [""; 0]);
    let reasons: Vec<_> = closure.left_out.into_values().collect();
    assert_eq!(
        reasons,
        [
            Absence::ClusterMade(ClusterMade::SameName),
            Absence::Deleting,
            Absence::Controlled("Shop main".to_owned()),
            Absence::ClusterMade(ClusterMade::OtherName),
            Absence::ClusterMade(ClusterMade::Extended),
        ]
    );
}

#[test]
fn an_empty_disruption_selector_acts_by_its_version() {
    for (version, acts) in [("policy/v1", true), ("policy/v1beta1", false)] {
        let budget = object(version, "PodDisruptionBudget", "all", json!({"spec": {"selector": {}}}));
        let closure = closed(vec![deployment("web", json!({})), budget], &[]);
        assert_eq!(closure.selected.len(), 1 + usize::from(acts), "{version}");
    }
}

#[test]
fn stays_inside_the_namespace() {
    let elsewhere = object(
        "v1",
        "Service",
        "web",
        json!({"metadata": {"namespace": "other"}, "spec": {"selector": {"app": "web"}}}),
    );
    let closure = closed(vec![deployment("web", json!({})), elsewhere], &[]);
    assert_eq!(names(&closure.selected), ["Deployment web"]);
}

#[test]
fn rules_that_act_on_pods_and_accounts_come_along_and_others_stay() {
    let labels = json!({"app": "web"});
    let template = json!({"metadata": {"labels": labels}, "spec": {"serviceAccountName": "web"}});
    let web = json!({"metadata": {"labels": {"part-of": "shop"}}, "spec": {"template": template}});
    let policy = |selector: Value| json!({"spec": {"podSelector": selector}});
    let binding = |account: &str| {
        let subjects = json!([{"kind": "ServiceAccount", "name": account, "namespace": "shop"}]);
        json!({"roleRef": {"kind": "Role", "name": "reader"}, "subjects": subjects})
    };
    let rbac = "rbac.authorization.k8s.io/v1";
    let objects = [
        object("apps/v1", "StatefulSet", "web", web),
        object("v1", "ServiceAccount", "web", json!({})),
        object(rbac, "Role", "reader", json!({})),
        object(rbac, "RoleBinding", "ours", binding("web")),
        object(rbac, "RoleBinding", "others", binding("other")),
        object("networking.k8s.io/v1", "NetworkPolicy", "all", policy(json!({}))),
        object("networking.k8s.io/v1", "NetworkPolicy", "ours", policy(json!({"matchLabels": labels}))),
        object("networking.k8s.io/v1", "NetworkPolicy", "others", policy(json!({"matchLabels": {"app": "db"}}))),
        object("v1", "LimitRange", "limits", json!({})),
        object("v1", "ResourceQuota", "quota", json!({})),
    ];
    let found: Objects = objects.into_iter().map(|manifest| (manifest.object().clone(), manifest)).collect();
    let match_labels = [("part-of".to_owned(), "shop".to_owned())].into();
    let closure = close(&found, &BTreeSet::new(), &LabelSelector { match_labels });
    let left: Vec<_> =
        found.keys().filter(|object| !closure.selected.contains(*object)).map(ToString::to_string).collect();
    assert_eq!(left, ["NetworkPolicy shop/others", "RoleBinding shop/others"]);
}
