//! Who needs whom, and so in which waves to move. PURE.
//!
//! A workload needs a service that its environment, its arguments or the ConfigMaps it reads name. Who is needed moves first:
//! on the target a caller finds its services beside it, while callers left on the source still find theirs. A cycle moves as
//! one wave, because no order of its members is right.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::sight::{Sight, Workload, references};
use crate::cluster::ObjectRef;

/// One workload, or an Ingress, needing another object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Edge {
    /// Who needs.
    pub from: ObjectRef,
    /// What is needed: a workload, or a Service that no workload here answers.
    pub to: ObjectRef,
    /// The field that says so.
    pub field: String,
}

/// Everything that needs each other.
#[derive(Debug, Default)]
pub struct Graph {
    /// Every need found.
    pub edges: Vec<Edge>,
    /// Workloads in the order of moving; members of one wave can move together.
    pub waves: Vec<Vec<ObjectRef>>,
    /// Workloads that need each other in a circle.
    pub cycles: Vec<Vec<ObjectRef>>,
}

/// Reads the needs of everything in sight.
pub fn graph(sight: &Sight<'_>) -> Graph {
    let answering = answering(sight);
    let mut edges = BTreeSet::new();
    for workload in &sight.workloads {
        for (service, field) in named_services(sight, workload) {
            add(&mut edges, &answering, workload.object, &service, &field);
        }
    }
    for ingress in sight.of("Ingress") {
        for service in references(ingress).into_iter().filter(|reference| reference.kind == "Service") {
            add(&mut edges, &answering, ingress.object(), &service, "spec.rules");
        }
    }
    let edges: Vec<Edge> = edges.into_iter().collect();
    let nodes: Vec<&ObjectRef> = sight.workloads.iter().map(|workload| workload.object).collect();
    let (waves, cycles) = waves(&nodes, &edges);
    Graph { edges, waves, cycles }
}

/// Workloads by the service that leads to them.
fn answering<'a>(sight: &Sight<'a>) -> BTreeMap<&'a ObjectRef, Vec<&'a ObjectRef>> {
    let mut found: BTreeMap<&ObjectRef, Vec<&ObjectRef>> = BTreeMap::new();
    for (workload, services) in &sight.services {
        for service in services {
            found.entry(service.object()).or_default().push(workload);
        }
    }
    found
}

fn add(
    edges: &mut BTreeSet<Edge>,
    answering: &BTreeMap<&ObjectRef, Vec<&ObjectRef>>,
    from: &ObjectRef,
    service: &ObjectRef,
    field: &str,
) {
    let edge = |to: &ObjectRef| Edge { from: from.clone(), to: to.clone(), field: field.to_owned() };
    match answering.get(service) {
        Some(workloads) => edges.extend(workloads.iter().filter(|to| **to != from).map(|to| edge(to))),
        None => {
            edges.insert(edge(service));
        }
    }
}

/// Every service a workload names, and where.
fn named_services(sight: &Sight<'_>, workload: &Workload<'_>) -> Vec<(ObjectRef, String)> {
    let mut found = Vec::new();
    let home = workload.object.namespace.as_str();
    for (field, key, text) in workload.texts() {
        found.extend(services_in(sight, home, key, text).into_iter().map(|service| (service, field.clone())));
    }
    for map in references(workload.manifest).into_iter().filter(|reference| reference.kind == "ConfigMap") {
        let data = sight.source.get(&map).and_then(|map| map.value().get("data")?.as_object());
        for (key, value) in data.into_iter().flatten() {
            let Some(text) = value.as_str() else { continue };
            let field = format!("data.{key} of {map}");
            found.extend(services_in(sight, home, key, text).into_iter().map(|service| (service, field.clone())));
        }
    }
    found
}

/// The services named in a text that is the value of `key`.
///
/// A lone word may be anything, so it counts only where something around it makes it a host: a scheme, a port, a
/// namespace, or a key that asks for one.
fn services_in(sight: &Sight<'_>, home: &str, key: &str, text: &str) -> Vec<ObjectRef> {
    let mut found = Vec::new();
    let is_host_byte = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let mut at = 0;
    for token in text.split(|c: char| !is_host_byte(c)) {
        let (start, end) = (at, at + token.len());
        // What split it off is one character, of whatever length.
        at = end + text[end..].chars().next().map_or(0, char::len_utf8);
        let mut labels = token.trim_end_matches('.').split('.');
        let (Some(name), namespace) = (labels.next().filter(|name| !name.is_empty()), labels.next()) else { continue };
        let before = text[..start].ends_with("//") || text[..start].ends_with('@');
        let after = text[end..].strip_prefix(':').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        let alone = start == 0 && end == text.len() && asks_for_a_host(key);
        let service = |namespace: &str| {
            let service = ObjectRef::new("Service", namespace, name);
            sight.source.get(&service).is_some().then_some(service)
        };
        match namespace {
            Some(namespace) => found.extend(service(namespace)),
            None if before || after || alone => found.extend(service(home)),
            None => {}
        }
    }
    found
}

