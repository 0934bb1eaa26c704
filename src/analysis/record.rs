//! What was learnt about one metric since the target was first given traffic. PURE.
//!
//! Counts come as totals since some moment, the *anchor*, because those are what counters and long windows give; the difference
//! between two looks is what happened between them, and every request counts once. A reading with another anchor, after a gap or a
//! restart of what counts, only says where to go on from.
//!
//! **Nothing is created by losing it.** A process that restarts has gathered nothing, and gathers anew; where the totals reach back to
//! the beginning of the step, as those of Prometheus do, it has lost nothing of that step. How much a beginning counts follows
//! from the step and the time alone, so no restart gives a false alarm another chance.

use jiff::{SignedDuration, Timestamp};

use super::sequential::{Alternatives, Events, Evidence};
use super::statistics::{Counted, fraction, lowest_plausible};
use super::strata::{NOTHING, Strata};
use crate::migration::snapshot::SidePair;
use crate::migration::state::{Phase, Shifting, Standing, State};
use crate::policy::{Baseline, MetricSpec, Weight};

/// The step of a migration whose target may have traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    /// Counted from 0; soaking comes after the last one.
    pub step: usize,
    /// How many there are, soaking not among them.
    pub of: usize,
    /// When it began.
    pub since: Timestamp,
    /// When every plane was read back at its weight.
    pub settled: Option<Timestamp>,
}

/// The part of all mass that belongs to the first step.
const FIRST_STEP: f64 = 0.7;
/// The part of a stage's mass that belongs to its beginning.
const BEGINNING: f64 = 0.9;
/// What the beginning of the first step has: how much a target counts that is bad from its first request on.
pub const FIRST: f64 = FIRST_STEP * BEGINNING;

/// What the beginning of a step has, the first one or one of so many.
pub fn mass_of_beginning(first: bool, of: usize) -> f64 {
    if first { FIRST } else { (1.0 - FIRST_STEP) * BEGINNING / of.max(1) as f64 }
}

impl Stage {
    /// The stage of a migration, while it has one. A first step whose planes nobody here has written yet is none: what the target
    /// gets then, somebody else gives it.
    pub fn of(state: &State) -> Option<Self> {
        let of = state.assignment.policy.steps.len();
        match &state.phase {
            Phase::Shifting(Shifting { step: 0, .. })
                if state.highest_weight() == Weight::ZERO && state.drilled().is_none() =>
            {
                None
            }
            Phase::Shifting(shifting) => {
                let settled = match shifting.standing {
                    Standing::Settled(at) => Some(at),
                    Standing::Moving | Standing::Proven | Standing::Drilling(_) | Standing::Late(_) => None,
                };
                Some(Self { step: shifting.step, of, since: shifting.since, settled })
            }
            Phase::Soaking { since, .. } => Some(Self { step: of, of, since: *since, settled: Some(*since) }),
            _ => None,
        }
    }

    /// From where on requests belong to it entirely.
    pub fn began(&self) -> Timestamp {
        self.settled.unwrap_or(self.since)
    }

    /// The part of all mass that beginnings up to the `window`th of this stage have, counted from 0.
    ///
    /// Most of it belongs to the first step, where most that is wrong with a target shows; the others share the rest. Within a stage
    /// nine tenths belong to its beginning, and the rest to later ones, less and less: the sum over any time is at most 1.
    fn mass(&self, windows: i64) -> f64 {
        let stage = if self.step == 0 { FIRST_STEP } else { (1.0 - FIRST_STEP) / self.of.max(1) as f64 };
        if windows <= 0 { 0.0 } else { stage * (1.0 - (1.0 - BEGINNING) / windows as f64) }
    }
}

/// Bad and all requests of both sides since an anchor.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Since when they were counted.
    pub anchor: Timestamp,
    /// The source's.
    pub source: Counted,
    /// The target's.
    pub target: Counted,
    /// The same by stratum, where a metric tells them apart.
    pub strata: Strata,
}

/// What the numbers of one metric have come to.
#[derive(Debug, Clone, PartialEq)]
pub struct Learnt {
    /// Evidence that the target's fraction is above its limit: see [`Evidence::value`].
    pub above: f64,
    /// Evidence that the target's fraction is above the source's.
    pub worse: f64,
    /// Bad and all requests counted since every plane settled at the weight of this step.
    pub gathered: SidePair<Counted>,
    /// The same by stratum.
    pub strata: Strata,
    /// What the newest window has of strata that both sides share, the source's as if its mix were the target's.
    pub like: Option<SidePair<Counted>>,
}

/// What is remembered of one metric.
#[derive(Debug, Clone)]
pub struct Record {
    spec: MetricSpec,
    window: SignedDuration,
    above: Evidence,
    worse: Evidence,
    /// The newest totals, and when they were read.
    last: Option<(Timestamp, Reading)>,
    /// The stage, and how many of its windows have been given their mass.
    given: Option<(Stage, i64)>,
    /// Since when is gathered.
    since: Option<Timestamp>,
    gathered: SidePair<Counted>,
    strata: Strata,
}

