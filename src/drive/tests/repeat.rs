//! Fail and repeat: whatever becomes of an action, it is repeated, and the end is the same.
//!
//! Nothing is listed by hand. Each scenario is played once to count its actions and decisions; then it is played again for every one
//! of them and for everything that can happen to it, by the very loop that drives real migrations. In every play each write is
//! compared with what was promised ([`super::ground`]), and what is left in the end with what the undisturbed play left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use tokio::time::{Duration, advance};

use super::ground::{Ground, Here, Shared, Weather, name};
use super::harm::{Harm, How, Place, Wall};
use super::*;
use crate::migration::adopt::{Memo, adopt};
use crate::migration::state::{Shifting, Standing};
use crate::policy::{RollbackMode, ShiftPolicy, SourceFile, Step, load};

/// Passes of one process that no scenario needs.
const MANY: usize = 300;

/// Whether it is time, by where it stands and what it waits for.
type When = fn(&State, Option<&WaitingOn>) -> bool;

/// Between two looks, as the policy has it.
const INTERVAL: Duration = Duration::from_secs(1);

/// A migration, what becomes of it, and who says what.
struct Scenario {
    name: &'static str,
    policy: fn(&mut ShiftPolicy),
    weather: Weather,
    /// When a person aborts, or asks for a rollback as the policy has it.
    leaves: Option<(When, Request)>,
    /// Whether it begins again once it went back.
    again: bool,
    ends: &'static str,
}

fn abort() -> Request {
    Request::Abort { why: String::new() }
}

fn rollback() -> Request {
    Request::Rollback { why: String::new() }
}

fn percent(percent: u16) -> Weight {
    Weight::percent_saturating(percent)
}

fn drills(policy: &mut ShiftPolicy) {
    policy.steps.insert(1, Step::Drill);
}

fn stepped(policy: &mut ShiftPolicy) {
    policy.rollback.mode = RollbackMode::Stepped;
}

fn gated(policy: &mut ShiftPolicy) {
    policy.rollback.mode = RollbackMode::CapacityGated;
}

fn in_order(policy: &mut ShiftPolicy) {
    policy.plane_order = vec![name("inner")];
}

fn has_mirrored(state: &State, waiting: Option<&WaitingOn>) -> bool {
    matches!(state.phase, Phase::Mirroring { .. }) && matches!(waiting, Some(WaitingOn::WorkloadReady { .. }))
}

fn soaks(state: &State, _: Option<&WaitingOn>) -> bool {
    matches!(state.phase, Phase::Soaking { .. })
}

fn drills_or_did(state: &State, _: Option<&WaitingOn>) -> bool {
    let Phase::Shifting(Shifting { standing, .. }) = &state.phase else { return false };
    matches!(standing, Standing::Drilling(_)) || !state.drills.is_empty()
}

fn goes_all_the_way(state: &State, _: Option<&WaitingOn>) -> bool {
    matches!(state.phase, Phase::Shifting(_) | Phase::Soaking { .. }) && state.highest_weight() == Weight::FULL
}

fn scenarios() -> Vec<Scenario> {
    let plain = |name| Scenario {
        name,
        policy: |_| {},
        weather: Weather::default(),
        leaves: None,
        again: false,
        ends: "Completed",
    };
    let bad = |name, from| Scenario {
        weather: Weather { bad_from: Some(percent(from)), ..Weather::default() },
        ends: "RolledBack",
        ..plain(name)
    };
    let left = |name, when, request| Scenario { leaves: Some((when, request)), ends: "RolledBack", ..plain(name) };
    vec![
        plain("to commit"),
        Scenario { policy: in_order, ..plain("to commit, plane by plane") },
        Scenario { policy: drills, ..plain("to commit by way of a drill") },
        bad("bad at 10 %", 10),
        bad("bad at 50 %", 50),
        bad("bad at 100 %", 100),
        left("aborted while mirroring", has_mirrored, abort()),
        left("aborted on its way to 100 %", goes_all_the_way, abort()),
        left("aborted while it soaks", soaks, abort()),
        Scenario { policy: drills, ..left("aborted in a drill", drills_or_did, abort()) },
        Scenario { policy: stepped, ..left("rolled back by steps", soaks, rollback()) },
        Scenario { policy: gated, ..left("rolled back as capacity allows", soaks, rollback()) },
        Scenario { again: true, ends: "Completed", ..bad("bad at 50 %, and begun again", 50) },
    ]
}

