//! The workload: an HTTP server with the manners a zero-downtime move needs, and a switch to lose them. IO.
//!
//! Its life has four stages. It is *starting* until its start delay has passed, *ready*, then *draining* from
//! SIGTERM on: readiness fails at once while requests are still answered, each with `connection: close`, so
//! that balancers notice before anything breaks. Last it is *closing*: no new connections, requests in flight
//! are finished, idle connections are closed, and the process ends.

mod answer;
mod fault;
mod metrics;
mod options;
mod stage;

pub use fault::{Fault, Mode};
pub use options::Options;

use crate::signals::told_to_end;
use answer::Workload;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use stage::Stage;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How long requests in flight may take once the process is closing. A hanging request must not keep a pod
/// past its grace period, and the kubelet kills at 30 s by default.
const CLOSING_LIMIT: Duration = Duration::from_secs(5);

/// Serves until SIGTERM or SIGINT, then drains, closes and returns.
///
/// # Errors
/// When a port cannot be bound or a signal handler cannot be installed.
pub async fn run(options: Options) -> io::Result<()> {
    let traffic = TcpListener::bind(options.listen).await?;
    let admin = TcpListener::bind(options.admin_listen).await?;
    let (stages, stage) = watch::channel(Stage::Starting);
    let (start_delay, drain) = (options.start_delay, options.drain);
    let workload = Arc::new(Workload::new(options, stage.clone()));
    tokio::spawn(serve_admin(admin, Arc::clone(&workload)));
    let serving = tokio::spawn(serve_traffic(traffic, workload, stage));
    live(&stages, start_delay, drain).await?;
    serving.await.map_err(io::Error::other)
}

async fn live(stages: &watch::Sender<Stage>, start_delay: Duration, drain: Duration) -> io::Result<()> {
    let mut ended = std::pin::pin!(told_to_end());
    tokio::select! {
        () = tokio::time::sleep(start_delay) => {
            stages.send_replace(Stage::Ready);
            ended.await?;
        }
        result = &mut ended => result?,
    }
    stages.send_replace(Stage::Draining);
    tokio::time::sleep(drain).await;
    stages.send_replace(Stage::Closing);
    Ok(())
}

async fn serve_traffic(listener: TcpListener, workload: Arc<Workload>, mut stage: watch::Receiver<Stage>) {
    let open = GracefulShutdown::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stage.wait_for(|stage| *stage == Stage::Closing) => break,
        };
        let Ok((stream, _)) = stream else { continue };
        let workload = Arc::clone(&workload);
        let service = service_fn(move |request| {
            let workload = Arc::clone(&workload);
            async move { workload.answer(&request).await }
        });
        let connection = hyper::server::conn::http1::Builder::new().serve_connection(ready_stream(stream), service);
        tokio::spawn(open.watch(connection));
    }
    drop(listener);
    // Past the limit the remaining requests end with the process, as they would under SIGKILL.
    let _ = tokio::time::timeout(CLOSING_LIMIT, open.shutdown()).await;
}

async fn serve_admin(listener: TcpListener, workload: Arc<Workload>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let workload = Arc::clone(&workload);
        let service = service_fn(move |request| {
            let answer = workload.administer(&request);
            async move { answer }
        });
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(ready_stream(stream), service));
    }
}

fn ready_stream(stream: TcpStream) -> TokioIo<TcpStream> {
    // A socket that refuses the option still serves, only slower.
    let _ = stream.set_nodelay(true);
    TokioIo::new(stream)
}
