//! Sets of fields of an object, as server-side apply counts ownership in them. PURE.
//!
//! A set is a tree of path elements; a node may be a member itself, have members below it, or both.
//! Source of the written form: `FieldsV1` of `meta/v1`, with `f:` for fields, `k:` for list items named
//! by their keys, `v:` for items of a set and `.` for the node itself.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

/// One step of a path into an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Element {
    /// A field or a map key.
    Field(String),
    /// The list item with these keys, as JSON text of one object.
    Item(String),
    /// The set item of this value, as JSON text.
    Member(String),
}

/// A path into an object; empty is the object itself.
pub(super) type Path = Vec<Element>;

/// A set of paths.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct FieldSet {
    member: bool,
    children: BTreeMap<Element, FieldSet>,
}

impl FieldSet {
    /// Adds one path.
    pub(super) fn insert(&mut self, path: &[Element]) {
        match path.split_first() {
            None => self.member = true,
            Some((first, rest)) => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    /// Whether this very path is in the set.
    pub(super) fn contains(&self, path: &[Element]) -> bool {
        self.under(path).is_some_and(|node| node.member)
    }

    /// Whether nothing is in the set.
    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }

    /// Paths in either set.
    pub(super) fn union(&self, other: &Self) -> Self {
        let mut sum = self.clone();
        sum.member |= other.member;
        for (element, theirs) in &other.children {
            let ours = sum.children.entry(element.clone()).or_default();
            *ours = ours.union(theirs);
        }
        sum
    }

    /// Paths in both sets.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        self.zip(other, self.member && other.member, |ours, theirs| theirs.map(|theirs| ours.intersection(theirs)))
    }

    /// Paths in this set alone.
    pub(super) fn difference(&self, other: &Self) -> Self {
        self.zip(other, self.member && !other.member, |ours, theirs| {
            Some(theirs.map_or_else(|| ours.clone(), |theirs| ours.difference(theirs)))
        })
    }

    /// The set together with the named fields that lead to its members: whoever owns `spec.a.b` has a
    /// hold on `spec` and `spec.a` too. List items are not added, they are members of their own.
    pub(super) fn with_ancestors(&self) -> Self {
        let children = self.children.iter().map(|(element, child)| {
            let mut child = child.with_ancestors();
            child.member |= matches!(element, Element::Field(_));
            (element.clone(), child)
        });
        Self { member: self.member, children: children.collect() }
    }

    /// Every path of the set; at each node first its own fields, then what lies below them, which is the
    /// order the real server names conflicts in.
    pub(super) fn paths(&self) -> Vec<Path> {
        let mut paths: Vec<Path> = self.member.then(Path::new).into_iter().collect();
        self.collect(&mut Vec::new(), &mut paths);
        paths
    }

    /// The written form.
    pub(super) fn to_json(&self) -> Value {
        let mut map = Map::new();
        if self.member && !self.children.is_empty() {
            map.insert(".".to_owned(), Value::Object(Map::new()));
        }
        for (element, child) in &self.children {
            let (Element::Field(text) | Element::Item(text) | Element::Member(text)) = element;
            let prefix = match element {
                Element::Field(_) => 'f',
                Element::Item(_) => 'k',
                Element::Member(_) => 'v',
            };
            map.insert(format!("{prefix}:{text}"), child.to_json());
        }
        Value::Object(map)
    }

    /// Reads the written form; entries it does not know are left out.
    pub(super) fn from_json(json: &Value) -> Self {
        let mut set = Self::default();
        for (name, below) in json.as_object().into_iter().flatten() {
            let element = match name.split_once(':') {
                Some(("f", text)) => Element::Field(text.to_owned()),
                Some(("k", text)) => Element::Item(text.to_owned()),
                Some(("v", text)) => Element::Member(text.to_owned()),
                _ => {
                    set.member |= name == ".";
                    continue;
                }
            };
            let mut child = Self::from_json(below);
            child.member |= child.children.is_empty();
            set.children.insert(element, child);
        }
        set
    }

    fn under(&self, path: &[Element]) -> Option<&Self> {
        path.iter().try_fold(self, |node, element| node.children.get(element))
    }

    fn zip(&self, other: &Self, member: bool, child: impl Fn(&Self, Option<&Self>) -> Option<Self>) -> Self {
        let children = self.children.iter().filter_map(|(element, ours)| {
            let below = child(ours, other.children.get(element))?;
            (!below.is_empty()).then(|| (element.clone(), below))
        });
        Self { member, children: children.collect() }
    }

    fn collect(&self, prefix: &mut Path, paths: &mut Vec<Path>) {
        let members = self.children.iter().filter(|(_, child)| child.member);
        paths.extend(members.map(|(element, _)| [prefix.as_slice(), std::slice::from_ref(element)].concat()));
        for (element, child) in &self.children {
            prefix.push(element.clone());
            child.collect(prefix, paths);
            prefix.pop();
        }
    }
}

impl FromIterator<Path> for FieldSet {
    fn from_iter<I: IntoIterator<Item = Path>>(paths: I) -> Self {
        let mut set = Self::default();
        paths.into_iter().for_each(|path| set.insert(&path));
        set
    }
}

impl fmt::Display for Element {
    /// As error messages write it: `.name`, `[name="web"]`, `[="value"]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Member(value) => write!(f, "[={value}]"),
            Self::Item(keys) => {
                let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
                let keys: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
                write!(f, "[{}]", keys.join(","))
            }
        }
    }
}

/// The path as error messages write it.
pub(super) fn display(path: &[Element]) -> String {
    path.iter().map(Element::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn sets() -> impl Strategy<Value = FieldSet> {
        let element = prop_oneof![
            "[a-c]".prop_map(Element::Field),
            "[a-b]".prop_map(|name| Element::Item(json!({ "name": name }).to_string())),
        ];
        let path = prop::collection::vec(element, 1..4);
        prop::collection::vec(path, 0..8).prop_map(FieldSet::from_iter)
    }

    #[test]
    fn writes_what_the_api_server_writes() {
        let written = json!({"f:spec": {"f:containers": {
            "k:{\"name\":\"c\"}": {".": {}, "f:image": {}, "f:ports": {
                "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}}}}});
        let set = FieldSet::from_json(&written);
        assert_eq!(set.to_json(), written);
        let paths: Vec<String> = set.paths().iter().map(|path| display(path)).collect();
        assert_eq!(
            paths,
            [
                r#".spec.containers[name="c"]"#,
                r#".spec.containers[name="c"].image"#,
                r#".spec.containers[name="c"].ports[containerPort=80,protocol="TCP"]"#,
                r#".spec.containers[name="c"].ports[containerPort=80,protocol="TCP"].containerPort"#,
            ]
        );
    }

    proptest! {
        #[test]
        fn written_and_read_back(set in sets()) {
            prop_assert_eq!(FieldSet::from_json(&set.to_json()), set);
        }

        #[test]
        fn a_set_falls_into_what_is_shared_and_what_is_not(a in sets(), b in sets()) {
            let (shared, alone) = (a.intersection(&b), a.difference(&b));
            prop_assert_eq!(shared.union(&alone), a);
            prop_assert!(shared.intersection(&alone).is_empty());
            prop_assert!(alone.intersection(&b).is_empty());
        }
    }
}
