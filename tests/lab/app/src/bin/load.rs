//! The lab's load client; prints its counts as JSON when it ends, also when it is told to end early.

use clap::Parser;
use crossfade_lab_app::{load, signals};
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match load::run(load::Options::parse(), signals::told_to_end()).await {
        Ok(report) => {
            println!("{report:#}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}
