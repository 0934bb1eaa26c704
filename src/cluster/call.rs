//! How one request to an API server is named in errors and logs. PURE.

use std::fmt;

use super::object::ObjectRef;
use super::served::{Resource, group_of};

/// One request, in the words Kubernetes uses for permissions: verb, resource, namespace, name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// `get`, `list`, `create` or `patch`.
    pub verb: &'static str,
    /// `deployments.apps`, or `deployments/scale.apps` for a subresource; a path where there is none.
    pub resource: String,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// Name; empty for a list.
    pub name: String,
    /// Kind; empty where there is none.
    pub kind: String,
}

impl Call {
    /// A request about one object.
    pub fn on(verb: &'static str, resource: &Resource, object: &ObjectRef) -> Self {
        Self { name: object.name.clone(), ..Self::on_all(verb, resource, &object.namespace) }
    }

    /// A request about a whole collection.
    pub fn on_all(verb: &'static str, resource: &Resource, namespace: &str) -> Self {
        let namespace = if resource.namespaced { namespace.to_owned() } else { String::new() };
        let qualified = qualified(&resource.plural, &resource.api_version);
        Self { verb, resource: qualified, namespace, name: String::new(), kind: resource.kind.clone() }
    }

    /// A request for something that is no object, such as `/version`.
    pub fn path(path: &str) -> Self {
        let nothing = String::new;
        Self { verb: "get", resource: path.to_owned(), namespace: nothing(), name: nothing(), kind: nothing() }
    }

    /// The object asked about.
    pub fn object(&self) -> ObjectRef {
        ObjectRef::new(&self.kind, &self.namespace, &self.name)
    }

    /// Whether an answer may quote a Secret's values, so that it must not be repeated.
    pub fn is_about_secrets(&self) -> bool {
        self.kind == "Secret"
    }

    /// The same request, about a subresource.
    pub fn subresource(mut self, name: &str) -> Self {
        self.resource = match self.resource.split_once('.') {
            Some((plural, group)) => format!("{plural}/{name}.{group}"),
            None => format!("{}/{name}", self.resource),
        };
        self
    }
}

/// The resource as `kubectl auth can-i` takes it.
fn qualified(plural: &str, api_version: &str) -> String {
    match group_of(api_version) {
        "" => plural.to_owned(),
        group => format!("{plural}.{group}"),
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.name.is_empty() {
            write!(f, " {}", self.name)?;
        }
        if !self.namespace.is_empty() {
            write!(f, " in namespace {}", self.namespace)?;
        }
        Ok(())
    }
}
