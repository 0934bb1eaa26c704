//! Creating, replacing, patching, applying and deleting objects. IO (one store transaction each).
//!
//! Every write goes the same way: what is there now, shown in the version of the request; what the
//! request makes of it; defaults, rules, ownership; one change of the store, or none where nothing
//! changed. A dry run goes all the way but for the last step.

use serde_json::{Value, json};

use super::admission;
use super::convert::show;
use super::failure::{Failure, Subject};
use super::kinds::Shape;
use super::ownership::{self, Writer};
use super::route::Target;
use super::store::{Key, Store, Transaction};

mod document;
mod identity;

pub(super) use document::{Edit, scale_of};
use document::{has_finalizers, remove_nulls};
use identity::{identify, not_stale};

/// A write and how it is to be done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Write<'a> {
    pub(super) shape: Shape,
    pub(super) target: Target<'a>,
    /// Group and version of the target, as objects carry them.
    pub(super) api_version: &'a str,
    /// The field manager.
    pub(super) manager: &'a str,
    /// Whether an apply takes over fields of others.
    pub(super) force: bool,
    /// Whether nothing is to be kept.
    pub(super) dry_run: bool,
    /// Time of the write, RFC 3339.
    pub(super) now: &'a str,
}

/// HTTP status and body of a write that succeeded.
pub(super) type Done = (u16, Value);

