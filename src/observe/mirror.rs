//! The two clusters as one pass sees them.
//!
//! They are not read in every pass but followed ([`Followed`]); a look takes in what changed since the last one. Where a part
//! of what is followed is out of sight, that part is unknown: what was seen before is never taken for what is.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{PATIENCE, Scene, in_time, patience};
use crate::cluster::{self, Desired, Followed, ObjectRef, ObjectState, Replicas, Side};
use crate::migration::adopt::Memo;
use crate::migration::snapshot::{MirrorView, MirroredJob, MirroredObject, Observed, chain};
use crate::migration::state::Way;
use crate::migration::{Action, Applied, MOST_APPLIED, Outcome, Phase, State};
use crate::policy::Weight;

type Workloads = Observed<BTreeMap<ObjectRef, Replicas>>;

/// Both clusters as one pass sees them.
pub(super) struct Clusters {
    /// The mirrored objects.
    pub(super) mirror: Observed<MirrorView>,
    /// What those that may be applied next shall be.
    pub(super) desired: BTreeMap<ObjectRef, Desired>,
    /// The source's workloads.
    pub(super) source: Workloads,
    /// The target's.
    pub(super) target: Workloads,
}

impl Clusters {
    /// Nothing was seen, and why.
    pub(super) fn unseen(why: &str) -> Self {
        let why = why.to_owned();
        Self {
            mirror: Observed::Unknown(why.clone()),
            desired: BTreeMap::new(),
            source: Observed::Unknown(why.clone()),
            target: Observed::Unknown(why),
        }
    }
}

/// The mirror of one migration; followed from its first look on.
#[derive(Default)]
pub(super) struct Mirror {
    followed: Option<Followed>,
}

impl Mirror {
    /// Looks at both clusters.
    pub(super) async fn look(&mut self, scene: Scene<'_>, state: &State, outcomes: &[Outcome]) -> Clusters {
        // While nobody is sent to the target there is nothing to protect, and many objects take their time.
        let unhurried = state.highest_weight() == Weight::ZERO;
        let patience = if unhurried { *PATIENCE.end() } else { patience(&state.assignment) };
        if self.followed.is_none() {
            let reached = async { tokio::try_join!(scene.source.get(), scene.target.get()) };
            match in_time(patience, reached).await {
                Ok((source, target)) => {
                    let workloads = &state.assignment.migration.workloads;
                    self.followed = Some(Followed::new(source.clone(), target.clone(), workloads));
                }
                Err(why) => return Clusters::unseen(&why),
            }
        }
        let Some(followed) = &mut self.followed else { return Clusters::unseen("not followed") };
        followed.keep_aside(memo(state));
        followed.await_echo(&applied(outcomes)).await;
        let late = |_| Err(format!("not all of it could be read within {} s", patience.as_secs()));
        let caught_up = tokio::time::timeout(patience, followed.catch_up()).await.unwrap_or_else(late);
        let (mirror, desired) = match caught_up {
            Ok(()) => {
                let seen = async {
                    let refused = rehearse(followed, state, patience).await?;
                    let gone = gone(followed, state, scene.applied, patience).await?;
                    Ok(view(followed, refused, gone, brought(followed, state, scene.applied)))
                };
                (seen.await, next(followed))
            }
            Err(why) => (Err(why), BTreeMap::new()),
        };
        let origin = || state.phase.origin().into_iter().flat_map(|origin| origin.replicas.keys());
        let (source, target) =
            tokio::join!(followed.replicas(Side::Source, origin()), followed.replicas(Side::Target, origin()));
        Clusters { mirror: observed(mirror), desired, source: observed(source), target: observed(target) }
    }

    /// Waits until there is something to do that was not known at the last look.
    pub(super) async fn stirred(&mut self) {
        match &mut self.followed {
            Some(followed) => followed.stirred().await,
            None => std::future::pending().await,
        }
    }
}

