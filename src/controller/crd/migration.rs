//! The schema of a Migration. No IO.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::status::MigrationStatus;
use super::{Empty, Scalar};

/// What moves together, over which planes, under which policy.
#[derive(CustomResource, KubeSchema, Debug, Clone, Serialize, Deserialize)]
#[kube(group = "crossfade.dev", version = "v1alpha1", kind = "Migration", namespaced, status = "MigrationStatus")]
#[kube(printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"))]
#[kube(printcolumn(name = "Weight", type_ = "string", json_path = ".status.weight"))]
#[kube(printcolumn(name = "Waiting", type_ = "string", json_path = ".status.waiting"))]
#[kube(printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1))]
#[kube(printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"))]
#[x_kube(validation = ("!(has(self.source.context) && has(self.target.context) && self.source.context == self.target.context) && !(has(self.source.cluster) && has(self.target.cluster) && self.source.cluster == self.target.cluster)", "a migration goes from one cluster to another"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationSpec {
    /// The cluster traffic comes from.
    pub source: ClusterRef,
    /// The cluster traffic goes to.
    pub target: ClusterRef,
    /// What is mirrored.
    pub workloads: Workloads,
    /// What splits the traffic.
    #[schemars(length(min = 1))]
    pub planes: Vec<Plane>,
    /// How carefully traffic moves.
    pub policy: PolicyRef,
    /// What commit does to the source's workloads; `retain` unless given.
    pub on_commit: Option<OnCommit>,
    /// What an abort does to what was brought to the target; `retain` unless given.
    pub on_abort: Option<OnAbort>,
    /// Whether the target may be of an older version than the source.
    pub allow_older_target: Option<bool>,
}

/// A cluster, by one of two names.
#[derive(KubeSchema, Debug, Clone, Serialize, Deserialize)]
#[x_kube(validation = ("has(self.context) != has(self.cluster)", "needs exactly one of context, cluster"))]
pub struct ClusterRef {
    /// A context of the controller's own kubeconfig.
    pub context: Option<String>,
    /// A Cluster of this namespace.
    pub cluster: Option<String>,
}

/// Which objects of the source belong to the migration, and how they change on the way.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Workloads {
    /// Namespaces searched. Secrets are read nowhere else.
    #[schemars(length(min = 1))]
    pub namespaces: Vec<String>,
    /// Labels an object must carry; without it everything is selected. What such objects refer to comes along.
    pub selector: Option<Selector>,
    /// Cluster-given fields that are kept instead of scrubbed.
    pub keep: Option<Vec<Keep>>,
    /// Patches applied after conversion, in order.
    pub transforms: Option<Vec<Transform>>,
    /// Findings about objects that would block and that somebody decided to live with, by name.
    pub waive: Option<Vec<String>>,
    /// What images begin with here and on the target. Only plans follow the three maps.
    pub image_map: Option<BTreeMap<String, String>>,
    /// Namespaces here and on the target.
    pub namespace_map: Option<BTreeMap<String, String>>,
    /// Objects that are called otherwise on the target.
    pub name_map: Option<Vec<NameMap>>,
}

/// One object that is called otherwise on the target.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct NameMap {
    /// Its kind.
    pub kind: String,
    /// Its name here.
    pub from: String,
    /// Its name there.
    pub to: String,
}

/// A label selector.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    /// Labels that must have exactly these values.
    pub match_labels: BTreeMap<String, String>,
}

/// A field that is kept.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Keep {
    /// `nodePort` and `healthCheckNodePort` of Services.
    NodePort,
}

/// Operations on the objects that match.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Transform {
    /// Which objects.
    pub r#match: Match,
    /// RFC 6902 operations, in order.
    #[schemars(length(min = 1))]
    pub json_patch: Vec<Scalar>,
}

/// Which objects a transform is for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Match {
    /// Their kind.
    pub kind: String,
    /// The name of one.
    pub name: Option<String>,
}

