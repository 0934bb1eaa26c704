//! Two clusters, two planes and a disk that are a few numbers, on paused time. What is promised is watched where it is written, by
//! nobody who asks `decide`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::time::{Duration, Instant};

use super::harm::{Harm, How, Moment, Wall};
use crate::act::executor::ActError;
use crate::act::journal::{self, Answered, JournalError, Record};
use crate::act::store::{Store, StoreError};
use crate::cluster::{Desired, ObjectRef, Replicas};
use crate::drive::Surroundings;
use crate::fence::Fence;
use crate::migration::snapshot::*;
use crate::migration::state::{FORMAT, Phase, Shifting, Standing, State};
use crate::migration::{Action, Applied, Command, Outcome, Report, Request, Snapshot, WaitingOn};
use crate::observe::Look;
use crate::observe::clock::Clock;
use crate::plane::PlaneError;
use crate::policy::{Assignment, Name, Weight, Workloads};

/// Pods of each of the two workloads.
const DEMAND: u32 = 4;

/// Until what was applied has ready pods.
const STARTUP: Duration = Duration::from_secs(2);

/// Until the last connection to a drained source has ended.
const DRAIN: Duration = Duration::from_secs(2);

/// What a scenario has of its own about the world.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    /// The target fails from this weight on.
    pub bad_from: Option<Weight>,
    /// Nobody has anything to say about the metric.
    pub silent: bool,
}

/// Everything there is.
pub struct Ground {
    pub weather: Weather,
    weights: Vec<Weight>,
    window: Duration,
    planes: BTreeMap<Name, Weight>,
    origins: BTreeMap<Name, Weight>,
    drained: Option<Instant>,
    /// Writes that land after the next look.
    late: Vec<Action>,
    applied: BTreeMap<ObjectRef, Instant>,
    released: BTreeSet<ObjectRef>,
    source: BTreeMap<ObjectRef, u32>,
    /// Since when every plane shows the weight it shows.
    level: Instant,
    disk: Disk,
    harm: Option<Harm>,
    /// The process has ended: nothing it does has any effect.
    pub ended: bool,
    /// What was done to which kind of action.
    pub struck: Option<&'static str>,
    /// Every action in the order in which it was intended, and every record of a state.
    pub actions: Vec<&'static str>,
    pub decisions: usize,
    /// Promises that were not kept.
    pub broken: Vec<String>,
}

#[derive(Default)]
struct Disk {
    journal: Vec<Record>,
    letters: Vec<Command>,
    report: Option<Timestamp>,
}

pub type Shared = Arc<Mutex<Ground>>;

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn objects() -> [ObjectRef; 4] {
    let object = |kind: &str, name: &str| ObjectRef::new(kind, "shop", name);
    [object("ConfigMap", "web"), object("Deployment", "api"), object("Deployment", "web"), object("Service", "web")]
}

fn kind(action: &Action) -> &'static str {
    match action {
        Action::ApplyObject { .. } => "apply",
        Action::SetWeight { .. } => "set",
        Action::RestorePlane { .. } => "restore",
        Action::DrainSource { .. } => "drain",
        Action::ScaleSource { .. } => "scale",
        Action::Release { .. } => "release",
        Action::DeleteObject { .. } => "delete",
        Action::SuspendSource { .. } => "suspend",
        Action::ResumeTarget { .. } => "resume",
    }
}

impl Ground {
    pub fn new(weather: Weather, weights: Vec<Weight>, window: Duration, harm: Option<Harm>) -> Shared {
        let origins = BTreeMap::from([(name("edge"), Weight::ZERO), (name("inner"), Weight::percent_saturating(5))]);
        let source = objects().into_iter().filter(|object| object.kind == "Deployment").map(|object| (object, DEMAND));
        Arc::new(Mutex::new(Self {
            weather,
            weights,
            window,
            planes: origins.clone(),
            origins,
            drained: None,
            late: Vec::new(),
            applied: BTreeMap::new(),
            released: BTreeSet::new(),
            source: source.collect(),
            level: Instant::now(),
            disk: Disk::default(),
            harm,
            ended: false,
            struck: None,
            actions: Vec::new(),
            decisions: 0,
            broken: Vec::new(),
        }))
    }

    /// What is left in the end.
    pub fn end(&self) -> String {
        let phase = self.state().map_or("nothing", |state| state.phase.name());
        let Self { planes, drained, applied, released, source, .. } = self;
        let applied: Vec<_> = applied.keys().map(ToString::to_string).collect();
        let released: Vec<_> = released.iter().map(ToString::to_string).collect();
        let source: Vec<_> = source.values().collect();
        format!(
            "{phase} {planes:?} drained {} source {source:?} applied {applied:?} released {released:?}",
            drained.is_some()
        )
    }

