//! Reads a whole cluster rather than one migration's part of it. IO.
//!
//! What may not be read is a gap with its reason and no failure: a report that lacks one kind is worth more than none.
//! Of Secrets only the metadata is ever asked for, so no value of one leaves its server.

use serde_json::{Map, Value};

use super::Cluster;
use super::error::ClusterError;
use super::kind::{kind, read_as};
use super::manifest::Manifest;
use super::request::{Depth, side_by_side};
use super::served::{Resource, Served};

/// One collection to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// What is listed.
    pub resource: Resource,
    /// Where; empty for every namespace.
    pub namespace: String,
    /// How much of each object.
    pub depth: Depth,
}

/// What could not be read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Gap {
    /// The collection or document.
    pub what: String,
    /// In the server's own words.
    pub why: String,
}

/// Everything that was listed, and what could not be.
#[derive(Debug, Default)]
pub struct Survey {
    /// The objects; of managed fields only who wrote, in which version and how.
    pub objects: Vec<Manifest>,
    /// What could not be listed.
    pub gaps: Vec<Gap>,
}

/// Lists every collection asked for, some at a time.
pub async fn survey(cluster: &Cluster, listings: Vec<Listing>) -> Result<Survey, ClusterError> {
    let answers = side_by_side(listings.into_iter().map(|listing| async move {
        let Listing { resource, namespace, depth } = &listing;
        let depth = if resource.kind == "Secret" { Depth::Metadata } else { *depth };
        let answer = cluster.pages(resource, namespace, "", depth, forget_fields).await;
        let place = if namespace.is_empty() { String::new() } else { format!(" in namespace {namespace}") };
        or_gap(answer, || format!("{} {}{place}", resource.api_version, resource.plural))
    }))
    .await?;
    let mut survey = Survey::default();
    for answer in answers {
        match answer {
            Ok(objects) => survey.objects.extend(objects),
            Err(gap) => survey.gaps.push(gap),
        }
    }
    survey.gaps.sort_by(|a, b| a.what.cmp(&b.what));
    Ok(survey)
}

/// The server's own counters and gauges, in Prometheus' text format.
pub async fn server_metrics(cluster: &Cluster) -> Result<Result<String, Gap>, ClusterError> {
    or_gap(cluster.get_text("/metrics").await, || "/metrics".to_owned())
}

/// The OpenAPI document of one group and version, such as `apps/v1`.
pub async fn schema(cluster: &Cluster, api_version: &str) -> Result<Result<Value, Gap>, ClusterError> {
    let root = if api_version.contains('/') { "apis" } else { "api" };
    let path = format!("/openapi/v3/{root}/{api_version}");
    or_gap(cluster.get_path(&path).await, || path.clone())
}

/// A server that is gone fails the whole; a refusal of one thing does not.
fn or_gap<T>(answer: Result<T, ClusterError>, what: impl FnOnce() -> String) -> Result<Result<T, Gap>, ClusterError> {
    match answer {
        Ok(value) => Ok(Ok(value)),
        Err(
            error @ (ClusterError::Unreachable { .. }
            | ClusterError::TimedOut { .. }
            | ClusterError::Unauthorized { .. }
            | ClusterError::Config { .. }),
        ) => Err(error),
        Err(error) => Ok(Err(Gap { what: what(), why: error.to_string() })),
    }
}

/// Of the managed fields, which are half of the bytes, only their owners are kept.
fn forget_fields(metadata: &mut Map<String, Value>) {
    let entries = metadata.get_mut("managedFields").and_then(Value::as_array_mut);
    for entry in entries.into_iter().flatten().filter_map(Value::as_object_mut) {
        entry.remove("fieldsV1");
    }
}

/// Every collection of a server that can be listed, each kind once: in the version a mirror would read where it is
/// mirrored, else in one that `target` serves too, else in the server's preferred one.
pub fn collections<'a>(source: &'a Served, target: &Served) -> Vec<&'a Resource> {
    let mut chosen: Vec<&Resource> = Vec::new();
    for resource in source.resources().filter(|resource| resource.verbs.contains("list")) {
        // Ingresses and events are the same objects in both of their groups.
        let moved = resource.group() == "extensions" || resource.kind == "Event";
        let elsewhere = || source.versions_of(&resource.kind).iter().any(|other| other.group() != resource.group());
        if chosen.iter().any(|known| known.kind == resource.kind && known.group() == resource.group())
            || (moved && elsewhere())
        {
            continue;
        }
        chosen.push(best_version(resource, source, target));
    }
    chosen
}

fn best_version<'a>(resource: &'a Resource, source: &'a Served, target: &Served) -> &'a Resource {
    let versions = source.versions_of(&resource.kind);
    let mirrored = kind(&resource.kind).and_then(|kind| read_as(kind, source, target));
    if let Some(mirrored) = mirrored.filter(|mirrored| mirrored.group() == resource.group()) {
        return mirrored;
    }
    let mut same_group = versions.into_iter().filter(|other| other.group() == resource.group());
    let first = same_group.next().unwrap_or(resource);
    let common = |other: &&Resource| target.resource(&other.api_version, &other.kind).is_some();
    std::iter::once(first).chain(same_group).find(common).unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::super::double::served;
    use super::*;

    fn listable(kinds: &[(&str, &str)]) -> Served {
        let mut served = Served::default();
        for (version, kind) in kinds {
            let plural = format!("{}s", kind.to_lowercase());
            let resource = serde_json::json!({"name": plural, "kind": kind, "namespaced": true, "verbs": ["list"]});
            let list = serde_json::json!({"groupVersion": version, "resources": [resource]});
            served.add(serde_json::from_value(list).unwrap());
        }
        served
    }

    #[test]
    fn reads_each_kind_once_in_the_version_that_tells_most() {
        let source = listable(&[
            ("extensions/v1beta1", "Ingress"),
            ("networking.k8s.io/v1", "Ingress"),
            ("networking.k8s.io/v1beta1", "Ingress"),
            ("example.org/v1", "Widget"),
            ("example.org/v2", "Widget"),
            ("other.org/v1", "Widget"),
            ("policy/v1beta1", "PodDisruptionBudget"),
        ]);
        let target = served([("networking.k8s.io/v1", "Ingress"), ("example.org/v2", "Widget")]);
        let chosen: Vec<_> = collections(&source, &target)
            .iter()
            .map(|chosen| format!("{} {}", chosen.api_version, chosen.kind))
            .collect();
        assert_eq!(
            chosen,
            [
                "example.org/v2 Widget",
                "networking.k8s.io/v1 Ingress",
                "other.org/v1 Widget",
                "policy/v1beta1 PodDisruptionBudget"
            ]
        );
    }
}
