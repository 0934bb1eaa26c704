//! Everything around it fails, one after the other, in the middle of a migration: the weights stay, users notice nothing, it says
//! what it waits for, and goes on by itself.
//!
//! `make test` lets a fault last some seconds, `make chaos` as long as an operator needs to come running.

use std::collections::BTreeSet;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::scenarios::{RATE, WAY, accepted, at_the_origin};
use super::stage::{Lab, Load, Run, is_whole, lab as order};

/// How long a fault lasts.
fn lasting(sample: u64, whole: u64) -> Duration {
    Duration::from_secs(if is_whole() { whole } else { sample })
}

/// What is to be seen of one fault.
struct Trouble<'a> {
    lab: &'a Lab,
    load: &'a Load<'a>,
    /// Requests that had failed when the last fault was over.
    failed: u64,
}

impl Trouble<'_> {
    /// Lets a fault begin, last and end. The weights may not move meanwhile; what it waited for is handed back.
    fn lasts(
        &mut self,
        run: &Run<'_>,
        what: &str,
        time: Duration,
        begin: impl FnOnce(),
        end: impl FnOnce(),
    ) -> BTreeSet<String> {
        begin();
        let (weights, before) = (self.lab.weights(), run.reports().len());
        // Not to wait for something, but because the fault is that it lasts.
        sleep(time);
        assert_eq!(self.lab.weights(), weights, "{what} moved the weights");
        let reports = run.reports();
        let reasons = reports[before..].iter().filter_map(|report| report["waiting"]["reason"].as_str());
        let reasons: BTreeSet<String> = reasons.map(str::to_owned).collect();
        end();
        let counts = self.load.answered(u64::from(RATE));
        let failed = counts.number("failed") - self.failed;
        self.failed += failed;
        println!(
            "  {what}, {} s at {}%: {failed} of {} requests so far failed; it waited for {reasons:?}",
            time.as_secs(),
            weights.1,
            counts.number("sent")
        );
        reasons
    }
}

fn signal(run: &Run<'_>, signal: &str) {
    assert!(Command::new("kill").args([signal, &run.id().to_string()]).status().unwrap().success());
}

#[test]
fn g_whatever_stops_for_a_while_it_goes_on_by_itself() {
    let lab = Lab::reset();
    let load = lab.load(RATE, "1500s");
    let mut run = lab.run(&lab.file("6s"));
    let mut trouble = Trouble { lab: &lab, load: &load, failed: 0 };
    let ((weights, ()), held) = {
        let mut held = Vec::new();
        let watched = lab.watched(&WAY, || {
            let mut stopped = |run: &Run<'_>, part: &str, time| {
                let (stop, start) = (|| order(&["stop", part]), || order(&["start", part]));
                let reasons = trouble.lasts(run, &format!("{part} stopped"), time, stop, start);
                held.push((part.to_owned(), reasons));
            };
            run.until_shows(1);
            stopped(&run, "blue-apiserver", lasting(15, 120));
            run.until_shows(25);
            stopped(&run, "green-apiserver", lasting(15, 120));
            run.until_shows(50);
            stopped(&run, "green-etcd", lasting(3, 10));
            run.until_shows(100);
            stopped(&run, "blue-etcd", lasting(3, 10));
            let (freeze, thaw) = (|| signal(&run, "-STOP"), || signal(&run, "-CONT"));
            trouble.lasts(&run, "frozen by SIGSTOP", lasting(5, 30), freeze, thaw);
            run.until_waiting("Commit", 100);
        });
        (watched, held)
    };
    for (part, reasons) in &held[..2] {
        assert!(reasons.contains("Unobserved"), "{part}: {reasons:?}");
    }
    assert_eq!((&weights.reached[..], &weights.outside[..]), (&WAY[..], &[][..]));
    lab.nobody_failed(&load.now());
    accepted(&lab, &["abort", "--why", "the test has seen enough"]);
    assert_eq!(run.exit(), 3);
    at_the_origin(&lab);
    let counts = load.end();
    lab.nobody_failed(&counts);
    println!("0 of {} requests failed; 0 of {} samples of the weights outside", counts.number("sent"), weights.samples);
}

#[test]
fn h_a_full_disk_holds_and_does_not_stop_the_way_back() {
    let lab = Lab::reset();
    let disk = lab.small_disk();
    let load = lab.load(RATE, "600s");
    let mut run = lab.run(&lab.file("5s"));
    run.until_shows(1);
    let mut trouble = Trouble { lab: &lab, load: &load, failed: 0 };
    // One window and more: with room it would have gone on to 25 %.
    trouble.lasts(&run, "the state directory's disk full", lasting(8, 60), || disk.fill(), || ());
    assert!(run.errors().contains("cannot be recorded"), "{}", run.errors());
    disk.free();
    run.until_shows(25);
    lab.nobody_failed(&load.now());

    disk.fill();
    order(&["fault", "green", "5xx", "0.5"]);
    lab.until("it is back", Duration::from_secs(60), || (lab.weights() == (100, 0)).then_some(()));
    // That it is back is not said before it can be recorded.
    disk.free();
    assert_eq!(run.exit(), 3);
    at_the_origin(&lab);
    drop(load);
    println!("held at 1% while nothing could be recorded; a bad target was left all the same");
}

