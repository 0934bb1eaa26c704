//! Killed at every action, from 0 to 100 and on the way back: the same end, and no user notices.
//!
//! Each process is killed by the kernel at one record of its journal, and the next goes on. A point is new twice; where a start
//! leads to points that were had already, the next process lives one record longer, so that each life has its own end. `make
//! test` kills at a sample, `make chaos` everywhere.

use std::collections::BTreeSet;

use crossfade::act::journal::{self, Record};
use crossfade::migration::state::{Entry, Standing};
use crossfade::migration::{Phase, State};
use serde_json::Value;

use super::scenarios::{RATE, WAY, at_the_origin};
use super::stage::{Kill, Lab, Load, is_whole, shows};

/// Lives after which a migration has come nowhere: each point costs two at most, and there are some hundred.
const MOST: usize = 400;

/// Lives of a sample that end before their time.
const SAMPLE: usize = 12;

/// A record no migration of this size reaches.
const NEVER: u32 = 60_000;

/// The end of one process.
struct Death {
    /// The first thing it recorded.
    start: String,
    /// Where it was killed: records that were written at once are one point each.
    points: Vec<String>,
    /// Whether an action was recorded and not begun: the next process begins with the same one.
    open: bool,
    /// Requests sent by then, and how many of them failed.
    requests: (u64, u64),
}

impl Death {
    fn read(lab: &Lab, load: &Load<'_>, kill: Kill) -> Self {
        let records = journal::read(&lab.journal()).unwrap();
        let opened = records.iter().rposition(|record| matches!(record, Record::Opened { .. })).unwrap();
        let life = &records[opened..];
        let counts = load.now();
        Self {
            start: life.get(1).map(|record| point(record, Kill::After(2))).unwrap_or_default(),
            points: points(life, kill),
            open: matches!((life.last(), kill), (Some(Record::Intent { .. }), Kill::After(_))),
            requests: (counts.number("sent"), counts.number("failed")),
        }
    }
}

/// Where a process was killed: at its last record, and at those of the same sort that may have been written with it.
fn points(life: &[Record], kill: Kill) -> Vec<String> {
    let sort = std::mem::discriminant(life.last().unwrap());
    let together = life.iter().rev().take_while(|record| std::mem::discriminant(*record) == sort);
    let mut points: Vec<String> = together.map(|record| point(record, kill)).collect();
    points.reverse();
    points
}

/// One record, and where that was, in words.
fn point(last: &Record, kill: Kill) -> String {
    match (last, kill) {
        (Record::Opened { .. }, _) => "taken over".to_owned(),
        (Record::State { state, .. }, _) => format!("decided: {}", stage(state)),
        (Record::Intent { action, .. }, Kill::After(_)) => recorded(action),
        (Record::Intent { action, .. }, Kill::Before(_)) => carried_out(action),
        (Record::Outcome { action, .. }, _) => format!("{action}: its answer recorded"),
    }
}

fn recorded(action: impl std::fmt::Display) -> String {
    format!("{action}: recorded, not begun")
}

fn carried_out(action: impl std::fmt::Display) -> String {
    format!("{action}: carried out, its answer not recorded")
}

fn stage(state: &State) -> String {
    let weight = state.highest_weight();
    let is_moving = state.ledger.values().any(|entry| matches!(entry, Entry::Moving { .. }));
    match &state.phase {
        Phase::Shifting(_) if is_moving => format!("go to {weight}"),
        Phase::Shifting(shifting) if matches!(shifting.standing, Standing::Settled(_)) => {
            format!("{weight} is reached")
        }
        Phase::Shifting(shifting) => format!("step {}, from {weight}", shifting.step + 1),
        Phase::Committing { stage, .. } => format!("Committing, {stage:?}"),
        phase => phase.name().to_owned(),
    }
}

/// Starts one process after the other until one comes to the end; `next` says where each is killed.
fn killed_until_it_ends(
    lab: &Lab,
    load: &Load<'_>,
    answer: fn(&Value) -> Option<&'static str>,
    mut next: impl FnMut(&[Death]) -> Kill,
) -> (Vec<Death>, i32) {
    let file = lab.file("5s");
    let mut deaths = Vec::new();
    while deaths.len() < MOST {
        let kill = next(&deaths);
        let mut run = lab.run_killed(&file, kill);
        if let Some(code) = run.until_gone(answer) {
            return (deaths, code);
        }
        deaths.push(Death::read(lab, load, kill));
    }
    panic!("{MOST} lives were not enough: {}", deaths.last().map(|death| death.points.join(", ")).unwrap_or_default());
}

