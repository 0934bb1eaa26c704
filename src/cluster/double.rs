//! Stand-ins for API servers, for the tests of this module.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};

use super::manifest::Manifest;
use super::relay::Relays;
use super::served::{Served, ServerVersion};
use super::{Cluster, KINDS};
use crate::policy::{LabelSelector, Name, Workloads};

/// One request as a server saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Method and path with query, such as `GET /api/v1/namespaces/shop`.
    pub line: String,
    /// The JSON that was sent.
    pub body: Value,
}

/// Everything a server was asked.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<Seen>>>);

impl Log {
    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.0.lock().unwrap().clone()
    }

    /// The method and path of the requests so far.
    pub fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }
}

/// A client whose every request is answered by `answer` with a status and a body.
pub fn client(answer: impl Fn(&Seen) -> (u16, Value) + Send + Sync + 'static) -> (kube::Client, Log) {
    slow_client(Duration::ZERO, answer)
}

/// A client whose every request is answered after a while.
pub fn slow_client(
    after: Duration,
    answer: impl Fn(&Seen) -> (u16, Value) + Send + Sync + 'static,
) -> (kube::Client, Log) {
    let log = Log::default();
    let (answer, seen) = (Arc::new(answer), log.clone());
    let service = tower::service_fn(move |request: Request<Body>| {
        let (answer, seen) = (answer.clone(), seen.clone());
        async move {
            let line = format!("{} {}", request.method(), request.uri());
            let sent = request.into_body().collect().await.unwrap().to_bytes();
            let asked = Seen { line, body: serde_json::from_slice(&sent).unwrap_or_default() };
            seen.0.lock().unwrap().push(asked.clone());
            tokio::time::sleep(after).await;
            let (status, body) = answer(&asked);
            let body = match body {
                Value::String(text) => text,
                json => json.to_string(),
            };
            Ok::<_, Infallible>(Response::builder().status(status).body(Full::new(Bytes::from(body))).unwrap())
        }
    });
    (kube::Client::new(service, "default"), log)
}

/// A cluster that serves every mirrored kind in its newest version.
pub fn cluster(answer: impl Fn(&Seen) -> (u16, Value) + Send + Sync + 'static) -> (Cluster, Log) {
    let (client, log) = client(answer);
    let version = ServerVersion::new("v1.37.2", "1", "37");
    (Cluster { name: "green".to_owned(), client, served: Arc::new(newest()), version, relays: Relays::default() }, log)
}

/// Every mirrored kind in its newest version.
pub fn newest() -> Served {
    served(KINDS.iter().map(|kind| (kind.versions()[0], kind.name())))
}

/// Versions that v1.20 serves no more, or not unless it is told to.
const GONE_BEFORE: &[&str] = &["apps/v1beta1", "extensions/v1beta1", "v1alpha1", "v2alpha1"];

/// Every mirrored kind as a v1.20 server serves it, newest Ingress left out.
pub fn oldest() -> Served {
    let old = KINDS.iter().map(|kind| (*kind.versions().last().unwrap(), kind.name()));
    let old =
        old.filter(|(version, kind)| *kind == "Ingress" || !GONE_BEFORE.iter().any(|gone| version.ends_with(gone)));
    let stable = ["Deployment", "DaemonSet", "StatefulSet"].map(|kind| ("apps/v1", kind));
    let others = [
        ("autoscaling/v2beta2", "HorizontalPodAutoscaler"),
        ("batch/v1beta1", "CronJob"),
        ("networking.k8s.io/v1", "NetworkPolicy"),
        ("rbac.authorization.k8s.io/v1", "Role"),
        ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ];
    served(old.chain(stable).chain(others))
}

/// A server that serves these versions and kinds, and namespaces.
pub fn served<'a>(kinds: impl IntoIterator<Item = (&'a str, &'a str)>) -> Served {
    let mut served = Served::default();
    let namespaces = [("v1", "Namespace")];
    for (version, kind) in namespaces.into_iter().chain(kinds) {
        let plural = if kind == "Ingress" { "ingresses".to_owned() } else { format!("{}s", kind.to_lowercase()) };
        let resource = json!({"name": plural, "kind": kind, "namespaced": kind != "Namespace"});
        served.add(serde_json::from_value(json!({"groupVersion": version, "resources": [resource]})).unwrap());
    }
    served
}

/// What carries `part-of: shop` in namespace `shop`.
pub fn workloads() -> Workloads {
    let match_labels = [("part-of".to_owned(), "shop".to_owned())].into();
    let namespaces = Name::new("shop").into_iter().collect();
    Workloads { namespaces, selector: LabelSelector { match_labels }, ..Workloads::default() }
}

/// An object of namespace `shop`, with `rest` merged over its name.
pub fn object(version: &str, kind: &str, name: &str, rest: Value) -> Manifest {
    let metadata = json!({"name": name, "namespace": "shop"});
    let mut value = json!({"apiVersion": version, "kind": kind, "metadata": metadata});
    json_patch::merge(&mut value, &rest);
    Manifest::new(value).unwrap()
}
