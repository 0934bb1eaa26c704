//! The road, between two real clusters, behind a real HAProxy, judged by a real Prometheus, under load.
//!
//! The scenarios share one lab and run one after the other, each from a lab that was reset. They need `make lab-up`, and
//! fail without it.

mod adopt;
mod arrives;
mod controller;
mod conversion;
mod faults;
mod kills;
mod kinds;
mod latency;
mod planes;
mod replays;
mod scenarios;
mod stage;
