//! What an operator wrote, after it was checked. PURE.
//!
//! Values of these types are valid by construction of `validate`; nothing downstream checks them again.

mod dns;
mod maps;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use dns::{DnsSpec, DnsWriter, PowerdnsSpec, UpdateSpec};
pub use maps::{Maps, NameMap};

use super::metric::{Baseline, MetricSource, MetricSpec};
use super::prometheus::PrometheusSpec;
use super::weight::Weight;
use super::window::Windows;

/// A DNS-1123 name of something a user named: a migration, a policy, a plane, a metric, a namespace. Copies share the text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Name(Arc<str>);

impl Name {
    /// The name, or `None` unless it is 1–63 lower-case letters, digits and inner dashes.
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let edges = !text.starts_with('-') && !text.ends_with('-');
        let valid = (1..=63).contains(&text.len()) && edges && text.bytes().all(inner);
        valid.then(|| Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The unit that moves together: workloads, the planes that carry their traffic, a policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Migration {
    /// Name of the migration.
    pub name: Name,
    /// Namespace the migration belongs to.
    pub namespace: Name,
    /// The cluster traffic comes from.
    pub source: ClusterRef,
    /// The cluster traffic goes to.
    pub target: ClusterRef,
    /// What is mirrored.
    pub workloads: Workloads,
    /// What splits the traffic; at least one.
    pub planes: Vec<PlaneSpec>,
    /// Name of the policy that says how carefully.
    pub policy: Name,
    /// What commit does to the workloads left behind on the source.
    pub on_commit: OnCommit,
    /// What an abort does to what was brought to the target.
    #[serde(default)]
    pub on_abort: OnAbort,
    /// Whether the target may be of an older version than the source.
    #[serde(default)]
    pub allow_older_target: bool,
}

/// A cluster, by one of two names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ClusterRef {
    /// A kubeconfig context.
    Context(String),
    /// A Cluster object of the migration's namespace; only a controller knows those.
    Cluster(Name),
}

impl ClusterRef {
    /// What it is called, also in queries.
    pub fn name(&self) -> &str {
        match self {
            Self::Context(context) => context,
            Self::Cluster(cluster) => cluster.as_str(),
        }
    }
}

/// Which objects of the source belong to the migration, and how they change on the way.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Workloads {
    /// Namespaces searched; at least one. Secrets are read nowhere else.
    pub namespaces: Vec<Name>,
    /// Labels an object must carry. What such objects refer to comes along without carrying them.
    pub selector: LabelSelector,
    /// Cluster-given fields that are kept instead of scrubbed.
    pub keep: BTreeSet<Keep>,
    /// Patches applied after conversion, in order.
    pub transforms: Vec<Transform>,
    /// Names of findings that would block, and that somebody decided to live with, such as `Deployment:spec.rollbackTo`.
    #[serde(default)]
    pub waive: BTreeSet<String>,
    /// What is called otherwise on the target.
    #[serde(default, skip_serializing_if = "Maps::is_empty")]
    pub maps: Maps,
}

/// A label selector; all requirements must hold, and an empty one selects everything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LabelSelector {
    /// Labels that must have exactly these values.
    pub match_labels: BTreeMap<String, String>,
}

/// A field that the source's cluster chose and that is normally scrubbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Keep {
    /// `spec.ports[].nodePort` and `spec.healthCheckNodePort` of Services.
    NodePort,
}

/// RFC 6902 operations on the objects that match.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transform {
    /// Kind an object must have.
    pub kind: String,
    /// Name an object must have, where one is given.
    pub name: Option<String>,
    /// The operations, in order.
    pub patch: json_patch::Patch,
}

/// What commit does to the source's workloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnCommit {
    /// They stay as they are, idle.
    #[default]
    Retain,
    /// They are drained and scaled to zero.
    ScaleToZero,
}

/// What an abort does to what was brought to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnAbort {
    /// It stays for the next attempt.
    #[default]
    Retain,
    /// It is deleted, once every plane is back at its origin.
    Delete,
}

/// One plane: anything that splits traffic between source and target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaneSpec {
    /// Name, unique in the migration.
    pub name: Name,
    /// How it is driven.
    pub driver: DriverSpec,
}

/// How a plane is driven: one line per driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DriverSpec {
    /// A `crossfade balancer`.
    Balancer(DrivenBalancer),
    /// HAProxy's Runtime API.
    Haproxy(HaproxySpec),
    /// A file of nginx's configuration.
    Nginx(NginxSpec),
    /// A file that Envoy discovers routes from.
    Envoy(EnvoySpec),
    /// The address records of a name.
    Dns(DnsSpec),
    /// A program of somebody's own.
    Exec(ExecSpec),
    /// An HTTP server of somebody's own.
    Webhook(WebhookSpec),
    /// The balancer of the process that drives the migration, as in `demo`; `run` has none.
    Embedded,
}

