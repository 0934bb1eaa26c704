//! What a controller gets to see of the world. PURE.
//!
//! The snapshot is changed in place from look to look: names and queries stay, numbers come and go.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::World;
use super::traffic::Counts;
use crate::cluster::{ObjectRef, Replicas};
use crate::migration::Snapshot;
use crate::migration::snapshot::{MirrorView, MirroredObject, Observed, SidePair, SideSample};
use crate::policy::{Assignment, MetricSource, Name};
use crate::simulate::case::{Lie, Moment};

/// A moment as a time.
pub(in crate::simulate) fn stamp(moment: Moment) -> Timestamp {
    Timestamp::from_millisecond(moment).unwrap_or(Timestamp::MAX)
}

/// What a controller remembers of the planes' counters; gone when it is killed.
#[derive(Debug, Default, Clone)]
pub(in crate::simulate) struct Readings(Vec<Reading>);

/// The first and the last reading of a plane since it was started.
#[derive(Debug, Default, Clone, Copy)]
struct Reading {
    restarts: u32,
    first: Option<Moment>,
    last: Moment,
}

/// Where the numbers of a metric come from.
#[derive(Debug, Clone, Copy)]
enum Source {
    Prometheus,
    Plane(usize),
}

/// A snapshot, and how to fill it.
pub(in crate::simulate) struct Sight {
    pub snapshot: Snapshot,
    workload: ObjectRef,
    /// In the order of the metrics' names.
    sources: Vec<Source>,
}

const REFUSED: &str = "no answer";

impl Sight {
    /// A snapshot nothing was seen in yet.
    pub fn new(assignment: &Assignment, world: &World<'_>) -> Self {
        let migration = &assignment.migration;
        let workload = ObjectRef::new("Deployment", migration.namespace.as_str(), migration.name.as_str());
        let objects = ["ServiceAccount", "Deployment", "Service"];
        let objects = objects.map(|kind| ObjectRef { kind: kind.to_owned(), ..workload.clone() });
        let objects = objects.into_iter().map(|object| MirroredObject { object, in_sync: false }).collect();
        let nothing = || SideSample::NoData(String::new());
        let sample = || SidePair { source: nothing(), target: nothing() };
        let place = |name: &Name| world.planes.iter().position(|plane| plane.name == *name).unwrap_or_default();
        let sources = assignment.policy.analysis.metrics.iter().map(|spec| match &spec.source {
            MetricSource::ErrorRate { .. } => (&spec.name, Source::Prometheus),
            MetricSource::PlaneErrors { plane } => (&spec.name, Source::Plane(place(plane))),
        });
        let sources: BTreeMap<_, _> = sources.collect();
        let unseen = || Observed::Unknown(REFUSED.to_owned());
        let snapshot = Snapshot {
            now: stamp(0),
            commands: Vec::new(),
            outcomes: Vec::new(),
            mirror: Observed::Known(MirrorView { objects, problems: Vec::new() }),
            source: unseen(),
            target: unseen(),
            planes: world
                .planes
                .iter()
                .map(|plane| (plane.name.clone(), Observed::Unknown(REFUSED.to_owned())))
                .collect(),
            plane_problems: Vec::new(),
            metrics: sources.keys().map(|name| ((*name).clone(), sample())).collect(),
            share: sample(),
        };
        Self { snapshot, workload, sources: sources.into_values().collect() }
    }

    /// Looks at the world.
    pub fn look(&mut self, world: &World<'_>, readings: &mut Readings) {
        self.snapshot.now = stamp(world.now);
        self.snapshot.commands.clone_from(&world.letters);
        self.look_at_clusters(world);
        self.look_at_planes(world);
        readings.add(world);
        let metrics = self.snapshot.metrics.values_mut().zip(&self.sources);
        for (sample, source) in metrics {
            *sample = match source {
                Source::Prometheus => world.prometheus(),
                Source::Plane(plane) => pair(readings.counted(world, *plane)),
            };
        }
        self.snapshot.share = if world.has_prometheus {
            world.prometheus()
        } else {
            let counted = (0..world.planes.len()).filter_map(|plane| readings.counted(world, plane));
            pair(counted.reduce(Counts::plus))
        };
    }

