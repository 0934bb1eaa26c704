//! One story from its beginning to its end: passes of a controller through a world. PURE.
//!
//! A pass goes as in `drive`: look, decide, record, answer, act. What is recorded survives a crash, the rest does not: outcomes,
//! readings of counters, and what was decided a moment before. A letter that was not answered comes again.
//!
//! **Time jumps.** Where nothing can differ from one look to the next (nothing begins or ends, the window holds nothing but
//! what it held, and no deadline falls), the looks in between are left out, and the next one comes at its interval after the
//! next change. While a fault shows in the window, every look is taken.

use std::rc::Rc;
use std::sync::Arc;

use super::case::{Case, CrashPoint, Moment, NEVER, Wish, millis};
use super::person::{Deed, Person};
use super::promise::{Broken, Promise, Watcher};
use super::world::{Readings, Sight, Stop, World, stamp};
use crate::analysis::record::Stage;
use crate::migration::state::{Cause, Phase, Shifting, Standing, State};
use crate::migration::{Action, Decision, Outcome, Snapshot, WaitingOn};
use crate::policy::Assignment;

/// A pass follows the one before so soon where that one did something, in milliseconds.
const BLINK: Moment = 20;
/// From looking to acting, in milliseconds.
const DELIBERATION: Moment = 10;
/// Most passes of one story. One that needs more has found a way to do something for ever, and counts as held.
const MOST_PASSES: u32 = 3_000;
/// Fruitless looks at a steady world before it counts as steady for good.
const FRUITLESS: u32 = 20;
/// How long a leader is given to show that it is there, in milliseconds: what client-go gives it.
const LEASE: Moment = 15_000;
/// Passes in which a migration must be back at its origin once nothing is wrong any more.
const WAY_BACK: u32 = 400;

/// How a story ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// Where the migration was at the end.
    pub end: End,
    /// A promise that was not kept, which ended it.
    pub broken: Option<Broken>,
    /// How long it took, in milliseconds.
    pub lasted: Moment,
    /// Decisions made.
    pub passes: u32,
    /// Requests in all.
    pub requests: f64,
    /// Requests that failed because one side was worse than normal.
    pub failed: f64,
}

/// Where a migration was at the end of its story.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum End {
    /// The target has the traffic.
    Completed,
    /// Back at the origin, because the target was bad.
    RolledBack,
    /// Back at the origin, because both sides were bad and the target could not be told from the source.
    RolledBackWithBoth,
    /// Back at the origin, because the target seemed bad and nothing was.
    RolledBackFalsely,
    /// Back at the origin, because a person asked for it.
    Aborted,
    /// Back at the origin, because the target was not ready in time.
    TooLate,
    /// It waited for something that nobody did.
    Held,
}

/// Somebody who watches a story. Every method may stay as it is.
pub trait Witness {
    /// A decision was made; `highest` is the weight of the plane that truly has most.
    fn pass(&mut self, now: Moment, snapshot: &Snapshot, decision: &Decision, highest: f64) {
        let _ = (now, snapshot, decision, highest);
    }

    /// Something else happened.
    fn happened(&mut self, now: Moment, what: &str) {
        let _ = (now, what);
    }
}

/// Nobody watches.
impl Witness for () {}

/// Plays a case with a way to decide, which is `decide` wherever nothing is to be proved about the watcher itself.
pub fn play(
    assignment: &Arc<Assignment>,
    case: &Case,
    decide: impl Fn(&State, &Snapshot) -> Decision,
    witness: &mut impl Witness,
) -> Ending {
    let world = World::new(case, assignment);
    let state = Rc::new(State::new(Arc::clone(assignment), stamp(case.start)));
    let disk = Rc::clone(&state);
    let controller = Controller { decide, disk, state, outcomes: Vec::new(), readings: Readings::default(), up: 0 };
    let play = Play {
        sight: Sight::new(assignment, &world),
        watcher: Watcher::new(assignment, case.setting.demand),
        person: Person::new(&case.setting),
        interval: millis(assignment.policy.analysis.interval),
        window: millis(assignment.policy.analysis.window),
        former: None,
        fruitless: 0,
        passes: 0,
        world,
        controller,
        witness,
    };
    play.run()
}

