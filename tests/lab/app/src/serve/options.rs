//! What a pod's environment says about how to serve.

use super::fault::{Fault, Mode};
use crate::duration;
use std::net::SocketAddr;
use std::time::Duration;

/// Settings of the workload, each from a flag or from the environment variable of the same meaning.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// Where `/`, `/readyz`, `/livez` and `/metrics` are served.
    #[arg(long, env = "LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// Where the fault switch is served; no Service points here.
    #[arg(long, env = "ADMIN_LISTEN", default_value = "0.0.0.0:8081")]
    pub admin_listen: SocketAddr,
    /// The cluster that answers, as told to clients in the `x-cluster` header.
    #[arg(long, env = "CLUSTER", default_value = "none")]
    pub cluster: String,
    /// The pod that answers.
    #[arg(long, env = "POD", default_value = "none")]
    pub pod: String,
    /// A setting that reaches the pod through a ConfigMap, shown so that a mirror of it can be seen to work.
    #[arg(long, env = "GREETING", default_value = "")]
    pub greeting: String,
    /// A setting that reaches the pod through a Secret; only whether it is there is ever shown.
    #[arg(long, env = "API_KEY", default_value = "", hide_env_values = true)]
    pub api_key: String,
    /// Time from the start until the pod is ready.
    #[arg(long, env = "START_DELAY", default_value = "0s", value_parser = duration::parse)]
    pub start_delay: Duration,
    /// Time from SIGTERM until no connection is accepted any more.
    #[arg(long, env = "DRAIN", default_value = "5s", value_parser = duration::parse)]
    pub drain: Duration,
    /// The fault to begin with.
    #[arg(long, env = "FAULT_MODE", default_value = "off", value_parser = Mode::parse)]
    pub fault_mode: Mode,
    /// The share of requests the fault hits, from 0 to 1.
    #[arg(long, env = "FAULT_RATE", default_value_t = 1.0, value_parser = Fault::parse_rate)]
    pub fault_rate: f64,
    /// How much later a `slow` answer comes.
    #[arg(long, env = "FAULT_DELAY", default_value = "1s", value_parser = duration::parse)]
    pub fault_delay: Duration,
}
