//! The load client: a bounded, evenly paced stream of requests, every one of them counted, none retried. IO.
//!
//! The pace is open-loop: requests are due by the clock, not by the answers, so a slow or hanging server is
//! not spared. What would go over the connection limit is not sent and is counted as shed, because a client
//! that waits in silence hides exactly the seconds that matter.

mod client;
mod counts;
mod latency;
mod options;

pub use counts::{Counts, Outcome};
pub use options::Options;

use client::Client;
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// How often the running counts are written out; tests wait for them, so it is a few times a second.
const LIVE_INTERVAL: Duration = Duration::from_millis(200);

/// Sends the load until it is done or `ended` resolves, waits for what is in flight, and returns the counts.
///
/// # Errors
/// When the URL cannot be used or the live file cannot be written.
pub async fn run(options: Options, ended: impl Future<Output = io::Result<()>>) -> io::Result<Value> {
    let counts = Arc::new(Mutex::new(Counts::default()));
    let client = Arc::new(Client::new(&options.url, options.keepalive)?);
    let began = Instant::now();
    let live = options.live.clone().map(|file| tokio::spawn(write_often(file, began, Arc::clone(&counts))));
    send(&options, began, &client, &counts, ended).await?;
    if let Some(live) = live {
        live.abort();
        // Its last write must be over before the final one, or it could replace it.
        let _ = live.await;
    }
    let report = locked(&counts).report(began.elapsed(), true);
    if let Some(file) = &options.live {
        write_whole(file, &report).await?;
    }
    Ok(report)
}

async fn send(
    options: &Options,
    began: Instant,
    client: &Arc<Client>,
    counts: &Arc<Mutex<Counts>>,
    ended: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    let slots = Arc::new(Semaphore::new(options.connections as usize));
    let mut ended = std::pin::pin!(ended);
    for number in 0..options.requests.unwrap_or(u64::MAX) {
        let due = Duration::from_nanos(number.saturating_mul(1_000_000_000) / u64::from(options.rate));
        if options.duration.is_some_and(|duration| due >= duration) {
            break;
        }
        tokio::select! {
            biased;
            result = &mut ended => { result?; break }
            () = tokio::time::sleep_until(began + due) => {}
        }
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            locked(counts).shed();
            continue;
        };
        locked(counts).sent();
        let (client, counts, limit) = (Arc::clone(client), Arc::clone(counts), options.timeout);
        tokio::spawn(async move {
            let asked = Instant::now();
            let outcome = tokio::time::timeout(limit, client.request()).await.unwrap_or(Outcome::TimedOut);
            locked(&counts).ended(outcome, asked.elapsed());
            drop(slot);
        });
    }
    // Every slot free means nothing in flight; each request is bounded by its own time-out.
    let _ = slots.acquire_many(options.connections).await;
    Ok(())
}

async fn write_often(file: PathBuf, began: Instant, counts: Arc<Mutex<Counts>>) {
    let mut ticks = tokio::time::interval(LIVE_INTERVAL);
    loop {
        ticks.tick().await;
        let report = locked(&counts).report(began.elapsed(), false);
        if let Err(error) = write_whole(&file, &report).await {
            eprintln!("load: {}: {error}", file.display());
        }
    }
}

/// Replaces the file in one move, so that a reader never sees half of it.
async fn write_whole(file: &Path, report: &Value) -> io::Result<()> {
    let mut partial = file.as_os_str().to_owned();
    partial.push(".partial");
    tokio::fs::write(&partial, format!("{report}\n")).await?;
    tokio::fs::rename(&partial, file).await
}

fn locked(counts: &Mutex<Counts>) -> std::sync::MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}
