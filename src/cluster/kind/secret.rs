//! Secret. PURE.

use serde_json::Value;

use super::{ClusterMade, Kind, text_at};
use crate::convert::Finding;

/// The Secret kind.
pub struct Secret;

impl Kind for Secret {
    fn name(&self) -> &'static str {
        "Secret"
    }

    fn versions(&self) -> &'static [&'static str] {
        &["v1"]
    }

    /// A service account's token is signed by its own cluster and worthless in any other.
    fn made_by_cluster(&self, body: &Value) -> Option<ClusterMade> {
        let token = text_at(body, "/type")? == "kubernetes.io/service-account-token";
        token.then_some(ClusterMade::OtherName)
    }

    fn check(&self, body: &Value, findings: &mut Vec<Finding>) {
        if body.get("stringData").is_some() {
            let message = "can only be written, never compared: patch data, in base64, instead";
            findings.push(Finding::blocks("stringData", message));
        }
    }
}