impl Record {
    /// An empty record.
    pub fn new(spec: &MetricSpec, window: SignedDuration) -> Self {
        let alternatives = Alternatives::for_finding(spec.regression().times_of(spec.max));
        let nothing = Evidence::new(alternatives);
        Self {
            spec: spec.clone(),
            window: window.max(SignedDuration::from_millis(1)),
            above: nothing,
            worse: nothing,
            last: None,
            given: None,
            since: None,
            gathered: NOTHING,
            strata: Strata::default(),
        }
    }

    /// Whether this is what it is about: a policy that was adopted meanwhile may ask something else.
    pub fn is_about(&self, spec: &MetricSpec, window: SignedDuration) -> bool {
        self.spec == *spec && self.window == window
    }

    /// Takes in one look: what was counted since an anchor, and within the newest window, as far as they could be read.
    pub fn look(&mut self, now: Timestamp, stage: Stage, whole: Option<Reading>, recent: Option<&Reading>) -> Learnt {
        if let (Some(whole), Some(recent)) = (&whole, recent) {
            self.catch_up(stage, whole, recent);
        }
        let like = recent.and_then(|recent| recent.strata.like_with_like());
        let source = like.as_ref().map(|like| like.source).or(recent.map(|recent| recent.source));
        Learnt { like, ..self.take_in(now, stage, whole, source) }
    }

    /// Takes in what was counted until now; `None` where that could not be read.
    pub fn learn(&mut self, now: Timestamp, stage: Stage, reading: Option<Reading>) -> Learnt {
        self.take_in(now, stage, reading, None)
    }

    /// The same, with what the source counted within the newest window.
    fn take_in(&mut self, now: Timestamp, stage: Stage, reading: Option<Reading>, window: Option<Counted>) -> Learnt {
        self.gather(stage);
        if let Some(reading) = reading {
            let reaches_back = self.last.is_none() && reading.anchor >= stage.began();
            let (news, total) = match self.last.take() {
                Some((_, last)) if last.anchor == reading.anchor => {
                    let (news, total) = rise(&last, reading);
                    (Some(news), total)
                }
                // Totals since a moment that nothing was counted after are all news.
                last => {
                    let counted = last.map_or(stage.began(), |(at, _)| at);
                    (Some(reading.clone()).filter(|reading| reading.anchor >= counted), reading)
                }
            };
            // A window whose requests nobody could count yet is given nothing yet: they may come late.
            if let Some(news) = news.filter(|news| news.source.1 + news.target.1 > 0.0) {
                self.may_begin(now, stage, reaches_back);
                self.count(news, window);
            }
            self.last = Some((now, total));
        }
        Learnt {
            above: self.above.value(),
            worse: self.worse.value(),
            gathered: self.gathered.clone(),
            strata: self.strata.clone(),
            like: None,
        }
    }

    /// Takes in a time that was not seen, before it learns what was counted until now: `whole` since an anchor, and `recent`, the part of
    /// it in the newest window. They are two looks, so that a target that turned bad lately is not hidden by the good time before, as it
    /// would be in one. A process that has just started has not seen it, nor one that was told old numbers for longer than a window.
    fn catch_up(&mut self, stage: Stage, whole: &Reading, recent: &Reading) {
        let before = |whole: Counted, recent: Counted| ((whole.0 - recent.0).max(0.0), (whole.1 - recent.1).max(0.0));
        let (source, target) = (before(whole.source, recent.source), before(whole.target, recent.target));
        let unseen = match &self.last {
            None => whole.anchor >= stage.began(),
            Some((_, last)) => last.anchor == whole.anchor && (source.1 > last.source.1 || target.1 > last.target.1),
        };
        if unseen && recent.anchor > whole.anchor {
            let strata = whole.strata.with(&recent.strata, before);
            self.learn(recent.anchor, stage, Some(Reading { anchor: whole.anchor, source, target, strata }));
        }
    }

    /// Gathers anew where a weight is. Soaking goes on at the weight of the last step, and so does what is gathered there.
    fn gather(&mut self, stage: Stage) {
        let soaks = stage.step == stage.of;
        if !soaks && self.since != Some(stage.began()) {
            self.gathered = NOTHING;
            self.strata = Strata::default();
        }
        self.since = Some(stage.began());
    }

