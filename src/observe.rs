//! Looking at the world: one snapshot a pass, every part asked at the same time.
//!
//! A part that does not answer in time becomes `Unknown` with its reason. On the way back only the planes are looked at:
//! nothing else matters then, and a cluster or a Prometheus that hangs must not hold it up. A rollback that goes gradually does
//! look at the pods, each time for no longer than `PATIENCE`, until its deadline.

pub mod clock;
mod counters;
mod metrics;
mod mirror;
mod probe;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::ops::RangeInclusive;
use std::time::Duration;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};

use self::clock::Clock;
use self::counters::History;
use self::metrics::{Asked, Metrics, Numbers};
use self::mirror::{Clusters, Mirror};
use self::probe::Probes;
use crate::act::executor::Planes;
use crate::analysis::prometheus::Prometheus;
use crate::cluster::{Desired, Link, ObjectRef};
use crate::migration::snapshot::{MetricSample, Observed, PlaneView, Snapshot, chain};
use crate::migration::state::{Entry, Way};
use crate::migration::{Applied, Command, Outcome, Phase, Request, State};
use crate::plane::PlaneError;
use crate::plane::sheet::InFlight;
use crate::policy::{Assignment, MetricSource, Name, Weight};

/// Longest look at one part, within which the policy's interval is taken. Everything waits for the slowest part, protection and
/// people too, so one that needs longer is as good as away; less than two seconds a busy API server may well need.
const PATIENCE: RangeInclusive<Duration> = Duration::from_secs(2)..=Duration::from_secs(10);

/// Looks at the clusters, planes and metrics of one migration.
pub struct Observer {
    metrics: Metrics,
    mirror: Mirror,
}

/// A snapshot, and what each mirrored object shall be.
pub struct Look {
    /// What was seen.
    pub snapshot: Snapshot,
    /// What each mirrored object shall be.
    pub desired: BTreeMap<ObjectRef, Desired>,
}

/// Where to look.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The source.
    pub source: &'a Link,
    /// The target.
    pub target: &'a Link,
    /// The planes.
    pub planes: &'a Planes,
    /// What this migration applied and has not deleted.
    pub applied: &'a Applied,
}

impl Observer {
    /// An observer that asks `prometheus`, where there is one.
    pub fn new(prometheus: Option<Prometheus>) -> Self {
        Self { metrics: Metrics::new(prometheus), mirror: Mirror::default() }
    }

    /// Waits until one of the clusters has something to do for the mirror that was not known at the last look.
    pub async fn stirred(&mut self) {
        self.mirror.stirred().await;
    }

    /// Looks once at everything.
    pub async fn look(
        &mut self,
        scene: Scene<'_>,
        state: &State,
        now: Timestamp,
        commands: Vec<Command>,
        outcomes: Vec<Outcome>,
    ) -> Look {
        let assignment = &state.assignment;
        let ((planes, mut plane_problems), clusters, asked) = if goes_at_once(&state.phase) {
            (look_at_planes(scene.planes).await, Clusters::unseen("not looked at on the way back"), Asked::default())
        } else {
            tokio::join!(
                look_at_planes(scene.planes),
                self.mirror.look(scene, state, &outcomes),
                self.metrics.ask(state, now, patience(assignment))
            )
        };
        let Clusters { mirror, desired, source, target } = clusters;
        let planes = in_force(scene.planes, planes, state);
        let Numbers { metrics, share, learnt, ages, evaluated } = self.metrics.read(state, now, &planes, &asked);
        let adopted = commands.iter().filter_map(|command| match &command.request {
            Request::AdoptPolicy { policy, .. } => Some(&**policy),
            _ => None,
        });
        let weights: BTreeSet<_> = adopted.chain([&assignment.policy]).flat_map(|policy| policy.weights()).collect();
        plane_problems.extend(unrepresentable(scene.planes, &planes, &weights));
        let snapshot = Snapshot {
            now,
            commands,
            outcomes,
            mirror,
            source,
            target,
            planes,
            plane_problems,
            metrics,
            learnt,
            ages,
            evaluated,
            share,
        };
        Look { snapshot, desired }
    }
}

/// Whether nothing but the planes matters: a rollback that waits for no cluster's pods.
fn goes_at_once(phase: &Phase) -> bool {
    matches!(phase, Phase::RollingBack { way: Way::Instant, .. })
}

/// What every plane shows.
pub async fn planes(planes: &Planes) -> BTreeMap<Name, Observed<PlaneView>> {
    look_at_planes(planes).await.0
}