/// The process that drives the migration, and what it has on disk.
struct Controller<D> {
    decide: D,
    state: Rc<State>,
    disk: Rc<State>,
    outcomes: Vec<Outcome>,
    readings: Readings,
    /// When somebody is in charge again.
    up: Moment,
}

struct Play<'c, 'w, D, W> {
    world: World<'c>,
    controller: Controller<D>,
    sight: Sight,
    watcher: Watcher<'c>,
    person: Person,
    witness: &'w mut W,
    interval: Moment,
    window: Moment,
    /// When a controller that was frozen past its lease wakes up.
    former: Option<Moment>,
    fruitless: u32,
    passes: u32,
}

impl<D: Fn(&State, &Snapshot) -> Decision, W: Witness> Play<'_, '_, D, W> {
    fn run(mut self) -> Ending {
        let mut next = self.world.now;
        while next < NEVER && self.passes < MOST_PASSES && !self.controller.disk.phase.is_terminal() {
            match self.step(next) {
                Ok(then) => next = then,
                Err(broken) => return self.ending(Some(broken)),
            }
        }
        let ending = self.ending(None);
        let broken = self.last_act().err();
        Ending { broken, ..ending }
    }

    /// Time passes until `at`, and then a pass is made.
    fn step(&mut self, at: Moment) -> Result<Moment, Broken> {
        self.world.advance(at);
        if let Some(woke) = self.former.take_if(|wakes| *wakes <= at) {
            self.witness.happened(woke, "the former leader wakes up; the fence refuses what it still had to write");
        }
        if let Some(deed) = self.person.act(&mut self.world) {
            self.witness.happened(
                self.world.now,
                match deed {
                    Deed::Say(_) => "the person it waits for answers",
                    Deed::Mend => "somebody puts the planes back",
                },
            );
        }
        if self.world.now < self.controller.up { Ok(self.controller.up) } else { self.pass() }
    }

    /// Whatever became of it: once nothing is wrong any more it gets to an end, and stays there.
    fn last_act(&mut self) -> Result<(), Broken> {
        self.world.heal();
        let passes = self.passes;
        let committed = matches!(self.controller.disk.phase, Phase::Committing { .. });
        if !committed && !self.controller.disk.phase.is_terminal() {
            self.world.ask(Wish::Abort);
        }
        let mut next = self.world.now.max(self.controller.up);
        while !self.controller.disk.phase.is_terminal() {
            let late = self.passes > passes + WAY_BACK || next >= NEVER;
            if late {
                let account = format!("with nothing wrong any more it stays {}", self.controller.disk.phase.name());
                return Err(Broken { promise: Promise::WayBack, account });
            }
            next = self.step(next)?;
        }
        self.watcher.judge_end(&self.controller.disk, &self.world.planes)
    }

    fn ending(&self, broken: Option<Broken>) -> Ending {
        let truth = &self.world.truth;
        let end = match &self.controller.disk.phase {
            Phase::Completed { .. } => End::Completed,
            Phase::RolledBack { cause, .. } => match cause {
                Cause::Requested { .. } => End::Aborted,
                Cause::MirrorDeadline { .. } | Cause::StepDeadline { .. } => End::TooLate,
                // A target without a ready pod is bad, whether or not a request found out.
                Cause::TargetLost { .. } => End::RolledBack,
                Cause::MetricFailed { .. } if truth.bad.is_some() => End::RolledBack,
                Cause::MetricFailed { .. } if truth.shared.is_some() => End::RolledBackWithBoth,
                Cause::MetricFailed { .. } => End::RolledBackFalsely,
            },
            _ => End::Held,
        };
        let (lasted, passes) = (self.world.now - self.world.case.start, self.passes);
        Ending { end, broken, lasted, passes, requests: truth.requests, failed: truth.failed }
    }

