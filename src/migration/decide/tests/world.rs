//! A world that is a few numbers, on a clock that the test moves.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::cluster::{ObjectRef, Replicas};
use crate::migration::command::{Command, Request};
use crate::migration::decide::{Decision, decide};
use crate::migration::snapshot::*;
use crate::migration::state::State;
use crate::migration::{Action, Outcome};
use crate::policy::{Assignment, Name, ShiftPolicy, SourceFile, Weight, load};

pub const FILE: &str = r#"
apiVersion: crossfade.dev/v1alpha1
kind: Migration
metadata: {name: checkout, namespace: shop}
spec:
  source: {context: blue}
  target: {context: green}
  workloads: {namespaces: [shop]}
  planes:
    - name: edge
      haproxy: {address: "unix:/a", backend: web, source: [blue], target: [green]}
    - name: inner
      haproxy: {address: "unix:/b", backend: web, source: [blue], target: [green]}
  policy: {name: careful}
  onCommit: scaleToZero
---
apiVersion: crossfade.dev/v1alpha1
kind: ShiftPolicy
metadata: {name: careful}
spec:
  steps: [{setWeight: 10}, {pause: {duration: 5s}}, {setWeight: 50}, {approval: {}}, {setWeight: 100}]
  soak: 10s
  mirrorDeadline: 60s
  stepDeadline: 20m
  rollback: {deadline: 30s}
  analysis:
    interval: 1s
    window: 4s
    prometheus: {address: "http://prometheus:9090"}
    metrics:
      - name: errors
        errorRate: {errors: 'increase(e{c="{{ cluster }}"}[{{ window }}])', total: 'increase(t{c="{{ cluster }}"}[{{ window }}])'}
        max: 1%
        baseline: source
"#;

pub fn assignment() -> Assignment {
    let definitions = load(&[SourceFile { name: "test.yaml".into(), text: FILE.into() }]).unwrap();
    let migration = definitions.migrations[0].clone();
    Assignment { policy: definitions.policy_of(&migration).unwrap().clone(), migration }
}

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub fn percent(percent: u16) -> Weight {
    Weight::percent_saturating(percent)
}

/// What the clusters, planes and Prometheus are at one moment.
#[derive(Debug, Clone)]
pub struct World {
    pub now: Timestamp,
    pub planes: BTreeMap<Name, Weight>,
    pub unreachable: Vec<Name>,
    /// Planes that can be seen and refuse what is written.
    pub refusing: Vec<Name>,
    pub applied: bool,
    /// The source was changed since, and whether the target refuses that.
    pub edited: Option<bool>,
    /// What the source has lost, and the target has not yet.
    pub gone: Vec<ObjectRef>,
    /// What an abort may delete on the target.
    pub brought: Vec<ObjectRef>,
    /// Of that, what is somebody else's too.
    pub shared: Vec<ObjectRef>,
    /// What stands in the way of the mirror.
    pub misfits: Vec<String>,
    /// Whether the CronJob sleeps on the source and on the target.
    pub job: (bool, bool),
    /// Connections to the target on every plane.
    pub in_flight: u64,
    pub target_ready: u32,
    pub source: u32,
    /// Ready pods of the source, where they are not all ready.
    pub source_ready: Option<u32>,
    pub drained: bool,
    pub released: bool,
    /// Bad requests of a thousand on the target.
    pub bad: f64,
    pub prometheus: Result<bool, String>,
    pub clusters: bool,
    pub lag: bool,
    /// Restored planes do not show it.
    pub lag_back: bool,
    /// What is wrong with planes that waiting will not mend.
    pub problems: Vec<String>,
    pub commands: Vec<Command>,
    pub outcomes: Vec<Outcome>,
    pub writes: Vec<(Name, Weight)>,
    /// Actions carried out or refused.
    pub attempts: u32,
}

impl World {
    pub fn new() -> Self {
        Self {
            now: Timestamp::UNIX_EPOCH,
            planes: [(name("edge"), Weight::ZERO), (name("inner"), Weight::ZERO)].into(),
            unreachable: Vec::new(),
            refusing: Vec::new(),
            applied: false,
            edited: None,
            gone: Vec::new(),
            brought: Vec::new(),
            shared: Vec::new(),
            misfits: Vec::new(),
            job: (false, true),
            in_flight: 0,
            target_ready: 4,
            source: 4,
            source_ready: None,
            drained: false,
            released: false,
            bad: 0.0,
            prometheus: Ok(true),
            clusters: true,
            lag: false,
            lag_back: false,
            problems: Vec::new(),
            commands: Vec::new(),
            outcomes: Vec::new(),
            writes: Vec::new(),
            attempts: 0,
        }
    }

    pub fn ask(&mut self, request: Request) {
        let id = format!("{}-{}", self.now, self.commands.len());
        self.commands.push(Command { id, at: self.now, by: "ada".into(), request });
    }

    fn share(&self) -> f64 {
        self.planes.values().map(|weight| weight.fraction()).sum::<f64>() / self.planes.len() as f64
    }

