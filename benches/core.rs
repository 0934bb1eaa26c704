//! How fast the core is: deciding, playing stories, remembering, and taking up where another process ended.
//!
//! `make bench` prints a line for each beside its goal, or beside the least that the same machine can do in the same run.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on may end")]

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion};
use jiff::{SignedDuration, Timestamp};

use crossfade::act::directory::{Directory, HeldDirectory};
use crossfade::act::journal::{Journal, Record};
use crossfade::cluster::{ObjectRef, Replicas};
use crossfade::migration::snapshot::{MirrorView, MirroredObject, Observed, PlaneView, SidePair, SideSample, SideView};
use crossfade::migration::{Snapshot, State, decide};
use crossfade::observe::clock::Clock;
use crossfade::policy::{Assignment, SourceFile, Weight, load};
use crossfade::simulate::{Scenario, Stage, samples};

const WORKLOADS: usize = 1_000;
const PLANES: usize = 10;
/// Records of a journal that a process takes up: a day of a migration that waits for something that fails.
const RECORDS: usize = 1_000;

/// A migration of many planes, in the middle of a step, and a look at all of it.
fn crowd() -> (State, Snapshot) {
    let plane = |n| {
        format!(
            "    - {{name: plane-{n}, haproxy: {{address: \"unix:/run/{n}.sock\", backend: web, source: [blue], target: [green]}}}}\n"
        )
    };
    let planes: String = (0..PLANES).map(plane).collect();
    let text = format!(
        "apiVersion: crossfade.dev/v1alpha1\nkind: Migration\nmetadata: {{name: shop, namespace: shop}}\nspec:\n  source: {{context: blue}}\n  \
         target: {{context: green}}\n  workloads: {{namespaces: [shop]}}\n  planes:\n{planes}  policy: {{name: careful}}\n---\n\
         apiVersion: crossfade.dev/v1alpha1\nkind: ShiftPolicy\nmetadata: {{name: careful}}\nspec:\n  steps: [{{setWeight: 50}}, {{setWeight: 100}}]\n  \
         analysis:\n    interval: 1s\n    window: 10s\n    metrics: [{{name: errors, planeErrors: {{plane: plane-0}}, max: 1%, baseline: source}}]\n"
    );
    let definitions = load(&[SourceFile { name: "bench.yaml".into(), text }]).unwrap();
    let migration = definitions.migrations[0].clone();
    let policy = definitions.policy_of(&migration).unwrap().clone();
    let mut state = State::new(Arc::new(Assignment { migration, policy }), Timestamp::UNIX_EPOCH);
    let mut snapshot = look(&state.assignment);
    for _ in 0..6 {
        snapshot.now = snapshot.now.checked_add(SignedDuration::from_secs(1)).unwrap();
        state = decide(&state, &snapshot).state;
        // A plane shows what was written to it.
        if state.highest_weight() > Weight::ZERO {
            snapshot.planes.values_mut().for_each(|seen| *seen = Observed::Known(view(Weight::percent_saturating(50))));
        }
    }
    (state, snapshot)
}

fn view(weight: Weight) -> PlaneView {
    let side = SideView { usable: 4, in_flight: 0, counters: None };
    PlaneView { weight, setting: weight.basis_points().into(), source: side, target: side }
}

fn look(assignment: &Assignment) -> Snapshot {
    let workload = |n| ObjectRef::new("Deployment", "shop", format!("workload-{n:04}"));
    let pods = Replicas { desired: 4, ready: 4, updated: 4, available: 4, current: true };
    let all: BTreeMap<_, _> = (0..WORKLOADS).map(|n| (workload(n), pods)).collect();
    let objects = all.keys().map(|object| MirroredObject { object: object.clone(), in_sync: true }).collect();
    let counts = || SideSample::Counts { bad: 3.0, total: 5_000.0 };
    let sample = || SidePair { source: counts(), target: counts() };
    let planes = assignment.migration.planes.iter();
    Snapshot {
        now: Timestamp::UNIX_EPOCH,
        commands: Vec::new(),
        outcomes: Vec::new(),
        mirror: Observed::Known(MirrorView { objects, ..MirrorView::default() }),
        source: Observed::Known(all.clone()),
        target: Observed::Known(all),
        planes: planes.map(|plane| (plane.name.clone(), Observed::Known(view(Weight::ZERO)))).collect(),
        plane_problems: Vec::new(),
        metrics: assignment.policy.analysis.metrics.iter().map(|metric| (metric.name.clone(), sample())).collect(),
        learnt: Default::default(),
        ages: Default::default(),
        evaluated: None,
        share: sample(),
    }
}

