//! `crossfade controller`: many migrations, from objects in a home cluster.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use super::output::{self, Format};
use super::{Exit, Global, input};
use crate::controller::health::Health;
use crate::controller::home::{Home, Key};
use crate::controller::{self, Settings, crd};

#[derive(Debug, Args)]
pub(super) struct Controller {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// kubeconfig of the home cluster and of contexts that migrations name [default: the cluster this runs in]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the home cluster [default: the current one]
    #[arg(long, value_name = "CONTEXT")]
    context: Option<String>,
    /// Drive migrations of this namespace only [default: of all]
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Where the lease is
    #[arg(long, default_value = "crossfade-system", value_name = "NAMESPACE")]
    lease_namespace: String,
    /// Name of this process; no other may have it [default: $POD_NAME, then this machine and process]
    #[arg(long, env = "POD_NAME", hide_env = true, value_name = "NAME")]
    identity: Option<String>,
    /// Where /healthz, /readyz and /metrics are served
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Passes at a time
    #[arg(long, default_value_t = 32, value_name = "NUMBER")]
    concurrency: usize,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print the custom resource definitions
    Crds,
}

pub(super) async fn controller(global: &Global, controller: Controller) -> anyhow::Result<Exit> {
    if let Some(Verb::Crds) = controller.verb {
        return crds(global.output);
    }
    let home = Home::connect(controller.kubeconfig.as_deref(), controller.context.as_deref()).await?;
    let settings = Settings {
        namespace: controller.namespace,
        lease: Key { namespace: controller.lease_namespace, name: "crossfade".to_owned() },
        identity: controller.identity.unwrap_or_else(input::process),
        kubeconfig: controller.kubeconfig,
        concurrency: controller.concurrency.max(1),
    };
    let health = Health::default();
    let serving = match controller.listen {
        Some(address) => Some(health.serve(address).await.with_context(|| format!("cannot listen on {address}"))?),
        None => None,
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let end = async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    };
    controller::run(home, settings, health, end).await;
    drop(serving);
    Ok(Exit::Done)
}

fn crds(format: Format) -> anyhow::Result<Exit> {
    for definition in crd::all() {
        match format {
            Format::Json => output::machine(format, &definition)?,
            Format::Text | Format::Yaml | Format::Html => output::machine(Format::Yaml, &definition)?,
        }
    }
    Ok(Exit::Done)
}