fn asks_for_a_host(key: &str) -> bool {
    const WORDS: &[&str] = &["HOST", "ADDR", "URL", "URI", "SERVICE", "ENDPOINT", "SERVER", "UPSTREAM", "BACKEND"];
    let key = key.to_ascii_uppercase();
    WORDS.iter().any(|word| key.contains(word))
}

/// Layers in which everything needed lies in an earlier one, or in the same where it is a circle.
fn waves(nodes: &[&ObjectRef], edges: &[Edge]) -> (Vec<Vec<ObjectRef>>, Vec<Vec<ObjectRef>>) {
    let index: BTreeMap<&ObjectRef, usize> = nodes.iter().enumerate().map(|(at, node)| (*node, at)).collect();
    let mut needs = vec![Vec::new(); nodes.len()];
    for edge in edges {
        if let (Some(from), Some(to)) = (index.get(&edge.from), index.get(&edge.to)) {
            needs[*from].push(*to);
        }
    }
    let circles = circles(&needs);
    let mut circle_of = vec![0; nodes.len()];
    for (at, members) in circles.iter().enumerate() {
        members.iter().for_each(|member| circle_of[*member] = at);
    }
    // Circles come with what they need before them.
    let mut level = vec![0; circles.len()];
    for (at, members) in circles.iter().enumerate() {
        let needed = members.iter().flat_map(|member| &needs[*member]).map(|to| circle_of[*to]).filter(|to| *to != at);
        level[at] = needed.map(|to| level[to] + 1).max().unwrap_or(0);
    }
    let mut waves = vec![Vec::new(); level.iter().max().map_or(0, |most| most + 1)];
    for (at, members) in circles.iter().enumerate() {
        waves[level[at]].extend(members.iter().map(|member| nodes[*member].clone()));
    }
    waves.iter_mut().for_each(|wave| wave.sort());
    let named = |members: &Vec<usize>| members.iter().map(|member| nodes[*member].clone()).collect();
    let cycles = circles.iter().filter(|members| members.len() > 1).map(named).collect();
    (waves, cycles)
}

/// Strongly connected parts, each after everything it needs (Tarjan), without recursion: a chain may be long.
fn circles(needs: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let unseen = usize::MAX;
    let (mut number, mut low) = (vec![unseen; needs.len()], vec![0; needs.len()]);
    let (mut open, mut is_open) = (Vec::new(), vec![false; needs.len()]);
    let (mut parts, mut next) = (Vec::new(), 0);
    for root in 0..needs.len() {
        let mut path = if number[root] == unseen { vec![(root, 0)] } else { Vec::new() };
        while let Some((node, taken)) = path.pop() {
            if taken == 0 {
                (number[node], low[node]) = (next, next);
                next += 1;
                open.push(node);
                is_open[node] = true;
            } else {
                low[node] = low[node].min(low[needs[node][taken - 1]]);
            }
            let Some(&to) = needs[node].get(taken) else {
                if low[node] == number[node] {
                    let start = open.iter().rposition(|member| *member == node).unwrap_or(0);
                    let mut part = open.split_off(start);
                    part.iter().for_each(|member| is_open[*member] = false);
                    part.sort_unstable();
                    parts.push(part);
                }
                continue;
            };
            path.push((node, taken + 1));
            if number[to] == unseen {
                path.push((to, 0));
            } else if !is_open[to] {
                // It belongs to a part that is finished and says nothing about this one.
                low[to] = usize::MAX;
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(names: &[&str], needs: &[(&str, &str)]) -> (Vec<Vec<String>>, usize) {
        let object = |name: &str| ObjectRef::new("Deployment", "shop", name);
        let nodes: Vec<_> = names.iter().map(|name| object(name)).collect();
        let edge = |(from, to): &(&str, &str)| Edge { from: object(from), to: object(to), field: String::new() };
        let (waves, cycles) = waves(&nodes.iter().collect::<Vec<_>>(), &needs.iter().map(edge).collect::<Vec<_>>());
        let names = |wave: &Vec<ObjectRef>| wave.iter().map(|object| object.name.clone()).collect();
        (waves.iter().map(names).collect(), cycles.len())
    }

    #[test]
    fn who_is_needed_moves_first_and_a_circle_moves_at_once() {
        let needs = [("web", "api"), ("api", "db"), ("api", "auth"), ("auth", "api"), ("cron", "db"), ("web", "away")];
        let (waves, cycles) = layers(&["api", "auth", "cron", "db", "web"], &needs);
        assert_eq!(waves, [vec!["db"], vec!["api", "auth", "cron"], vec!["web"]]);
        assert_eq!(cycles, 1);
        assert_eq!(
            layers(&["a", "b", "c"], &[("a", "b"), ("b", "c"), ("c", "a")]),
            (vec![vec!["a".into(), "b".into(), "c".into()]], 1)
        );
        assert_eq!(layers(&[], &[]).0.len(), 0);
    }

    #[test]
    fn a_long_chain_needs_no_stack() {
        let names: Vec<String> = (0..20_000).map(|at| format!("n{at:05}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let needs: Vec<_> = names.windows(2).map(|pair| (pair[0], pair[1])).collect();
        assert_eq!(layers(&names, &needs).0.len(), names.len());
    }
}
