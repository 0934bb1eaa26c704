//! An estate as checks look at it: workloads, what acts on them, and what a mirror would say. PURE.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::estate::{Estate, SYSTEM_NAMESPACES, Scope, Side};
use crate::cluster::{
    self, Inventory, Manifest, MirrorProblem, ObjectRef, close, entries, kind, labels_match, mirror, text_at,
};
use crate::policy::{Name, Workloads};

/// Where a kind keeps its pod template: kind, pointer, path in words.
const TEMPLATES: &[(&str, &str, &str)] = &[
    ("CronJob", "/spec/jobTemplate/spec/template", "spec.jobTemplate.spec.template"),
    ("DaemonSet", "/spec/template", "spec.template"),
    ("Deployment", "/spec/template", "spec.template"),
    ("Job", "/spec/template", "spec.template"),
    ("Pod", "", ""),
    ("ReplicationController", "/spec/template", "spec.template"),
    ("StatefulSet", "/spec/template", "spec.template"),
];

/// Something that runs pods and that a person made.
#[derive(Debug)]
pub struct Workload<'a> {
    /// Which.
    pub object: &'a ObjectRef,
    /// The whole object.
    pub manifest: &'a Manifest,
    /// Its pods' template.
    pub template: &'a Value,
    /// Path of the template; empty for a pod.
    pub path: &'static str,
    /// Pods asked for.
    pub replicas: u32,
}

/// A container of a workload.
#[derive(Debug, Clone)]
pub struct Container<'a> {
    /// The container.
    pub value: &'a Value,
    /// Its path.
    pub path: String,
    /// Whether it runs before the others.
    pub init: bool,
}

impl<'a> Workload<'a> {
    fn of(manifest: &'a Manifest) -> Option<Self> {
        let object = manifest.object();
        let (_, pointer, path) = TEMPLATES.iter().find(|(kind, ..)| *kind == object.kind)?;
        if manifest.controller().is_some() || manifest.is_deleting() {
            return None;
        }
        let template = manifest.value().pointer(pointer).filter(|template| template.get("spec").is_some())?;
        let spec = |key: &str| manifest.value().pointer(key).and_then(Value::as_u64);
        let replicas = match object.kind.as_str() {
            "Deployment" | "StatefulSet" | "ReplicationController" => spec("/spec/replicas").unwrap_or(1),
            "DaemonSet" => spec("/status/desiredNumberScheduled").unwrap_or(1),
            "Job" => spec("/spec/parallelism").unwrap_or(1),
            _ => 1,
        };
        let replicas = u32::try_from(replicas).unwrap_or(u32::MAX);
        Some(Self { object, manifest, template, path, replicas })
    }

    /// Whether it serves for as long as it lives, so that its pods can be many and take turns.
    pub fn is_serving(&self) -> bool {
        matches!(
            self.object.kind.as_str(),
            "Deployment" | "StatefulSet" | "ReplicationController" | "DaemonSet" | "Pod"
        )
    }

    /// The pods' specification.
    pub fn spec(&self) -> &'a Value {
        &self.template["spec"]
    }

    /// The path of a field of the pods' specification.
    pub fn field(&self, rest: &str) -> String {
        if self.path.is_empty() { format!("spec.{rest}") } else { format!("{}.spec.{rest}", self.path) }
    }

    /// The pods' labels.
    pub fn labels(&self) -> Option<&'a Map<String, Value>> {
        self.template.pointer("/metadata/labels").and_then(Value::as_object)
    }

    /// All containers.
    pub fn containers(&self) -> impl Iterator<Item = Container<'a>> {
        let lists = [("containers", false), ("initContainers", true)];
        let spec = self.spec();
        lists.into_iter().flat_map(move |(list, init)| {
            entries(spec, &format!("/{list}")).map(move |(at, value)| Container {
                value,
                path: format!("{list}[{at}]"),
                init,
            })
        })
    }

    /// Every text in which it may name another service: path and text.
    pub fn texts(&self) -> Vec<(String, &'a str, &'a str)> {
        let mut found = Vec::new();
        for container in self.containers() {
            for (at, entry) in entries(container.value, "/env") {
                if let (Some(name), Some(value)) = (text_at(entry, "/name"), text_at(entry, "/value")) {
                    found.push((self.field(&format!("{}.env[{at}].value", container.path)), name, value));
                }
            }
            for list in ["command", "args"] {
                for (at, word) in entries(container.value, &format!("/{list}")) {
                    let field = self.field(&format!("{}.{list}[{at}]", container.path));
                    found.extend(word.as_str().map(|word| (field, "", word)));
                }
            }
        }
        found
    }
}

