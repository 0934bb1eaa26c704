//! One migration, pass after pass: observe, decide, record, act.
//!
//! The state is on disk before any action that follows from it, and every intent before its action. Where it cannot be
//! recorded, nothing is done: what a crash would forget must not happen. The one exception is the way back.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use jiff::Timestamp;

use crate::act::directory::{Directory, HeldDirectory};
use crate::act::executor::{ActError, Planes, Reach, at_once, may_overlap};
use crate::act::journal::Answered;
use crate::act::store::{Store, StoreError};
use crate::analysis::prometheus::{PrometheusError, Servers};
use crate::cluster::{Desired, Link, ObjectRef};
use crate::fence::Fence;
use crate::migration::claims;
use crate::migration::snapshot::chain;
use crate::migration::{Action, Applied, Command, Decision, Outcome, Phase, Report, State, Written, decide};
use crate::observe::clock::Clock;
use crate::observe::{Look, Observer, Scene};
use crate::policy::{Assignment, Name, Workloads};

/// How often the letter box is looked into while nothing else happens: what a person asks for starts within a blink.
const LETTER_BOX: Duration = Duration::from_millis(200);

/// Between a pass and the next one that a change of a cluster calls for.
const BREATH: Duration = Duration::from_millis(25);

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
    /// Whoever is asked for numbers.
    pub servers: Servers,
}

/// How a migration was taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenUp {
    /// For the first time, after an attempt that had not written anything, or again because somebody said so.
    Fresh,
    /// Where a former process left it.
    Resumed {
        /// Whether the files say something else than what it was started with.
        files_differ: bool,
    },
    /// It was completed before; nothing is left to do.
    Completed,
    /// It went back before, and nobody asked for another attempt. Whoever was to tell of it may have been killed: to begin again
    /// unasked would send users to a target that has just failed them.
    RolledBack,
}

/// What is made of a migration that went back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// It stays ended.
    Same,
    /// It begins again.
    Another,
}

/// A migration that this process has taken up and does not drive yet.
pub struct Seat {
    store: Box<dyn Store>,
    clock: Clock,
    state: State,
    taken_up: TakenUp,
}

impl Seat {
    /// Takes a migration up whose memory is a directory.
    pub async fn in_directory(
        assignment: Assignment,
        directory: &Directory,
        attempt: Attempt,
    ) -> Result<Self, StoreError> {
        let clock = directory.clock();
        let (held, left) = HeldDirectory::open(directory, &clock)?;
        Self::take(assignment, clock, Box::new(held), left, attempt).await
    }

    /// Takes a migration up where it was `left`, or begins it.
    pub async fn take(
        assignment: Assignment,
        clock: Clock,
        mut store: Box<dyn Store>,
        left: Option<State>,
        attempt: Attempt,
    ) -> Result<Self, StoreError> {
        let now = clock.now();
        let (state, taken_up) = match left {
            Some(state) if matches!(state.phase, Phase::Completed { .. }) => (state, TakenUp::Completed),
            Some(state) if matches!(state.phase, Phase::RolledBack { .. }) && attempt == Attempt::Same => {
                (state, TakenUp::RolledBack)
            }
            // Nothing was written before the origin was recorded: what is in the files now counts.
            Some(state) if !state.phase.is_terminal() && !matches!(state.phase, Phase::Preparing { .. }) => {
                let files_differ = *state.assignment != assignment;
                (state.after_rest(clock.idle()), TakenUp::Resumed { files_differ })
            }
            left => {
                store.begin_anew(now, left.is_some_and(|state| state.phase.is_terminal())).await?;
                let state = State::new(assignment, now);
                store.decide(now, &state, Vec::new()).await?;
                (state, TakenUp::Fresh)
            }
        };
        Ok(Self { store, clock, state, taken_up })
    }

    /// Where it stands.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// How it was taken up.
    pub fn taken_up(&self) -> TakenUp {
        self.taken_up
    }

    /// What it is about: as it was started, whatever the files say by now.
    pub fn assignment(&self) -> &Assignment {
        &self.state.assignment
    }

    /// Lets only so many more records be written.
    #[cfg(test)]
    fn leave_room_for(mut self, records: usize) -> Self {
        self.store.leave_room_for(records);
        self
    }

