//! The scenarios that decide whether this is a migration controller.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::stage::{Lab, Run, is_whole, relay, shows, waits};

/// Requests a second: at 1 % of them a window still holds evidence.
pub const RATE: u32 = 200;

/// The weights of the lab's policy, from the origin on.
pub const WAY: [u32; 5] = [0, 1, 25, 50, 100];

/// What another terminal is answered.
pub fn accepted(lab: &Lab, arguments: &[&str]) {
    let output = lab.say(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// HAProxy is as it was before the first write.
pub fn at_the_origin(lab: &Lab) {
    assert_eq!(lab.weights(), (100, 0));
    assert_eq!(lab.stat("status")["blue"], "UP");
}

/// Whether a cluster has the shop's object of a kind.
fn has(lab: &Lab, cluster: &str, kind: &str) -> bool {
    lab.kubectl(cluster, &["get", kind, "checkout"]).status.success()
}

fn phases(run: &Run<'_>) -> Vec<String> {
    let mut phases: Vec<String> =
        run.reports().iter().map(|report| report["phase"].as_str().unwrap().to_owned()).collect();
    phases.dedup();
    phases
}

#[test]
fn a_from_0_to_100_and_commit_without_a_failed_request() {
    let lab = Lab::reset();
    let foreign = lab.foreign();
    let load = lab.load(RATE, "240s");
    load.answered(100);
    let file = lab.file("10s");
    let mut run = lab.run(&file);

    let (weights, report) = lab.watched(&WAY, || run.until_waiting("Commit", 100));
    assert_eq!(
        (&weights.reached[..], &weights.outside[..]),
        (&WAY[..], &[][..]),
        "each step once, and nothing beside it"
    );
    assert_eq!(report["measuredShare"], 1.0);
    let status = lab.status();
    assert_eq!(status["phase"], "Soaking", "another terminal sees the same");
    assert_eq!(lab.object("blue", "deployment", "checkout")["spec"]["replicas"], 3, "blue is whole until commit");

    accepted(&lab, &["commit"]);
    assert_eq!(run.exit(), 0);
    load.answered(200);
    let counts = load.end();
    lab.nobody_failed(&counts);
    assert!(counts.of("blue") > 1000 && counts.of("green") > 1000, "{counts:?}");
    for server in ["blue", "green"] {
        assert_eq!(lab.requests(server), counts.of(server), "HAProxy and the users count alike");
    }
    assert_eq!(lab.weights(), (0, 100));
    assert_eq!(lab.foreign(), foreign, "what is not ours is untouched");
    assert_eq!(lab.object("blue", "deployment", "checkout")["spec"]["replicas"], 0);
    for (kind, version) in [
        ("deployment", "apps/v1"),
        ("service", "v1"),
        ("configmap", "v1"),
        ("secret", "v1"),
        ("serviceaccount", "v1"),
        ("horizontalpodautoscaler", "autoscaling/v2"),
        ("poddisruptionbudget", "policy/v1"),
        ("ingress", "networking.k8s.io/v1"),
    ] {
        let object = lab.object("green", kind, "checkout");
        assert_eq!(object["apiVersion"], version);
        // Without any owner an object would count as everybody's from the next apply on, so our mark alone stays ours.
        let mark = serde_json::json!({"f:metadata": {"f:annotations": {"f:crossfade.dev/digest": {}}}});
        let owners = object["metadata"]["managedFields"].as_array().into_iter().flatten();
        let mut ours = owners.filter(|entry| entry["manager"] == "crossfade");
        assert!(ours.all(|entry| entry["fieldsV1"] == mark), "{kind} was released: {}", object["metadata"]);
    }
    println!(
        "{} requests, 0 failed: {} answered by blue, {} by green",
        counts.number("sent"),
        counts.of("blue"),
        counts.of("green")
    );
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long a rollback takes is measured by the wall")]
fn b_a_bad_target_at_25_is_rolled_back_to_the_origin() {
    let lab = Lab::reset();
    let load = lab.load(RATE, "180s");
    let file = lab.file("5s");
    let mut run = lab.run(&file);
    run.until_shows(25);
    let injected = Instant::now();
    super::stage::lab(&["fault", "green", "5xx", "0.5"]);
    assert_eq!(run.exit(), 3);
    let took = injected.elapsed();
    at_the_origin(&lab);
    let last = run.reports().pop().unwrap();
    assert_eq!(last["phase"], "RolledBack");
    assert_eq!((&last["cause"]["cause"], &last["cause"]["metric"]), (&"metricFailed".into(), &"errors".into()));
    assert!(last["cause"]["account"].as_str().unwrap().contains("bad"), "{last}");

    // The running counts are written a few times a second; once a second's worth more was answered they are from afterwards.
    let green = load.answered(u64::from(RATE)).of("green");
    let counts = load.answered(400);
    assert_eq!(counts.of("green"), green, "green is given nothing any more");
    let counts = load.end();
    assert_eq!(counts.of("blue") + counts.of("green"), counts.number("answered"));
    assert!(counts.number("failed") > 0, "the fault was real");
    assert_eq!(lab.object("blue", "deployment", "checkout")["spec"]["replicas"], 3);
    let failed = counts.number("failed");
    println!(
        "rolled back {took:.1?} after the fault was switched on; {failed} of {} requests failed",
        counts.number("sent")
    );
}

#[test]
fn c_without_prometheus_it_holds_and_goes_on_when_it_is_back() {
    let lab = Lab::reset();
    let load = lab.load(RATE, "600s");
    let probe = format!(
        "      - name: alive\n        probe: {{http: \"{}/{{{{ cluster }}}}\"}}\n        max: 1%\n",
        relay(&lab)
    );
    let clears = ("  onCommit: scaleToZero", "  onCommit: scaleToZero\n  onAbort: delete");
    let probes = ("    share:", &*format!("{probe}    share:"));
    let file = lab.file_with(&[("window: 10s", "window: 5s"), probes, clears]);
    let mut run = lab.run(&file);
    run.until_shows(25);
    super::stage::lab(&["stop", "prometheus"]);
    run.until_waiting("MetricError", 25);
    let held = run.reports().len();
    // Longer than the window (5 s) and the rollback's deadline (30 s), the two times the policy knows; or two minutes.
    let looks = if is_whole() { 120 } else { 35 };
    lab.until("it held", Duration::from_secs(240), || (run.reports().len() >= held + looks).then_some(()));
    let reports = run.reports();
    assert!(reports[held..].iter().all(|report| waits(report, "MetricError", 25)), "{:?}", phases(&run));
    assert_eq!(lab.weights(), (75, 25));

    super::stage::lab(&["start", "prometheus"]);
    run.until_shows(50);
    assert!(!phases(&run).contains(&"RollingBack".to_owned()));

    assert!(has(&lab, "green", "ingress"));
    assert!(lab.kubectl("blue", &["delete", "ingress", "checkout"]).status.success());
    lab.until("what is gone from blue goes from green", Duration::from_secs(20), || {
        (!has(&lab, "green", "ingress")).then_some(())
    });

    accepted(&lab, &["pause"]);
    run.until_waiting("Paused", 50);
    accepted(&lab, &["resume"]);
    run.until_shows(100);
    if is_whole() {
        a_fault_while_nobody_measures(&lab, run);
    } else {
        accepted(&lab, &["abort", "--why", "the test wants it back"]);
        assert_eq!(run.exit(), 3);
        at_the_origin(&lab);
        let cause = run.reports().pop().unwrap()["cause"].clone();
        assert_eq!(cause["why"], "the test wants it back");
        for kind in ["deployment", "service", "configmap", "secret", "hpa", "pdb"] {
            assert!(
                has(&lab, "blue", kind) && !has(&lab, "green", kind),
                "{kind}: the abort clears green, and green alone"
            );
        }
        lab.nobody_failed(&load.end());
    }
    println!("held at 25% through {looks} looks without Prometheus");
}

/// Prometheus is away and the target fails: probes see it, and it goes back by what they counted.
fn a_fault_while_nobody_measures(lab: &Lab, mut run: Run<'_>) {
    super::stage::lab(&["stop", "prometheus"]);
    let away = |report: &Value| report["metrics"][0]["verdict"] == "error";
    run.until("nobody can ask", away);
    super::stage::lab(&["fault", "green", "5xx", "1"]);
    assert_eq!(run.exit(), 3);
    at_the_origin(lab);
    let cause = run.reports().pop().unwrap()["cause"].clone();
    assert_eq!((&cause["cause"], &cause["metric"]), (&"metricFailed".into(), &"alive".into()), "{cause:#}");
    assert_eq!(cause["basis"]["kind"], "probe");
    println!("without Prometheus: {}", cause["account"]);
    super::stage::lab(&["fault", "green", "off"]);
    super::stage::lab(&["start", "prometheus"]);
}

#[test]
fn d_killed_in_the_middle_it_goes_on_to_the_same_end() {
    let lab = Lab::reset();
    let load = lab.load(RATE, "240s");
    let file = lab.file("5s");
    let kills: [fn(&Value) -> bool; 3] = [
        |report| report["phase"] == "Mirroring",
        |report| report["waiting"]["reason"] == "PlaneMoving",
        |report| shows(report, 50),
    ];
    let (weights, ()) = lab.watched(&WAY, || {
        for kill in kills {
            let mut run = lab.run(&file);
            run.until_ever("it is to be killed", kill);
            run.kill();
        }
        let mut run = lab.run(&file);
        run.until_waiting("Commit", 100);
        accepted(&lab, &["commit"]);
        assert_eq!(run.exit(), 0);
    });
    assert_eq!((&weights.reached[..], &weights.outside[..]), (&WAY[..], &[][..]), "no step twice, and no way back");
    load.answered(200);
    let counts = load.end();
    lab.nobody_failed(&counts);
    assert_eq!(lab.object("blue", "deployment", "checkout")["spec"]["replicas"], 0);
    println!("killed 3 times; 0 of {} requests failed", counts.number("sent"));
}
