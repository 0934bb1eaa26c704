//! The `crossfade` program: the library does everything, this gives its answer to the shell.

use std::process::ExitCode;

fn main() -> ExitCode {
    crossfade::cli::main()
}
