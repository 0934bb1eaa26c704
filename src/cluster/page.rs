//! One page of a list, read object by object. PURE.
//!
//! Parsed JSON takes several times the room of its text, and a page holds hundreds of objects. So each is handed over as soon as it is
//! read, and only one is parsed at a time.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// What a page says besides its objects.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Whether there were `items`; servers write an empty list of metadata as `null`.
    pub items: Items,
    /// The version of the list.
    pub version: String,
    /// Where the next page begins; empty on the last one.
    pub next: String,
}

/// What stood where the objects are.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Items {
    /// Nothing.
    #[default]
    Absent,
    /// `null`.
    Null,
    /// A list.
    List,
}

/// Reads a page and hands over its objects.
pub fn read<E>(text: &[u8], take: impl FnMut(Value) -> Result<(), E>) -> Result<Result<Page, E>, serde_json::Error> {
    let mut refused = None;
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let page = Reading { take, refused: &mut refused }.deserialize(&mut deserializer).and_then(|page| {
        deserializer.end()?;
        Ok(page)
    });
    match (page, refused) {
        (_, Some(error)) => Ok(Err(error)),
        (page, None) => page.map(Ok),
    }
}

/// Hands objects over, and keeps what was said against one of them: the parser's own errors have no room for it.
struct Reading<'r, T, E> {
    take: T,
    refused: &'r mut Option<E>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Metadata {
    #[serde(rename = "continue")]
    next: Option<String>,
    #[serde(rename = "resourceVersion")]
    version: Option<String>,
}

impl<'de, T: FnMut(Value) -> Result<(), E>, E> DeserializeSeed<'de> for Reading<'_, T, E> {
    type Value = Page;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Page, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: FnMut(Value) -> Result<(), E>, E> Visitor<'de> for Reading<'_, T, E> {
    type Value = Page;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Page, A::Error> {
        let mut page = Page::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "items" => page.items = map.next_value_seed(Entries(&mut self))?,
                "metadata" => {
                    let Metadata { next, version } = map.next_value::<Option<Metadata>>()?.unwrap_or_default();
                    (page.next, page.version) = (next.unwrap_or_default(), version.unwrap_or_default());
                }
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(page)
    }
}

/// The objects of a page.
struct Entries<'s, 'r, T, E>(&'s mut Reading<'r, T, E>);

impl<'de, T: FnMut(Value) -> Result<(), E>, E> DeserializeSeed<'de> for Entries<'_, '_, T, E> {
    type Value = Items;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Items, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: FnMut(Value) -> Result<(), E>, E> Visitor<'de> for Entries<'_, '_, T, E> {
    type Value = Items;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_unit<D: Error>(self) -> Result<Items, D> {
        Ok(Items::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Items, A::Error> {
        while let Some(entry) = entries.next_element::<Value>()? {
            if let Err(error) = (self.0.take)(entry) {
                *self.0.refused = Some(error);
                return Err(A::Error::custom("an object was refused"));
            }
        }
        Ok(Items::List)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(text: &str) -> Result<Result<(Page, Vec<Value>), &'static str>, serde_json::Error> {
        let mut taken = Vec::new();
        let take = |entry: Value| {
            taken.push(entry);
            if taken.len() < 3 { Ok(()) } else { Err("too many") }
        };
        let page = read(text.as_bytes(), take)?;
        Ok(page.map(|page| (page, taken)))
    }

    #[test]
    fn objects_are_handed_over_one_by_one_wherever_the_rest_stands() {
        for text in [
            r#"{"kind":"List","metadata":{"continue":"c","resourceVersion":"7"},"items":[{"a":1},{"b":2}]}"#,
            r#"{"items":[{"a":1},{"b":2}],"metadata":{"resourceVersion":"7","continue":"c","remainingItemCount":3}}"#,
        ] {
            let (page, taken) = read_all(text).unwrap().unwrap();
            assert_eq!(page, Page { items: Items::List, version: "7".to_owned(), next: "c".to_owned() });
            assert_eq!(taken, [serde_json::json!({"a": 1}), serde_json::json!({"b": 2})]);
        }
        for (text, items) in [
            (r#"{"metadata":null,"items":null}"#, Items::Null),
            (r#"{"metadata":{"continue":null}}"#, Items::Absent),
            (r#"{"items":[]}"#, Items::List),
        ] {
            let (page, taken) = read_all(text).unwrap().unwrap();
            assert_eq!((page, taken.len()), (Page { items, ..Page::default() }, 0), "{text}");
        }
    }

    #[test]
    fn what_is_no_list_or_half_of_one_is_an_error_and_so_is_what_was_refused() {
        for text in
            ["", "[]", "{", r#"{"items":[{"a":1},"#, r#"{"items":[]} x"#, r#"{"items":{"a":1}}"#, r#"{"metadata":7}"#]
        {
            assert!(read_all(text).is_err(), "{text}");
        }
        assert_eq!(read_all(r#"{"items":[1,2,3,4]}"#).unwrap().unwrap_err(), "too many");
    }
}
