//! Conversions, judged by two real API servers and by the command Kubernetes publishes for it.
//!
//! Every object of `tests/fixtures/convert` that the old server takes is created there, read back with all its defaults,
//! converted, and has to be taken by the new server, strictly, and still say everything that was said. What the old server does
//! not take any more is compared with `kubectl-convert`.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use crossfade::cluster::{Cluster, Resource};
use crossfade::convert::manifests::{self, Manifest};
use crossfade::convert::offline::convert_all;
use crossfade::convert::{CONVERSIONS, GONE};
use crossfade::policy::SourceFile;
use hyper::{Method, Request};
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use super::stage::{Lab, environment};
use crate::convert::fixtures;

/// Where the fixtures live.
const NAMESPACE: &str = "convert";

/// A cluster as its administrator, and what it serves.
struct Server {
    client: Client,
    cluster: Cluster,
}

impl Server {
    async fn connect(context: &str, kubeconfig: &str) -> Self {
        let file = Kubeconfig::read_from(kubeconfig).unwrap();
        let options = KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
        let client = Client::try_from(kube::Config::from_custom_kubeconfig(file, &options).await.unwrap()).unwrap();
        Self { cluster: Cluster::from_client(context, client.clone()).await.unwrap(), client }
    }

    async fn send(&self, method: Method, path: &str, content: &str, body: &Value) -> Result<Value, kube::Error> {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = Request::builder().method(method).uri(path).header("Content-Type", content).body(body).unwrap();
        self.client.request(request).await
    }

    async fn get(&self, path: &str) -> Result<Value, kube::Error> {
        self.send(Method::GET, path, "application/json", &Value::Null).await
    }

    /// Deletes what is at a path, whether or not there is anything.
    async fn clear(&self, path: &str) {
        let now = json!({"propagationPolicy": "Background", "gracePeriodSeconds": 0});
        let _absent_is_fine = self.send(Method::DELETE, path, "application/json", &now).await;
    }

    async fn apply(&self, path: &str, query: &str, body: &Value) -> Result<Value, kube::Error> {
        let path = format!("{path}?fieldManager=crossfade-lab&fieldValidation=Strict{query}");
        self.send(Method::PATCH, &path, "application/apply-patch+yaml", body).await
    }

    fn served(&self, body: &Value) -> Option<&Resource> {
        self.cluster.served().resource(body["apiVersion"].as_str().unwrap(), body["kind"].as_str().unwrap())
    }
}

fn path_of(resource: &Resource, body: &Value) -> String {
    format!("{}/{}", resource.path(NAMESPACE), body["metadata"]["name"].as_str().unwrap())
}

/// Reads and converts one object; `None` where it is left out on purpose.
fn converted(body: &Value) -> (Manifest, Option<Value>) {
    let file = SourceFile { name: "blue".to_owned(), text: body.to_string() };
    let mut read = manifests::read(&[file]).unwrap();
    let mut outcome = convert_all(&read, "1.37".parse().unwrap(), |_| false);
    (read.remove(0), outcome.objects.pop())
}

/// What is said and not found again, as `path: said, found`.
fn lost(said: &Value, found: &Value, path: &str, losses: &mut Vec<String>) {
    match (said, found) {
        (Value::Object(said), Value::Object(there)) => said.iter().for_each(|(key, value)| {
            lost(value, there.get(key).unwrap_or(&Value::Null), &format!("{path}.{key}"), losses);
        }),
        (Value::Array(said), Value::Array(there)) if said.len() == there.len() => {
            said.iter().zip(there).enumerate().for_each(|(at, (said, found))| {
                lost(said, found, &format!("{path}[{at}]"), losses);
            });
        }
        (said, found) if said == found || (found.is_null() && *said == json!({})) => {}
        (said, found) => losses.push(format!("{path}: {said}, {found}")),
    }
}

