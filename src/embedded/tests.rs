//! Embedded clusters as their users meet them: through the Kubernetes client, and through a balancer.

mod api;
mod journey;
mod malformed;
mod watching;
mod workloads;

use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use serde_json::{Value, json};

use super::*;

/// A cluster whose pods come and go fast.
async fn cluster(name: &str, shape: Shape) -> (Embedded, Client) {
    let options =
        Options { pod_start: Duration::from_millis(5), pod_linger: Duration::from_millis(100), ..Options::new(shape) };
    let cluster = Embedded::start_with(name, options).await.unwrap();
    let client = cluster.client().unwrap();
    apply(&client, "v1", "Namespace", "", json!({"metadata": {"name": "shop"}})).await.unwrap();
    (cluster, client)
}

fn api(client: &Client, api_version: &str, kind: &str, namespace: &str) -> Api<DynamicObject> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let plural = match kind {
        "Ingress" => "ingresses".to_owned(),
        kind => format!("{}s", kind.to_lowercase()),
    };
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), &plural);
    match namespace {
        "" => Api::all_with(client.clone(), &resource),
        namespace => Api::namespaced_with(client.clone(), namespace, &resource),
    }
}

async fn apply(
    client: &Client,
    api_version: &str,
    kind: &str,
    namespace: &str,
    mut object: Value,
) -> kube::Result<DynamicObject> {
    object["apiVersion"] = api_version.into();
    object["kind"] = kind.into();
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    api(client, api_version, kind, namespace).patch(&name, &PatchParams::apply("test"), &Patch::Apply(object)).await
}

fn deployment(replicas: u32, image: &str) -> Value {
    json!({
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": image, "ports": [{"containerPort": 8080}]}]},
        }},
    })
}

/// The `Status` of a refused request.
fn refused<T: std::fmt::Debug>(result: kube::Result<T>) -> kube::core::Status {
    match result.unwrap_err() {
        kube::Error::Api(status) => *status,
        other => panic!("{other:?}"),
    }
}

/// Waits until the pods look as wanted.
async fn until_pods(cluster: &Embedded, wanted: impl FnMut(&Vec<Pod>) -> bool) -> Vec<Pod> {
    let mut pods = cluster.watch_pods();
    let seen = tokio::time::timeout(Duration::from_secs(5), pods.wait_for(wanted)).await;
    seen.expect("pods in time").unwrap().clone()
}

fn ready(pods: &[Pod]) -> usize {
    pods.iter().filter(|pod| pod.ready).count()
}
