//! Versions the target does not serve, and who still writes them. PURE.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Check;
use crate::assess::rule::{Effort, Findings, Rule};
use crate::assess::sight::Sight;
use crate::cluster::{Manifest, kind, text_at};
use crate::convert::{can_convert, conversion_of};

/// The check.
pub const CHECK: Check = Check { rules: &[&GONE, &NOWHERE, &WRITER, &REQUESTED, &LAST_APPLIED], look };

const GONE: Rule = Rule {
    id: "XF-V001",
    title: "version not served by the target, which converts",
    effort: Effort::Ready,
    why: "The target serves this kind in newer versions only.",
    fix: "Nothing where it is mirrored. Change the files you keep it in: crossfade convert does.",
};
const NOWHERE: Rule = Rule {
    id: "XF-V002",
    title: "kind the target does not serve",
    effort: Effort::Blocked,
    why: "No version of this kind that it could become is served by the target.",
    fix: "Install what serves it on the target (a CRD, an aggregated API), or leave the object behind on purpose.",
};
const WRITER: Rule = Rule {
    id: "XF-V003",
    title: "somebody still writes a version the target does not serve",
    effort: Effort::NeedsChange,
    why: "The server remembers in which version each manager last wrote. The same program or file fails against the target.",
    fix: "Change the manifests or upgrade the program of that field manager before it writes to the target.",
};
const REQUESTED: Rule = Rule {
    id: "XF-V004",
    title: "removed API was asked for since the source's server started",
    effort: Effort::NeedsChange,
    why: "Some client uses this API now, whatever objects exist. It fails against the target.",
    fix: "Find the client in the source's audit log (annotation k8s.io/deprecated) and upgrade it.",
};
const LAST_APPLIED: Rule = Rule {
    id: "XF-V005",
    title: "was once applied from an old version",
    effort: Effort::Ready,
    why: "Only a hint: the annotation of kubectl apply outlives the file it came from.",
    fix: "Look at the file it is applied from.",
};

fn look(sight: &Sight<'_>, found: &mut Findings) {
    for manifest in sight.objects() {
        served_at_all(sight, manifest, found);
        writers(sight, manifest, found);
    }
    requested(sight, found);
}

fn served_at_all(sight: &Sight<'_>, manifest: &Manifest, found: &mut Findings) {
    let (object, version) = (manifest.object(), manifest.api_version());
    let served = |version: &str| sight.target.served.resource(version, &object.kind).is_some();
    if served(version) || manifest.controller().is_some() {
        return;
    }
    let becomes = kind(&object.kind).map_or(&[][..], |kind| kind.versions()).iter().copied();
    let mirrored = becomes.filter(|to| served(to)).find(|to| can_convert(&object.kind, version, to));
    let by_hand = conversion_of(&object.kind, version).map(|conversion| conversion.to).filter(|to| served(to));
    match mirrored.or(by_hand) {
        Some(to) => found.on(&GONE, object, "apiVersion", format!("{version} becomes {to}")),
        // Another rule says what becomes of pod security policies.
        None if object.kind == "PodSecurityPolicy" => {}
        None => found.on(&NOWHERE, object, "apiVersion", format!("{version} {} is not served", object.kind)),
    }
}

fn writers(sight: &Sight<'_>, manifest: &Manifest, found: &mut Findings) {
    let object = manifest.object();
    let gone = |version: &str| {
        let known = sight.source.served.resource(version, &object.kind).is_some();
        known && sight.target.served.resource(version, &object.kind).is_none()
    };
    let entries = manifest.value().pointer("/metadata/managedFields").and_then(Value::as_array);
    let mut writers: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for entry in entries.into_iter().flatten() {
        if let (Some(manager), Some(version)) = (text_at(entry, "/manager"), text_at(entry, "/apiVersion")) {
            writers.entry(version).or_default().insert(manager);
        }
    }
    writers.retain(|version, _| gone(version));
    for (version, managers) in &mut writers {
        // The control plane is replaced with its cluster.
        managers.retain(|manager| !["kube-controller-manager", "kube-apiserver", "kube-scheduler"].contains(manager));
        for manager in managers.iter() {
            found.on(&WRITER, object, "metadata.managedFields", format!("{manager} writes {version}"));
        }
    }
    let applied = manifest.annotation("kubectl.kubernetes.io/last-applied-configuration");
    let applied = applied.and_then(|text| serde_json::from_str::<Value>(text).ok());
    if let Some(version) = applied.as_ref().and_then(|body| text_at(body, "/apiVersion"))
        && gone(version)
        && !writers.contains_key(version)
    {
        let field = "metadata.annotations[kubectl.kubernetes.io/last-applied-configuration]";
        found.on(&LAST_APPLIED, object, field, format!("names {version}"));
    }
}

fn requested(sight: &Sight<'_>, found: &mut Findings) {
    for used in &sight.source.metrics.deprecated {
        let same = |version: &str| {
            let mut all = sight.target.served.resources();
            all.any(|resource| resource.api_version == version && resource.plural == used.resource)
        };
        if !same(&used.api_version) {
            let removed =
                if used.removed.is_empty() { String::new() } else { format!(", removed in {}", used.removed) };
            found.about(
                &REQUESTED,
                "apiserver_requested_deprecated_apis",
                format!("{} {}{removed}", used.api_version, used.resource),
            );
        }
    }
}
