//! Where an object on a server is not what is desired of it. PURE.
//!
//! The same question as in `cover`, which is asked at every pass and only says yes or no; this is for people.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::cover::{covers_field, is_left_out, keys_of};

/// One field that is different.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Its path, such as `spec.ports[0].nodePort`.
    pub field: String,
    /// What it was; none where there was nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// What it becomes; none where it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

/// Every field that is desired and that `live` does not hold; what others added there is left alone.
pub fn missing(live: &Value, desired: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    lacks("", String::new(), live, desired, &mut found);
    found
}

fn lacks(field: &str, path: String, live: &Value, desired: &Value, found: &mut Vec<Change>) {
    if covers_field(field, live, desired) {
        return;
    }
    match (live, desired) {
        (Value::Object(live), Value::Object(desired)) => {
            for (key, wanted) in desired {
                let path = step(&path, key);
                match live.get(key) {
                    Some(live) => lacks(key, path, live, wanted, found),
                    None if is_left_out(key, wanted) => {}
                    None => found.push(Change { field: path, from: None, to: Some(wanted.clone()) }),
                }
            }
        }
        (Value::Array(live), Value::Array(desired)) if keys_of(field).is_some() => {
            let keys = keys_of(field).unwrap_or_default();
            for (at, wanted) in desired.iter().enumerate() {
                let path = format!("{path}[{at}]");
                let same = |live: &&Value| {
                    keys.iter().all(|key| wanted.get(key).is_none_or(|value| live.get(key) == Some(value)))
                };
                match live.iter().find(same) {
                    Some(live) => lacks("", path, live, wanted, found),
                    None => found.push(Change { field: path, from: None, to: Some(wanted.clone()) }),
                }
            }
        }
        _ => found.push(Change { field: path, from: Some(live.clone()), to: Some(desired.clone()) }),
    }
}

/// Every field in which two objects differ, list entries by their place.
pub fn between(from: &Value, to: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    differs(String::new(), Some(from), Some(to), &mut found);
    found
}

fn differs(path: String, from: Option<&Value>, to: Option<&Value>, found: &mut Vec<Change>) {
    match (from, to) {
        (Some(Value::Object(from)), Some(Value::Object(to))) => {
            let mut keys: Vec<_> = from.keys().chain(to.keys()).collect();
            keys.sort();
            keys.dedup();
            keys.into_iter().for_each(|key| differs(step(&path, key), from.get(key), to.get(key), found));
        }
        (Some(Value::Array(from)), Some(Value::Array(to))) => {
            let longest = from.len().max(to.len());
            (0..longest).for_each(|at| differs(format!("{path}[{at}]"), from.get(at), to.get(at), found));
        }
        (from, to) if from == to => {}
        (from, to) => found.push(Change { field: path, from: from.cloned(), to: to.cloned() }),
    }
}

/// The path of a field of a field; a key that could be taken for a path is put in brackets.
fn step(path: &str, key: &str) -> String {
    match (path, key.contains(['.', '/', ' '])) {
        (_, true) => format!("{path}[{key}]"),
        ("", false) => key.to_owned(),
        (_, false) => format!("{path}.{key}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(changes: &[Change]) -> Vec<&str> {
        changes.iter().map(|change| change.field.as_str()).collect()
    }

    #[test]
    fn names_what_is_missing_and_not_what_others_added() {
        let live = json!({"metadata": {"labels": {"a": "1", "theirs": "x"}}, "spec": {"replicas": 1, "containers":
            [{"name": "side"}, {"name": "app", "image": "a:1"}]}});
        let desired = json!({"metadata": {"labels": {"a": "2"}, "annotations": {"x.y/z": "1"}}, "spec": {"containers":
            [{"name": "app", "image": "a:2"}, {"name": "new"}], "tolerations": []}});
        assert_eq!(
            fields(&missing(&live, &desired)),
            ["metadata.annotations", "metadata.labels.a", "spec.containers[0].image", "spec.containers[1]"]
        );
        assert_eq!(missing(&desired, &desired), []);
    }

    #[test]
    fn names_every_difference_between_two() {
        let (from, to) =
            (json!({"a": {"b.c": 1}, "l": [1, 2], "same": 0}), json!({"a": {}, "l": [1, 3, 4], "same": 0}));
        assert_eq!(fields(&between(&from, &to)), ["a[b.c]", "l[1]", "l[2]"]);
    }
}
