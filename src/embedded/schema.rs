//! Which lists are maps in disguise, and which objects are one value. PURE.
//!
//! The real server reads this from the `x-kubernetes-list-type` and `x-kubernetes-map-type` marks of its
//! OpenAPI document. Here it is a table of the kinds Crossfade moves; what is not in it is a granular
//! map or an atomic list, which is also the real default.

use serde_json::{Map, Value};

use super::fields::Element;

/// How a list or an object is merged and owned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Replaced and owned as a whole.
    Atomic,
    /// An object whose fields are merged and owned one by one.
    Granular,
    /// A list whose items are told apart by these keys.
    Items(&'static [Key]),
    /// A list without order or duplicates.
    Set,
}

/// One key of a list item, with the value an item that leaves it out has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Key {
    name: &'static str,
    default: Option<&'static str>,
}

const fn key(name: &'static str) -> Key {
    Key { name, default: None }
}

const PROTOCOL: Key = Key { name: "protocol", default: Some("TCP") };

/// Lists by the field that holds them: the parent (`""` for any), the field, the keys.
const ITEMS: [(&str, &str, &[Key]); 18] = [
    ("", "containers", &[key("name")]),
    ("", "initContainers", &[key("name")]),
    ("", "ephemeralContainers", &[key("name")]),
    ("containers", "ports", &[key("containerPort"), PROTOCOL]),
    ("initContainers", "ports", &[key("containerPort"), PROTOCOL]),
    ("spec", "ports", &[key("port"), PROTOCOL]),
    ("", "env", &[key("name")]),
    ("", "volumes", &[key("name")]),
    ("", "volumeMounts", &[key("mountPath")]),
    ("", "volumeDevices", &[key("devicePath")]),
    ("spec", "imagePullSecrets", &[key("name")]),
    ("", "hostAliases", &[key("ip")]),
    ("", "topologySpreadConstraints", &[key("topologyKey"), key("whenUnsatisfiable")]),
    ("", "conditions", &[key("type")]),
    ("metadata", "ownerReferences", &[key("uid")]),
    ("", "secrets", &[key("name")]),
    ("", "resourceClaims", &[key("name")]),
    ("status", "addresses", &[key("type")]),
];

/// Objects that are one value wherever a field of this name holds them.
const ATOMIC: [&str; 12] = [
    "selector",
    "labelSelector",
    "namespaceSelector",
    "podSelector",
    "nodeSelector",
    "configMapKeyRef",
    "secretKeyRef",
    "fieldRef",
    "resourceFieldRef",
    "port",
    "targetRef",
    "claimRef",
];

/// How the value at this path is merged and owned.
pub(super) fn shape(path: &[Element], value: &Value) -> Shape {
    let mut names = path.iter().rev().filter_map(|element| match element {
        Element::Field(name) => Some(name.as_str()),
        Element::Item(_) | Element::Member(_) => None,
    });
    let (field, parent) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
    match value {
        Value::Object(_) if ATOMIC.contains(&field) => Shape::Atomic,
        Value::Object(_) => Shape::Granular,
        Value::Array(_) if field == "finalizers" && parent == "metadata" => Shape::Set,
        Value::Array(items) => ITEMS
            .iter()
            .find(|(under, name, _)| *name == field && (under.is_empty() || *under == parent))
            .map(|(_, _, keys)| *keys)
            .filter(|keys| distinct(items, keys))
            .map_or(Shape::Atomic, Shape::Items),
        _ => Shape::Atomic,
    }
}

/// The element that names this item, where it has every key.
pub(super) fn item(value: &Value, keys: &[Key]) -> Option<Element> {
    let mut named = Map::new();
    for key in keys {
        let found = value.get(key.name).cloned().or_else(|| key.default.map(Value::from))?;
        named.insert(key.name.to_owned(), found);
    }
    Some(Element::Item(Value::Object(named).to_string()))
}

/// The element that names this item of a set.
pub(super) fn member(value: &Value) -> Element {
    Element::Member(value.to_string())
}

/// Whether every item has its keys and no two items the same; a list that breaks this is one value.
fn distinct(items: &[Value], keys: &[Key]) -> bool {
    let mut names: Vec<Option<Element>> = items.iter().map(|value| item(value, keys)).collect();
    let whole = names.iter().all(Option::is_some);
    names.sort_unstable();
    whole && names.windows(2).all(|pair| pair[0] != pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn path(fields: &str) -> Vec<Element> {
        fields.split('.').map(|name| Element::Field(name.to_owned())).collect()
    }

    #[test]
    fn ports_have_other_keys_in_services_than_in_containers() {
        let ports = json!([{"port": 80, "containerPort": 8080}]);
        let Shape::Items(service) = shape(&path("spec.ports"), &ports) else { panic!("a list of items") };
        let Shape::Items(container) = shape(&path("spec.containers.ports"), &ports) else { panic!("a list of items") };
        assert_eq!(item(&ports[0], service), Some(Element::Item(r#"{"port":80,"protocol":"TCP"}"#.into())));
        assert_eq!(
            item(&ports[0], container),
            Some(Element::Item(r#"{"containerPort":8080,"protocol":"TCP"}"#.into()))
        );
    }

    #[test]
    fn a_list_with_unnamed_or_equal_items_is_one_value() {
        for list in [json!([{"value": "1"}]), json!([{"name": "a"}, {"name": "a"}])] {
            assert_eq!(shape(&path("spec.env"), &list), Shape::Atomic);
        }
    }

    #[test]
    fn selectors_are_one_value_and_labels_are_not() {
        assert_eq!(shape(&path("spec.selector"), &json!({"matchLabels": {}})), Shape::Atomic);
        assert_eq!(shape(&path("metadata.labels"), &json!({"a": "1"})), Shape::Granular);
        assert_eq!(shape(&path("metadata.finalizers"), &json!(["a"])), Shape::Set);
        assert_eq!(shape(&path("spec.rules"), &json!([{"host": "a"}])), Shape::Atomic);
    }
}
