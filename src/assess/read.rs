//! Reads an [`Estate`] from two clusters. IO.
//!
//! Only lists, `/metrics` and OpenAPI documents are asked for: nothing here can change a cluster. The kinds that rules look
//! into are read whole, everything else, and Secrets always, as metadata.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::capacity::{Room, nodes};
use super::estate::{Estate, SYSTEM_NAMESPACES, Scope, Side};
use super::metrics::Metrics;
use crate::cluster::{self, Cluster, ClusterError, Depth, Listing, Manifest, Resource, kind};

/// Kinds that rules look into besides those that are mirrored.
const LOOKED_INTO: &[&str] = &[
    "CronJob",
    "DaemonSet",
    "Deployment",
    "Endpoints",
    "HorizontalPodAutoscaler",
    "Ingress",
    "IngressClass",
    "Job",
    "LimitRange",
    "MutatingWebhookConfiguration",
    "Namespace",
    "NetworkPolicy",
    "Node",
    "PersistentVolumeClaim",
    "Pod",
    "PodDisruptionBudget",
    "PodSecurityPolicy",
    "PriorityClass",
    "ReplicationController",
    "ResourceQuota",
    "RuntimeClass",
    "StatefulSet",
    "StorageClass",
    "ValidatingWebhookConfiguration",
];

/// Kinds without a namespace that matter for whatever part of the source is looked at.
const CLUSTER_WIDE: &[&str] = &[
    "IngressClass",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PodSecurityPolicy",
    "PriorityClass",
    "RuntimeClass",
    "StorageClass",
    "ValidatingWebhookConfiguration",
];

/// Kinds that clusters write for themselves, by the thousand.
const NOISE: &[&str] = &[
    "ComponentStatus",
    "ControllerRevision",
    "EndpointSlice",
    "Event",
    "FlowSchema",
    "Lease",
    "PriorityLevelConfiguration",
];

/// Reads both sides; they are asked at the same time.
pub async fn read(source: &Cluster, target: &Cluster, scope: Scope) -> Result<Estate, ClusterError> {
    let (from, to) = tokio::try_join!(read_source(source, target, &scope), read_target(source, target, &scope))?;
    Ok(Estate { source: from, target: to, scope })
}

/// What is free on a cluster for new pods; none where its nodes and pods may not be listed.
pub async fn free(cluster: &Cluster) -> Result<Option<Room>, ClusterError> {
    let of_core = |kind: &&str| cluster.served().resource("v1", kind);
    let resources = ["Node", "Pod"].iter().filter_map(of_core).cloned();
    let listings = resources.map(|resource| Listing { resource, namespace: String::new(), depth: Depth::Whole });
    let survey = cluster::survey(cluster, listings.collect()).await?;
    let mut side = Side::new(cluster.name(), cluster.version().clone(), cluster.served().clone());
    side.gaps = survey.gaps;
    survey.objects.into_iter().for_each(|manifest| side.add(manifest));
    Ok(nodes(&side).map(|nodes| nodes.iter().fold(Room::default(), |free, node| free + node.free)))
}

async fn read_source(source: &Cluster, target: &Cluster, scope: &Scope) -> Result<Side, ClusterError> {
    let mut listings = Vec::new();
    for resource in cluster::collections(source.served(), target.served()) {
        let needed = resource.namespaced || matches!(scope, Scope::Everything) || is_one_of(CLUSTER_WIDE, resource);
        if needed && !is_one_of(NOISE, resource) && !resource.group().ends_with("metrics.k8s.io") {
            listings.extend(listed(resource, scope));
        }
    }
    side(source, listings, &[]).await
}

async fn read_target(source: &Cluster, target: &Cluster, scope: &Scope) -> Result<Side, ClusterError> {
    let mut listings = Vec::new();
    for resource in cluster::collections(target.served(), source.served()) {
        match resource.kind.as_str() {
            // What runs there already takes room, in every namespace.
            "Pod" => listings.extend(listed(resource, &Scope::Everything)),
            "ResourceQuota" | "LimitRange" => listings.extend(listed(resource, scope)),
            _ if is_one_of(CLUSTER_WIDE, resource) => listings.extend(listed(resource, scope)),
            // Whether a name is taken is all there is to know.
            name if kind(name).is_some() => listings.extend(listed(resource, scope).map(only_metadata)),
            _ => {}
        }
    }
    side(target, listings, &written_versions(target)).await
}

fn only_metadata(listing: Listing) -> Listing {
    Listing { depth: Depth::Metadata, ..listing }
}

/// The groups and versions in which mirrored kinds are written.
fn written_versions(target: &Cluster) -> Vec<String> {
    let served = target.served();
    let mirrored = served.resources().filter(|resource| {
        kind(&resource.kind).is_some_and(|kind| {
            let written = served.first_of(kind.versions(), kind.name());
            written.is_some_and(|written| written.api_version == resource.api_version)
        })
    });
    let versions: BTreeSet<_> = mirrored.map(|resource| resource.api_version.clone()).collect();
    versions.into_iter().collect()
}

fn is_one_of(kinds: &[&str], resource: &Resource) -> bool {
    kinds.contains(&resource.kind.as_str())
}

/// The listings of one resource within the scope.
fn listed(resource: &Resource, scope: &Scope) -> impl Iterator<Item = Listing> {
    let whole = is_one_of(LOOKED_INTO, resource) || kind(&resource.kind).is_some();
    let depth = if whole { Depth::Whole } else { Depth::Metadata };
    let namespaces = match scope {
        Scope::Selection(workloads) if resource.namespaced => {
            workloads.namespaces.iter().map(|name| name.as_str().to_owned()).collect()
        }
        _ => vec![String::new()],
    };
    let resource = resource.clone();
    namespaces.into_iter().map(move |namespace| Listing { resource: resource.clone(), namespace, depth })
}

async fn side(cluster: &Cluster, listings: Vec<Listing>, schemas: &[String]) -> Result<Side, ClusterError> {
    let mut side = Side::new(cluster.name(), cluster.version().clone(), cluster.served().clone());
    let documents = futures::future::try_join_all(schemas.iter().map(|version| cluster::schema(cluster, version)));
    let (survey, metrics, documents) =
        tokio::try_join!(cluster::survey(cluster, listings), cluster::server_metrics(cluster), documents)?;
    side.gaps = survey.gaps;
    for manifest in survey.objects {
        if !SYSTEM_NAMESPACES.contains(&manifest.object().namespace.as_str()) || manifest.object().kind == "Pod" {
            side.add(typed(manifest));
        }
    }
    match metrics {
        Ok(text) => side.metrics = Metrics::parse(&text),
        Err(gap) => side.gaps.push(gap),
    }
    for (version, document) in schemas.iter().zip(documents) {
        match document {
            Ok(document) => {
                side.schemas.insert(version.clone(), document);
            }
            Err(gap) => side.gaps.push(gap),
        }
    }
    Ok(side)
}

/// A service account's token is known by its annotation too; its type is not part of the metadata.
fn typed(manifest: Manifest) -> Manifest {
    let token = manifest.annotation("kubernetes.io/service-account.name").is_some();
    if manifest.object().kind != "Secret" || !token {
        return manifest;
    }
    let mut value: Value = manifest.clone().into_value();
    value["type"] = json!("kubernetes.io/service-account-token");
    Manifest::new(value).unwrap_or(manifest)
}
