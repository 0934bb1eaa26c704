//! The world of one migration: its clusters, by context or by registered Cluster, and its planes. IO.

use std::path::PathBuf;

use async_trait::async_trait;
use kube::api::DynamicObject;
use kube::config::Kubeconfig;
use kube::runtime::reflector;

use super::accept::Refusal;
use super::home::{Home, Key};
use crate::analysis::prometheus::{Keyring, PrometheusError, Servers};
use crate::cluster::{Link, Links};
use crate::drive::World;
use crate::migration::snapshot::chain;
use crate::plane;
use crate::policy::prometheus::Place;
use crate::policy::{Assignment, ClusterRef, Name};

/// Key of a Secret unless a Cluster names another one.
const ENTRY: &str = "kubeconfig";

/// What leads to clusters.
#[derive(Clone)]
pub struct Ways {
    /// Where Secrets are.
    pub home: Home,
    /// The registered clusters.
    pub clusters: reflector::Store<DynamicObject>,
    /// The controller's own kubeconfig, for contexts.
    pub kubeconfig: Option<PathBuf>,
    /// Whoever is asked for numbers.
    pub servers: Servers,
    /// What several migrations use of a cluster together.
    pub links: Links,
}

/// What Secrets of the home cluster hold.
pub struct Secrets(pub Home);

#[async_trait]
impl Keyring for Secrets {
    async fn read(&self, namespace: &Name, place: &Place) -> Result<Vec<u8>, String> {
        let Place::Secret { name, key: entry } = place else {
            return Err(format!(
                "{place} is the controller's own, and no policy's to use; name a Secret with secretRef"
            ));
        };
        let key = Key { namespace: namespace.as_str().to_owned(), name: name.as_str().to_owned() };
        self.0.secret(&key, entry).await.map_err(|error| chain(&error))
    }
}

impl Ways {
    /// The world an assignment speaks of. Contacts nobody but the home cluster.
    pub async fn world(&self, assignment: &Assignment) -> Result<World, Refusal> {
        let migration = &assignment.migration;
        if let Some(plane) = migration.planes.iter().find(|plane| plane.driver.is_local()) {
            let message = format!(
                "plane {} needs programs and files of the controller's own, which no Migration is given; \
                 `crossfade run` drives it, or a webhook",
                plane.name
            );
            return Err(Refusal { reason: "PlaneUnusable", message });
        }
        let planes = migration.planes.iter().filter_map(|spec| Some((spec.name.clone(), plane::connect(spec)?)));
        let unusable_server = |error: PrometheusError| Refusal { reason: "PrometheusUnusable", message: chain(&error) };
        if let Some(prometheus) = self.servers.of(assignment).map_err(unusable_server)? {
            prometheus.ready().await.map_err(unusable_server)?;
        }
        Ok(World {
            source: self.link(&migration.namespace, &migration.source).await.map_err(unusable("source"))?,
            target: self.link(&migration.namespace, &migration.target).await.map_err(unusable("target"))?,
            planes: planes.collect(),
            servers: self.servers.clone(),
        })
    }

    async fn link(&self, namespace: &Name, cluster: &ClusterRef) -> Result<Link, String> {
        match cluster {
            ClusterRef::Context(context) => {
                let link = self.links.context(context, self.kubeconfig.as_deref()).await;
                link.map_err(|error| chain(&error))
            }
            ClusterRef::Cluster(name) => self.registered(namespace, name).await,
        }
    }

    async fn registered(&self, namespace: &Name, name: &Name) -> Result<Link, String> {
        let resource = Home::watched()[2].clone();
        let reference = reflector::ObjectRef::new_with(name.as_str(), resource).within(namespace.as_str());
        let object =
            self.clusters.get(&reference).ok_or_else(|| format!("there is no Cluster {name} in {namespace}"))?;
        self.connect(&object).await
    }

    /// Why a Cluster cannot be used, where it cannot. Contacts nobody but the home cluster.
    pub async fn usable(&self, cluster: &DynamicObject) -> Result<(), String> {
        self.connect(cluster).await.map(drop)
    }

    async fn connect(&self, object: &DynamicObject) -> Result<Link, String> {
        let Key { namespace, name } = Key::of(object);
        let text = |pointer: &str| object.data.pointer(pointer).and_then(|value| value.as_str()).map(str::to_owned);
        let secret =
            text("/spec/kubeconfig/secretRef/name").ok_or_else(|| format!("Cluster {name} names no Secret"))?;
        let entry = text("/spec/kubeconfig/secretRef/key").unwrap_or_else(|| ENTRY.to_owned());
        let key = Key { namespace, name: secret };
        let bytes = self.home.secret(&key, &entry).await.map_err(|error| chain(&error))?;
        // No parser's message is repeated: it would quote credentials.
        let unreadable = || format!("entry {entry} of Secret {key} is no kubeconfig that can be used");
        let file: String = String::from_utf8(bytes).map_err(|_| unreadable())?;
        let file = Kubeconfig::from_yaml(&file).map_err(|_| unreadable())?;
        self.links.link(&name, file, text("/spec/kubeconfig/context")).await.map_err(|_| unreadable())
    }
}

fn unusable(side: &str) -> impl FnOnce(String) -> Refusal {
    move |message| Refusal { reason: "ClusterUnusable", message: format!("spec.{side}: {message}") }
}
