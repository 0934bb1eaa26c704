//! Everything that is tested from outside, in one binary.
//!
//! `cargo test` runs what needs nothing but this machine; `make test` adds the lab with `--features lab`.

mod architecture;
mod cli;
#[cfg(feature = "lab")]
mod lab;
