//! How Crossfade names one object of a cluster. PURE.
//!
//! The identity has no version on purpose: the same Ingress is `extensions/v1beta1` on the source and
//! `networking.k8s.io/v1` on the target.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One object: kind, namespace and name. The group is left out because a kind keeps its identity when
/// it moves between groups, as Ingress and Deployment did.
///
/// Written as a person would: `Deployment shop/web`, or `Namespace shop` for what has no namespace. A reference is also a key
/// of maps that go to JSON.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectRef {
    /// Kind, such as `Deployment`.
    pub kind: String,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ObjectRef {
    /// The reference to `kind namespace/name`.
    pub fn new(kind: impl Into<String>, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind: kind.into(), namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} {}", self.kind, self.name)
        } else {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// Text that names no object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not of the form `Kind namespace/name`")]
pub struct NotAnObject(String);

impl FromStr for ObjectRef {
    type Err = NotAnObject;

    fn from_str(text: &str) -> Result<Self, NotAnObject> {
        let (kind, path) = text.split_once(' ').ok_or_else(|| NotAnObject(text.to_owned()))?;
        let (namespace, name) = path.split_once('/').unwrap_or(("", path));
        Ok(Self::new(kind, namespace, name))
    }
}

impl TryFrom<String> for ObjectRef {
    type Error = NotAnObject;

    fn try_from(text: String) -> Result<Self, NotAnObject> {
        text.parse()
    }
}

impl From<ObjectRef> for String {
    fn from(object: ObjectRef) -> Self {
        object.to_string()
    }
}
