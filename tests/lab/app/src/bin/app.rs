//! The lab's workload: `app serve` in the container, `app pause` in the pod's sandbox.

use clap::Parser;
use crossfade_lab_app::{serve, signals};
use std::process::ExitCode;

#[derive(Parser)]
#[command(version, about = "The lab's workload")]
enum Command {
    /// Serve HTTP until told to end.
    Serve(Box<serve::Options>),
    /// Do nothing until told to end, in the container that only holds a pod's namespaces open.
    Pause,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match Command::parse() {
        Command::Serve(options) => serve::run(*options).await,
        Command::Pause => signals::told_to_end().await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("app: {error}");
            ExitCode::FAILURE
        }
    }
}
