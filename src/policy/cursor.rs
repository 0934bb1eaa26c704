//! Walking a located tree while noting every mistake on the way. PURE.
//!
//! A reader asks for what it expects and gets `None` after the mistake was noted, so one walk reports
//! everything. Fields nobody asked for are mistakes too, with the nearest known name as a hint.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use jiff::SignedDuration;

use super::problem::Problems;
use super::tree::{Key, Node, Span, Value};
use super::types::Name;

/// A value somewhere in a document.
#[derive(Debug, Clone)]
pub struct Cursor<'t> {
    node: &'t Node,
    path: String,
    problems: &'t Problems,
}

impl<'t> Cursor<'t> {
    /// The top of a document.
    pub fn new(node: &'t Node, problems: &'t Problems) -> Self {
        Self { node, path: String::new(), problems }
    }

    /// Notes a mistake here.
    pub fn refuse<T>(&self, message: impl Into<String>, help: Option<&str>) -> Option<T> {
        self.problems.push(self.node.at, &self.path, message, help.map(str::to_owned));
        None
    }

    fn expected<T>(&self, what: &str) -> Option<T> {
        self.refuse(format!("expected {what}, found {}", self.node.value.kind()), None)
    }

    /// The fields of a mapping.
    pub fn fields(&self) -> Option<Fields<'t>> {
        let Value::Map(entries) = &self.node.value else { return self.expected("a mapping") };
        let mut seen: Vec<&str> = Vec::new();
        for (key, _) in entries {
            if seen.contains(&key.text.as_str()) {
                self.problems.push(key.at, &join(&self.path, &key.text), "is given twice", None);
            }
            seen.push(&key.text);
        }
        let open = entries.iter().map(|(key, node)| (key, node)).collect();
        Some(Fields { at: self.node.at, path: self.path.clone(), open, known: Vec::new(), problems: self.problems })
    }

    /// The items, where it is a list.
    pub fn items(&self) -> Vec<Cursor<'t>> {
        let Value::Seq(items) = &self.node.value else { return Vec::new() };
        let items = items.iter().enumerate();
        let cursor = |(index, node)| Cursor { node, path: format!("{}[{index}]", self.path), problems: self.problems };
        items.map(cursor).collect()
    }

    /// The items of a list that may not be empty.
    pub fn some_items(&self) -> Option<Vec<Cursor<'t>>> {
        match &self.node.value {
            Value::Seq(items) if items.is_empty() => self.refuse("must not be empty", None),
            Value::Seq(_) => Some(self.items()),
            _ => self.expected("a list"),
        }
    }

    /// A list whose items are all read by `read`; `None` if one of them could not be.
    pub fn each<T>(&self, read: impl Fn(Cursor<'t>) -> Option<T>) -> Option<Vec<T>> {
        let read: Vec<Option<T>> = self.some_items()?.into_iter().map(read).collect();
        read.into_iter().collect()
    }

    /// Like `each`, for items none of which may be given twice.
    pub fn each_once<T>(&self, read: impl Fn(Cursor<'t>) -> Option<T>) -> Option<Vec<T>> {
        refuse_repeated(self.items(), "is given twice");
        self.each(read)
    }

    /// Like `each`, for items with a field `name` that no two may share.
    pub fn each_named<T>(&self, read: impl Fn(Cursor<'t>) -> Option<T>) -> Option<Vec<T>> {
        let names = self.items().into_iter().filter_map(|item| item.peek("name"));
        refuse_repeated(names.collect(), "another one here has this name already");
        self.each(read)
    }

    /// A field of a mapping, without noting that it was asked for.
    pub fn peek(&self, name: &str) -> Option<Cursor<'t>> {
        let Value::Map(entries) = &self.node.value else { return None };
        let (_, node) = entries.iter().find(|(key, _)| key.text == name)?;
        Some(Cursor { node, path: join(&self.path, name), problems: self.problems })
    }

    /// Text that is not empty.
    pub fn text(&self) -> Option<String> {
        match &self.node.value {
            Value::Text(text) if text.trim().is_empty() => self.refuse("must not be empty", None),
            Value::Text(text) => Some(text.clone()),
            _ => self.expected("text"),
        }
    }

    /// A scalar as the text it was written as; numbers count as text here.
    pub fn scalar(&self) -> Option<String> {
        match &self.node.value {
            Value::Int(number) => Some(number.to_string()),
            Value::Float(number) => Some(number.to_string()),
            _ => self.text(),
        }
    }

    /// A scalar read by its type's `FromStr`.
    pub fn parse<T: FromStr<Err: Display>>(&self) -> Option<T> {
        match self.scalar()?.parse() {
            Ok(value) => Some(value),
            Err(error) => self.refuse(error.to_string(), None),
        }
    }

    /// A whole number of at least `least`.
    pub fn count(&self, least: u64) -> Option<u64> {
        match self.node.value {
            Value::Int(number) => match u64::try_from(number) {
                Ok(number) if number >= least => Some(number),
                _ => self.refuse(format!("must be at least {least}"), None),
            },
            _ => self.expected("a whole number"),
        }
    }

    /// A number that is finite.
    pub fn number(&self) -> Option<f64> {
        match self.scalar()?.parse::<f64>() {
            Ok(number) if number.is_finite() => Some(number),
            _ => self.refuse("is not a number", None),
        }
    }

    /// A fraction `0..=1`, written `1%` or `0.01`.
    pub fn fraction(&self) -> Option<f64> {
        let text = self.scalar()?;
        let (number, scale) = text.strip_suffix('%').map_or((text.as_str(), 1.0), |number| (number.trim_end(), 100.0));
        match number.parse::<f64>().map(|number| number / scale) {
            Ok(value) if (0.0..=1.0).contains(&value) => Some(value),
            Ok(_) => {
                self.refuse("is outside 0% to 100%", Some("write a percentage such as 1%, or a fraction such as 0.01"))
            }
            Err(_) => {
                self.refuse("is not a percentage", Some("write a percentage such as 1%, or a fraction such as 0.01"))
            }
        }
    }

    /// A duration of at least `least`, such as `500ms`, `30s`, `10m` or `24h`.
    pub fn duration(&self, least: SignedDuration) -> Option<SignedDuration> {
        const HELP: Option<&str> = Some("write a number and a unit, such as 500ms, 30s, 10m or 24h");
        let Value::Text(text) = &self.node.value else {
            return self.refuse(format!("expected a duration, found {}", self.node.value.kind()), HELP);
        };
        match text.parse::<SignedDuration>() {
            Ok(duration) if duration < least => self.refuse(format!("must be at least {least:#}"), None),
            Ok(duration) => Some(duration),
            Err(_) => self.refuse("is not a duration", HELP),
        }
    }

    /// A path from the root of the file system.
    pub fn path(&self) -> Option<PathBuf> {
        let text = self.text()?;
        if text.starts_with('/') { Some(text.into()) } else { self.refuse("is not a path from the root", None) }
    }

    /// A DNS-1123 name.
    pub fn name(&self) -> Option<Name> {
        let text = self.scalar()?;
        match Name::new(text) {
            Some(name) => Some(name),
            None => self.refuse("is not a name", Some("use 1 to 63 lower-case letters, digits and dashes")),
        }
    }

    /// One of a few words.
    pub fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.scalar()?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let list = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        self.refuse(format!("{text:?} is not known here"), Some(&format!("one of: {list}")))
    }

    /// True or false.
    pub fn flag(&self) -> Option<bool> {
        match self.node.value {
            Value::Bool(flag) => Some(flag),
            _ => self.expected("true or false"),
        }
    }

    /// The value as JSON, unchecked.
    pub fn json(&self) -> serde_json::Value {
        self.node.value.to_json()
    }
}

