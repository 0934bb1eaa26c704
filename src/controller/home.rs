//! The home cluster: where the custom resources, the lease and the Secrets of registered clusters are. IO.
//!
//! Every write of a status carries the resource version that was read, and is refused where somebody else was faster. Secrets are
//! asked for by raw request: a typed client writes answers it cannot read to the log.

use std::path::Path;
use std::time::Duration;

use http_body_util::BodyExt;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::client::Body;
use kube::config::Config;
use kube::core::ApiResource;
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

use super::crd::{Cluster, Migration, MigrationStatus, ReadyStatus, ShiftPolicy};
use crate::cluster::{config_of, kubeconfig_at, kubeconfig_cause};

/// Longest wait for an answer. It has to fit between the moment a leader gives up and the end of its lease.
pub const PATIENCE: Duration = Duration::from_secs(4);

/// Who writes, in `managedFields`.
const MANAGER: &str = "crossfade-controller";

/// Keeps an object until whatever it did to traffic is undone or committed.
pub const FINALIZER: &str = "crossfade.dev/traffic";

/// What can go wrong with the home cluster.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// No client could be made.
    #[error("the home cluster cannot be reached with the configuration there is")]
    Config(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Somebody else wrote first.
    #[error("{0} was changed by somebody else")]
    Conflict(String),
    /// It is not there.
    #[error("there is no {0}")]
    NotFound(String),
    /// It answered and said no, or did not answer.
    #[error("the home cluster failed to {0}")]
    Failed(String, #[source] Box<kube::Error>),
    /// It did not answer in time; a write may have happened all the same.
    #[error("the home cluster did not {call} within {} s", PATIENCE.as_secs())]
    TimedOut {
        /// What was asked.
        call: String,
    },
    /// It answered what cannot be read.
    #[error("cannot read {0}")]
    Malformed(String),
}

/// Namespace and name of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Key {
    /// Of an object.
    pub fn of(object: &DynamicObject) -> Self {
        Self { namespace: object.namespace().unwrap_or_default(), name: object.name_any() }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The way to the home cluster.
#[derive(Clone)]
pub struct Home {
    client: kube::Client,
}

impl Home {
    /// The way to a context of a kubeconfig, or of whatever the environment says: a kubeconfig, or the cluster this runs in.
    pub async fn connect(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Self, HomeError> {
        let unusable = |error| HomeError::Config(kubeconfig_cause(error));
        let mut config = match kubeconfig_at(kubeconfig) {
            Ok(file) => config_of(file, context.map(str::to_owned)).await.map_err(unusable)?,
            // Without a word about a kubeconfig, and without one, it is the cluster this runs in.
            Err(error) if kubeconfig.is_none() && context.is_none() => {
                Config::incluster().map_err(|_| unusable(error))?
            }
            Err(error) => return Err(unusable(error)),
        };
        // A retry inside the client would outlast the lease without anybody knowing.
        (config.connect_timeout, config.default_retry) = (Some(PATIENCE), false);
        Ok(Self::new(kube::Client::try_from(config).map_err(|error| HomeError::Config(error.into()))?))
    }

    /// The home cluster behind a client.
    pub fn new(client: kube::Client) -> Self {
        Self { client }
    }

    /// The client.
    pub fn client(&self) -> kube::Client {
        self.client.clone()
    }

    /// The namespace that is meant where none is named.
    pub fn default_namespace(&self) -> &str {
        self.client.default_namespace()
    }

    fn api(&self, resource: &ApiResource, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, resource)
    }

    fn migrations(&self, namespace: &str) -> Api<DynamicObject> {
        self.api(&ApiResource::erase::<Migration>(&()), namespace)
    }

    /// One Migration as it is now.
    pub async fn migration(&self, key: &Key) -> Result<DynamicObject, HomeError> {
        in_time("get migration", key, self.migrations(&key.namespace).get(&key.name)).await
    }

    /// One ShiftPolicy, where there is one.
    pub async fn policy(&self, key: &Key) -> Result<Option<DynamicObject>, HomeError> {
        let policies = self.api(&ApiResource::erase::<ShiftPolicy>(&()), &key.namespace);
        in_time("get policy", key, policies.get_opt(&key.name)).await
    }

    /// Every Migration, of one namespace or of all.
    pub async fn list_migrations(&self, namespace: Option<&str>) -> Result<Vec<DynamicObject>, HomeError> {
        let resource = ApiResource::erase::<Migration>(&());
        let api: Api<DynamicObject> = match namespace {
            Some(namespace) => self.api(&resource, namespace),
            None => Api::all_with(self.client.clone(), &resource),
        };
        Ok(in_time("list", "migrations", api.list(&ListParams::default())).await?.items)
    }

    /// Writes a status over the version that was read, and gives the new version.
    pub async fn put_status(&self, read: &DynamicObject, status: &MigrationStatus) -> Result<DynamicObject, HomeError> {
        let key = Key::of(read);
        let body = json!({
            "apiVersion": Migration::api_version(&()), "kind": Migration::kind(&()),
            "metadata": {
                "name": key.name, "namespace": key.namespace,
                // An object of the same name that was made anew is another migration.
                "uid": read.uid(), "resourceVersion": read.resource_version(),
            },
            "spec": read.data.get("spec"), "status": status,
        });
        let body: DynamicObject = serde_json::from_value(body).map_err(|_| HomeError::Malformed(key.to_string()))?;
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        in_time("write the status of", &key, self.migrations(&key.namespace).replace_status(&key.name, &params, &body))
            .await
    }

    /// Writes the status of a ShiftPolicy or a Cluster, which nobody else writes.
    pub async fn patch_status(&self, resource: &ApiResource, key: &Key, status: &ReadyStatus) -> Result<(), HomeError> {
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let (api, patch) = (self.api(resource, &key.namespace), Patch::Merge(json!({"status": status})));
        in_time("write the status of", key, api.patch_status(&key.name, &params, &patch)).await.map(drop)
    }

    /// Puts our finalizer on an object, or takes it off.
    pub async fn set_finalizer(&self, read: &DynamicObject, on: bool) -> Result<DynamicObject, HomeError> {
        let key = Key::of(read);
        let mut finalizers: Vec<&str> = read.finalizers().iter().map(String::as_str).collect();
        finalizers.retain(|name| *name != FINALIZER);
        if on {
            finalizers.push(FINALIZER);
        }
        let version = read.resource_version();
        self.patch_metadata(&key, json!({"finalizers": finalizers, "resourceVersion": version})).await
    }

    /// Changes annotations, finalizers or labels of a Migration.
    pub async fn patch_metadata(&self, key: &Key, metadata: Value) -> Result<DynamicObject, HomeError> {
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(json!({"metadata": metadata}));
        in_time("change", key, self.migrations(&key.namespace).patch(&key.name, &params, &patch)).await
    }

    /// The resources that are watched.
    pub fn watched() -> [ApiResource; 3] {
        [
            ApiResource::erase::<Migration>(&()),
            ApiResource::erase::<ShiftPolicy>(&()),
            ApiResource::erase::<Cluster>(&()),
        ]
    }

    fn leases(&self, namespace: &str) -> Api<Lease> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// A lease, where there is one.
    pub async fn lease(&self, key: &Key) -> Result<Option<Lease>, HomeError> {
        in_time("get lease", key, self.leases(&key.namespace).get_opt(&key.name)).await
    }

    /// Writes a lease over the version that was read, or makes the first.
    pub async fn put_lease(&self, key: &Key, lease: &Lease) -> Result<(), HomeError> {
        let api = self.leases(&key.namespace);
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        if lease.metadata.resource_version.is_some() {
            in_time("renew lease", key, api.replace(&key.name, &params, lease)).await?;
        } else {
            in_time("create lease", key, api.create(&params, lease)).await?;
        }
        Ok(())
    }

    /// One value of a Secret, decoded.
    pub async fn secret(&self, key: &Key, entry: &str) -> Result<Vec<u8>, HomeError> {
        let path = format!("/api/v1/namespaces/{}/secrets/{}", key.namespace, key.name);
        let what = format!("get secret {key}");
        let malformed = || HomeError::Malformed(format!("entry {entry} of secret {key}"));
        let request = hyper::Request::get(path).body(Body::empty()).map_err(|_| malformed())?;
        let exchange = async {
            let (head, body) = self.client.send(request).await?.into_parts();
            body.collect().await.map(|body| (head.status, body.to_bytes()))
        };
        let answer =
            tokio::time::timeout(PATIENCE, exchange).await.map_err(|_| HomeError::TimedOut { call: what.clone() })?;
        let (status, body) = answer.map_err(|error| HomeError::Failed(what.clone(), Box::new(error)))?;
        match status.as_u16() {
            200 => {}
            404 => return Err(HomeError::NotFound(format!("secret {key}"))),
            _ => return Err(HomeError::Malformed(format!("secret {key}: HTTP {status}"))),
        }
        let secret: k8s_openapi::api::core::v1::Secret = serde_json::from_slice(&body).map_err(|_| malformed())?;
        let value = secret.data.unwrap_or_default().remove(entry);
        Ok(value.ok_or_else(|| HomeError::NotFound(format!("entry {entry} in secret {key}")))?.0)
    }
}

/// An answer within the patience, and what went wrong by its meaning.
async fn in_time<T>(
    verb: &str,
    what: impl std::fmt::Display,
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, HomeError> {
    let call = format!("{verb} {what}");
    match tokio::time::timeout(PATIENCE, request).await {
        Err(_) => Err(HomeError::TimedOut { call }),
        Ok(Err(kube::Error::Api(status))) if status.code == 409 => Err(HomeError::Conflict(what.to_string())),
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Err(HomeError::NotFound(what.to_string())),
        Ok(outcome) => outcome.map_err(|error| HomeError::Failed(call, Box::new(error))),
    }
}
