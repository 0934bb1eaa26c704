//! Documents as Migrations and ShiftPolicies, with every mistake noted. PURE.
//!
//! One function per object of the format, in the order a reader of the file meets them. A function reads
//! all of its fields before it gives up, so that one walk finds everything.

mod dns;
mod haproxy;
mod maps;
mod metrics;
mod planes;
mod prometheus;
mod steps;
mod windows;

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::cursor::Cursor;
use super::types::*;
use super::weight::Weight;
use super::window::Windows;

/// The group and version of both documents.
pub const API_VERSION: &str = "crossfade.dev/v1alpha1";

/// One document of a file, and where it says what other documents have to agree with.
#[derive(Debug)]
pub enum Document<'t> {
    /// A Migration.
    Migration {
        /// What it says.
        migration: Box<Migration>,
        /// Where its name stands.
        name_at: Cursor<'t>,
        /// Where it names its policy.
        policy_at: Cursor<'t>,
    },
    /// A ShiftPolicy.
    Policy {
        /// What it says.
        policy: Box<ShiftPolicy>,
        /// Where its name stands.
        name_at: Cursor<'t>,
        /// Where it names planes of the migrations that use it.
        planes_at: Vec<(Name, Cursor<'t>)>,
    },
}

/// Reads one document.
pub fn document<'t>(top: &Cursor<'t>) -> Option<Document<'t>> {
    let mut fields = top.fields()?;
    let version = fields.require("apiVersion").and_then(|at| at.one_of(&[(API_VERSION, ())]));
    let kind = fields.require("kind").and_then(|at| at.one_of(&[("Migration", true), ("ShiftPolicy", false)]))?;
    let metadata = fields.require("metadata").and_then(|at| metadata(&at));
    let spec = fields.require("spec");
    let read = match (spec, kind) {
        (Some(spec), true) => migration(&spec, metadata),
        (Some(spec), false) => policy(&spec, metadata),
        (None, _) => None,
    };
    fields.finish();
    version.and(read)
}

struct Metadata<'t> {
    name: Name,
    name_at: Cursor<'t>,
    namespace: Name,
}

fn metadata<'t>(at: &Cursor<'t>) -> Option<Metadata<'t>> {
    let mut fields = at.fields()?;
    let name_at = fields.require("name");
    let name = name_at.as_ref().and_then(Cursor::name);
    let namespace = fields.or("namespace", Name::new("default")?, |at| at.name());
    // Kept by the API server for everybody; they mean nothing to us.
    for free in ["labels", "annotations"] {
        if let Some(at) = fields.get(free) {
            string_map(&at);
        }
    }
    fields.finish();
    Some(Metadata { name: name?, name_at: name_at?, namespace: namespace? })
}

fn migration<'t>(at: &Cursor<'t>, metadata: Option<Metadata<'t>>) -> Option<Document<'t>> {
    let mut fields = at.fields()?;
    let source = fields.require("source").and_then(|at| cluster(&at));
    let target_at = fields.require("target");
    let target = target_at.as_ref().and_then(cluster);
    let workloads = fields.require("workloads").and_then(|at| workloads(&at));
    let planes = fields.require("planes").and_then(|at| planes::planes(&at));
    let policy_at = fields.require("policy").and_then(|at| {
        let mut fields = at.fields()?;
        let name = fields.require("name");
        fields.finish();
        name
    });
    let policy = policy_at.as_ref().and_then(Cursor::name);
    let commits = [("retain", OnCommit::Retain), ("scaleToZero", OnCommit::ScaleToZero)];
    let on_commit = fields.or("onCommit", OnCommit::default(), |at| at.one_of(&commits));
    let aborts = [("retain", OnAbort::Retain), ("delete", OnAbort::Delete)];
    let on_abort = fields.or("onAbort", OnAbort::default(), |at| at.one_of(&aborts));
    let allow_older_target = fields.or("allowOlderTarget", false, |at| at.flag());
    fields.finish();
    if let (Some(source), Some(target), Some(at)) = (&source, &target, &target_at)
        && source == target
    {
        return at.refuse("is the same cluster as the source", Some("a migration goes from one cluster to another"));
    }
    let metadata = metadata?;
    let migration = Migration {
        name: metadata.name,
        namespace: metadata.namespace,
        source: source?,
        target: target?,
        workloads: workloads?,
        planes: planes?,
        policy: policy?,
        on_commit: on_commit?,
        on_abort: on_abort?,
        allow_older_target: allow_older_target?,
    };
    Some(Document::Migration { migration: Box::new(migration), name_at: metadata.name_at, policy_at: policy_at? })
}

fn cluster(at: &Cursor<'_>) -> Option<ClusterRef> {
    let mut fields = at.fields()?;
    let cluster = fields.variant(&["context", "cluster"]).and_then(|(by, at)| match by {
        "context" => at.text().map(ClusterRef::Context),
        _ => at.name().map(ClusterRef::Cluster),
    });
    fields.finish();
    cluster
}