impl Write<'_> {
    /// `POST` to a collection.
    pub(super) fn create(&self, store: &Store, mut object: Value) -> Result<Done, Failure> {
        let mut transaction = store.begin();
        let prefix = object["metadata"]["generateName"].as_str().filter(|_| object["metadata"]["name"].is_null());
        if let Some(name) = prefix.map(|prefix| format!("{prefix}{:05x}", transaction.next_uid())) {
            object["metadata"]["name"] = name.into();
        }
        identify(self.target, self.api_version, &mut object)?;
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if transaction.get(&self.key(&name)).is_some() {
            return Err(Failure::already_exists(Target { name: &name, ..self.target }.subject()));
        }
        self.begin_life(&mut transaction, &mut object)?;
        let object = ownership::update(None, &object, self.writer());
        self.keep(transaction, &name, None, object).map(|object| (201, object))
    }

    /// `PUT` or `PATCH` of an object or of its status, whoever owns its fields.
    pub(super) fn edit(&self, store: &Store, mut edit: Edit) -> Result<Done, Failure> {
        if let Edit::Replace(object) = &mut edit {
            identify(self.target, self.api_version, object)?;
        }
        let transaction = store.begin();
        let live = self.found(&transaction)?;
        let mut object = live.clone();
        edit.edit(&mut object)?;
        identify(self.target, self.api_version, &mut object)?;
        not_stale(self.target, &live, &object)?;
        if self.target.subresource == "status" {
            let status = object["status"].take();
            object = live.clone();
            object["status"] = status;
        } else if self.target.kind.status {
            object["status"] = live["status"].clone();
        }
        admission::fill(self.shape, self.target.kind, &mut object);
        let object = ownership::update(Some(&live), &object, self.writer());
        self.keep(transaction, self.target.name, Some(&live), object).map(|object| (200, object))
    }

    /// `PATCH` that applies a configuration to an object or to its status.
    pub(super) fn apply(&self, store: &Store, mut config: Value) -> Result<Done, Failure> {
        if config["metadata"].get("managedFields").is_some_and(|fields| !fields.is_null()) {
            return Err(Failure::bad_request("metadata.managedFields must be nil"));
        }
        remove_nulls(&mut config);
        identify(self.target, self.api_version, &mut config)?;
        self.narrow(&mut config);
        let mut transaction = store.begin();
        let live = self.live(&transaction)?;
        match &live {
            Some(live) => not_stale(self.target, live, &config)?,
            None if self.target.subresource.is_empty() => {}
            None => return Err(Failure::not_found(self.target.subject())),
        }
        let mut object = ownership::apply(live.as_ref(), &config, self.writer(), self.force)
            .map_err(|conflicts| Failure::conflicts(&conflicts))?;
        if live.is_none() {
            object["metadata"]["name"] = self.target.name.into();
            if self.target.kind.namespaced {
                object["metadata"]["namespace"] = self.target.namespace.into();
            }
            self.begin_life(&mut transaction, &mut object)?;
        }
        let code = if live.is_some() { 200 } else { 201 };
        self.keep(transaction, self.target.name, live.as_ref(), object).map(|object| (code, object))
    }

    /// `PUT` or `PATCH` of the scale: everything it can change is the number of replicas.
    pub(super) fn scale(&self, store: &Store, edit: Edit) -> Result<Done, Failure> {
        let transaction = store.begin();
        let live = self.found(&transaction)?;
        let mut scale = scale_of(&live);
        edit.edit(&mut scale)?;
        not_stale(self.target, &live, &scale)?;
        let mut object = live.clone();
        object["spec"]["replicas"] = scale["spec"]["replicas"].as_u64().unwrap_or_default().into();
        let object = ownership::update(Some(&live), &object, self.writer());
        self.keep(transaction, self.target.name, Some(&live), object).map(|object| (200, scale_of(&object)))
    }

    /// `DELETE` of an object. Pods, and what somebody holds back, are only marked; whoever holds them back
    /// removes them.
    pub(super) fn delete(&self, store: &Store, options: &Value) -> Result<Done, Failure> {
        let mut transaction = store.begin();
        let mut live = self.found(&transaction)?;
        for field in ["uid", "resourceVersion"] {
            let (wanted, found) = (options["preconditions"][field].as_str(), live["metadata"][field].as_str());
            if let Some(wanted) = wanted.filter(|wanted| Some(*wanted) != found) {
                let (kind, group, name) = (self.target.kind.name, self.target.group, self.target.name);
                let subject = Subject { group, plural: kind, name };
                return Err(Failure::precondition(subject, field, wanted, found.unwrap_or_default()));
            }
        }
        let waits = (self.target.kind.name == "Pod" && options["gracePeriodSeconds"] != 0) || has_finalizers(&live);
        if waits && live["metadata"]["deletionTimestamp"].is_null() {
            live["metadata"]["deletionTimestamp"] = self.now.into();
            let grace = if self.target.kind.name == "Pod" { 30 } else { 0 };
            live["metadata"]["deletionGracePeriodSeconds"] = grace.into();
            return self.put(transaction, self.target.name, live).map(|object| (200, object));
        }
        if self.dry_run || waits {
            return Ok((200, live));
        }
        if self.target.kind.name == "Namespace" {
            for key in transaction.keys_in(self.target.name) {
                transaction.remove(&key);
            }
        }
        transaction.remove(&self.key(self.target.name));
        let mut details = self.target.subject().details();
        details["uid"] = live["metadata"]["uid"].take();
        let status =
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
        Ok((200, status))
    }

    /// Leaves of a configuration only what this path may write.
    fn narrow(&self, config: &mut Value) {
        let status = self.target.subresource == "status";
        if let Some(fields) = config.as_object_mut() {
            fields.retain(|name, _| match name.as_str() {
                "apiVersion" | "kind" | "metadata" => true,
                "status" => status || !self.target.kind.status,
                _ => !status,
            });
        }
    }

    /// What a new object gets from the server.
    fn begin_life(&self, transaction: &mut Transaction<'_>, object: &mut Value) -> Result<(), Failure> {
        let Target { kind, namespace, .. } = self.target;
        let home = Key { plural: "namespaces", namespace: String::new(), name: namespace.to_owned() };
        if kind.namespaced && transaction.get(&home).is_none() {
            let subject = Subject { group: "", plural: "namespaces", name: namespace };
            return Err(Failure::not_found(subject));
        }
        let uid = transaction.uid();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.retain(|name, _| !matches!(name.as_str(), "resourceVersion" | "deletionTimestamp" | "generation"));
            metadata.insert("uid".to_owned(), uid.into());
            metadata.insert("creationTimestamp".to_owned(), self.now.into());
            if kind.counted {
                metadata.insert("generation".to_owned(), 1.into());
            }
        }
        if let Some(fields) = object.as_object_mut().filter(|_| kind.status) {
            fields.remove("status");
        }
        admission::fill(self.shape, kind, object);
        Ok(())
    }

    /// The last steps of every write: defaults, rules, the count of changes, the store.
    fn keep(
        &self,
        transaction: Transaction<'_>,
        name: &str,
        live: Option<&Value>,
        mut object: Value,
    ) -> Result<Value, Failure> {
        admission::fill(self.shape, self.target.kind, &mut object);
        admission::assign(self.shape, self.target.kind, &mut object);
        if live == Some(&object) {
            return Ok(object);
        }
        admission::check(self.target.group, self.target.kind, live, &object)?;
        if let Some(live) = live.filter(|live| self.target.kind.counted && live["spec"] != object["spec"]) {
            object["metadata"]["generation"] = (live["metadata"]["generation"].as_u64().unwrap_or_default() + 1).into();
        }
        self.put(transaction, name, object)
    }

    /// Puts the object in place, or removes it where it was only held back by what is now gone.
    fn put(&self, mut transaction: Transaction<'_>, name: &str, object: Value) -> Result<Value, Failure> {
        if self.dry_run {
            return Ok(object);
        }
        let going = !object["metadata"]["deletionTimestamp"].is_null() && self.target.kind.name != "Pod";
        let key = self.key(name);
        if going && !has_finalizers(&object) {
            transaction.remove(&key);
            return Ok(object);
        }
        Ok(Value::clone(&transaction.put(key, object)))
    }

    fn live(&self, transaction: &Transaction<'_>) -> Result<Option<Value>, Failure> {
        transaction.get(&self.key(self.target.name)).map(|object| show(object, self.api_version)).transpose()
    }

    fn found(&self, transaction: &Transaction<'_>) -> Result<Value, Failure> {
        self.live(transaction)?.ok_or_else(|| Failure::not_found(self.target.subject()))
    }

    fn key(&self, name: &str) -> Key {
        Key { plural: self.target.kind.plural, namespace: self.target.namespace.to_owned(), name: name.to_owned() }
    }

    fn writer(&self) -> Writer<'_> {
        // Owners were not told apart by subresource before v1.21.
        let subresource = if self.shape == Shape::V1_20 { "" } else { self.target.subresource };
        Writer { manager: self.manager, api_version: self.api_version, subresource, now: self.now }
    }
}
