//! A whole migration inside one process: what `crossfade demo` shows. IO.
//!
//! Two embedded clusters, the embedded balancer and a traffic generator are the stage; everything else is the engine that
//! also drives real clusters. The play: mirror and shift, a failure in green, the rollback, green repaired, the shift to
//! 100 %, commit. Nothing is claimed that was not read back: an observation that does not hold ends the play with an
//! error.

pub(crate) mod stage;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use self::stage::Stage;
pub use self::stage::StageError;
use crate::act::store::StoreError;
use crate::balancer::Side;
use crate::drive::{Attempt, Driver, StartError};
use crate::embedded::Fault;
use crate::embedded::traffic;
use crate::migration::state::Cause;
use crate::migration::{Command, Phase, Report, Request, WaitingOn};
use crate::policy::Weight;

/// Fraction of green's requests that fail in the second act.
const FAILING: f64 = 0.5;

/// The weight at which green begins to fail.
const FAILS_AT: Weight = Weight::percent_saturating(25);

/// Requests after the end of an act that show where traffic goes now.
const AFTERWARDS: u64 = 200;

/// Longest time an act may take; each needs some ten seconds.
const CURTAIN: SignedDuration = SignedDuration::from_secs(60);

/// Something to show.
#[derive(Debug)]
pub enum Scene<'a> {
    /// The stage is set.
    Set(&'a [String]),
    /// A new act begins.
    Act(&'a str),
    /// The migration has made a pass.
    Pass(&'a Report),
    /// Something was observed.
    Observed(String),
}

/// What was observed, every figure of it in this run.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Observations {
    /// Objects found on green after mirroring, as `kind version`.
    pub mirrored: Vec<String>,
    /// The first attempt, which failed.
    pub fault: FaultAct,
    /// The second attempt, which went through.
    pub repaired: RepairedAct,
}

/// What was observed of the attempt in which green failed.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FaultAct {
    /// The weight the balancer itself reported when green began to fail.
    pub weight: Weight,
    /// Requests of users in this act.
    pub requests: u64,
    /// Requests that users saw fail.
    pub failed: u64,
    /// Milliseconds from the first failed request a user saw until the balancer was read back at its origin.
    pub milliseconds: i64,
    /// Why it went back.
    pub cause: Cause,
    /// Requests after the rollback, and how many of them green was given.
    pub afterwards: Afterwards,
}

/// What was observed of the attempt that went through.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RepairedAct {
    /// Requests of users in this act.
    pub requests: u64,
    /// Requests that users saw fail.
    pub failed: u64,
    /// Replicas of the workload on blue after commit.
    pub source_replicas: u64,
    /// Requests after commit, and how many of them green was given.
    pub afterwards: Afterwards,
}

/// Where requests went after an act.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Afterwards {
    /// All of them.
    pub requests: u64,
    /// Those green was given.
    pub green: u64,
}

