//! `run --adopt-policy NAME`: a policy edited since a migration was started takes part only when it is named.

use crate::act::directory::Directory;
use crate::act::store::StoreError;
use crate::analysis::prometheus::{PrometheusError, Servers};
use crate::cli::{command, input};
use crate::migration::snapshot::chain;
use crate::migration::{Command, Reply, Request};
use crate::observe::clock::Clock;
use crate::policy::{Assignment, ShiftPolicy};

/// A policy that was asked to be adopted; the first pass answers.
pub(super) struct Adoption {
    directory: Directory,
    id: String,
}

impl Adoption {
    /// The answer, once there is one.
    pub(super) fn reply(&self) -> Option<Reply> {
        self.directory.reply(&self.id)
    }
}

/// The assignment of the files, where the policy that shall be adopted is the one they give the migration.
pub(super) fn named(adopts: Option<&str>, assignment: Assignment) -> anyhow::Result<Assignment> {
    match adopts {
        Some(name) if name != assignment.policy.name.as_str() => anyhow::bail!(
            "--adopt-policy names {name}, and the files give {} the policy {}",
            assignment.migration.name,
            assignment.policy.name
        ),
        _ => Ok(assignment),
    }
}

/// What a person is told of a policy that has changed since.
pub(super) fn offer(followed: &Assignment, written: &Assignment) -> String {
    let (old, new) = (&followed.policy, &written.policy);
    format!(
        "it follows {} {}, as it was started; the files say {} {}, which --adopt-policy {} takes over",
        old.name,
        old.fingerprint(),
        new.name,
        new.fingerprint(),
        new.name
    )
}

/// Asks for the policy through the letter box, so that the journal says who did and when; the inner error is a policy that cannot be
/// followed by anybody.
pub(super) async fn ask(
    directory: &Directory,
    followed: &Assignment,
    policy: &ShiftPolicy,
    servers: &Servers,
) -> Result<Result<Adoption, String>, StoreError> {
    let adopted = Assignment { migration: followed.migration.clone(), policy: policy.clone() };
    if let Err(error) = can_be_asked(&adopted, servers).await {
        return Ok(Err(chain(&error)));
    }
    let request = Request::AdoptPolicy { policy: Box::new(policy.clone()), replaces: followed.policy.fingerprint() };
    let command = Command { id: command::unique(), at: Clock::start().now(), by: input::user(), request };
    directory.send(&command)?;
    Ok(Ok(Adoption { directory: directory.clone(), id: command.id }))
}

/// Refuses a policy whose Prometheus cannot be used. Contacts nobody.
pub(super) async fn can_be_asked(assignment: &Assignment, servers: &Servers) -> Result<(), PrometheusError> {
    match servers.of(assignment)? {
        Some(prometheus) => prometheus.ready().await,
        None => Ok(()),
    }
}
