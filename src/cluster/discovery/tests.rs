//! Servers that answer discovery badly, partly or never.

use serde_json::{Value, json};

use super::super::double::{Seen, client};
use super::*;

/// A server with one group that is mirrored and one that is not.
fn answer(seen: &Seen) -> (u16, Value) {
    let group = |version: &str| {
        let version = json!({"groupVersion": version, "version": "v1"});
        json!({"name": "g", "versions": [version], "preferredVersion": version})
    };
    let resources = |version: &str, kind: &str| {
        let resource =
            json!({"name": format!("{}s", kind.to_lowercase()), "kind": kind, "namespaced": true, "verbs": ["get"]});
        (200, json!({"groupVersion": version, "resources": [resource]}))
    };
    match seen.line.as_str() {
        "GET /version" => (200, json!({"gitVersion": "v1.20.15", "major": "1", "minor": "20+"})),
        "GET /apis" => (200, json!({"groups": [group("apps/v1"), group("metrics.k8s.io/v1beta1")]})),
        "GET /api/v1" => resources("v1", "Service"),
        "GET /apis/apps/v1" => resources("apps/v1", "Deployment"),
        _ => (503, json!("service unavailable")),
    }
}

#[tokio::test]
async fn an_aggregated_api_may_be_down() {
    let cluster = Cluster::from_client("blue", client(answer).0).await.unwrap();
    assert_eq!(cluster.version().number, Some((1, 20)));
    assert!(cluster.served().resource("apps/v1", "Deployment").is_some());
    assert_eq!(cluster.served().silent().iter().collect::<Vec<_>>(), ["metrics.k8s.io/v1beta1"]);
}

#[tokio::test]
async fn an_api_that_is_mirrored_may_not() {
    let broken = |seen: &Seen| if seen.line == "GET /apis/apps/v1" { (503, json!("down")) } else { answer(seen) };
    let error = Cluster::from_client("blue", client(broken).0).await.unwrap_err();
    assert_eq!(error.to_string(), "cluster blue cannot get /apis/apps/v1 right now: no reason given (HTTP 503)");
}

#[tokio::test]
async fn no_groups_at_all_is_an_error() {
    let empty = |seen: &Seen| if seen.line == "GET /apis" { (200, json!({"groups": []})) } else { answer(seen) };
    let error = Cluster::from_client("blue", client(empty).0).await.unwrap_err();
    assert_eq!(error.to_string(), "cluster blue answered nonsense to get /apis: no groups at all");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_given_up() {
    let service = tower::service_fn(|_: hyper::Request<kube::client::Body>| {
        std::future::pending::<
            Result<hyper::Response<http_body_util::Full<hyper::body::Bytes>>, std::convert::Infallible>,
        >()
    });
    let error = Cluster::from_client("blue", kube::Client::new(service, "default")).await.unwrap_err();
    assert_eq!(error.to_string(), "cluster blue did not get /version within 15 s");
}

#[tokio::test]
async fn a_kubeconfig_is_never_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    std::fs::write(&path, "users:\n- name: a\n  user: {token: s3cr3t, token: s3cr3t\n").unwrap();
    let error = Cluster::connect("blue", Some(&path)).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap();
    let everything = format!("{error} {error:?} {cause}");
    assert_eq!(error.to_string(), "the kubeconfig gives no access to cluster blue");
    assert!(!everything.contains("s3cr3t"), "{everything}");
}
