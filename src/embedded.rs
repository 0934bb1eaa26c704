//! Small Kubernetes clusters inside this process, for the demo and for tests. IO.
//!
//! An [`Embedded`] cluster is an API server on a loopback port that speaks enough real Kubernetes HTTP
//! for the same client and the same engine as a real one (discovery, get, list, watch, create, update,
//! patch, server-side apply, status, scale, delete), a controller that turns Deployments into pods, and
//! pods that are real HTTP servers. What it answers was compared with a real v1.37.2 server.
//!
//! It refuses to be more: no authentication, admission webhooks, custom resources, strategic merge
//! patches or owners other than Deployments; objects live in memory and end with the handle. Deleting a
//! namespace takes what is in it at once.
//!
//! ```text
//! HTTP ─▶ server ─▶ route (PURE) ─▶ read ──────────────┐
//!            │  └─▶ faults         watch ──────────────┤
//!            │                     write ─▶ admission, ├─▶ store ─▶ controller ─▶ pod, pod, pod
//!            └─▶ discovery (PURE)           ownership, │               └─ rollout, workload (PURE)
//!                                           convert ───┘
//!                                           (PURE)
//! ```

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::balancer::{Balancer, Side};
use crate::listener::{self, Serving};

mod admission;
mod controller;
mod convert;
mod discovery;
mod failure;
mod faults;
mod fields;
mod kinds;
mod merge;
mod ownership;
mod pod;
mod read;
mod rollout;
mod route;
mod schema;
mod selector;
mod server;
mod store;
pub mod traffic;
mod watch_stream;
mod workload;
mod write;

#[cfg(test)]
mod tests;

pub use controller::Pod;
pub use faults::{ApiFault, Fault, Mishap, Verb};
pub use kinds::Shape;
pub use pod::CLUSTER_HEADER;

use controller::Controller;
use faults::Faults;
use pod::{Life, PodFaults};
use route::Target;
use server::Server;
use store::Store;
use write::Write;

/// Longest time open requests to the API server may take when it shuts down.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// How an embedded cluster behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Which server it looks like.
    pub shape: Shape,
    /// Time from a pod's start until it is ready.
    pub pod_start: Duration,
    /// Time a pod that is to end stays unready and answering before it closes its listener.
    pub pod_linger: Duration,
    /// Longest time a pod's open requests may take after that.
    pub pod_grace: Duration,
    /// Time after which an idle watch that asked for bookmarks gets one.
    pub bookmark_interval: Duration,
    /// Changes a watch may fall behind before it is told `410 Expired`.
    pub history: usize,
}

impl Options {
    /// Pods that are ready in 100 ms and linger for 250 ms; bookmarks each minute, as real servers send.
    pub fn new(shape: Shape) -> Self {
        Self {
            shape,
            pod_start: Duration::from_millis(100),
            pod_linger: Duration::from_millis(250),
            pod_grace: Duration::from_secs(5),
            bookmark_interval: Duration::from_secs(60),
            history: store::HISTORY,
        }
    }
}

/// A client for an embedded cluster could not be made.
#[derive(Debug, thiserror::Error)]
#[error("no client can be made for the embedded cluster at {url}")]
pub struct ClientError {
    url: String,
    source: kube::Error,
}

/// A running embedded cluster; dropping it ends it too, its pods in their own time.
#[derive(Debug)]
pub struct Embedded {
    name: String,
    serving: Serving,
    server: Arc<Server>,
    pod_faults: Arc<PodFaults>,
    pods: watch::Receiver<Vec<Pod>>,
    stop: watch::Sender<bool>,
    controller: JoinHandle<()>,
}

impl Embedded {
    /// Starts a cluster of this name, which is also what its pods call themselves, with no workloads.
    pub async fn start(name: &str, shape: Shape) -> io::Result<Self> {
        Self::start_with(name, Options::new(shape)).await
    }

