//! What a controller gets to see of the world. PURE.
//!
//! The snapshot is changed in place from look to look: names and queries stay, numbers come and go.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::World;
use super::traffic::Counts;
use crate::analysis::questions::{AllLearnt, reading};
use crate::analysis::record::{self, Reach, Record, Stage};
use crate::cluster::{ObjectRef, Replicas};
use crate::migration::Snapshot;
use crate::migration::snapshot::{MirrorView, MirroredObject, Observed, SidePair, SideSample};
use crate::policy::metric::Range;
use crate::policy::{Assignment, MetricSource, Name};
use crate::simulate::case::{Lie, Moment, millis};

/// A moment as a time.
pub(in crate::simulate) fn stamp(moment: Moment) -> Timestamp {
    Timestamp::from_millisecond(moment).unwrap_or(Timestamp::MAX)
}

/// What a controller remembers of the planes' counters; gone when it is killed.
#[derive(Debug, Default)]
pub(in crate::simulate) struct Readings {
    planes: Vec<Reading>,
    reach: Reach,
    /// In the order of the metrics' names.
    records: Vec<Record>,
    looked: Option<Moment>,
}

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
    /// Always well.
    Within(Range),
}

/// A snapshot, and how to fill it.
pub(in crate::simulate) struct Sight {
    pub snapshot: Snapshot,
    workload: ObjectRef,
    /// In the order of their names.
    metrics: Vec<Metric>,
    window: SignedDuration,
}