    fn look_at_clusters(&mut self, world: &World<'_>) {
        let demand = world.case.setting.demand;
        let (source_away, target_away) = (world.now < world.until.source_away, world.now < world.until.target_away);
        let source = Replicas {
            desired: world.source_replicas,
            ready: world.source_replicas,
            updated: world.source_replicas,
            available: world.source_replicas,
            current: true,
        };
        let ready = world.ready();
        let target = Replicas { desired: demand, ready, updated: ready, available: ready, current: true };
        see(&mut self.snapshot.source, source_away, &self.workload, source);
        see(&mut self.snapshot.target, target_away, &self.workload, target);
        self.see_mirror(source_away || target_away, world);
    }

    fn see_mirror(&mut self, away: bool, world: &World<'_>) {
        match &mut self.snapshot.mirror {
            mirror if away => *mirror = Observed::Unknown(REFUSED.to_owned()),
            Observed::Known(view) => view.objects.iter_mut().for_each(|object| object.in_sync = world.in_sync),
            mirror => {
                let kinds = ["ServiceAccount", "Deployment", "Service"];
                let object = |kind: &str| ObjectRef { kind: kind.to_owned(), ..self.workload.clone() };
                let objects = kinds.map(|kind| MirroredObject { object: object(kind), in_sync: world.in_sync });
                *mirror = Observed::Known(MirrorView { objects: objects.into(), problems: Vec::new() });
            }
        }
    }

    fn look_at_planes(&mut self, world: &World<'_>) {
        let usable = world.ready();
        for (plane, seen) in world.planes.iter().zip(self.snapshot.planes.values_mut()) {
            *seen = if world.now < plane.away {
                Observed::Unknown(REFUSED.to_owned())
            } else {
                Observed::Known(plane.view(world.now, world.case.setting.drain, usable, world.source_replicas))
            };
        }
    }
}

fn see(seen: &mut Observed<BTreeMap<ObjectRef, Replicas>>, away: bool, workload: &ObjectRef, pods: Replicas) {
    match seen {
        seen if away => *seen = Observed::Unknown(REFUSED.to_owned()),
        Observed::Known(all) => all.values_mut().for_each(|seen| *seen = pods),
        seen => *seen = Observed::Known(BTreeMap::from([(workload.clone(), pods)])),
    }
}

fn pair(counts: Option<Counts>) -> SidePair<SideSample> {
    match counts {
        Some(Counts { source, source_bad, target, target_bad }) => SidePair {
            source: SideSample::Counts { bad: source_bad, total: source },
            target: SideSample::Counts { bad: target_bad, total: target },
        },
        None => SidePair { source: no_data(), target: no_data() },
    }
}

fn no_data() -> SideSample {
    SideSample::NoData("nothing was counted".to_owned())
}

impl Readings {
    fn add(&mut self, world: &World<'_>) {
        self.0.resize(world.planes.len(), Reading::default());
        for (reading, plane) in self.0.iter_mut().zip(&world.planes).filter(|(_, plane)| world.now >= plane.away) {
            if reading.restarts != plane.restarts || reading.first.is_none() {
                *reading = Reading { restarts: plane.restarts, first: Some(world.now), last: world.now };
            }
            reading.last = world.now;
        }
    }

    /// What a plane counted within the window, once it was read twice.
    fn counted(&self, world: &World<'_>, plane: usize) -> Option<Counts> {
        let Reading { first, last, .. } = *self.0.get(plane)?;
        let first = first.filter(|first| *first < last)?;
        Some(world.traffic.between(plane, first.max(last - world.window), last))
    }
}

impl World<'_> {
    /// What Prometheus says of all planes together.
    fn prometheus(&self) -> SidePair<SideSample> {
        let (until, since, lie) = self.until.prometheus;
        let lie = lie.filter(|_| self.now < until);
        let at = match lie {
            Some(Lie::Away) => {
                let error = || SideSample::Error(REFUSED.to_owned());
                return SidePair { source: error(), target: error() };
            }
            Some(Lie::Empty) => return pair(None),
            Some(Lie::Stale) => since,
            Some(Lie::Half) | None => self.now,
        };
        let counts = (0..self.planes.len()).map(|plane| self.traffic.between(plane, at - self.window, at));
        let counts = counts.fold(Counts::default(), Counts::plus);
        let SidePair { source, target } = pair(Some(counts));
        let target = if lie == Some(Lie::Half) || counts.target == 0.0 { no_data() } else { target };
        SidePair { source, target }
    }
}