/// Every record: after each, and before each answer.
fn everywhere() -> impl FnMut(&[Death]) -> Kill {
    let (mut at, mut deepest) = (0, 0);
    move |deaths| {
        if let [before @ .., last] = deaths {
            if before.last().is_some_and(|before| before.start != last.start) {
                deepest = 0;
            }
            // A decision may be recorded twice before its action begins: what has lasted since belongs to it.
            let is_new = before.iter().filter(|death| death.points.last() == last.points.last()).count() < 2;
            let deeper = if is_new { at } else { deepest.max(at) + 1 };
            at = match (is_new, last.open) {
                (true, true) => at + 1,
                (true, false) => 0,
                (false, _) => deeper,
            };
            deepest = deepest.max(deeper);
        }
        if at % 2 == 0 { Kill::After(at / 2 + 2) } else { Kill::Before(at / 2 + 3) }
    }
}

/// Some records, about a dozen.
fn some() -> impl FnMut(&[Death]) -> Kill {
    |deaths| match deaths.len() {
        SAMPLE.. => Kill::After(NEVER),
        lives if lives % 4 == 0 => Kill::After(4),
        lives if lives % 4 == 1 => Kill::Before(9),
        lives if lives % 4 == 2 => Kill::After(7),
        _ => Kill::Before(5),
    }
}

/// The table, and that it leaves no action out of those after the first `records` where none may be.
fn tell(lab: &Lab, deaths: &[Death], records: usize) {
    for (number, death) in deaths.iter().enumerate() {
        let (sent, failed) = death.requests;
        let more = death.points.len() - 1;
        let with = if more > 0 { format!(", and {more} more with it") } else { String::new() };
        println!("  {:>3}  {sent:>7} {failed:>7}  {}{with}", number + 1, death.points[more]);
    }
    if is_whole() {
        let points: BTreeSet<&str> = deaths.iter().flat_map(|death| &death.points).map(String::as_str).collect();
        for record in journal::read(&lab.journal()).unwrap().into_iter().skip(records) {
            let Record::Intent { action, .. } = record else { continue };
            for point in [recorded(&action), carried_out(&action)] {
                assert!(points.contains(point.as_str()), "never killed at: {point}");
            }
        }
    }
}

#[test]
fn e_killed_at_every_action_of_a_migration() {
    let lab = Lab::reset();
    let load = lab.load(RATE, "1500s");
    let committed = |report: &Value| (report["waiting"]["reason"] == "Commit").then_some("commit");
    let (weights, (deaths, code)) = lab.watched(&WAY, || {
        if is_whole() {
            killed_until_it_ends(&lab, &load, committed, everywhere())
        } else {
            killed_until_it_ends(&lab, &load, committed, some())
        }
    });
    assert_eq!(code, 0);
    load.answered(u64::from(RATE));
    let counts = load.end();
    println!("killed   sent  failed  at");
    tell(&lab, &deaths, 0);
    println!(
        "killed {} times on the way to 100 % and through the commit: {} requests, {} failed; {} samples of the weights, {} outside \
         their step",
        deaths.len(),
        counts.number("sent"),
        counts.number("failed"),
        weights.samples,
        weights.outside.len()
    );
    lab.nobody_failed(&counts);
    assert_eq!((&weights.reached[..], &weights.outside[..]), (&WAY[..], &[][..]));
    assert_eq!(lab.object("blue", "deployment", "checkout")["spec"]["replicas"], 0);
}

#[test]
fn f_killed_at_every_action_of_a_rollback() {
    let lab = Lab::reset();
    let load = lab.load(RATE, "600s");
    let mut run = lab.run(&lab.file("5s"));
    run.until_ever("it is at 25%", |report| shows(report, 25));
    run.kill();
    let records = journal::read(&lab.journal()).unwrap().len();
    let abort = |report: &Value| (report["phase"] == "Shifting").then_some("abort");
    // What was on its way when it was killed may be one step further.
    let (from, _) = lab.weights();
    let (weights, (deaths, code)) =
        lab.watched(&[100 - from, 0], || killed_until_it_ends(&lab, &load, abort, everywhere()));
    assert_eq!(code, 3);
    at_the_origin(&lab);
    load.answered(u64::from(RATE));
    let counts = load.end();
    println!("killed   sent  failed  at");
    tell(&lab, &deaths, records);
    println!(
        "killed {} times on the way back: {} requests, {} failed; {} samples of the weights, {} outside",
        deaths.len(),
        counts.number("sent"),
        counts.number("failed"),
        weights.samples,
        weights.outside.len()
    );
    lab.nobody_failed(&counts);
    assert_eq!((&weights.reached[..], &weights.outside[..]), (&[100 - from, 0][..], &[][..]));
    assert_eq!(lab.object("blue", "deployment", "checkout")["spec"]["replicas"], 3);
}
