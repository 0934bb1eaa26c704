//! `crossfade demo`: a whole migration on this machine, for people to watch.

use clap::Args;

use super::output::{self, Format};
use super::progress::Progress;
use super::{Exit, Global};
use crate::demo::{self, Scene};

#[derive(Debug, Args)]
pub(super) struct Demo {}

pub(super) async fn demo(global: &Global, _: Demo) -> anyhow::Result<Exit> {
    let mut progress = Progress::new(Format::Text);
    let mut act = 0;
    let mut unseen = Ok(());
    let observations = demo::play(|scene| {
        if global.output != Format::Text || unseen.is_err() {
            return;
        }
        unseen = match scene {
            Scene::Set(programme) => {
                progress.say(&format!("On the stage, all inside this process:\n  {}", programme.join("\n  ")))
            }
            Scene::Act(title) => {
                act += 1;
                progress.say(&format!("\nAct {act}: {title}"))
            }
            Scene::Pass(report) => progress.show(report),
            Scene::Observed(what) => progress.say(&format!("         {what}")),
        };
    })
    .await?;
    unseen?;
    match global.output {
        Format::Text => progress.say(&format!(
            "\nEverything above was read back, not assumed. {} objects arrived on green; {} of {} requests failed while green \
             was broken, {} of {} after it was repaired.",
            observations.mirrored.len(),
            observations.fault.failed,
            observations.fault.requests,
            observations.repaired.failed,
            observations.repaired.requests,
        ))?,
        format => output::machine(format, &observations)?,
    }
    Ok(Exit::Done)
}
