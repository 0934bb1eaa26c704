//! `crossfade plane`: what drivers can and cannot do, and whether a plane of yours does it.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context;
use async_trait::async_trait;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::output::{self, Format};
use super::{Exit, Global, input};
use crate::fence::Fence;
use crate::migration::snapshot::{PlaneView, chain};
use crate::plane::conformance::front::Front;
use crate::plane::conformance::{Beyond, Client, Effort, Ground, Property, Trouble, Verdict, examine};
use crate::plane::sheet::Sheet;
use crate::plane::{self, Plane};
use crate::policy::{DriverSpec, PlaneSpec, Weight};

pub(super) const EXAMPLES: &str = "Examples:
  crossfade plane verify edge -f checkout.yaml --url http://edge/ \\
    --header x-cluster --source blue --target green --yes

It moves the plane's weight from 0% to 100% and back again and again, under
requests of its own, and leaves it at its origin: for a plane without users.
Ends with 0, or with 1 where something fails. Each check: docs/planes.md.";

#[derive(Debug, Subcommand)]
pub(super) enum PlaneVerb {
    /// Say what each driver can and cannot do; contacts nobody
    Sheets,
    /// Examine a plane of a Migration with real requests; moves its traffic
    #[command(after_help = EXAMPLES)]
    Verify(Box<Verify>),
}

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The plane, by its name in the Migration
    name: String,
    /// Files with the Migration
    #[arg(short, long = "file", value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Which Migration, where there are several
    #[arg(long, value_name = "NAME")]
    migration: Option<String>,
    /// Where requests enter the plane
    #[arg(long, value_name = "URL")]
    url: String,
    /// The header in which backends say which side they are on
    #[arg(long, value_name = "NAME")]
    header: String,
    /// What it says on the source
    #[arg(long, value_name = "TEXT")]
    source: String,
    /// What it says on the target
    #[arg(long, value_name = "TEXT")]
    target: String,
    /// A URL whose answer begins at once and takes some seconds: for what is in flight during a drain
    #[arg(long, value_name = "URL")]
    lingering: Option<String>,
    /// Requests at each weight
    #[arg(long, value_name = "N", default_value_t = Effort::WHOLE.requests)]
    requests: u64,
    /// A command that opens the source again: without it nothing is drained
    #[arg(long, value_name = "COMMAND")]
    admit: Option<String>,
    /// A command that restarts or reloads the plane
    #[arg(long, value_name = "COMMAND")]
    restart: Option<String>,
    /// Yes, its traffic may be moved
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Serialize)]
struct Told {
    driver: &'static str,
    sheet: Sheet,
}

#[derive(Debug, Serialize)]
struct Checked {
    property: Property,
    #[serde(flatten)]
    verdict: Verdict,
}

pub(super) async fn plane(global: &Global, verb: PlaneVerb) -> anyhow::Result<Exit> {
    match verb {
        PlaneVerb::Sheets => sheets(global),
        PlaneVerb::Verify(asked) => verify(global, *asked).await,
    }
}

fn sheets(global: &Global) -> anyhow::Result<Exit> {
    let told: Vec<Told> = plane::SHEETS.iter().map(|(driver, sheet)| Told { driver, sheet: *sheet }).collect();
    if global.output != Format::Text {
        output::machine(global.output, &told)?;
        return Ok(Exit::Done);
    }
    for Told { driver, sheet } in told {
        output::line(driver)?;
        for (about, what) in sheet.lines() {
            output::line(format_args!("  {about:<24} {what}"))?;
        }
    }
    Ok(Exit::Done)
}