/// Why the play ended early.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The stage could not be set.
    #[error("the stage cannot be set")]
    Stage(#[from] StageError),
    /// The engine could not begin.
    #[error("the migration cannot be taken up")]
    Start(#[from] StartError),
    /// The engine could not record.
    #[error("the migration cannot be recorded")]
    Store(#[from] StoreError),
    /// Something that the demo would have claimed was not so.
    #[error("this was not observed: {claim} (instead: {instead})")]
    Unobserved {
        /// The claim.
        claim: &'static str,
        /// What was observed.
        instead: String,
    },
}

/// The claim holds, or the play ends.
fn observed(claim: &'static str, holds: bool, instead: impl std::fmt::Debug) -> Result<(), DemoError> {
    if holds { Ok(()) } else { Err(DemoError::Unobserved { claim, instead: format!("{instead:?}") }) }
}

/// Plays the whole, and shows it to `audience`.
pub async fn play(mut audience: impl FnMut(Scene<'_>)) -> Result<Observations, DemoError> {
    let stage = Stage::set().await?;
    audience(Scene::Set(&stage.programme()));
    audience(Scene::Act("mirror to green, then shift; at 25% green starts to fail half of its requests"));
    let fault = failing_act(&stage, &mut audience).await?;
    let mirrored = stage.mirrored().await?;
    observed("green holds everything, in versions it serves", mirrored.len() >= 8, &mirrored)?;
    audience(Scene::Act("green is repaired; the same migration again"));
    let repaired = repaired_act(&stage, &mut audience).await?;
    stage.strike().await;
    Ok(Observations { mirrored, fault, repaired })
}

async fn failing_act(stage: &Stage, audience: &mut impl FnMut(Scene<'_>)) -> Result<FaultAct, DemoError> {
    let before = stage.traffic.report();
    let mut driver = stage.driver(Attempt::Same).await?;
    let started = driver.now();
    let mut failing = None;
    let first_failure = stage.first_failure(before.failed(), driver.clock());
    let cause = loop {
        let report = pass(&mut driver, started, audience).await?;
        let weight = stage.balancer.weight();
        if failing.is_none() && weight == FAILS_AT && matches!(report.waiting, Some(WaitingOn::Window { .. })) {
            stage.green.set_fault(Fault::ErrorRate(FAILING));
            failing = Some(weight);
            audience(Scene::Observed(format!(
                "green answers 500 to {:.0}% of its requests from now on",
                FAILING * 100.0
            )));
        }
        match &driver.state().phase {
            Phase::RolledBack { cause, .. } => break cause.clone(),
            Phase::Completed { .. } => observed("green's failure was noticed", false, &report)?,
            _ if !report.needs_human => {}
            _ => observed("the rollback needed nobody", false, &report)?,
        }
    };
    let restored = driver.now();
    let weight = stage.balancer.weight();
    observed("the balancer is back at its origin", weight == Weight::ZERO, weight)?;
    observed("the metric was the cause", matches!(cause, Cause::MetricFailed { .. }), &cause)?;
    let (requests, failed) = since(&before, &stage.traffic.report());
    observed("users saw the failure", failed > 0, failed)?;
    let milliseconds = restored.duration_since(first_failure.await).as_millis();
    let afterwards = stage.afterwards(Side::Target, AFTERWARDS).await;
    observed("green is given nothing after the rollback", afterwards.green == 0, afterwards)?;
    let act = FaultAct {
        weight: failing.unwrap_or_default(),
        requests,
        failed,
        milliseconds: i64::try_from(milliseconds).unwrap_or(i64::MAX),
        cause,
        afterwards,
    };
    audience(Scene::Observed(format!(
        "back at the origin {milliseconds} ms after the first failed request: {failed} of {requests} requests failed"
    )));
    Ok(act)
}

async fn repaired_act(stage: &Stage, audience: &mut impl FnMut(Scene<'_>)) -> Result<RepairedAct, DemoError> {
    stage.green.set_fault(Fault::None);
    let before = stage.traffic.report();
    let mut driver = stage.driver(Attempt::Another).await?;
    let started = driver.now();
    let mut asked = false;
    loop {
        let report = pass(&mut driver, started, audience).await?;
        if !asked && matches!(report.waiting, Some(WaitingOn::Commit)) {
            let whole = stage.source_replicas().await?;
            observed("blue is whole until commit", whole == 3, whole)?;
            audience(Scene::Observed("blue is still at full size; commit".to_owned()));
            let (id, by) = ("commit".to_owned(), "demo".to_owned());
            stage.directory().send(&Command { id, at: driver.now(), by, request: Request::Commit })?;
            asked = true;
        }
        match &driver.state().phase {
            Phase::Completed { .. } => break,
            Phase::RolledBack { cause, .. } => observed("nothing was wrong the second time", false, cause)?,
            _ => {}
        }
    }
    let weight = stage.balancer.weight();
    observed("the balancer is at 100%", weight == Weight::FULL, weight)?;
    let source_replicas = stage.source_replicas().await?;
    observed("blue was scaled to zero after commit", source_replicas == 0, source_replicas)?;
    let afterwards = stage.afterwards(Side::Source, AFTERWARDS).await;
    observed("green is given everything", afterwards.green == afterwards.requests, afterwards)?;
    let (requests, failed) = since(&before, &stage.traffic.report());
    observed("no request failed from 0 to 100% and through commit", failed == 0, failed)?;
    audience(Scene::Observed(format!("0 of {requests} requests failed from 0 to 100% and through commit")));
    Ok(RepairedAct { requests, failed, source_replicas, afterwards })
}

/// One pass, shown, and the rest after it.
async fn pass(
    driver: &mut Driver,
    started: Timestamp,
    audience: &mut impl FnMut(Scene<'_>),
) -> Result<Report, DemoError> {
    let made = driver.pass().await?;
    audience(Scene::Pass(&made.report));
    let late = driver.now().duration_since(started) > CURTAIN;
    observed("the act ends in time", !late, &made.report.waiting)?;
    if !made.moved && !driver.state().phase.is_terminal() {
        driver.rest().await;
    }
    Ok(made.report)
}

/// Requests that came to an end between two reports, and how many of them failed.
fn since(before: &traffic::Report, after: &traffic::Report) -> (u64, u64) {
    (after.settled() - before.settled(), after.failed() - before.failed())
}

/// How often the stage is looked at while something on it is awaited.
const LOOK: Duration = Duration::from_millis(10);
