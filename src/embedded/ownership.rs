//! Who owns which field: server-side apply and what every other write does to it. PURE.
//!
//! A write that applies claims the fields it names, refuses to change a field of somebody else unless
//! forced, and gives up what it named last time and names no more; a field nobody is left to own goes
//! away. Any other write takes over exactly what it changes. An apply that changes nothing gives back
//! the very object it was given, so that it costs no new version.

use serde_json::{Map, Value, json};

use super::fields::{Element, FieldSet, Path, display};
use super::merge::{claimed, compare, overlay, without};

/// Fields of `metadata` that belong to the server; a client may send them, but never owns them.
const SERVER_METADATA: [&str; 9] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
];

/// Who writes, and as what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Writer<'a> {
    /// The field manager.
    pub(super) manager: &'a str,
    /// Version of the object as written.
    pub(super) api_version: &'a str,
    /// `status`, `scale`, or empty for the object itself.
    pub(super) subresource: &'a str,
    /// Time of the write, RFC 3339.
    pub(super) now: &'a str,
}

/// A field that an apply may not change, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conflict {
    /// The owner, quoted, with what it was written with.
    pub(super) owner: String,
    /// The path of the field.
    pub(super) field: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Operation {
    Apply,
    Update,
}

/// One entry of `metadata.managedFields`.
#[derive(Debug, Clone)]
struct Entry {
    manager: String,
    operation: Operation,
    api_version: String,
    subresource: String,
    time: String,
    fields: FieldSet,
}

/// The object after `config` was applied to `live`, or the fields that stand in the way.
pub(super) fn apply(
    live: Option<&Value>,
    config: &Value,
    writer: Writer<'_>,
    force: bool,
) -> Result<Value, Vec<Conflict>> {
    let before = live.map_or_else(|| json!({}), bare);
    let config = without(config, &server_fields());
    let claims = claimed(&config).difference(&identity());
    let (mine, mut others) = split(live, Operation::Apply, writer);
    let mut after = overlay(&before, &config);
    if let Some(mine) = &mine {
        let held = others.iter().fold(claims.clone(), |held, entry| held.union(&entry.fields)).with_ancestors();
        let released = mine.fields.with_ancestors().difference(&held.union(&identity()));
        after = without(&after, &released);
    }
    let difference = compare(&before, &after);
    let mut conflicts = Vec::new();
    for entry in &mut others {
        let taken = entry.fields.intersection(&difference.changed);
        conflicts.extend(taken.paths().iter().map(|path| Conflict { owner: entry.owner(), field: display(path) }));
        entry.fields = entry.fields.difference(&taken).difference(&difference.removed);
    }
    if !force && !conflicts.is_empty() {
        return Err(conflicts);
    }
    let unchanged = mine.as_ref().is_some_and(|mine| mine.fields == claims && before == after);
    match live {
        Some(live) if unchanged => Ok(live.clone()),
        _ => Ok(finish(live, after, others, Operation::Apply, writer, claims)),
    }
}

/// `new` in place of `live`, with the fields that changed owned by the writer.
pub(super) fn update(live: Option<&Value>, new: &Value, writer: Writer<'_>) -> Value {
    let before = live.map_or_else(nothing, bare);
    let after = bare(new);
    let difference = compare(&before, &after);
    let touched = difference.changed.union(&difference.removed);
    let (mine, mut others) = split(live, Operation::Update, writer);
    match live {
        Some(live) if touched.is_empty() => return live.clone(),
        _ => {}
    }
    for entry in &mut others {
        entry.fields = entry.fields.difference(&touched);
    }
    let fields = mine.map(|mine| mine.fields).unwrap_or_default();
    let fields = fields.union(&difference.changed).difference(&difference.removed).difference(&identity());
    finish(live.or(Some(new)), after, others, Operation::Update, writer, fields)
}

