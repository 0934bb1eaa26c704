//! One migration, pass after pass: observe, decide, record, act.
//!
//! The state is on disk before any action that follows from it, and every intent before its action. Where it cannot be
//! recorded, nothing is done: what a crash would forget must not happen.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;

use crate::act::executor::{Planes, Reach, may_overlap};
use crate::act::journal::Record;
use crate::act::store::{Directory, Store, StoreError};
use crate::analysis::prometheus::{Prometheus, PrometheusError};
use crate::cluster::{Desired, Link, ObjectRef};
use crate::migration::snapshot::chain;
use crate::migration::{Action, Decision, Outcome, Phase, Report, State, decide};
use crate::observe::clock::Clock;
use crate::observe::{Look, Observer, Scene};
use crate::policy::{Assignment, Name};

/// How often the letter box is looked into while nothing else happens: what a person asks for starts within a blink.
const LETTER_BOX: Duration = Duration::from_millis(200);

/// Why a migration could not be taken up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The Prometheus of the policy cannot be used.
    #[error("the policy's Prometheus cannot be used")]
    Prometheus(#[from] PrometheusError),
    /// A plane was not handed over.
    #[error("nobody drives the plane {0}")]
    NoPlane(Name),
}

/// The two clusters and the planes between them.
pub struct World {
    /// The source.
    pub source: Link,
    /// The target.
    pub target: Link,
    /// The planes.
    pub planes: Planes,
}

/// How a migration was taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenUp {
    /// For the first time, or anew after an attempt that was rolled back.
    Fresh,
    /// Where a former process left it.
    Resumed {
        /// Whether the files say something else than what it was started with.
        files_differ: bool,
    },
    /// It was completed before; nothing is left to do.
    Completed,
}

/// Drives one migration.
pub struct Driver {
    world: World,
    observer: Observer,
    store: Store,
    clock: Clock,
    state: State,
    outcomes: Vec<Outcome>,
}

/// What a pass came to.
pub struct Pass {
    /// For people and scripts.
    pub report: Report,
    /// Whether the next pass should follow at once.
    pub moved: bool,
}

impl Driver {
    /// Takes a migration up where it was left, or begins it.
    pub fn take_up(assignment: Assignment, world: World, directory: &Directory) -> Result<(Self, TakenUp), StartError> {
        for plane in &assignment.migration.planes {
            if !world.planes.contains_key(&plane.name) {
                return Err(StartError::NoPlane(plane.name.clone()));
            }
        }
        let clock = Clock::start();
        let (mut store, left) = Store::open(directory, clock.now())?;
        let (state, taken_up) = match left {
            Some(state) if matches!(state.phase, Phase::Completed { .. }) => (state, TakenUp::Completed),
            Some(state) if !state.phase.is_terminal() => {
                let files_differ = *state.assignment != assignment;
                (state, TakenUp::Resumed { files_differ })
            }
            ended => {
                if ended.is_some() {
                    store.start_anew(clock.now())?;
                }
                let state = State::new(assignment, clock.now());
                store.append(&Record::State { at: clock.now(), state: Box::new(state.clone()) })?;
                (state, TakenUp::Fresh)
            }
        };
        let prometheus = state.assignment.policy.analysis.prometheus.as_ref().map(Prometheus::new).transpose()?;
        let observer = Observer::new(prometheus);
        Ok((Self { world, observer, store, clock, state, outcomes: Vec::new() }, taken_up))
    }

    /// Where the migration stands.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// One pass.
    pub async fn pass(&mut self) -> Result<Pass, StoreError> {
        let now = self.clock.now();
        let World { source, target, planes } = &self.world;
        let (commands, outcomes) = (self.store.commands(), std::mem::take(&mut self.outcomes));
        let scene = Scene { source, target, planes };
        let Look { snapshot, desired } = self.observer.look(scene, &self.state, now, commands, outcomes).await;
        let decision = decide(&self.state, &snapshot);
        let report = Report::new(&snapshot, &decision);
        let changed = self.record(&snapshot.commands, &decision)?;
        self.outcomes = self.act(&decision.actions, &desired).await;
        self.store.publish(&report)?;
        let failed = self.outcomes.iter().any(|outcome| outcome.error.is_some());
        let moved = (changed || !decision.actions.is_empty()) && !failed;
        Ok(Pass { report, moved })
    }

    /// Puts on disk what was decided, before anything is done about it. Whether the state changed.
    fn record(&mut self, commands: &[crate::migration::Command], decision: &Decision) -> Result<bool, StoreError> {
        let at = self.clock.now();
        let changed = decision.state != self.state;
        if changed {
            self.store.append(&Record::State { at, state: Box::new(decision.state.clone()) })?;
            self.state = decision.state.clone();
        }
        for reply in &decision.replies {
            if let Some(command) = commands.iter().find(|command| command.id == reply.id) {
                self.store.answer(at, command, reply)?;
            }
        }
        Ok(changed)
    }

    async fn act(&mut self, actions: &[Action], desired: &BTreeMap<ObjectRef, Desired>) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for group in actions.chunk_by(|a, b| may_overlap(a) && may_overlap(b)) {
            let at = self.clock.now();
            let recorded =
                group.iter().try_for_each(|action| self.store.append(&Record::Intent { at, action: action.clone() }));
            if let Err(error) = recorded {
                let error = Some(chain(&crate::act::executor::ActError::from(error)));
                outcomes.extend(group.iter().map(|action| Outcome { action: action.clone(), error: error.clone() }));
                break;
            }
            let World { source, target, planes } = &self.world;
            let reach = Reach { source, target, planes, desired };
            let done = group.iter().map(|action| async move {
                let error = reach.carry_out(action).await.err().map(|error| chain(&error));
                Outcome { action: action.clone(), error }
            });
            let done = join_all(done).await;
            let at = self.clock.now();
            let failed = done.iter().any(|outcome| outcome.error.is_some());
            for outcome in &done {
                if let Err(error) = self.store.outcome(at, outcome) {
                    // The next snapshot tells what happened; only the account of it has a gap.
                    tracing::warn!(error = chain(&error), action = %outcome.action, "outcome not recorded");
                }
            }
            outcomes.extend(done);
            if failed {
                break;
            }
        }
        outcomes
    }

    /// Waits until the next pass is due: the policy's interval, or until somebody asks for something.
    pub async fn rest(&self) {
        let interval = self.state.assignment.policy.analysis.interval;
        let interval = Duration::try_from(interval).unwrap_or(LETTER_BOX);
        let due = tokio::time::sleep(interval);
        tokio::pin!(due);
        while !self.store.has_commands() {
            tokio::select! {
                () = &mut due => return,
                () = tokio::time::sleep(LETTER_BOX) => {}
            }
        }
    }

    /// Time on the clock that decisions are made by.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The clock that decisions are made by.
    pub fn clock(&self) -> Clock {
        self.clock
    }
}
