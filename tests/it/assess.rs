//! How long an assessment of a large cluster takes: 1,000 services of ten objects each, between two servers in this process.

use std::time::Duration;

use crossfade::assess::{Scope, assess, html, read, text};
use crossfade::cluster::Cluster;
use crossfade::embedded::{Embedded, Shape};
use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

const NAMESPACES: usize = 10;
const SERVICES: usize = 100;

/// What an assessment of 10,000 objects may take, of a core and not by the clock: other tests run beside it. Unoptimized, twice
/// as long.
const GOAL: Duration = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 10 });

/// Time that this thread has run, both servers in it included.
fn busy() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(told.split_whitespace().next().unwrap().parse().unwrap())
}

/// The ten objects of one service.
fn service(namespace: &str, name: &str, next: &str) -> Vec<(&'static str, &'static str, &'static str, Value)> {
    let metadata = |name: &str| json!({"name": name, "namespace": namespace, "labels": {"app": name}});
    let container = json!({"name": "app", "image": "registry.example/app:1", "envFrom": [{"configMapRef": {"name": name}}],
        "env": [{"name": "NEXT_URL", "value": format!("http://{next}")}], "resources": {"requests": {"cpu": "1m"}}});
    let template =
        json!({"metadata": {"labels": {"app": name}}, "spec": {"serviceAccountName": name, "containers": [container]}});
    let selector = json!({"matchLabels": {"app": name}});
    let map = |name: String| {
        ("v1", "ConfigMap", "configmaps", json!({"metadata": metadata(&name), "data": {"a": "b".repeat(200)}}))
    };
    let secret =
        |name: String| ("v1", "Secret", "secrets", json!({"metadata": metadata(&name), "data": {"a": "Yg=="}}));
    // The embedded server's controller looks at every Deployment whenever anything changes; it has no eye for these.
    let scaled = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": name});
    let backend = json!({"serviceName": name, "servicePort": 80});
    vec![
        map(name.to_owned()),
        map(format!("{name}-more")),
        map(format!("{name}-most")),
        secret(name.to_owned()),
        ("v1", "ServiceAccount", "serviceaccounts", json!({"metadata": metadata(name)})),
        (
            "v1",
            "Service",
            "services",
            json!({"metadata": metadata(name), "spec": {"selector": {"app": name}, "ports": [{"port": 80}]}}),
        ),
        (
            "apps/v1",
            "StatefulSet",
            "statefulsets",
            json!({"metadata": metadata(name), "spec": {"replicas": 0, "serviceName": name, "selector": selector, "template": template}}),
        ),
        (
            "policy/v1beta1",
            "PodDisruptionBudget",
            "poddisruptionbudgets",
            json!({"metadata": metadata(name), "spec": {"minAvailable": 1, "selector": selector}}),
        ),
        (
            "autoscaling/v2beta2",
            "HorizontalPodAutoscaler",
            "horizontalpodautoscalers",
            json!({"metadata": metadata(name), "spec": {"scaleTargetRef": scaled, "maxReplicas": 3}}),
        ),
        (
            "networking.k8s.io/v1beta1",
            "Ingress",
            "ingresses",
            json!({"metadata": metadata(name), "spec": {"backend": backend}}),
        ),
    ]
}

async fn create(
    client: &kube::Client,
    namespace: Option<&str>,
    (version, kind, plural, mut body): (&str, &str, &str, Value),
) -> Result<(), kube::Error> {
    let (group, short) = version.split_once('/').unwrap_or(("", version));
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, short, kind), plural);
    body["apiVersion"] = version.into();
    body["kind"] = kind.into();
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let object = serde_json::from_value(body).map_err(kube::Error::SerdeError)?;
    api.create(&PostParams::default(), &object).await.map(drop)
}

// One thread for everything, so that its time is all of it.
#[tokio::test]
async fn ten_thousand_objects_are_assessed_in_time() {
    let (blue, green) =
        (Embedded::start("blue", Shape::V1_20).await.unwrap(), Embedded::start("green", Shape::V1_37).await.unwrap());
    let client = blue.client().unwrap();
    let mut creations = Vec::new();
    for at in 0..NAMESPACES {
        let namespace = format!("tenant-{at}");
        create(&client, None, ("v1", "Namespace", "namespaces", json!({"metadata": {"name": namespace}})))
            .await
            .unwrap();
        for number in 0..SERVICES {
            let objects = service(&namespace, &format!("s{number}"), &format!("s{}", number + 1));
            creations.extend(objects.into_iter().map(|object| (namespace.clone(), object)));
        }
    }
    assert_eq!(creations.len(), 10_000);
    let creations = creations.into_iter().map(|(namespace, object)| {
        let client = client.clone();
        async move { create(&client, Some(&namespace), object).await }
    });
    let creations: Vec<_> = creations.collect();
    stream::iter(creations).buffer_unordered(8).try_collect::<()>().await.unwrap();

    let start = busy();
    let source = Cluster::from_client("blue", client).await.unwrap();
    let target = Cluster::from_client("green", green.client().unwrap()).await.unwrap();
    let estate = read(&source, &target, Scope::Everything).await.unwrap();
    let read_in = busy() - start;
    let report = assess(&estate);
    let (page, shown) = (html(&report), text(&report, 80));
    let took = busy() - start;
    println!(
        "{} objects, {} findings: read in {:.1} s, all in {:.1} s; page {} KiB",
        report.objects,
        report.findings.len(),
        read_in.as_secs_f64(),
        took.as_secs_f64(),
        page.len() / 1024
    );
    assert!(report.objects >= 10_000 && report.workloads.len() == NAMESPACES * SERVICES);
    assert_eq!(report.waves.len(), SERVICES, "each needs the next");
    assert!(shown.contains("XF-V001"));
    assert!(took <= GOAL, "{took:?}");
    blue.shutdown().await;
    green.shutdown().await;
}
