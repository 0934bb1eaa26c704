//! Everything that is tested from outside, in one binary.
//!
//! `cargo test` runs what needs nothing but this machine; `make test` adds the lab with `--features lab`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod architecture;
mod assess;
mod cli;
mod convert;
mod demo;
#[cfg(feature = "lab")]
mod lab;
