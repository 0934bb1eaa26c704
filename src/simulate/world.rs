//! Two clusters, the planes between them, Prometheus, a disk and people: how things truly are, on a clock that jumps. PURE.
//!
//! Nobody in here decides anything. Time passes, troubles begin and end, requests are counted, and actions have the effect
//! they would have. What a controller gets to see of it is `world::look`'s business.

mod effect;
mod look;
mod plane;
mod traffic;

pub(super) use self::look::{Readings, Sight, stamp};
pub(super) use self::plane::Plane;

use self::traffic::{Counts, Traffic};
use super::case::{Case, CrashPoint, Kind, Lie, Moment, NEVER, Wish, millis};
use crate::analysis::random::Random;
use crate::migration::command::{Command, Request};
use crate::policy::{Assignment, Weight};

/// Between one pod of the target getting ready and the next, in milliseconds.
const STAGGER: Moment = 300;
/// How long a changed workload has one pod less, in milliseconds.
const ROLLOUT: Moment = 4_000;
/// How much more than its share a pod can carry before it fails requests.
const HEADROOM: f64 = 1.25;

/// How things are.
pub(super) struct World<'c> {
    pub case: &'c Case,
    pub now: Moment,
    /// In the order of their names.
    pub planes: Vec<Plane>,
    pub source_replicas: u32,
    /// Requests of people that nobody answered yet.
    pub letters: Vec<Command>,
    /// Where the next pass is to be cut short.
    pub stop: Option<Stop>,
    pub truth: Truth,
    random: Random,
    next_trouble: usize,
    letters_sent: u32,
    window: Moment,
    has_prometheus: bool,
    excuses: bool,
    applied: Option<Moment>,
    in_sync: bool,
    rollout_until: Moment,
    until: Until,
    traffic: Traffic,
}

/// How a controller comes to a stop in the middle of a pass.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stop {
    pub point: CrashPoint,
    pub lasts: Moment,
    /// It wakes up again, and does not know that time has passed.
    pub wakes: bool,
}

/// Until when each kind of trouble lasts.
#[derive(Debug, Default)]
struct Until {
    target_fails: (Moment, Weight, f64),
    both_fail: (Moment, f64),
    pods: (Moment, u32),
    source_away: Moment,
    target_away: Moment,
    answers_lost: Moment,
    refused: Moment,
    disk: Moment,
    prometheus: (Moment, Moment, Option<Lie>),
}

/// What nobody sees in time, and everybody asks for afterwards.
#[derive(Debug, Default, Clone)]
pub(super) struct Truth {
    /// When something about the world last changed.
    pub changed: Moment,
    /// When the target was last worse than it may be, while it had traffic.
    pub bad: Option<Moment>,
    /// When both sides last failed alike, while the target had traffic.
    pub shared: Option<Moment>,
    /// Requests in all.
    pub requests: f64,
    /// Requests that failed because of a side that was worse than normal.
    pub failed: f64,
}

impl<'c> World<'c> {
    pub fn new(case: &'c Case, assignment: &Assignment) -> Self {
        let analysis = &assignment.policy.analysis;
        let mut planes: Vec<_> = assignment.migration.planes.iter().map(|spec| Plane::new(spec.name.clone())).collect();
        planes.sort_by(|a, b| a.name.cmp(&b.name));
        Self {
            now: case.start,
            source_replicas: case.setting.demand,
            letters: Vec::new(),
            stop: None,
            truth: Truth { changed: case.start, ..Truth::default() },
            random: Random::new(case.seed ^ 0x5eed),
            next_trouble: 0,
            letters_sent: 0,
            window: millis(analysis.window),
            has_prometheus: analysis.share.total.is_some()
                || analysis.metrics.iter().any(|metric| !metric.source.templates().is_empty()),
            excuses: analysis
                .metrics
                .iter()
                .filter(|metric| metric.source.counts())
                .all(|metric| metric.baseline.is_some()),
            applied: None,
            in_sync: false,
            rollout_until: 0,
            until: Until::default(),
            traffic: Traffic::new(planes.len(), case.start),
            planes,
            case,
        }
    }

