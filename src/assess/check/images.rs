//! Images: what a tag means tomorrow, where it comes from, how long it takes to arrive. PURE.

use std::collections::{BTreeMap, BTreeSet};

use super::Check;
use crate::assess::estate::Side;
use crate::assess::rule::{Effort, Findings, Rule};
use crate::assess::sight::Sight;
use crate::cluster::{entries, text_at};

/// The check.
pub const CHECK: Check = Check { rules: &[&MUTABLE, &UNKNOWN, &HUGE], look };

const MUTABLE: Rule = Rule {
    id: "XF-U020",
    title: "tag that can be overwritten",
    effort: Effort::NeedsChange,
    why: "The target pulls what the tag means today, the source runs what it meant when its node pulled it.",
    fix: "Name a version, better a digest (image@sha256:…).",
};
const UNKNOWN: Rule = Rule {
    id: "XF-U021",
    title: "no node of the target ever pulled from there",
    effort: Effort::Ready,
    why: "No image of this registry is on any node of the target, so nothing shows that its nodes can reach it.",
    fix: "Pull one image on a node of the target before the move; map the registry where it has another name there (imageMap).",
};
const HUGE: Rule = Rule {
    id: "XF-U022",
    title: "huge image",
    effort: Effort::Ready,
    why: "Every node of the target pulls it anew: that decides how soon the first pod is ready, and loads the registry.",
    fix: "Make it smaller, or pull it on the target's nodes beforehand.",
};

/// An image of a gibibyte needs over a minute at 100 Mbit/s.
const LARGE: u64 = 1024 * 1024 * 1024;

fn look(sight: &Sight<'_>, found: &mut Findings) {
    let sizes = sizes(sight.source);
    let known: BTreeSet<String> = images(sight.target).into_iter().map(|(name, _)| registry(name)).collect();
    for workload in &sight.workloads {
        for container in workload.containers() {
            let Some(image) = text_at(container.value, "/image") else { continue };
            let field = workload.field(&format!("{}.image", container.path));
            if is_mutable(image) {
                found.on(&MUTABLE, workload.object, &field, image);
            }
            if !known.is_empty() && !known.contains(&registry(image)) {
                found.on(&UNKNOWN, workload.object, &field, registry(image));
            }
            if let Some(size) = sizes.get(image).filter(|size| **size >= LARGE) {
                found.on(&HUGE, workload.object, &field, format!("{} MiB", size / (1024 * 1024)));
            }
        }
    }
}

/// Names of images on a cluster's nodes, and their sizes. A kubelet tells of at most fifty.
fn images(side: &Side) -> Vec<(&str, u64)> {
    let lists = side.of("Node").flat_map(|node| entries(node.value(), "/status/images"));
    let named = lists.flat_map(|(_, image)| {
        let size = image.get("sizeBytes").and_then(serde_json::Value::as_u64).unwrap_or(0);
        entries(image, "/names").filter_map(move |(_, name)| Some((name.as_str()?, size)))
    });
    named.collect()
}

fn sizes(side: &Side) -> BTreeMap<&str, u64> {
    images(side).into_iter().collect()
}

/// Whether tomorrow's pull may give something else: no digest, and a tag that people move.
fn is_mutable(image: &str) -> bool {
    const MOVING: &[&str] =
        &["latest", "stable", "main", "master", "dev", "develop", "edge", "nightly", "prod", "staging"];
    if image.contains("@sha256:") {
        return false;
    }
    let last = image.rsplit('/').next().unwrap_or_default();
    last.split_once(':').is_none_or(|(_, tag)| MOVING.contains(&tag))
}

/// The registry of an image; Docker's own where none is named.
fn registry(image: &str) -> String {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first.to_owned(),
        _ => "docker.io".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_moves_and_where_it_comes_from() {
        for (image, mutable, from) in [
            ("nginx", true, "docker.io"),
            ("nginx:1.25", false, "docker.io"),
            ("team/app:latest", true, "docker.io"),
            ("registry.example:5000/app", true, "registry.example:5000"),
            ("registry.example:5000/app:1.2", false, "registry.example:5000"),
            ("gcr.io/x/app:latest@sha256:0123", false, "gcr.io"),
            ("localhost/app:dev", true, "localhost"),
        ] {
            assert_eq!((is_mutable(image), registry(image).as_str()), (mutable, from), "{image}");
        }
    }
}
