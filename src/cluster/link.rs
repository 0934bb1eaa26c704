//! A cluster that may be away for now.
//!
//! A migration has to go on, and has to be able to go back, while a cluster does not answer. So it holds a link, and
//! reaches the cluster behind it when it first answers.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use kube::config::Kubeconfig;
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, OnceCell};

use super::relay::Relays;
use super::{Cause, Cluster, ClusterError, client, client_of, config_of, kubeconfig_at, kubeconfig_cause};

/// The way to one cluster.
pub struct Link {
    context: String,
    client: kube::Client,
    relays: Relays,
    cluster: OnceCell<Cluster>,
    /// Reaching it, as far as that has come.
    under_way: Mutex<Option<Reaching>>,
}

type Reaching = BoxFuture<'static, Result<Cluster, ClusterError>>;

impl Link {
    /// The way to the cluster of a kubeconfig context. Contacts nobody.
    pub async fn new(context: &str, kubeconfig: Option<&Path>) -> Result<Self, ClusterError> {
        let client = client(context, kubeconfig).await?;
        Ok(Self::from_client(context, client))
    }

    /// The way to the cluster behind a client.
    pub fn from_client(name: &str, client: kube::Client) -> Self {
        Self::sharing(name, client, Relays::default())
    }

    fn sharing(name: &str, client: kube::Client, relays: Relays) -> Self {
        Self { context: name.to_owned(), client, relays, cluster: OnceCell::new(), under_way: Mutex::default() }
    }

    /// The cluster, once it has answered.
    ///
    /// Whoever waits may give up at any time. The next one goes on from there: a server that needs longer than one look for all
    /// that it is asked at first is reached by the next.
    pub async fn get(&self) -> Result<&Cluster, ClusterError> {
        self.cluster.get_or_try_init(|| self.reach()).await
    }

    async fn reach(&self) -> Result<Cluster, ClusterError> {
        let mut under_way = self.under_way.lock().await;
        let begin = || {
            let (context, client, relays) = (self.context.clone(), self.client.clone(), self.relays.clone());
            async move { Ok(Cluster { relays, ..Cluster::from_client(&context, client).await? }) }.boxed()
        };
        let reached = under_way.get_or_insert_with(begin).await;
        *under_way = None;
        reached
    }
}

/// The ways of many migrations to clusters. Those that name a cluster alike and with the very same credentials share its connection
/// and its watches; what it serves each asks for itself, so that nobody goes by what an older one was told.
#[derive(Clone, Default)]
pub struct Links(Arc<std::sync::Mutex<HashMap<Told, (kube::Client, Relays)>>>);

/// The fingerprint of a name and of credentials.
type Told = [u8; 32];

impl Links {
    /// The way to the cluster of a kubeconfig context. Contacts nobody.
    pub async fn context(&self, context: &str, kubeconfig: Option<&Path>) -> Result<Link, ClusterError> {
        let unusable = |error| ClusterError::Config { cluster: context.to_owned(), source: kubeconfig_cause(error) };
        let file = kubeconfig_at(kubeconfig).map_err(unusable)?;
        self.link(context, file, Some(context.to_owned())).await
    }

    /// The way to the cluster that a kubeconfig tells of, by one of its contexts or its current one. Contacts nobody.
    pub async fn link(&self, name: &str, file: Kubeconfig, context: Option<String>) -> Result<Link, ClusterError> {
        let unusable = |source: Cause| ClusterError::Config { cluster: name.to_owned(), source };
        let told = serde_json::to_vec(&(name, &file, &context)).map_err(|error| unusable(error.into()))?;
        // Credentials are compared and not kept.
        let told = Told::from(Sha256::digest(told));
        let config = config_of(file, context).await.map_err(|error| unusable(kubeconfig_cause(error)))?;
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|_, (_, relays)| relays.is_used());
        let (client, relays) = match shared.get(&told) {
            Some(known) => known.clone(),
            None => (client_of(name, config)?, Relays::for_many()),
        };
        shared.insert(told, (client.clone(), relays.clone()));
        Ok(Link::sharing(name, client, relays))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::cluster::double::{Seen, slow_client};

    fn answer(seen: &Seen) -> (u16, serde_json::Value) {
        match seen.line.as_str() {
            "GET /version" => (200, json!({"gitVersion": "v1.20.15", "major": "1", "minor": "20+"})),
            "GET /apis" => (200, json!({"groups": [{"versions": []}]})),
            _ => (200, json!({"groupVersion": "v1", "resources": []})),
        }
    }

    /// Three answers, one after the other, and no look waits for all three.
    #[tokio::test(start_paused = true)]
    async fn a_server_slower_than_a_look_is_reached_by_the_next() {
        let link = Link::from_client("blue", slow_client(Duration::from_secs(1), answer).0);
        let look = || tokio::time::timeout(Duration::from_secs(2), link.get());
        assert!(look().await.is_err(), "three answers of a second each within two");
        assert!(look().await.expect("the second look goes on from the first").is_ok());
    }
}
