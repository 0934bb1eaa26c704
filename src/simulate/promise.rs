//! The promises of a migration, watched by somebody who does not ask `decide`. PURE.
//!
//! After every decision the watcher compares what was decided with what could be seen and with what it remembers itself: the
//! steps of the policy, what was written to each plane, who asked for what. It shares no code with the gates; where they use
//! statistics, it uses plain fractions, strict enough that both have to agree wherever it speaks.

mod back;
mod clock;
mod drill;
mod evidence;

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;

use self::evidence::{Look, clearly_bad, is_excused, share_agrees, within_limits};
use crate::migration::snapshot::{Observed, PlaneView, Snapshot};
use crate::migration::state::{Phase, Shifting, State};
use crate::migration::{Action, Command, Decision, Request};
use crate::policy::{Assignment, MetricSpec, Name, ShiftPolicy, Step, Weight};

/// A promise, by its number in the design.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Promise {
    /// 1: between steps a weight never leaves the two of the step.
    StepByStep,
    /// 2: no side gets requests it has no ready pods for.
    Capacity,
    /// 3: nothing on the source shrinks before commit.
    SourceKept,
    /// 4: from every state before commit there is a way back to the origin.
    WayBack,
    /// 5: missing data neither advances nor goes back.
    NoDataHolds,
    /// 6: advancing needs positive evidence, and a person where the policy asks for one.
    Evidence,
    /// 7: what somebody else changed is never overwritten blindly.
    Drift,
    /// 10: every wait has a name, every phase a deadline.
    Named,
}

impl Promise {
    /// Its number in the design.
    pub fn number(self) -> u8 {
        match self {
            Self::StepByStep => 1,
            Self::Capacity => 2,
            Self::SourceKept => 3,
            Self::WayBack => 4,
            Self::NoDataHolds => 5,
            Self::Evidence => 6,
            Self::Drift => 7,
            Self::Named => 10,
        }
    }
}

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Broken {
    /// Which.
    pub promise: Promise,
    /// How, in a sentence.
    pub account: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "promise {} was broken: {}", self.promise.number(), self.account)
    }
}

/// `Err` with the promise unless the condition holds.
pub(super) fn hold(condition: bool, promise: Promise, account: impl FnOnce() -> String) -> Result<(), Broken> {
    if condition { Ok(()) } else { Err(Broken { promise, account: account() }) }
}

/// What was left on a plane: it may show anything between the two.
#[derive(Debug, Clone, Copy)]
struct Left {
    from: Weight,
    to: Weight,
}

impl Left {
    /// What was never written is not ours to restore.
    fn was_written(&self, origin: Weight) -> bool {
        self.from != origin || self.to != origin
    }
}

/// Somebody who remembers, and compares.
pub(super) struct Watcher<'p> {
    policy: &'p ShiftPolicy,
    demand: u32,
    /// Each plane's weight before the first write, and what was left on it since.
    planes: Vec<(Name, Weight, Left)>,
    /// Since when it has been at work on this phase or step: people and times that the policy names do not count.
    at_work: Option<Timestamp>,
    rolling_back: Option<Timestamp>,
    soaking: Option<Timestamp>,
    /// Since when every plane has been seen at the step's weight.
    settled: Option<Timestamp>,
    /// Since when every plane has shown the weight it shows, and a number that tells those weights apart.
    steady: (Option<Timestamp>, u64),
    /// A person asked to pause.
    paused: bool,
    /// Letters that were taken, and the step in which a person let something pass.
    taken: BTreeSet<String>,
    word: Option<usize>,
    drill: drill::Memory,
    last: Look,
    /// When the source last failed as well, metric by metric: until that has left the window, it may be why the target's is full.
    excused: Vec<Option<Timestamp>>,
}