/// The fields of one mapping, taken out one by one.
#[derive(Debug)]
pub struct Fields<'t> {
    at: Span,
    path: String,
    open: Vec<(&'t Key, &'t Node)>,
    known: Vec<&'static str>,
    problems: &'t Problems,
}

impl<'t> Fields<'t> {
    /// A field that may be missing.
    pub fn get(&mut self, name: &'static str) -> Option<Cursor<'t>> {
        self.known.push(name);
        let mut found = None;
        self.open.retain(|(key, node)| {
            let hit = key.text == name;
            if hit {
                // Where it is given twice that has been noted; the first one is read.
                found.get_or_insert(*node);
            }
            !hit
        });
        let node = found.filter(|node| node.value != Value::Null)?;
        Some(Cursor { node, path: join(&self.path, name), problems: self.problems })
    }

    /// A field that must be there.
    pub fn require(&mut self, name: &'static str) -> Option<Cursor<'t>> {
        let found = self.get(name);
        if found.is_none() {
            self.problems.push(self.at, &join(&self.path, name), "is missing", None);
        }
        found
    }

    /// A field that may be missing: `absent` without it, `None` where it is there but wrong.
    pub fn or<T>(&mut self, name: &'static str, absent: T, read: impl FnOnce(Cursor<'t>) -> Option<T>) -> Option<T> {
        self.get(name).map_or(Some(absent), read)
    }

    /// Exactly one of the fields that name a variant.
    pub fn variant(&mut self, names: &'static [&'static str]) -> Option<(&'static str, Cursor<'t>)> {
        let mut found: Vec<_> = names.iter().filter_map(|name| Some((*name, self.get(name)?))).collect();
        if found.len() == 1 {
            return found.pop();
        }
        // A misspelt one is noted as what it is, once the fields are finished.
        if !found.is_empty() || self.open.is_empty() {
            let message = format!("needs exactly one of {}, has {}", names.join(", "), found.len());
            self.problems.push(self.at, &self.path, message, None);
        }
        None
    }

    /// The remaining entries of a mapping whose keys the user chooses.
    pub fn rest(&mut self) -> Vec<(&'t Key, Cursor<'t>)> {
        let open = std::mem::take(&mut self.open);
        let cursor = |node, key: &Key| Cursor { node, path: join(&self.path, &key.text), problems: self.problems };
        open.into_iter().map(|(key, node)| (key, cursor(node, key))).collect()
    }

    /// Notes a mistake of the mapping as a whole.
    pub fn refuse<T>(&self, message: &str) -> Option<T> {
        self.problems.push(self.at, &self.path, message, None);
        None
    }

    /// Notes every field that nobody asked for.
    pub fn finish(self) {
        for (key, _) in &self.open {
            let near = self.known.iter().map(|name| (strsim::jaro_winkler(name, &key.text), *name));
            let near = near.filter(|(score, _)| *score > 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
            let help = match near {
                Some((_, name)) => format!("did you mean {name}?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            self.problems.push(key.at, &join(&self.path, &key.text), "is not a field of this object", Some(help));
        }
    }
}

fn refuse_repeated(values: Vec<Cursor<'_>>, message: &str) {
    let mut seen = Vec::new();
    for at in &values {
        if seen.contains(&&at.node.value) {
            let _: Option<()> = at.refuse(message, None);
        }
        seen.push(&at.node.value);
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
