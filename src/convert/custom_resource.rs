//! CustomResourceDefinition `apiextensions.k8s.io/v1beta1` → `v1`. PURE.
//!
//! Schema, subresources and columns belong to each version now, and a schema is mandatory. Unknown fields were kept by default;
//! `v1` keeps them only where the schema says so, so it is made to say so everywhere.

use serde_json::{Value, json};

use super::draft::Draft;
use super::schema;

/// The annotation without which no server takes a definition in a group of Kubernetes itself.
const APPROVED: &str = "api-approved.kubernetes.io";

/// From `v1beta1`.
pub fn from_v1beta1(definition: &mut Draft<'_>) {
    let annotations = definition.new_mut().get("metadata").and_then(|metadata| metadata.get("annotations"));
    let approved = annotations.and_then(|annotations| annotations.get(APPROVED)).is_some();
    definition.nested("spec", |spec| {
        let group = spec.peek("group").and_then(Value::as_str).unwrap_or_default();
        if !approved && (group.ends_with(".k8s.io") || group.ends_with(".kubernetes.io")) {
            spec.blocks("group", format!("is Kubernetes' own: the definition needs the annotation {APPROVED}"));
        }
        spec.carry(&["group", "names", "scope"]);
        spec.put_default("scope", "Namespaced");
        spec.nested("conversion", conversion);
        versions(spec);
    });
}

fn conversion(conversion: &mut Draft<'_>) {
    conversion.carry(&["strategy"]);
    let by_webhook = conversion.new_mut().get("strategy").is_some_and(|strategy| strategy == "Webhook");
    if by_webhook {
        conversion.assume("conversionReviewVersions", json!(["v1beta1"]));
    }
    let moved = [("clientConfig", "webhookClientConfig"), ("conversionReviewVersions", "conversionReviewVersions")];
    let webhook = moved.into_iter().filter_map(|(new, old)| Some((new.to_owned(), conversion.take(old)?)));
    let webhook: serde_json::Map<_, _> = webhook.collect();
    if !webhook.is_empty() {
        conversion.put("webhook", webhook);
    }
}

/// What all versions shared in `v1beta1`.
struct Shared {
    keeps_unknown: bool,
    schema: Option<Value>,
    subresources: Option<Value>,
    columns: Option<Value>,
}

fn versions(spec: &mut Draft<'_>) {
    let keeps_unknown = spec.take("preserveUnknownFields").is_none_or(|keeps| keeps != false);
    if keeps_unknown {
        let message = "was on: the schema now says so itself, wherever it describes an object";
        spec.notice("preserveUnknownFields", message);
    }
    spec.each("additionalPrinterColumns", column);
    let shared = Shared {
        keeps_unknown,
        schema: schema_of(spec, "validation", keeps_unknown),
        subresources: spec.take("subresources"),
        columns: spec.new_mut().remove("additionalPrinterColumns"),
    };
    if spec.peek("versions").is_some_and(|versions| *versions == json!([])) {
        spec.take("versions");
    }
    match spec.take("version") {
        Some(name) => spec.assume("versions", json!([{"name": name, "served": true, "storage": true}])),
        None if spec.peek("versions").is_none() => spec.blocks("versions", "is missing"),
        None => {}
    }
    spec.each("versions", |version| own(version, &shared));
}

fn own(version: &mut Draft<'_>, shared: &Shared) {
    version.carry(&["name", "served", "storage", "deprecated", "deprecationWarning", "subresources"]);
    version.each("additionalPrinterColumns", column);
    let schema = schema_of(version, "schema", shared.keeps_unknown).or_else(|| shared.schema.clone());
    if schema.is_none() {
        version.notice("schema", "is missing, and mandatory now: one that allows everything is written");
    }
    version.put("schema", schema.unwrap_or_else(|| json!({"openAPIV3Schema": schema::anything()})));
    for (key, value) in [("subresources", &shared.subresources), ("additionalPrinterColumns", &shared.columns)] {
        if let Some(value) = value {
            version.put_default(key, value.clone());
        }
    }
}

fn column(column: &mut Draft<'_>) {
    column.carry(&["name", "type", "format", "description", "priority"]);
    column.rename("JSONPath", "jsonPath");
}

/// The schema in a field, made structural.
fn schema_of(holder: &mut Draft<'_>, key: &str, keeps_unknown: bool) -> Option<Value> {
    holder.nested(key, |validation| validation.carry(&["openAPIV3Schema"]));
    let mut validation = holder.new_mut().remove(key)?;
    let path = holder.path_of(&format!("{key}.openAPIV3Schema"));
    let root = validation.get_mut("openAPIV3Schema")?;
    schema::make_structural(root, &path, keeps_unknown, holder.findings());
    Some(validation)
}
