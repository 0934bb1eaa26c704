//! YAML text as a tree in which every value knows its place. PURE.
//!
//! It refuses text that is not YAML, with the place where reading stopped. Whether the tree means anything
//! is not asked here.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Location, Spanned};

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// First byte.
    pub offset: usize,
    /// Length in bytes.
    pub length: usize,
}

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it stands.
    pub at: Span,
    /// What it is.
    pub value: Value,
}

/// What a YAML value can be.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text, quoted or plain.
    Text(String),
    /// A sequence.
    Seq(Vec<Node>),
    /// A mapping in the order it was written; keys may repeat.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// Where it stands.
    pub at: Span,
    /// Its text.
    pub text: String,
}

impl Value {
    /// What a person would call this kind of value.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::Seq(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }

    /// The value as JSON; numbers JSON cannot hold become `null`.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(value) => (*value).into(),
            Self::Int(value) => (*value).into(),
            Self::Float(value) => (*value).into(),
            Self::Text(value) => value.as_str().into(),
            Self::Seq(items) => items.iter().map(|item| item.value.to_json()).collect(),
            Self::Map(entries) => {
                let entries = entries.iter().map(|(key, node)| (key.text.clone(), node.value.to_json()));
                serde_json::Value::Object(entries.collect())
            }
        }
    }
}

/// Text that is not YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// Where reading stopped.
    pub at: Span,
    /// What was wrong there.
    pub message: String,
}

/// All documents of a file; empty ones are left out.
pub fn parse(text: &str) -> Result<Vec<Node>, SyntaxError> {
    let options = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::PassThrough, with_snippet: false };
    documents(text, options)
}

/// All documents of a file of manifests, as `kubectl` reads them: `0644` is an octal number. Whole clusters are dumped into one
/// file, so there may be many documents and values. What anchors repeat is bounded lower than in other files: nobody writes so
/// much by hand, and it is what takes longest to refuse.
pub fn parse_manifests(text: &str) -> Result<Vec<Node>, SyntaxError> {
    let budget = serde_saphyr::budget! {
        max_documents: 100_000,
        max_nodes: 10_000_000,
        max_events: 30_000_000,
        max_recorded_anchor_events: 50_000,
    };
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        legacy_octal_numbers: true,
        with_snippet: false,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 50_000 },
        budget: budget,
    };
    documents(text, options)
}

fn documents(text: &str, options: serde_saphyr::Options) -> Result<Vec<Node>, SyntaxError> {
    let documents: Vec<Node> =
        serde_saphyr::from_multiple_with_options(text, options).map_err(|error| SyntaxError {
            at: error.location().map(|location| span(&location)).unwrap_or_default(),
            message: error.without_snippet().to_string(),
        })?;
    Ok(documents.into_iter().filter(|node| node.value != Value::Null).collect())
}

fn span(location: &Location) -> Span {
    let bytes = location.span();
    let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    Span {
        line: number(location.line()),
        column: number(location.column()),
        offset: number(bytes.byte_offset().unwrap_or_default()),
        length: number(bytes.byte_len().unwrap_or_default()),
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { at: span(&spanned.referenced), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<String>::deserialize(deserializer)?;
        Ok(Self { at: span(&spanned.referenced), text: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Text(value.to_string()), Value::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::Seq(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_their_place() {
        let documents = parse("---\n---\nkind: A\nsteps:\n  - setWeight: 1\n  - 'x'\n").unwrap();
        let Value::Map(entries) = &documents[0].value else { panic!("{documents:?}") };
        assert_eq!((entries[0].0.text.as_str(), entries[0].0.at.line, entries[0].0.at.column), ("kind", 3, 1));
        let Value::Seq(steps) = &entries[1].1.value else { panic!("{entries:?}") };
        let Value::Map(step) = &steps[0].value else { panic!("{steps:?}") };
        assert_eq!((step[0].1.at.line, step[0].1.at.column), (5, 16));
        assert_eq!(steps[1].value, Value::Text("x".into()));
        assert_eq!((steps[1].at.line, steps[1].at.column), (6, 5));
    }

    #[test]
    fn repeated_keys_are_kept() {
        let documents = parse("a: 1\na: 2\n").unwrap();
        assert!(matches!(&documents[0].value, Value::Map(entries) if entries.len() == 2));
    }

    #[test]
    fn broken_yaml_has_a_place() {
        let error = parse("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(error.at.line >= 2, "{error:?}");
    }
}
