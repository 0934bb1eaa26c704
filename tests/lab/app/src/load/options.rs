//! How much load, where to, and for how long.

use crate::duration;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of the load client. A run is always bounded, by time, by count or by both.
#[derive(clap::Parser, Clone, Debug)]
#[command(name = "load", version, about = "A bounded, evenly paced HTTP load that counts every answer")]
#[command(group(clap::ArgGroup::new("bound").required(true).multiple(true).args(["duration", "requests"])))]
pub struct Options {
    /// What to ask for, such as `http://10.213.0.21:8080/`.
    #[arg(long)]
    pub url: String,
    /// Requests per second.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub rate: u32,
    /// When to stop.
    #[arg(long, value_parser = duration::parse)]
    pub duration: Option<Duration>,
    /// After how many requests to stop.
    #[arg(long)]
    pub requests: Option<u64>,
    /// How many requests may be in flight; what is due above that is shed.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub connections: u32,
    /// How long one request may take, the connection's making included.
    #[arg(long, default_value = "5s", value_parser = duration::parse)]
    pub timeout: Duration,
    /// Use a connection for more than one request.
    #[arg(long)]
    pub keepalive: bool,
    /// A file that is replaced with the running counts several times a second.
    #[arg(long)]
    pub live: Option<PathBuf>,
}
