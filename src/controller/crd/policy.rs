//! The schema of a ShiftPolicy. No IO.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Empty, ReadyStatus, Scalar};

/// How carefully traffic moves. A migration keeps the policy it was started with, whatever becomes of this object.
#[derive(CustomResource, KubeSchema, Debug, Clone, Serialize, Deserialize)]
#[kube(group = "crossfade.dev", version = "v1alpha1", kind = "ShiftPolicy", plural = "shiftpolicies", namespaced)]
#[kube(status = "ReadyStatus")]
#[kube(printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[0].status"))]
#[kube(printcolumn(name = "Soak", type_ = "string", json_path = ".spec.soak"))]
#[kube(printcolumn(name = "Interval", type_ = "string", json_path = ".spec.analysis.interval"))]
#[kube(printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"))]
#[serde(rename_all = "camelCase")]
pub struct ShiftPolicySpec {
    /// The steps, in order; weights rise, and the last one is 100.
    #[schemars(length(min = 1))]
    pub steps: Vec<Step>,
    /// Time at 100 % before commit is accepted.
    pub soak: Option<String>,
    /// How each step is judged.
    pub analysis: Analysis,
    /// How the origin is restored.
    pub rollback: Option<Rollback>,
    /// How long the mirror may take until every workload is ready on the target.
    pub mirror_deadline: Option<String>,
    /// How long a step may be at work before a person is asked.
    pub step_deadline: Option<String>,
    /// When it may advance.
    pub windows: Option<Vec<Window>>,
    /// Planes that are moved one after the other, before all others.
    pub plane_order: Option<Vec<String>>,
}

/// One step.
#[derive(KubeSchema, Debug, Clone, Serialize, Deserialize)]
#[x_kube(validation = ("!(has(self.pause) && has(self.approval)) && !(has(self.pause) && has(self.drill)) && !(has(self.approval) && has(self.drill))", "needs exactly one of setWeight, pause, approval, drill"))]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Bring every plane to this weight, in percent, and judge it there.
    pub set_weight: Option<Scalar>,
    /// Wait.
    pub pause: Option<Pause>,
    /// Wait until a person approves.
    pub approval: Option<Empty>,
    /// Rehearse the rollback.
    pub drill: Option<Empty>,
}

/// A pause.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Pause {
    /// How long; without it until `resume`.
    pub duration: Option<String>,
}

/// How each step is judged.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Analysis {
    /// Time between two looks.
    pub interval: Option<String>,
    /// How far each look reaches back.
    pub window: Option<String>,
    /// Where PromQL queries go.
    pub prometheus: Option<Prometheus>,
    /// What is measured.
    #[schemars(length(min = 1))]
    pub metrics: Vec<Metric>,
    /// How the measured share is compared with the weight.
    pub share: Option<Share>,
    /// Fraction of good migrations that chance may roll back, as `0.1%`.
    pub false_rollbacks: Option<Scalar>,
}

/// A Prometheus-compatible server. Files and variables are the controller's own and refused: name Secrets of this namespace.
#[derive(KubeSchema, Debug, Clone, Serialize, Deserialize)]
#[x_kube(validation = ("!(has(self.bearerToken) && has(self.basicAuth))", "needs at most one of bearerToken, basicAuth"))]
#[serde(rename_all = "camelCase")]
pub struct Prometheus {
    /// Base URL, without a password.
    pub address: String,
    /// Longest wait for an answer.
    pub timeout: Option<String>,
    /// Headers of every request.
    pub headers: Option<Vec<Header>>,
    /// A bearer token.
    pub bearer_token: Option<Place>,
    /// A name and a password.
    pub basic_auth: Option<BasicAuth>,
    /// Certificates.
    pub tls: Option<Tls>,
}

/// A header.
#[derive(KubeSchema, Debug, Clone, Serialize, Deserialize)]
#[x_kube(validation = ("has(self.value) != has(self.valueFrom)", "needs exactly one of value, valueFrom"))]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value, where it is not secret.
    pub value: Option<String>,
    /// Where its value is kept.
    pub value_from: Option<Place>,
}

/// A name and a password.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct BasicAuth {
    /// The name.
    pub username: Scalar,
    /// The password.
    pub password: Place,
}

/// Certificates.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Tls {
    /// PEM of the only authorities that are trusted.
    pub ca: Option<Place>,
    /// PEM of our own certificate.
    pub certificate: Option<Place>,
    /// PEM of its key.
    pub key: Option<Place>,
}

/// Where something secret is kept.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// A file; for `crossfade run` only.
    pub file: Option<String>,
    /// A variable of the environment; for `crossfade run` only.
    pub env: Option<String>,
    /// An entry of a Secret of this namespace.
    pub secret_ref: Option<SecretEntry>,
}

/// An entry of a Secret.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SecretEntry {
    /// The Secret.
    pub name: String,
    /// Its entry.
    pub key: String,
}