fn workloads(at: &Cursor<'_>) -> Option<Workloads> {
    let mut fields = at.fields()?;
    let namespaces = fields.require("namespaces").and_then(|at| at.each_once(|item| item.name()));
    let selector = fields.or("selector", LabelSelector::default(), |at| selector(&at));
    let keep = fields.or("keep", BTreeSet::new(), |at| {
        Some(at.each(|item| item.one_of(&[("nodePort", Keep::NodePort)]))?.into_iter().collect())
    });
    let transforms = fields.or("transforms", Vec::new(), |at| at.each(|item| transform(&item)));
    let waive = fields.or("waive", BTreeSet::new(), |at| Some(at.each(|item| waiver(&item))?.into_iter().collect()));
    let maps = maps::maps(&mut fields, namespaces.as_deref());
    fields.finish();
    Some(Workloads {
        namespaces: namespaces?,
        selector: selector?,
        keep: keep?,
        transforms: transforms?,
        waive: waive?,
        maps: maps?,
    })
}

/// The name of a finding: a kind and a field of it.
fn waiver(at: &Cursor<'_>) -> Option<String> {
    let name = at.text()?;
    match name.split_once(':') {
        Some((kind, _)) if !kind.is_empty() => Some(name),
        _ => at.refuse("names no finding", Some("as the problem is called, such as Deployment:spec.rollbackTo")),
    }
}

fn selector(at: &Cursor<'_>) -> Option<LabelSelector> {
    let mut fields = at.fields()?;
    let match_labels = fields.require("matchLabels").and_then(|at| string_map(&at));
    fields.finish();
    Some(LabelSelector { match_labels: match_labels? })
}

fn string_map(at: &Cursor<'_>) -> Option<BTreeMap<String, String>> {
    let entries = at.fields()?.rest();
    entries.into_iter().map(|(key, at)| Some((key.text.clone(), at.scalar()?))).collect()
}

fn transform(at: &Cursor<'_>) -> Option<Transform> {
    let mut fields = at.fields()?;
    let target = fields.require("match").and_then(|at| {
        let mut fields = at.fields()?;
        let kind = fields.require("kind").and_then(|at| at.text());
        let name = fields.or("name", None, |at| at.text().map(Some));
        fields.finish();
        Some((kind?, name?))
    });
    let patch = fields.require("jsonPatch").and_then(|at| {
        at.some_items()?;
        match serde_json::from_value(at.json()) {
            Ok(patch) => Some(patch),
            Err(error) => at.refuse(
                format!("is not a JSON patch: {error}"),
                Some("RFC 6902, such as {op: replace, path: /spec/replicas, value: 3}"),
            ),
        }
    });
    fields.finish();
    let (kind, name) = target?;
    Some(Transform { kind, name, patch: patch? })
}

fn policy<'t>(at: &Cursor<'t>, metadata: Option<Metadata<'t>>) -> Option<Document<'t>> {
    let mut fields = at.fields()?;
    let steps = fields.require("steps").and_then(|at| steps::steps(&at));
    let soak = fields.or("soak", SignedDuration::ZERO, |at| at.duration(SignedDuration::ZERO));
    let analysis = fields.require("analysis").and_then(|at| analysis(&at));
    let rollback = fields.or("rollback", ROLLBACK, |at| rollback(&at));
    let mirror_deadline = fields.or("mirrorDeadline", SignedDuration::from_mins(10), |at| at.duration(SECOND));
    let window = analysis.as_ref().map_or(WINDOW, |analysis| analysis.window);
    let step_deadline = fields.or("stepDeadline", step_deadline(window), |at| match at.duration(SECOND)? {
        deadline if deadline > window => Some(deadline),
        _ => at.refuse(format!("is not longer than the window of {window:#}, so that no step can pass in time"), None),
    });
    let windows = fields.or("windows", Windows::default(), |at| windows::windows(&at));
    let plane_order = fields.or("planeOrder", Vec::new(), |at| at.each_once(|item| item.name()));
    fields.finish();
    let metadata = metadata?;
    let policy = ShiftPolicy {
        name: metadata.name,
        steps: steps?,
        soak: soak?,
        analysis: analysis?,
        rollback: rollback?,
        mirror_deadline: mirror_deadline?,
        step_deadline: step_deadline?,
        windows: windows?,
        plane_order: plane_order?,
    };
    Some(Document::Policy { policy: Box::new(policy), name_at: metadata.name_at, planes_at: planes_at(at) })
}

/// Long enough that a rolling restart, a scrape that is late and a second window all fit; short enough that somebody hears of it
/// within the shift that began it.
fn step_deadline(window: SignedDuration) -> SignedDuration {
    SignedDuration::from_hours(1).max(window.saturating_mul(4))
}

