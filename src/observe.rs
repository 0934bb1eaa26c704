//! Looking at the world: one snapshot a pass, every part asked at the same time.
//!
//! A part that does not answer becomes `Unknown` with its reason and holds up nobody else.

pub mod clock;
mod counters;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;

use self::counters::History;
use crate::act::executor::Planes;
use crate::analysis::prometheus::Prometheus;
use crate::analysis::template::{self, Values};
use crate::cluster::{self, Cluster, ClusterError, Desired, Link, MirrorPlan, ObjectRef, ObjectState, Replicas};
use crate::migration::snapshot::{
    MetricSample, MirrorView, MirroredObject, Observed, PlaneView, SidePair, SideSample, Snapshot, chain,
};
use crate::migration::{Command, Outcome, Phase, State};
use crate::policy::{Assignment, MetricSource, MetricSpec, Name, Step};

/// Longest look at one part. A cluster that needs longer is as good as away, and the next pass asks again.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks at the clusters, planes and metrics of one migration.
pub struct Observer {
    prometheus: Option<Prometheus>,
    history: History,
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
        Self { prometheus, history: History::default() }
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
        let (clusters, planes, asked) =
            tokio::join!(look_at_clusters(scene, state), look_at_planes(scene.planes), self.ask_prometheus(assignment));
        let Clusters { mirror, desired, source, target } = clusters;
        self.history.add(now, &planes, assignment.policy.analysis.window);
        let (metrics, share) = self.metrics(assignment, asked);
        let unrepresentable = unrepresentable(scene.planes, &planes, assignment);
        let snapshot =
            Snapshot { now, commands, outcomes, mirror, source, target, planes, unrepresentable, metrics, share };
        Look { snapshot, desired }
    }

    /// The answers to every query of the policy, each asked once.
    async fn ask_prometheus(&self, assignment: &Assignment) -> BTreeMap<String, Result<Option<f64>, String>> {
        let Some(prometheus) = &self.prometheus else { return BTreeMap::new() };
        let mut queries: Vec<String> = Vec::new();
        for template in templates(assignment) {
            let both = [&assignment.migration.source, &assignment.migration.target];
            queries.extend(both.iter().map(|cluster| render(assignment, template, &cluster.context)));
        }
        queries.sort();
        queries.dedup();
        let answers = queries.into_iter().map(|query| async {
            let answer = prometheus.number(&query).await.map_err(|error| chain(&error));
            (query, answer)
        });
        join_all(answers).await.into_iter().collect()
    }

    fn metrics(
        &self,
        assignment: &Assignment,
        asked: BTreeMap<String, Result<Option<f64>, String>>,
    ) -> (BTreeMap<Name, MetricSample>, SidePair<SideSample>) {
        let analysis = &assignment.policy.analysis;
        let answer = |template: &str, cluster: &str| -> Result<Option<f64>, String> {
            let asked = asked.get(&render(assignment, template, cluster)).cloned();
            asked.unwrap_or_else(|| Err("it was not asked".to_owned()))
        };
        let sample = |spec: &MetricSpec| match &spec.source {
            MetricSource::ErrorRate { errors, total } => {
                both(assignment, |cluster| counts(answer(errors, cluster), answer(total, cluster)))
            }
            MetricSource::PlaneErrors { plane } => self.history.of(plane),
        };
        let metrics: BTreeMap<_, _> = analysis.metrics.iter().map(|spec| (spec.name.clone(), sample(spec))).collect();
        let share = match share_query(assignment) {
            Some(total) => both(assignment, |cluster| counts(Ok(Some(0.0)), answer(total, cluster))),
            None => self.history.of_all(),
        };
        (metrics, share)
    }
}

/// Every template that has to be asked.
fn templates(assignment: &Assignment) -> Vec<&str> {
    let metrics = assignment.policy.analysis.metrics.iter().flat_map(|spec| match &spec.source {
        MetricSource::ErrorRate { errors, total } => vec![errors.as_str(), total.as_str()],
        MetricSource::PlaneErrors { .. } => Vec::new(),
    });
    metrics.chain(share_query(assignment)).collect()
}

/// The query that counts all requests: the policy's own, or the total of its first error rate.
fn share_query(assignment: &Assignment) -> Option<&str> {
    let analysis = &assignment.policy.analysis;
    let first = analysis.metrics.iter().find_map(|spec| match &spec.source {
        MetricSource::ErrorRate { total, .. } => Some(total.as_str()),
        MetricSource::PlaneErrors { .. } => None,
    });
    analysis.share.total.as_deref().or(first)
}

fn render(assignment: &Assignment, template: &str, cluster: &str) -> String {
    let (namespace, window) = (assignment.migration.namespace.as_str(), assignment.policy.analysis.window);
    // Templates were checked when the policy was read.
    template::render(template, Values { cluster, namespace, window }).unwrap_or_default()
}

