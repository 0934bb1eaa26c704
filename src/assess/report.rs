//! The report: findings, versions, workloads with their effort, waves. PURE.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::capacity::{Room, nodes};
use super::check::{CHECKS, order, rules};
use super::estate::{Estate, Side};
use super::graph::{Edge, Graph, graph};
use super::rule::{Effort, Finding, Findings, Rule};
use super::sight::{Sight, references};
use crate::cluster::{ObjectRef, text_at};

/// Everything an assessment says.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Context of the cluster that is left.
    pub source: String,
    /// Context of the cluster that is moved to.
    pub target: String,
    /// Objects that were looked at.
    pub objects: usize,
    /// Workloads by effort.
    pub efforts: BTreeMap<Effort, usize>,
    /// The worst effort of all findings; ready without any.
    pub effort: Effort,
    /// The two clusters side by side.
    pub facts: Vec<Fact>,
    /// What runs pods.
    pub workloads: Vec<WorkloadReport>,
    /// Everything found, by rule and object.
    pub findings: Vec<Finding>,
    /// The rules that found something.
    pub rules: Vec<&'static Rule>,
    /// Who needs whom.
    pub edges: Vec<Edge>,
    /// The order to move in.
    pub waves: Vec<Vec<ObjectRef>>,
}

/// One property of both clusters.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// The property.
    pub what: &'static str,
    /// Of the source.
    pub source: String,
    /// Of the target.
    pub target: String,
}

/// One workload.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadReport {
    /// Which.
    pub object: ObjectRef,
    /// The worst of its findings, and of those on what it needs and what acts on it.
    pub effort: Effort,
    /// In which wave it would move, from 1.
    pub wave: usize,
    /// Pods asked for.
    pub replicas: u32,
    /// What all its pods ask for.
    pub requests: Room,
    /// Ids of the rules that make its effort.
    pub rules: BTreeSet<&'static str>,
}

/// Looks at an estate with every check there is.
pub fn assess(estate: &Estate) -> Report {
    let sight = Sight::new(estate);
    let graph = graph(&sight);
    let mut findings = Findings::default();
    for check in CHECKS {
        (check.look)(&sight, &mut findings);
    }
    order::circles(&sight, &graph, &mut findings);
    let findings = findings.into_sorted();
    let used: BTreeSet<_> = findings.iter().map(|finding| finding.id).collect();
    let workloads = workloads(&sight, &graph, &findings);
    let mut efforts = BTreeMap::from([(Effort::Ready, 0), (Effort::NeedsChange, 0), (Effort::Blocked, 0)]);
    for workload in &workloads {
        *efforts.entry(workload.effort).or_default() += 1;
    }
    Report {
        source: estate.source.name.clone(),
        target: estate.target.name.clone(),
        objects: sight.chosen.len(),
        efforts,
        effort: findings.iter().map(|finding| finding.effort).max().unwrap_or(Effort::Ready),
        facts: facts(&sight),
        workloads,
        rules: rules().into_iter().filter(|rule| used.contains(rule.id)).collect(),
        findings,
        edges: graph.edges,
        waves: graph.waves,
    }
}

fn workloads(sight: &Sight<'_>, graph: &Graph, findings: &[Finding]) -> Vec<WorkloadReport> {
    let mut on: BTreeMap<&ObjectRef, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        if let Some(object) = &finding.object {
            on.entry(object).or_default().push(finding);
        }
    }
    let mut wave_of = BTreeMap::new();
    for (at, wave) in graph.waves.iter().enumerate() {
        wave_of.extend(wave.iter().map(|object| (object, at + 1)));
    }
    let acting = acting(sight);
    let report = |workload: &super::sight::Workload<'_>| {
        let mut around: BTreeSet<ObjectRef> = references(workload.manifest).into_iter().collect();
        around.insert(ObjectRef::new("Namespace", "", &workload.object.namespace));
        around.extend(acting.get(workload.object).into_iter().flatten().map(|object| (*object).clone()));
        around.insert(workload.object.clone());
        let own: Vec<_> = around.iter().filter_map(|object| on.get(object)).flatten().collect();
        let effort = own.iter().map(|finding| finding.effort).max().unwrap_or(Effort::Ready);
        WorkloadReport {
            object: workload.object.clone(),
            effort,
            wave: wave_of.get(workload.object).copied().unwrap_or(1),
            replicas: workload.replicas,
            requests: Room::of_pod(workload.spec()).times(workload.replicas),
            rules: own.iter().filter(|finding| finding.effort == effort).map(|finding| finding.id).collect(),
        }
    };
    sight.workloads.iter().map(report).collect()
}