impl<'p> Watcher<'p> {
    pub fn new(assignment: &'p Assignment, demand: u32) -> Self {
        Self {
            policy: &assignment.policy,
            demand,
            planes: Vec::new(),
            at_work: None,
            rolling_back: None,
            soaking: None,
            settled: None,
            steady: (None, 0),
            paused: false,
            taken: BTreeSet::new(),
            word: None,
            drill: drill::Memory::default(),
            last: Look::default(),
            excused: vec![None; assignment.policy.analysis.metrics.len()],
        }
    }

    /// Somebody else is in charge now, who has to look twice to see what goes on.
    pub fn taken_over(&mut self) {
        self.last = Look::default();
    }

    /// Compares one decision with what it was decided on.
    pub fn judge(&mut self, before: &State, snapshot: &Snapshot, decision: &Decision) -> Result<(), Broken> {
        let after = &decision.state;
        self.settled = self.settled_since(before, snapshot);
        self.steady = self.steady_since(snapshot);
        for (spec, excused) in self.policy.analysis.metrics.iter().zip(&mut self.excused) {
            let now = snapshot.metrics.get(&spec.name).is_some_and(|sample| is_excused(spec, sample));
            *excused = if now { Some(snapshot.now) } else { *excused };
        }
        self.judge_letters(before, snapshot, decision)?;
        match (&before.phase, &after.phase) {
            (Phase::Shifting(was), Phase::Shifting(is)) if was.step == is.step => {
                self.judge_standing(was, is, snapshot, decision)?;
            }
            (Phase::Shifting(was), Phase::Shifting(is)) => {
                let next = is.step == was.step + 1;
                hold(next, Promise::StepByStep, || format!("from step {} to step {}", was.step + 1, is.step + 1))?;
                self.judge_advance(was.step, snapshot, decision)?;
            }
            (Phase::Shifting(was), Phase::Soaking { .. }) => {
                let last = was.step + 1 == self.policy.steps.len();
                hold(last, Promise::StepByStep, || format!("soaking after step {}", was.step + 1))?;
                self.judge_advance(was.step, snapshot, decision)?;
            }
            (Phase::Soaking { .. }, Phase::Committing { .. }) => self.judge_commit(snapshot)?,
            (Phase::RollingBack { .. }, Phase::RolledBack { .. }) => self.judge_origin(snapshot)?,
            (Phase::RollingBack { .. }, Phase::RollingBack { .. }) => {}
            (Phase::Mirroring { .. } | Phase::Shifting(_) | Phase::Soaking { .. }, Phase::RolledBack { cause, .. }) => {
                self.judge_cause(cause, snapshot)?;
                self.judge_origin(snapshot)?;
            }
            (_, Phase::RollingBack { cause, .. }) => self.judge_cause(cause, snapshot)?,
            (was, is) => {
                hold(follows(was, is), Promise::StepByStep, || format!("from {} to {}", was.name(), is.name()))?
            }
        }
        for action in &decision.actions {
            self.judge_action(action, snapshot, decision)?;
        }
        self.judge_protection(before, snapshot, after)?;
        self.last.take(snapshot, &self.policy.analysis);
        self.judge_waits(before, snapshot, decision)
    }

