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

/// What a patch is.
#[derive(Debug)]
pub(super) enum Patch {
    /// RFC 6902.
    Json(json_patch::Patch),
    /// RFC 7396.
    Merge(Value),
    /// Server-side apply.
    Apply(Value),
}

/// HTTP status and body of a write that succeeded.
pub(super) type Done = (u16, Value);

impl Write<'_> {
    /// `POST` to a collection.
    pub(super) fn create(&self, store: &Store, mut object: Value) -> Result<Done, Failure> {
        if let (Value::Null, Some(prefix)) = (&object["metadata"]["name"], object["metadata"]["generateName"].as_str())
        {
            object["metadata"]["name"] = format!("{prefix}{:05x}", store.begin().next_uid()).into();
        }
        self.identify(&mut object)?;
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let mut transaction = store.begin();
        if transaction.get(&self.key(&name)).is_some() {
            return Err(Failure::already_exists(self.subject(&name)));
        }
        self.begin_life(&mut transaction, &mut object)?;
        let object = ownership::update(None, &object, self.writer());
        self.keep(transaction, &name, None, object).map(|object| (201, object))
    }

    /// `PUT` of an object or of its status.
    pub(super) fn replace(&self, store: &Store, mut object: Value) -> Result<Done, Failure> {
        self.identify(&mut object)?;
        let transaction = store.begin();
        let live = self.live(&transaction)?.ok_or_else(|| Failure::not_found(self.subject(self.target.name)))?;
        self.settle(transaction, &live, object)
    }

    /// `PATCH` of an object or of its status.
    pub(super) fn patch(&self, store: &Store, patch: Patch) -> Result<Done, Failure> {
        let mut transaction = store.begin();
        let live = self.live(&transaction)?;
        let patch = match (patch, live) {
            (Patch::Apply(config), None) => {
                let object = self.apply(&mut transaction, None, config)?;
                return self.keep(transaction, self.target.name, None, object).map(|object| (201, object));
            }
            (Patch::Apply(config), Some(live)) => {
                let object = self.apply(&mut transaction, Some(&live), config)?;
                return self.keep(transaction, self.target.name, Some(&live), object).map(|object| (200, object));
            }
            (_, None) => return Err(Failure::not_found(self.subject(self.target.name))),
            (patch, Some(live)) => (patch, live),
        };
        let (patch, live) = patch;
        let mut object = live.clone();
        patched(&mut object, patch)?;
        self.identify(&mut object)?;
        self.settle(transaction, &live, object)
    }

    /// `PUT` or `PATCH` of the scale: everything it can change is the number of replicas.
    pub(super) fn scale(
        &self,
        store: &Store,
        change: impl FnOnce(&mut Value) -> Result<(), Failure>,
    ) -> Result<Done, Failure> {
        let transaction = store.begin();
        let live = self.live(&transaction)?.ok_or_else(|| Failure::not_found(self.subject(self.target.name)))?;
        let mut scale = scale_of(&live);
        change(&mut scale)?;
        let mut object = live.clone();
        object["spec"]["replicas"] = scale["spec"]["replicas"].take();
        object["metadata"]["resourceVersion"] = scale["metadata"]["resourceVersion"].take();
        let main = Write { target: Target { subresource: "", ..self.target }, ..*self };
        self.not_stale(&live, &object)?;
        let object = ownership::update(Some(&live), &object, self.writer());
        main.keep(transaction, self.target.name, Some(&live), object).map(|object| (200, scale_of(&object)))
    }

    /// `DELETE` of an object.
    pub(super) fn delete(&self, store: &Store, options: &Value) -> Result<Done, Failure> {
        let mut transaction = store.begin();
        let live = self.live(&transaction)?.ok_or_else(|| Failure::not_found(self.subject(self.target.name)))?;
        for (what, field) in [("UID", "uid"), ("ResourceVersion", "resourceVersion")] {
            let (wanted, found) = (options["preconditions"][field].as_str(), live["metadata"][field].as_str());
            if let Some(wanted) = wanted.filter(|wanted| Some(*wanted) != found) {
                let subject = self.subject(self.target.name);
                return Err(Failure::precondition(subject, what, wanted, found.unwrap_or_default()));
            }
        }
        let waits = (self.target.kind.name == "Pod" && options["gracePeriodSeconds"] != 0) || has_finalizers(&live);
        if self.dry_run {
            return Ok((200, live));
        }
        if waits {
            return Ok((200, self.begin_end(transaction, live)));
        }
        if self.target.kind.name == "Namespace" {
            for key in transaction.keys_in(self.target.name) {
                transaction.remove(&key);
            }
        }
        transaction.remove(&self.key(self.target.name));
        let uid = &live["metadata"]["uid"];
        let mut details = json!({"name": self.target.name, "kind": self.target.kind.plural, "uid": uid});
        if !self.target.group.is_empty() {
            details["group"] = self.target.group.into();
        }
        Ok((
            200,
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}),
        ))
    }

    /// Marks the object as going; whoever holds it back removes it later.
    fn begin_end(&self, mut transaction: Transaction<'_>, mut live: Value) -> Value {
        if live["metadata"]["deletionTimestamp"].is_null() {
            live["metadata"]["deletionTimestamp"] = self.now.into();
            live["metadata"]["deletionGracePeriodSeconds"] = 30.into();
            return Value::clone(&transaction.put(self.key(self.target.name), live));
        }
        live
    }

    /// The object after an apply.
    fn apply(
        &self,
        transaction: &mut Transaction<'_>,
        live: Option<&Value>,
        mut config: Value,
    ) -> Result<Value, Failure> {
        if config["metadata"].get("managedFields").is_some_and(|fields| !fields.is_null()) {
            return Err(Failure::bad_request("metadata.managedFields must be nil"));
        }
        remove_nulls(&mut config);
        self.identify(&mut config)?;
        self.narrow(&mut config);
        match live {
            Some(live) => {
                self.not_stale(live, &config)?;
                ownership::apply(Some(live), &config, self.writer(), self.force)
                    .map_err(|conflicts| Failure::conflicts(&conflicts))
            }
            None if self.target.subresource.is_empty() && config["metadata"]["resourceVersion"].is_null() => {
                let applied = ownership::apply(None, &config, self.writer(), self.force);
                let mut object = applied.map_err(|conflicts| Failure::conflicts(&conflicts))?;
                object["metadata"]["name"] = self.target.name.into();
                if self.target.kind.namespaced {
                    object["metadata"]["namespace"] = self.target.namespace.into();
                }
                self.begin_life(transaction, &mut object)?;
                Ok(object)
            }
            None => Err(Failure::not_found(self.subject(self.target.name))),
        }
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

    /// Takes from `object` what this path may write, and keeps the result.
    fn settle(&self, transaction: Transaction<'_>, live: &Value, mut object: Value) -> Result<Done, Failure> {
        self.not_stale(live, &object)?;
        if self.target.subresource == "status" {
            let status = object["status"].take();
            object = live.clone();
            object["status"] = status;
        } else if self.target.kind.status {
            object["status"] = live["status"].clone();
        }
        admission::fill(self.shape, self.target.kind, &mut object);
        let object = ownership::update(Some(live), &object, self.writer());
        self.keep(transaction, self.target.name, Some(live), object).map(|object| (200, object))
    }

    /// The last steps of every write: defaults, rules, the count of changes, the store.
    fn keep(
        &self,
        mut transaction: Transaction<'_>,
        name: &str,
        live: Option<&Value>,
        mut object: Value,
    ) -> Result<Value, Failure> {
        admission::fill(self.shape, self.target.kind, &mut object);
        if live == Some(&object) {
            return Ok(object);
        }
        admission::check(self.target.group, self.target.kind, live, &object)?;
        if let Some(live) = live.filter(|live| self.target.kind.counted && live["spec"] != object["spec"]) {
            object["metadata"]["generation"] = (live["metadata"]["generation"].as_u64().unwrap_or_default() + 1).into();
        }
        if self.dry_run {
            return Ok(object);
        }
        let gone = !object["metadata"]["deletionTimestamp"].is_null()
            && live.is_some_and(has_finalizers)
            && !has_finalizers(&object);
        let key = self.key(name);
        let kept = transaction.put(key.clone(), object);
        if gone && self.target.kind.name != "Pod" {
            transaction.remove(&key);
        }
        Ok(Value::clone(&kept))
    }

    /// What a new object gets from the server.
    fn begin_life(&self, transaction: &mut Transaction<'_>, object: &mut Value) -> Result<(), Failure> {
        let Target { kind, namespace, .. } = self.target;
        let home = Key { plural: "namespaces", namespace: String::new(), name: namespace.to_owned() };
        if kind.namespaced && transaction.get(&home).is_none() {
            let subject = Subject { group: "", plural: "namespaces", name: namespace };
            return Err(Failure::not_found(subject));
        }
        let uid = transaction.next_uid();
        let metadata = &mut object["metadata"];
        metadata["uid"] = format!("00000000-0000-4000-8000-{uid:012x}").into();
        metadata["creationTimestamp"] = self.now.into();
        if kind.counted {
            metadata["generation"] = 1.into();
        }
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.retain(|name, _| !matches!(name.as_str(), "resourceVersion" | "deletionTimestamp"));
        }
        if kind.status
            && let Some(fields) = object.as_object_mut()
        {
            fields.remove("status");
        }
        admission::fill(self.shape, kind, object);
        if kind.name == "Service" {
            give_address(object, uid);
        }
        Ok(())
    }

    /// Refuses an object that says it is another than the path names, and names it where it does not.
    fn identify(&self, object: &mut Value) -> Result<(), Failure> {
        let Target { group, kind, namespace, name, .. } = self.target;
        if !object.is_object() {
            return Err(Failure::bad_request("the object provided is not an object"));
        }
        for (field, expected) in [("apiVersion", self.api_version), ("kind", kind.name)] {
            let found = object[field].as_str().unwrap_or(expected);
            if found != expected {
                let message = format!("the object provided has {field} {found:?} where {expected:?} was expected");
                return Err(Failure::bad_request(message));
            }
            object[field] = expected.into();
        }
        let found = object["metadata"]["namespace"].as_str().unwrap_or(namespace);
        if found != namespace {
            return Err(Failure::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        if kind.namespaced {
            object["metadata"]["namespace"] = namespace.into();
        }
        match (name, object["metadata"]["name"].as_str()) {
            ("", Some(_)) => Ok(()),
            ("", None) => Err(Failure::invalid(
                kind.name,
                group,
                "",
                "metadata.name",
                "FieldValueRequired",
                "Required value: name or generateName is required",
            )),
            (name, None) => {
                object["metadata"]["name"] = name.into();
                Ok(())
            }
            (name, Some(found)) if name == found => Ok(()),
            (name, Some(found)) => Err(Failure::bad_request(format!(
                "the name of the object ({found}) does not match the name on the URL ({name})"
            ))),
        }
    }

    fn not_stale(&self, live: &Value, object: &Value) -> Result<(), Failure> {
        let differs = |field: &str| {
            object["metadata"][field]
                .as_str()
                .is_some_and(|wanted| live["metadata"][field] != wanted && !wanted.is_empty())
        };
        if differs("resourceVersion") || differs("uid") {
            return Err(Failure::stale(self.subject(self.target.name)));
        }
        Ok(())
    }

    fn live(&self, transaction: &Transaction<'_>) -> Result<Option<Value>, Failure> {
        transaction.get(&self.key(self.target.name)).map(|object| show(object, self.api_version)).transpose()
    }

    fn key(&self, name: &str) -> Key {
        Key { plural: self.target.kind.plural, namespace: self.target.namespace.to_owned(), name: name.to_owned() }
    }

    fn subject<'a>(&'a self, name: &'a str) -> Subject<'a> {
        Subject { group: self.target.group, plural: self.target.kind.plural, name }
    }

    fn writer(&self) -> Writer<'_> {
        Writer {
            manager: self.manager,
            api_version: self.api_version,
            subresource: self.target.subresource,
            now: self.now,
        }
    }
}