static ASSIGNMENT: LazyLock<Assignment> = LazyLock::new(|| {
    let file = SourceFile { name: "repeat.yaml".into(), text: include_str!("repeat.yaml").into() };
    let definitions = load(&[file]).unwrap();
    let migration = definitions.migrations[0].clone();
    Assignment { policy: definitions.policy_of(&migration).unwrap().clone(), migration }
});

fn assignment(scenario: &Scenario) -> Assignment {
    let mut assignment = ASSIGNMENT.clone();
    (scenario.policy)(&mut assignment.policy);
    assignment
}

/// How a process came to its end.
enum Life {
    /// It was ended.
    Cut,
    /// The migration has ended.
    Whole,
}

/// Passes until the migration or the process ends.
async fn live(scenario: &Scenario, ground: &Shared, mut driver: Driver) -> Life {
    for _ in 0..MANY {
        if driver.state().phase.is_terminal() {
            return Life::Whole;
        }
        let pass = driver.pass().await;
        if ground.lock().unwrap().ended {
            return Life::Cut;
        }
        let Pass { report, moved, .. } = pass.unwrap_or_else(|error| panic!("{}: {error}", scenario.name));
        let leaves = scenario.leaves.as_ref().filter(|(when, _)| when(driver.state(), report.waiting.as_ref()));
        let says = match report.waiting {
            _ if leaves.is_some() => leaves.map(|(_, request)| request.clone()),
            // A wall that was set forth in a drill makes it late.
            Some(WaitingOn::Approval | WaitingOn::DrillLate { .. }) => Some(Request::Approve),
            Some(WaitingOn::Commit) => Some(Request::Commit),
            _ => None,
        };
        says.into_iter().for_each(|request| ground.lock().unwrap().ask(request));
        if !moved {
            advance(INTERVAL).await;
        }
    }
    panic!("{}: stuck in {:?}", scenario.name, driver.state().phase);
}

/// What becomes of the state where a process ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Memory {
    Kept,
    /// It is lost, and made out anew.
    Lost,
}

/// Plays a scenario to its end; the world it leaves.
async fn play(scenario: &Scenario, harm: Option<Harm>, memory: Memory) -> Shared {
    let assignment = assignment(scenario);
    let window = Duration::try_from(assignment.policy.analysis.window).unwrap();
    let ground = Ground::new(scenario.weather, assignment.policy.weights().collect(), window, harm);
    let mut attempt = Attempt::Same;
    loop {
        let (clock, left) = ground.lock().unwrap().restart();
        let store = Box::new(Here(ground.clone()));
        let Ok(seat) = Seat::take(assignment.clone(), clock, store, left, attempt).await else { continue };
        let whole = match seat.taken_up() {
            TakenUp::Completed | TakenUp::RolledBack => Life::Whole,
            TakenUp::Fresh | TakenUp::Resumed { .. } => {
                live(scenario, &ground, seat.drive_in(Box::new(Here(ground.clone())))).await
            }
        };
        match whole {
            Life::Whole if scenario.again && attempt == Attempt::Same => {
                attempt = Attempt::Another;
                ground.lock().unwrap().clears_up();
            }
            Life::Whole => return ground,
            Life::Cut => {
                advance(Duration::from_secs(1)).await;
                if memory == Memory::Lost {
                    make_out(&ground).await;
                }
            }
        }
    }
}

