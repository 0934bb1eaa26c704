//! `crossfade balancer`: the embedded balancer as a process of its own.

use std::path::PathBuf;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{Exit, Global, input, output};
use crate::policy::{self, BalancerSpec};
use crate::standalone::Standalone;

pub(super) const EXAMPLES: &str = "Examples:
  crossfade balancer edge.yaml
  crossfade balancer edge.yaml --check
  kill -HUP $(pidof crossfade)          read the servers of the file again

A Migration drives it as a plane of the kind balancer.";

#[derive(Debug, Args)]
pub(super) struct Balancer {
    /// The file that says where it listens and which servers each side has
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Read the file, say what is wrong with it, and end
    #[arg(long)]
    check: bool,
}

pub(super) async fn balancer(global: &Global, balancer: Balancer) -> anyhow::Result<Exit> {
    let read = || -> anyhow::Result<Result<BalancerSpec, Exit>> {
        input::checked(std::slice::from_ref(&balancer.file), global.output, policy::load_balancer)
    };
    let spec = match read()? {
        Ok(spec) => spec,
        Err(exit) => return Ok(exit),
    };
    if balancer.check {
        output::aside(format_args!("{} is a balancer", balancer.file.display()));
        return Ok(Exit::Done);
    }
    let mut standalone = Standalone::start(spec).await?;
    let edge = standalone.balancer();
    output::aside(format_args!(
        "listening at {}, {} to the target; driven at {}",
        edge.address(),
        edge.weight(),
        standalone.admin()
    ));
    let (mut terminate, mut hang_up) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => break,
            _ = terminate.recv() => break,
            _ = hang_up.recv() => match read()? {
                Ok(spec) => {
                    let restart = standalone.reload(spec);
                    output::aside("read its servers again");
                    if !restart.is_empty() {
                        output::aside(format_args!("a change of {} takes a restart", restart.join(", ")));
                    }
                }
                Err(_) => output::aside("goes on with the servers it had"),
            },
        }
    }
    output::aside("answers what is open, and ends");
    standalone.shutdown().await;
    Ok(Exit::Done)
}