    /// Gives the windows of this stage that have begun their mass.
    fn may_begin(&mut self, now: Timestamp, stage: Stage, from_its_beginning: bool) {
        let passed = now.duration_since(stage.since).as_millis() / self.window.as_millis().max(1);
        let begun = i64::try_from(passed).unwrap_or(i64::MAX - 1).max(0) + 1;
        let (mass, begun) = match self.given {
            // What came late belongs to windows that may have been given theirs.
            Some((known, given)) if known.step == stage.step && known.since == stage.since => {
                let begun = begun.max(given);
                (stage.mass(begun) - stage.mass(given), begun)
            }
            Some(_) => (stage.mass(begun), begun),
            None if from_its_beginning => (stage.mass(1), begun),
            None => (stage.mass(begun) - stage.mass(begun - 1), begun),
        };
        self.above.may_begin(mass);
        self.worse.may_begin(mass);
        self.given = Some((stage, begun));
    }

    /// Whether the source, where it is the baseline, is above the limit too, in what is news or in all of its window. What the target counts
    /// meanwhile says nothing about the target alone, also not later, when the source is well again. That depends on the source's requests and
    /// not on the target's, so what is left proves as much as it did.
    fn is_shared(&self, news: Counted, window: Counted) -> bool {
        let MetricSpec { max, baseline, min_samples, .. } = self.spec;
        let fails = fraction(window) > max || lowest_plausible(news.0, news.1) > max;
        baseline == Some(Baseline::Source) && window.1 >= min_samples as f64 && fails
    }

    fn count(&mut self, news: Reading, window: Option<Counted>) {
        let Reading { source, target, strata, .. } = news;
        if !self.is_shared(source, window.unwrap_or(source)) {
            self.above.learn(Events { bad: target.0, of: target.1, share: self.spec.max });
        }
        if self.spec.source.strata().is_some() {
            strata.iter().for_each(|(_, counted)| compare(&mut self.worse, counted));
            self.strata = self.strata.with(&strata, |gathered, news| (gathered.0 + news.0, gathered.1 + news.1));
        } else {
            compare(&mut self.worse, &SidePair { source, target });
        }
        add(&mut self.gathered.source, source);
        add(&mut self.gathered.target, target);
    }
}

/// Learns from requests of both sides that are alike.
fn compare(worse: &mut Evidence, SidePair { source, target }: &SidePair<Counted>) {
    let all = source.1 + target.1;
    if all > 0.0 {
        worse.learn(Events { bad: target.0, of: target.0 + source.0, share: target.1 / all });
    }
}

pub(super) fn add(sum: &mut Counted, more: Counted) {
    *sum = (sum.0 + more.0, sum.1 + more.1);
}

/// What came to each number, and where each stands now.
///
/// Totals do not fall; those of Prometheus tremble, because they are extrapolated to the edges of their window. Only what exceeds the
/// highest so far is news, so that trembling is not counted over and over.
fn rise(last: &Reading, now: Reading) -> (Reading, Reading) {
    let top = |last: Counted, now: Counted| (last.0.max(now.0), last.1.max(now.1));
    let news = |last: Counted, now: Counted| {
        let top = top(last, now);
        let news = (top.0 - last.0, top.1 - last.1);
        // A bad request is one of all requests.
        (news.0.min(news.1), news.1)
    };
    let each = |make: &dyn Fn(Counted, Counted) -> Counted| Reading {
        anchor: now.anchor,
        source: make(last.source, now.source),
        target: make(last.target, now.target),
        strata: last.strata.with(&now.strata, make),
    };
    (each(&news), each(&top))
}

/// Since when the totals of Prometheus are asked for.
#[derive(Debug, Default)]
pub struct Reach {
    anchor: Option<Timestamp>,
    /// When it was last answered.
    read: Option<Timestamp>,
}

/// Longest reach, in windows. Longer ones cost the server more with every look, and tell nothing new.
const MOST_WINDOWS: i32 = 10;

impl Reach {
    /// The anchor for a look.
    ///
    /// A fresh one is the beginning of the step where a window has passed since and it is not long ago. Any other one lies one window
    /// back: after a longer gap its totals are all news, so that a target that turned bad during it is not hidden by the good time
    /// before; else they only say where to go on from.
    pub fn anchor(&mut self, now: Timestamp, stage: Stage, window: SignedDuration) -> Timestamp {
        let longest = window.saturating_mul(MOST_WINDOWS);
        // An anchor that was never answered holds nothing to go on from.
        let silent = self.read.is_none_or(|read| now.duration_since(read) > window);
        if let Some(anchor) = self.anchor.filter(|anchor| !silent && now.duration_since(*anchor) <= longest) {
            return anchor;
        }
        let lasted = now.duration_since(stage.began());
        let whole = self.read.is_none() && window <= lasted && lasted <= longest;
        let anchor = if whole { stage.began() } else { now.checked_sub(window).unwrap_or(Timestamp::MIN) };
        *self.anchor.insert(anchor)
    }

    /// It was answered.
    pub fn read(&mut self, now: Timestamp) {
        self.read = Some(now);
    }
}

#[cfg(test)]
mod tests;