/// One plane, driven in one way.
#[derive(KubeSchema, Debug, Clone, Serialize, Deserialize)]
#[x_kube(validation = ("(has(self.balancer) ? 1 : 0) + (has(self.haproxy) ? 1 : 0) + (has(self.nginx) ? 1 : 0) + (has(self.envoy) ? 1 : 0) + (has(self.dns) ? 1 : 0) + (has(self.exec) ? 1 : 0) + (has(self.webhook) ? 1 : 0) + (has(self.embedded) ? 1 : 0) == 1", "needs exactly one of balancer, haproxy, nginx, envoy, dns, exec, webhook, embedded"))]
pub struct Plane {
    /// Name, unique in the migration.
    pub name: String,
    /// A `crossfade balancer`: for `crossfade run`.
    pub balancer: Option<Balancer>,
    /// A backend of a running HAProxy.
    pub haproxy: Option<Haproxy>,
    /// An upstream of an nginx of the machine: for `crossfade run`.
    pub nginx: Option<Nginx>,
    /// Two clusters of an Envoy of the machine: for `crossfade run`.
    pub envoy: Option<Envoy>,
    /// The address records of a name: for `crossfade run`.
    pub dns: Option<Dns>,
    /// A program: for `crossfade run`.
    pub exec: Option<Exec>,
    /// An HTTP server that drives a plane.
    pub webhook: Option<Webhook>,
    /// The balancer of the process itself: for the demo.
    pub embedded: Option<Empty>,
}

/// Where a balancer is driven.
#[derive(KubeSchema, Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.socket) ? !has(self.url) && !has(self.tokenFile) : has(self.url) && has(self.tokenFile)", "needs either socket, or url and tokenFile"))]
pub struct Balancer {
    /// Its Unix socket.
    pub socket: Option<String>,
    /// URL of its administration, without a path.
    pub url: Option<String>,
    /// The file that has the token of it.
    pub token_file: Option<String>,
}

/// A backend of a running HAProxy.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Haproxy {
    /// Where its Runtime API listens: `unix:/path` or `tcp:host:port`.
    pub address: String,
    /// Name of the backend.
    pub backend: String,
    /// Its servers that lead to the source.
    #[schemars(length(min = 1))]
    pub source: Vec<String>,
    /// Its servers that lead to the target.
    #[schemars(length(min = 1))]
    pub target: Vec<String>,
}

/// An upstream of an nginx.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Nginx {
    /// The configuration that is tested and reloaded; `/etc/nginx/nginx.conf` unless given.
    pub config: Option<String>,
    /// The file of it with the upstream.
    pub file: String,
    /// URL of the location that says which weights are in force.
    pub status: String,
    /// Name of the upstream.
    pub upstream: String,
    /// Its servers that lead to the source.
    #[schemars(length(min = 1))]
    pub source: Vec<String>,
    /// Its servers that lead to the target.
    #[schemars(length(min = 1))]
    pub target: Vec<String>,
}

/// Two clusters of an Envoy.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Envoy {
    /// The file that Envoy discovers the route configuration from, JSON or YAML.
    pub file: String,
    /// URL of its administration.
    pub admin: String,
    /// The cluster that leads to the source.
    pub source: String,
    /// The cluster that leads to the target.
    pub target: String,
}

/// The address records of a name.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dns {
    /// The zone.
    pub zone: String,
    /// The whole name, within the zone.
    pub name: String,
    /// Addresses that lead to the source.
    #[schemars(length(min = 1))]
    pub source: Vec<String>,
    /// Addresses that lead to the target.
    #[schemars(length(min = 1))]
    pub target: Vec<String>,
    /// Every server with authority over the zone, as `address` or `address:port`.
    #[schemars(length(min = 1))]
    pub servers: Vec<String>,
    /// Longest time that clients may remember an answer; `30s` unless given.
    pub max_ttl: Option<String>,
    /// Who takes updates by RFC 2136.
    pub update: Option<DnsUpdate>,
    /// A PowerDNS that draws an address for each answer.
    pub powerdns: Option<Powerdns>,
}

/// The API of a PowerDNS.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Powerdns {
    /// Its URL, before `/api/v1`.
    pub url: String,
    /// The file with the key of the API.
    pub key: String,
}

/// Who takes updates by RFC 2136.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DnsUpdate {
    /// The zone's primary server; the first of `servers` unless given.
    pub server: Option<String>,
    /// The file with the key of TSIG, as `tsig-keygen` writes it.
    pub key: String,
}

/// A program that drives a plane by the contract.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Exec {
    /// The program and its arguments.
    #[schemars(length(min = 1))]
    pub command: Vec<String>,
}

/// An HTTP server that drives a plane by the contract.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Webhook {
    /// Where it takes requests.
    pub url: String,
}

/// A ShiftPolicy of this namespace.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PolicyRef {
    /// Its name.
    pub name: String,
}

/// What commit does to the source's workloads.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnCommit {
    /// They stay as they are, idle.
    Retain,
    /// They are drained and scaled to zero.
    ScaleToZero,
}

/// What an abort does to what was brought to the target.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnAbort {
    /// It stays for the next attempt.
    Retain,
    /// It is deleted, once every plane is back at its origin.
    Delete,
}
