//! Asks a server what it serves. IO.
//!
//! The plain documents, one per group and version: servers before 1.26 have no aggregated ones, and the
//! client reads their refusal as a server with no groups. An aggregated API whose backend is down (a
//! metrics server, mostly) must not stop a migration, so its silence is noted and nothing more; silence
//! of a group that is mirrored from or to is an error, as is a server with no groups at all.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Cluster;
use super::call::Call;
use super::error::ClusterError;
use super::kind::KINDS;
use super::request::side_by_side;
use super::served::{ResourceList, Served, ServerVersion};

#[derive(Deserialize)]
struct GroupList {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    versions: Vec<GroupVersion>,
    preferred_version: Option<GroupVersion>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupVersion {
    group_version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Version {
    git_version: String,
    major: String,
    minor: String,
}

/// The version a server says it has.
pub async fn version(cluster: &Cluster) -> Result<ServerVersion, ClusterError> {
    let Version { git_version, major, minor } = document(cluster, "/version").await?;
    Ok(ServerVersion::new(&git_version, &major, &minor))
}

/// Everything a server serves.
pub async fn served(cluster: &Cluster) -> Result<Served, ClusterError> {
    let GroupList { groups } = document(cluster, "/apis").await?;
    if groups.is_empty() {
        return Err(cluster.malformed(&Call::path("/apis"), "no groups at all"));
    }
    let mut served = Served::default();
    let mut versions = vec!["v1".to_owned()];
    for group in groups {
        if let Some(preferred) = group.preferred_version {
            served.prefer(&preferred.group_version);
        }
        versions.extend(group.versions.into_iter().map(|version| version.group_version));
    }
    for (version, list) in side_by_side(versions.into_iter().map(|version| resources(cluster, version))).await? {
        match list {
            Some(list) => served.add(list),
            None => served.add_silent(&version),
        }
    }
    Ok(served)
}

/// What one group and version serves; `None` where it is silent and nobody here needs it.
async fn resources(cluster: &Cluster, version: String) -> Result<(String, Option<ResourceList>), ClusterError> {
    let root = if version.contains('/') { "/apis" } else { "/api" };
    match document(cluster, &format!("{root}/{version}")).await {
        Ok(list) => Ok((version, Some(list))),
        Err(error) if is_mirrored(&version) => Err(error),
        Err(error) => {
            tracing::warn!(cluster = cluster.name(), version, %error, "an announced API does not answer");
            Ok((version, None))
        }
    }
}

/// Whether a kind that is mirrored lives in this version.
fn is_mirrored(version: &str) -> bool {
    KINDS.iter().any(|kind| kind.versions().contains(&version))
}

async fn document<T: DeserializeOwned>(cluster: &Cluster, path: &str) -> Result<T, ClusterError> {
    let value = cluster.get_path(path).await?;
    serde_json::from_value(value).map_err(|error| cluster.malformed(&Call::path(path), &error.to_string()))
}

#[cfg(test)]
mod tests;
