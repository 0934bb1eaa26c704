//! The format, the list, and the documents that speak of it.

use std::time::Duration;

use serde_json::json;

use super::exposition::FAMILIES;
use super::*;

fn report(verdict: &str) -> Report {
    let sample = json!({"counts": {"bad": 1.0, "total": 100.0}});
    let basis = json!({"kind": "errorRate", "window": "PT60S", "source": sample, "target": sample,
        "limits": {"max": 0.01, "baseline": null, "minSamples": 50, "onNoData": "hold"},
        "evidence": {"above": 0.5, "aboveIsProof": 2000.0, "worse": 0.1}});
    let metric = json!({"name": "errors", "verdict": verdict, "account": "said \"so\"", "basis": basis});
    let report = json!({
        "migration": "checkout", "at": "2026-01-01T00:00:00Z", "phase": "Shifting",
        "planes": [{"name": "edge", "desired": 2500, "observed": null}], "measuredShare": 0.25, "metrics": [metric],
        "share": null, "waiting": {"reason": "Approval"}, "message": "why", "needsHuman": false,
        "policy": {"name": "careful", "hash": "0"},
    });
    serde_json::from_value(report).unwrap()
}

fn telemetry() -> Telemetry {
    let telemetry = Telemetry::default();
    telemetry.told("shop", &report("pass"));
    telemetry.queries().took(Duration::from_millis(300), true);
    telemetry.queries().took(Duration::from_secs(60), false);
    telemetry
}

#[test]
fn says_what_a_report_says() {
    let text = telemetry().text();
    for line in [
        "crossfade_migration{namespace=\"shop\",name=\"checkout\",phase=\"Shifting\",waiting=\"Approval\"} 1",
        "crossfade_desired_weight_ratio{namespace=\"shop\",name=\"checkout\",plane=\"edge\"} 0.25",
        "crossfade_check_verdict{namespace=\"shop\",name=\"checkout\",metric=\"errors\",verdict=\"Pass\"} 1",
        "crossfade_check_value{namespace=\"shop\",name=\"checkout\",metric=\"errors\",side=\"target\"} 0.01",
        "crossfade_check_limit{namespace=\"shop\",name=\"checkout\",metric=\"errors\",end=\"max\"} 0.01",
        "crossfade_check_proof{namespace=\"shop\",name=\"checkout\",metric=\"errors\",question=\"above\"} 2000",
        "crossfade_decisions_total 1",
        "crossfade_query_duration_seconds_bucket{le=\"0.1\"} 0",
        "crossfade_query_duration_seconds_bucket{le=\"0.5\"} 1",
        "crossfade_query_duration_seconds_bucket{le=\"+Inf\"} 2",
        "crossfade_query_duration_seconds_sum 60.3",
        "crossfade_query_failures_total 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    assert!(
        !text.contains("crossfade_observed_weight_ratio{") && !text.contains("said"),
        "no plane was seen, and no message is told"
    );
}

#[test]
fn series_end_with_their_migration_and_do_not_add_up() {
    let telemetry = telemetry();
    let series =
        |telemetry: &Telemetry| telemetry.text().lines().filter(|line| line.contains("name=\"checkout\"")).count();
    let before = series(&telemetry);
    telemetry.told("shop", &report("fail"));
    assert_eq!(series(&telemetry), before, "a new verdict takes the place of the old one");
    telemetry.forget("shop", "checkout");
    assert_eq!(series(&telemetry), 0);
}

#[test]
fn a_rollback_is_counted_once_by_its_cause() {
    let telemetry = telemetry();
    let mut report = report("fail");
    report.cause = Some(Cause::MirrorDeadline { waiting: "pods".to_owned() });
    telemetry.told("shop", &report);
    telemetry.told("shop", &report);
    assert!(
        telemetry.text().contains("crossfade_rollbacks_total{reason=\"MirrorDeadline\"} 1"),
        "{}",
        telemetry.text()
    );
}

#[test]
fn the_document_has_every_family_and_no_other() {
    let row = |family: &exposition::Family| {
        let labels: Vec<_> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        format!("| `{}` | {} | {} | {} |", family.name, family.kind, labels.join(" "), family.help)
    };
    let rows: Vec<_> = FAMILIES.iter().map(row).collect();
    let document = include_str!("../../docs/metrics.md");
    let found: Vec<_> = document.lines().filter(|line| line.starts_with("| `crossfade_")).collect();
    assert_eq!(found, rows, "docs/metrics.md has to have these lines:\n{}", rows.join("\n"));
}
