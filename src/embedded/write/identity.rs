//! Whether a document is the object its path names, and one that can be handled at all. PURE.

use serde_json::Value;

use super::super::failure::Failure;
use super::super::route::Target;

/// Places that hold an object or nothing in every kind that has them. A real server finds out by its
/// types; here everything that is handled later relies on it.
const OBJECTS: [&str; 13] = [
    "/metadata",
    "/metadata/labels",
    "/metadata/annotations",
    "/spec",
    "/spec/strategy",
    "/spec/strategy/rollingUpdate",
    "/spec/template",
    "/spec/template/metadata",
    "/spec/template/metadata/labels",
    "/spec/template/spec",
    "/status",
    "/data",
    "/stringData",
];

/// Refuses a document that says it is another object than the path names, and names it where it does not.
pub(super) fn identify(target: Target<'_>, api_version: &str, object: &mut Value) -> Result<(), Failure> {
    let Target { group, kind, namespace, name, .. } = target;
    is_well_formed(object)?;
    for (field, expected) in [("apiVersion", api_version), ("kind", kind.name)] {
        let found = object[field].as_str().unwrap_or(expected);
        if found != expected {
            let message = format!("the object provided has {field} {found:?} where {expected:?} was expected");
            return Err(Failure::bad_request(message));
        }
        object[field] = expected.into();
    }
    let metadata = &mut object["metadata"];
    if metadata["namespace"].as_str().is_some_and(|found| found != namespace) {
        return Err(Failure::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if kind.namespaced {
        metadata["namespace"] = namespace.into();
    }
    match (name, metadata["name"].as_str()) {
        ("", None) => {
            let required = ("metadata.name", "FieldValueRequired", "Required value: name or generateName is required");
            return Err(Failure::invalid(kind.name, group, "", &[required.into()]));
        }
        (name, Some(found)) if !name.is_empty() && name != found => {
            return Err(Failure::bad_request(format!(
                "the name of the object ({found}) does not match the name on the URL ({name})"
            )));
        }
        (_, Some(_)) => {}
        (name, None) => metadata["name"] = name.into(),
    }
    Ok(())
}

/// Refuses a document that was made of another state of the object than the present one.
pub(super) fn not_stale(target: Target<'_>, live: &Value, object: &Value) -> Result<(), Failure> {
    let differs = |field: &str| {
        let wanted = object["metadata"][field].as_str().unwrap_or_default();
        !wanted.is_empty() && live["metadata"][field] != wanted
    };
    if differs("resourceVersion") || differs("uid") {
        return Err(Failure::stale(target.subject()));
    }
    Ok(())
}

fn is_well_formed(document: &Value) -> Result<(), Failure> {
    let broken = |value: &Value| !value.is_object() && !value.is_null();
    if !document.is_object() {
        return Err(Failure::bad_request("the object provided is not an object"));
    }
    match OBJECTS.iter().find(|place| document.pointer(place).is_some_and(broken)) {
        Some(place) => Err(Failure::bad_request(format!("the object provided holds no object at {place}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn refuses_what_no_kind_looks_like() {
        for document in [json!("text"), json!({"metadata": []}), json!({"spec": {"template": {"spec": 1}}})] {
            assert_eq!(is_well_formed(&document).unwrap_err().code, 400, "{document}");
        }
        assert!(is_well_formed(&json!({"metadata": {"labels": null}, "spec": {}})).is_ok());
    }
}