#[test]
fn what_the_old_server_holds_the_new_one_takes_and_means_the_same() {
    let lab = Lab::reset();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let blue = Server::connect("blue-admin", lab.env("KUBECONFIG")).await;
        let green = Server::connect("green-admin", lab.env("KUBECONFIG")).await;
        for server in [&blue, &green] {
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
            server.apply(&format!("/api/v1/namespaces/{NAMESPACE}"), "", &namespace).await.unwrap();
        }
        let mut problems = Vec::new();
        let mut taken = BTreeSet::new();
        for manifest in manifests::read(&fixtures()).unwrap() {
            let Some(resource) = blue.served(&manifest.body) else { continue };
            let title = format!("{} of {}", manifest.title(), manifest.api_version());
            taken.insert((manifest.kind().to_owned(), manifest.api_version().to_owned()));
            if let Err(problem) = round_trip(&blue, &green, resource, &manifest.body).await {
                problems.push(format!("{title}: {problem}"));
            }
        }
        for server in [&blue, &green] {
            server.clear(&format!("/api/v1/namespaces/{NAMESPACE}")).await;
        }
        assert_eq!(problems, [""; 0]);
        // Whatever the old server serves and we convert was there.
        let ours = CONVERSIONS.iter().filter(|row| row.from != "autoscaling/v1");
        let served = ours.filter(|row| blue.cluster.served().resource(row.from, row.kind).is_some());
        let missing: Vec<_> =
            served.filter(|row| !taken.contains(&(row.kind.to_owned(), row.from.to_owned()))).collect();
        assert!(missing.is_empty());
        println!("{} kinds and versions went from v1.20 to v1.37", taken.len());
    });
}

/// Creates, reads, converts, rehearses, applies and compares; leaves nothing behind.
async fn round_trip(blue: &Server, green: &Server, resource: &Resource, body: &Value) -> Result<(), String> {
    let said = |what: &str, error: &kube::Error| format!("{what}: {error}");
    let (there, collection) = (path_of(resource, body), resource.path(NAMESPACE));
    blue.clear(&there).await;
    blue.send(Method::POST, &collection, "application/json", body).await.map_err(|error| said("create", &error))?;
    let old = blue.get(&there).await.map_err(|error| said("read", &error));
    blue.clear(&there).await;
    let (manifest, new) = converted(&old?);
    let Some(new) = new else {
        let gone = GONE.iter().any(|gone| gone.kind == manifest.kind());
        return if gone { Ok(()) } else { Err("was left out".to_owned()) };
    };
    let Some(resource) = green.served(&new) else { return Err(format!("{} is not served", new["apiVersion"])) };
    let here = path_of(resource, &new);
    green.clear(&here).await;
    green.apply(&here, "&dryRun=All", &new).await.map_err(|error| said("rehearse", &error))?;
    let applied = green.apply(&here, "", &new).await.map_err(|error| said("apply", &error));
    green.clear(&here).await;
    let mut losses = Vec::new();
    lost(&new, &applied?, "", &mut losses);
    if losses.is_empty() { Ok(()) } else { Err(losses.join("; ")) }
}

#[test]
fn every_kind_the_old_server_serves_has_a_place_to_go() {
    let environment = environment();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let nowhere = runtime.block_on(async {
        let blue = Server::connect("blue-admin", &environment["KUBECONFIG"]).await;
        let green = Server::connect("green-admin", &environment["KUBECONFIG"]).await;
        let placed = |resource: &&Resource| {
            let (kind, version) = (resource.kind.as_str(), resource.api_version.as_str());
            let served = green.cluster.served().resource(version, kind).is_some();
            let converted = CONVERSIONS.iter().any(|row| {
                row.kind == kind
                    && row.from == version
                    && green.cluster.served().resource(row.to, row.becomes).is_some()
            });
            served || converted || GONE.iter().any(|gone| gone.kind == kind && gone.versions.contains(&version))
        };
        // Groups of custom resources have a dot and another end.
        let own = |resource: &&Resource| !resource.group().contains('.') || resource.group().ends_with(".k8s.io");
        let all = blue.cluster.served().resources().filter(own);
        let nowhere = all.filter(|resource| !placed(resource));
        nowhere.map(|resource| format!("{} {}", resource.api_version, resource.kind)).collect::<Vec<_>>()
    });
    assert_eq!(nowhere, [""; 0]);
}

/// Where `kubectl-convert` and Crossfade come to something else: kind, the end of the field's path, and why.
const EXPLAINED: &[(&str, &str, &str)] = &[
    ("CronJob", "template.metadata.annotations", "servers since 1.27 ignore seccomp annotations: ours are fields"),
    ("CronJob", "containers[0].securityContext", "servers since 1.27 ignore seccomp annotations: ours are fields"),
    ("DaemonSet", "annotations.deprecated.daemonset.template.generation", "a counter of the old server's"),
    ("EndpointSlice", "endpoints[0].deprecatedTopology", "nobody can write it: servers drop it in silence"),
    ("EndpointSlice", "endpoints[0].nodeName", "the name of the host was in the topology"),
    ("IngressClass", "spec.parameters.scope", "theirs writes null; the server's default is Cluster"),
    ("NetworkPolicy", "ports[0].protocol", "theirs forgets the default, which is TCP in both versions"),
    (
        "PodDisruptionBudget",
        "spec.selector",
        "theirs selects by a label nobody has, ours has no selector: both select nothing",
    ),
];

