//! The lab's workload: `app serve` in the container, `app wait` in its hook, `app pause` in the pod's sandbox.

use clap::Parser;
use crossfade_lab_app::{duration, serve, signals};
use std::process::ExitCode;
use std::time::Duration;

#[derive(Parser)]
#[command(version, about = "The lab's workload")]
enum Command {
    /// Serve HTTP until told to end.
    Serve(Box<serve::Options>),
    /// Do nothing until told to end, in the container that only holds a pod's namespaces open.
    Pause,
    /// Wait that long and end: the pod's hook before it is told to end, in an image without a `sleep`.
    Wait {
        /// How long.
        #[arg(value_parser = duration::parse)]
        time: Duration,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match Command::parse() {
        Command::Serve(options) => serve::run(*options).await,
        Command::Pause => signals::told_to_end().await,
        Command::Wait { time } => {
            tokio::time::sleep(time).await;
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("app: {error}");
            ExitCode::FAILURE
        }
    }
}