impl DriverSpec {
    /// Whether both stand for one and the same thing that splits traffic, however its sides are drawn.
    pub fn shifts_the_same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Haproxy(one), Self::Haproxy(other)) => {
                (&one.address, &one.backend) == (&other.address, &other.backend)
            }
            (Self::Nginx(one), Self::Nginx(other)) => (&one.file, &one.upstream) == (&other.file, &other.upstream),
            (Self::Envoy(one), Self::Envoy(other)) => {
                one.file == other.file && (one.source == other.source || one.target == other.target)
            }
            (Self::Dns(one), Self::Dns(other)) => one.shifts_the_same_as(other),
            (Self::Balancer(one), Self::Balancer(other)) => one.place() == other.place(),
            (Self::Exec(one), Self::Exec(other)) => one == other,
            (Self::Webhook(one), Self::Webhook(other)) => one == other,
            // Each process has its own embedded one.
            _ => false,
        }
    }

    /// What it shifts, for people.
    pub fn subject(&self) -> String {
        match self {
            Self::Balancer(spec) => format!("the balancer at {}", spec.place()),
            Self::Haproxy(spec) => format!("the backend {}", spec.backend),
            Self::Nginx(spec) => format!("the upstream {}", spec.upstream),
            Self::Envoy(spec) => format!("the clusters {} and {} of {}", spec.source, spec.target, spec.file.display()),
            Self::Dns(spec) => format!("the addresses of {}", spec.name),
            Self::Exec(spec) => format!("what {} drives", spec.command.join(" ")),
            Self::Webhook(spec) => format!("what {} drives", spec.url),
            Self::Embedded => "the balancer of this process".to_owned(),
        }
    }

    /// Whether it may count the requests of each side.
    pub fn may_count(&self) -> bool {
        !matches!(self, Self::Nginx(_) | Self::Dns(_))
    }

    /// Whether it is driven with programs and files of the machine that drives it, which a controller lends to nobody.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Balancer(_) | Self::Nginx(_) | Self::Envoy(_) | Self::Dns(_) | Self::Exec(_))
    }
}

/// Where a `crossfade balancer` is driven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DrivenBalancer {
    /// Its Unix socket.
    Socket(PathBuf),
    /// Its TCP address, for whoever has the token.
    #[serde(rename_all = "camelCase")]
    Url {
        /// The URL of its administration, without a path.
        url: String,
        /// The file that has the token.
        token_file: PathBuf,
    },
}

impl DrivenBalancer {
    /// Where it is, for people.
    pub fn place(&self) -> String {
        match self {
            Self::Socket(path) => format!("unix:{}", path.display()),
            Self::Url { url, .. } => url.clone(),
        }
    }
}

/// A backend of a running HAProxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaproxySpec {
    /// Where its Runtime API listens.
    pub address: HaproxyAddress,
    /// Name of the backend.
    pub backend: String,
    /// Servers of the backend that lead to the source; at least one.
    pub source: Vec<String>,
    /// Servers of the backend that lead to the target; at least one, none of them in `source`.
    pub target: Vec<String>,
}

/// An upstream of an nginx of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NginxSpec {
    /// The configuration that is tested and reloaded.
    pub config: PathBuf,
    /// The file of it that has the upstream and nothing else that changes.
    pub file: PathBuf,
    /// URL of the location that says which weights are in force.
    pub status: String,
    /// Name of the upstream.
    pub upstream: String,
    /// Servers of the upstream that lead to the source, as they are written there; at least one.
    pub source: Vec<String>,
    /// Servers of the upstream that lead to the target; at least one, none of them in `source`.
    pub target: Vec<String>,
}

/// Two clusters of an Envoy of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvoySpec {
    /// The file that Envoy discovers the route configuration from.
    pub file: PathBuf,
    /// URL of its administration.
    pub admin: String,
    /// The cluster that leads to the source.
    pub source: String,
    /// The cluster that leads to the target; another one than `source`.
    pub target: String,
}

/// A program that drives a plane by the contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecSpec {
    /// The program and its arguments; at least the program.
    pub command: Vec<String>,
}

/// An HTTP server that drives a plane by the contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookSpec {
    /// Where it takes requests.
    pub url: String,
}

/// Where HAProxy's Runtime API listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HaproxyAddress {
    /// A unix socket, written `unix:/path`.
    Unix(PathBuf),
    /// A TCP address, written `tcp:host:port`.
    Tcp(String),
}

