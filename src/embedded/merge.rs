//! Comparing, merging and pruning objects field by field. PURE.
//!
//! The four walks server-side apply is made of; `schema` says where they stop. Source: the algorithm
//! of `structured-merge-diff`, which the real server uses.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::fields::{Element, FieldSet, Path};
use super::schema::{Shape, item, member, shape};

/// How one object differs from another.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Added, or there before with another value.
    pub(super) changed: FieldSet,
    /// Gone.
    pub(super) removed: FieldSet,
}

/// Every field a person who wrote `value` claims: its leaves, its list items, its empty containers.
pub(super) fn claimed(value: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    claim(value, &mut Vec::new(), &mut set);
    set
}

fn claim(value: &Value, path: &mut Path, set: &mut FieldSet) {
    let children = children(path, value).filter(|children| !children.is_empty());
    let is_item = matches!(path.last(), Some(Element::Item(_)));
    if children.is_none() || is_item {
        set.insert(path);
    }
    for (element, child) in children.into_iter().flatten() {
        path.push(element);
        claim(child, path, set);
        path.pop();
    }
}

/// What has to change in `old` to arrive at `new`.
pub(super) fn compare(old: &Value, new: &Value) -> Difference {
    let mut difference = Difference::default();
    compare_at(old, new, &mut Vec::new(), &mut difference);
    difference
}

fn compare_at(old: &Value, new: &Value, path: &mut Path, difference: &mut Difference) {
    if old == new {
        return;
    }
    let (Some(before), Some(after)) = (children(path, old), children(path, new)) else {
        difference.changed.insert(path);
        return;
    };
    let before: BTreeMap<_, _> = before.into_iter().collect();
    let after: BTreeMap<_, _> = after.into_iter().collect();
    for (element, value) in &before {
        path.push(element.clone());
        match after.get(element) {
            Some(now) => compare_at(value, now, path, difference),
            None => everything(value, path, &mut difference.removed),
        }
        path.pop();
    }
    for (element, value) in after.into_iter().filter(|(element, _)| !before.contains_key(element)) {
        path.push(element);
        everything(value, path, &mut difference.changed);
        path.pop();
    }
}

/// Every node at and below `value`, containers included.
fn everything(value: &Value, path: &mut Path, set: &mut FieldSet) {
    set.insert(path);
    for (element, child) in children(path, value).into_iter().flatten() {
        path.push(element);
        everything(child, path, set);
        path.pop();
    }
}

/// `live` with every field of `config` put over it.
pub(super) fn overlay(live: &Value, config: &Value) -> Value {
    overlay_at(live, config, &mut Vec::new())
}

fn overlay_at(live: &Value, config: &Value, path: &mut Path) -> Value {
    match (live, config, shape(path, live), shape(path, config)) {
        (Value::Object(live), Value::Object(config), Shape::Granular, Shape::Granular) => {
            let mut merged = live.clone();
            for (name, value) in config {
                path.push(Element::Field(name.clone()));
                let value = live.get(name).map_or_else(|| value.clone(), |live| overlay_at(live, value, path));
                path.pop();
                merged.insert(name.clone(), value);
            }
            Value::Object(merged)
        }
        (Value::Array(_), Value::Array(_), Shape::Items(_) | Shape::Set, Shape::Items(_) | Shape::Set) => {
            let (live, config) = (children(path, live), children(path, config));
            Value::Array(overlay_items(live.unwrap_or_default(), config.unwrap_or_default(), path))
        }
        _ => config.clone(),
    }
}

/// Items in the order of `config`; items of `live` alone keep their place among them.
fn overlay_items(live: Vec<(Element, &Value)>, config: Vec<(Element, &Value)>, path: &mut Path) -> Vec<Value> {
    let known: BTreeMap<&Element, &Value> = live.iter().map(|(element, value)| (element, *value)).collect();
    let mut written = config.iter().map(|(element, value)| {
        path.push(element.clone());
        let value = known.get(element).map_or_else(|| (*value).clone(), |live| overlay_at(live, value, path));
        path.pop();
        (element, value)
    });
    let mut pending: Vec<&Element> = config.iter().map(|(element, _)| element).collect();
    pending.reverse();
    let mut merged = Vec::new();
    for (element, value) in &live {
        if !config.iter().any(|(other, _)| other == element) {
            merged.push((*value).clone());
        }
        while pending.contains(&element) {
            pending.pop();
            merged.extend(written.next().map(|(_, value)| value));
        }
    }
    merged.extend(written.map(|(_, value)| value));
    merged
}