    /// One pass; when the next one is due.
    fn pass(&mut self) -> Result<Moment, Broken> {
        self.passes += 1;
        let now = self.world.now;
        let stage = Stage::of(&self.controller.state);
        self.sight.look(&self.world, stage, &mut self.controller.readings);
        std::mem::swap(&mut self.sight.snapshot.outcomes, &mut self.controller.outcomes);
        self.controller.outcomes.clear();
        let (before, snapshot) = (&self.controller.state, &self.sight.snapshot);
        let decision = (self.controller.decide)(before, snapshot);
        let highest = self.world.planes.iter().map(super::world::Plane::share).fold(0.0, f64::max);
        self.witness.pass(now, snapshot, &decision, highest);
        self.watcher.judge(before, snapshot, &decision)?;

        let (changed, moves) = (!decision.state.stands_as(before), decision.moves(before, snapshot));
        if let Some(up) = self.stops(|point| point == CrashPoint::BeforeRecord && changed) {
            return Ok(up);
        }
        if self.world.disk_is_full() && (changed || !decision.replies.is_empty() || !decision.actions.is_empty()) {
            return Ok(self.unrecorded(decision));
        }
        self.watcher.recorded(&self.controller.state, &self.sight.snapshot, &decision);
        let Decision { state, actions, waiting, replies, .. } = decision;
        self.person.see(waiting.as_ref(), now);
        self.controller.disk = Rc::new(state);
        if let Some(up) = self.stops(|point| point == CrashPoint::AfterRecord && (changed || !replies.is_empty())) {
            return Ok(up);
        }
        self.controller.state = Rc::clone(&self.controller.disk);
        self.world.letters.retain(|letter| !replies.iter().any(|reply| reply.id == letter.id));
        let did = !(replies.is_empty() && actions.is_empty());
        if let Some(up) = self.stops(|point| point == CrashPoint::AfterAnswers && did) {
            return Ok(up);
        }
        if let Some(crashed) = self.act(actions) {
            return Ok(crashed);
        }
        let failed = self.controller.outcomes.iter().any(|outcome| outcome.error.is_some());
        let moved = moves && !failed;
        self.fruitless = if changed { 0 } else { self.fruitless + 1 };
        Ok(if moved { self.world.now + BLINK } else { self.rest(waiting.as_ref()) })
    }

    /// What is done of a decision that the disk has no room for: nothing, but the way back goes on.
    fn unrecorded(&mut self, decision: Decision) -> Moment {
        let next = self.world.now + self.interval;
        if !matches!(decision.state.phase, Phase::RollingBack { .. }) {
            self.witness.happened(self.world.now, "nothing is done, because it cannot be recorded");
            return next;
        }
        self.witness.happened(self.world.now, "it cannot be recorded, and the way back does not wait for that");
        self.controller.state = Rc::new(decision.state);
        self.act(decision.actions).unwrap_or(next)
    }

    /// Carries actions out; when the controller is killed meanwhile, the time at which somebody is in charge again.
    fn act(&mut self, actions: Vec<Action>) -> Option<Moment> {
        if actions.is_empty() {
            return None;
        }
        self.world.advance(self.world.now + DELIBERATION);
        let all = actions.len();
        for (count, action) in actions.into_iter().enumerate() {
            if let Some(up) = self.stops(|point| point == CrashPoint::AfterActions(count)) {
                return Some(up);
            }
            let unrecorded = self.world.disk_is_full() && !matches!(action, Action::RestorePlane { .. });
            let done = if unrecorded { Err("it could not be recorded") } else { self.world.carry_out(&action) };
            let error = done.err().map(str::to_owned);
            let stops = error.is_some() && !may_overlap(&action);
            self.controller.outcomes.push(Outcome { action, error });
            if stops {
                break;
            }
        }
        let late = |point| matches!(point, CrashPoint::AfterActions(count) if count >= all);
        self.stops(late)
    }

    /// When somebody is in charge again, where the controller comes to a stop here and another one takes over. One that is
    /// frozen for less than its lease goes on as if nothing had happened.
    fn stops(&mut self, here: impl Fn(CrashPoint) -> bool) -> Option<Moment> {
        let Stop { lasts, wakes, .. } = self.world.stop.take_if(|stop| here(stop.point))?;
        let now = self.world.now;
        match wakes {
            true if lasts < LEASE => {
                self.witness.happened(now, "the controller is frozen, and wakes up within its lease");
                self.world.advance(now + lasts);
                None
            }
            true => {
                self.witness.happened(now, "the controller is frozen, and another one takes over");
                self.former = Some(now + lasts);
                Some(self.succeed(LEASE))
            }
            false => {
                self.witness.happened(now, "the controller is killed");
                Some(self.succeed(lasts))
            }
        }
    }

