//! What the lab's own Prometheus has recorded, put through the gates again.

use std::path::Path;

use crossfade::analysis::backtest::Recording;
use crossfade::policy::Name;
use serde_json::Value;

use super::scenarios::RATE;
use super::stage::{Lab, lab as order};

/// Requests of so many seconds.
const fn of(seconds: u64) -> u64 {
    RATE as u64 * seconds
}

/// What `policy backtest` makes of a file, in JSON.
fn replayed(lab: &Lab, file: &Path, arguments: &[&str]) -> Value {
    let mut command = lab.crossfade();
    command.args(["policy", "backtest", "-o", "json", "-f"]).arg(file).args(arguments);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn m_what_prometheus_recorded_is_replayed_through_the_gates() {
    let lab = Lab::reset();
    let load = lab.load(RATE, "300s");
    load.answered(of(40));
    order(&["fault", "blue", "5xx", "0.2"]);
    load.answered(of(15));
    order(&["fault", "blue", "off"]);
    load.answered(of(30));
    let counts = load.end();

    let quantile = r#"      - name: p99
        quantile: {buckets: 'sum by (le) (increase(http_request_duration_seconds_bucket{cluster="{{ cluster }}"}[{{ window }}]))', q: 0.99, max: 5}
      - name: by-code
        errorRate:
          errors: sum(increase(http_requests_total{cluster="{{ cluster }}",code=~"5.."}[{{ window }}]))
          total: sum(increase(http_requests_total{cluster="{{ cluster }}"}[{{ window }}]))
          strata: code
        max: 1%
        baseline: source
    share:"#;
    let file = lab.file_with(&[("    share:", quantile)]);
    let at = |name: &str| lab.state.path().join(name).display().to_string();
    let (recorded, drawn) = (at("recorded.json"), at("drawn.svg"));
    let asked = replayed(&lab, &file, &["--since", "80s", "--grain", "5s", "--save", &recorded, "--svg", &drawn]);
    // Weights are in basis points; at 100% there is nobody left to compare with.
    let below_full = |result: &Value| {
        let alarms = result["alarms"].as_array().unwrap().iter().filter(|alarm| alarm["weight"] != 10_000);
        alarms.cloned().collect::<Vec<_>>()
    };
    assert_eq!(below_full(&asked), [] as [Value; 0], "both sides of a divided fault have it: {asked:#}");
    assert_eq!(asked["leftOut"], serde_json::json!([]));
    let found = |metric: &str, regression: &str| {
        let detections = asked["detections"].as_array().unwrap().iter();
        let mut these = detections.filter(|one| one["metric"] == metric && one["regression"] == regression);
        these.any(|one| one["weight"] == 5_000 && one["found"].as_u64() > Some(0))
    };
    assert!(found("errors", "2x"), "{:#}", asked["detections"]);
    assert!(!found("p99", "2x"), "twice of some milliseconds is still within five seconds");

    let recording: Recording = serde_json::from_slice(&std::fs::read(&recorded).unwrap()).unwrap();
    let blue: Vec<_> = recording.metrics.values().flatten().filter_map(|grain| grain.source).collect();
    let sum = |of: fn(&(f64, f64)) -> f64| blue.iter().map(of).sum::<f64>();
    let (bad, all) = (sum(|grain| grain.0), sum(|grain| grain.1));
    let (failed, sent) = (counts.number("failed") as f64, counts.number("sent") as f64);
    assert!((0.8..1.25).contains(&(bad / failed)), "{bad} bad ones recorded, users saw {failed}");
    assert!(all > 0.7 * sent.min(of(80) as f64) && all < 1.25 * sent, "{all} recorded, {sent} sent");
    let strata: Vec<_> = recording.strata.values().flat_map(|strata| strata.keys()).collect();
    assert!(["200", "500"].iter().all(|code| strata.iter().any(|known| known == code)), "{strata:?}");
    let totals = ["errors", "by-code"].map(|metric| {
        let metric = Name::new(metric).unwrap();
        let grains = (0..recording.grains()).filter_map(|grain| recording.pooled(&metric, grain));
        grains.fold((0.0, 0.0), |sum, grain| (sum.0 + grain.0, sum.1 + grain.1))
    });
    let alike = |one: f64, other: f64| (0.98..1.02).contains(&(one / other));
    assert!(alike(totals[0].0, totals[1].0) && alike(totals[0].1, totals[1].1), "strata make up the whole: {totals:?}");
    let numbers = recording.numbers.values().flatten().filter(|grain| grain.source.is_some()).count();
    assert!(numbers >= 12, "{numbers} of 16 grains have a quantile");
    assert!(std::fs::read_to_string(&drawn).unwrap().starts_with("<svg"));

    assert_eq!(replayed(&lab, &file, &["--load", &recorded]), asked, "what was kept is what was asked");
    let alone = lab.file_with(&[("        baseline: source\n", "")]);
    let alarms = below_full(&replayed(&lab, &alone, &["--load", &recorded]));
    let told =
        |alarm: &Value| alarm["account"].as_str().is_some_and(|account| account.contains("above what is allowed"));
    assert!(!alarms.is_empty() && alarms.iter().all(told), "{alarms:#?}");
    println!(
        "{all:.0} requests recorded, {bad:.0} of them bad: 0 false alarms beside the source, {} without it",
        alarms.len()
    );
}
