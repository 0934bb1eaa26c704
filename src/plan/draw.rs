//! The plan itself, drawn from what was read. PURE.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::assess::{Room as Resources, side_effects};
use crate::cluster::{Change, Desired, Manifest, MirrorPlan, ObjectRef, between, missing, without_digest};
use crate::policy::{API_VERSION, Migration};

/// The layout of plan files; another number is another layout.
pub const FORMAT: u32 = 1;

/// The most a ConfigMap or Secret may hold (`MaxSecretSize` and the validation of ConfigMaps in Kubernetes).
const MOST_DATA: usize = 1024 * 1024;
/// The most etcd takes in one request by default (`--max-request-bytes`).
const MOST_BYTES: usize = 1536 * 1024;

/// Everything a mirror would do. Fields of files are never left out or added in secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// `crossfade.dev/v1alpha1`.
    pub api_version: String,
    /// `Plan`.
    pub kind: String,
    /// The layout.
    pub format: u32,
    /// The migration as it was when the plan was made.
    pub migration: Migration,
    /// The version of the source's server.
    pub source_version: String,
    /// The version of the target's server.
    pub target_version: String,
    /// Objects in the order of writing: what is referred to comes first.
    pub objects: Vec<Planned>,
    /// What stands in the way, and what is worth knowing.
    pub problems: Vec<Problem>,
    /// What controllers outside of the cluster would do.
    pub effects: Vec<Effect>,
    /// What the pods ask for, and what was free; none where it may not be read.
    pub room: Option<Room>,
}

/// One object of the target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Planned {
    /// Which.
    pub object: ObjectRef,
    /// Which object of the source it comes from; none for a namespace, which is only made.
    pub from: Option<ObjectRef>,
    /// The version it is read in.
    pub read_as: Option<String>,
    /// What is done.
    pub step: Step,
    /// What differs from the source's object: converted, scrubbed, transformed, mapped.
    pub on_the_way: Vec<Change>,
    /// What changes on the target.
    pub changes: Vec<Change>,
    /// The size to start with, where an autoscaler decides from then on.
    pub initial_replicas: Option<u32>,
    /// What stands for the values of a Secret: the source's `uid` and `resourceVersion`.
    pub secret_version: Option<String>,
    /// The object as it is written; of a Secret without its values.
    pub manifest: Value,
}

/// What is done with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// It is made.
    Create,
    /// It is changed.
    Change,
    /// It is as it should be.
    Keep,
}

/// Something in the way, or worth knowing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Problem {
    /// Whether it forbids to apply anything.
    pub blocks: bool,
    /// The object; none where the Migration itself is meant.
    pub object: Option<ObjectRef>,
    /// Path of the field; empty for the whole object.
    pub field: String,
    /// What is the matter.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object = self.object.as_ref().map(ToString::to_string).unwrap_or_default();
        let parts = [object.as_str(), &self.field, &self.message].into_iter().filter(|part| !part.is_empty());
        f.write_str(&parts.collect::<Vec<_>>().join(": "))
    }
}

/// Something that a controller outside of the cluster does about an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Effect {
    /// The object.
    pub object: ObjectRef,
    /// The field that asks for it.
    pub field: String,
    /// What happens.
    pub what: String,
}

/// Room on the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Room {
    /// What all pods of the plan ask for.
    pub asked: Resources,
    /// Whether that fits into what is free. What is free itself changes all the time and is no part of a plan.
    pub fits: bool,
}

/// Everything a plan is drawn from.
pub struct Inputs<'a> {
    /// The migration.
    pub migration: &'a Migration,
    /// Versions of the two servers.
    pub versions: [String; 2],
    /// What was read of the source.
    pub source: &'a BTreeMap<ObjectRef, Manifest>,
    /// What the target shall hold.
    pub mirror: &'a MirrorPlan,
    /// What the target holds of those now.
    pub live: &'a BTreeMap<ObjectRef, Manifest>,
    /// What is free on the target, where it may be known.
    pub free: Option<Resources>,
}

/// Draws the plan.
pub fn draw(inputs: &Inputs<'_>) -> Plan {
    let mut problems: Vec<_> = inputs.mirror.problems.iter().map(problem).collect();
    problems.extend(inputs.mirror.objects.iter().filter_map(|desired| too_large(&desired.manifest)));
    problems.sort();
    problems.dedup();
    let manifests = || inputs.mirror.objects.iter().map(|desired| &desired.manifest);
    let effects = manifests().flat_map(|manifest| {
        let object = manifest.object();
        let effect =
            move |(what, field): (&str, String)| Effect { object: object.clone(), field, what: what.to_owned() };
        side_effects(manifest).into_iter().map(effect)
    });
    let asked = inputs.mirror.objects.iter().fold(Resources::default(), |asked, desired| asked + asked_by(desired));
    let [source_version, target_version] = inputs.versions.clone();
    Plan {
        api_version: API_VERSION.to_owned(),
        kind: "Plan".to_owned(),
        format: FORMAT,
        migration: inputs.migration.clone(),
        source_version,
        target_version,
        objects: inputs.mirror.objects.iter().map(|desired| planned(inputs, desired)).collect(),
        problems,
        effects: effects.collect(),
        room: inputs.free.map(|free| Room { asked, fits: free.holds(asked) }),
    }
}

