//! Everything that was read of both clusters. PURE.

use std::collections::BTreeMap;

use serde_json::Value;

use super::metrics::Metrics;
use crate::cluster::{Gap, Manifest, ObjectRef, Served, ServerVersion};
use crate::policy::Workloads;

/// Which part of the source is looked at.
#[derive(Debug, Clone, PartialEq)]
pub enum Scope {
    /// Every namespace but the cluster's own.
    Everything,
    /// Whole namespaces, or what a Migration selects in them.
    Selection(Box<Workloads>),
}

/// Namespaces that belong to the cluster itself: their objects do not move.
pub const SYSTEM_NAMESPACES: &[&str] = &["kube-system", "kube-public", "kube-node-lease"];

/// Both clusters.
#[derive(Debug)]
pub struct Estate {
    /// The cluster that is left.
    pub source: Side,
    /// The cluster that is moved to.
    pub target: Side,
    /// What is looked at.
    pub scope: Scope,
}

/// One cluster.
#[derive(Debug)]
pub struct Side {
    /// The context.
    pub name: String,
    /// What its server says it is.
    pub version: ServerVersion,
    /// What its server serves.
    pub served: Served,
    /// Objects by kind; of Secrets, and of kinds no rule looks into, only the metadata.
    pub objects: BTreeMap<String, BTreeMap<ObjectRef, Manifest>>,
    /// What its server counts about itself.
    pub metrics: Metrics,
    /// OpenAPI documents by group and version; only of the target.
    pub schemas: BTreeMap<String, Value>,
    /// What could not be read.
    pub gaps: Vec<Gap>,
}

impl Side {
    /// A cluster of which nothing was read yet.
    pub fn new(name: &str, version: ServerVersion, served: Served) -> Self {
        Self {
            name: name.to_owned(),
            version,
            served,
            objects: BTreeMap::new(),
            metrics: Metrics::default(),
            schemas: BTreeMap::new(),
            gaps: Vec::new(),
        }
    }

    /// Adds an object that was read.
    pub fn add(&mut self, manifest: Manifest) {
        let object = manifest.object().clone();
        self.objects.entry(object.kind.clone()).or_default().insert(object, manifest);
    }

    /// Every object of a kind, by name.
    pub fn of(&self, kind: &str) -> impl Iterator<Item = &Manifest> {
        self.objects.get(kind).into_iter().flat_map(BTreeMap::values)
    }

    /// One object.
    pub fn get(&self, object: &ObjectRef) -> Option<&Manifest> {
        self.objects.get(&object.kind)?.get(object)
    }

    /// Whether objects of a kind could be looked at: a server that does not serve it has none.
    pub fn knows(&self, plural: &str) -> bool {
        let ends = |gap: &Gap| gap.what.split(' ').nth(1) == Some(plural);
        !self.gaps.iter().any(ends)
    }

    /// The minor version, where it can be made out.
    pub fn minor(&self) -> Option<u32> {
        self.version.number.map(|(_, minor)| minor)
    }
}