    /// Another process begins, by a wall that may be another one.
    pub fn restart(&mut self) -> (Clock, Option<State>) {
        self.ended = false;
        let wall = match self.harm.as_ref().map(|harm| harm.wall) {
            Some(wall) if self.struck.is_some() => wall.now(),
            _ => Wall::truth(),
        };
        let clock = journal::go_on(Clock::at(wall), &self.disk.journal, self.disk.report);
        // Through the form it has on disk.
        let left = self.state().map(|state| serde_json::to_string(state).unwrap());
        let left = left.map(|text| serde_json::from_str(&text).unwrap());
        let (at, idle) = (clock.now(), clock.idle());
        self.disk.journal.push(Record::Opened { at, format: FORMAT, epoch: 1, pid: 1, idle });
        (clock, left)
    }

    /// The state on disk.
    pub fn state(&self) -> Option<&State> {
        self.disk.journal.iter().rev().find_map(|record| match record {
            Record::State { state, .. } => Some(&**state),
            _ => None,
        })
    }

    /// The state on disk is lost.
    pub fn forget(&mut self) {
        self.disk = Disk { letters: std::mem::take(&mut self.disk.letters), ..Disk::default() };
    }

    /// A person asks, unless the same is asked already.
    pub fn ask(&mut self, request: Request) {
        if self.disk.letters.iter().all(|letter| letter.request != request) {
            let id = format!("{}-{}", self.disk.letters.len(), self.disk.journal.len());
            self.disk.letters.push(Command { id, at: Wall::truth(), by: "ada".to_owned(), request });
        }
    }

    /// What was wrong with the target is mended.
    pub fn clears_up(&mut self) {
        self.weather = Weather::default();
    }