    /// Lets time pass.
    pub fn advance(&mut self, to: Moment) {
        loop {
            let next = self.next_change();
            if next > to {
                break;
            }
            self.flow(next);
            self.truth.changed = next;
            self.turn();
        }
        self.flow(to);
    }

    /// When something happens next without anybody doing anything.
    pub fn next_change(&self) -> Moment {
        let trouble = self.case.troubles.get(self.next_trouble).map_or(NEVER, |trouble| trouble.at.max(self.now));
        let Until { target_fails, both_fail, pods, source_away, target_away, answers_lost, refused, disk, prometheus } =
            &self.until;
        let ends = [
            target_fails.0,
            both_fail.0,
            pods.0,
            *source_away,
            *target_away,
            *answers_lost,
            *refused,
            *disk,
            prometheus.0,
            self.rollout_until,
            self.next_pod(),
        ];
        let planes = self.planes.iter().flat_map(|plane| {
            let drained = plane.drained.map_or(0, |since| since + self.case.setting.drain);
            [plane.next().unwrap_or(0), plane.away, drained]
        });
        ends.into_iter().chain(planes).filter(|at| *at > self.now).fold(trouble, Moment::min)
    }

    /// Nothing is wrong any more, and nothing will be.
    pub fn heal(&mut self) {
        self.next_trouble = self.case.troubles.len();
        self.until = Until::default();
        self.stop = None;
        self.planes.iter_mut().for_each(|plane| plane.away = 0);
        self.truth.changed = self.now;
    }

    /// Somebody puts every plane back to what Crossfade left there.
    pub fn mend(&mut self) {
        self.planes.iter_mut().filter(|plane| plane.away <= self.now).for_each(|plane| plane.drift(plane.told));
        self.truth.changed = self.now;
    }

    pub fn disk_is_full(&self) -> bool {
        self.now < self.until.disk
    }

    /// Puts a person's request into the letter box.
    pub fn ask(&mut self, wish: Wish) {
        let request = match wish {
            Wish::Pause => Request::Pause,
            Wish::Resume => Request::Resume,
            Wish::Approve => Request::Approve,
            Wish::Abort => Request::Abort { why: "enough".to_owned() },
            Wish::Commit => Request::Commit,
        };
        self.letters_sent += 1;
        let id = self.letters_sent.to_string();
        self.letters.push(Command { id, at: stamp(self.now), by: "ada".to_owned(), request });
    }

    /// Pods of the target that are ready.
    pub fn ready(&self) -> u32 {
        let demand = self.case.setting.demand;
        let Some(applied) = self.applied else { return 0 };
        let since = self.now - applied - self.case.setting.startup;
        let started = if since < 0 { 0 } else { u32::try_from(since / STAGGER + 1).unwrap_or(u32::MAX).min(demand) };
        let rolling = if self.now < self.rollout_until { started.saturating_sub(1).max(1) } else { started };
        if self.now < self.until.pods.0 { rolling.min(self.until.pods.1) } else { rolling }
    }

    fn next_pod(&self) -> Moment {
        let Some(applied) = self.applied else { return 0 };
        let first = applied + self.case.setting.startup;
        let last = first + STAGGER * Moment::from(self.case.setting.demand - 1);
        match self.now {
            now if now < first => first,
            now if now < last => first + ((now - first) / STAGGER + 1) * STAGGER,
            _ => 0,
        }
    }

    /// What begins or lands at this moment.
    fn turn(&mut self) {
        for plane in &mut self.planes {
            plane.land(self.now);
        }
        while let Some(trouble) = self.case.troubles.get(self.next_trouble).filter(|trouble| trouble.at <= self.now) {
            self.next_trouble += 1;
            self.begin(&trouble.kind);
        }
    }

