//! What servers of every version accept and newer ones no longer heed. PURE.
//!
//! An annotation that became a field, and a reference to a version that is gone, are no matter of an object's own version: an
//! `apps/v1` Deployment can hold both. AppArmor's annotations stay, because 1.37 still turns them into fields itself.

use serde_json::Value;

use super::finding::Finding;
use super::{conversion_of, seccomp};

/// Where a workload's pod template is: a JSON pointer. Pods are their own template.
pub fn template_of(kind: &str) -> Option<&'static str> {
    match kind {
        "Pod" => Some(""),
        "PodTemplate" => Some("/template"),
        "CronJob" => Some("/spec/jobTemplate/spec/template"),
        "DaemonSet" | "Deployment" | "Job" | "ReplicaSet" | "ReplicationController" | "StatefulSet" => {
            Some("/spec/template")
        }
        _ => None,
    }
}

/// Renews one object of a kind of Kubernetes itself; renewing it again changes nothing.
pub fn renew(kind: &str, body: &mut Value, findings: &mut Vec<Finding>) {
    if let Some(pointer) = template_of(kind)
        && let Some(template) = body.pointer_mut(pointer)
    {
        seccomp::modernize(template, pointer.trim_start_matches('/').replace('/', ".").as_str(), findings);
    }
    if kind == "HorizontalPodAutoscaler" {
        follow_workload(body, findings);
    }
}

/// An autoscaler finds its workload by kind, group and version, so all of them have to exist.
fn follow_workload(body: &mut Value, findings: &mut Vec<Finding>) {
    let Some(Value::Object(workload)) = body.pointer_mut("/spec/scaleTargetRef") else { return };
    let text = |key: &str| workload.get(key).and_then(Value::as_str);
    let conversion = text("kind").zip(text("apiVersion")).and_then(|(kind, version)| conversion_of(kind, version));
    if let Some(conversion) = conversion {
        let super::Conversion { kind, from, to, becomes, .. } = conversion;
        let message = format!("{kind} of {from} becomes {becomes} of {to}; the reference follows");
        findings.push(Finding::notice("spec.scaleTargetRef", message));
        workload.insert("apiVersion".to_owned(), (*to).into());
        workload.insert("kind".to_owned(), (*becomes).into());
    }
}
