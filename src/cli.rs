//! The command line: one file a verb.
//!
//! People read standard output; with `-o json` or `-o yaml` scripts do, and everything for people goes to standard error. Exit
//! codes are part of the interface, see [`Exit`].

mod adopt;
mod apply;
mod assess;
mod backtest;
mod balancer;
mod command;
mod completions;
mod controller;
mod convert;
mod demo;
mod explain;
mod input;
mod lint;
mod object;
mod output;
mod plan;
mod plane;
mod policy;
mod progress;
mod run;
mod simulate;
mod status;
mod values;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use self::output::Format;

/// What the shell is told. The numbers are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It was done.
    Done = 0,
    /// Something went wrong that none of the others says.
    Failed = 1,
    /// What was typed or written in a file is wrong; nothing was contacted.
    BadInput = 2,
    /// The migration went back to its origin.
    RolledBack = 3,
    /// It cannot go on without a person.
    NeedsHuman = 4,
    /// It was interrupted; traffic stays where it is.
    Interrupted = 130,
}

#[derive(Debug, Parser)]
#[command(name = "crossfade", version, about, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 bad input, 3 rolled back, 4 needs a human, 130 interrupted.")]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Args)]
struct Global {
    /// Where migrations keep their journals [default: $CROSSFADE_STATE_DIR, then $XDG_STATE_HOME/crossfade]
    #[arg(long, global = true, env = "CROSSFADE_STATE_DIR", hide_env = true, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// How to answer; json is one object a line where there are several over time, html only of assess
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    output: Format,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Watch a whole migration on this machine, with an injected failure; needs nothing else
    Demo(demo::Demo),
    /// Say what stands between two clusters, and what to do about it; changes nothing
    #[command(after_help = ASSESS_EXAMPLES)]
    Assess(assess::Assess),
    /// Say what a mirror would do, object by object, and save it; stores nothing on a cluster
    #[command(after_help = PLAN_EXAMPLES)]
    Plan(plan::Plan),
    /// Do exactly what a plan says, or nothing; moves no traffic
    #[command(after_help = APPLY_EXAMPLES)]
    Apply(apply::Apply),
    /// Carry out a migration, or go on with one
    #[command(after_help = RUN_EXAMPLES)]
    Run(run::Run),
    /// Bring manifests to API versions a newer Kubernetes serves; contacts nobody
    #[command(after_help = CONVERT_EXAMPLES)]
    Convert(convert::Convert),
    /// Split requests between two sides, and be driven by a migration
    #[command(after_help = balancer::EXAMPLES)]
    Balancer(balancer::Balancer),
    /// Carry out the Migrations of a cluster, beside others that wait to take over
    Controller(controller::Controller),
    /// Play a policy through thousands of stories in which things go wrong; touches nothing
    Simulate(simulate::Simulate),
    /// Show where migrations stand
    Status(status::Status),
    /// Stop advancing; what protects keeps running
    Pause(command::Simple),
    /// Go on after a pause
    Resume(command::Simple),
    /// Let an approval step pass
    Approve(command::Simple),
    /// Go back to the origin, at once
    #[command(after_help = ABORT_EXAMPLES)]
    Abort(command::Abort),
    /// Go back to the origin as the policy's rollback.mode says
    #[command(after_help = ROLLBACK_EXAMPLES)]
    Rollback(command::Abort),
    /// Rehearse the rollback and bring the weight back
    #[command(after_help = DRILL_EXAMPLES)]
    Drill(command::Simple),
    /// Follow a Migration object's policy as it is written now, where it was edited since
    #[command(after_help = ADOPT_POLICY_EXAMPLES)]
    AdoptPolicy(command::AdoptPolicy),
    /// Let the source go: the point of no return
    Commit(command::Simple),
    /// Make out anew where a migration stands, where its state is lost
    #[command(after_help = ADOPT_EXAMPLES)]
    Adopt(adopt::Adopt),
    /// Check Migrations and ShiftPolicies without contacting anybody
    #[command(subcommand)]
    Policy(policy::Policy),
    /// What drivers of planes can do, and whether a plane of yours does it
    #[command(subcommand)]
    Plane(plane::PlaneVerb),
    /// Write completions for a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions(completions::Completions),
}

const ADOPT_POLICY_EXAMPLES: &str = "Examples:
  kubectl crossfade adopt-policy careful
  kubectl crossfade adopt-policy careful checkout --namespace shop

A migration of this machine is told by `crossfade run --adopt-policy NAME`.";

const ASSESS_EXAMPLES: &str = "Examples:
  crossfade assess --source old --target new --namespace shop
  crossfade assess --source old --target new --all-namespaces -o html > report.html
  crossfade assess -f checkout.yaml --fail-on blocked

Ends with 0, or with 4 where --fail-on is reached. Values of Secrets are never
read. What each finding means: docs/assess.md.";

const PLAN_EXAMPLES: &str = "Examples:
  crossfade plan -f checkout.yaml --out checkout.plan
  crossfade plan -f checkout.yaml --role target | kubectl --context new apply -f -

Ends with 4 where something is in the way. No secret is in the file.";

const APPLY_EXAMPLES: &str = "Examples:
  crossfade apply checkout.plan

Refuses, with 4, a plan whose inputs changed, and names what changed. Applied
a second time, it writes nothing.";

const RUN_EXAMPLES: &str = "Examples:
  crossfade run -f checkout.yaml
  crossfade run -f migrations.yaml -f policies.yaml --migration checkout
  crossfade run -f checkout.yaml -o json | jq .phase

