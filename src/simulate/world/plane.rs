//! A simulated plane: one number that shows late, is refused where it was changed, and is lost by a restart. PURE.

use std::collections::VecDeque;

use crate::migration::snapshot::{PlaneView, SideView};
use crate::policy::{Name, Weight};
use crate::simulate::case::Moment;

/// A plane.
#[derive(Debug)]
pub(in crate::simulate) struct Plane {
    pub name: Name,
    /// What it does now.
    pub shown: Weight,
    /// What it does after a restart.
    pub configured: Weight,
    /// What was written and does not show yet, oldest first. Writes never overtake one another.
    landing: VecDeque<(Moment, Weight)>,
    /// Since when the source gets no new connection.
    pub drained: Option<Moment>,
    /// Until when it cannot be reached.
    pub away: Moment,
    /// How often it was restarted: its counters start anew each time.
    pub restarts: u32,
    /// What Crossfade wrote last, which is where a person would put it back to.
    pub told: Weight,
}

impl Plane {
    pub fn new(name: Name) -> Self {
        Self {
            name,
            shown: Weight::ZERO,
            configured: Weight::ZERO,
            landing: VecDeque::new(),
            drained: None,
            away: 0,
            restarts: 0,
            told: Weight::ZERO,
        }
    }

    /// The target's share of the requests.
    pub fn share(&self) -> f64 {
        if self.drained.is_some() { 1.0 } else { self.shown.fraction() }
    }

    /// What it will show once everything written has landed.
    pub fn finally(&self) -> Weight {
        self.landing.back().map_or(self.shown, |(_, weight)| *weight)
    }

    /// When it next shows something else.
    pub fn next(&self) -> Option<Moment> {
        self.landing.front().map(|(at, _)| *at)
    }

    /// Shows what has landed by `now`.
    pub fn land(&mut self, now: Moment) {
        while let Some((_, weight)) = self.landing.front().copied().filter(|(at, _)| *at <= now) {
            self.shown = weight;
            self.landing.pop_front();
        }
    }

    /// Takes a write that shows `lag` later, by way of the middle.
    pub fn write(&mut self, to: Weight, now: Moment, lag: Moment) {
        self.told = to;
        let last = self.landing.back().map_or(now, |(at, _)| (*at).max(now));
        if lag == 0 && last <= now {
            self.shown = to;
            return;
        }
        let before = self.finally();
        let middle = Weight::from_basis_points((before.basis_points() + to.basis_points()) / 2).unwrap_or(to);
        self.landing.push_back(((now + lag / 2).max(last), middle));
        self.landing.push_back(((now + lag).max(last), to));
    }

    /// Somebody else's write: at once, and whatever was on its way lands later all the same.
    pub fn drift(&mut self, to: Weight) {
        self.shown = to;
    }

    /// Everything that was not configured is forgotten.
    pub fn restart(&mut self) {
        self.landing.clear();
        self.shown = self.configured;
        self.drained = None;
        self.restarts += 1;
    }

    /// What it reports of itself.
    pub fn view(&self, now: Moment, drain: Moment, usable: u32, source: u32) -> PlaneView {
        let side = |usable, in_flight| SideView { usable, in_flight, counters: None };
        let source = match self.drained {
            Some(since) => side(0, u64::from(now < since + drain)),
            None => side(source, u64::from(self.shown < Weight::FULL)),
        };
        let setting = self.shown.basis_points().into();
        PlaneView { weight: self.shown, setting, source, target: side(usable, u64::from(self.shown > Weight::ZERO)) }
    }
}