/// One measured quantity and its limit.
#[derive(KubeSchema, Debug, Clone, Serialize, Deserialize)]
#[x_kube(validation = ("(has(self.errorRate) ? 1 : 0) + (has(self.slowRate) ? 1 : 0) + (has(self.planeErrors) ? 1 : 0) + (has(self.probe) ? 1 : 0) + (has(self.quantile) ? 1 : 0) + (has(self.value) ? 1 : 0) + (has(self.alerts) ? 1 : 0) == 1", "needs exactly one of errorRate, slowRate, planeErrors, probe, quantile, value, alerts"))]
#[serde(rename_all = "camelCase")]
pub struct Metric {
    /// Name, unique in the policy.
    pub name: String,
    /// Two PromQL queries that count bad and all requests of one cluster.
    pub error_rate: Option<ErrorRate>,
    /// Two PromQL queries that count requests in time and all of one cluster.
    pub slow_rate: Option<SlowRate>,
    /// The plane's own counters.
    pub plane_errors: Option<PlaneErrors>,
    /// Questions of the controller's own to both sides.
    pub probe: Option<Probe>,
    /// A quantile of a histogram, and its range.
    pub quantile: Option<Quantile>,
    /// A number, and its range.
    pub value: Option<NumberInRange>,
    /// Alerts that must not fire.
    pub alerts: Option<Alerts>,
    /// Highest accepted fraction of bad requests, as `1%` or `0.01`, of metrics that count requests.
    pub max: Option<Scalar>,
    /// `source` excuses the target by as much as the source itself shows; `none` does not.
    pub baseline: Option<String>,
    /// The regression against the source that is to be found, as `2x` or `+1pp`.
    pub detect: Option<String>,
    /// Fewest requests in the window that count as evidence.
    pub min_samples: Option<Scalar>,
    /// What no data comes to once its budget is spent: `hold`, `pass` or `fail`.
    pub on_no_data: Option<String>,
    /// How long there may be no data without interruption.
    pub no_data_budget: Option<String>,
    /// How long it may be an error without interruption, until a person is asked.
    pub error_budget: Option<String>,
}

/// A question to both sides; exactly one of three.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Probe {
    /// A URL that is got; any status below 400 is good.
    pub http: Option<String>,
    /// A `host:port` that is connected to.
    pub tcp: Option<String>,
    /// A gRPC server that is asked for its health.
    pub grpc: Option<Grpc>,
    /// Longest wait for an answer.
    pub timeout: Option<String>,
}

/// A gRPC server.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Grpc {
    /// Its URL.
    pub url: String,
    /// The service; all of the server unless given.
    pub service: Option<String>,
}

/// A quantile of a histogram.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Quantile {
    /// Query for the buckets of one cluster, by `le`.
    pub buckets: String,
    /// Which quantile, as `0.99`.
    pub q: Scalar,
    /// The lowest accepted one.
    pub min: Option<Scalar>,
    /// The highest accepted one.
    pub max: Option<Scalar>,
    /// How long it has to be out of range to fail.
    pub r#for: Option<String>,
}

/// A number and its range.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct NumberInRange {
    /// Query for the number of one cluster.
    pub query: String,
    /// The lowest accepted one.
    pub min: Option<Scalar>,
    /// The highest accepted one.
    pub max: Option<Scalar>,
    /// How long it has to be out of range to fail.
    pub r#for: Option<String>,
}

/// Alerts that must not fire.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Alerts {
    /// A selector of their labels.
    pub matching: String,
}

/// Queries of an error rate.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ErrorRate {
    /// Counts bad requests.
    pub errors: String,
    /// Counts all requests.
    pub total: String,
    /// A label of the counters: requests are compared with the source's of the same value.
    pub strata: Option<String>,
}

/// Queries of a rate of slow requests.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SlowRate {
    /// Counts requests answered soon enough.
    pub within: String,
    /// Counts all requests.
    pub total: String,
    /// A label of the counters: requests are compared with the source's of the same value.
    pub strata: Option<String>,
}

/// The counters of a plane.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PlaneErrors {
    /// The plane.
    pub plane: String,
}

/// How the measured share is compared with the weight.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// Query that counts all requests of one cluster.
    pub total: Option<String>,
    /// Accepted distance, as `5%`.
    pub tolerance: Option<Scalar>,
    /// Fewest requests that count as evidence.
    pub min_samples: Option<Scalar>,
}

/// How the origin is restored.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Rollback {
    /// How gradually: `instant` unless given.
    pub mode: Option<RollbackMode>,
    /// How long it may take before a person is asked.
    pub deadline: Option<String>,
}

/// How gradually traffic goes back.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RollbackMode {
    /// Every plane at once.
    Instant,
    /// By the weights it came by.
    Stepped,
    /// As far as the source has pods for.
    CapacityGated,
}

/// When it may advance.
#[derive(KubeSchema, Debug, Clone, Serialize, Deserialize)]
#[x_kube(validation = ("has(self.allow) != has(self.deny)", "needs exactly one of allow, deny"))]
pub struct Window {
    /// Only within this range.
    pub allow: Option<String>,
    /// Never within this range.
    pub deny: Option<String>,
    /// IANA name of the time zone.
    pub timezone: String,
}