/// An estate, prepared.
pub struct Sight<'a> {
    /// The cluster that is left.
    pub source: &'a Side,
    /// The cluster that is moved to.
    pub target: &'a Side,
    /// Objects of the source that are looked at.
    pub chosen: BTreeSet<&'a ObjectRef>,
    /// What runs pods.
    pub workloads: Vec<Workload<'a>>,
    /// Services by the workload whose pods they select.
    pub services: BTreeMap<&'a ObjectRef, Vec<&'a Manifest>>,
    /// What the mirror would say.
    pub problems: Vec<MirrorProblem>,
}

impl<'a> Sight<'a> {
    /// Prepares an estate.
    pub fn new(estate: &'a Estate) -> Self {
        let (source, target) = (&estate.source, &estate.target);
        let (chosen, problems) = selection(estate);
        let objects = chosen.iter().filter_map(|object| source.get(object));
        let workloads: Vec<_> = objects.filter_map(Workload::of).collect();
        let services = services_of(source, &workloads);
        Self { source, target, chosen, workloads, services, problems }
    }

    /// Every chosen object.
    pub fn objects(&self) -> impl Iterator<Item = &'a Manifest> {
        self.chosen.iter().filter_map(|object| self.source.get(object))
    }

    /// The chosen objects of a kind.
    pub fn of(&self, kind: &str) -> impl Iterator<Item = &'a Manifest> {
        self.source.of(kind).filter(|manifest| self.chosen.contains(manifest.object()))
    }

    /// The namespaces with something chosen in them.
    pub fn namespaces(&self) -> BTreeSet<&'a str> {
        self.chosen.iter().map(|object| object.namespace.as_str()).filter(|name| !name.is_empty()).collect()
    }

    /// The services that select a workload's pods.
    pub fn services_of(&self, workload: &ObjectRef) -> &[&'a Manifest] {
        self.services.get(workload).map_or(&[], Vec::as_slice)
    }

    /// The workloads that a selector in JSON selects in a namespace; a null or empty one selects none.
    pub fn selected<'s>(&'s self, namespace: &'s str, selector: &'s Value) -> impl Iterator<Item = &'s Workload<'a>> {
        let empty = selector.as_object().is_none_or(Map::is_empty);
        self.workloads.iter().filter(move |workload| {
            let in_place = !empty && workload.object.namespace == namespace;
            in_place && workload.labels().is_some_and(|labels| labels_match(selector, labels))
        })
    }
}