/// What acts on each workload: its services and their ingresses, its autoscalers and budgets.
fn acting<'a>(sight: &Sight<'a>) -> BTreeMap<&'a ObjectRef, BTreeSet<&'a ObjectRef>> {
    let mut found: BTreeMap<&ObjectRef, BTreeSet<&ObjectRef>> = BTreeMap::new();
    let mut behind: BTreeMap<&ObjectRef, Vec<&ObjectRef>> = BTreeMap::new();
    for (workload, services) in &sight.services {
        for service in services {
            found.entry(workload).or_default().insert(service.object());
            behind.entry(service.object()).or_default().push(workload);
        }
    }
    for ingress in sight.of("Ingress") {
        for service in references(ingress) {
            for workload in behind.get(&service).into_iter().flatten() {
                found.entry(workload).or_default().insert(ingress.object());
            }
        }
    }
    for kind in ["PodDisruptionBudget", "NetworkPolicy"] {
        for manifest in sight.of(kind) {
            let place = if kind == "NetworkPolicy" { "/spec/podSelector" } else { "/spec/selector" };
            let Some(selector) = manifest.value().pointer(place) else { continue };
            for workload in sight.selected(&manifest.object().namespace, selector) {
                found.entry(workload.object).or_default().insert(manifest.object());
            }
        }
    }
    for scaler in sight.of("HorizontalPodAutoscaler") {
        let text = |key: &str| text_at(scaler.value(), &format!("/spec/scaleTargetRef/{key}"));
        let (Some(kind), Some(name)) = (text("kind"), text("name")) else { continue };
        let scaled = ObjectRef::new(kind, &scaler.object().namespace, name);
        if let Some(workload) = sight.workloads.iter().find(|workload| *workload.object == scaled) {
            found.entry(workload.object).or_default().insert(scaler.object());
        }
    }
    found
}

fn facts(sight: &Sight<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut fact = |what: &'static str, of: &dyn Fn(&Side) -> String| {
        facts.push(Fact { what, source: of(sight.source), target: of(sight.target) });
    };
    fact("server", &|side| side.version.to_string());
    fact("nodes", &|side| {
        if side.knows("nodes") { side.of("Node").count().to_string() } else { "not readable".to_owned() }
    });
    fact("kubelets", &|side| node_info(side, "kubeletVersion"));
    fact("container runtimes", &|side| node_info(side, "containerRuntimeVersion"));
    fact("kernels", &|side| node_info(side, "kernelVersion"));
    fact("architectures", &|side| node_info(side, "architecture"));
    fact("free for new pods", &|side| match nodes(side) {
        Some(nodes) => nodes.iter().fold(Room::default(), |free, node| free + node.free).to_string(),
        None => "not readable".to_owned(),
    });
    for (what, kind, plural) in [
        ("storage classes", "StorageClass", "storageclasses"),
        ("ingress classes", "IngressClass", "ingressclasses"),
        ("priority classes", "PriorityClass", "priorityclasses"),
        ("runtime classes", "RuntimeClass", "runtimeclasses"),
        ("pod security policies", "PodSecurityPolicy", "podsecuritypolicies"),
        ("mutating webhooks", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations"),
        ("validating webhooks", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations"),
    ] {
        fact(what, &|side| {
            if !side.knows(plural) {
                return "not readable".to_owned();
            }
            let names = side.of(kind).map(|one| one.object().name.clone()).filter(|name| !name.starts_with("system-"));
            listed(names.collect())
        });
    }
    fact("API groups and versions", &|side| {
        side.served.resources().map(|resource| &resource.api_version).collect::<BTreeSet<_>>().len().to_string()
    });
    fact("admission plugins seen", &|side| listed(side.metrics.admission.clone()));
    facts
}

/// Every different value nodes tell of themselves.
fn node_info(side: &Side, key: &str) -> String {
    if !side.knows("nodes") {
        return "not readable".to_owned();
    }
    let told = side.of("Node").filter_map(|node| text_at(node.value(), &format!("/status/nodeInfo/{key}")));
    listed(told.map(str::to_owned).collect())
}

fn listed(names: BTreeSet<String>) -> String {
    if names.is_empty() { "none".to_owned() } else { names.into_iter().collect::<Vec<_>>().join(", ") }
}
