//! The way back, as the watcher judges it: its reason, and that it was read back. PURE.

use super::evidence::worth_going_back;
use super::{Broken, Promise, Watcher, hold, weight};
use crate::migration::Request;
use crate::migration::snapshot::Snapshot;
use crate::migration::state::{Cause, Phase, State};
use crate::simulate::world::Plane;

impl Watcher<'_> {
    pub(super) fn judge_origin(&self, snapshot: &Snapshot) -> Result<(), Broken> {
        let away = self
            .planes
            .iter()
            .find(|(name, origin, left)| left.was_written(*origin) && weight(snapshot, name) != Some(*origin));
        hold(away.is_none(), Promise::WayBack, || {
            format!("{} was not read back at its origin", away.map_or("", |(name, ..)| name.as_str()))
        })
    }

    /// Once all that was written has landed, a migration that said it was back is back.
    pub(in crate::simulate) fn judge_end(&self, state: &State, planes: &[Plane]) -> Result<(), Broken> {
        let back = matches!(state.phase, Phase::RolledBack { .. });
        let ours = |plane: &Plane| self.planes.iter().find(|(name, ..)| *name == plane.name);
        let origin =
            |plane: &Plane| ours(plane).filter(|(_, origin, left)| left.was_written(*origin)).map(|(_, o, _)| *o);
        let away = planes.iter().find(|plane| back && origin(plane).is_some_and(|origin| plane.finally() != origin));
        hold(away.is_none(), Promise::WayBack, || {
            let (name, at) = away.map(|plane| (plane.name.as_str(), plane.finally())).unwrap_or_default();
            format!("{name} goes to {at} after the end, by a write that was still on its way")
        })
    }

    pub(super) fn judge_cause(&self, cause: &Cause, snapshot: &Snapshot) -> Result<(), Broken> {
        let account = || format!("it went back because {cause}");
        match cause {
            Cause::Requested { .. } => {
                let asks = |request: &Request| matches!(request, Request::Abort { .. } | Request::Rollback { .. });
                let asked = snapshot.commands.iter().any(|command| asks(&command.request));
                hold(asked, Promise::WayBack, account)
            }
            Cause::MetricFailed { metric, .. } => {
                let spec = self.policy.analysis.metrics.iter().find(|spec| spec.name == *metric);
                let shown = spec.zip(snapshot.metrics.get(metric));
                let worth = shown.is_some_and(|(spec, sample)| worth_going_back(spec, sample));
                hold(worth, Promise::NoDataHolds, account)
            }
            Cause::TargetLost { .. } => {
                let lost = snapshot.target.known().is_some_and(|pods| pods.values().any(|pods| pods.ready == 0));
                hold(lost, Promise::NoDataHolds, account)
            }
            Cause::MirrorDeadline { .. } => {
                hold(self.works_longer_than(self.policy.mirror_deadline, snapshot), Promise::Named, account)
            }
            Cause::StepDeadline { .. } => {
                hold(self.works_longer_than(self.policy.step_deadline, snapshot), Promise::Named, account)
            }
        }
    }
}
