//! NetworkPolicy. PURE.
//!
//! It comes along with the pods it protects, before they start.

use serde_json::Value;

use super::{Kind, Selection, entries, labels_match, text_at};
use crate::convert::Finding;

/// The NetworkPolicy kind.
pub struct NetworkPolicy;

impl Kind for NetworkPolicy {
    fn name(&self) -> &'static str {
        "NetworkPolicy"
    }

    fn versions(&self) -> &'static [&'static str] {
        &["networking.k8s.io/v1", "extensions/v1beta1"]
    }

    fn acts(&self) -> bool {
        true
    }

    /// An empty selector selects every pod, in all versions.
    fn acts_on(&self, body: &Value, selection: &Selection) -> bool {
        let Some(selector) = body.pointer("/spec/podSelector") else { return false };
        let namespace = text_at(body, "/metadata/namespace").unwrap_or_default();
        selection.any_pod(namespace, |labels| labels_match(selector, labels))
    }

    /// Ranges of addresses mean the networks of the cluster they were written for.
    fn check(&self, body: &Value, findings: &mut Vec<Finding>) {
        for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
            for (at, rule) in entries(body, &format!("/spec/{rules}")) {
                for (peer_at, _) in
                    entries(rule, &format!("/{peers}")).filter(|(_, peer)| peer.get("ipBlock").is_some())
                {
                    let field = format!("spec.{rules}[{at}].{peers}[{peer_at}].ipBlock");
                    findings.push(Finding::notice(
                        field,
                        "names addresses; see whether they are the same seen from the target",
                    ));
                }
            }
        }
    }
}
