//! Reads from the source what belongs to a migration. IO.
//!
//! Reads only in the namespaces named. Kinds that act on others are listed whole; of all other kinds only
//! what carries the labels or is referred to is read, so a Secret nobody refers to is never fetched.

use std::collections::BTreeSet;

use super::Cluster;
use super::closure::{Inventory, close};
use super::error::ClusterError;
use super::kind::{KINDS, Kind, Objects, UNMIRRORED, kind, read_as};
use super::manifest::Manifest;
use super::object::ObjectRef;
use super::request::side_by_side;
use super::served::{Resource, Served};
use crate::policy::{LabelSelector, Workloads};

/// Reads the selection and everything that goes with it, in versions that `target` serves wherever the
/// source serves them too.
pub async fn inventory(source: &Cluster, target: &Served, workloads: &Workloads) -> Result<Inventory, ClusterError> {
    let mut found = list_all(source, target, workloads).await?;
    let mut missing = BTreeSet::new();
    loop {
        let closure = close(&found, &missing, &workloads.selector);
        if closure.wanted.is_empty() {
            found.retain(|object, _| closure.selected.contains(object));
            let mut inventory = Inventory { objects: found, left_out: closure.left_out, ..Inventory::default() };
            look_for_unmirrored(source, workloads, &mut inventory).await?;
            return Ok(inventory);
        }
        for (object, manifest) in fetch(source, target, closure.wanted).await? {
            match manifest {
                Some(manifest) => {
                    found.insert(object, manifest);
                }
                None => {
                    missing.insert(object);
                }
            }
        }
    }
}

/// Lists every kind in every namespace: whole where the kind acts on others, else by label.
async fn list_all(source: &Cluster, target: &Served, workloads: &Workloads) -> Result<Objects, ClusterError> {
    let labels = label_query(&workloads.selector);
    let mut lists = Vec::new();
    for kind in KINDS {
        let Some(resource) = read_as(*kind, source.served(), target) else { continue };
        let labels = if kind.acts() { "" } else { labels.as_str() };
        lists.extend(workloads.namespaces.iter().map(|namespace| source.list(resource, namespace.as_str(), labels)));
    }
    let pages = side_by_side(lists).await?;
    Ok(pages.into_iter().flatten().map(|manifest| (manifest.object().clone(), manifest)).collect())
}

async fn fetch(
    source: &Cluster,
    target: &Served,
    wanted: BTreeSet<ObjectRef>,
) -> Result<Vec<(ObjectRef, Option<Manifest>)>, ClusterError> {
    let reads = wanted.into_iter().map(|object| async move {
        let resource = readable(source, target, &object)?;
        let manifest = source.get(resource, &object).await?;
        Ok((object, manifest))
    });
    side_by_side(reads).await
}

/// Looks for objects that carry the labels and will not move along. What a controller made is its own affair.
async fn look_for_unmirrored(
    source: &Cluster,
    workloads: &Workloads,
    inventory: &mut Inventory,
) -> Result<(), ClusterError> {
    let labels = &label_query(&workloads.selector);
    let mut lists = Vec::new();
    for (kind, versions) in UNMIRRORED {
        let Some(resource) = source.served().first_of(versions, kind) else { continue };
        lists.extend(workloads.namespaces.iter().map(|namespace| async move {
            match source.list(resource, namespace.as_str(), labels).await {
                Err(ClusterError::Forbidden { .. }) => Ok((*kind, None)),
                found => Ok((*kind, Some(found?))),
            }
        }));
    }
    for (kind, found) in side_by_side(lists).await? {
        match found {
            Some(found) => {
                let by_hand = found.into_iter().filter(|manifest| manifest.controller().is_none());
                inventory.unmirrored.extend(by_hand.map(|manifest| manifest.object().clone()));
            }
            None => {
                inventory.unseen.insert(kind.to_owned());
            }
        }
    }
    Ok(())
}

fn readable<'a>(source: &'a Cluster, target: &Served, object: &ObjectRef) -> Result<&'a Resource, ClusterError> {
    let resource = kind(&object.kind).and_then(|kind: &dyn Kind| read_as(kind, source.served(), target));
    resource.ok_or_else(|| source.not_served("", &object.kind))
}

/// The selector as the `labelSelector` parameter; empty for everything.
pub fn label_query(selector: &LabelSelector) -> String {
    let equals: Vec<_> = selector.match_labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    equals.join(",")
}

#[cfg(test)]
mod tests;
