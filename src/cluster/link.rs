//! A cluster that may be away for now.
//!
//! A migration has to go on, and has to be able to go back, while a cluster does not answer. So it holds a link, and
//! reaches the cluster behind it when it first answers.

use std::path::Path;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{Mutex, OnceCell};

use super::{Cluster, ClusterError, client, client_of};

/// The way to one cluster.
pub struct Link {
    context: String,
    client: kube::Client,
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

    /// The way to the cluster of a configuration that was read already. Contacts nobody.
    pub fn from_config(name: &str, config: kube::Config) -> Result<Self, ClusterError> {
        Ok(Self::from_client(name, client_of(name, config)?))
    }

    /// The way to the cluster behind a client.
    pub fn from_client(name: &str, client: kube::Client) -> Self {
        Self { context: name.to_owned(), client, cluster: OnceCell::new(), under_way: Mutex::default() }
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
            let (context, client) = (self.context.clone(), self.client.clone());
            async move { Cluster::from_client(&context, client).await }.boxed()
        };
        let reached = under_way.get_or_insert_with(begin).await;
        *under_way = None;
        reached
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