    /// Remembers what is on disk now, and what is about to be done.
    pub fn recorded(&mut self, before: &State, snapshot: &Snapshot, decision: &Decision) {
        let step = step_of(&before.phase);
        self.hear(snapshot, decision, step);
        self.drill.remember(before, decision);
        if step.is_some() && step != step_of(&decision.state.phase) {
            (self.settled, self.word) = (None, None);
        }
        for (name, _, left) in &mut self.planes {
            if let Some(shown) = weight(snapshot, name).filter(|shown| *shown == left.to) {
                *left = Left { from: shown, to: shown };
            }
        }
        let drills = drill::is_on(&decision.state.phase);
        for action in &decision.actions {
            let Some(plane) = action.plane() else { continue };
            let Some((_, origin, left)) = self.planes.iter_mut().find(|(name, ..)| name == plane) else { continue };
            match action {
                Action::SetWeight { to, .. } => left.to = *to,
                // A plane that a drill took to its origin is as if it had never been written.
                Action::RestorePlane { .. } if drills => left.to = *origin,
                _ => {}
            }
        }
        let now = Some(snapshot.now);
        self.keep_time(before, snapshot, decision);
        match &decision.state.phase {
            Phase::Mirroring { .. } if self.planes.is_empty() => {
                let seen = snapshot.planes.iter().filter_map(|(name, seen)| Some((name.clone(), seen.known()?.weight)));
                self.planes = seen.map(|(name, at)| (name, at, Left { from: at, to: at })).collect();
            }
            Phase::RollingBack { .. } => self.rolling_back = self.rolling_back.or(now),
            Phase::Soaking { .. } => self.soaking = self.soaking.or(now),
            _ => {}
        }
    }

    /// Takes note of letters that are answered for the first time.
    fn hear(&mut self, snapshot: &Snapshot, decision: &Decision, step: Option<usize>) {
        let mut paused = self.paused;
        for (command, accepted) in answered(snapshot, decision) {
            let is_new = self.taken.insert(command.id.clone());
            match command.request {
                _ if !accepted => {}
                Request::Pause => paused = true,
                Request::Resume if paused => paused = false,
                Request::Resume | Request::Approve if is_new => self.word = step,
                Request::Resume | Request::Approve => {}
                Request::Abort { .. } | Request::Rollback { .. } | Request::Commit => paused = false,
                Request::Drill | Request::AdoptPolicy { .. } => {}
            }
        }
        self.paused = paused;
    }

    /// Whether a person has paused, once these letters are answered.
    fn pauses(&self, snapshot: &Snapshot, decision: &Decision) -> bool {
        answered(snapshot, decision).fold(self.paused, |paused, (command, accepted)| match command.request {
            _ if !accepted => paused,
            Request::Pause => true,
            Request::Resume | Request::Abort { .. } | Request::Rollback { .. } | Request::Commit => false,
            Request::Approve | Request::Drill | Request::AdoptPolicy { .. } => paused,
        })
    }

    fn settled_since(&self, before: &State, snapshot: &Snapshot) -> Option<Timestamp> {
        let Phase::Shifting(shifting) = &before.phase else { return None };
        let wanted = self.wanted(shifting.step)?;
        let all = self.planes.iter().all(|(name, ..)| weight(snapshot, name) == Some(wanted));
        // A plane that cannot be seen for a while leaves open where it was: what was gathered counts until it is seen elsewhere.
        let elsewhere =
            self.planes.iter().any(|(name, ..)| weight(snapshot, name).is_some_and(|shown| shown != wanted));
        if all { self.settled.or(Some(snapshot.now)) } else { self.settled.filter(|_| !elsewhere) }
    }

    fn steady_since(&self, snapshot: &Snapshot) -> (Option<Timestamp>, u64) {
        let points = |name| weight(snapshot, name).map_or(0, |weight| u64::from(weight.basis_points()) + 1);
        let shown = self.planes.iter().fold(0, |shown: u64, (name, ..)| shown.wrapping_mul(10_007) + points(name));
        let (since, before) = self.steady;
        (since.filter(|_| shown == before).or(Some(snapshot.now)), shown)
    }

    /// The weight a step has to bring about: its own, or after a drill that of the last step that had one.
    fn wanted(&self, step: usize) -> Option<Weight> {
        let own = self.policy.steps.get(step)?.weight();
        let before = || self.policy.steps[..step].iter().rev().find_map(|step| step.weight());
        own.or_else(|| self.drill.reached_home(step).then(before).flatten())
    }