    fn begin(&mut self, trouble: &Kind) {
        let until = |lasts: &Moment| self.now.saturating_add(*lasts).min(NEVER);
        match trouble {
            Kind::TargetFails { from, rate, lasts } => self.until.target_fails = (until(lasts), *from, *rate),
            Kind::BothFail { rate, lasts } => self.until.both_fail = (until(lasts), *rate),
            Kind::PodsLost { left, lasts } => self.until.pods = (until(lasts), *left),
            Kind::ClusterAway { target: true, lasts } => self.until.target_away = until(lasts),
            Kind::ClusterAway { target: false, lasts } => self.until.source_away = until(lasts),
            Kind::PlaneAway { plane, lasts } => self.planes[*plane].away = until(lasts),
            Kind::AnswersLost { lasts } => self.until.answers_lost = until(lasts),
            Kind::WritesRefused { lasts } => self.until.refused = until(lasts),
            Kind::Drift { plane, to } => self.planes[*plane].drift(*to),
            Kind::PlaneRestarts { plane } => self.planes[*plane].restart(),
            Kind::Prometheus { lie, lasts } => self.until.prometheus = (until(lasts), self.now, Some(*lie)),
            Kind::SourceEdited => self.in_sync = false,
            Kind::Crash { point, down } => self.stop = Some(Stop { point: *point, lasts: *down, wakes: false }),
            Kind::Freeze { point, lasts } => self.stop = Some(Stop { point: *point, lasts: *lasts, wakes: true }),
            Kind::DiskFull { lasts } => self.until.disk = until(lasts),
            Kind::Asks(wish) => self.ask(*wish),
        }
    }

    /// Counts the requests from `now` until `to`, during which nothing changes.
    fn flow(&mut self, to: Moment) {
        let seconds = (to - self.now) as f64 / 1000.0;
        if to <= self.now {
            return;
        }
        let requests = self.case.setting.rate * seconds;
        let normal = self.case.setting.normal_errors;
        let source_rate = self.source_errors();
        for index in 0..self.planes.len() {
            let share = self.planes[index].share();
            let target_rate = self.target_errors(share);
            let mut counts = Counts { source: requests * (1.0 - share), target: requests * share, ..Counts::default() };
            counts.source_bad = self.random.count(counts.source * source_rate).min(counts.source);
            counts.target_bad = self.random.count(counts.target * target_rate).min(counts.target);
            let excused = if self.excuses { source_rate } else { normal };
            if counts.target > 0.0 && target_rate > excused {
                self.truth.bad = Some(to);
            }
            if counts.target > 0.0 && source_rate > normal {
                self.truth.shared = Some(to);
            }
            let blame = |rate: f64, bad: f64| if rate > normal { bad } else { 0.0 };
            self.truth.failed += blame(target_rate, counts.target_bad) + blame(source_rate, counts.source_bad);
            self.truth.requests += requests;
            self.traffic.add(counts);
        }
        self.traffic.close(to);
        self.now = to;
    }

    fn source_errors(&self) -> f64 {
        if self.source_replicas == 0 { 1.0 } else { self.shared_errors() }
    }

    fn shared_errors(&self) -> f64 {
        let (until, rate) = self.until.both_fail;
        self.case.setting.normal_errors + if self.now < until { rate } else { 0.0 }
    }

    /// The fraction of the requests that fail on the target, where it has a share of the traffic.
    fn target_errors(&self, share: f64) -> f64 {
        if share == 0.0 {
            return 0.0;
        }
        let (until, from, rate) = self.until.target_fails;
        let highest = self.planes.iter().map(|plane| plane.shown).max().unwrap_or_default();
        let fails = if self.now < until && highest >= from { rate } else { 0.0 };
        let carried = HEADROOM * f64::from(self.ready()) / f64::from(self.case.setting.demand);
        let overload = (1.0 - carried / share).max(0.0);
        (self.shared_errors() + fails.max(overload)).min(1.0)
    }
}