/// A metric that nothing was learnt about yet, and where its numbers come from.
struct Metric {
    name: Name,
    source: Source,
    fresh: Record,
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
        let analysis = &assignment.policy.analysis;
        let metrics = analysis.metrics.iter().map(|spec| {
            let source = match &spec.source {
                MetricSource::ErrorRate { .. } | MetricSource::SlowRate { .. } => Source::Prometheus,
                MetricSource::PlaneErrors { plane } => Source::Plane(place(plane)),
                // As soon as a plane sees a side fail, so does whoever asks it.
                MetricSource::Probe(_) => Source::Plane(0),
                // Stories break requests, and nothing else that could be measured.
                MetricSource::Value(value) => Source::Within(value.range),
            };
            Metric { name: spec.name.clone(), source, fresh: Record::new(spec, analysis.window) }
        });
        let mut metrics: Vec<Metric> = metrics.collect();
        metrics.sort_by(|a, b| a.name.cmp(&b.name));
        let unseen = || Observed::Unknown(REFUSED.to_owned());
        let snapshot = Snapshot {
            now: stamp(0),
            commands: Vec::new(),
            outcomes: Vec::new(),
            mirror: Observed::Known(MirrorView { objects, problems: Vec::new(), ..MirrorView::default() }),
            source: unseen(),
            target: unseen(),
            planes: world
                .planes
                .iter()
                .map(|plane| (plane.name.clone(), Observed::Unknown(REFUSED.to_owned())))
                .collect(),
            plane_problems: Vec::new(),
            metrics: metrics.iter().map(|metric| (metric.name.clone(), sample())).collect(),
            learnt: AllLearnt::new(),
            ages: Default::default(),
            evaluated: None,
            share: sample(),
        };
        Self { snapshot, workload, metrics, window: analysis.window }
    }

    /// Looks at the world, in some stage of the migration.
    pub fn look(&mut self, world: &World<'_>, stage: Option<Stage>, readings: &mut Readings) {
        self.snapshot.now = stamp(world.now);
        self.snapshot.commands.clone_from(&world.letters);
        self.look_at_clusters(world);
        self.look_at_planes(world);
        readings.add(world);
        let asked = OnceCell::new();
        let prometheus = || asked.get_or_init(|| world.prometheus(None)).clone();
        let metrics = self.snapshot.metrics.values_mut().zip(&self.metrics);
        for (sample, metric) in metrics {
            *sample = match metric.source {
                Source::Prometheus => prometheus(),
                Source::Plane(plane) => pair(readings.counted(world, plane)),
                Source::Within(range) => within(range),
            };
        }
        self.learn(world, stage, readings);
        self.snapshot.share = if world.has_prometheus {
            prometheus()
        } else {
            let counted = (0..world.planes.len()).filter_map(|plane| readings.counted(world, plane));
            pair(counted.reduce(Counts::plus))
        };
    }

    /// Takes in what was counted since the last look.
    fn learn(&mut self, world: &World<'_>, stage: Option<Stage>, readings: &mut Readings) {
        let (now, Some(stage)) = (self.snapshot.now, stage) else {
            readings.records.clear();
            readings.looked = None;
            readings.reach = Reach::default();
            return self.snapshot.learnt.clear();
        };
        let anchor = readings.reach.anchor(now, stage, self.window);
        if readings.records.is_empty() {
            readings.records.extend(self.metrics.iter().map(|metric| metric.fresh.clone()));
        }
        // Looks that were left out were looks all the same: the planes' counters were read all the time.
        let earlier = world.now - millis(self.window);
        let asked = OnceCell::new();
        let prometheus = || reading(anchor, &world.prometheus(Some(anchor.as_millisecond())));
        let left_out = readings.looked.is_some_and(|looked| looked < earlier).then_some(earlier);
        for (place, metric) in self.metrics.iter().enumerate() {
            let totals = match metric.source {
                Source::Prometheus => asked.get_or_init(prometheus).clone(),
                Source::Plane(plane) => {
                    if let Some(at) = left_out {
                        let totals = readings.since_start(world, plane, at);
                        readings.records[place].learn(stamp(at), stage, totals);
                    }
                    readings.since_start(world, plane, world.now)
                }
                Source::Within(_) => None,
            };
            if totals.is_some() && matches!(metric.source, Source::Prometheus) {
                readings.reach.read(now);
            }
            let recent = self.snapshot.metrics.get(&metric.name).and_then(|sample| reading(stamp(earlier), sample));
            let learnt = readings.records[place].look(now, stage, totals, recent.as_ref());
            match self.snapshot.learnt.get_mut(&metric.name) {
                Some(known) => *known = learnt,
                None => _ = self.snapshot.learnt.insert(metric.name.clone(), learnt),
            }
        }
        readings.looked = Some(world.now);
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
                *mirror = Observed::Known(MirrorView {
                    objects: objects.into(),
                    problems: Vec::new(),
                    ..MirrorView::default()
                });
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

/// Both sides with a number that is accepted.
fn within(range: Range) -> SidePair<SideSample> {
    let side = || SideSample::Value { value: range.min.or(range.max).unwrap_or_default(), count: None };
    SidePair { source: side(), target: side() }
}

fn no_data() -> SideSample {
    SideSample::NoData("nothing was counted".to_owned())
}

impl Readings {
    fn add(&mut self, world: &World<'_>) {
        self.planes.resize(world.planes.len(), Reading::default());
        for (reading, plane) in self.planes.iter_mut().zip(&world.planes).filter(|(_, plane)| world.now >= plane.away) {
            if reading.restarts != plane.restarts || reading.first.is_none() {
                *reading = Reading { restarts: plane.restarts, first: Some(world.now), last: world.now };
            }
            reading.last = world.now;
        }
    }

    /// What a plane counted within the window, once it was read twice.
    fn counted(&self, world: &World<'_>, plane: usize) -> Option<Counts> {
        let Reading { first, last, .. } = *self.planes.get(plane)?;
        let first = first.filter(|first| *first < last)?;
        Some(world.traffic.between(plane, first.max(last - world.window), last))
    }

    /// What a plane counted since it was first read after its start.
    fn since_start(&self, world: &World<'_>, plane: usize, until: Moment) -> Option<record::Reading> {
        let Reading { first, last, .. } = *self.planes.get(plane)?;
        let last = last.min(until);
        let first = first.filter(|first| *first <= last)?;
        reading(stamp(first), &pair(Some(world.traffic.between(plane, first, last))))
    }
}

impl World<'_> {
    /// What Prometheus says of all planes together, over the window or since a moment.
    fn prometheus(&self, since: Option<Moment>) -> SidePair<SideSample> {
        let (until, stale, lie) = self.until.prometheus;
        let lie = lie.filter(|_| self.now < until);
        let at = match lie {
            Some(Lie::Away) => {
                let error = || SideSample::Error(REFUSED.to_owned());
                return SidePair { source: error(), target: error() };
            }
            Some(Lie::Empty) => return pair(None),
            Some(Lie::Stale) => stale,
            Some(Lie::Half) | None => self.now,
        };
        let from = since.unwrap_or(at - self.window).min(at);
        let counts = (0..self.planes.len()).map(|plane| self.traffic.between(plane, from, at));
        let counts = counts.fold(Counts::default(), Counts::plus);
        let SidePair { source, target } = pair(Some(counts));
        let target = if lie == Some(Lie::Half) || counts.target == 0.0 { no_data() } else { target };
        SidePair { source, target }
    }
}
