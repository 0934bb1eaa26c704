//! ConfigMap. PURE.

use serde_json::Value;

use super::{ClusterMade, Kind, text_at};

/// The ConfigMap kind.
pub struct ConfigMap;

impl Kind for ConfigMap {
    fn name(&self) -> &'static str {
        "ConfigMap"
    }

    fn versions(&self) -> &'static [&'static str] {
        &["v1"]
    }

    fn made_by_cluster(&self, body: &Value) -> Option<ClusterMade> {
        (text_at(body, "/metadata/name")? == "kube-root-ca.crt").then_some(ClusterMade::SameName)
    }
}