fn deciding(criterion: &mut Criterion) {
    let (state, snapshot) = crowd();
    let decision = decide(&state, &snapshot);
    assert_eq!(decision.waiting.map(|waiting| waiting.reason()), Some("Window"), "the step is watched");
    criterion.bench_function("decide", |bench| bench.iter(|| decide(black_box(&state), black_box(&snapshot))));
}

fn playing(criterion: &mut Criterion) {
    let stage = Stage::new(samples().unwrap(), Scenario::default()).unwrap();
    let mut seed = 0;
    criterion.bench_function("story", |bench| {
        bench.iter(|| {
            seed += 1;
            stage.play(black_box(seed))
        });
    });
}

fn record(state: &State) -> Record {
    Record::State { at: Timestamp::UNIX_EPOCH, state: Box::new(state.clone()), answered: Vec::new() }
}

fn small() -> State {
    State::new(Arc::clone(&samples().unwrap()[0]), Timestamp::UNIX_EPOCH)
}

fn remembering(criterion: &mut Criterion, room: &Path) {
    let record = record(&small());
    let (mut journal, _) = Journal::open(&room.join("journal.jsonl")).unwrap();
    criterion.bench_function("journal", |bench| bench.iter(|| journal.append(black_box(&record)).unwrap()));
    // The least it can take: as many bytes, appended and synced.
    let line = vec![b'x'; serde_json::to_vec(&record).unwrap().len()];
    let mut bare = OpenOptions::new().create(true).append(true).open(room.join("bare")).unwrap();
    criterion.bench_function("journal-bare", |bench| {
        bench.iter(|| {
            bare.write_all(black_box(&line)).unwrap();
            bare.sync_data().unwrap();
        });
    });
}

fn taking_up(criterion: &mut Criterion, room: &Path) {
    let (state, snapshot) = (small(), look(&samples().unwrap()[0]));
    let directory = Directory::of(room, &state.assignment.migration);
    fs::create_dir_all(directory.journal().parent().unwrap()).unwrap();
    drop(HeldDirectory::open(&directory, &Clock::at(Timestamp::UNIX_EPOCH)).unwrap());
    let (mut journal, _) = Journal::open(&directory.journal()).unwrap();
    (0..RECORDS).for_each(|_| journal.append(&record(&state)).unwrap());
    let whole = fs::read(directory.journal()).unwrap();
    criterion.bench_function("restart", |bench| {
        bench.iter_batched(
            || fs::write(directory.journal(), &whole).unwrap(),
            |()| {
                let (held, left) = HeldDirectory::open(&directory, &Clock::at(Timestamp::UNIX_EPOCH)).unwrap();
                (decide(&left.unwrap(), &snapshot), held)
            },
            BatchSize::PerIteration,
        );
    });
}

/// Nanoseconds that one of a bench took.
fn measured(results: &Path, bench: &str) -> f64 {
    let text = fs::read(results.join(bench).join("new/estimates.json")).unwrap_or_default();
    let estimates: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    estimates.pointer("/median/point_estimate").and_then(serde_json::Value::as_f64).unwrap_or(f64::NAN)
}

fn main() {
    let results = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("criterion");
    let room = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let criterion = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    let mut criterion = criterion.sample_size(30).without_plots().output_directory(&results).configure_from_args();
    deciding(&mut criterion);
    playing(&mut criterion);
    remembering(&mut criterion, room.path());
    taking_up(&mut criterion, room.path());
    criterion.final_summary();
    // As a test each ran once, and there is nothing to tell.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let of = |bench| measured(&results, bench);
    println!("\ndecide, {WORKLOADS} workloads and {PLANES} planes   {:>9.1} µs   goal 100 µs", of("decide") / 1e3);
    println!("stories a minute and core               {:>9.0}      goal 1,000,000, watched", 60e9 / of("story"));
    println!(
        "journal append, synced                  {:>9.1} µs   {:.2} times a bare append and sync",
        of("journal") / 1e3,
        of("journal") / of("journal-bare")
    );
    println!(
        "journal of {RECORDS} records → first decision {:>9.1} ms   goal 2,000 ms, the clusters' answers not counted",
        of("restart") / 1e6
    );
}