    fn judge_action(&self, action: &Action, snapshot: &Snapshot, decision: &Decision) -> Result<(), Broken> {
        let after = &decision.state;
        // Nobody gets there unjudged.
        let committed = matches!(after.phase, Phase::Committing { .. });
        let say = || format!("{action} while {}", after.phase.name());
        match action {
            Action::SetWeight { plane, to, .. } => self.judge_weight(plane, *to, snapshot, decision),
            Action::RestorePlane { plane, setting } => {
                let origin = self.planes.iter().find(|(name, ..)| name == plane);
                let right = origin.is_some_and(|(_, origin, _)| *setting == origin.basis_points());
                let back = matches!(after.phase, Phase::RollingBack { .. }) || drill::is_on(&after.phase);
                hold(right && back, Promise::WayBack, say)
            }
            Action::DrainSource { plane } => {
                hold(committed, Promise::SourceKept, say)?;
                let full = weight(snapshot, plane) == Some(Weight::FULL);
                hold(full, Promise::Capacity, || format!("{action} while it does not send everything to the target"))
            }
            Action::ScaleSource { .. } => {
                hold(committed, Promise::SourceKept, say)?;
                let served = |seen: &Observed<PlaneView>| {
                    seen.known().is_none_or(|view| view.weight < Weight::FULL || view.source.usable > 0)
                };
                let serving = snapshot.planes.iter().find(|(_, seen)| served(seen)).map(|(name, _)| name);
                hold(serving.is_none(), Promise::Capacity, || {
                    format!("{action} while {} may send requests there", serving.map_or("", Name::as_str))
                })
            }
            Action::Release { .. } | Action::SuspendSource { .. } | Action::ResumeTarget { .. } => {
                hold(committed, Promise::SourceKept, say)
            }
            Action::ApplyObject { .. } | Action::DeleteObject { .. } => {
                let before_commit =
                    matches!(after.phase, Phase::Mirroring { .. } | Phase::Shifting(_) | Phase::Soaking { .. });
                hold(before_commit, Promise::StepByStep, say)
            }
        }
    }

    fn judge_weight(&self, plane: &Name, to: Weight, snapshot: &Snapshot, decision: &Decision) -> Result<(), Broken> {
        let after = &decision.state;
        if let Phase::RollingBack { .. } = &after.phase {
            return self.judge_descent(plane, to, snapshot);
        }
        let Phase::Shifting(shifting) = &after.phase else {
            return hold(false, Promise::StepByStep, || format!("{plane} is moved while {}", after.phase.name()));
        };
        let right = self.wanted(shifting.step) == Some(to);
        hold(right, Promise::StepByStep, || format!("{plane} is moved to {to} in step {}", shifting.step + 1))?;
        hold(!self.pauses(snapshot, decision), Promise::StepByStep, || {
            format!("{plane} is moved while a person has paused")
        })?;
        for (name, _, left) in &self.planes {
            let shown = weight(snapshot, name);
            let ours = shown.is_some_and(|shown| shown.is_between(left.from, left.to));
            hold(ours, Promise::Drift, || match shown {
                Some(shown) => format!("planes are moved while {name} shows {shown}, which nobody here wrote"),
                None => format!("planes are moved while {name} cannot be seen"),
            })?;
        }
        let ready = snapshot.target.known().map_or(0, |pods| pods.values().map(|pods| pods.ready).sum());
        let needed = to.ceil_of(self.demand);
        hold(ready >= needed, Promise::Capacity, || format!("{plane} gets {to} with {ready} of {needed} pods ready"))
    }

    fn judge_letters(&self, before: &State, snapshot: &Snapshot, decision: &Decision) -> Result<(), Broken> {
        for command in &snapshot.commands {
            let reply = decision.replies.iter().find(|reply| reply.id == command.id);
            hold(reply.is_some(), Promise::Named, || format!("letter {} was not answered", command.id))?;
            let before_commit =
                !matches!(before.phase, Phase::Committing { .. } | Phase::Completed { .. } | Phase::RolledBack { .. });
            // Somebody may say commit and then abort in one breath: the first word counts.
            let first = !snapshot.commands.iter().any(|other| other.request == Request::Commit);
            let goes = matches!(command.request, Request::Abort { .. } | Request::Rollback { .. });
            if goes && before_commit && first {
                let back = matches!(decision.state.phase, Phase::RollingBack { .. } | Phase::RolledBack { .. });
                hold(back, Promise::WayBack, || format!("an abort leaves it {}", decision.state.phase.name()))?;
            }
        }
        Ok(())
    }