/// Puts together what was written, the server's own metadata of `live`, and the entries of all owners.
fn finish(
    live: Option<&Value>,
    mut after: Value,
    mut entries: Vec<Entry>,
    operation: Operation,
    writer: Writer<'_>,
    fields: FieldSet,
) -> Value {
    entries.push(Entry {
        manager: writer.manager.to_owned(),
        operation,
        api_version: writer.api_version.to_owned(),
        subresource: writer.subresource.to_owned(),
        time: writer.now.to_owned(),
        fields,
    });
    entries.retain(|entry| !entry.fields.is_empty());
    entries.sort_by(|a, b| (a.operation, &a.time, &a.manager).cmp(&(b.operation, &b.time, &b.manager)));
    let server = live.and_then(|live| live["metadata"].as_object()).into_iter().flatten();
    if let Some(object) = after.as_object_mut() {
        let metadata = object.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
        let kept = |name: &str| name != "managedFields" && SERVER_METADATA.contains(&name);
        for (name, value) in server.filter(|(name, _)| kept(name)) {
            metadata[name] = value.clone();
        }
        if !entries.is_empty() {
            metadata["managedFields"] = entries.iter().map(Entry::to_json).collect();
        }
    }
    after
}

/// The entry this writer continues, and all others.
fn split(live: Option<&Value>, operation: Operation, writer: Writer<'_>) -> (Option<Entry>, Vec<Entry>) {
    let entries = live.and_then(|live| live["metadata"]["managedFields"].as_array()).into_iter().flatten();
    let (mut mine, others) = entries.filter_map(Entry::from_json).partition::<Vec<_>, _>(|entry| {
        // Somebody who applies goes on under another version; any other writer starts anew.
        let same_version = operation == Operation::Apply || entry.api_version == writer.api_version;
        let same_writer = entry.manager == writer.manager && entry.subresource == writer.subresource;
        entry.operation == operation && same_writer && same_version
    });
    (mine.pop(), others)
}

impl Entry {
    fn from_json(json: &Value) -> Option<Self> {
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let operation = match json["operation"].as_str()? {
            "Apply" => Operation::Apply,
            _ => Operation::Update,
        };
        Some(Self {
            manager: text("manager"),
            operation,
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: text("time"),
            fields: FieldSet::from_json(&json["fieldsV1"]),
        })
    }

    fn to_json(&self) -> Value {
        let mut json = json!({
            "manager": self.manager,
            "operation": match self.operation { Operation::Apply => "Apply", Operation::Update => "Update" },
            "apiVersion": self.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": self.fields.to_json(),
        });
        if !self.subresource.is_empty() {
            json["subresource"] = Value::from(self.subresource.as_str());
        }
        json
    }

    fn owner(&self) -> String {
        let subresource = match self.subresource.as_str() {
            "" => String::new(),
            subresource => format!(" with subresource {subresource:?}"),
        };
        let version = match self.operation {
            Operation::Apply => String::new(),
            Operation::Update => format!(" using {}", self.api_version),
        };
        format!("{:?}{subresource}{version}", self.manager)
    }
}

/// What a new object is compared with: the sections every object of its kind has, which are nobody's.
fn nothing() -> Value {
    let pod = json!({"containers": []});
    let template = json!({"metadata": {}, "spec": pod});
    let spec = json!({"containers": [], "strategy": {}, "updateStrategy": {}, "template": template});
    json!({"metadata": {}, "spec": spec, "status": {}})
}

/// The object without what only the server writes.
fn bare(object: &Value) -> Value {
    without(object, &server_fields())
}

fn server_fields() -> FieldSet {
    SERVER_METADATA.iter().map(|name| path(&["metadata", name])).collect()
}

/// What an object is, as opposed to what is in it.
fn identity() -> FieldSet {
    [path(&["apiVersion"]), path(&["kind"]), path(&["metadata"])].into_iter().collect()
}

fn path(names: &[&str]) -> Path {
    names.iter().map(|name| Element::Field((*name).to_owned())).collect()
}

#[cfg(test)]
mod tests;
