//! Objects in files of YAML and JSON, each at its place. PURE.
//!
//! Files may hold many documents, lists of objects, anchors and comments. What cannot be read is reported, all of it at once: text
//! that is no YAML, keys written twice, documents that are no objects. How deep, how many and how often repeated is bounded by
//! the parser, so that no file can take the memory of the machine.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::policy::problem::Problems;
use crate::policy::tree::{self, Node, Span};
use crate::policy::{Problem, SourceFile};

/// One object as it stands in a file.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The file.
    pub file: String,
    /// The object.
    pub body: Value,
    node: Node,
}

impl Manifest {
    /// `apiVersion`, such as `apps/v1`.
    pub fn api_version(&self) -> &str {
        self.text("/apiVersion")
    }

    /// The kind.
    pub fn kind(&self) -> &str {
        self.text("/kind")
    }

    /// The name.
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// The object as a person names it: `Kind namespace/name`.
    pub fn title(&self) -> String {
        title(&self.body)
    }

    fn text(&self, pointer: &str) -> &str {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// Line and column of a field such as `spec.rules[0].host`, or of what there is of the way to it.
    pub fn place_of(&self, field: &str) -> (usize, usize) {
        let mut node = &self.node;
        let mut at = self.node.at;
        for step in steps(field) {
            let Some((place, next)) = child(node, step) else { break };
            (at, node) = (place, next);
        }
        (at.line.max(1), at.column.max(1))
    }
}

/// The object in JSON as a person names it.
pub fn title(body: &Value) -> String {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    match (text("/kind"), text("/metadata/namespace"), text("/metadata/name")) {
        (kind, "", "") => kind.to_owned(),
        (kind, "", name) => format!("{kind} {name}"),
        (kind, namespace, name) => format!("{kind} {namespace}/{name}"),
    }
}

/// An object as a document of YAML that readers of every version of YAML understand alike.
pub fn to_yaml(body: &Value) -> Result<String, serde_saphyr::ser::Error> {
    Ok(format!("---\n{}\n", serde_saphyr::to_string(body)?.trim_end()))
}

/// One step of a field's path.
#[derive(Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    /// A position in a list, or a key that is written in brackets because it holds dots.
    Bracket(&'a str),
}

fn steps(field: &str) -> Vec<Step<'_>> {
    let mut found = Vec::new();
    let mut rest = field;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let end = inner.find(']').unwrap_or(inner.len());
            found.push(Step::Bracket(&inner[..end]));
            rest = inner.get(end + 1..).unwrap_or_default();
        } else {
            let plain = rest.strip_prefix('.').unwrap_or(rest);
            let end = plain.find(['.', '[']).unwrap_or(plain.len());
            found.push(Step::Key(&plain[..end]));
            rest = &plain[end..];
        }
    }
    found
}

fn child<'n>(node: &'n Node, step: Step<'_>) -> Option<(Span, &'n Node)> {
    match (&node.value, step) {
        (tree::Value::Seq(items), Step::Bracket(at)) => {
            let item = items.get(at.parse::<usize>().ok()?)?;
            Some((item.at, item))
        }
        (tree::Value::Map(entries), Step::Key(key) | Step::Bracket(key)) => {
            let (key, value) = entries.iter().find(|(known, _)| known.text == key)?;
            Some((key.at, value))
        }
        _ => None,
    }
}

/// Every object of all files in their order, or every mistake in them.
pub fn read(files: &[SourceFile]) -> Result<Vec<Manifest>, Vec<Problem>> {
    let mut manifests = Vec::new();
    let mut mistakes = Vec::new();
    for file in files {
        let problems = Problems::new(file);
        match tree::parse_manifests(&file.text) {
            Ok(documents) => {
                for node in documents {
                    twice(&node, "", &problems);
                    collect(file, node, "", &problems, &mut manifests);
                }
            }
            Err(error) => problems.push(error.at, "", error.message, None),
        }
        mistakes.extend(problems.into_sorted());
    }
    if mistakes.is_empty() { Ok(manifests) } else { Err(mistakes) }
}

/// Adds the object in a document, or each one of a list.
fn collect(file: &SourceFile, node: Node, path: &str, problems: &Problems, found: &mut Vec<Manifest>) {
    let tree::Value::Map(entries) = &node.value else {
        problems.push(node.at, path, format!("is {} and no object", node.value.kind()), None);
        return;
    };
    let text = |key: &str| {
        let value = entries.iter().find(|(known, _)| known.text == key).map(|(_, node)| &node.value);
        match value {
            Some(tree::Value::Text(text)) if !text.is_empty() => Some(text.as_str()),
            _ => None,
        }
    };
    let (Some(version), Some(kind)) = (text("apiVersion"), text("kind")) else {
        problems.push(node.at, path, "is no object of Kubernetes: apiVersion and kind are missing", None);
        return;
    };
    let items = entries.iter().position(|(key, _)| key.text == "items");
    // `List` is what kubectl writes, `IngressList` what a server does.
    if let Some(at) = items.filter(|_| kind.ends_with("List")) {
        let inner = (version.to_owned(), kind.trim_end_matches("List").to_owned());
        let path = if path.is_empty() { "items".to_owned() } else { format!("{path}.items") };
        list(file, &entries[at].1, &inner, &path, problems, found);
        return;
    }
    found.push(Manifest { file: file.name.clone(), body: node.value.to_json(), node });
}

fn list(
    file: &SourceFile,
    items: &Node,
    (version, kind): &(String, String),
    path: &str,
    problems: &Problems,
    found: &mut Vec<Manifest>,
) {
    let tree::Value::Seq(items) = &items.value else {
        problems.push(items.at, path, format!("is {} and no list", items.value.kind()), None);
        return;
    };
    for (at, item) in items.iter().enumerate() {
        let mut item = item.clone();
        // Entries of a server's list have no version and kind of their own.
        if let tree::Value::Map(entries) = &mut item.value
            && !kind.is_empty()
        {
            for (key, value) in [("kind", kind), ("apiVersion", version)] {
                if !entries.iter().any(|(known, _)| known.text == key) {
                    let key = tree::Key { at: item.at, text: key.to_owned() };
                    entries.insert(0, (key, Node { at: item.at, value: tree::Value::Text(value.clone()) }));
                }
            }
        }
        collect(file, item, &format!("{path}[{at}]"), problems, found);
    }
}

/// Reports every key that is written twice.
fn twice(node: &Node, path: &str, problems: &Problems) {
    match &node.value {
        tree::Value::Map(entries) => {
            let mut seen = BTreeSet::new();
            for (key, value) in entries {
                let inner = if path.is_empty() { key.text.clone() } else { format!("{path}.{}", key.text) };
                if !seen.insert(key.text.as_str()) {
                    problems.push(key.at, &inner, "is written twice; which one is meant?", None);
                }
                twice(value, &inner, problems);
            }
        }
        tree::Value::Seq(items) => {
            items.iter().enumerate().for_each(|(at, item)| twice(item, &format!("{path}[{at}]"), problems));
        }
        _ => {}
    }
}
