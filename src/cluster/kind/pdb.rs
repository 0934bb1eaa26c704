//! PodDisruptionBudget. PURE.

use serde_json::Value;

use super::{Kind, Selection, labels_match, text_at};

/// The PodDisruptionBudget kind.
pub struct PodDisruptionBudget;

impl Kind for PodDisruptionBudget {
    fn name(&self) -> &'static str {
        "PodDisruptionBudget"
    }

    fn versions(&self) -> &'static [&'static str] {
        &["policy/v1", "policy/v1beta1"]
    }

    fn acts(&self) -> bool {
        true
    }

    /// An empty selector selects every pod in `policy/v1` and none in `policy/v1beta1`.
    fn acts_on(&self, body: &Value, selection: &Selection) -> bool {
        let Some(selector) = body.pointer("/spec/selector").filter(|selector| selector.is_object()) else {
            return false;
        };
        let empty = selector.as_object().is_some_and(|requirements| requirements.is_empty());
        if empty && text_at(body, "/apiVersion") == Some("policy/v1beta1") {
            return false;
        }
        let namespace = text_at(body, "/metadata/namespace").unwrap_or_default();
        selection.any_pod(namespace, |labels| labels_match(selector, labels))
    }
}