/// The state is lost, and made out anew by what is kept on the target and by what the world shows.
async fn make_out(ground: &Shared) {
    let (memo, (source, planes), now) = {
        let mut ground = ground.lock().unwrap();
        let memo = ground.state().and_then(Memo::of);
        let Some(memo) = memo else { return };
        ground.forget();
        ground.ended = false;
        (memo, ground.seen(), Wall::truth())
    };
    let state = adopt(memo, &source, &planes, now).unwrap_or_else(|reasons| panic!("{reasons:?}"));
    Here(ground.clone()).decide(now, &state, Vec::new()).await.unwrap();
}

/// How often what was done to which kind of action.
#[derive(Default)]
struct Table(BTreeMap<(&'static str, How), usize>);

impl Table {
    /// Plays a scenario with some harm, and compares.
    async fn compare(&mut self, scenario: &Scenario, harm: Harm, memory: Memory, end: &str) {
        let (how, what) = (harm.how, format!("{}: {harm:?}", scenario.name));
        let ground = play(scenario, Some(harm), memory).await;
        let ground = ground.lock().unwrap();
        assert_eq!(ground.broken, Vec::<String>::new(), "{what}");
        assert_eq!(ground.end(), end, "{what}");
        if let Some(kind) = ground.struck {
            *self.0.entry((kind, how)).or_default() += 1;
        }
    }

    fn print(&self) {
        let kinds: BTreeSet<_> = self.0.keys().map(|(kind, _)| *kind).collect();
        let head: Vec<_> = How::ALL.iter().map(|how| format!("{how:?}")).collect();
        println!("{:<10}{}", "", head.iter().map(|how| format!("{how:>16}")).collect::<String>());
        for kind in kinds {
            let row = How::ALL.iter().map(|how| self.0.get(&(kind, *how)).map_or(String::new(), ToString::to_string));
            println!("{kind:<10}{}", row.map(|count| format!("{count:>16}")).collect::<String>());
        }
    }
}

/// What an undisturbed play leaves, its actions, and how many decisions it records.
async fn undisturbed(scenario: &Scenario) -> (String, usize, usize) {
    let ground = play(scenario, None, Memory::Kept).await;
    let ground = ground.lock().unwrap();
    assert_eq!(ground.broken, Vec::<String>::new(), "{}", scenario.name);
    assert!(ground.end().starts_with(scenario.ends), "{}: {}", scenario.name, ground.end());
    (ground.end(), ground.actions.len(), ground.decisions)
}

#[tokio::test(start_paused = true)]
async fn whatever_becomes_of_an_action_it_is_repeated_and_the_end_is_the_same() {
    let mut table = Table::default();
    for scenario in &scenarios() {
        let (end, actions, decisions) = undisturbed(scenario).await;
        for (number, how) in (0..actions).flat_map(|number| How::ALL.map(|how| (number, how))) {
            let harm = Harm::new(Place::Action(number), how);
            table.compare(scenario, harm.clone(), Memory::Kept, &end).await;
            // Twice in a row; or once, and the next process finds another wall.
            let more = match how {
                How::EndsUnrecorded | How::EndsAnswered => vec![],
                How::EndsRecorded => vec![Harm { wall: Wall::Back, ..harm }],
                How::EndsDone => vec![Harm { wall: Wall::Forth, ..harm }],
                _ => vec![Harm { times: 2, ..harm }],
            };
            for harm in more {
                table.compare(scenario, harm, Memory::Kept, &end).await;
            }
        }
        for (number, how) in (1..=decisions).flat_map(|number| How::OF_DECISIONS.map(|how| (number, how))) {
            for wall in [Wall::Right, Wall::Forth] {
                let harm = Harm { wall, ..Harm::new(Place::Decision(number), how) };
                table.compare(scenario, harm, Memory::Kept, &end).await;
            }
        }
        println!("{:<32} {actions:>3} actions {decisions:>3} decisions: {end}", scenario.name);
    }
    table.print();
    for kind in ["apply", "set", "restore", "drain", "scale", "release"] {
        for how in How::ALL {
            assert!(table.0.contains_key(&(kind, how)), "{how:?} never met {kind}");
        }
    }
    for how in How::OF_DECISIONS {
        assert!(table.0.contains_key(&("decision", how)), "{how:?} never met a decision");
    }
}

#[tokio::test(start_paused = true)]
async fn a_state_lost_at_any_action_is_made_out_anew_and_the_end_is_the_same() {
    let mut table = Table::default();
    // What a person wanted is lost with the state, so nobody wants anything here.
    for scenario in scenarios().iter().filter(|scenario| scenario.leaves.is_none() && !scenario.again) {
        let (end, actions, _) = undisturbed(scenario).await;
        for (number, how) in (0..actions).flat_map(|number| How::ALL.map(|how| (number, how))) {
            if how.ends() {
                table.compare(scenario, Harm::new(Place::Action(number), how), Memory::Lost, &end).await;
            }
        }
    }
    table.print();
    assert!(["apply", "set", "restore"].iter().all(|kind| table.0.contains_key(&(kind, How::EndsDone))));
}

/// So many passes, each second one silent or all of them.
async fn passes(ground: &Shared, driver: &mut Driver, number: usize, silent: impl Fn(usize) -> bool) -> usize {
    let before = ground.lock().unwrap().decisions;
    for pass in 0..number {
        ground.lock().unwrap().weather.silent = silent(pass);
        driver.pass().await.unwrap();
        advance(INTERVAL).await;
    }
    ground.lock().unwrap().decisions - before
}

#[tokio::test(start_paused = true)]
async fn a_metric_that_flickers_writes_nothing_and_a_silence_that_lasts_is_not_forgotten() {
    let mut assignment = ASSIGNMENT.clone();
    assignment.policy.steps.truncate(1);
    assignment.policy.soak = SignedDuration::from_hours(2);
    let window = Duration::try_from(assignment.policy.analysis.window).unwrap();
    let ground = Ground::new(Weather::default(), assignment.policy.weights().collect(), window, None);
    let another = async || {
        let (clock, left) = ground.lock().unwrap().restart();
        let store = Box::new(Here(ground.clone()));
        let seat = Seat::take(assignment.clone(), clock, store, left, Attempt::Same).await.unwrap();
        seat.drive_in(Box::new(Here(ground.clone())))
    };
    let mut driver = another().await;
    while !matches!(driver.state().phase, Phase::Soaking { .. }) {
        passes(&ground, &mut driver, 1, |_| false).await;
    }
    passes(&ground, &mut driver, 1, |_| false).await;
    assert_eq!(passes(&ground, &mut driver, 300, |pass| pass % 2 == 0).await, 0, "it flickers");
    // A tenth of its budget of ten minutes.
    assert_eq!(passes(&ground, &mut driver, 60, |_| true).await, 0);
    assert_eq!(passes(&ground, &mut driver, 200, |_| true).await, 1, "it has begun a minute ago");
    let since = |driver: &Driver| driver.state().lasting.clone();
    assert_eq!(ground.lock().unwrap().state().unwrap().lasting, since(&driver));
    let mut driver = another().await;
    assert_eq!((passes(&ground, &mut driver, 100, |_| true).await, since(&driver).len()), (0, 1), "it goes on");
    assert_eq!(passes(&ground, &mut driver, 1, |_| false).await, 1, "it is over");
    // A process that ends again and again comes to the same as one that goes on.
    passes(&ground, &mut driver, 5, |_| true).await;
    let mut driver = another().await;
    assert_eq!(passes(&ground, &mut driver, 1, |_| true).await, 1);
    for _ in 0..9 {
        driver = another().await;
        assert_eq!(passes(&ground, &mut driver, 2, |_| true).await, 0);
    }
    // Each of them was at work for a second between its looks.
    let silent = since(&driver)[&name("errors")].lasting(driver.now()).no_data;
    assert!(silent >= SignedDuration::from_secs(9), "{silent:#}");
}
