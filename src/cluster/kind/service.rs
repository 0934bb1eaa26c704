//! Service. PURE.
//!
//! A headless Service stays headless: `clusterIP: None` is what the user wrote, every other address is
//! what the cluster gave. A load balancer's address does not come along: two clusters that announce one
//! address would move traffic before the first step does.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Kind, Selection, text_at};
use crate::convert::Finding;
use crate::policy::Keep;

/// The Service kind.
pub struct Service;

/// Why an address is left out.
const ONE_ANNOUNCES: &str = "is left out: only one cluster may announce an address";

/// Fields that the cluster fills in from its own networks.
const GIVEN: &[&str] = &["clusterIPs", "ipFamilies", "ipFamily"];

/// Annotations in which load balancers are asked for an address, as `spec.loadBalancerIP` does.
const ADDRESS_ANNOTATIONS: &[&str] =
    &["metallb.io/loadBalancerIPs", "metallb.universe.tf/loadBalancerIPs", "kube-vip.io/loadbalancerIPs"];

impl Kind for Service {
    fn name(&self) -> &'static str {
        "Service"
    }

    fn versions(&self) -> &'static [&'static str] {
        &["v1"]
    }

    fn acts(&self) -> bool {
        true
    }

    /// A Service without a selector acts on no pod: it is selected by its own labels or not at all.
    fn acts_on(&self, body: &Value, selection: &Selection) -> bool {
        let Some(wanted) = body.pointer("/spec/selector").and_then(Value::as_object) else { return false };
        let namespace = text_at(body, "/metadata/namespace").unwrap_or_default();
        let chosen = |labels: &Map<String, Value>| wanted.iter().all(|(key, value)| labels.get(key) == Some(value));
        !wanted.is_empty() && selection.any_pod(namespace, chosen)
    }

    fn scrub(&self, body: &mut Value, keep: &BTreeSet<Keep>, findings: &mut Vec<Finding>) {
        remove_address_annotations(body, findings);
        let Some(Value::Object(spec)) = body.get_mut("spec") else { return };
        if spec.get("clusterIP").and_then(Value::as_str) != Some("None") {
            spec.remove("clusterIP");
        }
        for key in GIVEN {
            spec.remove(*key);
        }
        if spec.get("ipFamilyPolicy").and_then(Value::as_str) == Some("SingleStack") {
            spec.remove("ipFamilyPolicy");
        }
        if spec.remove("loadBalancerIP").is_some() {
            findings.push(Finding::notice("spec.loadBalancerIP", ONE_ANNOUNCES));
        }
        if !keep.contains(&Keep::NodePort) {
            remove_node_ports(spec);
        }
    }

    fn check(&self, body: &Value, findings: &mut Vec<Finding>) {
        if body.pointer("/spec/topologyKeys").is_some() {
            let message = "was removed from Kubernetes 1.22: remove it, or patch spec.trafficDistribution instead";
            findings.push(Finding::blocks("spec.topologyKeys", message));
        }
    }
}

fn remove_address_annotations(body: &mut Value, findings: &mut Vec<Finding>) {
    let Some(Value::Object(annotations)) = body.pointer_mut("/metadata/annotations") else { return };
    for key in ADDRESS_ANNOTATIONS {
        if annotations.remove(*key).is_some() {
            findings.push(Finding::notice(format!("metadata.annotations[{key}]"), ONE_ANNOUNCES));
        }
    }
}

fn remove_node_ports(spec: &mut Map<String, Value>) {
    spec.remove("healthCheckNodePort");
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(port) = port.as_object_mut() {
            port.remove("nodePort");
        }
    }
}