/// What a lost state could not be made out without: kept on the target like any other object, before the first weight is written.
fn memo(state: &State) -> Option<Desired> {
    let text = Memo::of(state).and_then(|memo| serde_json::to_string(&memo).ok())?;
    cluster::memo(&state.assignment, &text)
}

fn observed<T>(result: Result<T, String>) -> Observed<T> {
    result.map_or_else(Observed::Unknown, Observed::Known)
}

/// The objects that were applied since the last look.
fn applied(outcomes: &[Outcome]) -> Vec<ObjectRef> {
    let applied = outcomes.iter().filter(|outcome| outcome.error.is_none());
    let object = |outcome: &Outcome| match &outcome.action {
        Action::ApplyObject { object } => Some(object.clone()),
        _ => None,
    };
    applied.filter_map(object).collect()
}

/// What stands in the way and what the target would refuse, asked as long as nothing was written yet. Of many objects each look tries
/// some.
async fn rehearse(followed: &mut Followed, state: &State, patience: Duration) -> Result<Vec<String>, String> {
    if !matches!(state.phase, Phase::Preparing { .. }) {
        followed.forget_tried();
        return Ok(Vec::new());
    }
    let (source, target) = followed.clusters();
    let misfit = cluster::misfit(source, target, state.assignment.migration.allow_older_target);
    let mut problems = in_time(patience, misfit).await?;
    if !followed.standing().blockers().is_empty() {
        return Ok(problems);
    }
    if let Ok(asked) = tokio::time::timeout(patience, followed.try_out()).await {
        asked.map_err(|error| chain(&error))?;
    }
    match followed.untried().len() {
        0 => problems.extend(followed.refused()),
        left => return Err(format!("{left} objects are still being tried out on the target")),
    }
    Ok(problems)
}

/// What is to be deleted on the target, looked for where something may be written.
async fn gone(
    followed: &mut Followed,
    state: &State,
    applied: &Applied,
    patience: Duration,
) -> Result<Vec<ObjectRef>, String> {
    match &state.phase {
        Phase::Mirroring { .. } | Phase::Shifting(_) | Phase::Soaking { .. } => {
            in_time(patience, followed.gone(applied)).await
        }
        Phase::Preparing { .. }
        | Phase::Committing { .. }
        | Phase::RollingBack { .. }
        | Phase::Completed { .. }
        | Phase::RolledBack { .. } => Ok(Vec::new()),
    }
}

/// What is to be cleared from the target, where it is.
fn brought(followed: &Followed, state: &State, applied: &Applied) -> Vec<ObjectRef> {
    let clears = matches!(state.phase, Phase::RollingBack { way: Way::Clearing, .. });
    if clears { followed.standing().brought(applied).into_iter().cloned().collect() } else { Vec::new() }
}

fn view(followed: &Followed, refused: Vec<String>, gone: Vec<ObjectRef>, brought: Vec<ObjectRef>) -> MirrorView {
    let standing = followed.standing();
    let mirrored = |(object, state): (&ObjectRef, _)| MirroredObject {
        object: object.clone(),
        in_sync: state == ObjectState::InSync,
    };
    let objects = standing.states().map(mirrored);
    let blockers = standing.blockers().iter().cloned();
    let jobs = standing.jobs().map(|(object, sleeps_on_source, sleeps_on_target)| {
        let object = object.clone();
        MirroredJob { object, sleeps_on_source, sleeps_on_target }
    });
    let problems = blockers.chain(refused).collect();
    MirrorView { objects: objects.collect(), problems, gone, brought, jobs: jobs.collect() }
}

/// What the objects that may be applied next shall be.
fn next(followed: &Followed) -> BTreeMap<ObjectRef, Desired> {
    let standing = followed.standing();
    let pending = standing.pending().take(MOST_APPLIED);
    pending.filter_map(|object| Some((object.clone(), standing.desired(object)?))).collect()
}
