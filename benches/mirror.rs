//! How fast a mirror is, beside a loop that does nothing but apply the same objects to the same server, in the same run.
//!
//! `make bench-mirror`; `--services N` for another size (ten objects each), `--source` and `--target` for other contexts. The loop runs
//! once before the mirror and once after it, so that neither has the colder server or the emptier store to itself. It works in
//! three namespaces of its own, which must not exist, and deletes them in the end. Deployments have no replicas, so that no pod starts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use crossfade::act::directory::Directory;
use crossfade::act::journal::{self, Record};
use crossfade::balancer::{Balancer, Config};
use crossfade::cluster::Link;
use crossfade::drive::{Attempt, Driver, Seat, World};
use crossfade::migration::{Phase, WaitingOn};
use crossfade::plane::embedded::Embedded;
use crossfade::policy::{Assignment, SourceFile, load};
use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Request as Resource;
use serde_json::{Value, json};

/// The namespace that is mirrored.
const MIRRORED: &str = "crossfade-bench";
/// The namespaces of the bare loop, before the mirror and after it.
const BARE: [&str; 2] = ["crossfade-bench-bare", "crossfade-bench-bare-again"];
/// Requests at a time, of the mirror and of the bare loop alike.
const IN_FLIGHT: usize = 8;
/// Changes of the source that are timed.
const CHANGES: usize = 200;
/// Passes in which nothing changed.
const QUIET: usize = 5;
/// Between two changes.
const PACE: Duration = Duration::from_millis(100);
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(900);

struct Options {
    services: usize,
    kubeconfig: PathBuf,
    source: String,
    target: String,
}

impl Options {
    #[expect(clippy::disallowed_methods, reason = "this is the edge of a program")]
    fn read() -> Result<Self> {
        let kubeconfig = std::env::var("KUBECONFIG").unwrap_or_else(|_| "/run/crossfade-lab/kubeconfig".to_owned());
        let (source, target) = ("blue-admin".to_owned(), "green-admin".to_owned());
        let mut options = Self { services: 1000, kubeconfig: kubeconfig.into(), source, target };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--services" => options.services = value()?.parse()?,
                "--source" => options.source = value()?,
                "--target" => options.target = value()?,
                // How cargo starts a bench.
                "--bench" => {}
                _ => bail!("{argument} is not known"),
            }
        }
        Ok(options)
    }
}

/// One object to be applied.
struct Object {
    path: String,
    name: String,
    body: Value,
}

/// Object `at` of a namespace; ten make a service.
fn object(namespace: &str, at: usize, old: bool) -> Object {
    let service = format!("s{:04}", at / 10);
    let labels = json!({"part-of": "bench", "app": service});
    let text = "x".repeat(400);
    let (api_version, kind, plural, suffix, rest) = match at % 10 {
        part @ 0..=2 => {
            ("v1", "ConfigMap", "configmaps", format!("-{part}"), json!({"data": {"stamp": "0", "text": text}}))
        }
        part @ 3..=4 => ("v1", "Secret", "secrets", format!("-{part}"), json!({"data": {"key": "c2VjcmV0"}})),
        5 => ("v1", "ServiceAccount", "serviceaccounts", String::new(), json!({})),
        6 => {
            let spec =
                json!({"selector": {"app": service}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]});
            ("v1", "Service", "services", String::new(), json!({"spec": spec}))
        }
        7 => ("apps/v1", "Deployment", "deployments", String::new(), json!({"spec": deployment(&service)})),
        8 => {
            let version = if old { "policy/v1beta1" } else { "policy/v1" };
            let spec = json!({"maxUnavailable": 1, "selector": {"matchLabels": {"app": service}}});
            (version, "PodDisruptionBudget", "poddisruptionbudgets", String::new(), json!({"spec": spec}))
        }
        _ => {
            let backend = json!({"service": {"name": service, "port": {"number": 80}}});
            let paths = json!([{"path": "/", "pathType": "Prefix", "backend": backend}]);
            let rules = json!([{"host": format!("{service}.example.com"), "http": {"paths": paths}}]);
            ("networking.k8s.io/v1", "Ingress", "ingresses", String::new(), json!({"spec": {"rules": rules}}))
        }
    };
    let name = format!("{service}{suffix}");
    let mut body = json!({"apiVersion": api_version, "kind": kind});
    body["metadata"] = json!({"name": name, "namespace": namespace, "labels": labels});
    json_patch::merge(&mut body, &rest);
    let root = if api_version.contains('/') { "apis" } else { "api" };
    Object { path: format!("/{root}/{api_version}/namespaces/{namespace}/{plural}"), name, body }
}