    pub fn snapshot(&mut self) -> Snapshot {
        let web = ObjectRef::new("Deployment", "shop", "web");
        let pods = |desired, ready| Replicas { desired, ready, updated: ready, available: ready, current: true };
        let of = |pods: Replicas| {
            let workloads = BTreeMap::from([(web.clone(), pods)]);
            if self.clusters { Observed::Known(workloads) } else { Observed::Unknown("refused".into()) }
        };
        let objects = vec![MirroredObject { object: web.clone(), in_sync: self.applied && self.edited.is_none() }];
        let (gone, brought) = (self.gone.clone(), self.brought.clone());
        let (sleeps_on_source, sleeps_on_target) = self.job;
        let object = ObjectRef::new("CronJob", "shop", "nightly");
        let jobs = vec![MirroredJob { object, sleeps_on_source, sleeps_on_target }];
        let mirror = MirrorView { objects, problems: self.misfits.clone(), gone, brought, jobs };
        let usable = if self.applied { self.target_ready } else { 0 };
        let planes = self.planes.iter().map(|(plane, weight)| {
            let side = |usable| SideView { usable, in_flight: 0, counters: None };
            let source = side(if self.drained { 0 } else { 4 });
            let target = SideView { in_flight: self.in_flight, ..side(usable) };
            let view = PlaneView { weight: *weight, setting: weight.basis_points().into(), source, target };
            let unreachable = self.unreachable.contains(plane);
            let view = if unreachable { Observed::Unknown("refused".into()) } else { Observed::Known(view) };
            (plane.clone(), view)
        });
        let counts = |share: f64, bad: f64| match &self.prometheus {
            Err(why) => SideSample::Error(why.clone()),
            Ok(false) => SideSample::NoData("no series".into()),
            Ok(true) => SideSample::Counts { bad: share * bad, total: share * 1000.0 },
        };
        let sample = SidePair { source: counts(1.0 - self.share(), 0.0), target: counts(self.share(), self.bad) };
        Snapshot {
            now: self.now,
            commands: std::mem::take(&mut self.commands),
            outcomes: std::mem::take(&mut self.outcomes),
            mirror: if self.clusters { Observed::Known(mirror) } else { Observed::Unknown("refused".into()) },
            source: of(pods(self.source, self.source_ready.unwrap_or(self.source))),
            target: of(pods(4, if self.applied { self.target_ready } else { 0 })),
            planes: planes.collect(),
            plane_problems: self.problems.clone(),
            metrics: [(name("errors"), sample.clone())].into(),
            learnt: BTreeMap::new(),
            ages: Default::default(),
            evaluated: None,
            share: sample,
        }
    }

    fn carry_out(&mut self, action: &Action) {
        self.attempts += 1;
        let error = match action {
            Action::SetWeight { plane, .. } | Action::RestorePlane { plane, .. }
                if self.unreachable.contains(plane) || self.refusing.contains(plane) =>
            {
                Some("refused".to_owned())
            }
            Action::SetWeight { plane, to, .. } => {
                if !self.lag {
                    self.planes.insert(plane.clone(), *to);
                }
                self.writes.push((plane.clone(), *to));
                None
            }
            Action::RestorePlane { plane, setting } => {
                let weight: Weight = serde_json::from_value(setting.clone()).unwrap();
                if !self.lag_back {
                    self.planes.insert(plane.clone(), weight);
                }
                self.writes.push((plane.clone(), weight));
                None
            }
            Action::ApplyObject { .. } if !self.clusters || self.edited == Some(true) => Some("refused".to_owned()),
            Action::ApplyObject { .. } => {
                (self.applied, self.edited) = (true, None);
                None
            }
            Action::DeleteObject { object, .. } => {
                self.gone.retain(|gone| gone != object);
                self.brought.retain(|brought| brought != object || self.shared.contains(brought));
                None
            }
            Action::SuspendSource { .. } => {
                self.job.0 = true;
                None
            }
            Action::ResumeTarget { .. } => {
                assert!(self.job.0, "both would run");
                self.job.1 = false;
                None
            }
            Action::DrainSource { .. } => {
                self.drained = true;
                None
            }
            Action::ScaleSource { .. } => {
                self.source = 0;
                None
            }
            Action::Release { .. } => {
                self.released = true;
                None
            }
        };
        self.outcomes.push(Outcome { action: action.clone(), error });
    }
}

/// One pass: decide, go through the form on disk, act, and let a second pass.
pub fn pass(state: &mut State, world: &mut World) -> Decision {
    let decision = decide(state, &world.snapshot());
    let written = serde_json::to_string(&decision.state).unwrap();
    *state = serde_json::from_str(&written).unwrap();
    assert_eq!(*state, decision.state, "the state on disk is the state");
    for action in &decision.actions {
        world.carry_out(action);
    }
    world.now += SignedDuration::from_secs(1);
    decision
}

/// Passes until `done` holds; panics with the last wait where it never does.
pub fn until(state: &mut State, world: &mut World, done: impl Fn(&State, &Decision) -> bool) -> Decision {
    let mut last = pass(state, world);
    for _ in 0..2_000 {
        if done(state, &last) {
            return last;
        }
        last = pass(state, world);
    }
    panic!("stuck in {:?}, waiting on {:?}", state.phase, last.waiting);
}

pub fn fresh() -> (State, World) {
    let world = World::new();
    (State::new(assignment(), world.now), world)
}

/// The same under a policy that is changed first.
pub fn fresh_under(change: impl Fn(&mut ShiftPolicy)) -> (State, World) {
    let mut assignment = assignment();
    change(&mut assignment.policy);
    let world = World::new();
    (State::new(assignment, world.now), world)
}

pub fn waits_on(reason: &'static str) -> impl Fn(&State, &Decision) -> bool {
    move |_, decision| decision.waiting.as_ref().is_some_and(|waiting| waiting.reason() == reason)
}

pub fn in_phase(phase: &'static str) -> impl Fn(&State, &Decision) -> bool {
    move |state, _| state.phase.name() == phase
}