/// `value` without the fields and items of `set`, whatever lies below them.
pub(super) fn without(value: &Value, set: &FieldSet) -> Value {
    without_at(value, &mut Vec::new(), set)
}

fn without_at(value: &Value, path: &mut Path, set: &FieldSet) -> Value {
    let Some(children) = children(path, value) else { return value.clone() };
    let kept = children.into_iter().filter_map(|(element, child)| {
        path.push(element);
        let kept = (!set.contains(path)).then(|| without_at(child, path, set));
        let element = path.pop()?;
        kept.map(|kept| (element, kept))
    });
    match value {
        Value::Object(_) => {
            let fields = kept.filter_map(|(element, child)| match element {
                Element::Field(name) => Some((name, child)),
                Element::Item(_) | Element::Member(_) => None,
            });
            Value::Object(fields.collect::<Map<_, _>>())
        }
        _ => Value::Array(kept.map(|(_, child)| child).collect()),
    }
}

/// The parts of a value that are owned one by one; `None` where it is one value itself.
fn children<'a>(path: &[Element], value: &'a Value) -> Option<Vec<(Element, &'a Value)>> {
    match (value, shape(path, value)) {
        (Value::Object(map), Shape::Granular) => {
            Some(map.iter().map(|(name, child)| (Element::Field(name.clone()), child)).collect())
        }
        (Value::Array(list), Shape::Items(keys)) => {
            list.iter().map(|child| item(child, keys).map(|element| (element, child))).collect()
        }
        (Value::Array(list), Shape::Set) => Some(list.iter().map(|child| (member(child), child)).collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::fields::display;
    use serde_json::json;

    fn texts(set: &FieldSet) -> Vec<String> {
        set.paths().iter().map(|path| display(path)).collect()
    }

    #[test]
    fn compares_field_by_field() {
        let old = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"selector": {"x": "1"}, "env": [{"name": "A", "value": "1"}]}});
        let new = json!({"metadata": {"annotations": {"b": "2"}}, "spec": {"selector": {"x": "2"}, "env": [{"name": "A", "value": "2"}, {"name": "B"}]}});
        let difference = compare(&old, &new);
        assert_eq!(texts(&difference.removed), [".metadata.labels", ".metadata.labels.a"]);
        assert_eq!(
            texts(&difference.changed),
            [
                ".metadata.annotations",
                ".metadata.annotations.b",
                ".spec.selector",
                r#".spec.env[name="B"]"#,
                r#".spec.env[name="A"].value"#,
                r#".spec.env[name="B"].name"#,
            ]
        );
    }

    #[test]
    fn items_keep_their_order() {
        let list =
            |names: &str| json!({"env": names.chars().map(|c| json!({"name": c.to_string()})).collect::<Vec<_>>()});
        for (live, config, merged) in [("abc", "d", "abcd"), ("abc", "ca", "cab"), ("ab", "ba", "ba"), ("", "ab", "ab")]
        {
            assert_eq!(overlay(&list(live), &list(config)), list(merged), "{live} and {config}");
        }
    }

    #[test]
    fn removes_items_and_fields() {
        let value = json!({"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], "x": {"y": 1}});
        let env = Element::Field("env".into());
        let a = Element::Item(r#"{"name":"A"}"#.into());
        let b = Element::Item(r#"{"name":"B"}"#.into());
        let set = [vec![env.clone(), a], vec![env, b, Element::Field("value".into())]].into_iter().collect();
        assert_eq!(without(&value, &set), json!({"env": [{"name": "B"}], "x": {"y": 1}}));
    }
}