impl Plan {
    /// What forbids to apply it.
    pub fn blockers(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(|problem| problem.blocks)
    }
}

fn problem(found: &crate::cluster::MirrorProblem) -> Problem {
    let (blocks, object) = (found.blocks(), found.object.clone());
    Problem { blocks, object, field: found.finding.field.clone(), message: found.finding.message.clone() }
}

fn too_large(manifest: &Manifest) -> Option<Problem> {
    let bytes = |value: &Value| value.to_string().len();
    let data = ["data", "binaryData"].iter().filter_map(|key| manifest.value().get(key)).map(bytes).sum::<usize>();
    let (size, most, what) = match bytes(manifest.value()) {
        all if all > MOST_BYTES => (all, MOST_BYTES, "the server's store takes in one request"),
        // Base64 of a Secret or of binary data is longer than what counts, so this may be early by a quarter.
        _ if data > MOST_DATA => (data, MOST_DATA, "an object may hold"),
        _ => return None,
    };
    let message = format!("is {} KiB, more than the {} KiB {what}", size / 1024, most / 1024);
    Some(Problem { blocks: true, object: Some(manifest.object().clone()), field: String::new(), message })
}

/// What all pods of a workload ask for.
fn asked_by(desired: &Desired) -> Resources {
    let body = desired.manifest.value();
    let Some(spec) = body.pointer("/spec/template/spec") else { return Resources::default() };
    let own = || body.pointer("/spec/replicas").and_then(Value::as_u64).and_then(|count| u32::try_from(count).ok());
    Resources::of_pod(spec).times(desired.initial_replicas.or_else(own).unwrap_or(1))
}

fn planned(inputs: &Inputs<'_>, desired: &Desired) -> Planned {
    let object = desired.object().clone();
    let from = inputs.source.get(&desired.made_of);
    let manifest = shown(&desired.manifest);
    let live = inputs.live.get(&object);
    let changes = live.map(|live| hidden(&object, missing(live.value(), desired.manifest.value()))).unwrap_or_default();
    let step = match live {
        None => Step::Create,
        Some(live) if changes.is_empty() && !live.is_deleting() => Step::Keep,
        Some(_) => Step::Change,
    };
    let converted = from.is_some_and(|from| from.api_version() != desired.api_version());
    let on_the_way = match from {
        // A converted object has its fields elsewhere; that it is converted says more than a list of all of them.
        Some(from) if !converted => hidden(&object, on_the_way(from, &desired.manifest)),
        _ => Vec::new(),
    };
    Planned {
        from: from.map(|from| from.object().clone()),
        read_as: from.map(|from| from.api_version().to_owned()),
        step,
        on_the_way,
        changes,
        initial_replicas: desired.initial_replicas,
        secret_version: from.filter(|_| object.kind == "Secret").map(secret_version),
        manifest,
        object,
    }
}

/// What stands for the values of a Secret.
fn secret_version(secret: &Manifest) -> String {
    let uid = secret.value().pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
    format!("{uid} {}", secret.resource_version().unwrap_or_default())
}

/// An object as a plan may show it: of a Secret only which keys it has, and no fingerprint.
fn shown(manifest: &Manifest) -> Value {
    if manifest.object().kind != "Secret" {
        return manifest.value().clone();
    }
    let mut body = without_digest(manifest).into_value();
    for key in ["data", "stringData"] {
        for (_, value) in body.get_mut(key).and_then(Value::as_object_mut).into_iter().flatten() {
            *value = Value::Null;
        }
    }
    body
}

/// Changes without values of a Secret.
fn hidden(object: &ObjectRef, mut changes: Vec<Change>) -> Vec<Change> {
    if object.kind == "Secret" {
        changes.retain(|change| !change.field.contains("last-applied-configuration"));
        for change in &mut changes {
            (change.from, change.to) = (None, None);
        }
    }
    changes
}

/// What becomes of the fields of an object on its way, but for what every cluster writes for itself.
fn on_the_way(from: &Manifest, to: &Manifest) -> Vec<Change> {
    let own = |manifest: &Manifest| {
        let mut body = without_digest(manifest).into_value();
        if let Some(body) = body.as_object_mut() {
            body.remove("status");
        }
        if let Some(Value::Object(metadata)) = body.get_mut("metadata") {
            metadata.retain(|key, _| ["name", "namespace", "labels", "annotations"].contains(&key.as_str()));
            let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
            if let Some(annotations) = annotations.as_object_mut() {
                annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
                annotations.remove("deployment.kubernetes.io/revision");
            }
        }
        body
    };
    let mut changes = between(&own(from), &own(to));
    // Old servers write nulls that mean nothing.
    changes.retain(|change| change.to.is_some() || change.from.as_ref().is_some_and(|from| !from.is_null()));
    changes
}