    /// After a while another controller begins with what is on disk.
    fn succeed(&mut self, down: Moment) -> Moment {
        self.controller.state = Rc::clone(&self.controller.disk);
        self.controller.outcomes.clear();
        self.controller.readings = Readings::default();
        self.watcher.taken_over();
        self.controller.up = self.world.now + down;
        self.world.truth.changed = self.controller.up;
        self.controller.up
    }

    /// When the next look is due that can see anything new.
    fn rest(&self, waiting: Option<&WaitingOn>) -> Moment {
        let now = self.world.now;
        let due = now + self.interval;
        let Some(waiting) = waiting.map(WaitingOn::plain) else { return due };
        let steady = now >= self.world.truth.changed + self.window;
        let over = |bad: Moment| bad + self.window < now;
        let clean = self.world.truth.bad.is_none_or(over) && self.world.truth.shared.is_none_or(over);
        let until = |until: &jiff::Timestamp| until.as_millisecond();
        let limit = match waiting {
            WaitingOn::Window { until: at } | WaitingOn::Soak { until: at } if clean || steady => until(at),
            WaitingOn::PauseStep { until: Some(at) } if clean || steady => until(at),
            WaitingOn::WindowClosed { opens } if clean || steady => until(opens),
            WaitingOn::ActionFailed { again, .. } if clean || steady => until(again),
            WaitingOn::Window { .. } | WaitingOn::Soak { .. } | WaitingOn::PauseStep { .. } if !steady => return due,
            // A timetable runs.
            WaitingOn::Rollback { via: Some(_), .. } => return due,
            WaitingOn::MetricNoData { .. }
            | WaitingOn::MetricError { .. }
            | WaitingOn::MetricFailing { .. }
            | WaitingOn::Share { .. }
                if !steady || self.fruitless < FRUITLESS =>
            {
                return due;
            }
            _ if clean || steady => self.deadline(),
            _ => return due,
        };
        let change = limit.min(self.world.next_change()).min(self.person.next());
        if change >= NEVER {
            return NEVER;
        }
        let looks = (change - now + self.interval - 1) / self.interval;
        now + looks.max(1) * self.interval
    }

    /// When the clock itself ends the phase, where it has not done so yet.
    fn deadline(&self) -> Moment {
        let policy = &self.controller.state.assignment.policy;
        let (since, deadline) = match (&self.controller.state.phase, self.controller.state.working) {
            (Phase::Mirroring { .. }, Some(working)) => (working, policy.mirror_deadline),
            (Phase::Preparing { .. } | Phase::Shifting(_) | Phase::Soaking { .. }, Some(working)) => {
                (working, policy.step_deadline)
            }
            (Phase::RollingBack { since, .. }, _)
            | (Phase::Shifting(Shifting { standing: Standing::Drilling(since), .. }), _) => {
                (*since, policy.rollback.deadline)
            }
            (Phase::Committing { by, .. }, _) => (by.at, policy.rollback.deadline),
            _ => return NEVER,
        };
        let at = since.as_millisecond().saturating_add(millis(deadline)) + 1;
        let later = |at: Moment| if at > self.world.now { at } else { NEVER };
        later(at).min(self.silent_until().map_or(NEVER, later))
    }

    /// When a budget of no data is spent next.
    fn silent_until(&self) -> Option<Moment> {
        let State { assignment, lasting, .. } = &*self.controller.state;
        let specs = assignment.policy.analysis.metrics.iter();
        let spent = specs.filter_map(|spec| lasting.get(&spec.name)?.spends(spec.silence.no_data_budget));
        spent.map(|at| at.as_millisecond()).min()
    }
}

/// As the executor has it: planes do not wait for one another, objects do.
fn may_overlap(action: &Action) -> bool {
    match action {
        Action::SetWeight { .. } | Action::RestorePlane { .. } | Action::DrainSource { .. } => true,
        Action::ApplyObject { .. } | Action::DeleteObject { .. } => false,
        Action::SuspendSource { .. } | Action::ResumeTarget { .. } => false,
        Action::ScaleSource { .. } | Action::Release { .. } => false,
    }
}