    /// Drives it in the world its assignment speaks of.
    pub fn drive(self, world: World) -> Result<Driver, StartError> {
        let Self { store, clock, state, taken_up: _ } = self;
        for plane in &state.assignment.migration.planes {
            if !world.planes.contains_key(&plane.name) {
                return Err(StartError::NoPlane(plane.name.clone()));
            }
        }
        let observer = Observer::new(world.servers.of(&state.assignment)?);
        Ok(Driver {
            surroundings: Box::new(Seen { world, observer }),
            store,
            clock,
            state,
            is_recorded: true,
            written: None,
            outcomes: Vec::new(),
        })
    }

    /// Drives it in a world that a test makes up.
    #[cfg(test)]
    fn drive_in(self, surroundings: Box<dyn Surroundings>) -> Driver {
        let Self { store, clock, state, taken_up: _ } = self;
        Driver { surroundings, store, clock, state, is_recorded: true, written: None, outcomes: Vec::new() }
    }
}

/// What a driver looks at and acts upon.
#[async_trait]
trait Surroundings: Send + Sync {
    /// Looks once at everything.
    ///
    /// `applied` is what this migration applied, as far as its journal goes back.
    async fn look(
        &mut self,
        state: &State,
        applied: &Applied,
        now: Timestamp,
        commands: Vec<Command>,
        outcomes: Vec<Outcome>,
    ) -> Look;

    /// Carries out one action; `desired` is what each mirrored object shall be.
    async fn carry_out(
        &self,
        fence: &Fence,
        action: &Action,
        workloads: &Workloads,
        desired: &BTreeMap<ObjectRef, Desired>,
    ) -> Result<(), ActError>;

    /// Asks the Prometheus of this assignment from now on.
    fn ask(&mut self, assignment: &Assignment);

    /// Waits until there is something new for the mirror.
    async fn stirred(&mut self);
}

/// The world, and who looks at it.
struct Seen {
    world: World,
    observer: Observer,
}

#[async_trait]
impl Surroundings for Seen {
    async fn look(
        &mut self,
        state: &State,
        applied: &Applied,
        now: Timestamp,
        commands: Vec<Command>,
        outcomes: Vec<Outcome>,
    ) -> Look {
        let World { source, target, planes, servers: _ } = &self.world;
        self.observer.look(Scene { source, target, planes, applied }, state, now, commands, outcomes).await
    }

    async fn carry_out(
        &self,
        fence: &Fence,
        action: &Action,
        workloads: &Workloads,
        desired: &BTreeMap<ObjectRef, Desired>,
    ) -> Result<(), ActError> {
        let World { source, target, planes, servers: _ } = &self.world;
        Reach { fence, source, target, planes, workloads, desired }.carry_out(action).await
    }

    fn ask(&mut self, assignment: &Assignment) {
        let prometheus = self.world.servers.of(assignment).inspect_err(|error| {
            // Nobody is asked then, which holds.
            tracing::warn!(error = chain(error), "the adopted policy's Prometheus cannot be used");
        });
        self.observer = Observer::new(prometheus.ok().flatten());
    }

    async fn stirred(&mut self) {
        self.observer.stirred().await;
    }
}

/// Drives one migration.
pub struct Driver {
    surroundings: Box<dyn Surroundings>,
    store: Box<dyn Store>,
    clock: Clock,
    state: State,
    /// Whether the state is on disk; a way back that did not wait for the disk is recorded when there is room again.
    is_recorded: bool,
    /// What of the metrics is on disk; nothing before the first pass, which writes whatever it finds: a process that ends again
    /// and again would never see a budget spent.
    written: Option<Written>,
    outcomes: Vec<Outcome>,
}

/// What a pass came to.
pub struct Pass {
    /// For people and scripts.
    pub report: Report,
    /// Whether the next pass should follow at once.
    pub moved: bool,
    /// Why something could not be recorded or published, where that did not stop the pass.
    pub unrecorded: Option<StoreError>,
}

