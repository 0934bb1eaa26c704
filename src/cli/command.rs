//! `crossfade pause`, `resume`, `approve`, `drill`, `abort`, `rollback`, `adopt-policy` and `commit`: asking something of a migration that
//! runs.

use std::time::{Duration, SystemTime};

use anyhow::Context;
use clap::Args;
use kube::api::DynamicObject;
use serde::Serialize;

use super::object::{self, Place};
use super::output::{self, Format};
use super::{Exit, Global, input, status};
use crate::act::directory::Directory;
use crate::controller::accept;
use crate::controller::home::{Home, Key};
use crate::migration::{Command, Reply, Report, Request};
use crate::observe::clock::Clock;
use crate::policy::Assignment;

#[derive(Debug, Args)]
pub(super) struct Simple {
    /// The migration, as NAME or NAMESPACE.NAME; not needed where there is only one
    pub(super) migration: Option<String>,
    #[command(flatten)]
    pub(super) place: Place,
}

#[derive(Debug, Args)]
pub(super) struct Abort {
    #[command(flatten)]
    pub(super) to: Simple,
    /// Why; kept in the journal
    #[arg(long, default_value = "", value_name = "WHY")]
    pub(super) why: String,
}

#[derive(Debug, Args)]
pub(super) struct AdoptPolicy {
    /// The ShiftPolicy that the Migration names
    policy: String,
    #[command(flatten)]
    to: Simple,
}

/// How long an answer may take. A pass asks clusters, planes and Prometheus, each for some seconds at most.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(50);

#[derive(Debug, Serialize)]
struct Answer<'a> {
    migration: String,
    #[serde(flatten)]
    reply: &'a Reply,
}

pub(super) async fn send(global: &Global, to: Simple, request: Request) -> anyhow::Result<Exit> {
    if to.place.is_meant(&global.state_root()) {
        return send_to_object(global, to, request).await;
    }
    let directory = match status::find(&global.state_root(), to.migration.as_deref()) {
        Ok(directory) => directory,
        Err(message) => {
            output::refuse(global.output, &message);
            return Ok(Exit::BadInput);
        }
    };
    if !directory.is_driven() {
        let ended = directory.report().filter(Report::has_ended);
        let message = match ended {
            Some(report) => format!("it has ended: {}", report.phase),
            None => "nobody drives it now; start `crossfade run` and ask again".to_owned(),
        };
        output::refuse(global.output, &format!("{}: {message}", directory.name()));
        return Ok(Exit::NeedsHuman);
    }
    let command = Command { id: unique(), at: Clock::start().now(), by: input::user(), request };
    directory.send(&command)?;
    let reply = match wait(&directory, &command).await {
        Some(reply) => reply,
        // Once it is taken back nobody can act on it; where it has been taken already, its answer is on the way.
        None if directory.withdraw(&command.id) => {
            let message = "there was no answer in time; it was taken back and has no effect".to_owned();
            Reply { id: command.id.clone(), accepted: false, message }
        }
        None => wait(&directory, &command).await.with_context(|| {
            format!("{}: it was taken, and no answer came; `crossfade status` shows what it did", directory.name())
        })?,
    };
    answer(global, directory.name(), &reply)
}

/// The same of a Migration object. Its controller may be about to be elected, so it is asked in any case.
async fn send_to_object(global: &Global, to: Simple, request: Request) -> anyhow::Result<Exit> {
    let home = to.place.home().await?;
    match to.place.find(&home, to.migration.as_deref()).await? {
        Ok(object) => ask(global, &home, &object, request).await,
        Err(message) => {
            output::refuse(global.output, &message);
            Ok(Exit::BadInput)
        }
    }
}

/// Asks for the policy that a Migration object and its ShiftPolicy amount to now, which the controller compares once more.
pub(super) async fn adopt_policy(global: &Global, adopt: AdoptPolicy) -> anyhow::Result<Exit> {
    let AdoptPolicy { policy: name, to } = adopt;
    let refuse = |message: &str| {
        output::refuse(global.output, message);
        Ok(Exit::BadInput)
    };
    if !to.place.is_meant(&global.state_root()) {
        return refuse(&format!("a migration of this machine is told by `crossfade run --adopt-policy {name}`"));
    }
    let home = to.place.home().await?;
    let object = match to.place.find(&home, to.migration.as_deref()).await? {
        Ok(object) => object,
        Err(message) => return refuse(&message),
    };
    if accept::policy_name(&object) != Some(&name) {
        let named = accept::policy_name(&object).unwrap_or("none");
        return refuse(&format!("{} names the policy {named}, not {name}", object::label(&object)));
    }
    let Some(report) = object::report(&object)? else {
        return refuse(&format!("{} has not begun: it begins under the policy as it is", object::label(&object)));
    };
    let key = Key { namespace: Key::of(&object).namespace, name };
    let policy = home.policy(&key).await?;
    match accept::read(&object, policy.as_ref()) {
        Ok(Assignment { policy, .. }) => {
            let request = Request::AdoptPolicy { policy: Box::new(policy), replaces: report.policy.hash };
            ask(global, &home, &object, request).await
        }
        Err(refusal) => refuse(&refusal.message),
    }
}

async fn ask(global: &Global, home: &Home, object: &DynamicObject, request: Request) -> anyhow::Result<Exit> {
    let by = object::who(home, input::user()).await;
    let command = Command { id: unique(), at: Clock::start().now(), by, request };
    let reply = object::ask(home, object, &command, PATIENCE).await?.unwrap_or_else(|| {
        let message = match object::report(object).ok().flatten().filter(Report::has_ended) {
            Some(report) => format!("it has ended: {}", report.phase),
            None => "no controller answered in time; it was taken back and has no effect".to_owned(),
        };
        Reply { id: command.id.clone(), accepted: false, message }
    });
    answer(global, object::label(object), &reply)
}

fn answer(global: &Global, migration: String, reply: &Reply) -> anyhow::Result<Exit> {
    match global.output {
        Format::Text if reply.accepted => output::unread(output::line(format!("{migration}: {}", reply.message)))?,
        Format::Text => output::aside(format!("{migration}: {}", reply.message)),
        format => output::machine(format, &Answer { migration, reply })?,
    }
    Ok(if reply.accepted { Exit::Done } else { Exit::NeedsHuman })
}

/// The answer, or nothing where nobody drives the migration.
async fn wait(directory: &Directory, command: &Command) -> Option<Reply> {
    let answer = async {
        while directory.is_driven() {
            if let Some(reply) = directory.reply(&command.id) {
                return Some(reply);
            }
            tokio::time::sleep(LOOK).await;
        }
        // The last thing it did may have been to answer.
        directory.reply(&command.id)
    };
    tokio::time::timeout(PATIENCE, answer).await.ok().flatten()
}

/// A name no other command has: this process at this nanosecond.
#[expect(clippy::disallowed_methods, reason = "makes a name; nothing is decided by it")]
pub(super) fn unique() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{}-{}", since.as_nanos(), std::process::id())
}
