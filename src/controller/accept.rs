//! What an object means, and whether it can be carried out beside the others. No IO.
//!
//! An object goes through the very same reader as a file. Its mistakes are reported on it, all of them, each with its field; they
//! are nobody else's.

use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::json;

use crate::policy::{self, Assignment, Migration, SourceFile};

/// Why an object is not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// In one word.
    pub reason: &'static str,
    /// In a sentence.
    pub message: String,
}

/// The policy a Migration names, where it names one.
pub fn policy_name(migration: &DynamicObject) -> Option<&str> {
    migration.data.pointer("/spec/policy/name")?.as_str()
}

/// Reads a Migration and its policy, or says everything that is wrong with them.
pub fn read(migration: &DynamicObject, policy: Option<&DynamicObject>) -> Result<Assignment, Refusal> {
    let mut files = vec![file("Migration", migration)];
    match (policy, policy_name(migration)) {
        (Some(policy), _) => files.push(file("ShiftPolicy", policy)),
        (None, Some(name)) => {
            let namespace = migration.namespace().unwrap_or_default();
            let message = format!("spec.policy.name: there is no ShiftPolicy {name} in namespace {namespace}");
            return Err(Refusal { reason: "NoPolicy", message });
        }
        // Its absence is one of the mistakes found below.
        (None, None) => {}
    }
    let definitions = policy::load(&files)
        .map_err(|invalid| Refusal { reason: "InvalidSpec", message: sentences(&invalid.problems, sentence) })?;
    let read = definitions.migrations.into_iter().zip(definitions.policies).next();
    let (migration, policy) = read.ok_or(Refusal { reason: "InvalidSpec", message: "is incomplete".to_owned() })?;
    Ok(Assignment { migration, policy })
}

/// Everything that is wrong with a policy by itself, where anything is.
pub fn read_policy(policy: &DynamicObject) -> Result<(), String> {
    let read = policy::load(&[file("ShiftPolicy", policy)]);
    read.map(|_| ()).map_err(|invalid| sentences(&invalid.problems, about_field))
}

fn sentences(problems: &[policy::Problem], say: fn(&policy::Problem) -> String) -> String {
    problems.iter().map(say).collect::<Vec<_>>().join("; ")
}

/// An object as a file: what its owner wrote, without what API servers add.
fn file(kind: &str, object: &DynamicObject) -> SourceFile {
    let metadata = json!({"name": object.name_any(), "namespace": object.namespace().unwrap_or_default()});
    let spec = object.data.get("spec").cloned().unwrap_or_default();
    let text = json!({"apiVersion": policy::API_VERSION, "kind": kind, "metadata": metadata, "spec": spec});
    SourceFile { name: format!("{kind} {}", object.name_any()), text: text.to_string() }
}

fn sentence(problem: &policy::Problem) -> String {
    let field = about_field(problem);
    if problem.file.starts_with("ShiftPolicy") { format!("{}: {field}", problem.file) } else { field }
}

fn about_field(problem: &policy::Problem) -> String {
    let mut sentence = String::new();
    if !problem.field.is_empty() {
        sentence += &format!("{}: ", problem.field);
    }
    sentence += &problem.message;
    if let Some(help) = &problem.help {
        sentence += &format!(" ({help})");
    }
    sentence
}

/// What two migrations would both write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contest {
    /// This, for as long as there are both.
    Certain(String),
    /// This perhaps: which workloads the other one has taken is known once it has begun (`Store::others`).
    Possible(String),
}

/// What two migrations would both write, or may, if there is anything.
///
/// Two selections may overlap unless they ask one label for different values: an object with the labels of both would be moved by
/// both. A backend of a balancer belongs to one.
pub fn contested(a: &Migration, b: &Migration) -> Option<Contest> {
    for plane in &a.planes {
        if b.planes.iter().any(|theirs| theirs.driver.shifts_the_same_as(&plane.driver)) {
            return Some(Contest::Certain(plane.driver.subject()));
        }
    }
    let (ours, theirs) = (&a.workloads, &b.workloads);
    let namespace = ours.namespaces.iter().find(|namespace| theirs.namespaces.contains(namespace))?;
    let labels = (&ours.selector.match_labels, &theirs.selector.match_labels);
    let apart = labels.0.iter().any(|(key, value)| labels.1.get(key).is_some_and(|other| other != value));
    let meet = [&a.source, &a.target].iter().any(|cluster| [&b.source, &b.target].contains(cluster));
    (meet && !apart).then(|| Contest::Possible(format!("workloads of namespace {namespace}, perhaps the same")))
}

#[cfg(test)]
mod tests;
