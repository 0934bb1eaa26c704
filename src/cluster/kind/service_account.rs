//! ServiceAccount. PURE.
//!
//! Only the account: what it is allowed to do comes along with the RoleBindings that name it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{ClusterMade, Kind, Reference, entries, text_at};
use crate::convert::Finding;
use crate::policy::Keep;

/// The ServiceAccount kind.
pub struct ServiceAccount;

/// The annotation that limits pods to the secrets listed in the account.
const ENFORCED: &str = "kubernetes.io/enforce-mountable-secrets";

impl Kind for ServiceAccount {
    fn name(&self) -> &'static str {
        "ServiceAccount"
    }

    fn versions(&self) -> &'static [&'static str] {
        &["v1"]
    }

    fn made_by_cluster(&self, body: &Value) -> Option<ClusterMade> {
        let extended = entries(body, "/imagePullSecrets").next().is_some();
        let made = if extended { ClusterMade::Extended } else { ClusterMade::SameName };
        (text_at(body, "/metadata/name")? == "default").then_some(made)
    }

    fn refers_to(&self, body: &Value) -> Vec<Reference> {
        let pull_secrets = entries(body, "/imagePullSecrets").filter_map(|(at, secret)| {
            let name = text_at(secret, "/name")?.to_owned();
            let field = format!("imagePullSecrets[{at}].name");
            Some(Reference { kind: "Secret", name, field, optional: true, brings: true })
        });
        pull_secrets.collect()
    }

    /// `secrets` lists tokens, which the token controller of each cluster adds by itself.
    fn scrub(&self, body: &mut Value, _: &BTreeSet<Keep>, _: &mut Vec<Finding>) {
        if let Some(account) = body.as_object_mut() {
            account.remove("secrets");
        }
    }

    /// With this annotation `secrets` is no list of tokens but of what pods may mount.
    fn check(&self, body: &Value, findings: &mut Vec<Finding>) {
        let annotations = body.pointer("/metadata/annotations");
        if annotations.and_then(|annotations| annotations.get(ENFORCED)).is_some_and(|value| value == "true") {
            let message =
                "allows only the secrets the account lists, and the list is not mirrored: patch this annotation";
            findings.push(Finding::blocks(format!("metadata.annotations[{ENFORCED}]"), message));
        }
    }
}
