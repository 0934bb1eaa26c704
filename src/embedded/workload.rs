//! The objects the controller writes: pods of a Deployment, and what their statuses say. PURE.

use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::rollout::Wanted;

/// Label that tells pods of different templates apart.
pub(super) const HASH_LABEL: &str = "pod-template-hash";

/// Annotation with the address a pod listens on. Pods of one process share an IP address, so that a port
/// of the pod's specification could not lead to it.
pub(super) const ADDRESS_ANNOTATION: &str = "embedded.crossfade.dev/address";

/// The hash of a Deployment's pod template.
pub(super) fn template_hash(deployment: &Value) -> String {
    let digest = Sha256::digest(deployment["spec"]["template"].to_string());
    digest.iter().take(5).fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A pod of the Deployment's current template.
pub(super) fn pod_of(deployment: &Value) -> Value {
    let (metadata, template) = (&deployment["metadata"], &deployment["spec"]["template"]);
    let hash = template_hash(deployment);
    let name = metadata["name"].as_str().unwrap_or_default();
    let mut labels = template["metadata"]["labels"].clone();
    labels[HASH_LABEL] = hash.as_str().into();
    let owner = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": name,
        "uid": metadata["uid"],
        "controller": true,
        "blockOwnerDeletion": true,
    });
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": format!("{name}-{hash}-"), "labels": labels, "ownerReferences": [owner]},
        "spec": template["spec"],
    });
    if template["metadata"]["annotations"].is_object() {
        pod["metadata"]["annotations"] = template["metadata"]["annotations"].clone();
    }
    pod
}

/// The uid of the Deployment a pod belongs to, and its name.
pub(super) fn owner(pod: &Value) -> Option<(&str, &str)> {
    let owners = pod["metadata"]["ownerReferences"].as_array()?;
    let owner = owners.iter().find(|owner| owner["controller"] == true)?;
    Some((owner["uid"].as_str()?, owner["name"].as_str()?))
}

/// The status of a pod with this IP address, or none yet.
pub(super) fn pod_status(pod: &Value, ip: Option<&str>, ready: bool, now: &str) -> Value {
    let before = &pod["status"];
    let mut status = json!({
        "phase": if ip.is_some() { "Running" } else { "Pending" },
        "conditions": [
            condition(before, "Ready", ready, None, now),
            condition(before, "ContainersReady", ready, None, now),
        ],
    });
    if let Some(ip) = ip {
        status["hostIP"] = ip.into();
        status["podIP"] = ip.into();
        status["podIPs"] = json!([{"ip": ip}]);
        let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
        status["containerStatuses"] = containers
            .map(|container| {
                let (name, image) = (&container["name"], &container["image"]);
                json!({"name": name, "image": image, "imageID": "", "ready": ready, "started": true, "restartCount": 0})
            })
            .collect();
    }
    status
}

/// Pods of a Deployment that are not on their way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Census {
    pub(super) all: usize,
    pub(super) current: usize,
    pub(super) ready: usize,
}

/// The status of a Deployment with these pods; numbers that are zero are left out, as by the real one.
pub(super) fn deployment_status(deployment: &Value, wanted: Wanted, pods: Census, now: &str) -> Value {
    let before = &deployment["status"];
    let enough = pods.ready + wanted.unavailable >= wanted.replicas;
    let complete = pods == Census { all: wanted.replicas, current: wanted.replicas, ready: wanted.replicas };
    let available = if enough { "MinimumReplicasAvailable" } else { "MinimumReplicasUnavailable" };
    let progress = if complete { "NewReplicaSetAvailable" } else { "ReplicaSetUpdated" };
    let mut status = json!({
        "observedGeneration": deployment["metadata"]["generation"],
        "conditions": [
            condition(before, "Available", enough, Some(available), now),
            condition(before, "Progressing", true, Some(progress), now),
        ],
    });
    for (field, count) in [
        ("replicas", pods.all),
        ("updatedReplicas", pods.current),
        ("readyReplicas", pods.ready),
        ("availableReplicas", pods.ready),
        ("unavailableReplicas", wanted.replicas.saturating_sub(pods.ready)),
    ] {
        if count > 0 {
            status[field] = count.into();
        }
    }
    status
}

/// A condition; its transition time is kept for as long as it says the same.
fn condition(before: &Value, kind: &str, holds: bool, reason: Option<&str>, now: &str) -> Value {
    let status = if holds { "True" } else { "False" };
    let known = before["conditions"].as_array().into_iter().flatten();
    let same = known.clone().find(|condition| condition["type"] == kind && condition["status"] == status);
    let since = same.map_or_else(|| now.into(), |condition| condition["lastTransitionTime"].clone());
    let mut condition = json!({"type": kind, "status": status, "lastTransitionTime": since});
    if let Some(reason) = reason {
        condition["reason"] = reason.into();
    }
    condition
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_the_same_until_something_changes() {
        let deployment = json!({"metadata": {"generation": 3}, "spec": {"replicas": 2}});
        let wanted = Wanted { replicas: 2, surge: 1, unavailable: 0 };
        let all = Census { all: 2, current: 2, ready: 2 };
        let first = deployment_status(&deployment, wanted, all, "first");
        assert_eq!(first["availableReplicas"], 2);
        assert_eq!(first["unavailableReplicas"], Value::Null);
        let mut deployment = deployment;
        deployment["status"] = first.clone();
        assert_eq!(deployment_status(&deployment, wanted, all, "later"), first);
        let one = deployment_status(&deployment, wanted, Census { ready: 1, ..all }, "later");
        assert_eq!(one["conditions"][0]["lastTransitionTime"], "later");
        assert_eq!(one["conditions"][0]["status"], "False");
    }

    #[test]
    fn a_pod_knows_its_template_and_its_owner() {
        let deployment = json!({"metadata": {"name": "web", "uid": "u"}, "spec": {"template": {"metadata": {"labels": {"app": "web"}}}}});
        let pod = pod_of(&deployment);
        assert_eq!(owner(&pod), Some(("u", "web")));
        assert_eq!(pod["metadata"]["labels"][HASH_LABEL], template_hash(&deployment));
    }
}
