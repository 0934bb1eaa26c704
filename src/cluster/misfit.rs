//! Whether two clusters can be the two sides of a migration. IO.
//!
//! A kubeconfig may have two contexts for one cluster, and a migration to itself would end with its only workload scaled to
//! zero. So the identity of a cluster is what it has but once: the UID of its `kube-system` namespace. Where the account may not
//! read that, nothing is known and nothing refused. A target older than the source serves fewer versions and fields; that may be
//! wanted, and has to be said.

use super::Cluster;
use super::error::ClusterError;
use super::object::ObjectRef;

/// What stands in the way, in a sentence each; `older` says that a target older than the source is wanted.
pub async fn misfit(source: &Cluster, target: &Cluster, older: bool) -> Result<Vec<String>, ClusterError> {
    let mut found = Vec::new();
    let (one, other) = (identity(source).await?, identity(target).await?);
    if let Some(uid) = one.filter(|one| Some(one) == other.as_ref()) {
        let (source, target) = (source.name(), target.name());
        found.push(format!("{source} and {target} are the same cluster: kube-system has the UID {uid} in both"));
    }
    let goes_down = matches!((source.version().number, target.version().number), (Some(a), Some(b)) if b < a);
    if goes_down && !older {
        let (from, to) = (source.version(), target.version());
        found.push(format!(
            "the target ({to}) is older than the source ({from}); say spec.allowOlderTarget: true where that is meant"
        ));
    }
    Ok(found)
}

/// What a cluster has but once, where the account may read it.
async fn identity(cluster: &Cluster) -> Result<Option<String>, ClusterError> {
    let namespace = ObjectRef::new("Namespace", "", "kube-system");
    let Ok(resource) = cluster.resource_of("Namespace") else { return Ok(None) };
    match cluster.get(resource, &namespace).await {
        Ok(found) => Ok(found.and_then(|found| Some(found.value().pointer("/metadata/uid")?.as_str()?.to_owned()))),
        Err(ClusterError::Forbidden { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::double;
    use super::super::served::ServerVersion;
    use super::*;

    /// A cluster of a version whose `kube-system` has a UID, or may not be read.
    fn cluster(minor: u32, uid: Option<&'static str>) -> Cluster {
        let (mut cluster, _) = double::cluster(move |asked| {
            assert!(asked.line.starts_with("GET /api/v1/namespaces/kube-system"), "{}", asked.line);
            match uid {
                Some(uid) => (
                    200,
                    double::object("v1", "Namespace", "kube-system", json!({"metadata": {"uid": uid}})).into_value(),
                ),
                None => (403, json!({"kind": "Status", "reason": "Forbidden", "code": 403, "message": "no"})),
            }
        });
        cluster.version = ServerVersion::new(&format!("v1.{minor}.2"), "1", &minor.to_string());
        cluster
    }

    #[tokio::test]
    async fn one_cluster_under_two_contexts_and_an_older_target_are_refused() {
        for (source, target, older, expected) in [
            (cluster(20, Some("a")), cluster(37, Some("b")), false, None),
            (cluster(37, Some("a")), cluster(37, Some("b")), false, None),
            (cluster(37, Some("a")), cluster(37, Some("a")), false, Some("same cluster")),
            (cluster(37, None), cluster(37, None), false, None),
            (cluster(37, Some("a")), cluster(20, Some("b")), false, Some("allowOlderTarget")),
            (cluster(37, Some("a")), cluster(20, Some("b")), true, None),
        ] {
            let found = misfit(&source, &target, older).await.unwrap();
            assert_eq!(found.len(), usize::from(expected.is_some()), "{found:?}");
            assert!(expected.is_none_or(|expected| found[0].contains(expected)), "{found:?}");
        }
    }
}
