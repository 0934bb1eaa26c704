//! The two programs against each other: what the lab's conclusions rest on.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A running workload, ended with the test whatever its outcome.
struct App {
    process: Child,
    traffic: SocketAddr,
    admin: SocketAddr,
}

impl App {
    fn start(drain: &str) -> Result<Self> {
        let (traffic, admin) = (free_address()?, free_address()?);
        let process = Command::new(env!("CARGO_BIN_EXE_app"))
            .args(["serve", "--cluster", "blue", "--drain", drain])
            .args(["--listen", &traffic.to_string(), "--admin-listen", &admin.to_string()])
            .spawn()?;
        let app = Self { process, traffic, admin };
        // Bounded by the test runner; the port opens within milliseconds.
        while !ask(app.traffic, "GET", "/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            std::thread::yield_now();
        }
        Ok(app)
    }

    fn terminate(&self) -> Result<()> {
        let ended = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status()?;
        assert!(ended.success());
        Ok(())
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// The whole answer to one request on a connection of its own.
fn ask(address: SocketAddr, method: &str, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "{method} {path} HTTP/1.1\r\nhost: app\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// A finished run of the load client.
fn load(address: SocketAddr, arguments: &[&str]) -> Result<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_load"))
        .args(["--url", &format!("http://{address}/")])
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()?;
    assert!(output.status.success());
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[test]
fn the_two_count_the_same() -> Result<()> {
    let app = App::start("0s")?;
    let _ = ask(app.admin, "POST", "/fault?mode=5xx&rate=0.1")?;
    let report = load(app.traffic, &["--requests", "200", "--rate", "2000", "--keepalive"])?;
    assert_eq!(report["sent"], 200);
    assert_eq!(report["responses"]["blue"]["200"], 180);
    assert_eq!(report["responses"]["blue"]["500"], 20);
    assert_eq!(report["failed"], 20);
    let metrics = ask(app.traffic, "GET", "/metrics")?;
    assert!(metrics.contains("http_requests_total{code=\"200\"} 180\n"), "{metrics}");
    assert!(metrics.contains("http_requests_total{code=\"500\"} 20\n"), "{metrics}");
    Ok(())
}

#[test]
fn a_pod_that_is_told_to_end_first_says_so_and_still_answers() -> Result<()> {
    let mut app = App::start("2s")?;
    app.terminate()?;
    while ask(app.traffic, "GET", "/readyz")?.starts_with("HTTP/1.1 200") {
        std::thread::yield_now();
    }
    let answer = ask(app.traffic, "GET", "/")?;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
    assert!(app.process.wait()?.success());
    assert!(TcpStream::connect(app.traffic).is_err());
    Ok(())
}

#[test]
fn a_hanging_server_is_counted_and_not_waited_for() -> Result<()> {
    let app = App::start("0s")?;
    let _ = ask(app.admin, "POST", "/fault?mode=hang")?;
    let report =
        load(app.traffic, &["--requests", "50", "--rate", "500", "--connections", "20", "--timeout", "300ms"])?;
    assert_eq!(report["sent"], 20);
    assert_eq!(report["shed"], 30);
    assert_eq!(report["timeouts"], 20);
    assert_eq!(report["failed"], 20);
    Ok(())
}

#[test]
fn nobody_there_is_a_connect_error() -> Result<()> {
    let report = load(free_address()?, &["--requests", "5", "--rate", "500"])?;
    assert_eq!(report["connectErrors"], 5);
    assert_eq!(report["answered"], 0);
    Ok(())
}

#[test]
fn a_run_without_a_bound_is_refused() -> Result<()> {
    let status = Command::new(env!("CARGO_BIN_EXE_load")).args(["--url", "http://127.0.0.1:1/"]).output()?.status;
    assert_eq!(status.code(), Some(2));
    Ok(())
}
