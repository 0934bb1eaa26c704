//! Schemas of custom resources, as `apiextensions.k8s.io/v1` wants them: structural. PURE.
//!
//! What can be added without changing the meaning is added: the root's type, and the word that keeps unknown fields. What cannot
//! be said in a structural schema is found here, all of it at once; whether values and defaults fit is left to the server.

use serde_json::{Map, Value, json};

use super::finding::Finding;

/// The word that keeps fields the schema does not name.
const KEEPS_UNKNOWN: &str = "x-kubernetes-preserve-unknown-fields";
/// The word for a value that is a number or text, which needs no type.
const INT_OR_STRING: &str = "x-kubernetes-int-or-string";

/// Words of JSON Schema that a structural schema does not have.
const FORBIDDEN: &[&str] = &[
    "$ref",
    "$schema",
    "additionalItems",
    "definitions",
    "dependencies",
    "deprecated",
    "discriminator",
    "id",
    "patternProperties",
    "readOnly",
    "writeOnly",
    "xml",
];

/// Words that say what a value is, and may not stand where only a condition may.
const NO_CONDITION: &[&str] = &["additionalProperties", "default", "description", "nullable", "type", KEEPS_UNKNOWN];

/// The schema of an object about which nothing is known.
pub fn anything() -> Value {
    json!({"type": "object", KEEPS_UNKNOWN: true})
}

/// Adds what was understood by itself, and reports what no structural schema can say.
pub fn make_structural(root: &mut Value, path: &str, keeps_unknown: bool, findings: &mut Vec<Finding>) {
    if let Some(root) = root.as_object_mut() {
        // The root of a custom resource has never been anything else.
        root.entry("type").or_insert_with(|| "object".into());
    }
    if keeps_unknown {
        keep_unknown(root);
    }
    check(root, path, findings);
}

/// Says in every object of a schema that unknown fields are kept. At the root alone it would not be enough: servers prune
/// again wherever the schema describes a field.
fn keep_unknown(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    let is_object = schema.get("type").is_some_and(|named| named == "object") || schema.contains_key("properties");
    if is_object && !schema.contains_key("additionalProperties") {
        schema.insert(KEEPS_UNKNOWN.to_owned(), true.into());
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.values_mut().for_each(keep_unknown);
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get_mut(inner) {
            keep_unknown(inner);
        }
    }
}

fn check(schema: &Value, path: &str, findings: &mut Vec<Finding>) {
    let Some(schema) = schema.as_object() else {
        findings.push(Finding::blocks(path, "is not a schema"));
        return;
    };
    let says = |key: &str| schema.get(key).is_some_and(|value| *value == true);
    if !schema.contains_key("type") && !says(KEEPS_UNKNOWN) && !says(INT_OR_STRING) {
        findings.push(Finding::blocks(format!("{path}.type"), "is missing; v1 wants the type of every field"));
    }
    forbidden(schema, path, findings);
    if schema.contains_key("properties") && schema.contains_key("additionalProperties") {
        let message = "cannot stand beside properties in v1";
        findings.push(Finding::blocks(format!("{path}.additionalProperties"), message));
    }
    conditions(schema, path, says(INT_OR_STRING), findings);
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        check(property, &format!("{path}.properties[{name}]"), findings);
    }
    for key in ["items", "additionalProperties"] {
        match schema.get(key) {
            None | Some(Value::Bool(true)) => {}
            Some(inner) => check(inner, &format!("{path}.{key}"), findings),
        }
    }
}

fn forbidden(schema: &Map<String, Value>, path: &str, findings: &mut Vec<Finding>) {
    for key in FORBIDDEN.iter().filter(|key| schema.contains_key(**key)) {
        findings.push(Finding::blocks(format!("{path}.{key}"), "has no place in a structural schema"));
    }
    if schema.get("uniqueItems").is_some_and(|unique| *unique == true) {
        let message = "has no place in a structural schema; x-kubernetes-list-type: set says it";
        findings.push(Finding::blocks(format!("{path}.uniqueItems"), message));
    }
}

/// Looks into `allOf`, `anyOf`, `oneOf` and `not`, where only conditions may stand.
fn conditions(schema: &Map<String, Value>, path: &str, int_or_string: bool, findings: &mut Vec<Finding>) {
    for key in ["allOf", "anyOf", "oneOf"] {
        for (at, inner) in schema.get(key).and_then(Value::as_array).into_iter().flatten().enumerate() {
            // The one pattern in which types are alternatives.
            if !(int_or_string && key != "oneOf") {
                condition(inner, &format!("{path}.{key}[{at}]"), findings);
            }
        }
    }
    if let Some(inner) = schema.get("not") {
        condition(inner, &format!("{path}.not"), findings);
    }
}

fn condition(schema: &Value, path: &str, findings: &mut Vec<Finding>) {
    let Some(schema) = schema.as_object() else { return };
    for key in NO_CONDITION.iter().filter(|key| schema.contains_key(**key)) {
        findings.push(Finding::blocks(format!("{path}.{key}"), "may only stand outside of conditions in v1"));
    }
    forbidden(schema, path, findings);
    conditions(schema, path, false, findings);
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        condition(property, &format!("{path}.properties[{name}]"), findings);
    }
    if let Some(items) = schema.get("items") {
        condition(items, &format!("{path}.items"), findings);
    }
}