async fn verify(global: &Global, asked: Verify) -> anyhow::Result<Exit> {
    let definitions = match input::definitions(&asked.files, global.output)? {
        Ok(definitions) => definitions,
        Err(exit) => return Ok(exit),
    };
    let refuse = |why: &str| {
        output::refuse(global.output, why);
        Ok(Exit::BadInput)
    };
    let migration = match input::migration(&definitions, asked.migration.as_deref()) {
        Ok(migration) => migration,
        Err(why) => return refuse(&why),
    };
    let Some(spec) = migration.planes.iter().find(|plane| plane.name.as_str() == asked.name) else {
        let names: Vec<_> = migration.planes.iter().map(|plane| plane.name.as_str()).collect();
        return refuse(&format!("no plane is called {}; there are: {}", asked.name, names.join(", ")));
    };
    let Some(plane) = plane::connect(spec) else {
        return refuse(
            "the embedded balancer is inside the process that drives a migration; `make planes` examines it",
        );
    };
    if matches!(spec.driver, DriverSpec::Dns(_)) {
        return refuse("what is found by a name is what a resolver remembers; `make planes` asks a server each time");
    }
    if !asked.yes {
        return refuse(&format!("this moves the traffic of {}: say --yes if nobody uses it", asked.name));
    }
    let origin = plane.observe().await.with_context(|| format!("cannot look at {}", asked.name))?;
    let too_fine = too_fine(&*plane, &origin);
    let effort = Effort { requests: asked.requests, drain: asked.admit.is_some(), ..Effort::WHOLE };
    let theirs = Theirs { spec: spec.clone(), asked, too_fine };
    let examined = tokio::select! {
        examined = examine(&theirs, &Property::ALL, effort) => Some(examined),
        _ = tokio::signal::ctrl_c() => None,
    };
    // Whatever happened, it is left as it was found.
    plane.restore(&Fence::lock(), &origin.setting).await.context("the origin was not restored: do it by hand")?;
    let Some(examined) = examined else { return Ok(Exit::Interrupted) };
    let checked = examined?.into_iter().map(|(property, verdict)| Checked { property, verdict });
    show(global, checked.collect())
}

/// The first weight that a plane says it cannot represent.
fn too_fine(plane: &dyn Plane, view: &PlaneView) -> Option<Weight> {
    let weights = (1..100).filter_map(|points| Weight::from_basis_points(points).ok());
    weights.into_iter().find(|weight| plane.propose(view, *weight).is_err())
}

fn show(global: &Global, checked: Vec<Checked>) -> anyhow::Result<Exit> {
    let fails = checked.iter().any(|checked| matches!(checked.verdict, Verdict::Fails(_)));
    match global.output {
        Format::Text => {
            for Checked { property, verdict } in &checked {
                output::line(format_args!("{:42} {:8} {}", property.title(), verdict.word(), verdict.why()))?;
            }
        }
        format => output::machine(format, &checked)?,
    }
    Ok(if fails { Exit::Failed } else { Exit::Done })
}

/// A plane of somebody's own.
struct Theirs {
    spec: PlaneSpec,
    asked: Verify,
    too_fine: Option<Weight>,
}

/// Runs a command of whoever asked.
async fn perform(command: Option<&String>, absent: Beyond) -> Result<(), Beyond> {
    let command = command.ok_or(absent)?;
    let done = tokio::process::Command::new("sh").args(["-c", command]).stdin(Stdio::null()).status().await;
    let done = done.is_ok_and(|status| status.success());
    if done { Ok(()) } else { Err(Beyond("the command for it failed")) }
}

#[async_trait]
impl Ground for Theirs {
    #[expect(clippy::expect_used, reason = "one was connected from the same specification before")]
    fn driver(&self) -> Box<dyn Plane> {
        plane::connect(&self.spec).expect("a driver")
    }

    fn client(&self, keeps: bool) -> Box<dyn Client> {
        let Verify { url, header, source, target, lingering, .. } = &self.asked;
        let (url, header) = (url.clone(), header.clone());
        let (source, target, lingering) = (source.clone(), target.clone(), lingering.clone());
        Front { url, header, source, target, lingering, tunnel: None }.client(keeps)
    }

    async fn admit(&self) -> Result<(), Beyond> {
        perform(self.asked.admit.as_ref(), Beyond("no command was given that opens the source again")).await
    }

    /// A second driver of ours stands for somebody else.
    async fn meddle(&self, to: Weight) -> Result<(), Beyond> {
        let other = self.driver();
        let failed = |error| {
            output::aside(format_args!("crossfade: {}", chain(&error)));
            Beyond("a second driver could not write")
        };
        let view = other.observe().await.map_err(failed)?;
        other.shift(&Fence::lock(), view.weight, to, &view.setting).await.map_err(failed)
    }

    async fn restart(&self) -> Result<(), Beyond> {
        perform(self.asked.restart.as_ref(), Beyond("no command was given that restarts it")).await
    }

    async fn others(&self) -> Result<Option<String>, Beyond> {
        Err(Beyond("nobody says what else it holds"))
    }

    async fn lose_target(&self, _: bool) -> Result<(), Beyond> {
        Err(Beyond("its backends are not ours to end"))
    }

    fn too_fine(&self) -> Option<Weight> {
        self.too_fine
    }

    async fn troubles(&self) -> Result<Vec<Trouble>, Beyond> {
        Err(Beyond("it is not broken on purpose"))
    }
}
