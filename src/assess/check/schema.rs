//! Fields the target's own schema does not know. PURE.
//!
//! Held against the OpenAPI documents of the target's server, for objects that both sides serve in one version: what is
//! converted is checked by its converter. Vendor maps and free-form fields have no properties there and are not looked into.

use serde_json::{Map, Value};

use super::Check;
use crate::assess::rule::{Effort, Findings, Rule};
use crate::assess::sight::Sight;

/// The check.
pub const CHECK: Check = Check { rules: &[&UNKNOWN], look };

const UNKNOWN: Rule = Rule {
    id: "XF-V006",
    title: "field the target does not know",
    effort: Effort::Blocked,
    why: "The target's server refuses to apply an object with a field that is not in its schema.",
    fix: "Patch the field away with a transform, or move its meaning to what replaced it.",
};

/// A schema is walked no deeper than this: the deepest built-in object, a pod in a job in a cron job, has 17 levels.
const DEEPEST: usize = 40;

fn look(sight: &Sight<'_>, found: &mut Findings) {
    for manifest in sight.objects() {
        let Some(document) = sight.target.schemas.get(manifest.api_version()) else { continue };
        let Some(schemas) = document.pointer("/components/schemas").and_then(Value::as_object) else { continue };
        let Some(schema) = schema_of(schemas, manifest.api_version(), &manifest.object().kind) else { continue };
        let mut unknown = Vec::new();
        // The server's own part is not what somebody applies.
        for (key, value) in manifest.value().as_object().into_iter().flatten().filter(|(key, _)| *key != "status") {
            if let Some(schema) = properties(schemas, schema).and_then(|known| known.get(key)) {
                walk(schemas, schema, value, key, DEEPEST, &mut unknown);
            } else if key != "apiVersion" && key != "kind" && properties(schemas, schema).is_some() {
                unknown.push(key.clone());
            }
        }
        for field in unknown.into_iter().filter(|field| !is_server_made(field)) {
            found.on(
                &UNKNOWN,
                manifest.object(),
                field,
                format!("is no field of {} on the target", manifest.api_version()),
            );
        }
    }
}

/// Metadata that the mirror leaves behind in any case.
fn is_server_made(field: &str) -> bool {
    ["metadata.selfLink", "metadata.clusterName", "metadata.managedFields"].contains(&field)
}

/// The schema of a kind, which names itself in an extension.
fn schema_of<'a>(schemas: &'a Map<String, Value>, api_version: &str, kind: &str) -> Option<&'a Value> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    schemas.values().find(|schema| {
        let names = schema.get("x-kubernetes-group-version-kind").and_then(Value::as_array);
        names.is_some_and(|names| {
            names.iter().any(|name| name["group"] == group && name["version"] == version && name["kind"] == kind)
        })
    })
}

/// The schema that a `$ref`, or an `allOf` of one, stands for.
fn resolve<'a>(schemas: &'a Map<String, Value>, schema: &'a Value) -> &'a Value {
    let reference = schema.get("$ref").or_else(|| schema.pointer("/allOf/0/$ref")).and_then(Value::as_str);
    let name = reference.and_then(|reference| reference.strip_prefix("#/components/schemas/"));
    name.and_then(|name| schemas.get(name)).unwrap_or(schema)
}

fn properties<'a>(schemas: &'a Map<String, Value>, schema: &'a Value) -> Option<&'a Map<String, Value>> {
    resolve(schemas, schema).get("properties").and_then(Value::as_object)
}

fn walk(
    schemas: &Map<String, Value>,
    schema: &Value,
    value: &Value,
    path: &str,
    left: usize,
    unknown: &mut Vec<String>,
) {
    if left == 0 {
        return;
    }
    let schema = resolve(schemas, schema);
    match value {
        Value::Object(map) => {
            let known = schema.get("properties").and_then(Value::as_object);
            let any = schema.get("additionalProperties");
            for (key, value) in map {
                let inner = known.and_then(|known| known.get(key)).or(any);
                match inner {
                    Some(inner) => walk(schemas, inner, value, &format!("{path}.{key}"), left - 1, unknown),
                    None if known.is_some() && !value.is_null() => unknown.push(format!("{path}.{key}")),
                    None => {}
                }
            }
        }
        Value::Array(items) => {
            let Some(inner) = schema.get("items") else { return };
            for (at, item) in items.iter().enumerate() {
                walk(schemas, inner, item, &format!("{path}[{at}]"), left - 1, unknown);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_every_field_that_is_not_in_the_schema() {
        let schemas = json!({
            "a": {"properties": {"spec": {"allOf": [{"$ref": "#/components/schemas/b"}]}}},
            "b": {"properties": {
                "size": {"type": "integer"},
                "labels": {"additionalProperties": {"type": "string"}},
                "free": {"type": "object"},
                "parts": {"items": {"$ref": "#/components/schemas/b"}},
            }},
        });
        let value = json!({"spec": {
            "size": 1, "gone": 2, "labels": {"x": "y"}, "free": {"anything": 1},
            "parts": [{"size": 1}, {"old": true, "null": null}],
        }});
        let mut unknown = Vec::new();
        let schemas = schemas.as_object().unwrap();
        walk(schemas, &schemas["a"], &value, "it", DEEPEST, &mut unknown);
        assert_eq!(unknown, ["it.spec.gone", "it.spec.parts[1].old"]);
    }
}
