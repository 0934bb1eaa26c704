//! What can go wrong with a cluster, by what it means for the caller. PURE.
//!
//! `Display` names the subject and leaves the cause to `source`. No message repeats an object's content:
//! API servers quote the value they refuse, and that value may be a Secret's.

use std::error::Error;
use std::time::Duration;

use super::call::Call;
use super::object::ObjectRef;

/// The cause of an error, whatever library it came from.
pub type Cause = Box<dyn Error + Send + Sync>;

/// A request to a cluster that failed.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The kubeconfig cannot be read, or does not have the context.
    #[error("the kubeconfig gives no access to cluster {cluster}")]
    Config {
        /// The context.
        cluster: String,
        /// What is wrong with it.
        #[source]
        source: Cause,
    },
    /// No connection, or one that broke.
    #[error("cluster {cluster} cannot be reached to {call}")]
    Unreachable {
        /// The cluster.
        cluster: String,
        /// What was asked.
        call: Box<Call>,
        /// What the connection said.
        #[source]
        source: Cause,
    },
    /// No answer in time; a write may have happened all the same.
    #[error("cluster {cluster} did not {call} within {} s", after.as_secs())]
    TimedOut {
        /// The cluster.
        cluster: String,
        /// What was asked.
        call: Box<Call>,
        /// How long was waited.
        after: Duration,
    },
    /// The server is overloaded, starting or shutting down.
    #[error("cluster {cluster} cannot {call} right now: {message} (HTTP {status})")]
    Busy {
        /// The cluster.
        cluster: String,
        /// What was asked.
        call: Box<Call>,
        /// HTTP status: 408, 429 or 5xx.
        status: u16,
        /// The server's own words; for Secrets only its reason and the fields.
        message: String,
        /// How long the server asks to be left alone (`Retry-After`).
        retry_after: Option<Duration>,
    },
    /// The credentials were not accepted.
    #[error("cluster {cluster} does not know who asks to {call}")]
    Unauthorized {
        /// The cluster.
        cluster: String,
        /// What was asked.
        call: Box<Call>,
    },
    /// The credentials do not allow it.
    #[error("cluster {cluster} does not allow to {call}: {message}")]
    Forbidden {
        /// The cluster.
        cluster: String,
        /// What was asked.
        call: Box<Call>,
        /// The server's own words.
        message: String,
    },
    /// The object, or the path, does not exist.
    #[error("cluster {cluster} has nothing to {call}")]
    NotFound {
        /// The cluster.
        cluster: String,
        /// What was asked.
        call: Box<Call>,
    },
    /// Others own fields that the mirror would change. Nothing was changed.
    #[error("{object} on cluster {cluster} has fields owned by {}: {}", managers.join(", "), fields.join(", "))]
    Conflict {
        /// The cluster.
        cluster: String,
        /// The object.
        object: Box<ObjectRef>,
        /// Who owns the fields.
        managers: Vec<String>,
        /// Which fields.
        fields: Vec<String>,
    },
    /// The object changed between reading and writing.
    #[error("cluster {cluster} refused to {call}, because it changed meanwhile")]
    Changed {
        /// The cluster.
        cluster: String,
        /// What was asked.
        call: Box<Call>,
    },
    /// The server will not take it, however often it is sent.
    #[error("cluster {cluster} refuses to {call}: {message}")]
    Rejected {
        /// The cluster.
        cluster: String,
        /// What was asked.
        call: Box<Call>,
        /// The server's own words; for Secrets only its reason and the fields.
        message: String,
    },
    /// The server serves no such kind in this version.
    #[error("cluster {cluster} serves no {api_version} {kind}")]
    NotServed {
        /// The cluster.
        cluster: String,
        /// The version asked for; empty where any would do.
        api_version: String,
        /// The kind asked for.
        kind: String,
    },
    /// An answer that is not what a Kubernetes API server answers.
    #[error("cluster {cluster} answered nonsense to {call}: {reason}")]
    Malformed {
        /// The cluster.
        cluster: String,
        /// What was asked.
        call: Box<Call>,
        /// What is wrong with the answer, without its content.
        reason: String,
    },
}

/// Whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same request may succeed a moment later.
    Soon,
    /// Someone has to change something first: the configuration, permissions, the object or its owners.
    AfterChange,
}

impl ClusterError {
    /// How long the server asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        if let Self::Busy { retry_after, .. } = self { *retry_after } else { None }
    }

    /// Whether trying again can help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Busy { .. } | Self::Changed { .. } => Retry::Soon,
            Self::Config { .. }
            | Self::Malformed { .. }
            | Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::Conflict { .. }
            | Self::Rejected { .. }
            | Self::NotServed { .. } => Retry::AfterChange,
        }
    }
}
