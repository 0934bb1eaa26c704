//! The kinds that are mirrored: one file and one line in `KINDS` each. PURE.
//!
//! The order of the table is the order of writing: what is referred to comes before what refers to it, so
//! that no pod starts before its configuration. Namespaces come before all of them; they are no line here
//! because they are never read from the source, only made where they are missing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::manifest::Manifest;
use super::object::ObjectRef;
use super::served::{Resource, Served};
use crate::convert::{Finding, can_convert, template_of};
use crate::policy::Keep;

mod config_map;
mod cron_job;
mod daemon_set;
mod deployment;
mod hpa;
mod ingress;
mod namespace_rule;
mod network_policy;
mod pdb;
pub mod pod_template;
mod rbac;
mod replication_controller;
mod secret;
mod selection;
mod service;
mod service_account;
mod stateful_set;

pub use hpa::scaled_workload;
pub use selection::{Selection, labels_match};

/// Every mirrored kind, in the order of writing.
pub const KINDS: &[&dyn Kind] = &[
    &config_map::ConfigMap,
    &secret::Secret,
    &service_account::ServiceAccount,
    &rbac::Role,
    &rbac::RoleBinding,
    &namespace_rule::NamespaceRule("LimitRange"),
    &namespace_rule::NamespaceRule("ResourceQuota"),
    &network_policy::NetworkPolicy,
    &service::Service,
    &deployment::Deployment,
    &replication_controller::ReplicationController,
    &stateful_set::StatefulSet,
    &daemon_set::DaemonSet,
    &cron_job::CronJob,
    &pdb::PodDisruptionBudget,
    &hpa::HorizontalPodAutoscaler,
    &ingress::Ingress,
];

/// Kinds that people put the same labels on and that are not mirrored, with the versions they are read in.
/// They are only looked for, so that nobody believes they moved along.
pub const UNMIRRORED: &[(&str, &[&str])] =
    &[("Job", &["batch/v1"]), ("PersistentVolumeClaim", &["v1"]), ("Pod", &["v1"]), ("ReplicaSet", &["apps/v1"])];

/// What is special about one kind.
pub trait Kind: Sync {
    /// The kind, such as `Deployment`.
    fn name(&self) -> &'static str;

    /// The versions that can be read, the one that says most first.
    fn versions(&self) -> &'static [&'static str];

    /// The kind it becomes on the way, where that is another one.
    fn becomes(&self) -> Option<&'static dyn Kind> {
        None
    }

    /// Whether its pods take traffic in a number of their own, so that the gates count them.
    fn is_sized(&self) -> bool {
        false
    }

    /// Whether objects of this kind come along because they act on others, so that all of them are read.
    fn acts(&self) -> bool {
        false
    }

    /// Whether this object acts on something selected.
    fn acts_on(&self, _body: &Value, _selection: &Selection) -> bool {
        false
    }

    /// What this object refers to by name in its own namespace; of a workload, what its pods need.
    fn refers_to(&self, body: &Value) -> Vec<Reference> {
        pod_template::references_of(self.name(), body)
    }

    /// The pod template of a workload.
    fn pod_template<'a>(&self, body: &'a Value) -> Option<&'a Value> {
        body.pointer(template_of(self.name())?)
    }

    /// Why every cluster makes this object for itself, where it does.
    fn made_by_cluster(&self, _body: &Value) -> Option<ClusterMade> {
        None
    }

    /// Removes what the source's cluster chose and the target's has to choose for itself, and renews what only
    /// old servers understand.
    fn scrub(&self, _body: &mut Value, _keep: &BTreeSet<Keep>, _findings: &mut Vec<Finding>) {}

    /// What the target would refuse or never finish, looked at after every change was made.
    fn check(&self, _body: &Value, _findings: &mut Vec<Finding>) {}
}

/// An object that every cluster makes for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterMade {
    /// The target has one of the same name.
    SameName,
    /// The target has one of the same name, without what was added to this one.
    Extended,
    /// The target makes one of another name, so a reference to this one would lead nowhere.
    OtherName,
}

/// One object referring to another by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Kind referred to.
    pub kind: &'static str,
    /// Name referred to.
    pub name: String,
    /// Path of the field that refers.
    pub field: String,
    /// Whether the object works without it.
    pub optional: bool,
    /// Whether what is referred to comes along with this object.
    pub brings: bool,
}

/// The table's entry of a kind.
pub fn kind(name: &str) -> Option<&'static dyn Kind> {
    KINDS.iter().copied().find(|kind| kind.name() == name)
}

/// The resource to read a kind from: the best version that the target serves too, or that can be converted
/// into one it serves, and otherwise the best there is, so that what cannot be mirrored is at least seen.
pub fn read_as<'a>(kind: &dyn Kind, source: &'a Served, target: &Served) -> Option<&'a Resource> {
    let readable = || kind.versions().iter().filter_map(|version| source.resource(version, kind.name()));
    let best = written_versions(kind, target).find_map(|written| {
        let same = readable().find(|resource| resource.api_version == written);
        same.or_else(|| readable().find(|resource| can_convert(kind.name(), &resource.api_version, written)))
    });
    best.or_else(|| readable().next())
}

/// Every resource of the source that is looked through for a mirror.
pub fn mirrored_from<'a>(source: &'a Served, target: &Served) -> Vec<&'a Resource> {
    KINDS.iter().filter_map(|kind| read_as(*kind, source, target)).collect()
}

/// The kind an object of `kind` is written as.
pub fn written_kind(kind: &'static dyn Kind) -> &'static dyn Kind {
    kind.becomes().unwrap_or(kind)
}

/// The version in which an object of version `from` is written to the target.
pub fn written_as(kind: &dyn Kind, from: &str, target: &Served) -> Option<&'static str> {
    written_versions(kind, target).find(|written| can_convert(kind.name(), from, written))
}

fn written_versions(kind: &dyn Kind, target: &Served) -> impl Iterator<Item = &'static str> {
    let becomes = kind.becomes();
    let name = becomes.map_or(kind.name(), Kind::name);
    let versions = becomes.map_or(kind.versions(), Kind::versions);
    versions.iter().copied().filter(move |version| target.resource(version, name).is_some())
}

/// Objects by what they are called.
pub type Objects = BTreeMap<ObjectRef, Manifest>;

/// The text at `pointer`, where it is not empty.
pub fn text_at<'a>(body: &'a Value, pointer: &str) -> Option<&'a str> {
    body.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The entries of the list at `pointer`; none where there is no list.
pub fn entries<'a>(body: &'a Value, pointer: &str) -> impl Iterator<Item = (usize, &'a Value)> + use<'a> {
    body.pointer(pointer).and_then(Value::as_array).into_iter().flatten().enumerate()
}

#[cfg(test)]
mod tests;
