//! Discovery, reading and writing.

use kube::api::{DeleteParams, ListParams, PostParams, Preconditions};
use kube::discovery::Discovery;

use super::*;

fn config_map(name: &str, label: &str) -> DynamicObject {
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"l": label}}, "data": {"k": "v"}});
    serde_json::from_value(object).unwrap()
}

fn serves(discovery: &Discovery, group: &str, version: &str, kind: &str) -> bool {
    discovery.resolve_gvk(&GroupVersionKind::gvk(group, version, kind)).is_some()
}

#[tokio::test]
async fn each_shape_serves_its_versions() {
    let (old, old_client) = cluster("blue", Shape::V1_20).await;
    let (new, new_client) = cluster("green", Shape::V1_37).await;
    assert_eq!(old_client.apiserver_version().await.unwrap().git_version, "v1.20.15");
    let discovered = Discovery::new(old_client.clone()).run().await.unwrap();
    for (group, version, kind) in [
        ("extensions", "v1beta1", "Ingress"),
        ("networking.k8s.io", "v1beta1", "Ingress"),
        ("policy", "v1beta1", "PodDisruptionBudget"),
        ("batch", "v1beta1", "CronJob"),
        ("autoscaling", "v2beta2", "HorizontalPodAutoscaler"),
        ("apps", "v1", "Deployment"),
        ("", "v1", "Service"),
    ] {
        assert!(serves(&discovered, group, version, kind), "{group}/{version} {kind}");
    }
    let aggregated = Discovery::new(new_client.clone()).run_aggregated().await.unwrap();
    let plain = Discovery::new(new_client).run().await.unwrap();
    for discovered in [aggregated, plain] {
        assert!(serves(&discovered, "policy", "v1", "PodDisruptionBudget"));
        assert!(serves(&discovered, "autoscaling", "v2", "HorizontalPodAutoscaler"));
        assert!(serves(&discovered, "", "v1", "Pod"));
        assert!(!serves(&discovered, "extensions", "v1beta1", "Ingress"));
        assert!(!serves(&discovered, "policy", "v1beta1", "PodDisruptionBudget"));
    }
    // A client that insists on the aggregated form sees nothing on the old one, as on the real one.
    assert_eq!(Discovery::new(old_client).run_aggregated().await.unwrap().groups().count(), 0);
    old.shutdown().await;
    new.shutdown().await;
}

#[tokio::test]
async fn objects_are_created_once_and_only_in_a_namespace_that_exists() {
    let (_cluster, client) = cluster("green", Shape::V1_37).await;
    let status =
        refused(api(&client, "v1", "ConfigMap", "nowhere").create(&PostParams::default(), &config_map("a", "1")).await);
    assert_eq!((status.code, status.message.as_str()), (404, "namespaces \"nowhere\" not found"));
    let maps = api(&client, "v1", "ConfigMap", "shop");
    let made = maps.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    assert_eq!(made.data["data"]["k"], "v");
    let status = refused(maps.create(&PostParams::default(), &config_map("a", "1")).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "AlreadyExists"));
    let status = refused(maps.get("b").await);
    assert_eq!((status.code, status.message.as_str()), (404, "configmaps \"b\" not found"));
}

