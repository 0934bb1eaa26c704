//! Routes that split requests between two clusters: what they say, and the same text with other weights. PURE.
//!
//! It reads JSON and YAML alike, by the places of the numbers, and replaces nothing but these. It refuses what it could not bring
//! back byte for byte, and routes that lead to the source and could not be moved.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::policy::Weight;
use crate::policy::tree::{self, Node, Value};

/// What the weights of a split add up to, unless it says so itself: one for each 0.01 %.
const WHOLE: u32 = 10_000;

/// The weights of one split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Split {
    pub(super) source: u32,
    pub(super) target: u32,
    /// What they have to add up to, where it says so. Envoy before 1.23 wants that said.
    pub(super) total: Option<u32>,
}

impl Split {
    /// The target's share; `None` where nobody is sent anywhere.
    pub(super) fn weight(&self) -> Option<Weight> {
        Weight::from_parts(self.target.into(), self.source.into())
    }

    /// The same split at another share, or the nearest shares that it can have.
    pub(super) fn at(&self, weight: Weight) -> Result<Self, (Weight, Weight)> {
        let (total, points) = (self.total.unwrap_or(WHOLE), weight.basis_points());
        let product = u64::from(total) * u64::from(points);
        if product.is_multiple_of(u64::from(WHOLE)) {
            let target = u32::try_from(product / u64::from(WHOLE)).unwrap_or(total);
            return Ok(Self { source: total - target, target, total: self.total });
        }
        let step = u16::try_from(WHOLE / gcd(WHOLE, total)).unwrap_or(u16::MAX);
        let below = points - points % step;
        let at = |points| Weight::from_basis_points(points).unwrap_or(Weight::FULL);
        Err((at(below), at(below.saturating_add(step))))
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Why routes are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// It cannot be read, and why.
    Malformed(String),
    /// Something that should be there is not.
    Missing(String),
    /// Something takes traffic that belongs to neither side.
    Stranger(String),
}

/// The two clusters of a plane.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clusters<'a> {
    pub(super) source: &'a str,
    pub(super) target: &'a str,
}

/// A route configuration with its splits between the two clusters; at least one, and all of one share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Routes {
    /// Its name.
    pub(super) name: String,
    pub(super) splits: Vec<Split>,
    pub(super) weight: Weight,
    places: Vec<[Range<usize>; 2]>,
}

impl Routes {
    /// Reads a file that Envoy discovers a route configuration from.
    pub(super) fn in_file(text: &str, clusters: Clusters<'_>) -> Result<Self, Fault> {
        let document = document(text)?;
        match items(&document, &["resources"])? {
            [routes] => Self::of(routes, text, clusters),
            others => Err(Fault::Malformed(format!("it has {} resources instead of one", others.len()))),
        }
    }

    /// Reads what Envoy says it runs of the route configuration `name`.
    pub(super) fn in_dump(text: &str, name: &str, clusters: Clusters<'_>) -> Result<Self, Fault> {
        let document = document(text)?;
        let running = match child(&document, &["configs"])? {
            Some(_) => items(&document, &["configs"])?,
            // An Envoy without any leaves the list out.
            None => &[],
        };
        let running = running.iter().filter_map(|config| child(config, &["route_config"]).ok().flatten());
        let mut found = None;
        for routes in running.filter(|routes| name_of(routes).is_ok_and(|running| running == name)) {
            let routes = Self::of(routes, text, clusters)?;
            match &found {
                Some(Self { weight, .. }) if *weight != routes.weight => {
                    return Err(disagree(*weight, routes.weight));
                }
                _ => found = Some(routes),
            }
        }
        found.ok_or_else(|| Fault::Missing(format!("the route configuration {name}, discovered from a file,")))
    }

    fn of(routes: &Node, text: &str, clusters: Clusters<'_>) -> Result<Self, Fault> {
        let mut found = Vec::new();
        visit(routes, text, clusters, &mut found)?;
        let name = name_of(routes)?.to_owned();
        let mut weight = None;
        for (split, _) in &found {
            let shown = split.weight().ok_or_else(|| malformed("all weights of a split are 0"))?;
            match weight {
                Some(first) if first != shown => return Err(disagree(first, shown)),
                _ => weight = Some(shown),
            }
        }
        let Clusters { source, target } = clusters;
        let weight = weight
            .ok_or_else(|| Fault::Missing(format!("a route of {name} with weighted clusters {source} and {target}")))?;
        let (splits, places) = found.into_iter().unzip();
        Ok(Self { name, splits, weight, places })
    }

    /// The splits at another share.
    pub(super) fn at(&self, weight: Weight) -> Result<Vec<Split>, (Weight, Weight)> {
        self.splits.iter().map(|split| split.at(weight)).collect()
    }

    /// `text`, which these were read from, with other weights.
    pub(super) fn with(&self, text: &str, wanted: &[Split]) -> String {
        let pairs = self.places.iter().zip(wanted);
        let edits = pairs.flat_map(|([source, target], split)| [(source, split.source), (target, split.target)]);
        let mut edits: Vec<_> = edits.collect();
        edits.sort_by_key(|(at, _)| at.start);
        // What an alias repeats stands in one place.
        edits.dedup();
        let mut text = text.to_owned();
        for (at, number) in edits.into_iter().rev() {
            text.replace_range(at.clone(), &number.to_string());
        }
        text
    }
}

fn malformed(what: impl Into<String>) -> Fault {
    Fault::Malformed(what.into())
}

fn disagree(one: Weight, other: Weight) -> Fault {
    malformed(format!("its splits disagree: one has {one}, another {other}"))
}

