//! What an API server serves: kinds, in which groups and versions, and under which paths. PURE.
//!
//! Built from the plain discovery documents that every version of Kubernetes answers with. It refuses
//! nothing: a document it does not understand is kept as a group that did not answer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;

/// One kind in one group and version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Kind, such as `Ingress`.
    pub kind: String,
    /// `group/version`, or only the version for the core group.
    pub api_version: String,
    /// The name in paths, such as `ingresses`.
    pub plural: String,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// What can be done with it, such as `list` and `patch`.
    pub verbs: BTreeSet<String>,
}

impl Resource {
    /// The path of the collection; `namespace` counts only where objects live in one, and an empty one means all.
    pub fn path(&self, namespace: &str) -> String {
        let root = if self.api_version.contains('/') { "/apis" } else { "/api" };
        if self.namespaced && !namespace.is_empty() {
            format!("{root}/{}/namespaces/{namespace}/{}", self.api_version, self.plural)
        } else {
            format!("{root}/{}/{}", self.api_version, self.plural)
        }
    }

    /// The group; empty for the core group.
    pub fn group(&self) -> &str {
        group_of(&self.api_version)
    }
}

/// The group part of `group/version`; empty for the core group.
pub fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// Everything an API server said it serves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Served {
    /// By `apiVersion` and kind.
    resources: BTreeMap<(String, String), Resource>,
    /// Preferred `apiVersion` by group.
    preferred: BTreeMap<String, String>,
    /// Groups and versions that were announced and did not answer.
    silent: BTreeSet<String>,
}

impl Served {
    /// Adds what one group and version serves. Subresources such as `deployments/scale` are left out.
    pub fn add(&mut self, list: ResourceList) {
        let ResourceList { group_version: api_version, resources } = list;
        for RawResource { name: plural, kind, namespaced, verbs } in resources {
            if plural.contains('/') {
                continue;
            }
            let key = (api_version.clone(), kind.clone());
            let resource = Resource { kind, api_version: api_version.clone(), plural, namespaced, verbs };
            self.resources.insert(key, resource);
        }
    }

    /// Notes which version of its group the server prefers.
    pub fn prefer(&mut self, api_version: &str) {
        self.preferred.insert(group_of(api_version).to_owned(), api_version.to_owned());
    }

    /// Notes a group and version that was announced and did not answer.
    pub fn add_silent(&mut self, api_version: &str) {
        self.silent.insert(api_version.to_owned());
    }

    /// The resource of a kind in exactly this version.
    pub fn resource(&self, api_version: &str, kind: &str) -> Option<&Resource> {
        self.resources.get(&(api_version.to_owned(), kind.to_owned()))
    }

    /// The first of `versions` in which `kind` is served.
    pub fn first_of<'a>(&'a self, versions: &[&str], kind: &str) -> Option<&'a Resource> {
        versions.iter().find_map(|version| self.resource(version, kind))
    }

    /// Every version in which a kind is served, the preferred version of its group first.
    pub fn versions_of<'a>(&'a self, kind: &'a str) -> Vec<&'a Resource> {
        let mut found: Vec<_> = self.resources.values().filter(|resource| resource.kind == kind).collect();
        found.sort_by_key(|resource| self.preferred.get(resource.group()) != Some(&resource.api_version));
        found
    }

    /// Every resource, ordered by version and kind.
    pub fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.resources.values()
    }

    /// Groups and versions that were announced and did not answer.
    pub fn silent(&self) -> &BTreeSet<String> {
        &self.silent
    }

    /// Whether nothing at all is served, which no real API server says of itself.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }
}

/// The discovery document of one group and version (`APIResourceList`).
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceList {
    group_version: String,
    #[serde(default)]
    resources: Vec<RawResource>,
}

#[derive(Debug, Clone, Deserialize)]
struct RawResource {
    name: String,
    kind: String,
    #[serde(default)]
    namespaced: bool,
    #[serde(default)]
    verbs: BTreeSet<String>,
}

/// The version a server says it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerVersion {
    /// `gitVersion` as it was said, such as `v1.20.15`.
    pub git: String,
    /// Major and minor number, where they can be made out.
    pub number: Option<(u32, u32)>,
}

impl ServerVersion {
    /// The version out of the three texts of `/version`.
    ///
    /// Vendors write minors such as `20+`, and builds without version flags leave `major` and `minor` empty.
    pub fn new(git: &str, major: &str, minor: &str) -> Self {
        let leading = |text: &str| {
            let digits = text.trim_start_matches('v').split(|c: char| !c.is_ascii_digit()).next();
            digits.and_then(|digits| digits.parse::<u32>().ok())
        };
        let mut parts = git.splitn(3, '.');
        let from_git = (parts.next().and_then(leading), parts.next().and_then(leading));
        let number = leading(major).zip(leading(minor)).or(from_git.0.zip(from_git.1));
        Self { git: git.to_owned(), number }
    }
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            Some((major, minor)) if self.git.contains("$Format") => write!(f, "v{major}.{minor}"),
            _ => f.pad(&self.git),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn knows_paths_and_leaves_subresources_out() {
        let mut served = Served::default();
        for list in [
            json!({"groupVersion": "v1", "resources": [
                {"name": "namespaces", "kind": "Namespace", "namespaced": false, "verbs": ["get"]},
                {"name": "services", "kind": "Service", "namespaced": true},
                {"name": "services/status", "kind": "Service", "namespaced": true}]}),
            json!({"groupVersion": "apps/v1", "resources": [{"name": "deployments", "kind": "Deployment", "namespaced": true}]}),
        ] {
            served.add(serde_json::from_value(list).unwrap());
        }
        let path = |version, kind| served.resource(version, kind).unwrap().path("shop");
        assert_eq!(path("v1", "Namespace"), "/api/v1/namespaces");
        assert_eq!(path("v1", "Service"), "/api/v1/namespaces/shop/services");
        assert_eq!(path("apps/v1", "Deployment"), "/apis/apps/v1/namespaces/shop/deployments");
    }

    #[test]
    fn prefers_what_the_server_prefers() {
        let mut served = Served::default();
        for version in ["autoscaling/v1", "autoscaling/v2beta2"] {
            let resource = json!({"name": "horizontalpodautoscalers", "kind": "HorizontalPodAutoscaler"});
            let list = json!({"groupVersion": version, "resources": [resource]});
            served.add(serde_json::from_value(list).unwrap());
        }
        served.prefer("autoscaling/v2beta2");
        let versions: Vec<_> =
            served.versions_of("HorizontalPodAutoscaler").iter().map(|r| r.api_version.as_str()).collect();
        assert_eq!(versions, ["autoscaling/v2beta2", "autoscaling/v1"]);
    }

    #[test]
    fn reads_the_versions_servers_really_report() {
        for (git, major, minor, number) in [
            ("v1.20.15", "1", "20", Some((1, 20))),
            ("v1.21.5-eks-bc4871b", "1", "21+", Some((1, 21))),
            ("v0.0.0-master+$Format:%H$", "", "", Some((0, 0))),
            ("v1.37.2", "", "", Some((1, 37))),
            ("unknown", "", "", None),
        ] {
            assert_eq!(ServerVersion::new(git, major, minor).number, number, "{git}");
        }
    }
}