    fn promise(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.broken.push(what());
        }
    }

    fn ready(&self) -> u32 {
        let ready = |object: &ObjectRef| self.applied.get(object).is_some_and(|since| since.elapsed() >= STARTUP);
        if objects().iter().all(ready) { DEMAND } else { 0 }
    }

    /// Compares a write with what may be written now, as the state on disk has it.
    fn watch(&mut self, action: &Action) {
        let Some(State { phase, .. }) = &self.state().cloned() else {
            return self.promise(false, || format!("{action} before anything is on disk"));
        };
        let committed = matches!(phase, Phase::Committing { .. });
        let drills = matches!(phase, Phase::Shifting(Shifting { standing: Standing::Drilling(_), .. }));
        let back = matches!(phase, Phase::RollingBack { .. });
        let say = || format!("{action} while {}", phase.name());
        match action {
            Action::ApplyObject { .. } => {
                self.promise(matches!(phase, Phase::Mirroring { .. } | Phase::Shifting(_) | Phase::Soaking { .. }), say)
            }
            Action::SetWeight { plane, to, .. } if back => {
                let (shown, origin) = (self.planes[plane], self.origins[plane]);
                self.promise(*to <= shown && *to > origin, || {
                    format!("promise 1: {action} from {shown}, on the way back")
                });
            }
            Action::SetWeight { plane, to, .. } => {
                self.promise(matches!(phase, Phase::Shifting(_)) && !drills, say);
                let shown = self.planes[plane];
                let next = self.weights.iter().find(|weight| **weight > shown);
                self.promise(*to == shown || Some(to) == next, || format!("promise 1: {action}, and it shows {shown}"));
                let ready = self.ready();
                self.promise(ready >= to.ceil_of(DEMAND), || format!("promise 2: {action} with {ready} pods"));
                let (steady, highest) = (self.level.elapsed(), self.planes.values().max().copied().unwrap_or_default());
                let proven = *to <= highest || !self.weights.contains(&highest) || steady >= self.window;
                self.promise(proven, || format!("promise 6: {action} after {steady:?}"));
            }
            Action::RestorePlane { plane, setting } => {
                let right = *setting == self.origins[plane].basis_points();
                self.promise(right && (back || drills), || {
                    format!("promise 4: {action} to {setting} while {}", phase.name())
                });
            }
            Action::DrainSource { .. } | Action::ScaleSource { .. } => {
                let unused = self.planes.values().all(|weight| *weight == Weight::FULL);
                self.promise(committed && unused, || format!("promise 3: {action} while {}", phase.name()));
            }
            Action::Release { object } => {
                self.promise(committed, || format!("promise 3: {action} while {}", phase.name()));
                self.promise(objects().contains(object), || format!("promise 8: {action}"));
            }
            Action::DeleteObject { .. } | Action::SuspendSource { .. } | Action::ResumeTarget { .. } => {
                self.promise(false, || format!("promise 8: {action}, and nothing was lost and no CronJob is there"));
            }
        }
    }

    fn do_it(&mut self, action: &Action) {
        match action {
            Action::ApplyObject { object } => _ = self.applied.entry(object.clone()).or_insert_with(Instant::now),
            Action::SetWeight { plane, to, .. } => self.show(plane, *to),
            Action::RestorePlane { plane, setting } => {
                let weight = serde_json::from_value(setting.clone()).unwrap();
                self.show(plane, weight);
            }
            Action::DrainSource { .. } => _ = self.drained.get_or_insert_with(Instant::now),
            Action::ScaleSource { workload, .. } => _ = self.source.insert(workload.clone(), 0),
            Action::Release { object } => _ = self.released.insert(object.clone()),
            Action::DeleteObject { .. } | Action::SuspendSource { .. } | Action::ResumeTarget { .. } => {}
        }
    }

    fn show(&mut self, plane: &Name, weight: Weight) {
        if self.planes.insert(plane.clone(), weight) != Some(weight) {
            self.level = Instant::now();
        }
    }

    /// What happens to an action now, where anything does.
    fn strikes(&mut self, moment: Moment, action: &Action) -> Option<How> {
        let how = self.harm.as_mut()?.strikes(moment, action)?;
        self.struck = Some(kind(action));
        Some(how)
    }

    /// Carries an action out, or whatever comes between.
    fn carry_out(&mut self, action: &Action) -> Result<(), ActError> {
        if self.ended {
            return Err(refused(action));
        }
        let how = self.strikes(Moment::Done, action);
        match how {
            Some(How::Fails) => return Err(refused(action)),
            Some(How::EndsRecorded) => {
                self.ended = true;
                return Err(refused(action));
            }
            Some(How::LandsLate) => {
                self.watch(action);
                self.late.push(action.clone());
                return Err(refused(action));
            }
            Some(How::AnswerLost | How::EndsDone) | None => {}
            Some(how) => unreachable!("{how:?} comes before or after"),
        }
        self.watch(action);
        self.do_it(action);
        self.ended |= how == Some(How::EndsDone);
        if how.is_some() { Err(refused(action)) } else { Ok(()) }
    }

    fn snapshot(&mut self, now: Timestamp, commands: Vec<Command>, outcomes: Vec<Outcome>) -> Snapshot {
        let highest = self.planes.values().max().copied().unwrap_or_default();
        let bad = self.weather.bad_from.is_some_and(|from| highest >= from);
        let share = self.planes.values().map(|weight| weight.fraction()).sum::<f64>() / self.planes.len() as f64;
        let counts = |share: f64, bad: f64| SideSample::Counts { bad: share * bad, total: share * 1_000.0 };
        let sample =
            SidePair { source: counts(1.0 - share, 0.0), target: counts(share, if bad { 300.0 } else { 0.0 }) };
        let ready = self.ready();
        let pods = |desired, ready| Replicas { desired, ready, updated: ready, available: ready, current: true };
        let source = self.source.iter().map(|(workload, desired)| (workload.clone(), pods(*desired, *desired)));
        let target = self.source.keys().filter(|workload| self.applied.contains_key(workload));
        let target = target.map(|workload| (workload.clone(), pods(DEMAND, ready)));
        let mirrored = |object: ObjectRef| MirroredObject { in_sync: self.applied.contains_key(&object), object };
        let mirror = MirrorView { objects: objects().map(mirrored).into(), ..MirrorView::default() };
        let side = |usable, in_flight| SideView { usable, in_flight, counters: None };
        let in_flight = self.drained.is_none_or(|since| since.elapsed() < DRAIN);
        let from = side(if self.drained.is_some() { 0 } else { DEMAND }, u64::from(in_flight));
        let view = |weight: &Weight| PlaneView {
            weight: *weight,
            setting: weight.basis_points().into(),
            source: from,
            target: side(ready, 0),
        };
        let planes = self.planes.iter().map(|(name, weight)| (name.clone(), Observed::Known(view(weight))));
        let snapshot = Snapshot {
            now,
            commands,
            outcomes,
            mirror: Observed::Known(mirror),
            source: Observed::Known(source.collect()),
            target: Observed::Known(target.collect()),
            planes: planes.collect(),
            plane_problems: Vec::new(),
            metrics: [(name("errors"), if self.weather.silent { nothing() } else { sample.clone() })].into(),
            learnt: BTreeMap::new(),
            ages: BTreeMap::new(),
            evaluated: None,
            share: sample,
        };
        for action in std::mem::take(&mut self.late) {
            self.do_it(&action);
        }
        snapshot
    }

    /// What the clusters and planes would tell somebody who lost the state.
    pub fn seen(&mut self) -> (BTreeMap<ObjectRef, Replicas>, BTreeMap<Name, Observed<PlaneView>>) {
        let Snapshot { source, planes, .. } = self.snapshot(Wall::truth(), Vec::new(), Vec::new());
        (source.known().cloned().unwrap(), planes)
    }
}

