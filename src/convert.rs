//! API-version conversion: an object of an old version becomes the same object in a newer one. PURE.
//!
//! Where both servers serve one version the source's server converts by itself and nothing here runs.
//! Conversions exist for the versions that were removed. They are total: any JSON gives a body and
//! findings. Nothing is dropped in silence: a field that is not understood, or has no place in the new
//! version, is a finding that blocks until somebody waives it by name. A conversion is one line of `table`,
//! and one file where the shape changed.
//!
//! What an object meant because its old version defaulted it so is written down where the new version
//! defaults otherwise. Status is not carried: the target's controllers write their own.

use serde_json::Value;

mod certificate;
mod cron_job;
mod custom_resource;
mod daemon_set;
mod deployment;
mod draft;
mod endpoint_slice;
mod finding;
mod hpa;
mod hpa_metric;
mod ingress;
mod known;
pub mod manifests;
pub mod offline;
mod pdb;
mod pod_security;
mod priority_level;
mod rbac;
mod renew;
mod replica_set;
mod replication_controller;
mod resource_claim;
mod runtime_class;
mod schema;
mod seccomp;
mod stateful_set;
mod table;
mod webhook;
mod workload;

pub use finding::{Finding, Severity, waive};
pub use pod_security::{BASELINE_CAPABILITIES, ENFORCE, Level, Needed, Users, level};
pub use renew::{renew, template_of};
pub use table::{CONVERSIONS, Conversion, GONE, Gone};

use draft::Draft;

/// What came out of a conversion.
#[derive(Clone, PartialEq)]
pub struct Converted {
    /// The object in the new version.
    pub body: Value,
    /// What could not be carried, or means something else now.
    pub findings: Vec<Finding>,
}

/// Whether an object of `kind` can be brought from one version to another; the same version always can.
pub fn can_convert(kind: &str, from: &str, to: &str) -> bool {
    from == to || find(kind, from, to).is_some()
}

/// The object in version `to`, or `None` where there is no such conversion. A body that has the version
/// already comes back as it is.
pub fn convert(kind: &str, from: &str, to: &str, body: Value) -> Option<Converted> {
    if from == to {
        return Some(Converted { body, findings: Vec::new() });
    }
    find(kind, from, to).map(|conversion| conversion.convert(body))
}

/// The conversions of one version of a kind.
pub fn conversion_of(kind: &str, from: &str) -> Option<&'static Conversion> {
    CONVERSIONS.iter().find(|conversion| conversion.kind == kind && conversion.from == from)
}

fn find(kind: &str, from: &str, to: &str) -> Option<&'static Conversion> {
    conversion_of(kind, from).filter(|conversion| conversion.to == to)
}

impl Conversion {
    /// The object in the new version.
    pub fn convert(&self, body: Value) -> Converted {
        let mut findings = Vec::new();
        let body = Draft::convert(String::new(), body, &mut findings, |object| {
            for stated_anew in ["apiVersion", "kind", "status"] {
                object.take(stated_anew);
            }
            object.put("apiVersion", self.to);
            object.put("kind", self.becomes);
            object.carry(&["metadata"]);
            self.apply(object);
        });
        Converted { body: Value::Object(body), findings }
    }
}

#[cfg(test)]
mod tests;
