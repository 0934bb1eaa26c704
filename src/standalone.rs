//! A balancer as a process of its own: what `crossfade balancer` runs. IO.
//!
//! Users come in at one address; whoever drives it speaks the contract (`plane::contract`) at another one, a Unix socket, or TCP with a token.
//! Its weight survives the process: it is on disk before requests follow it.

mod admin;
mod kept;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use self::admin::Admin;
use self::kept::Kept;
use crate::balancer::{Balancer, Config, HealthCheck, Side};
use crate::policy::{BalancerSpec, Weight};

/// Time in which open requests are answered when it ends.
const GRACE: Duration = Duration::from_secs(30);

/// Why it did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file, socket or address could not be used.
    #[error("cannot use {what}")]
    Io {
        /// Which.
        what: String,
        /// The cause.
        source: io::Error,
    },
    /// The file that keeps the weight holds something else. Nobody knows where traffic was, so nobody guesses.
    #[error("{} does not hold what a balancer keeps; put it right, or remove it to begin at 0%", .0.display())]
    Kept(PathBuf),
    /// There is no token in the token's file.
    #[error("{} holds no token", .0.display())]
    Token(PathBuf),
}

impl StartError {
    fn at(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// A running one.
pub struct Standalone {
    spec: BalancerSpec,
    balancer: Balancer,
    admin: Admin,
}

impl Standalone {
    /// Starts with the weight it had.
    pub async fn start(spec: BalancerSpec) -> Result<Self, StartError> {
        let kept = kept::read(&spec.state)?;
        let config = Config {
            listen: spec.listen,
            health: HealthCheck {
                path: spec.health.path.clone(),
                interval: spec.health.interval.unsigned_abs(),
                timeout: spec.health.timeout.unsigned_abs(),
                rise: spec.health.rise,
                fall: spec.health.fall,
            },
            connect_timeout: spec.connect.unsigned_abs(),
            response_timeout: spec.response.unsigned_abs(),
        };
        let balancer = Balancer::start(config).await.map_err(StartError::at(spec.listen.to_string()))?;
        // A balancer that was just started is at zero.
        let _ = balancer.set_weight(Weight::ZERO, kept.weight);
        if kept.source_drained {
            balancer.close(Side::Source);
        }
        let plane = Arc::new(Kept::new(balancer.clone(), spec.state.clone()));
        let admin = Admin::start(&spec, balancer.clone(), plane).await?;
        let standalone = Self { spec, balancer, admin };
        standalone.set_backends();
        Ok(standalone)
    }

    fn set_backends(&self) {
        self.balancer.set_backends(Side::Source, self.spec.source.iter().copied());
        self.balancer.set_backends(Side::Target, self.spec.target.iter().copied());
    }

    /// Takes over the servers of another specification. What else it changes takes a restart: that is named.
    pub fn reload(&mut self, spec: BalancerSpec) -> Vec<&'static str> {
        let BalancerSpec { source, target, name, listen, admin, state, health, connect, response } = spec;
        let is = &self.spec;
        let changed = [
            ("metadata.name", name != is.name),
            ("spec.listen", listen != is.listen),
            ("spec.admin", admin != is.admin),
            ("spec.state", state != is.state),
            ("spec.health", health != is.health),
            ("spec.timeouts", (connect, response) != (is.connect, is.response)),
        ];
        (self.spec.source, self.spec.target) = (source, target);
        self.set_backends();
        changed.into_iter().filter_map(|(field, changed)| changed.then_some(field)).collect()
    }

    /// The balancer.
    pub fn balancer(&self) -> &Balancer {
        &self.balancer
    }

    /// Where it is driven.
    pub fn admin(&self) -> String {
        self.admin.place()
    }

    /// Answers what is open, and ends.
    pub async fn shutdown(self) {
        self.admin.shutdown().await;
        self.balancer.shutdown(GRACE).await;
    }
}

#[cfg(test)]
mod tests;