/// The `autoscaling/v1` Scale of a workload.
pub(super) fn scale_of(object: &Value) -> Value {
    let from = &object["metadata"];
    let mut metadata = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        metadata[field] = from[field].clone();
    }
    let labels =
        object["spec"]["selector"]["matchLabels"].as_object().or_else(|| object["spec"]["selector"].as_object());
    let selector: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": object["spec"]["replicas"].as_u64().unwrap_or_default()},
        "status": {
            "replicas": object["status"]["replicas"].as_u64().unwrap_or_default(),
            "selector": selector.join(","),
        },
    })
}

/// Makes of a document what the patch makes of it.
pub(super) fn patched(document: &mut Value, patch: Patch) -> Result<(), Failure> {
    match patch {
        Patch::Json(patch) => json_patch::patch(document, &patch)
            .map_err(|error| Failure::unprocessable(format!("the patch does not fit the object: {error}"))),
        Patch::Merge(patch) => {
            json_patch::merge(document, &patch);
            Ok(())
        }
        Patch::Apply(_) => Err(Failure::unsupported_media_type()),
    }
}

fn has_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty())
}

/// In an applied configuration a null says the same as a missing field.
fn remove_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(remove_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_nulls),
        _ => {}
    }
}

/// Gives a Service its cluster address, unless it has one or wants none.
fn give_address(service: &mut Value, uid: u64) {
    let spec = &mut service["spec"];
    if spec["type"] == "ExternalName" {
        return;
    }
    let [.., high, low] = uid.to_be_bytes();
    let address = spec["clusterIP"].as_str().map_or_else(|| format!("10.96.{high}.{low}"), str::to_owned);
    spec["clusterIPs"] = json!([address]);
    spec["clusterIP"] = address.into();
}