fn restart_edge(lab: &Lab) {
    order(&["stop", "haproxy"]);
    order(&["start", "haproxy"]);
    lab.until("HAProxy answers", Duration::from_secs(10), || lab.try_weights().ok());
}

#[test]
fn i_an_edge_that_was_restarted_is_drift_until_somebody_decides() {
    let lab = Lab::reset();
    let before = lab.load(RATE, "600s");
    let mut run = lab.run(&lab.file("5s"));
    run.until_shows(25);
    // What a restart of the edge itself costs its users is not counted here.
    lab.nobody_failed(&before.end());
    restart_edge(&lab);
    let load = lab.load(RATE, "600s");
    run.until("it holds", |report| report["waiting"]["reason"] == "Drift");
    load.answered(5 * u64::from(RATE));
    assert_eq!(lab.weights(), (100, 0), "what a restart made of the weights is not overwritten");

    // Put back what is named as expected, target first, and it goes on.
    let expected = run.reports().pop().unwrap()["waiting"]["expected"].as_u64().unwrap() / 100;
    lab.haproxy(&format!("set server checkout/green weight {expected}"));
    lab.haproxy(&format!("set server checkout/blue weight {}", 100 - expected));
    run.until_shows(50);
    lab.nobody_failed(&load.end());

    restart_edge(&lab);
    run.until("it holds again", |report| report["waiting"]["reason"] == "Drift");
    let load = lab.load(RATE, "600s");
    accepted(&lab, &["abort"]);
    assert_eq!(run.exit(), 3);
    at_the_origin(&lab);
    load.answered(u64::from(RATE));
    lab.nobody_failed(&load.end());
    println!("restarted twice: held as drift, went on once, went back once; 0 requests failed beside the restarts");
}

#[test]
fn j_a_link_that_is_cut_is_nobodys_fault() {
    let lab = Lab::reset();
    let load = lab.load(RATE, "1500s");
    let mut run = lab.run(&lab.file("5s"));
    run.until_shows(1);
    // Nothing of the migration goes between the clusters: it goes on meanwhile.
    order(&["cut", "blue", "green"]);
    run.until_shows(25);
    order(&["mend", "blue", "green"]);
    lab.nobody_failed(&load.now());

    let mut trouble = Trouble { lab: &lab, load: &load, failed: 0 };
    let (cut, mend) = (|| order(&["cut", "edge", "green"]), || order(&["mend", "edge", "green"]));
    let reasons = trouble.lasts(&run, "the edge cut off from green", lasting(8, 120), cut, mend);
    assert!(reasons.contains("MetricNoData"), "{reasons:?}");
    run.until_waiting("Commit", 100);
    let counts = load.end();
    // The edge finds out by its checks, every half second and two in a row; what was on its way to green until then is its loss.
    let (failed, most) = (counts.number("failed"), 2 * u64::from(RATE) * 50 / 100);
    assert!(failed <= most, "{failed} of {} failed, the checks explain {most}", counts.number("sent"));
    println!("{failed} of {} requests failed, all before the edge's own checks saw the cut", counts.number("sent"));
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "how long a step took is measured by another clock than the one that is set"
)]
fn n_a_clock_that_is_set_neither_hurries_nor_ends_anything() {
    const HOUR: i64 = 3600;
    let lab = Lab::reset();
    let wall = lab.wall();
    let load = lab.load(RATE, "600s");
    let file = lab.file("5s");
    let window = Duration::from_secs(5);
    let (weights, mut run) = lab.watched(&WAY, || {
        let mut run = lab.run_by(&wall, &file);
        run.until_shows(1);
        let shown = Instant::now();
        wall.set(HOUR);
        assert!((HOUR - 2..=HOUR + 2).contains(&wall.seen()), "{}", wall.seen());
        run.until_shows(25);
        assert!(shown.elapsed() > window - Duration::from_secs(1), "set forth: a step took {:?}", shown.elapsed());
        wall.set(-60);
        run.until_shows(50);
        run.kill();
        // It starts a minute before the last record of its journal.
        let mut run = lab.run_by(&wall, &file);
        run.until_shows(100);
        run.kill();
        // And three hours after it; no deadline has passed, and no window.
        wall.set(3 * HOUR);
        let mut run = lab.run_by(&wall, &file);
        run.until_waiting("Commit", 100);
        run
    });
    assert_eq!((&weights.reached[..], &weights.outside[..]), (&WAY[..], &[][..]));
    wall.set(0);
    accepted(&lab, &["abort", "--why", "the test has seen enough"]);
    assert_eq!(run.exit(), 3);
    at_the_origin(&lab);
    let counts = load.end();
    lab.nobody_failed(&counts);
    println!("set an hour forth, back, and three hours forth; 0 of {} requests failed", counts.number("sent"));
}