impl Driver {
    /// Where the migration stands.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// One pass.
    pub async fn pass(&mut self) -> Result<Pass, StoreError> {
        let now = self.clock.now();
        let (commands, outcomes) = (self.store.commands(), std::mem::take(&mut self.outcomes));
        let applied = self.store.applied();
        let Look { mut snapshot, desired } =
            self.surroundings.look(&self.state, applied, now, commands, outcomes).await;
        if matches!(self.state.phase, Phase::Preparing { .. }) {
            let workloads = snapshot.source.known().into_iter().flat_map(|workloads| workloads.keys());
            let taken = claims::conflicts(&self.state.assignment, workloads, &self.store.others());
            snapshot.plane_problems.extend(taken);
        }
        let decision = decide(&self.state, &snapshot);
        let report = Report::new(&snapshot, &decision);
        let recorded = self.record(&snapshot.commands, &decision).await;
        let mut unrecorded = match recorded {
            // The way back does not wait for the disk: the origin is on it already, and restoring it twice does no harm.
            Err(error) if matches!(decision.state.phase, Phase::RollingBack { .. }) => Some(error),
            recorded => recorded.map(|()| None)?,
        };
        self.is_recorded = unrecorded.is_none();
        let moves = decision.moves(&self.state, &snapshot);
        if decision.state.assignment.policy.analysis.prometheus != self.state.assignment.policy.analysis.prometheus {
            self.surroundings.ask(&decision.state.assignment);
        }
        self.state = decision.state;
        self.outcomes = self.act(&decision.actions, &desired).await;
        unrecorded = unrecorded.or(self.store.publish(&report).await.err());
        let failed = self.outcomes.iter().any(|outcome| outcome.error.is_some());
        let moved = moves && !failed && unrecorded.is_none();
        Ok(Pass { report, moved, unrecorded })
    }

    /// Puts on disk what was decided, before anything is done about it.
    async fn record(&mut self, commands: &[Command], decision: &Decision) -> Result<(), StoreError> {
        let now = self.clock.now();
        let is_known = match &self.written {
            Some(written) => !decision.is_worth_recording(&self.state, written, now),
            None => decision.state == self.state && decision.replies.is_empty(),
        };
        if self.is_recorded && is_known {
            self.written.get_or_insert_with(|| decision.state.lasting.clone());
            return Ok(());
        }
        let answered = decision.replies.iter().filter_map(|reply| {
            let command = commands.iter().find(|command| command.id == reply.id)?;
            Some(Answered { by: command.by.clone(), request: command.request.clone(), reply: reply.clone() })
        });
        self.store.decide(now, &decision.state, answered.collect()).await?;
        self.written = Some(decision.state.lasting.clone());
        Ok(())
    }

    async fn act(&mut self, actions: &[Action], desired: &BTreeMap<ObjectRef, Desired>) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for group in actions.chunk_by(may_overlap) {
            let at = self.clock.now();
            let recorded = self.store.intend(at, group).await;
            let goes_back = group.iter().all(|action| matches!(action, Action::RestorePlane { .. }));
            if let Some(error) = recorded.err().filter(|_| !goes_back) {
                let error = Some(chain(&ActError::from(error)));
                outcomes.extend(group.iter().map(|action| Outcome { action: action.clone(), error: error.clone() }));
                break;
            }
            let (fence, surroundings) = (&self.store.fence(), &self.surroundings);
            let workloads = &self.state.assignment.migration.workloads;
            let done = group.iter().map(|action| async move {
                let error =
                    surroundings.carry_out(fence, action, workloads, desired).await.err().map(|error| chain(&error));
                Outcome { action: action.clone(), error }
            });
            let done: Vec<_> = done.collect();
            let done: Vec<Outcome> = stream::iter(done).buffered(at_once(group).max(1)).collect().await;
            let at = self.clock.now();
            let failed = done.iter().any(|outcome| outcome.error.is_some());
            if let Err(error) = self.store.outcome(at, &done).await {
                // The next snapshot tells what happened; only the account of it has a gap.
                tracing::warn!(error = chain(&error), "outcome not recorded");
            }
            outcomes.extend(done);
            if failed {
                break;
            }
        }
        outcomes
    }

    /// Waits until the next pass is due: the policy's interval, or until somebody asks for something or one of the clusters has
    /// something new for the mirror.
    pub async fn rest(&mut self) {
        let interval = self.state.assignment.policy.analysis.interval;
        let interval = Duration::try_from(interval).unwrap_or(LETTER_BOX);
        let due = tokio::time::sleep(interval);
        tokio::pin!(due);
        // What changes again and again does not make passes follow each other at once.
        tokio::time::sleep(BREATH).await;
        // Looked at after a while and not at once: a command that cannot be answered must not make passes follow each other.
        loop {
            tokio::select! {
                () = &mut due => return,
                () = self.surroundings.stirred() => return,
                () = tokio::time::sleep(LETTER_BOX) => {}
            }
            if self.store.has_commands() {
                return;
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

#[cfg(test)]
mod tests;
