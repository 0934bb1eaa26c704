//! A cluster that may be away for now.
//!
//! A migration has to go on, and has to be able to go back, while a cluster does not answer. So it holds a link, and
//! reaches the cluster behind it when it first answers.

use std::path::Path;

use tokio::sync::OnceCell;

use super::{Cluster, ClusterError, client, client_of};

/// The way to one cluster.
pub struct Link {
    context: String,
    client: kube::Client,
    cluster: OnceCell<Cluster>,
}

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
        Self { context: name.to_owned(), client, cluster: OnceCell::new() }
    }

    /// The cluster, once it has answered.
    pub async fn get(&self) -> Result<&Cluster, ClusterError> {
        self.cluster.get_or_try_init(|| Cluster::from_client(&self.context, self.client.clone())).await
    }
}
