//! Role and RoleBinding. PURE.
//!
//! A binding comes along with an account of its namespace that it binds, and brings its Role. A ClusterRole stays where it is.

use serde_json::Value;

use super::super::object::ObjectRef;
use super::{Kind, Reference, Selection, entries, text_at};

/// The Role kind.
pub struct Role;

/// The RoleBinding kind.
pub struct RoleBinding;

const VERSIONS: &[&str] =
    &["rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io/v1beta1", "rbac.authorization.k8s.io/v1alpha1"];

impl Kind for Role {
    fn name(&self) -> &'static str {
        "Role"
    }

    fn versions(&self) -> &'static [&'static str] {
        VERSIONS
    }
}

impl Kind for RoleBinding {
    fn name(&self) -> &'static str {
        "RoleBinding"
    }

    fn versions(&self) -> &'static [&'static str] {
        VERSIONS
    }

    fn acts(&self) -> bool {
        true
    }

    fn acts_on(&self, body: &Value, selection: &Selection) -> bool {
        let namespace = text_at(body, "/metadata/namespace").unwrap_or_default();
        entries(body, "/subjects").any(|(_, subject)| {
            let own = text_at(subject, "/namespace").is_none_or(|named| named == namespace);
            let account = text_at(subject, "/kind") == Some("ServiceAccount") && own;
            let name = text_at(subject, "/name").unwrap_or_default();
            account && selection.contains(&ObjectRef::new("ServiceAccount", namespace, name))
        })
    }

    fn refers_to(&self, body: &Value) -> Vec<Reference> {
        let kind = match text_at(body, "/roleRef/kind") {
            Some("Role") => "Role",
            Some("ClusterRole") => "ClusterRole",
            _ => return Vec::new(),
        };
        let reference = |name: &str| Reference {
            kind,
            name: name.to_owned(),
            field: "roleRef.name".to_owned(),
            optional: false,
            brings: true,
        };
        text_at(body, "/roleRef/name").map(reference).into_iter().collect()
    }
}
