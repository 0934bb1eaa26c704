//! Whole sets of manifests for one release of Kubernetes, without asking any cluster. PURE.
//!
//! An object whose version the release serves stays as it is; one whose version is gone is converted; one that nothing takes the
//! place of, or of which something would get lost, is left out and named. A ReplicationController always becomes a Deployment, a
//! PodSecurityPolicy a label of the namespaces that used it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde_json::Value;

use super::known::unknown;
use super::manifests::{Manifest, title};
use super::{ENFORCE, Finding, GONE, Gone, Severity, Users, conversion_of, level, renew, waive};

/// A release of Kubernetes, by its minor number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release(u32);

/// Text that names no release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no release of Kubernetes such as 1.37")]
pub struct NotARelease(String);

impl FromStr for Release {
    type Err = NotARelease;

    fn from_str(text: &str) -> Result<Self, NotARelease> {
        let mut parts = text.trim_start_matches('v').split('.');
        let minor = match (parts.next(), parts.next()) {
            (Some("1"), Some(minor)) => minor.parse().ok(),
            _ => None,
        };
        minor.map(Self).ok_or_else(|| NotARelease(text.to_owned()))
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

/// Something about one object, at its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// The file.
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Column, counted from 1.
    pub column: usize,
    /// The object, as `Kind namespace/name`.
    pub object: String,
    /// What it is called where it is waived.
    pub id: String,
    /// What is the matter, and how much it matters.
    #[serde(flatten)]
    pub finding: Finding,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, object, id, finding } = self;
        match finding.severity {
            Severity::Blocks => write!(f, "{file}:{line}:{column}: blocks: {object}: {finding} [{id}]"),
            Severity::Notice => write!(f, "{file}:{line}:{column}: notice: {object}: {finding}"),
        }
    }
}

/// What became of a set of manifests.
#[derive(Debug, Default, PartialEq)]
pub struct Outcome {
    /// The objects, in their order, ready to be applied.
    pub objects: Vec<Value>,
    /// What is to be known about them, in their order.
    pub remarks: Vec<Remark>,
    /// How many were converted.
    pub converted: usize,
    /// How many were left out, because something about them blocks.
    pub left: usize,
}

/// Metadata that a server wrote, and refuses or ignores when it is applied.
const BY_THE_SERVER: &[&str] =
    &["creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"];

/// Groups of Kubernetes itself that do not end in `.k8s.io`; the core group has no name.
const GROUPS: &[&str] = &["", "apps", "autoscaling", "batch", "extensions", "policy"];

/// Brings every object to a version the release serves. Findings whose names `is_waived` knows do not block.
pub fn convert_all(manifests: &[Manifest], release: Release, is_waived: impl Fn(&str) -> bool) -> Outcome {
    let mut outcome = Outcome::default();
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    // As long as there are policies, nothing has to take their place.
    let matters = |manifest: &&Manifest| release.0 >= 25 || manifest.kind() != "PodSecurityPolicy";
    let users = Users::of(manifests.iter().filter(matters).map(|manifest| &manifest.body));
    let converted: Vec<_> = manifests.iter().map(|manifest| one(manifest, release, &users)).collect();
    for (at, (manifest, (body, _))) in manifests.iter().zip(&converted).enumerate() {
        // An object that keeps its kind has the older right to its name.
        if body.as_ref().is_some_and(|body| title(body) == manifest.title()) {
            taken.entry(manifest.title()).or_insert(at);
        }
    }
    for (at, (manifest, (mut body, mut findings))) in manifests.iter().zip(converted).enumerate() {
        if let Some(body) = body.as_mut().filter(|_| manifest.kind() == "Namespace") {
            findings.extend(users.label(body));
        }
        if let Some(body) = &body {
            findings.extend(collision(&taken, at, manifests, &title(body)));
            findings.extend(adoption(manifest, body, manifests));
            taken.entry(title(body)).or_insert(at);
        }
        waive(&mut findings, manifest.kind(), &is_waived);
        let blocked = findings.iter().any(|finding| finding.severity == Severity::Blocks);
        outcome.remarks.extend(findings.into_iter().map(|finding| remark(manifest, finding)));
        match body.filter(|_| !blocked) {
            Some(body) => {
                outcome.converted += usize::from(body["apiVersion"] != *manifest.api_version());
                outcome.objects.push(body);
            }
            None if blocked => outcome.left += 1,
            // Its namespaces get labels; those that are not among the input stand in its place.
            None if manifest.kind() == "PodSecurityPolicy" => {
                outcome.converted += usize::from(!users.of_policy(manifest.name()).is_empty());
                outcome.objects.extend(users.unwritten(manifest.name()));
            }
            None => {}
        }
    }
    outcome
}

fn remark(manifest: &Manifest, finding: Finding) -> Remark {
    let (line, column) = manifest.place_of(&finding.field);
    let id = finding.id(manifest.kind());
    Remark { file: manifest.file.clone(), line, column, object: manifest.title(), id, finding }
}

