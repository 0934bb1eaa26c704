//! The cluster's only controller: Deployments become pods, pods become servers. IO.
//!
//! One task, woken by changes of the store and by news from pods, never by a clock. Each turn compares
//! what is there with what is asked for and writes only differences, so that it comes to rest by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::kinds::Shape;
use super::now;
use super::pod::{self, Event, Life, PodFaults};
use super::rollout::{PodView, Wanted, step};
use super::route::Target;
use super::store::{Key, Store};
use super::workload::{
    ADDRESS_ANNOTATION, Census, HASH_LABEL, deployment_status, owner, pod_of, pod_status, template_hash,
};
use super::write::{Edit, Write};

/// A pod of an embedded cluster, as the world outside sees it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Pod {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Name of the Deployment it belongs to; empty for a pod made by hand.
    pub workload: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether it is to be sent requests.
    pub ready: bool,
}

/// The controller's own state.
pub(super) struct Controller {
    cluster: String,
    shape: Shape,
    store: Arc<Store>,
    life: Life,
    faults: Arc<PodFaults>,
    published: watch::Sender<Vec<Pod>>,
    running: BTreeMap<String, Running>,
    tasks: JoinSet<()>,
    news: mpsc::UnboundedSender<(String, Event)>,
}

/// A pod's server, from its start until it has ended.
struct Running {
    key: Key,
    workload: String,
    stop: watch::Sender<bool>,
    address: Option<SocketAddr>,
    ready: bool,
    gone: bool,
}

impl Controller {
    pub(super) fn new(
        cluster: String,
        shape: Shape,
        store: Arc<Store>,
        life: Life,
        faults: Arc<PodFaults>,
        published: watch::Sender<Vec<Pod>>,
    ) -> (Self, mpsc::UnboundedReceiver<(String, Event)>) {
        let (news, heard) = mpsc::unbounded_channel();
        let (running, tasks) = (BTreeMap::new(), JoinSet::new());
        (Self { cluster, shape, store, life, faults, published, running, tasks, news }, heard)
    }