/// What the planes of a policy's metrics and its probes count between two looks, for somebody who does not drive.
pub async fn counted(assignment: &Assignment, planes: &Planes, apart: Duration) -> BTreeMap<Name, MetricSample> {
    /// Longer than two looks are apart, however long they take.
    const WINDOW: SignedDuration = SignedDuration::from_hours(24);
    let (clock, mut history, mut probes) = (Clock::start(), History::default(), Probes::default());
    for look in 0..2 {
        if look > 0 {
            tokio::time::sleep(apart).await;
        }
        let (views, answered) = tokio::join!(self::planes(planes), probes.ask(assignment));
        history.add(clock.now(), &views, WINDOW);
        probes.note(clock.now(), WINDOW, &answered);
    }
    let metrics = assignment.policy.analysis.metrics.iter().filter_map(|spec| {
        let sample = match &spec.source {
            MetricSource::PlaneErrors { plane } => history.of(plane),
            MetricSource::Probe(_) => probes.of(&spec.name),
            _ => return None,
        };
        Some((spec.name.clone(), sample))
    });
    metrics.collect()
}

/// The weights in force. Where clients may still go by what a plane showed before it was written, that is the weight before the write,
/// and the write is not done.
fn in_force(
    planes: &Planes,
    mut views: BTreeMap<Name, Observed<PlaneView>>,
    state: &State,
) -> BTreeMap<Name, Observed<PlaneView>> {
    for (name, view) in &mut views {
        let remembers = planes.get(name).is_some_and(|plane| plane.sheet().in_flight == InFlight::Remembered);
        if let (true, Observed::Known(view), Some(entry)) = (remembers, view, state.ledger.get(name)) {
            view.weight = gone_by(view, *entry);
        }
    }
    views
}

/// The weight that clients go by, of a plane on which what is in flight are addresses that they remember.
fn gone_by(view: &PlaneView, entry: Entry) -> Weight {
    match entry {
        Entry::Moving { from, to } if view.weight == to && view.source.in_flight + view.target.in_flight > 0 => from,
        Entry::Moving { .. } | Entry::Settled(_) => view.weight,
    }
}

/// Every plane, and what is wrong with one that waiting will not mend.
async fn look_at_planes(planes: &Planes) -> (BTreeMap<Name, Observed<PlaneView>>, Vec<String>) {
    let looks = planes.iter().map(|(name, plane)| async move { (name, plane.observe().await) });
    let looks = join_all(looks).await;
    let lasting = |(name, look): &(&Name, Result<PlaneView, PlaneError>)| {
        let error = look.as_ref().err().filter(|error| error.is_lasting())?;
        Some(format!("{name}: {}", chain(error)))
    };
    let problems = looks.iter().filter_map(lasting).collect();
    (looks.into_iter().map(|(name, look)| (name.clone(), Observed::from(look))).collect(), problems)
}

fn patience(assignment: &Assignment) -> Duration {
    let interval = Duration::try_from(assignment.policy.analysis.interval).unwrap_or_default();
    interval.clamp(*PATIENCE.start(), *PATIENCE.end())
}

async fn in_time<T, E>(patience: Duration, look: impl Future<Output = Result<T, E>>) -> Result<T, String>
where
    E: std::error::Error + 'static,
{
    match tokio::time::timeout(patience, look).await {
        Ok(result) => result.map_err(|error| chain(&error)),
        Err(_) => Err(format!("no answer within {} s", patience.as_secs())),
    }
}

/// Every one of these weights that a plane cannot represent.
fn unrepresentable(
    planes: &Planes,
    views: &BTreeMap<Name, Observed<PlaneView>>,
    weights: &BTreeSet<Weight>,
) -> Vec<String> {
    let mut found = Vec::new();
    for (name, plane) in planes {
        let Some(view) = views.get(name).and_then(Observed::known) else { continue };
        let refused = weights.iter().filter_map(|weight| plane.propose(view, *weight).err());
        found.extend(refused.map(|error| format!("on {name}: {error}")));
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::migration::snapshot::SideView;

    use super::*;

    #[test]
    fn what_is_remembered_is_in_force_until_it_is_forgotten() {
        let (zero, quarter, half) = (Weight::ZERO, Weight::percent_saturating(25), Weight::HALF);
        let moving = Entry::Moving { from: quarter, to: half };
        for (shown, source, target, entry, in_force) in [
            (half, 3, 0, moving, quarter),
            (half, 0, 1, moving, quarter),
            (half, 0, 0, moving, half),
            (quarter, 3, 1, moving, quarter),
            // Drift shows as what it is.
            (zero, 3, 1, moving, zero),
            (half, 3, 1, Entry::Settled(quarter), half),
        ] {
            let side = |in_flight| SideView { usable: 4, in_flight, counters: None };
            let setting = serde_json::Value::Null;
            let view = PlaneView { weight: shown, setting, source: side(source), target: side(target) };
            assert_eq!(gone_by(&view, entry), in_force, "{shown} with {source} and {target} of {entry:?}");
        }
    }
}