fn document(text: &str) -> Result<Node, Fault> {
    let documents = tree::parse(text)
        .map_err(|error| malformed(format!("line {}, column {}: {}", error.at.line, error.at.column, error.message)))?;
    match <[Node; 1]>::try_from(documents) {
        Ok([document]) => Ok(document),
        Err(documents) => Err(malformed(format!("it has {} documents instead of one", documents.len()))),
    }
}

/// A field of a mapping, by one of its names: protobuf's own, or as JSON likes it.
fn child<'n>(node: &'n Node, names: &[&str]) -> Result<Option<&'n Node>, Fault> {
    let Value::Map(entries) = &node.value else {
        return Err(malformed(format!("line {} has {} where {} should be", node.at.line, node.value.kind(), names[0])));
    };
    let mut found = entries.iter().filter(|(key, _)| names.contains(&key.text.as_str()));
    match (found.next(), found.next()) {
        (Some(_), Some((key, _))) => Err(malformed(format!("line {} has {} a second time", key.at.line, key.text))),
        (found, _) => Ok(found.map(|(_, node)| node)),
    }
}

fn items<'n>(node: &'n Node, names: &[&str]) -> Result<&'n [Node], Fault> {
    match child(node, names)?.map(|node| &node.value) {
        Some(Value::Seq(items)) => Ok(items),
        _ => Err(malformed(format!("it has no list of {}", names[0]))),
    }
}

fn name_of(routes: &Node) -> Result<&str, Fault> {
    match child(routes, &["name"])?.map(|node| &node.value) {
        Some(Value::Text(name)) => Ok(name),
        _ => Err(malformed("its route configuration has no name")),
    }
}

/// A split and where its two weights stand.
type Found = (Split, [Range<usize>; 2]);

/// Every route below a node, however deep: routes stand in lists and in trees of matchers.
fn visit(node: &Node, text: &str, clusters: Clusters<'_>, found: &mut Vec<Found>) -> Result<(), Fault> {
    match &node.value {
        Value::Seq(items) => items.iter().try_for_each(|item| visit(item, text, clusters, found)),
        Value::Map(entries) => entries.iter().try_for_each(|(key, node)| match (key.text.as_str(), &node.value) {
            ("weighted_clusters" | "weightedClusters", _) => {
                found.extend(split(node, text, clusters)?);
                Ok(())
            }
            ("route", Value::Map(_)) => {
                let alone = child(node, &["cluster"])?.map(|node| &node.value);
                match alone {
                    Some(Value::Text(cluster)) if cluster == clusters.source => {
                        Err(Fault::Stranger(format!("a route to {cluster} alone, line {},", node.at.line)))
                    }
                    _ => visit(node, text, clusters, found),
                }
            }
            _ => visit(node, text, clusters, found),
        }),
        _ => Ok(()),
    }
}

/// One split, unless it has nothing to do with the two clusters.
fn split(node: &Node, text: &str, clusters: Clusters<'_>) -> Result<Option<Found>, Fault> {
    let (mut ours, mut stranger) = ([None, None], None);
    for entry in items(node, &["clusters"])? {
        let name = match child(entry, &["name"])?.map(|node| &node.value) {
            Some(Value::Text(name)) => name.as_str(),
            // Routes may take the name from a header of the request.
            _ => "",
        };
        let weight = number(entry, text, &["weight"])?;
        let weight =
            weight.ok_or_else(|| malformed(format!("line {}: cluster {name} has no weight", entry.at.line)))?;
        if let Some(side) = [clusters.source, clusters.target].iter().position(|known| *known == name) {
            if ours[side].replace(weight).is_some() {
                return Err(malformed(format!("line {}: cluster {name} is there twice", entry.at.line)));
            }
        } else if weight.0 > 0 {
            stranger = Some(name);
        }
    }
    let line = node.at.line;
    let (source, target) = match (ours, stranger) {
        ([None | Some((0, _)), None] | [None, Some(_)], _) => return Ok(None),
        ([Some(_), None], _) => {
            let Clusters { source, target } = clusters;
            return Err(Fault::Stranger(format!("a route to {source} without {target}, line {line},")));
        }
        (_, Some(stranger)) => return Err(Fault::Stranger(format!("cluster {stranger}, line {line},"))),
        ([Some(source), Some(target)], None) => (source, target),
    };
    if child(node, &["runtime_key_prefix", "runtimeKeyPrefix"])?.is_some() {
        return Err(malformed(format!("line {line}: a runtime_key_prefix, by which a runtime may give other weights")));
    }
    let total = number(node, text, &["total_weight", "totalWeight"])?.map(|(total, _)| total);
    let split = Split { source: source.0, target: target.0, total: total.filter(|total| *total > 0) };
    Ok(Some((split, [source.1, target.1])))
}

/// A whole number and where it stands. Written in any other way it would not come back as it was, and one with an anchor may be
/// somebody else's too.
fn number(node: &Node, text: &str, names: &[&str]) -> Result<Option<(u32, Range<usize>)>, Fault> {
    let Some(node) = child(node, names)? else { return Ok(None) };
    let rest = text.get(node.at.offset..).unwrap_or_default();
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let at = node.at.offset..node.at.offset + digits;
    let written = text.get(at.clone()).unwrap_or_default();
    let before = text.get(..at.start).unwrap_or_default().split_whitespace().next_back().unwrap_or_default();
    match (&node.value, written.parse::<u32>()) {
        (Value::Int(value), Ok(number))
            if i64::from(number) == *value && number.to_string() == written && !before.starts_with('&') =>
        {
            Ok(Some((number, at)))
        }
        _ => Err(malformed(format!("line {}: {} is not a plain whole number", node.at.line, names[0]))),
    }
}

#[cfg(test)]
mod tests;
