//! Getting and listing objects. IO (reads of the store).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::convert::show;
use super::failure::Failure;
use super::route::Target;
use super::selector::{FieldSelector, Selector};
use super::store::{Key, OutOfReach, Store};

/// Which objects of a collection a client wants to see.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    labels: Selector,
    fields: FieldSelector,
}

impl Filter {
    /// Reads `labelSelector` and `fieldSelector`.
    pub(super) fn from_query(query: &BTreeMap<String, String>) -> Result<Self, Failure> {
        let text = |name: &str| query.get(name).map_or("", String::as_str);
        Ok(Self {
            labels: Selector::parse(text("labelSelector"))?,
            fields: FieldSelector::parse(text("fieldSelector"))?,
        })
    }

    /// Whether the object is wanted.
    pub(super) fn matches(&self, object: &Value) -> bool {
        self.labels.matches(object) && self.fields.matches(object)
    }

    fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }
}

/// One object.
pub(super) fn get(store: &Store, target: Target<'_>, api_version: &str) -> Result<Value, Failure> {
    let key = Key { plural: target.kind.plural, namespace: target.namespace.to_owned(), name: target.name.to_owned() };
    let object = store.get(&key).ok_or_else(|| Failure::not_found(target.subject()))?;
    show(&object, api_version)
}

/// A collection, or a page of it.
pub(super) fn list(
    store: &Store,
    target: Target<'_>,
    api_version: &str,
    query: &BTreeMap<String, String>,
) -> Result<Value, Failure> {
    let filter = Filter::from_query(query)?;
    let limit = query.get("limit").and_then(|limit| limit.parse::<usize>().ok()).filter(|limit| *limit > 0);
    let (version, objects, after) = match query.get("continue").filter(|token| !token.is_empty()) {
        Some(token) => {
            let (version, after) = read_token(token)?;
            let objects = store.list_at(target.kind.plural, target.namespace, version);
            (version, objects.map_err(|_| Failure::expired_token())?, Some(after))
        }
        None => {
            let (version, objects) = store.list(target.kind.plural, target.namespace);
            not_in_the_future(query, version)?;
            (version, objects, None)
        }
    };
    let wanted = |(key, object): &&(Key, Arc<Value>)| {
        let place = (key.namespace.as_str(), key.name.as_str());
        after.is_none_or(|after| place > after) && filter.matches(object)
    };
    let matching: Vec<_> = objects.iter().filter(wanted).collect();
    let page = &matching[..limit.unwrap_or(matching.len()).min(matching.len())];
    let items = page.iter().map(|(_, object)| item(object, api_version)).collect::<Result<Vec<_>, _>>()?;
    let mut metadata = json!({"resourceVersion": version.to_string()});
    if let Some((last, _)) = page.last().filter(|_| page.len() < matching.len()) {
        metadata["continue"] = format!("{version}:{}/{}", last.namespace, last.name).into();
        if filter.is_empty() {
            metadata["remainingItemCount"] = (matching.len() - page.len()).into();
        }
    }
    let kind = format!("{}List", target.kind.name);
    Ok(json!({"kind": kind, "apiVersion": api_version, "metadata": metadata, "items": items}))
}

/// Items of a list carry no kind of their own.
fn item(object: &Value, api_version: &str) -> Result<Value, Failure> {
    let mut item = show(object, api_version)?;
    if let Some(fields) = item.as_object_mut() {
        fields.remove("apiVersion");
        fields.remove("kind");
    }
    Ok(item)
}

fn not_in_the_future(query: &BTreeMap<String, String>, current: u64) -> Result<(), Failure> {
    match query.get("resourceVersion").filter(|version| !version.is_empty()) {
        None => Ok(()),
        Some(version) => match version_number(version)? {
            version if version > current => Err(Failure::too_new(version, current)),
            _ => Ok(()),
        },
    }
}

/// A `resourceVersion` as a number.
pub(super) fn version_number(text: &str) -> Result<u64, Failure> {
    text.parse().map_err(|_| Failure::bad_request(format!("resourceVersion: Invalid value: {text:?}: invalid syntax")))
}

/// The version of the first page, and the last place that was listed.
fn read_token(token: &str) -> Result<(u64, (&str, &str)), Failure> {
    let parts =
        token.split_once(':').and_then(|(version, place)| Some((version.parse().ok()?, place.split_once('/')?)));
    parts.ok_or_else(|| Failure::bad_request("invalid continue token: continue key is not valid"))
}

/// The failure that says so.
pub(super) fn out_of_reach(version: u64, reach: OutOfReach) -> Failure {
    match reach {
        OutOfReach::Forgotten(oldest) => Failure::expired(version, oldest),
        OutOfReach::Future(current) => Failure::too_new(version, current),
    }
}