#[tokio::test]
async fn a_stale_write_is_refused() {
    let (_cluster, client) = cluster("green", Shape::V1_37).await;
    let maps = api(&client, "v1", "ConfigMap", "shop");
    let first = maps.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    let mut second = first.clone();
    second.data["data"]["k"] = "w".into();
    let second = maps.replace("a", &PostParams::default(), &second).await.unwrap();
    assert_ne!(first.metadata.resource_version, second.metadata.resource_version);
    let status = refused(maps.replace("a", &PostParams::default(), &first).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    let stale = Preconditions { resource_version: first.metadata.resource_version.clone(), uid: None };
    let params = DeleteParams { preconditions: Some(stale), ..DeleteParams::default() };
    assert_eq!(refused(maps.delete("a", &params).await).code, 409);
    assert!(maps.delete("a", &DeleteParams::default()).await.unwrap().is_right());
}

#[tokio::test]
async fn a_write_that_changes_nothing_takes_no_version() {
    let (_cluster, client) = cluster("green", Shape::V1_37).await;
    let first = apply(&client, "apps/v1", "Deployment", "shop", deployment(0, "web:1")).await.unwrap();
    let until_settled = api(&client, "apps/v1", "Deployment", "shop");
    let again = apply(&client, "apps/v1", "Deployment", "shop", deployment(0, "web:1")).await.unwrap();
    assert_eq!(first.metadata.generation, again.metadata.generation);
    let settled = until_settled.get("web").await.unwrap();
    let again = apply(&client, "apps/v1", "Deployment", "shop", deployment(0, "web:1")).await.unwrap();
    assert_eq!(settled.metadata.resource_version, again.metadata.resource_version);
    let merged = until_settled
        .patch("web", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": 0}})))
        .await
        .unwrap();
    assert_eq!(settled.metadata.resource_version, merged.metadata.resource_version);
}

#[tokio::test]
async fn lists_come_in_pages_of_one_moment() {
    let (cluster, client) = cluster("green", Shape::V1_37).await;
    let maps = api(&client, "v1", "ConfigMap", "shop");
    for (name, label) in [("a", "1"), ("b", "2"), ("c", "1"), ("d", "2"), ("e", "1")] {
        maps.create(&PostParams::default(), &config_map(name, label)).await.unwrap();
    }
    let names = |list: &kube::api::ObjectList<DynamicObject>| -> String {
        list.items.iter().map(|object| object.metadata.name.clone().unwrap()).collect()
    };
    assert_eq!(names(&maps.list(&ListParams::default().labels("l in (1,3)")).await.unwrap()), "ace");
    assert_eq!(names(&maps.list(&ListParams::default().fields("metadata.name=b")).await.unwrap()), "b");
    let first = maps.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!((names(&first).as_str(), first.metadata.remaining_item_count), ("ab", Some(3)));
    maps.delete("c", &DeleteParams::default()).await.unwrap();
    let token = first.metadata.continue_.unwrap();
    let second = maps.list(&ListParams::default().limit(2).continue_token(&token)).await.unwrap();
    assert_eq!(names(&second), "cd");
    cluster.compact();
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    let status = refused(maps.list(&ListParams::default().limit(2).continue_token(&token)).await);
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
}

#[tokio::test]
async fn an_apply_conflict_names_manager_and_field() {
    let (_cluster, client) = cluster("green", Shape::V1_37).await;
    apply(&client, "apps/v1", "Deployment", "shop", deployment(1, "web:1")).await.unwrap();
    let deployments = api(&client, "apps/v1", "Deployment", "shop");
    let mut other = deployment(2, "web:2");
    other["apiVersion"] = "apps/v1".into();
    other["kind"] = "Deployment".into();
    let status = refused(deployments.patch("web", &PatchParams::apply("other"), &Patch::Apply(&other)).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    let causes: Vec<(String, String)> =
        status.details.unwrap().causes.into_iter().map(|cause| (cause.message, cause.field)).collect();
    let cause = |field: &str| ("conflict with \"test\"".to_owned(), field.to_owned());
    assert_eq!(causes, [cause(".spec.replicas"), cause(r#".spec.template.spec.containers[name="web"].image"#)]);
    let forced = deployments.patch("web", &PatchParams::apply("other").force(), &Patch::Apply(&other)).await.unwrap();
    assert_eq!((forced.data["spec"]["replicas"].as_u64(), forced.metadata.generation), (Some(2), Some(2)));
}

#[tokio::test]
async fn a_dry_run_leaves_no_trace() {
    let (_cluster, client) = cluster("green", Shape::V1_37).await;
    let maps = api(&client, "v1", "ConfigMap", "shop");
    let params = PostParams { dry_run: true, ..PostParams::default() };
    maps.create(&params, &config_map("a", "1")).await.unwrap();
    assert!(maps.get_opt("a").await.unwrap().is_none());
}

#[tokio::test]
async fn an_ingress_shows_in_every_version() {
    let (_cluster, client) = cluster("blue", Shape::V1_20).await;
    let backend = json!({"serviceName": "web", "servicePort": 80});
    let object = json!({"metadata": {"name": "web"}, "spec": {"backend": backend}});
    apply(&client, "extensions/v1beta1", "Ingress", "shop", object).await.unwrap();
    let stable = api(&client, "networking.k8s.io/v1", "Ingress", "shop").get("web").await.unwrap();
    assert_eq!(stable.data["spec"]["defaultBackend"]["service"], json!({"name": "web", "port": {"number": 80}}));
    let old = api(&client, "networking.k8s.io/v1beta1", "Ingress", "shop").list(&ListParams::default()).await.unwrap();
    assert_eq!(old.items[0].data["spec"]["backend"], backend);
}

#[tokio::test]
async fn injected_faults_happen_as_told() {
    let (cluster, client) = cluster("green", Shape::V1_37).await;
    let maps = api(&client, "v1", "ConfigMap", "shop");
    cluster.inject(1, ApiFault::any(Mishap::Refuse(409)).on(Verb::Create));
    assert_eq!(refused(maps.create(&PostParams::default(), &config_map("a", "1")).await).code, 409);
    assert!(maps.get_opt("a").await.unwrap().is_none());
    cluster.inject(1, ApiFault::any(Mishap::LoseAnswer).on(Verb::Create).of("configmaps"));
    let lost = maps.create(&PostParams::default(), &config_map("a", "1")).await;
    assert!(!matches!(lost.unwrap_err(), kube::Error::Api(_)));
    assert!(maps.get_opt("a").await.unwrap().is_some());
}
