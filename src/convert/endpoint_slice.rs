//! EndpointSlice of `discovery.k8s.io/v1beta1` and `v1alpha1` → `v1`. PURE.
//!
//! The free map `topology` became `zone` and `nodeName`. Nobody can write the rest of it any more: servers ignore
//! `deprecatedTopology` in silence, so any other key blocks.

use serde_json::Value;

use super::draft::Draft;

const ZONE: &str = "topology.kubernetes.io/zone";
const HOST: &str = "kubernetes.io/hostname";

/// From either old version.
pub fn from_beta(slice: &mut Draft<'_>) {
    slice.carry(&["addressType", "ports"]);
    slice.each("endpoints", |endpoint| {
        endpoint.carry(&["addresses", "conditions", "hostname", "targetRef", "nodeName", "zone", "hints"]);
        let path = endpoint.path_of("topology");
        match endpoint.take("topology") {
            Some(Value::Object(mut topology)) => {
                if let Some(zone) = topology.remove(ZONE) {
                    endpoint.put_default("zone", zone);
                }
                // The same node by its label, which for a proxy of the old version was as good as its name.
                if let Some(host) = topology.remove(HOST) {
                    endpoint.put_default("nodeName", host);
                }
                for key in topology.keys() {
                    let finding = super::Finding::blocks(format!("{path}[{key}]"), "has no place in the new version");
                    endpoint.findings().push(finding);
                }
            }
            Some(_) => endpoint.blocks("topology", "is not an object"),
            None => {}
        }
    });
}