    /// The same, behaving as told.
    pub async fn start_with(name: &str, options: Options) -> io::Result<Self> {
        let Options { shape, pod_start, pod_linger, pod_grace, bookmark_interval, history } = options;
        let store = Arc::new(Store::new(history));
        found_namespaces(shape, &store);
        let server = Arc::new(Server {
            shape,
            store: Arc::clone(&store),
            faults: Faults::default(),
            cut: watch::Sender::new(0),
            bookmark_interval,
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let serving = serve(listener, Arc::clone(&server))?;
        let pod_faults = Arc::new(PodFaults::default());
        let (published, pods) = watch::channel(Vec::new());
        let life = Life { start: pod_start, linger: pod_linger, grace: pod_grace };
        let (controller, heard) =
            Controller::new(name.to_owned(), shape, store, life, Arc::clone(&pod_faults), published);
        let (stop, stopped) = watch::channel(false);
        let controller = tokio::spawn(controller.run(heard, stopped));
        Ok(Self { name: name.to_owned(), serving, server, pod_faults, pods, stop, controller })
    }

    /// The cluster's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The API server's address.
    pub fn address(&self) -> SocketAddr {
        self.serving.address()
    }

    /// The API server's base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// A client of the API server, in the namespace `default`.
    pub fn client(&self) -> Result<kube::Client, ClientError> {
        let url = self.url();
        let failed = |source| ClientError { url: url.clone(), source };
        let address = url.parse::<hyper::Uri>().map_err(|error| failed(kube::Error::HttpError(error.into())))?;
        let mut config = kube::Config::new(address);
        // As for real clusters: what an injected fault does shall be seen.
        config.default_retry = false;
        kube::Client::try_from(config).map_err(failed)
    }

    /// The pods that listen now.
    pub fn pods(&self) -> Vec<Pod> {
        self.pods.borrow().clone()
    }

    /// The same, as it changes; a pod that is to end shows unready before it stops answering.
    pub fn watch_pods(&self) -> watch::Receiver<Vec<Pod>> {
        self.pods.clone()
    }

    /// Keeps a side's backends what the ready pods are, as a cloud's balancer would, until the task is ended or the cluster is.
    pub fn keep_backends(&self, balancer: &Balancer, side: Side) -> JoinHandle<()> {
        let (balancer, mut pods) = (balancer.clone(), self.watch_pods());
        tokio::spawn(async move {
            loop {
                let ready: Vec<SocketAddr> = {
                    let pods = pods.borrow_and_update();
                    pods.iter().filter(|pod| pod.ready).map(|pod| pod.address).collect()
                };
                balancer.set_backends(side, ready);
                if pods.changed().await.is_err() {
                    return;
                }
            }
        })
    }

    /// Sets what goes wrong in every pod from now on.
    pub fn set_fault(&self, fault: Fault) {
        self.pod_faults.set(fault);
    }

    /// Lets the next `times` matching requests to the API server meet a mishap.
    pub fn inject(&self, times: u32, fault: ApiFault) {
        self.server.faults.inject(times, fault);
    }

    /// Breaks every open watch off, as a load balancer or a restart would.
    pub fn break_watches(&self) {
        self.server.cut.send_modify(|cuts| *cuts += 1);
    }

    /// How many watches are open now.
    pub fn open_watches(&self) -> usize {
        self.server.cut.receiver_count()
    }

    /// Forgets all history: watches and page tokens of before are answered `410 Expired`.
    pub fn compact(&self) {
        self.server.store.compact();
    }

    /// Ends the controller, the pods in their own time, and the API server.
    pub async fn shutdown(self) {
        let Self { serving, server, stop, controller, .. } = self;
        stop.send_replace(true);
        if let Err(error) = controller.await {
            tracing::error!(%error, "the controller of an embedded cluster ended early");
        }
        // The drain comes first, so that no watch can start between the cut and the end.
        tokio::join!(serving.drain(SHUTDOWN_GRACE), async { server.cut.send_modify(|cuts| *cuts += 1) });
    }
}

/// Applies an object as `kubectl apply` does.
pub async fn apply(client: &kube::Client, object: &DynamicObject) -> kube::Result<()> {
    let types = object.types.clone().unwrap_or_default();
    let (group, version) = types.api_version.split_once('/').unwrap_or(("", &types.api_version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &types.kind));
    let api: Api<DynamicObject> = match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let name = object.metadata.name.as_deref().unwrap_or_default();
    api.patch(name, &PatchParams::apply("kubectl"), &Patch::Apply(object)).await.map(drop)
}

fn serve(listener: TcpListener, server: Arc<Server>) -> io::Result<Serving> {
    listener::serve(listener, move |_| {
        let server = Arc::clone(&server);
        service_fn(move |request| {
            let server = Arc::clone(&server);
            async move { server.answer(request).await }
        })
    })
}

/// The namespaces every cluster has.
fn found_namespaces(shape: Shape, store: &Store) {
    let Some(kind) = shape.find("", "v1", "namespaces") else { return };
    let now = now();
    for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
        let target = Target { group: "", version: "v1", kind, namespace: "", name: "", subresource: "" };
        let (manager, now) = ("embedded", now.as_str());
        let write = Write { shape, target, api_version: "v1", manager, force: false, dry_run: false, now };
        if let Err(failure) = write.create(store, json!({"metadata": {"name": name}})) {
            tracing::error!(name, failure = %failure.to_json(), "a namespace could not be founded");
        }
    }
}

/// The time, as objects carry it.
#[allow(clippy::disallowed_methods, reason = "an API server stamps its objects, and its clients never decide by it")]
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
