//! Names that are other ones on the target: `imageMap`, `namespaceMap` and `nameMap` of `workloads`. PURE.

use std::collections::BTreeMap;

use super::super::cursor::{Cursor, Fields};
use super::super::types::{Maps, Name, NameMap};

/// Reads the three maps, each of which may be missing.
pub fn maps(fields: &mut Fields<'_>, namespaces: Option<&[Name]>) -> Option<Maps> {
    let images = fields.or("imageMap", BTreeMap::new(), |at| image_map(&at));
    let renamed = fields.or("namespaceMap", BTreeMap::new(), |at| namespace_map(&at, namespaces));
    let names = fields.or("nameMap", Vec::new(), |at| at.each_once(|item| name_map(&item)));
    Some(Maps { images: images?, namespaces: renamed?, names: names? })
}

fn image_map(at: &Cursor<'_>) -> Option<BTreeMap<String, String>> {
    let entries = at.fields()?.rest();
    let read = |text: String, at: &Cursor<'_>| {
        let is_bare =
            !text.is_empty() && !text.ends_with('/') && !text.contains("://") && !text.contains(char::is_whitespace);
        let help = Some(
            "write what images begin with, such as registry.example/team, without https:// and without a slash at the end",
        );
        if is_bare { Some(text) } else { at.refuse("is not the beginning of an image", help) }
    };
    let entries: Vec<_> =
        entries.into_iter().map(|(key, at)| Some((read(key.text.clone(), &at)?, read(at.text()?, &at)?))).collect();
    entries.into_iter().collect()
}

fn namespace_map(at: &Cursor<'_>, namespaces: Option<&[Name]>) -> Option<BTreeMap<Name, Name>> {
    let entries = at.fields()?.rest();
    let read = |(key, at): (&super::super::tree::Key, Cursor<'_>)| {
        let to = at.name();
        let from = Name::new(key.text.as_str());
        if namespaces.is_some_and(|known| !known.iter().any(|name| Some(name) == from.as_ref())) {
            return at.refuse(format!("{} is none of workloads.namespaces", key.text), None);
        }
        Some((from?, to?))
    };
    let entries: Vec<_> = entries.into_iter().map(read).collect();
    entries.into_iter().collect()
}

fn name_map(at: &Cursor<'_>) -> Option<NameMap> {
    let mut fields = at.fields()?;
    let kind = fields.require("kind").and_then(|at| at.text());
    let from = fields.require("from").and_then(|at| at.scalar());
    let to = fields.require("to").and_then(|at| {
        let text = at.scalar()?;
        // Most kinds allow dots, as in a domain.
        let valid = text.split('.').all(|label| Name::new(label).is_some());
        if valid {
            Some(text)
        } else {
            at.refuse("is not a name", Some("use lower-case letters, digits, dashes and dots"))
        }
    });
    fields.finish();
    Some(NameMap { kind: kind?, from: from?, to: to? })
}
