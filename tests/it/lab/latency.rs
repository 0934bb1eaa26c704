//! How long a bad target goes on being used: from its first bad sample in Prometheus to HAProxy read back at the origin.
//!
//! The beginning is the last answer of Prometheus in which the policy's own query found nothing bad, the end the first answer of
//! HAProxy with the origin's weights; both are asked all the time, so what is told is never too short. A pass is made every
//! second, and what it finds is acted on in the same pass. `make test` does it three times, `make chaos` a hundred. What the
//! runs tell of themselves, and what Prometheus has recorded of them, is looked at on the way.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crossfade::analysis::prometheus::{Empty, Prometheus};
use crossfade::policy::{Name, PrometheusSpec};

use super::scenarios::{RATE, at_the_origin};
use super::stage::{Lab, is_whole, lab as order};

/// Between two questions, both to Prometheus and to HAProxy.
const ASK: Duration = Duration::from_millis(20);

/// What at most one in a hundred rollbacks may exceed.
const GOAL: Duration = Duration::from_secs(2);

/// What none may exceed on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(10);

/// The policy's query for bad requests, over its window.
const BAD: &str = r#"sum(increase(http_requests_total{cluster="green",code=~"5.."}[3s]))"#;

/// Watches from another thread, as the way back begins while the fault is still being switched on.
#[expect(clippy::disallowed_methods, reason = "how long something takes is measured by the wall")]
fn from_bad_to_back(lab: &Lab, address: &str) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (spec, name) =
        (PrometheusSpec { address: address.to_owned(), ..PrometheusSpec::default() }, Name::new("lab").unwrap());
    let prometheus = Prometheus::new(&spec, &name, Arc::new(Empty)).unwrap();
    let (start, mut asked) = (Instant::now(), Instant::now());
    while runtime.block_on(prometheus.number(BAD)).unwrap().is_none_or(|bad| bad <= 0.0) {
        assert!(start.elapsed() < PATIENCE, "the fault never showed in Prometheus");
        sleep(ASK);
        asked = Instant::now();
    }
    while lab.weights() != (100, 0) {
        assert!(asked.elapsed() < PATIENCE, "it did not go back");
        sleep(ASK);
    }
    asked.elapsed()
}

/// Where the runs of this scenario tell what they measure.
const METRICS: &str = "127.0.0.1:19797";

/// What a run tells of itself while it judges, as Prometheus' own linter reads it.
fn promtool_reads_what_is_measured() {
    let mut stream = TcpStream::connect(METRICS).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let metrics = answer.split_once("\r\n\r\n").unwrap().1;
    for told in [
        "crossfade_observed_weight_ratio{namespace=\"shop\",name=\"checkout\",plane=\"edge\"} 0.25",
        "metric=\"errors\",verdict=\"Pass\"} 1",
        "crossfade_check_proof{",
        "crossfade_query_failures_total 0",
    ] {
        assert!(metrics.contains(told), "{told} in\n{metrics}");
    }
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.spawn().unwrap();
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let said = promtool.wait_with_output().unwrap();
    assert!(
        said.status.success(),
        "{}{}",
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );
}

/// What Prometheus has recorded of the scenario, through the same gates, and once more from the file it was kept in.
fn what_was_recorded_is_replayed(lab: &Lab, file: &Path) {
    let (kept, drawn) = (lab.states().join("recorded.json"), lab.states().join("recorded.svg"));
    let backtest = |arguments: &[&str]| {
        let mut command = lab.crossfade();
        let output =
            command.args(["policy", "backtest", "-o", "json", "-f"]).arg(file).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let (kept, drawn) = (kept.to_str().unwrap(), drawn.to_str().unwrap());
    let result = backtest(&["--since", "60s", "--save", kept, "--svg", drawn]);
    let detections = result["detections"].as_array().unwrap();
    let found = |detection: &&serde_json::Value| !detection["medianSeconds"].is_null();
    println!("backtest of the scenario: {}", result["recorded"]);
    detections.iter().for_each(|detection| println!("  {detection}"));
    assert!(detections.iter().filter(found).count() > 0, "{result:#}");
    assert_eq!(backtest(&["--load", kept]), result, "the same from a file");
    assert!(std::fs::read_to_string(drawn).unwrap().contains("<polyline"));
}

/// The time that so many of a hundred do not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1]
}

#[test]
fn k_a_bad_target_is_left_within_two_seconds() {
    let lab = Lab::reset();
    let load = lab.load(RATE, "3600s");
    // It stays at 25 % until it goes back.
    let file = lab.file_with(&[
        ("window: 10s", "window: 3s"),
        ("    - setWeight: 1\n    - setWeight: 25\n", "    - setWeight: 25\n    - pause: {}\n"),
    ]);
    let rounds = if is_whole() { 100 } else { 3 };
    let mut took = Vec::new();
    for _ in 0..rounds {
        let mut run = lab.run_again(&file, METRICS);
        run.until("the evidence is good", |report| report["waiting"]["reason"] == "PauseStep");
        if took.is_empty() {
            promtool_reads_what_is_measured();
        }
        took.push(std::thread::scope(|scope| {
            let watch = scope.spawn(|| from_bad_to_back(&lab, lab.prometheus()));
            order(&["fault", "green", "5xx", "0.5"]);
            watch.join().unwrap()
        }));
        assert_eq!(run.exit(), 3);
        at_the_origin(&lab);
        order(&["fault", "green", "off"]);
    }
    drop(load);
    what_was_recorded_is_replayed(&lab, &file);
    took.sort();
    let bucket = |time: &Duration| time.as_millis() / 250;
    for number in 0..=bucket(took.last().unwrap()) {
        let count = took.iter().filter(|time| bucket(time) == number).count();
        println!("  {:>4}..{:<4} ms {count:>4} {}", number * 250, (number + 1) * 250, "#".repeat(count));
    }
    let [half, most, last] = [50, 99, 100].map(|percent| percentile(&took, percent));
    println!(
        "first bad sample to HAProxy at the origin, {rounds} rollbacks: p50 {half:.2?}, p99 {most:.2?}, max {last:.2?}"
    );
    if is_whole() {
        assert!(most <= GOAL, "p99 is {most:?}, the goal {GOAL:?}");
    }
}
