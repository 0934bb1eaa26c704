//! Looking at the world: one snapshot a pass, every part asked at the same time.
//!
//! A part that does not answer in time becomes `Unknown` with its reason. On the way back only the planes are looked at:
//! nothing else matters then, and a cluster or a Prometheus that hangs must not hold it up. A rollback that goes gradually does
//! look at the pods, each time for no longer than [`PATIENCE`], until its deadline.

pub mod clock;
mod counters;
mod metrics;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::ops::RangeInclusive;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;

use self::metrics::{Asked, Metrics, Numbers};
use crate::act::executor::Planes;
use crate::analysis::prometheus::Prometheus;
use crate::cluster::{self, Cluster, ClusterError, Desired, Link, MirrorPlan, ObjectRef, ObjectState, Replicas};
use crate::migration::adopt::Memo;
use crate::migration::snapshot::{MirrorView, MirroredObject, Observed, PlaneView, Snapshot, chain};
use crate::migration::state::Way;
use crate::migration::{Command, Outcome, Phase, Request, State};
use crate::plane::PlaneError;
use crate::policy::{Assignment, Name, Weight};

/// Longest look at one part, within which the policy's interval is taken. Everything waits for the slowest part, protection and
/// people too, so one that needs longer is as good as away; less than two seconds a busy API server may well need.
const PATIENCE: RangeInclusive<Duration> = Duration::from_secs(2)..=Duration::from_secs(10);

/// Looks at the clusters, planes and metrics of one migration.
pub struct Observer {
    metrics: Metrics,
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
}

impl Observer {
    /// An observer that asks `prometheus`, where there is one.
    pub fn new(prometheus: Option<Prometheus>) -> Self {
        Self { metrics: Metrics::new(prometheus) }
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
                look_at_clusters(scene, state),
                self.metrics.ask(state, now, patience(assignment))
            )
        };
        let Clusters { mirror, desired, source, target } = clusters;
        let Numbers { metrics, share, learnt } = self.metrics.read(state, now, &planes, &asked);
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

type Workloads = Observed<BTreeMap<ObjectRef, Replicas>>;

/// Both clusters as one pass sees them.
struct Clusters {
    mirror: Observed<MirrorView>,
    desired: BTreeMap<ObjectRef, Desired>,
    source: Workloads,
    target: Workloads,
}

impl Clusters {
    fn unseen(why: &str) -> Self {
        let why = why.to_owned();
        Self {
            mirror: Observed::Unknown(why.clone()),
            desired: BTreeMap::new(),
            source: Observed::Unknown(why.clone()),
            target: Observed::Unknown(why),
        }
    }
}

async fn look_at_clusters(scene: Scene<'_>, state: &State) -> Clusters {
    // While nobody is sent to the target there is nothing to protect, and a look that is cut short has to begin anew.
    let unhurried = state.highest_weight() == Weight::ZERO;
    let patience = if unhurried { *PATIENCE.end() } else { patience(&state.assignment) };
    let selection = &state.assignment.migration.workloads;
    let plan = async {
        let (source, target) = tokio::try_join!(scene.source.get(), scene.target.get())?;
        let inventory = cluster::inventory(source, target.served(), selection).await?;
        Ok::<_, ClusterError>((cluster::mirror(&inventory, target.served(), selection), source, target))
    };
    let (mut plan, source, target) = match in_time(patience, plan).await {
        Ok(seen) => seen,
        Err(why) => return Clusters::unseen(&why),
    };
    keep_memo(&mut plan, state);
    // What the origin had is looked at even where it has left the selection since.
    let origin = state.phase.origin().into_iter().flat_map(|origin| origin.replicas.keys());
    let refs: BTreeSet<&ObjectRef> = plan.workloads().chain(origin).collect();
    let refs: Vec<ObjectRef> = refs.into_iter().cloned().collect();
    let on_source: Vec<ObjectRef> = refs.iter().map(|object| plan.on_source(object).clone()).collect();
    let (rehearsed, states, source, target) = tokio::join!(
        in_time(patience, rehearse(source, target, &plan, state)),
        in_time(patience, cluster::compare(target, &plan)),
        in_time(patience, cluster::workloads(source, &on_source)),
        in_time(patience, cluster::workloads(target, &refs)),
    );
    let source = source.map(|mut found| {
        let counted =
            refs.iter().zip(&on_source).filter_map(|(object, there)| Some((object.clone(), found.remove(there)?)));
        counted.collect()
    });
    let known = |result: Result<_, String>| result.map_or_else(Observed::Unknown, Observed::Known);
    let mirror = rehearsed.and_then(|refused| Ok(mirror_view(&plan, refused, &states?)));
    let mirror = mirror.map_or_else(Observed::Unknown, Observed::Known);
    let desired = plan.objects.into_iter().map(|desired| (desired.object().clone(), desired)).collect();
    Clusters { mirror, desired, source: known(source), target: known(target) }
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

/// Has the target keep what a lost state could not be made out without, as an object like any other: it is there before the first
/// weight is written. Namespaces come first.
fn keep_memo(plan: &mut MirrorPlan, state: &State) {
    let text = Memo::of(state).and_then(|memo| serde_json::to_string(&memo).ok());
    let memo = text.and_then(|text| cluster::memo(&state.assignment, &text));
    let after = plan.objects.iter().take_while(|desired| desired.object().kind == "Namespace").count();
    plan.objects.splice(after..after, memo);
}

/// What stands in the way and what the target would refuse, asked as long as nothing was written yet.
async fn rehearse(
    source: &Cluster,
    target: &Cluster,
    plan: &MirrorPlan,
    state: &State,
) -> Result<Vec<String>, ClusterError> {
    if !matches!(state.phase, Phase::Preparing { .. }) {
        return Ok(Vec::new());
    }
    let mut problems = cluster::misfit(source, target, state.assignment.migration.allow_older_target).await?;
    if plan.blockers().next().is_none() {
        let refused = cluster::rehearse(target, plan).await?;
        problems.extend(refused.iter().filter(|problem| problem.blocks()).map(ToString::to_string));
    }
    Ok(problems)
}

fn mirror_view(plan: &MirrorPlan, refused: Vec<String>, states: &BTreeMap<ObjectRef, ObjectState>) -> MirrorView {
    let objects = plan.objects.iter().map(|desired| MirroredObject {
        object: desired.object().clone(),
        in_sync: states.get(desired.object()) == Some(&ObjectState::InSync),
    });
    let blockers = plan.blockers().map(ToString::to_string);
    MirrorView { objects: objects.collect(), problems: blockers.chain(refused).collect() }
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
