//! Deployments and their pods.

use kube::api::{DeleteParams, ListParams};

use super::*;

async fn status(client: &Client) -> Value {
    api(client, "apps/v1", "Deployment", "shop").get("web").await.unwrap().data["status"].clone()
}

async fn get(pod: &Pod, path: &str) -> reqwest::Result<reqwest::Response> {
    // Another test of this process may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::get(format!("http://{}{path}", pod.address)).await
}

async fn ask(pod: &Pod, path: &str) -> (u16, String) {
    let response = get(pod, path).await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn a_deployment_becomes_pods_that_answer() {
    let (cluster, client) = cluster("green", Shape::V1_37).await;
    apply(&client, "apps/v1", "Deployment", "shop", deployment(2, "web:1")).await.unwrap();
    let pods = until_pods(&cluster, |pods| ready(pods) == 2).await;
    assert!(pods.iter().all(|pod| pod.workload == "web" && pod.namespace == "shop"));
    let (code, body) = ask(&pods[0], "/").await;
    assert_eq!((code, serde_json::from_str::<Value>(&body).unwrap()["cluster"].clone()), (200, "green".into()));
    assert_eq!(ask(&pods[0], "/readyz").await.0, 200);
    cluster.set_fault(Fault::ErrorRate(1.0));
    assert_eq!(ask(&pods[0], "/").await.0, 500);
    let metrics = ask(&pods[0], "/metrics").await.1;
    assert!(metrics.contains("code=\"200\"} 1\n") && metrics.contains("code=\"500\"} 1\n"), "{metrics}");
    let listed = api(&client, "v1", "Pod", "shop").list(&ListParams::default().labels("app=web")).await.unwrap();
    assert_eq!(listed.items.len(), 2);
    cluster.shutdown().await;
    assert!(get(&pods[0], "/").await.is_err());
}

#[tokio::test]
async fn scaling_goes_through_the_subresource_and_shows_in_the_status() {
    let (cluster, client) = cluster("green", Shape::V1_37).await;
    apply(&client, "apps/v1", "Deployment", "shop", deployment(1, "web:1")).await.unwrap();
    until_pods(&cluster, |pods| ready(pods) == 1).await;
    let deployments = api(&client, "apps/v1", "Deployment", "shop");
    let three = Patch::Merge(json!({"spec": {"replicas": 3}}));
    let scale = deployments.patch_scale("web", &PatchParams::default(), &three).await.unwrap();
    assert_eq!(scale.spec.unwrap().replicas, Some(3));
    until_pods(&cluster, |pods| ready(pods) == 3).await;
    let seen = deployments.get("web").await.unwrap();
    assert_eq!(seen.metadata.generation, Some(2));
    let none = Patch::Merge(json!({"spec": {"replicas": 0}}));
    deployments.patch_scale("web", &PatchParams::default(), &none).await.unwrap();
    until_pods(&cluster, Vec::is_empty).await;
    assert_eq!(status(&client).await["observedGeneration"], 3);
}

#[tokio::test]
async fn a_new_template_replaces_pods_without_a_gap() {
    let (cluster, client) = cluster("green", Shape::V1_37).await;
    apply(&client, "apps/v1", "Deployment", "shop", deployment(3, "web:1")).await.unwrap();
    let before = until_pods(&cluster, |pods| ready(pods) == 3).await;
    apply(&client, "apps/v1", "Deployment", "shop", deployment(3, "web:2")).await.unwrap();
    let mut fewest = usize::MAX;
    let after = until_pods(&cluster, |pods| {
        fewest = fewest.min(ready(pods));
        pods.len() == 3 && ready(pods) == 3 && pods.iter().all(|pod| before.iter().all(|old| old.name != pod.name))
    })
    .await;
    assert_eq!((after.len(), fewest), (3, 3));
}

#[tokio::test]
async fn a_deleted_pod_comes_back_and_a_deleted_deployment_does_not() {
    let (cluster, client) = cluster("green", Shape::V1_37).await;
    apply(&client, "apps/v1", "Deployment", "shop", deployment(1, "web:1")).await.unwrap();
    let first = until_pods(&cluster, |pods| ready(pods) == 1).await.remove(0);
    api(&client, "v1", "Pod", "shop").delete(&first.name, &DeleteParams::default()).await.unwrap();
    until_pods(&cluster, |pods| ready(pods) == 1 && pods.iter().all(|pod| pod.name != first.name)).await;
    api(&client, "apps/v1", "Deployment", "shop").delete("web", &DeleteParams::default()).await.unwrap();
    until_pods(&cluster, Vec::is_empty).await;
}