/// One object for a release: what it becomes, if anything, and what is to be known.
fn one(manifest: &Manifest, release: Release, users: &Users) -> (Option<Value>, Vec<Finding>) {
    let (kind, version) = (manifest.kind(), manifest.api_version());
    let is_gone = |gone: &&Gone| gone.removed.is_none_or(|removed| removed <= release.0);
    let mut gone = GONE.iter().filter(|gone| gone.kind == kind && gone.versions.contains(&version));
    if let Some(gone) = gone.find(is_gone) {
        return (None, obituary(gone, manifest, users));
    }
    if let Some((field, what)) = unknown(kind, version) {
        return (Some(manifest.body.clone()), vec![Finding::blocks(field, what)]);
    }
    let mut findings = Vec::new();
    let must = |conversion: &&super::Conversion| match conversion.removed {
        Some(removed) => removed <= release.0,
        None => conversion.becomes != conversion.kind,
    };
    let mut body = match conversion_of(kind, version).filter(must) {
        None => manifest.body.clone(),
        Some(conversion) if conversion.since > release.0 => {
            let message = format!("{release} serves neither {version} nor its successor {}", conversion.to);
            return (None, vec![Finding::blocks("apiVersion", message)]);
        }
        Some(conversion) => {
            let converted = conversion.convert(manifest.body.clone());
            findings = converted.findings;
            converted.body
        }
    };
    let group = version.split_once('/').map_or("", |(group, _)| group);
    if GROUPS.contains(&group) || group.ends_with(".k8s.io") {
        let kind = body["kind"].as_str().unwrap_or_default().to_owned();
        renew(&kind, &mut body, &mut findings);
        scrub(&mut body);
        findings.extend(too_large(&body));
    } else {
        findings.push(Finding::notice("", format!("{version} is not Kubernetes' own; it is passed on as it is")));
    }
    (Some(body), findings)
}

/// Bytes of all values that servers take in a ConfigMap or a Secret, those of a Secret before base64.
const MOST_DATA: usize = 1 << 20;

/// Bytes of an object that etcd takes, unless it is told otherwise.
const MOST_BYTES: usize = 3 << 19;

/// Whether no server would take an object of this size.
fn too_large(body: &Value) -> Option<Finding> {
    let bytes = |field: &str| {
        let values = body.get(field).and_then(Value::as_object).into_iter().flatten();
        values.filter_map(|(_, value)| value.as_str()).map(str::len).sum::<usize>()
    };
    let data = match body["kind"].as_str() {
        Some("ConfigMap") => bytes("data") + bytes("binaryData") / 4 * 3,
        Some("Secret") => bytes("stringData") + bytes("data") / 4 * 3,
        _ => 0,
    };
    if data > MOST_DATA {
        let message = format!("holds {data} bytes, and servers take {MOST_DATA}");
        return Some(Finding::blocks("data", message));
    }
    let all = body.to_string().len();
    (all > MOST_BYTES).then(|| Finding::blocks("", format!("has {all} bytes, and servers store {MOST_BYTES}")))
}

/// What is said of a kind that nothing takes the place of.
fn obituary(gone: &Gone, manifest: &Manifest, users: &Users) -> Vec<Finding> {
    if gone.kind != "PodSecurityPolicy" {
        return vec![Finding::blocks("", gone.why)];
    }
    let needed = level(&manifest.body);
    let why = gone.why;
    let finding = match users.of_policy(manifest.name()).join(", ") {
        none if none.is_empty() => {
            let message = format!(
                "{why}, and no role binding among these files says of which: label those that used it with {ENFORCE}: {}",
                needed.level
            );
            Finding::blocks("", message)
        }
        places => Finding::notice("", format!("{why}: here of {places}")),
    };
    let mut findings = vec![finding];
    findings.extend(needed.findings);
    findings
}

/// Whether another object has the name that this one takes.
fn collision(taken: &BTreeMap<String, usize>, at: usize, manifests: &[Manifest], title: &str) -> Option<Finding> {
    let other = *taken.get(title).filter(|other| **other != at)?;
    let (line, _) = manifests[other].place_of("");
    let place = format!("{}:{line}", manifests[other].file);
    Some(if manifests[at].title() == title {
        Finding::notice("", format!("is there twice; the other one is at {place}"))
    } else {
        Finding::blocks("", format!("would become {title}, which is there already, at {place}"))
    })
}

/// Whether a Deployment that was none would take a ReplicaSet over that belongs to nobody, and let it go as an old revision.
fn adoption(manifest: &Manifest, body: &Value, manifests: &[Manifest]) -> Option<Finding> {
    let namespace = |body: &Value| body.pointer("/metadata/namespace").cloned();
    let chosen =
        body.pointer("/spec/selector/matchLabels")?.as_object().filter(|_| manifest.body["kind"] != body["kind"])?;
    let matches = |other: &&Manifest| {
        let labels = other.body.pointer("/metadata/labels");
        let all = labels.is_some_and(|labels| chosen.iter().all(|(key, value)| labels.get(key) == Some(value)));
        let owned = other.body.pointer("/metadata/ownerReferences").is_some();
        other.kind() == "ReplicaSet" && all && !owned && namespace(&other.body) == namespace(body)
    };
    let other = manifests.iter().find(matches)?;
    let message = format!("matches {}, which belongs to nobody: the Deployment would adopt it", other.title());
    Some(Finding::blocks("spec.selector", message))
}

/// Removes what a server wrote.
fn scrub(body: &mut Value) {
    let Some(object) = body.as_object_mut() else { return };
    object.remove("status");
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.retain(|key, _| !BY_THE_SERVER.contains(&key.as_str()));
    }
}
