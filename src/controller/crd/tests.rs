//! The definitions are those in `deploy/`, and know the same fields as the reader of files.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::*;
use crate::policy::{SourceFile, load};

#[test]
fn deploy_holds_these_definitions() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/crds.yaml");
    let documents = all().iter().map(|definition| serde_saphyr::to_string(definition).unwrap()).collect::<Vec<_>>();
    let text: String = documents.iter().map(|document| format!("---\n{}\n", document.trim_end())).collect();
    let found = std::fs::read_to_string(path).unwrap();
    assert!(found == text, "write it again: cargo run -- controller crds > deploy/crds.yaml");
}

fn spec(kind: &str) -> Value {
    let all = serde_json::to_value(all()).unwrap();
    let definition = all.as_array().unwrap().iter().find(|definition| definition["spec"]["names"]["kind"] == kind);
    definition.unwrap()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
}

/// Fields of which an entry of a list has exactly one.
const VARIANTS: [&[&str]; 4] = [
    &["balancer", "haproxy", "nginx", "envoy", "dns", "exec", "webhook", "embedded"],
    &["setWeight", "pause", "approval", "drill"],
    &["errorRate", "slowRate", "planeErrors", "probe", "quantile", "value", "alerts"],
    &["value", "valueFrom"],
];

/// An object with every field of a schema, and one that nobody knows in each object of it. A list has an entry for each variant.
fn full(schema: &Value, path: &str, known: &mut BTreeMap<String, Vec<String>>) -> Value {
    if schema["items"].is_object() {
        let items = &schema["items"];
        let has = |name: &&str| items["properties"].get(name).is_some();
        let variants = VARIANTS.into_iter().find(|names| names.iter().all(has)).unwrap_or(&[""]);
        let entries = variants.iter().enumerate().map(|(index, variant)| {
            let mut entry = full(items, &format!("{path}[{index}]"), known);
            if let Some(entry) = entry.as_object_mut() {
                entry.retain(|name, _| name == variant || !variants.contains(&name.as_str()));
            }
            // What was left out of this entry is not read.
            let left_out = |inner: &String| {
                let inner = inner.strip_prefix(&format!("{path}[{index}].")).unwrap_or_default();
                let name = inner.split(['.', '[']).next().unwrap_or_default();
                name != *variant && variants.contains(&name)
            };
            known.retain(|inner, _| !left_out(inner));
            entry
        });
        return entries.collect();
    }
    let Some(properties) = schema["properties"].as_object() else {
        return if schema["type"] == "object" { json!({"unheard-of": "x"}) } else { json!("x") };
    };
    known.insert(path.to_owned(), properties.keys().cloned().collect());
    let fields =
        properties.iter().map(|(name, property)| (name.clone(), full(property, &format!("{path}.{name}"), known)));
    let mut object: Map<String, Value> = fields.collect();
    object.insert("unheard-of".to_owned(), json!(1));
    Value::Object(object)
}

/// The fields that the reader says it knows, for each object with one that it does not.
fn read(kind: &str, spec: &Value) -> BTreeMap<String, Vec<String>> {
    let document =
        json!({"apiVersion": "crossfade.dev/v1alpha1", "kind": kind, "metadata": {"name": "a"}, "spec": spec});
    let problems = load(&[SourceFile { name: kind.to_owned(), text: document.to_string() }]).unwrap_err().problems;
    let unknown = problems.iter().filter(|problem| problem.message == "is not a field of this object");
    let told = unknown.filter_map(|problem| {
        let known = problem.help.as_ref()?.strip_prefix("known here: ")?;
        let mut known: Vec<String> = known.split(", ").filter(|name| !name.is_empty()).map(str::to_owned).collect();
        known.sort();
        Some((problem.field.strip_suffix(".unheard-of")?.to_owned(), known))
    });
    told.collect()
}

#[test]
fn the_schemas_know_the_fields_that_the_reader_knows() {
    for kind in ["Migration", "ShiftPolicy"] {
        let mut known = BTreeMap::new();
        let document = full(&spec(kind), "spec", &mut known);
        let read = read(kind, &document);
        for (path, mut fields) in known {
            fields.sort();
            assert_eq!(read.get(&path), Some(&fields), "{kind}: {path}");
        }
    }
}

#[test]
fn every_object_of_a_specification_keeps_fields_it_does_not_know() {
    fn check(schema: &Value, path: &str) {
        if schema["properties"].is_object() {
            assert_eq!(schema["x-kubernetes-preserve-unknown-fields"], true, "{path}");
        }
        let inner = schema["properties"].as_object().into_iter().flatten();
        inner.for_each(|(name, property)| check(property, &format!("{path}.{name}")));
        if schema["items"].is_object() {
            check(&schema["items"], &format!("{path}[]"));
        }
    }
    ["Migration", "ShiftPolicy", "Cluster"].iter().for_each(|kind| check(&spec(kind), kind));
}

#[test]
fn a_state_that_somebody_else_wrote_is_refused() {
    let assignment = load(&[SourceFile {
        name: "checkout.yaml".to_owned(),
        text: include_str!("../../demo/checkout.yaml").to_owned(),
    }]);
    let definitions = assignment.unwrap();
    let migration = definitions.migrations[0].clone();
    let policy = definitions.policies[0].clone();
    let assignment = crate::policy::Assignment { migration, policy };
    let state = crate::migration::State::new(assignment, jiff::Timestamp::UNIX_EPOCH);
    let kept = Kept::new(&state).unwrap();
    assert_eq!(kept.state().unwrap(), state);
    let edited = Kept { json: kept.json.replace("preparing", "completed"), ..kept.clone() };
    assert!(matches!(edited.state(), Err(KeptError::Damaged)));
    assert!(matches!(Kept { format: 1, ..kept }.state(), Err(KeptError::Format(1))));
}