/// Kinds and versions the command does not know.
const UNKNOWN_TO_IT: &[(&str, &str)] = &[
    ("APIService", "apiregistration.k8s.io/v1beta1"),
    ("CronJob", "batch/v2alpha1"),
    ("CustomResourceDefinition", "apiextensions.k8s.io/v1beta1"),
    ("DeviceClass", "resource.k8s.io/v1alpha3"),
    ("EndpointSlice", "discovery.k8s.io/v1alpha1"),
    ("FlowSchema", "flowcontrol.apiserver.k8s.io/v1alpha1"),
    ("HorizontalPodAutoscaler", "autoscaling/v2beta1"),
    ("HorizontalPodAutoscaler", "autoscaling/v2beta2"),
    ("PodSchedulingContext", "resource.k8s.io/v1alpha3"),
    ("PodSecurityPolicy", "policy/v1beta1"),
    ("PriorityClass", "scheduling.k8s.io/v1alpha1"),
    ("PriorityLevelConfiguration", "flowcontrol.apiserver.k8s.io/v1alpha1"),
    // It leaves one as it is.
    ("ReplicationController", "v1"),
    ("ResourceClaim", "resource.k8s.io/v1alpha2"),
    ("ResourceClaim", "resource.k8s.io/v1alpha3"),
    ("ResourceClaimTemplate", "resource.k8s.io/v1alpha3"),
    ("ResourceClass", "resource.k8s.io/v1alpha2"),
    ("ResourceSlice", "resource.k8s.io/v1alpha3"),
];

/// What the command makes of an object in a version; with its defaults written out, so that its own result and ours can be held
/// against each other.
fn by_command(program: &str, body: &Value, version: &str) -> Option<Value> {
    let mut command = Command::new(program);
    command.args(["-f", "-", "-o", "json", "--output-version", version]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(body.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let list: Value = serde_json::from_slice(&output.stdout).ok()?;
    list["items"].get(0).cloned()
}

#[test]
fn kubectl_convert_comes_to_the_same_or_the_difference_is_explained() {
    let environment = environment();
    let program = environment["XF_KUBECTL_CONVERT"].as_str();
    let (mut same, mut unexplained) = (0, Vec::new());
    let mut explained = BTreeSet::new();
    let mut unknown = BTreeSet::new();
    for manifest in manifests::read(&fixtures()).unwrap() {
        let (_, ours) = converted(&manifest.body);
        let theirs =
            ours.as_ref().and_then(|ours| by_command(program, &manifest.body, ours["apiVersion"].as_str().unwrap()));
        let (Some(ours), Some(theirs)) = (ours, theirs) else {
            unknown.insert((manifest.kind().to_owned(), manifest.api_version().to_owned()));
            continue;
        };
        let ours = by_command(program, &ours, ours["apiVersion"].as_str().unwrap()).expect("it reads what we write");
        let mut differences = Vec::new();
        different(&ours, &theirs, String::new(), &mut differences);
        same += usize::from(differences.is_empty());
        for path in differences {
            match EXPLAINED.iter().find(|(kind, field, _)| *kind == manifest.kind() && path.ends_with(field)) {
                Some(entry) => drop(explained.insert(*entry)),
                None => unexplained.push(format!("{} of {}: {path}", manifest.title(), manifest.api_version())),
            }
        }
    }
    assert_eq!(unexplained, [""; 0]);
    assert_eq!(explained, EXPLAINED.iter().copied().collect(), "an explanation without a difference");
    let known: BTreeSet<_> =
        UNKNOWN_TO_IT.iter().map(|(kind, version)| ((*kind).to_owned(), (*version).to_owned())).collect();
    assert_eq!(unknown, known);
    println!("{same} objects became the same, {} differences are explained", explained.len());
}

/// The paths at which two values differ.
fn different(ours: &Value, theirs: &Value, path: String, found: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<_> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let (a, b) = (a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null));
                different(a, b, format!("{path}.{key}"), found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().for_each(|(at, (a, b))| different(a, b, format!("{path}[{at}]"), found));
        }
        (a, b) if a != b => found.push(path),
        _ => {}
    }
}
