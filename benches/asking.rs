//! What asking costs: 500 metrics of 100 migrations, every second, over one pool of connections.
//!
//! The server is another process, so that the processor's time is that of asking, reading and judging alone. It answers each query of a look as a
//! Prometheus would. `cargo bench --bench asking`, or `make bench`; it fails where more than a tenth of a core is used.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench that cannot go on may end, and measures by the wall"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crossfade::analysis::ages::Ages;
use crossfade::analysis::prometheus::Servers;
use crossfade::analysis::questions::{EVALUATED, Questions};
use crossfade::analysis::record::{Record, Stage};
use crossfade::gate::{Verdict, slo};
use crossfade::policy::{Assignment, Name, SourceFile, load};
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};

const MIGRATIONS: usize = 100;
const METRICS: usize = 5;
const ROUNDS: u32 = 20;
/// Of a core.
const GOAL: f64 = 0.10;

fn main() {
    if std::env::args().any(|argument| argument == "--serve") {
        return serve();
    }
    let mut server =
        Command::new(std::env::current_exe().unwrap()).arg("--serve").stdout(Stdio::piped()).spawn().unwrap();
    let mut address = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut address).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let used = runtime.block_on(ask(address.trim()));
    server.kill().unwrap();
    server.wait().unwrap();
    println!(
        "{} metrics of {MIGRATIONS} migrations every second: {:.1} % of a core; goal {:.0} %",
        MIGRATIONS * METRICS,
        used * 100.0,
        GOAL * 100.0
    );
    assert!(used <= GOAL, "asking takes more than it may");
}

/// A migration of a namespace of its own, with metrics of its own.
fn assignment(number: usize, address: &str) -> Assignment {
    let metric = |index: usize| {
        let query = |which: &str| {
            format!(
                r#"sum(increase(requests_total{{cluster="{{{{ cluster }}}}",namespace="{{{{ namespace }}}}",m="{index}"{which}}}[{{{{ window }}}}]))"#
            )
        };
        serde_json::json!({"name": format!("m{index}"), "max": "1%", "baseline": "source",
            "errorRate": {"errors": query(r#",code=~"5..""#), "total": query("")}})
    };
    let metrics: Vec<_> = (0..METRICS).map(metric).collect();
    let policy = serde_json::json!({"apiVersion": "crossfade.dev/v1alpha1", "kind": "ShiftPolicy", "metadata": {"name": "p"},
        "spec": {"steps": [{"setWeight": 100}],
            "analysis": {"interval": "1s", "window": "30s", "prometheus": {"address": address}, "metrics": metrics}}});
    let migration = serde_json::json!({"apiVersion": "crossfade.dev/v1alpha1", "kind": "Migration",
        "metadata": {"name": "m", "namespace": format!("n{number}")},
        "spec": {"source": {"context": "blue"}, "target": {"context": "green"}, "workloads": {"namespaces": [format!("n{number}")]},
            "planes": [{"name": "edge", "embedded": {}}], "policy": {"name": "p"}}});
    let file = |value: serde_json::Value| SourceFile { name: "f".into(), text: value.to_string() };
    let mut definitions = load(&[file(migration), file(policy)]).unwrap();
    Assignment { migration: definitions.migrations.remove(0), policy: definitions.policies.remove(0) }
}

/// A migration that is driven, and what is remembered of it.
struct Driven {
    assignment: Assignment,
    ages: Ages,
    records: BTreeMap<Name, Record>,
}

impl Driven {
    fn new(assignment: Assignment) -> Self {
        Self { ages: Ages::of(&assignment.policy.analysis), assignment, records: BTreeMap::new() }
    }
}

/// Seconds of the processor for each second of the wall.
async fn ask(address: &str) -> f64 {
    let mut all: Vec<_> = (0..MIGRATIONS).map(|number| Driven::new(assignment(number, address))).collect();
    let servers = Servers::open();
    let since = Timestamp::from_second(1_000).unwrap();
    let (mut start, mut before) = (Instant::now(), processor());
    for round in 0..=ROUNDS {
        // The first round opens the connections.
        if round == 1 {
            (start, before) = (Instant::now(), processor());
        }
        let now = since + SignedDuration::from_secs(30 + i64::from(round));
        let looks = all.iter_mut().map(|driven| look(&servers, driven, since, now));
        let passes: usize = join_all(looks).await.into_iter().sum();
        assert_eq!(passes, MIGRATIONS * METRICS);
        let due = start + Duration::from_secs(u64::from(round));
        tokio::time::sleep_until(due.into()).await;
    }
    (processor() - before) / start.elapsed().as_secs_f64()
}

/// One look of one migration: two windows, ages and the share, as `observe` asks for them; how many metrics pass.
async fn look(servers: &Servers, driven: &mut Driven, since: Timestamp, now: Timestamp) -> usize {
    let Driven { assignment, ages, records } = driven;
    let assignment = &*assignment;
    let short = Questions::of(assignment);
    let long = Questions { window: now.duration_since(since), ..short };
    let queries = [short.of_metrics(), short.of_share(), ages.asked(&short), long.of_counts()].into_iter().flatten();
    let queries = queries.chain([EVALUATED.to_owned()]).collect();
    let prometheus = servers.of(assignment).unwrap().unwrap();
    let answers = prometheus.numbers(queries, Duration::from_secs(2)).await;
    let stage = Stage { step: 0, of: 1, since, settled: Some(since) };
    let analysis = &assignment.policy.analysis;
    let passes = analysis.metrics.iter().filter(|spec| {
        let totals = long.reading(since, &spec.source, &answers);
        let record = records.entry(spec.name.clone()).or_insert_with(|| Record::new(spec, analysis.window));
        let sample = short.sample(&spec.source, &answers).unwrap();
        let recent = short.reading_of(&sample, now - analysis.window, &spec.source, &answers);
        let learnt = record.look(now, stage, totals, recent.as_ref());
        assert!(ages.told(&short, &spec.source, &answers).is_some());
        slo::judge(spec, &sample, Some(&learnt), analysis.proof(spec)).verdict == Verdict::Pass
    });
    passes.count()
}

/// Seconds that this process has had the processor.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<u64> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse().unwrap())
        .collect();
    // Linux counts in hundredths of a second.
    fields.iter().sum::<u64>() as f64 / 100.0
}

/// A server that gives 1,000 requests and one bad one, whatever the metric.
fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("http://{}", listener.local_addr().unwrap());
    for stream in listener.incoming() {
        std::thread::spawn(move || answer(stream.unwrap()));
    }
}

fn answer(stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let (mut line, mut length) = (String::new(), 0);
        while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut form = vec![0; length];
        if length == 0 || reader.read_exact(&mut form).is_err() {
            return;
        }
        let form = String::from_utf8(form).unwrap();
        let each = form.split("label_replace").skip(1).enumerate().map(|(index, query)| {
            let value = if query.contains("code") {
                1
            } else if query.contains("timestamp") {
                2
            } else {
                1_000
            };
            format!(r#"{{"metric":{{"crossfade_query":"{index}"}},"value":[1700000000,"{value}"]}}"#)
        });
        let series = each.collect::<Vec<_>>().join(",");
        let body = format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{series}]}}}}"#);
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        if stream.write_all((head + &body).as_bytes()).is_err() {
            return;
        }
    }
}
