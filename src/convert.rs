//! API-version conversion: an object of an old version becomes the same object in a newer one. PURE.
//!
//! Where both servers serve one version the source's server converts by itself and nothing here runs.
//! Converters exist for the versions that were removed. They are total: any JSON gives a body and
//! findings. Nothing is dropped in silence: a field that is not understood, or has no place in the new
//! version, is a finding that blocks. A converter is one file and one line in `CONVERTERS`.

use serde_json::Value;

mod fields;
mod finding;
mod hpa;
mod hpa_metric;
mod ingress;
mod pdb;

pub use finding::{Finding, Severity};

/// What came out of a conversion.
#[derive(Clone, PartialEq)]
pub struct Converted {
    /// The object in the new version.
    pub body: Value,
    /// What could not be carried, or means something else now.
    pub findings: Vec<Finding>,
}

/// Turns one version of a kind into another.
struct Converter {
    kind: &'static str,
    from: &'static str,
    to: &'static str,
    convert: fn(Value) -> Converted,
}

/// Every conversion there is.
const CONVERTERS: &[Converter] = &[
    Converter { kind: "Ingress", from: "networking.k8s.io/v1beta1", to: ingress::V1, convert: ingress::from_v1beta1 },
    Converter { kind: "Ingress", from: "extensions/v1beta1", to: ingress::V1, convert: ingress::from_v1beta1 },
    Converter { kind: "PodDisruptionBudget", from: "policy/v1beta1", to: pdb::V1, convert: pdb::from_v1beta1 },
    Converter { kind: "HorizontalPodAutoscaler", from: "autoscaling/v2beta2", to: hpa::V2, convert: hpa::from_v2beta2 },
    Converter { kind: "HorizontalPodAutoscaler", from: "autoscaling/v2beta1", to: hpa::V2, convert: hpa::from_v2beta1 },
    Converter { kind: "HorizontalPodAutoscaler", from: "autoscaling/v1", to: hpa::V2, convert: hpa::from_v1 },
];

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
    find(kind, from, to).map(|converter| (converter.convert)(body))
}

fn find(kind: &str, from: &str, to: &str) -> Option<&'static Converter> {
    CONVERTERS.iter().find(|converter| converter.kind == kind && converter.from == from && converter.to == to)
}

#[cfg(test)]
mod tests;