fn both(assignment: &Assignment, sample: impl Fn(&str) -> SideSample) -> SidePair<SideSample> {
    let Assignment { migration, .. } = assignment;
    SidePair { source: sample(&migration.source.context), target: sample(&migration.target.context) }
}

/// Two answers as one sample. Where requests were counted and no bad one ever was, the series of bad ones does not exist
/// yet: that is zero. The other way round nothing can be said.
fn counts(bad: Result<Option<f64>, String>, total: Result<Option<f64>, String>) -> SideSample {
    match (bad, total) {
        (Err(why), _) | (_, Err(why)) => SideSample::Error(why),
        (_, Ok(None)) => SideSample::NoData("no requests were counted".to_owned()),
        (Ok(bad), Ok(Some(total))) => SideSample::Counts { bad: bad.unwrap_or(0.0), total },
    }
}

async fn look_at_planes(planes: &Planes) -> BTreeMap<Name, Observed<PlaneView>> {
    let looks = planes.iter().map(|(name, plane)| async { (name.clone(), Observed::from(plane.observe().await)) });
    join_all(looks).await.into_iter().collect()
}

type Workloads = Observed<BTreeMap<ObjectRef, Replicas>>;

/// Both clusters as one pass sees them.
struct Clusters {
    mirror: Observed<MirrorView>,
    desired: BTreeMap<ObjectRef, Desired>,
    source: Workloads,
    target: Workloads,
}

async fn look_at_clusters(scene: Scene<'_>, state: &State) -> Clusters {
    let selection = &state.assignment.migration.workloads;
    let plan = async {
        let (source, target) = tokio::try_join!(scene.source.get(), scene.target.get())?;
        let inventory = cluster::inventory(source, target.served(), selection).await?;
        Ok((cluster::mirror(&inventory, target.served(), selection), source, target))
    };
    let (plan, source, target) = match in_time(plan).await {
        Ok(seen) => seen,
        Err(why) => {
            let unknown = || Observed::Unknown(why.clone());
            return Clusters {
                mirror: Observed::Unknown(why.clone()),
                desired: BTreeMap::new(),
                source: unknown(),
                target: unknown(),
            };
        }
    };
    let refs: Vec<ObjectRef> = plan.workloads().cloned().collect();
    let (rehearsed, states, source, target) = tokio::join!(
        in_time(rehearse(target, &plan, &state.phase)),
        in_time(cluster::compare(target, &plan)),
        in_time(cluster::workloads(source, &refs)),
        in_time(cluster::workloads(target, &refs)),
    );
    let known = |result: Result<_, String>| result.map_or_else(Observed::Unknown, Observed::Known);
    let mirror = rehearsed.and_then(|refused| Ok(mirror_view(&plan, refused, &states?)));
    let mirror = mirror.map_or_else(Observed::Unknown, Observed::Known);
    let desired = plan.objects.into_iter().map(|desired| (desired.object().clone(), desired)).collect();
    Clusters { mirror, desired, source: known(source), target: known(target) }
}

async fn in_time<T>(look: impl Future<Output = Result<T, ClusterError>>) -> Result<T, String> {
    match tokio::time::timeout(PATIENCE, look).await {
        Ok(result) => result.map_err(|error| chain(&error)),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

/// What the target would refuse, asked as long as nothing was written yet.
async fn rehearse(target: &Cluster, plan: &MirrorPlan, phase: &Phase) -> Result<Vec<String>, ClusterError> {
    if !matches!(phase, Phase::Preparing { .. }) || plan.blockers().next().is_some() {
        return Ok(Vec::new());
    }
    let problems = cluster::rehearse(target, plan).await?;
    Ok(problems.iter().filter(|problem| problem.blocks()).map(ToString::to_string).collect())
}

fn mirror_view(plan: &MirrorPlan, refused: Vec<String>, states: &BTreeMap<ObjectRef, ObjectState>) -> MirrorView {
    let objects = plan.objects.iter().map(|desired| MirroredObject {
        object: desired.object().clone(),
        in_sync: states.get(desired.object()) == Some(&ObjectState::InSync),
    });
    let blockers = plan.blockers().map(ToString::to_string);
    MirrorView { objects: objects.collect(), problems: blockers.chain(refused).collect() }
}

/// Every weight of the policy that a plane cannot represent.
fn unrepresentable(
    planes: &Planes,
    views: &BTreeMap<Name, Observed<PlaneView>>,
    assignment: &Assignment,
) -> Vec<String> {
    let weights = assignment.policy.steps.iter().filter_map(|step| match step {
        Step::SetWeight(weight) => Some(*weight),
        Step::Pause(_) | Step::Approval => None,
    });
    let weights: Vec<_> = weights.collect();
    let mut found = Vec::new();
    for (name, plane) in planes {
        let Some(view) = views.get(name).and_then(Observed::known) else { continue };
        let refused = weights.iter().filter_map(|weight| plane.propose(view, *weight).err());
        found.extend(refused.map(|error| format!("on {name}: {error}")));
    }
    found
}