fn nothing() -> MetricSample {
    let nothing = SideSample::NoData("no series".to_owned());
    SidePair { source: nothing.clone(), target: nothing }
}

fn refused(action: &Action) -> ActError {
    PlaneError::TimedOut { address: action.to_string(), seconds: 1 }.into()
}

fn full() -> StoreError {
    let source = std::io::ErrorKind::StorageFull.into();
    JournalError::Io { verb: "write", path: "memory".into(), source }.into()
}

/// What this process sees and does there.
pub struct Here(pub Shared);

impl Here {
    fn ground(&self) -> MutexGuard<'_, Ground> {
        self.0.lock().unwrap()
    }
}

#[async_trait]
impl Surroundings for Here {
    async fn look(
        &mut self,
        _: &State,
        _: &Applied,
        now: Timestamp,
        commands: Vec<Command>,
        outcomes: Vec<Outcome>,
    ) -> Look {
        Look { snapshot: self.ground().snapshot(now, commands, outcomes), desired: BTreeMap::new() }
    }

    async fn carry_out(
        &self,
        _: &Fence,
        action: &Action,
        _: &Workloads,
        _: &BTreeMap<ObjectRef, Desired>,
    ) -> Result<(), ActError> {
        self.ground().carry_out(action)
    }

    fn ask(&mut self, _: &Assignment) {}

    async fn stirred(&mut self) {
        std::future::pending().await
    }
}

#[async_trait]
impl Store for Here {
    fn fence(&self) -> Fence {
        Fence::lock()
    }

    fn applied(&self) -> &Applied {
        static NOTHING: LazyLock<Applied> = LazyLock::new(Applied::default);
        &NOTHING
    }

    async fn decide(&mut self, at: Timestamp, state: &State, answered: Vec<Answered>) -> Result<(), StoreError> {
        let mut ground = self.ground();
        ground.decisions += 1;
        let number = ground.decisions;
        let how = ground.harm.as_mut().and_then(|harm| harm.strikes_decision(number));
        ground.struck = ground.struck.or(how.map(|_| "decision"));
        ground.ended |= how == Some(How::EndsUnrecorded);
        if ground.ended {
            return Err(full());
        }
        if let Phase::RolledBack { .. } = state.phase {
            let home = ground.planes == ground.origins;
            ground.promise(home, || "promise 4: said to be back, and it is not".to_owned());
        }
        ground.disk.journal.push(Record::State { at, state: Box::new(state.clone()), answered: answered.clone() });
        ground.ended |= how == Some(How::EndsRecorded);
        if ground.ended {
            return Err(full());
        }
        let replied = |letter: &Command| answered.iter().any(|answered| answered.reply.id == letter.id);
        ground.disk.letters.retain(|letter| !replied(letter));
        Ok(())
    }

    async fn intend(&mut self, at: Timestamp, actions: &[Action]) -> Result<(), StoreError> {
        let mut ground = self.ground();
        for action in actions {
            if ground.ended {
                return Err(full());
            }
            let number = ground.actions.len();
            ground.actions.push(kind(action));
            ground.harm.iter_mut().for_each(|harm| harm.aim(number, action));
            let how = ground.strikes(Moment::Intended, action);
            ground.ended |= how == Some(How::EndsUnrecorded);
            if how.is_some() {
                return Err(full());
            }
            ground.disk.journal.push(Record::intent(at, action));
        }
        Ok(())
    }

    async fn outcome(&mut self, at: Timestamp, outcomes: &[Outcome]) -> Result<(), StoreError> {
        let mut ground = self.ground();
        for outcome in outcomes {
            if ground.ended {
                return Err(full());
            }
            ground.disk.journal.push(Record::outcome(at, outcome));
            ground.ended |= ground.strikes(Moment::Answered, &outcome.action).is_some();
        }
        Ok(())
    }

    async fn publish(&mut self, report: &Report) -> Result<(), StoreError> {
        let mut ground = self.ground();
        if ground.ended {
            return Err(full());
        }
        ground.disk.report = Some(report.at);
        let drift = matches!(report.waiting, Some(WaitingOn::Drift { .. }));
        ground.promise(!drift, || format!("promise 7: its own write was taken for drift: {:?}", report.waiting));
        Ok(())
    }

    fn commands(&self) -> Vec<Command> {
        self.ground().disk.letters.clone()
    }

    fn has_commands(&self) -> bool {
        !self.ground().disk.letters.is_empty()
    }

    async fn begin_anew(&mut self, _: Timestamp, ended: bool) -> Result<(), StoreError> {
        let mut ground = self.ground();
        ground.disk.letters.clear();
        if ended {
            ground.forget();
        }
        Ok(())
    }

    fn leave_room_for(&mut self, _: usize) {}
}