    /// Everything that has to be there before a step is left.
    fn judge_advance(&self, step: usize, snapshot: &Snapshot, decision: &Decision) -> Result<(), Broken> {
        let number = step + 1;
        hold(!self.pauses(snapshot, decision), Promise::Evidence, || {
            format!("step {number} was left while a person has paused")
        })?;
        match self.policy.steps.get(step) {
            Some(Step::SetWeight(wanted)) => self.judge_evidence(number, *wanted, snapshot),
            Some(Step::Approval) => {
                let asked = self.word == Some(step) || self.says(snapshot, decision, &Request::Approve);
                hold(asked, Promise::Evidence, || format!("step {number} was left without a person's approval"))
            }
            Some(Step::Pause(None)) => {
                let asked = self.word == Some(step) || self.says(snapshot, decision, &Request::Resume);
                hold(asked, Promise::Evidence, || format!("step {number} was left without a person's word"))
            }
            Some(Step::Drill) => {
                let drilled = self.drill.is_proven(step);
                hold(drilled, Promise::Evidence, || format!("step {number} was left without a drill that was proven"))
            }
            Some(Step::Pause(Some(_))) | None => Ok(()),
        }
    }

    /// Whether a letter that nobody has seen before says so, and was taken.
    fn says(&self, snapshot: &Snapshot, decision: &Decision, request: &Request) -> bool {
        answered(snapshot, decision)
            .any(|(command, accepted)| accepted && command.request == *request && !self.taken.contains(&command.id))
    }

    fn judge_evidence(&self, number: usize, wanted: Weight, snapshot: &Snapshot) -> Result<(), Broken> {
        let seen = self.planes.iter().all(|(name, ..)| weight(snapshot, name) == Some(wanted));
        hold(seen, Promise::Evidence, || format!("step {number} was left before every plane was seen at {wanted}"))?;
        let window = self.policy.analysis.window;
        let lasted = self.settled.is_some_and(|since| snapshot.now.duration_since(since) >= window);
        hold(lasted, Promise::Evidence, || format!("step {number} was left before its window had passed"))?;
        self.judge_numbers(&format!("step {number} was left"), wanted, snapshot)
    }

    /// Every metric within its limits, and the share of the requests as it is meant to be.
    fn judge_numbers(&self, what: &str, wanted: Weight, snapshot: &Snapshot) -> Result<(), Broken> {
        for spec in &self.policy.analysis.metrics {
            let sample = snapshot.metrics.get(&spec.name);
            hold(sample.is_some_and(|sample| within_limits(spec, sample)), Promise::NoDataHolds, || {
                format!("{what} on {} = {sample:?}", spec.name)
            })?;
        }
        let agrees = share_agrees(&self.policy.analysis.share, wanted, &snapshot.share);
        hold(agrees, Promise::Evidence, || format!("{what} at a share of {:?}", snapshot.share))
    }

    fn judge_commit(&self, snapshot: &Snapshot) -> Result<(), Broken> {
        let asked = snapshot.commands.iter().any(|command| command.request == Request::Commit);
        hold(asked, Promise::SourceKept, || "it was committed without anybody asking".to_owned())?;
        let soaked = self.soaking.is_some_and(|since| snapshot.now.duration_since(since) >= self.policy.soak);
        hold(soaked, Promise::Evidence, || "it was committed before it had soaked".to_owned())?;
        let full = self.planes.iter().all(|(name, ..)| weight(snapshot, name) == Some(Weight::FULL));
        hold(full, Promise::Evidence, || "it was committed while a plane was not seen at 100%".to_owned())?;
        self.judge_numbers("it was committed", Weight::FULL, snapshot)
    }

