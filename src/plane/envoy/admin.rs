//! What an Envoy says of itself where it is administered. IO; reading the answers is PURE.
//!
//! Nothing is changed there: every question is a GET.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::routes::{Clusters, Fault, Routes};
use crate::http;
use crate::migration::snapshot::Counters;
use crate::plane::PlaneError;
use crate::plane::question::ask;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The administration of an Envoy.
#[derive(Debug)]
pub(super) struct Admin {
    url: String,
    client: Result<reqwest::Client, String>,
}

/// One cluster, as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Cluster {
    /// Servers that are well as far as Envoy knows.
    pub(super) usable: u32,
    /// Requests that have begun and not ended, waiting ones among them.
    pub(super) in_flight: u64,
    /// Requests that were answered, and those of them with 5xx.
    pub(super) counters: Counters,
}

/// How often Envoy took up a route configuration, and how often it would not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Updates {
    pub(super) taken: u64,
    /// `update_rejected`: it makes no sense to Envoy.
    pub(super) rejected: u64,
    /// `update_failure`: it cannot be read.
    pub(super) failed: u64,
}

impl Admin {
    pub(super) fn new(url: &str) -> Self {
        let client = http::client().no_proxy().tls_certs_only([]).build();
        Self { url: url.trim_end_matches('/').to_owned(), client: client.map_err(|error| error.to_string()) }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// What runs of a route configuration.
    pub(super) async fn routes(&self, name: &str, clusters: Clusters<'_>) -> Result<Routes, PlaneError> {
        let answer = self.ask("/config_dump?resource=dynamic_route_configs").await?;
        Routes::in_dump(&answer, name, clusters).map_err(|fault| self.fault("what it runs", fault))
    }

    /// Both clusters, the source first.
    pub(super) async fn clusters(&self, clusters: Clusters<'_>) -> Result<[Cluster; 2], PlaneError> {
        let known = self.ask("/clusters?format=json").await?;
        let known = known_clusters(&known).ok_or_else(|| self.malformed("its clusters"))?;
        let mut ours = [Cluster::default(); 2];
        for (ours, name) in ours.iter_mut().zip([clusters.source, clusters.target]) {
            let Some(status) = known.get(name) else {
                return Err(PlaneError::NotFound { what: format!("cluster {name} of {}", self.url) });
            };
            let stat = stat_name(status.observability_name.as_deref().unwrap_or(name));
            let pattern = format!("^cluster\\.{}\\.upstream_rq_", escaped(&stat));
            let counted = self.stats(&pattern).await?;
            let count = |what: &str| counted.get(&format!("cluster.{stat}.upstream_rq_{what}")).copied();
            let requests = count("completed").ok_or_else(|| self.malformed("its counters"))?;
            let in_flight = count("active").unwrap_or_default() + count("pending_active").unwrap_or_default();
            let counters = Counters { requests, failed: count("5xx").unwrap_or_default() };
            *ours = Cluster { usable: status.usable(), in_flight, counters };
        }
        Ok(ours)
    }

    /// How it went with a route configuration so far.
    pub(super) async fn updates(&self, name: &str) -> Result<Updates, PlaneError> {
        let name = stat_name(name);
        let counted = self.stats(&format!("\\.rds\\.{}\\.update_", escaped(&name))).await?;
        let sum = |what: &str| {
            let ending = format!(".rds.{name}.update_{what}");
            counted.iter().filter(|(stat, _)| stat.ends_with(&ending)).map(|(_, count)| count).sum()
        };
        Ok(Updates { taken: sum("success"), rejected: sum("rejected"), failed: sum("failure") })
    }

    async fn stats(&self, pattern: &str) -> Result<BTreeMap<String, u64>, PlaneError> {
        let answer = self.ask(&format!("/stats?format=json&filter={}", encoded(pattern))).await?;
        read_stats(&answer).ok_or_else(|| self.malformed("its counters"))
    }

    async fn ask(&self, path: &str) -> Result<String, PlaneError> {
        ask(&self.client, &format!("{}{path}", self.url), PATIENCE).await
    }

    fn malformed(&self, what: &str) -> PlaneError {
        PlaneError::Malformed { what: format!("what {} says of {what}", self.url) }
    }

    fn fault(&self, what: &str, fault: Fault) -> PlaneError {
        fault.of(&format!("{what}, says {}", self.url))
    }
}

#[derive(Debug, Deserialize)]
struct Clustered {
    #[serde(default)]
    cluster_statuses: Vec<Status>,
}

#[derive(Debug, Deserialize)]
struct Status {
    name: String,
    observability_name: Option<String>,
    #[serde(default)]
    host_statuses: Vec<Host>,
}

#[derive(Debug, Deserialize)]
struct Host {
    #[serde(default)]
    health_status: Health,
}

#[derive(Debug, Deserialize, Default)]
#[serde(default)]
struct Health {
    failed_active_health_check: bool,
    failed_outlier_check: bool,
    pending_dynamic_removal: bool,
    pending_active_hc: bool,
    excluded_via_immediate_hc_fail: bool,
    eds_health_status: Option<String>,
}

impl Status {
    fn usable(&self) -> u32 {
        let well = |host: &&Host| {
            let Health {
                failed_active_health_check,
                failed_outlier_check,
                pending_dynamic_removal,
                pending_active_hc,
                excluded_via_immediate_hc_fail,
                eds_health_status,
            } = &host.health_status;
            let told = matches!(eds_health_status.as_deref(), None | Some("UNKNOWN" | "HEALTHY" | "DEGRADED"));
            let checked = !failed_active_health_check && !failed_outlier_check && !excluded_via_immediate_hc_fail;
            told && checked && !pending_dynamic_removal && !pending_active_hc
        };
        u32::try_from(self.host_statuses.iter().filter(well).count()).unwrap_or(u32::MAX)
    }
}

fn known_clusters(answer: &str) -> Option<BTreeMap<String, Status>> {
    let Clustered { cluster_statuses } = serde_json::from_str(answer).ok()?;
    Some(cluster_statuses.into_iter().map(|status| (status.name.clone(), status)).collect())
}

/// Counters and gauges; histograms, which have no value, are left out.
fn read_stats(answer: &str) -> Option<BTreeMap<String, u64>> {
    #[derive(Deserialize)]
    struct Stats {
        stats: Vec<Stat>,
    }
    #[derive(Deserialize)]
    struct Stat {
        name: Option<String>,
        value: Option<u64>,
    }
    let Stats { stats } = serde_json::from_str(answer).ok()?;
    Some(stats.into_iter().filter_map(|Stat { name, value }| Some((name?, value?))).collect())
}

/// A name as it stands in that of a counter, in which Envoy allows no colon.
fn stat_name(name: &str) -> String {
    name.replace(':', "_")
}

/// A name as a pattern for nothing but itself.
fn escaped(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii();
    name.chars().flat_map(|c| (!plain(c)).then_some('\\').into_iter().chain([c])).collect()
}

/// A pattern as it stands in a query.
fn encoded(pattern: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let encode = |byte: u8| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    pattern.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_servers_that_are_well() {
        let answer = r#"{"cluster_statuses": [
            {"name": "blue", "observability_name": "b", "host_statuses": [
                {"health_status": {"eds_health_status": "HEALTHY"}}, {"health_status": {"eds_health_status": "DRAINING"}},
                {"health_status": {"eds_health_status": "HEALTHY", "failed_active_health_check": true}}, {}]},
            {"name": "green", "added_via_api": true}]}"#;
        let known = known_clusters(answer).unwrap();
        assert_eq!((known["blue"].usable(), known["blue"].observability_name.as_deref()), (2, Some("b")));
        assert_eq!((known["green"].usable(), known.len()), (0, 2));
        assert!(known_clusters("<html>").is_none());
        assert!(known_clusters(&answer[..answer.len() / 2]).is_none());
        assert!(known_clusters("{}").is_some_and(|known| known.is_empty()));
    }

    #[test]
    fn reads_counters_and_leaves_histograms_out() {
        let answer =
            r#"{"stats": [{"name": "a", "value": 7}, {"histograms": {"supported_quantiles": []}}, {"name": "b"}]}"#;
        assert_eq!(read_stats(answer).unwrap(), [("a".to_owned(), 7)].into());
        assert!(read_stats("{}").is_none());
    }

    #[test]
    fn a_name_is_a_pattern_for_itself() {
        assert_eq!(escaped(&stat_name("outbound|80||a_b.shop:c")), "outbound\\|80\\|\\|a_b\\.shop_c");
        assert_eq!(encoded("^a\\.b|c"), "%5Ea%5C.b%7Cc");
    }
}