/// The objects that are looked at, and what a mirror of them would have to say.
fn selection(estate: &Estate) -> (BTreeSet<&ObjectRef>, Vec<MirrorProblem>) {
    let source = &estate.source;
    let workloads = match &estate.scope {
        Scope::Selection(workloads) => (**workloads).clone(),
        Scope::Everything => whole(source),
    };
    let mirrored = source.objects.iter().filter(|(name, _)| kind(name).is_some());
    let found = mirrored.flat_map(|(_, objects)| objects.clone()).collect();
    // Nothing was looked for by name: what is not there does not exist.
    let mut missing = BTreeSet::new();
    let closure = loop {
        let closure = close(&found, &missing, &workloads.selector);
        if closure.wanted.is_empty() {
            break closure;
        }
        missing.extend(closure.wanted);
    };
    let objects = found.into_iter().filter(|(object, _)| closure.selected.contains(object)).collect();
    let inventory = Inventory { objects, left_out: closure.left_out, ..Inventory::default() };
    let plan = mirror(&inventory, &estate.target.served, &workloads);
    let unreadable = |problem: &&MirrorProblem| {
        let secret = problem.object.as_ref().is_some_and(|object| object.kind == "Secret");
        // Values of Secrets are not read here, so a patch of one cannot be tried.
        secret && problem.finding.field.starts_with("workloads.transforms")
    };
    let problems = plan.problems.iter().filter(|problem| !unreadable(problem)).cloned().collect();
    let carries = |manifest: &&Manifest| {
        let label = |key: &str| manifest.labels().and_then(|labels| labels.get(key)?.as_str());
        workloads.selector.match_labels.iter().all(|(key, value)| label(key) == Some(value))
    };
    let everything = matches!(estate.scope, Scope::Everything);
    let namespaced = |manifest: &&Manifest| {
        let namespace = manifest.object().namespace.as_str();
        let inside = workloads.namespaces.iter().any(|name| name.as_str() == namespace);
        inside || (everything && namespace.is_empty() && !is_infrastructure(manifest.object()))
    };
    let all = source.objects.values().flat_map(BTreeMap::values);
    let chosen = all.filter(|manifest| {
        inventory.objects.contains_key(manifest.object()) || (namespaced(manifest) && carries(manifest))
    });
    (chosen.map(Manifest::object).collect(), problems)
}

/// Kinds of a cluster's own furniture, which is compared rather than moved.
fn is_infrastructure(object: &ObjectRef) -> bool {
    const FURNITURE: &[&str] = &["Node", "Namespace", "APIService", "CertificateSigningRequest", "CSINode"];
    FURNITURE.contains(&object.kind.as_str()) || object.name.starts_with("system:")
}

/// Every namespace that has something in it.
fn whole(source: &Side) -> Workloads {
    let names = source.objects.values().flat_map(BTreeMap::keys).map(|object| object.namespace.as_str());
    let names: BTreeSet<_> = names.filter(|name| !name.is_empty() && !SYSTEM_NAMESPACES.contains(name)).collect();
    Workloads { namespaces: names.into_iter().filter_map(Name::new).collect(), ..Workloads::default() }
}

fn services_of<'a>(source: &'a Side, workloads: &[Workload<'a>]) -> BTreeMap<&'a ObjectRef, Vec<&'a Manifest>> {
    let mut by_namespace: BTreeMap<&str, Vec<&Workload<'a>>> = BTreeMap::new();
    for workload in workloads {
        by_namespace.entry(workload.object.namespace.as_str()).or_default().push(workload);
    }
    let mut found: BTreeMap<&ObjectRef, Vec<&Manifest>> = BTreeMap::new();
    for service in source.of("Service") {
        let selector = service.value().pointer("/spec/selector").and_then(Value::as_object);
        let Some(wanted) = selector.filter(|wanted| !wanted.is_empty()) else { continue };
        let here = by_namespace.get(service.object().namespace.as_str());
        for workload in here.into_iter().flatten() {
            let matches =
                |labels: &Map<String, Value>| wanted.iter().all(|(key, value)| labels.get(key) == Some(value));
            if workload.labels().is_some_and(matches) {
                found.entry(workload.object).or_default().push(service);
            }
        }
    }
    found
}

/// What an object refers to by name.
pub fn references(manifest: &Manifest) -> Vec<ObjectRef> {
    let object = manifest.object();
    let mut found = kind(&object.kind).map(|kind| kind.refers_to(manifest.value())).unwrap_or_default();
    if found.is_empty() {
        found = cluster::pod_template::references_of(&object.kind, manifest.value());
    }
    found.into_iter().map(|reference| ObjectRef::new(reference.kind, &object.namespace, reference.name)).collect()
}