/// Every plane that a metric counts on or that has its turn.
fn planes_at<'t>(spec: &Cursor<'t>) -> Vec<(Name, Cursor<'t>)> {
    let metrics = spec.peek("analysis").and_then(|at| at.peek("metrics"));
    let metrics = metrics.iter().flat_map(Cursor::items);
    let counted = metrics.filter_map(|metric| metric.peek("planeErrors")?.peek("plane"));
    let ordered = spec.peek("planeOrder");
    let named = counted.chain(ordered.iter().flat_map(Cursor::items));
    named.filter_map(|at| Some((at.name()?, at))).collect()
}

const SECOND: SignedDuration = SignedDuration::from_secs(1);

fn analysis(at: &Cursor<'_>) -> Option<Analysis> {
    let mut fields = at.fields()?;
    let interval_at = fields.get("interval");
    let window_at = fields.get("window");
    let interval = interval_at.as_ref().map_or(Some(INTERVAL), |at| at.duration(SignedDuration::from_millis(100)));
    let window = window_at.as_ref().map_or(Some(WINDOW), |at| at.duration(SECOND));
    if let (Some(interval), Some(window), Some(at)) = (interval, window, window_at.as_ref().or(interval_at.as_ref())) {
        reaches_back(interval, window, at, window_at.is_some());
    }
    let prometheus = fields.or("prometheus", None, |at| prometheus::prometheus(&at).map(Some));
    let asking = metrics::Asking { prometheus: prometheus.as_ref(), window: window.unwrap_or(WINDOW) };
    let metrics = fields.require("metrics").and_then(|at| metrics::metrics(&at, asking));
    let share = ShareSpec { total: None, tolerance: Weight::percent_saturating(5), min_samples: 100 };
    let share = fields.or("share", share.clone(), |at| share_spec(&at, share));
    let false_rollbacks = fields.or("falseRollbacks", false_rollbacks(), |at| match at.fraction()? {
        fraction if fraction > 0.0 && fraction <= 0.1 => Some(fraction),
        _ => at.refuse("must be above 0% and at most 10%", Some("0.1% is the default: one migration of a thousand")),
    });
    fields.finish();
    Some(Analysis {
        interval: interval?,
        window: window?,
        prometheus: prometheus?,
        metrics: metrics?,
        share: share?,
        false_rollbacks: false_rollbacks?,
    })
}

/// Time between two looks unless a policy says otherwise.
const INTERVAL: SignedDuration = SignedDuration::from_secs(10);
/// How far a look reaches back unless a policy says otherwise.
const WINDOW: SignedDuration = SignedDuration::from_mins(1);

/// A window holds two looks; the mistake is at the window, or where that is not written, at the interval.
fn reaches_back(interval: SignedDuration, window: SignedDuration, at: &Cursor<'_>, written: bool) {
    let enough = interval.checked_mul(2).is_some_and(|two| two <= window);
    let _: Option<()> = match (enough, written) {
        (true, _) => None,
        (false, true) => at.refuse(format!("is shorter than two intervals of {interval:#}"), None),
        (false, false) => at.refuse(
            format!("is more than half the window, which is {window:#} unless given"),
            Some("add analysis.window, at least twice the interval"),
        ),
    };
}

fn share_spec(at: &Cursor<'_>, absent: ShareSpec) -> Option<ShareSpec> {
    let mut fields = at.fields()?;
    let total = fields.or("total", None, |at| metrics::query(&at).map(Some));
    let tolerance = fields.or("tolerance", absent.tolerance, |at| match at.fraction()? {
        fraction if fraction < 0.5 => Some(Weight::nearest(fraction)),
        _ => at.refuse("must be below 50%, or a share says nothing about the weight", Some("5% is the default")),
    });
    let min_samples = fields.or("minSamples", absent.min_samples, |at| at.count(1));
    fields.finish();
    Some(ShareSpec { total: total?, tolerance: tolerance?, min_samples: min_samples? })
}

/// How the origin is restored unless a policy says otherwise.
const ROLLBACK: Rollback = Rollback { mode: RollbackMode::Instant, deadline: SignedDuration::from_secs(30) };

fn rollback(at: &Cursor<'_>) -> Option<Rollback> {
    let modes = [
        ("instant", RollbackMode::Instant),
        ("stepped", RollbackMode::Stepped),
        ("capacityGated", RollbackMode::CapacityGated),
    ];
    let mut fields = at.fields()?;
    let mode = fields.or("mode", ROLLBACK.mode, |at| at.one_of(&modes));
    let deadline = fields.or("deadline", ROLLBACK.deadline, |at| at.duration(SECOND));
    fields.finish();
    Some(Rollback { mode: mode?, deadline: deadline? })
}
