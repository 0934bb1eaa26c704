//! LimitRange and ResourceQuota: rules of a namespace for all its pods. PURE.
//!
//! They come along with the first pod of their namespace: without its LimitRange a pod would start without limits, without its
//! quota a namespace could take what others were promised.

use serde_json::Value;

use super::{Kind, Selection, text_at};

/// A kind of rule, by its name.
pub struct NamespaceRule(pub &'static str);

impl Kind for NamespaceRule {
    fn name(&self) -> &'static str {
        self.0
    }

    fn versions(&self) -> &'static [&'static str] {
        &["v1"]
    }

    fn acts(&self) -> bool {
        true
    }

    fn acts_on(&self, body: &Value, selection: &Selection) -> bool {
        selection.any_pod(text_at(body, "/metadata/namespace").unwrap_or_default(), |_| true)
    }
}
