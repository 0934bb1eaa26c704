//! What actions do to the world. PURE.

use super::{ROLLOUT, World};
use crate::migration::Action;
use crate::policy::{Name, Weight};

impl World<'_> {
    /// Carries out an action; the error is what its answer says, which is not always what happened.
    pub fn carry_out(&mut self, action: &Action) -> Result<(), &'static str> {
        self.truth.changed = self.now;
        if self.now < self.until.refused {
            return Err("refused");
        }
        match action {
            Action::SetWeight { plane, from, to, .. } => {
                let shown = self.reach(plane)?.shown;
                if !shown.is_between(*from, *to) {
                    return Err("somebody else changed it");
                }
                self.write(plane, *to)
            }
            Action::RestorePlane { plane, setting } => {
                let points = setting.as_u64().and_then(|points| u16::try_from(points).ok());
                let weight = points.and_then(|points| Weight::from_basis_points(points).ok());
                self.write(plane, weight.ok_or("not a setting")?)
            }
            Action::DrainSource { plane } => {
                let now = self.now;
                self.reach(plane)?.drained.get_or_insert(now);
                self.answer()
            }
            Action::ApplyObject { object } => {
                self.clusters(true)?;
                let is_last = object.kind == "Service";
                self.in_sync |= is_last;
                match self.applied {
                    None => self.applied = is_last.then_some(self.now),
                    Some(_) if is_last => self.rollout_until = self.now + ROLLOUT,
                    Some(_) => {}
                }
                Ok(())
            }
            Action::ScaleSource { .. } => {
                self.clusters(false)?;
                self.source_replicas = 0;
                Ok(())
            }
            Action::SuspendSource { .. } => self.clusters(false),
            Action::DeleteObject { .. } | Action::ResumeTarget { .. } | Action::Release { .. } => self.clusters(true),
        }
    }

    fn clusters(&self, target: bool) -> Result<(), &'static str> {
        let until = if target { self.until.target_away } else { self.until.source_away };
        if self.now < until { Err("no answer") } else { Ok(()) }
    }

    fn reach(&mut self, plane: &Name) -> Result<&mut super::Plane, &'static str> {
        let now = self.now;
        let plane = self.planes.iter_mut().find(|candidate| candidate.name == *plane).ok_or("no such plane")?;
        if now < plane.away { Err("no answer") } else { Ok(plane) }
    }

    fn write(&mut self, plane: &Name, to: Weight) -> Result<(), &'static str> {
        let (now, lag) = (self.now, self.case.setting.lag);
        self.reach(plane)?.write(to, now, lag);
        self.answer()
    }

    fn answer(&self) -> Result<(), &'static str> {
        if self.now < self.until.answers_lost { Err("the answer was lost") } else { Ok(()) }
    }
}