    /// A target that is clearly bad, for everybody to see, loses its traffic at once, whatever it waits for.
    fn judge_protection(&self, before: &State, snapshot: &Snapshot, after: &State) -> Result<(), Broken> {
        let given = self.planes.iter().any(|(_, origin, left)| left.to > *origin);
        let serving = given && matches!(before.phase, Phase::Shifting(_) | Phase::Soaking { .. });
        let protected = !matches!(after.phase, Phase::Shifting(_) | Phase::Soaking { .. });
        // What happened before the first step was nobody's traffic that anybody here had given.
        let window = self.policy.analysis.window;
        let given_for_long = match &before.phase {
            Phase::Shifting(Shifting { step: 0, since, .. }) => snapshot.now.duration_since(*since) >= window,
            _ => true,
        };
        let bad = if serving && !protected { self.clearly_bad(snapshot, given_for_long) } else { None };
        hold(bad.is_none(), Promise::NoDataHolds, || {
            format!("it keeps its traffic while {} fails", bad.unwrap_or_default())
        })
    }

    fn clearly_bad(&self, snapshot: &Snapshot, given_for_long: bool) -> Option<String> {
        let analysis = &self.policy.analysis;
        // In a window in which weights changed the sides did not serve at the same time: where both began to fail within it, most
        // requests of the one are from before and most of the other from after.
        let is_past = |at: Timestamp| snapshot.now.duration_since(at) >= analysis.window;
        let steady = self.steady.0.is_some_and(is_past);
        let steady = |spec: &MetricSpec| steady || given_for_long && spec.baseline.is_none();
        let alone = |place: usize| self.excused[place].is_none_or(is_past);
        let mut metrics = analysis.metrics.iter().enumerate().filter(|(place, spec)| steady(spec) && alone(*place));
        let bad = metrics.find(|(place, spec)| {
            let sample = snapshot.metrics.get(&spec.name);
            sample.is_some_and(|s| clearly_bad(spec, s) && self.last.goes_on(*place, spec, s, snapshot.now, analysis))
        });
        bad.map(|(_, spec)| spec.name.to_string())
    }
}

/// Transitions that need no evidence of their own.
fn follows(was: &Phase, is: &Phase) -> bool {
    let rank = |phase: &Phase| match phase {
        Phase::Preparing { .. } => 0,
        Phase::Mirroring { .. } => 1,
        Phase::Shifting(_) => 2,
        Phase::Soaking { .. } => 3,
        Phase::Committing { .. } => 4,
        Phase::Completed { .. } => 5,
        Phase::RollingBack { .. } => 6,
        Phase::RolledBack { .. } => 7,
    };
    let first_step = |phase: &Phase| !matches!(phase, Phase::Shifting(shifting) if shifting.step > 0);
    match (rank(was), rank(is)) {
        (a, b) if a == b => true,
        (0, 1) | (4, 5) | (0, 7) => true,
        (1, 2) => first_step(is),
        _ => false,
    }
}

fn step_of(phase: &Phase) -> Option<usize> {
    match phase {
        Phase::Shifting(shifting) => Some(shifting.step),
        _ => None,
    }
}

/// Every letter, and whether it was taken.
fn answered<'a>(snapshot: &'a Snapshot, decision: &'a Decision) -> impl Iterator<Item = (&'a Command, bool)> {
    snapshot.commands.iter().map(|command| {
        let accepted = decision.replies.iter().any(|reply| reply.id == command.id && reply.accepted);
        (command, accepted)
    })
}

fn weight(snapshot: &Snapshot, plane: &Name) -> Option<Weight> {
    snapshot.planes.get(plane).and_then(Observed::known).map(|view| view.weight)
}