/// How carefully traffic moves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShiftPolicy {
    /// Name of the policy.
    pub name: Name,
    /// The steps, in order; at least one, the last weight is 100 %.
    pub steps: Vec<Step>,
    /// Time at 100 % before commit is accepted.
    pub soak: SignedDuration,
    /// How each step is judged.
    pub analysis: Analysis,
    /// How the origin is restored.
    pub rollback: Rollback,
    /// How long the mirror may take until every workload is ready on the target.
    pub mirror_deadline: SignedDuration,
    /// How long a step, or any other phase without a deadline of its own, may be at work before a person is asked.
    pub step_deadline: SignedDuration,
    /// When it may advance.
    pub windows: Windows,
    /// Planes that are moved one after the other within a step, before all others; none, where all move together.
    pub plane_order: Vec<Name>,
}

/// One step of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// Bring every plane to this weight and judge it there.
    SetWeight(Weight),
    /// Wait this long, or until `resume` where no time is given.
    Pause(Option<SignedDuration>),
    /// Wait until a person approves.
    Approval,
    /// Rehearse the rollback from the weight before it, take its time, and bring the weight back.
    Drill,
}

impl ShiftPolicy {
    /// The weights of the steps, in order.
    pub fn weights(&self) -> impl Iterator<Item = Weight> {
        self.steps.iter().filter_map(|step| step.weight())
    }

    /// The weight at which a step stands, counted from 0: its own, or else that of the last step before it that has one.
    pub fn weight_at(&self, step: usize) -> Option<Weight> {
        self.steps.iter().take(step.saturating_add(1)).rev().find_map(|step| step.weight())
    }

    /// The planes that it names, of whichever migration uses it.
    pub fn planes(&self) -> impl Iterator<Item = &Name> {
        let counted = self.analysis.metrics.iter().filter_map(|metric| match &metric.source {
            MetricSource::PlaneErrors { plane } => Some(plane),
            MetricSource::ErrorRate { .. }
            | MetricSource::SlowRate { .. }
            | MetricSource::Probe(_)
            | MetricSource::Value(_) => None,
        });
        counted.chain(&self.plane_order)
    }

    /// What identifies this version of the policy: a digest of everything it says, 16 hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        // Every field has a JSON form, none of them a map whose keys are not text.
        let text = serde_json::to_vec(self).unwrap_or_default();
        Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Step {
    /// The weight it brings the planes to, where it does.
    pub fn weight(self) -> Option<Weight> {
        match self {
            Self::SetWeight(weight) => Some(weight),
            Self::Pause(_) | Self::Approval | Self::Drill => None,
        }
    }
}

/// How each step is judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    /// Time between two looks.
    pub interval: SignedDuration,
    /// How far each look reaches back; a step is judged only once it has lasted this long.
    pub window: SignedDuration,
    /// Where PromQL queries go.
    pub prometheus: Option<PrometheusSpec>,
    /// What is measured.
    pub metrics: Vec<MetricSpec>,
    /// How the measured share is compared with the weight.
    pub share: ShareSpec,
    /// The chance that a healthy target is rolled back by any metric, over a whole migration, `0.0..1.0`.
    #[serde(default = "false_rollbacks")]
    pub false_rollbacks: f64,
}

/// One migration of a thousand unless a policy says otherwise.
pub(super) fn false_rollbacks() -> f64 {
    0.001
}

/// What evidence has to reach to be proof, for the two questions of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proof {
    /// That the target is above its limit.
    pub above: f64,
    /// That it is worse than the source.
    pub worse: f64,
}

impl Analysis {
    /// What proves that a metric fails. Every metric that counts has an equal part of the chance of a false rollback. Where it compares
    /// with the source, nine tenths of that part are the comparison's: what is above its limit shows soon enough with the rest.
    pub fn proof(&self, spec: &MetricSpec) -> Proof {
        let counting = self.metrics.iter().filter(|metric| metric.source.counts()).count();
        let part = self.false_rollbacks / counting.max(1) as f64;
        match spec.baseline {
            Some(Baseline::Source) => Proof { above: 10.0 / part, worse: 10.0 / (9.0 * part) },
            None => Proof { above: 1.0 / part, worse: f64::INFINITY },
        }
    }
}

/// How the measured share is compared with the weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShareSpec {
    /// Query that counts all requests of one cluster; without one, the first metric's total, then the planes' counters.
    pub total: Option<String>,
    /// Accepted distance between the measured share and the weight, in basis points.
    pub tolerance: Weight,
    /// Fewest requests, of both sides together, that count as evidence.
    pub min_samples: u64,
}

/// How the origin is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    /// How it goes.
    pub mode: RollbackMode,
    /// How long it may take: what is gradual goes at once from then on, and a person is asked.
    pub deadline: SignedDuration,
}

/// How a rollback goes. A target without a ready pod is always left at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RollbackMode {
    /// At once.
    #[default]
    Instant,
    /// By the policy's earlier weights, spread evenly over the deadline.
    Stepped,
    /// By the policy's earlier weights, as fast as the source has ready pods for its share.
    CapacityGated,
}
