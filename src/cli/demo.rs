//! `crossfade demo`.
use clap::Args;
#[derive(Debug, Args)]
pub(super) struct Demo {}
pub(super) async fn demo(_: &super::Global, _: Demo) -> anyhow::Result<super::Exit> {
    Ok(super::Exit::Done)
}
