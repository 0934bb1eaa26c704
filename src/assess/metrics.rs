//! What an API server tells about itself in Prometheus' text format. PURE.

use std::collections::{BTreeMap, BTreeSet};

/// The part of `/metrics` that an assessment needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Deprecated APIs that were asked for since the server started.
    pub deprecated: BTreeSet<Deprecated>,
    /// Whether a feature gate is on; 1.26 and newer tell.
    pub gates: BTreeMap<String, Gate>,
    /// Admission plugins that took part in at least one request.
    pub admission: BTreeSet<String>,
}

/// A request for a deprecated API.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deprecated {
    /// `group/version`.
    pub api_version: String,
    /// Plural of the kind.
    pub resource: String,
    /// The minor version that removed it, such as `1.22`; empty where none did yet.
    pub removed: String,
}

/// A feature gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// `ALPHA`, `BETA`; empty for stable.
    pub stage: String,
    /// Whether it is on.
    pub on: bool,
}

impl Metrics {
    /// Reads the lines that matter and leaves the thousands that do not.
    pub fn parse(text: &str) -> Self {
        let mut metrics = Self::default();
        for line in text.lines() {
            let Some((name, rest)) = line.split_once('{') else { continue };
            let Some((labels, value)) = rest.rsplit_once("} ") else { continue };
            let label = |key: &str| label(labels, key).unwrap_or_default().to_owned();
            match name {
                "apiserver_requested_deprecated_apis" if value.trim() != "0" => {
                    let (group, version) = (label("group"), label("version"));
                    let api_version = if group.is_empty() { version } else { format!("{group}/{version}") };
                    let (resource, removed) = (label("resource"), label("removed_release"));
                    metrics.deprecated.insert(Deprecated { api_version, resource, removed });
                }
                "kubernetes_feature_enabled" => {
                    metrics.gates.insert(label("name"), Gate { stage: label("stage"), on: value.trim() == "1" });
                }
                "apiserver_admission_controller_admission_duration_seconds_count" => {
                    metrics.admission.insert(label("name"));
                }
                _ => {}
            }
        }
        metrics
    }
}

/// The value of a label. Names of APIs, gates and plugins need no escapes.
fn label<'a>(labels: &'a str, key: &str) -> Option<&'a str> {
    let mut rest = labels;
    loop {
        let (name, after) = rest.split_once("=\"")?;
        let (value, next) = after.split_once('"')?;
        if name.trim_start_matches(',') == key {
            return Some(value);
        }
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_servers_of_both_ends_write() {
        let metrics = Metrics::parse(
            r#"# HELP apiserver_requested_deprecated_apis [ALPHA] Gauge of deprecated APIs
apiserver_requested_deprecated_apis{group="extensions",removed_release="1.22",resource="ingresses",subresource="",version="v1beta1"} 1
apiserver_requested_deprecated_apis{group="",removed_release="",resource="componentstatuses",subresource="",version="v1"} 0
kubernetes_feature_enabled{name="NodeSwap",stage=""} 1
kubernetes_feature_enabled{name="Fancy",stage="ALPHA"} 0
apiserver_admission_controller_admission_duration_seconds_count{name="PodSecurity",operation="CREATE",rejected="false",type="validate"} 7
process_cpu_seconds_total 3"#,
        );
        let ingress = Deprecated {
            api_version: "extensions/v1beta1".to_owned(),
            resource: "ingresses".to_owned(),
            removed: "1.22".to_owned(),
        };
        assert_eq!(metrics.deprecated, BTreeSet::from([ingress]));
        assert_eq!(metrics.gates["Fancy"], Gate { stage: "ALPHA".to_owned(), on: false });
        assert!(metrics.gates["NodeSwap"].on);
        assert_eq!(metrics.admission, BTreeSet::from(["PodSecurity".to_owned()]));
    }
}