    /// Works until `stop` turns true, then ends every pod.
    pub(super) async fn run(
        mut self,
        mut heard: mpsc::UnboundedReceiver<(String, Event)>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut newest = self.store.subscribe();
        loop {
            newest.borrow_and_update();
            self.reconcile();
            tokio::select! {
                changed = newest.changed() => if changed.is_err() { break },
                Some((name, event)) = heard.recv() => self.hear(&name, event),
                Some(_) = self.tasks.join_next() => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        for running in self.running.values_mut() {
            running.end();
        }
        self.publish();
        while self.tasks.join_next().await.is_some() {}
    }

    fn hear(&mut self, name: &str, event: Event) {
        let Some(running) = self.running.get_mut(name) else { return };
        match event {
            Event::Listening(address) => running.address = Some(address),
            // News of readiness may cross the order to end.
            Event::Ready => running.ready = !*running.stop.borrow(),
            Event::Gone => running.gone = true,
        }
    }

    /// One turn over everything.
    fn reconcile(&mut self) {
        let now = now();
        let (_, deployments) = self.store.list("deployments", "");
        let (_, pods) = self.store.list("pods", "");
        let alive: Vec<&(Key, Arc<Value>)> =
            pods.iter().filter(|(_, pod)| pod["metadata"]["deletionTimestamp"].is_null()).collect();
        for (key, deployment) in &deployments {
            let uid = deployment["metadata"]["uid"].as_str().unwrap_or_default();
            let mine = alive.iter().filter(|(_, pod)| owner(pod).is_some_and(|(owner, _)| owner == uid));
            let mine: Vec<&(Key, Arc<Value>)> = mine.copied().collect();
            self.roll(key, deployment, &mine, &now);
        }
        let uids: BTreeSet<&str> = deployments.iter().filter_map(|(_, d)| d["metadata"]["uid"].as_str()).collect();
        for (key, pod) in &alive {
            if owner(pod).is_some_and(|(uid, _)| !uids.contains(uid)) {
                self.end(key, &now);
            }
        }
        self.run_pods(&now);
        self.publish();
    }

    /// Brings a Deployment one step nearer to what it asks for.
    fn roll(&self, key: &Key, deployment: &Value, pods: &[&(Key, Arc<Value>)], now: &str) {
        let (wanted, hash) = (Wanted::of(&deployment["spec"]), template_hash(deployment));
        let views: Vec<PodView> = pods
            .iter()
            .map(|(key, pod)| PodView {
                name: key.name.clone(),
                current: pod["metadata"]["labels"][HASH_LABEL] == hash,
                ready: self.running.get(&place(key)).is_some_and(|running| running.ready),
            })
            .collect();
        let next = step(wanted, &views);
        for _ in 0..next.create {
            let pods = Key { plural: "pods", namespace: key.namespace.clone(), name: String::new() };
            self.write(&pods, "", now, |write| write.create(&self.store, pod_of(deployment)).map(drop));
        }
        for name in next.end {
            self.end(&Key { plural: "pods", namespace: key.namespace.clone(), name }, now);
        }
        let census = Census {
            all: views.len(),
            current: views.iter().filter(|pod| pod.current).count(),
            ready: views.iter().filter(|pod| pod.ready).count(),
        };
        self.write_status(key, deployment, deployment_status(deployment, wanted, census, now), now);
    }

    /// Starts, ends and describes the server of every pod.
    fn run_pods(&mut self, now: &str) {
        let (_, pods) = self.store.list("pods", "");
        let known: BTreeSet<String> = pods.iter().map(|(key, _)| place(key)).collect();
        for (_, running) in self.running.iter_mut().filter(|(name, _)| !known.contains(*name)) {
            running.end();
        }
        for (key, pod) in &pods {
            let name = place(key);
            let ending = !pod["metadata"]["deletionTimestamp"].is_null();
            match self.running.get_mut(&name) {
                None if ending => drop(self.store.begin().remove(key)),
                None => self.start(key, pod),
                Some(running) if running.gone => drop(self.store.begin().remove(key)),
                Some(running) => {
                    if ending {
                        running.end();
                    }
                    let (address, ready) = (running.address, running.ready);
                    self.describe(key, pod, address, ready, now);
                }
            }
        }
        self.running.retain(|_, running| !running.gone);
    }

    fn start(&mut self, key: &Key, pod: &Value) {
        let name = place(key);
        let (stop, stopped) = watch::channel(false);
        let workload = owner(pod).map(|(_, name)| name.to_owned()).unwrap_or_default();
        let life = pod::live(
            self.cluster.clone(),
            name.clone(),
            self.life,
            Arc::clone(&self.faults),
            stopped,
            self.news.clone(),
        );
        self.tasks.spawn(life);
        let running = Running { key: key.clone(), workload, stop, address: None, ready: false, gone: false };
        self.running.insert(name, running);
    }

    fn describe(&self, key: &Key, pod: &Value, address: Option<SocketAddr>, ready: bool, now: &str) {
        if let Some(address) = address.map(|address| address.to_string())
            && pod["metadata"]["annotations"][ADDRESS_ANNOTATION] != address
        {
            let patch = json!({"metadata": {"annotations": {ADDRESS_ANNOTATION: address}}});
            self.write(key, "", now, |write| write.edit(&self.store, Edit::Merge(patch)).map(drop));
        }
        let ip = address.map(|address| address.ip().to_string());
        self.write_status(key, pod, pod_status(pod, ip.as_deref(), ready, now), now);
    }

    fn end(&self, key: &Key, now: &str) {
        self.write(key, "", now, |write| write.delete(&self.store, &json!({})).map(drop));
    }

    fn write_status(&self, key: &Key, object: &Value, status: Value, now: &str) {
        if object["status"] != status {
            let object = Edit::Replace(json!({"status": status}));
            self.write(key, "status", now, |write| write.edit(&self.store, object).map(drop));
        }
    }

    /// Writes as the controller. An object that changed or went meanwhile is left for the next turn,
    /// which that very change brings about.
    fn write(
        &self,
        key: &Key,
        subresource: &str,
        now: &str,
        change: impl FnOnce(Write<'_>) -> Result<(), super::failure::Failure>,
    ) {
        let (group, api_version) = if key.plural == "pods" { ("", "v1") } else { ("apps", "apps/v1") };
        let Some(kind) = self.shape.find(group, "v1", key.plural) else { return };
        let target = Target { group, version: "v1", kind, namespace: &key.namespace, name: &key.name, subresource };
        let (shape, manager) = (self.shape, "embedded-controller");
        let write = Write { shape, target, api_version, manager, force: false, dry_run: false, now };
        if let Err(failure) = change(write) {
            tracing::debug!(object = %key.name, failure = %failure.to_json()["message"], "a write of the controller was refused");
        }
    }

    fn publish(&self) {
        let pods: Vec<Pod> = self
            .running
            .values()
            .filter_map(|running| {
                Some(Pod {
                    namespace: running.key.namespace.clone(),
                    name: running.key.name.clone(),
                    workload: running.workload.clone(),
                    address: running.address?,
                    ready: running.ready,
                })
            })
            .collect();
        self.published.send_if_modified(|published| {
            let changed = *published != pods;
            *published = pods;
            changed
        });
    }
}

impl Running {
    /// Shows the pod unready at once and lets its server end in its own time.
    fn end(&mut self) {
        self.ready = false;
        self.stop.send_replace(true);
    }
}

fn place(key: &Key) -> String {
    format!("{}/{}", key.namespace, key.name)
}