fn deployment(service: &str) -> Value {
    let from =
        json!([{"configMapRef": {"name": format!("{service}-0")}}, {"secretRef": {"name": format!("{service}-3")}}]);
    let resources = json!({"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}});
    let probe = json!({"httpGet": {"path": "/ready", "port": 8080}});
    let container = json!({"name": "app", "image": "registry.example.com/app:1", "envFrom": from, "resources": resources,
        "readinessProbe": probe, "ports": [{"containerPort": 8080}]});
    let template = json!({"metadata": {"labels": {"app": service}},
        "spec": {"serviceAccountName": service, "containers": [container]}});
    json!({"replicas": 0, "selector": {"matchLabels": {"app": service}}, "template": template})
}

async fn client(options: &Options, context: &str) -> Result<kube::Client> {
    let file = Kubeconfig::read_from(&options.kubeconfig).context("the lab is not up: make lab-up")?;
    let choice = KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
    Ok(kube::Client::try_from(kube::Config::from_custom_kubeconfig(file, &choice).await?)?)
}

/// Applies every object, as fast as the server takes them.
async fn apply_all(client: &kube::Client, namespace: &str, all: usize, old: bool) -> Result<Duration> {
    let begun = now();
    let params = PatchParams::apply("bench");
    let writes = stream::iter(0..all).map(|at| {
        let (client, params) = (client.clone(), params.clone());
        async move {
            let Object { path, name, body } = object(namespace, at, old);
            let request = Resource::new(path).patch(&name, &params, &Patch::Apply(&body))?;
            client.request::<Value>(request).await.map(drop).context(name)
        }
    });
    writes.buffer_unordered(IN_FLIGHT).try_collect::<Vec<()>>().await?;
    Ok(begun.elapsed())
}

#[expect(clippy::disallowed_methods, reason = "a bench measures by the wall")]
fn now() -> Instant {
    Instant::now()
}

async fn create_namespace(client: &kube::Client, name: &str) -> Result<()> {
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let request = Resource::new("/api/v1/namespaces").create(&PostParams::default(), serde_json::to_vec(&body)?)?;
    client.request::<Value>(request).await.context("the bench's namespace is there already, or cannot be made")?;
    Ok(())
}

async fn delete_namespace(client: &kube::Client, name: &str) -> Result<()> {
    let path = Resource::new("/api/v1/namespaces");
    let begun = now();
    while begun.elapsed() < PATIENCE {
        let request = path.delete(name, &kube::api::DeleteParams::default())?;
        match client.request::<Value>(request).await {
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            outcome => _ = outcome?,
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    bail!("namespace {name} does not go away")
}

fn assignment(options: &Options) -> Result<Assignment> {
    let text = format!(
        "apiVersion: crossfade.dev/v1alpha1
kind: Migration
metadata: {{name: bench, namespace: {MIRRORED}}}
spec:
  source: {{context: {}}}
  target: {{context: {}}}
  workloads: {{namespaces: [{MIRRORED}], selector: {{matchLabels: {{part-of: bench}}}}}}
  planes: [{{name: edge, embedded: {{}}}}]
  policy: {{name: bench}}
---
apiVersion: crossfade.dev/v1alpha1
kind: ShiftPolicy
metadata: {{name: bench}}
spec:
  steps: [{{setWeight: 100}}]
  mirrorDeadline: 2h
  analysis:
    interval: 10s
    window: 20s
    metrics: [{{name: errors, planeErrors: {{plane: edge}}, max: 1%}}]
",
        options.source, options.target
    );
    let definitions = load(&[SourceFile { name: "bench.yaml".to_owned(), text }])?;
    let migration = definitions.migrations.first().context("no migration")?.clone();
    let policy = definitions.policy_of(&migration).context("no policy")?.clone();
    Ok(Assignment { migration, policy })
}

async fn driver(options: &Options, state: &Path) -> Result<(Driver, Directory)> {
    let assignment = assignment(options)?;
    let balancer = Balancer::start(Config::new(([127, 0, 0, 1], 0).into())).await?;
    let plane: Box<dyn crossfade::plane::Plane> = Box::new(Embedded::new(balancer));
    let names = assignment.migration.planes.iter().map(|plane| plane.name.clone()).collect::<Vec<_>>();
    let world = World {
        source: Link::new(&options.source, Some(&options.kubeconfig)).await?,
        target: Link::new(&options.target, Some(&options.kubeconfig)).await?,
        planes: names.into_iter().zip([plane]).collect(),
        servers: crossfade::analysis::prometheus::Servers::open(),
    };
    let directory = Directory::of(state, &assignment.migration);
    let seat = Seat::in_directory(assignment, &directory, Attempt::Same).await?;
    Ok((seat.drive(world)?, directory))
}

/// Drives until everything is on the target. How long that took from the first write on.
async fn mirror(driver: &mut Driver) -> Result<Duration> {
    let patient = now();
    let mut begun = None;
    loop {
        let pass = driver.pass().await?;
        ensure!(patient.elapsed() < PATIENCE, "it waits for {:?}", pass.report.waiting);
        let mirrors = matches!(driver.state().phase, Phase::Mirroring { .. } | Phase::Shifting(_));
        if mirrors && begun.is_none() {
            begun = Some(now());
        }
        let pending = matches!(
            pass.report.waiting,
            None | Some(WaitingOn::Mirror { .. } | WaitingOn::ActionFailed { .. } | WaitingOn::Unobserved { .. })
        );
        match begun {
            Some(begun) if !pending => return Ok(begun.elapsed()),
            _ if !pass.moved => driver.rest().await,
            _ => {}
        }
    }
}

/// Changes objects of the source while the migration is driven, and measures until the target shows each change.
async fn changes(
    driver: &mut Driver,
    source: &kube::Client,
    target: &kube::Client,
    all: usize,
) -> Result<Vec<Duration>> {
    let over = Arc::new(AtomicBool::new(false));
    let done = Arc::clone(&over);
    let (source, target) = (source.clone(), target.clone());
    let measuring = tokio::spawn(async move {
        let mut taken = Vec::with_capacity(CHANGES);
        for change in 1..=CHANGES {
            // Spread over all services; every tenth object of each is a ConfigMap with a stamp.
            let Object { path, name, .. } = object(MIRRORED, (change * 7919 % (all / 10)) * 10, true);
            let patch = json!({"data": {"stamp": change.to_string()}});
            let request = Resource::new(&path).patch(&name, &PatchParams::default(), &Patch::Merge(&patch))?;
            source.request::<Value>(request).await?;
            taken.push(until_shown(&target, &path, &name, change).await?);
            tokio::time::sleep(PACE).await;
        }
        done.store(true, Ordering::Relaxed);
        Ok::<_, anyhow::Error>(taken)
    });
    while !over.load(Ordering::Relaxed) && !measuring.is_finished() {
        let pass = driver.pass().await?;
        if !pass.moved {
            let _ = tokio::time::timeout(Duration::from_secs(1), driver.rest()).await;
        }
    }
    let mut taken = measuring.await??;
    taken.sort();
    Ok(taken)
}

/// Reads until the target shows the change; a read takes a few milliseconds, which count as the mirror's.
async fn until_shown(target: &kube::Client, path: &str, name: &str, change: usize) -> Result<Duration> {
    let begun = now();
    let expected = Value::from(change.to_string());
    while begun.elapsed() < PATIENCE {
        let request = Resource::new(path).get(name, &kube::api::GetParams::default())?;
        if target.request::<Value>(request).await?.pointer("/data/stamp") == Some(&expected) {
            return Ok(begun.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    bail!("{name} never showed change {change}")
}

/// Writes that were intended so far: nothing is written without that.
fn writes(directory: &Directory) -> Result<usize> {
    let records = journal::read(&directory.journal())?;
    Ok(records.iter().filter(|record| matches!(record, Record::Intent { .. })).count())
}

/// A line of `/proc/self/status`, in MiB.
fn memory(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}

#[expect(clippy::cast_precision_loss, reason = "counts of objects")]
fn rate(objects: usize, took: Duration) -> f64 {
    objects as f64 / took.as_secs_f64()
}

/// The bare loop, once.
async fn bare(target: &kube::Client, namespace: &str, all: usize) -> Result<Duration> {
    let took = apply_all(target, namespace, all, false).await?;
    println!("  bare server-side apply, {IN_FLIGHT} at a time   {:>8.0} objects/s", rate(all, took));
    Ok(took)
}

async fn measure(options: &Options, source: &kube::Client, target: &kube::Client) -> Result<()> {
    let all = options.services * 10;
    println!("mirror: {all} objects in {} services, {} to {}", options.services, options.source, options.target);
    let seeded = apply_all(source, MIRRORED, all, true).await?;
    println!("  the source was filled at {:.0} objects/s", rate(all, seeded));
    let first = bare(target, BARE[0], all).await?;
    let state = tempfile::tempdir()?;
    let (mut driver, directory) = driver(options, state.path()).await?;
    println!("  memory before                          {:>8.1} MiB", memory("VmRSS"));
    let mirrored = mirror(&mut driver).await?;
    println!("  mirror, everything                     {:>8.0} objects/s", rate(all, mirrored));
    println!("  memory then, and at most               {:>8.1} MiB, {:.1} MiB", memory("VmRSS"), memory("VmHWM"));
    let second = bare(target, BARE[1], all).await?;
    let ratio = (first + second).as_secs_f64() / 2.0 / mirrored.as_secs_f64();
    println!("  the mirror beside the bare loop        {ratio:>8.2}");
    let before = writes(&directory)?;
    for _ in 0..QUIET {
        driver.pass().await?;
    }
    println!("  writes of {QUIET} passes without a change       {:>8}", writes(&directory)? - before);
    let taken = changes(&mut driver, source, target, all).await?;
    let at = |percent: usize| taken[(taken.len() * percent / 100).min(taken.len() - 1)].as_millis();
    println!("  source change to applied, p50 / p99    {:>8} ms / {} ms   ({} changes)", at(50), at(99), taken.len());
    Ok(())
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let options = Options::read()?;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (source, target) = (client(&options, &options.source).await?, client(&options, &options.target).await?);
    create_namespace(&source, MIRRORED).await?;
    for namespace in BARE {
        create_namespace(&target, namespace).await?;
    }
    let outcome = measure(&options, &source, &target).await;
    let cleaned = futures::try_join!(
        delete_namespace(&source, MIRRORED),
        delete_namespace(&target, MIRRORED),
        delete_namespace(&target, BARE[0]),
        delete_namespace(&target, BARE[1])
    );
    outcome.and(cleaned.map(drop))
}
