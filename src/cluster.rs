//! The two clusters: what they hold, what they serve, and writing to them.
//!
//! A mirror runs through here in four steps. `inventory` (IO) reads what belongs to the migration;
//! `mirror` (PURE) turns it into what the target shall hold; `compare` and `apply` (IO) bring the target
//! there with server-side apply, never by force; `rehearse` (IO) asks beforehand what would be refused. `release` gives the ownership of every field back.
//!
//! ```text
//! source ──list, get──▶ closure ──▶ Inventory ──convert, scrub, transform──▶ MirrorPlan ──apply──▶ target
//! ```
//!
//! It refuses to guess: what cannot be carried is a problem with the object and the field named, and a
//! cluster that does not answer is an error, never an empty list.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};

mod answer;
mod apply;
mod call;
mod closure;
mod collection;
mod cover;
mod difference;
mod digest;
mod discovery;
#[cfg(test)]
mod double;
mod error;
mod follow;
mod followed;
mod inventory;
mod job;
mod kind;
mod link;
mod manifest;
mod mapping;
mod memo;
mod mirror;
mod misfit;
pub mod object;
mod ownership;
mod page;
mod plan;
mod reference;
mod rehearse;
mod relay;
mod removal;
pub mod replicas;
mod request;
mod scrub;
mod served;
mod standing;
mod stock;
mod survey;
mod workload;

pub use apply::{ObjectState, apply, apply_all, compare, live, release, scale};
pub use call::Call;
pub use closure::{Absence, Inventory, close};
pub(crate) use cover::quantity;
pub use difference::{Change, between, missing};
pub use digest::{digest, digested, without_digest};
pub use error::{Cause, ClusterError, Retry};
pub use followed::Followed;
pub use inventory::inventory;
pub use job::{resume_target, suspend_source};
pub use kind::{ClusterMade, Objects, mirrored_from};
pub(crate) use kind::{entries, kind, labels_match, pod_template, text_at};
pub use link::{Link, Links};
pub use manifest::Manifest;
pub use mapping::mapped;
pub use memo::{memo, recall};
pub use mirror::mirror;
pub use misfit::misfit;
pub use object::ObjectRef;
pub use plan::{Desired, MirrorPlan, MirrorProblem};
pub use rehearse::{leaving, rehearse};
pub use removal::{remove, remove_gone};
pub use replicas::Replicas;
pub use request::Depth;
pub use served::{Resource, ResourceList, Served, ServerVersion};
pub use standing::Side;
pub use survey::{Gap, Listing, Survey, collections, schema, server_metrics, survey};
pub use workload::{on_source, scale_source, workloads};

#[cfg(test)]
use kind::KINDS;

/// How long a TCP or TLS handshake may take. A server in the same region needs milliseconds; this leaves
/// room for one lost packet and its retransmission.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// One cluster that was reached, and what it serves.
#[derive(Clone)]
pub struct Cluster {
    name: String,
    client: kube::Client,
    served: Arc<Served>,
    version: ServerVersion,
    relays: relay::Relays,
}

impl Cluster {
    /// Connects to a context of `kubeconfig`; without one, of the files in `KUBECONFIG`, or `~/.kube/config`.
    pub async fn connect(context: &str, kubeconfig: Option<&Path>) -> Result<Self, ClusterError> {
        Self::from_client(context, client(context, kubeconfig).await?).await
    }

    /// The cluster behind a client that is already set up.
    pub async fn from_client(name: &str, client: kube::Client) -> Result<Self, ClusterError> {
        let unknown = ServerVersion::new("", "", "");
        let relays = relay::Relays::default();
        let mut cluster = Self { name: name.to_owned(), client, served: Arc::default(), version: unknown, relays };
        cluster.version = discovery::version(&cluster).await?;
        cluster.served = Arc::new(discovery::served(&cluster).await?);
        Ok(cluster)
    }

    /// What the cluster is called here: the context, in most cases.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version the server says it has.
    pub fn version(&self) -> &ServerVersion {
        &self.version
    }

    /// What the server serves.
    pub fn served(&self) -> &Served {
        &self.served
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cluster({} {})", self.name, self.version)
    }
}

/// A client for a context. Contacts nobody.
async fn client(context: &str, kubeconfig: Option<&Path>) -> Result<kube::Client, ClusterError> {
    let unusable = |error| ClusterError::Config { cluster: context.to_owned(), source: kubeconfig_cause(error) };
    let config = config_of(kubeconfig_at(kubeconfig).map_err(unusable)?, Some(context.to_owned())).await;
    client_of(context, config.map_err(unusable)?)
}

/// A kubeconfig file; without one, the files in `KUBECONFIG`, or `~/.kube/config`.
pub(crate) fn kubeconfig_at(path: Option<&Path>) -> Result<Kubeconfig, KubeconfigError> {
    path.map_or_else(Kubeconfig::read, Kubeconfig::read_from)
}

/// What a kubeconfig says of one of its contexts, or of its current one.
pub(crate) async fn config_of(file: Kubeconfig, context: Option<String>) -> Result<kube::Config, KubeconfigError> {
    let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
    kube::Config::from_custom_kubeconfig(file, &options).await
}

/// A client for a cluster called `name`, with the patience this module counts on. Contacts nobody.
fn client_of(name: &str, mut config: kube::Config) -> Result<kube::Client, ClusterError> {
    config.connect_timeout = Some(CONNECT_PATIENCE);
    // A retry inside the client would hide from the gates how long the server has been away.
    config.default_retry = false;
    let unusable = |error: kube::Error| ClusterError::Config { cluster: name.to_owned(), source: error.into() };
    kube::Client::try_from(config).map_err(unusable)
}

/// What is wrong with a kubeconfig. The parser quotes the lines around a mistake, which may be credentials.
pub(crate) fn kubeconfig_cause(error: KubeconfigError) -> Cause {
    match error {
        KubeconfigError::Parse(_) => "it is no valid YAML of a kubeconfig".into(),
        other => other.into(),
    }
}