Interrupted, it leaves traffic where it is; the same command goes on from
there. From another terminal: status, pause, resume, approve, drill, abort,
rollback, commit.";

const CONVERT_EXAMPLES: &str = "Examples:
  crossfade convert -f ingress.yaml | kubectl apply -f -
  crossfade convert -f manifests/ --to 1.25 > new.yaml
  kubectl get ingress -A -o yaml | crossfade convert -f - -o json
  crossfade convert -f old.yaml --waive Deployment:spec.rollbackTo

What blocks is left out and named on standard error, with exit code 4.";

const ABORT_EXAMPLES: &str = "Examples:
  crossfade abort
  crossfade abort shop.checkout --why \"payments are slow\"

Accepted at any time before commit. Whoever drives the migration brings every
plane back to its origin at once, whatever the policy's rollback.mode, and
reads it back. Said during a gradual rollback it goes the rest at once.";

const ROLLBACK_EXAMPLES: &str = "Examples:
  crossfade rollback
  crossfade rollback shop.checkout --why \"the campaign starts\"

As abort, but gently where the policy says so: rollback.mode stepped goes by
the policy's earlier weights, capacityGated as fast as the source has pods.";

const DRILL_EXAMPLES: &str = "Examples:
  crossfade drill
  crossfade drill shop.checkout

Accepted where every plane was read back at a weight above 0 and up to 50%.
Every plane goes to its origin as in a rollback, that is timed, and the weight
is brought back and proven anew. status shows how long it took.";

const ADOPT_EXAMPLES: &str = "Examples:
  crossfade adopt -f checkout.yaml
  crossfade adopt -f checkout.yaml --yes && crossfade run -f checkout.yaml

It reads the weights of the planes, the source, and the origin that was kept
on the target. It writes nothing but the state, and refuses to guess.";

const COMPLETIONS_EXAMPLES: &str = "Examples:
  crossfade completions bash > /etc/bash_completion.d/crossfade
  crossfade completions zsh > ~/.zfunc/_crossfade
  crossfade completions fish > ~/.config/fish/completions/crossfade.fish";

/// Does what the arguments of this process say.
pub fn main() -> ExitCode {
    let matches = Cli::command().bin_name(invoked_as()).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let format = cli.global.output;
    output::start_tracing();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::refuse(format, &format!("cannot start: {error}"));
            return ExitCode::from(Exit::Failed as u8);
        }
    };
    let exit = match runtime.block_on(perform(cli)) {
        Ok(exit) => exit,
        // What was asked for has been shown for as long as somebody looked.
        Err(error) if error.is::<output::Closed>() => Exit::Done,
        Err(error) => {
            output::refuse(format, &format!("{error:#}"));
            Exit::Failed
        }
    };
    // A look that is still under way at the end is of no use to anybody.
    runtime.shutdown_background();
    ExitCode::from(exit as u8)
}

/// What people type: `kubectl` finds the verb `crossfade` in a program called `kubectl-crossfade`.
fn invoked_as() -> &'static str {
    let program = std::env::args_os().next().unwrap_or_default();
    match Path::new(&program).file_stem() {
        Some(name) if name == "kubectl-crossfade" => "kubectl crossfade",
        _ => "crossfade",
    }
}

async fn perform(cli: Cli) -> anyhow::Result<Exit> {
    use crate::migration::Request;
    let Cli { global, verb } = cli;
    if global.output == Format::Html && !matches!(verb, Verb::Assess(_)) {
        output::refuse(global.output, "only assess makes a page: -o text, json or yaml");
        return Ok(Exit::BadInput);
    }
    match verb {
        Verb::Plan(plan) => plan::plan(&global, plan).await,
        Verb::Apply(apply) => apply::apply(&global, apply).await,
        Verb::Assess(assess) => assess::assess(&global, assess).await,
        Verb::Demo(demo) => demo::demo(&global, demo).await,
        Verb::Run(run) => run::run(&global, run).await,
        Verb::Convert(convert) => convert::convert(&global, convert),
        Verb::Balancer(balancer) => balancer::balancer(&global, balancer).await,
        Verb::Controller(controller) => controller::controller(&global, controller).await,
        Verb::Simulate(simulate) => simulate::simulate(&global, simulate),
        Verb::Adopt(adopt) => adopt::adopt(&global, adopt).await,
        Verb::Status(status) => status::status(&global, status).await,
        Verb::Pause(to) => command::send(&global, to, Request::Pause).await,
        Verb::Resume(to) => command::send(&global, to, Request::Resume).await,
        Verb::Approve(to) => command::send(&global, to, Request::Approve).await,
        Verb::Abort(abort) => command::send(&global, abort.to, Request::Abort { why: abort.why }).await,
        Verb::Rollback(back) => command::send(&global, back.to, Request::Rollback { why: back.why }).await,
        Verb::Drill(to) => command::send(&global, to, Request::Drill).await,
        Verb::AdoptPolicy(adopt) => command::adopt_policy(&global, adopt).await,
        Verb::Commit(to) => command::send(&global, to, Request::Commit).await,
        Verb::Policy(policy) => policy::policy(&global, policy).await,
        Verb::Plane(verb) => plane::plane(&global, verb).await,
        Verb::Completions(completions) => completions::completions(completions),
    }
}

impl Global {
    fn state_root(&self) -> PathBuf {
        self.state_dir.clone().unwrap_or_else(input::default_state_root)
    }
}
