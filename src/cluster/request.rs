//! One request to an API server and what its answer means. IO.
//!
//! Everything goes over the raw service of the client and not through its typed calls: those write the
//! text of an answer they cannot read, or of an error, to the log, and that text may hold a Secret.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use http_body_util::BodyExt;
use hyper::body::Bytes;
use hyper::header::{RETRY_AFTER, WARNING};
use hyper::http::response::Parts;
use hyper::{Request, Response};
use kube::api::{GetParams, ListParams};
use kube::client::Body;
use kube::core::Request as Path;
use kube::core::request::Error as BuildError;
use serde_json::{Map, Value};

use super::Cluster;
use super::answer::{refusal, warning};
use super::call::Call;
use super::collection::Collection;
use super::error::ClusterError;
use super::kind::{Objects, kind};
use super::manifest::Manifest;
use super::object::ObjectRef;
use super::page::{self, Items, Page};
use super::served::Resource;

/// How long one request may take. The slowest, a page of a list, takes well under a second even on a busy
/// server; a decision that waits longer than this for its facts is too late to protect anyone.
const PATIENCE: Duration = Duration::from_secs(15);

/// Objects per page of a list: few enough that a page is no burden on our memory, enough that asking for it costs little.
pub(super) const PAGE: u32 = 250;

/// Requests at a time. Measured on a 1.37 server: more than 8 add latency and hardly any throughput.
pub const IN_FLIGHT: usize = 8;

/// Below this many objects of a kind and namespace, reading them one by one is less work for the server
/// than listing a namespace that may hold thousands.
const FEW: usize = 8;

/// How much of each object a listing brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Everything.
    Whole,
    /// Only the metadata, so that no value of a Secret leaves its server.
    Metadata,
}

/// One request of a reading of many objects.
enum Read<'a> {
    Collection(&'a Resource, &'a str),
    Object(&'a Resource, &'a ObjectRef),
}

/// Runs requests side by side, never too many of them, until all succeed or one fails. The answers come
/// in no particular order.
pub async fn side_by_side<T, F>(requests: impl IntoIterator<Item = F>) -> Result<Vec<T>, ClusterError>
where
    F: Future<Output = Result<T, ClusterError>>,
{
    // Collected first: a lazy iterator of borrowing futures could not move between threads.
    let requests: Vec<_> = requests.into_iter().collect();
    stream::iter(requests).buffer_unordered(IN_FLIGHT).try_collect().await
}

/// Takes out of an object's metadata what nobody will ask for.
pub type Trim = fn(&mut Map<String, Value>);

/// Who owns which field is half of an object's bytes, and nobody who reads lists asks.
pub fn forget_owners(metadata: &mut Map<String, Value>) {
    metadata.remove("managedFields");
}

impl Cluster {
    /// Every object of a collection, page by page; `labels` is a label selector, empty for everything. Who owns
    /// which field is half of the bytes, and nobody who reads lists this way asks.
    pub(super) async fn list(
        &self,
        resource: &Resource,
        namespace: &str,
        labels: &str,
    ) -> Result<Vec<Manifest>, ClusterError> {
        let collection = Collection::new(resource, namespace, labels);
        self.collect(&collection, forget_owners).await
    }

    /// Every object of a collection, as much of each as `depth` says, and of its metadata what `trim` leaves.
    pub(super) async fn pages(
        &self,
        resource: &Resource,
        namespace: &str,
        labels: &str,
        depth: Depth,
        trim: Trim,
    ) -> Result<Vec<Manifest>, ClusterError> {
        let only_metadata = depth == Depth::Metadata;
        let collection = Collection { only_metadata, ..Collection::new(resource, namespace, labels) };
        self.collect(&collection, trim).await
    }

    /// Every object of a collection.
    ///
    /// Where reading takes so long that the server forgets what it began with, it is read once more in one piece.
    async fn collect(&self, collection: &Collection, trim: Trim) -> Result<Vec<Manifest>, ClusterError> {
        match self.collect_by(collection, Some(PAGE), trim).await {
            Err(ClusterError::Changed { .. }) => self.collect_by(collection, None, trim).await,
            outcome => outcome,
        }
    }

    async fn collect_by(
        &self,
        collection: &Collection,
        limit: Option<u32>,
        trim: Trim,
    ) -> Result<Vec<Manifest>, ClusterError> {
        let mut taken = Vec::new();
        let mut from = String::new();
        loop {
            let page = self.page(collection, limit, &from, trim, |manifest| taken.push(manifest)).await?;
            match page.next {
                last if last.is_empty() => return Ok(taken),
                next => from = next,
            }
        }
    }

    /// One page of a collection, from where the one before ended. Every object is handed over as it is parsed.
    ///
    /// Of one cluster only a few are read at a time: each is a few MiB for a moment.
    pub(super) async fn page(
        &self,
        collection: &Collection,
        limit: Option<u32>,
        from: &str,
        trim: Trim,
        mut take: impl FnMut(Manifest),
    ) -> Result<Page, ClusterError> {
        let _turn = self.relays.turn().await;
        let call = collection.call("list");
        let continue_token = (!from.is_empty()).then(|| from.to_owned());
        let label_selector = collection.label_selector();
        let params = ListParams { limit, label_selector, continue_token, ..ListParams::default() };
        let path = Path::new(collection.path());
        let request = if collection.only_metadata { path.list_metadata(&params) } else { path.list(&params) };
        let (_, text) = self.exchange(&call, request).await?;
        let read = page::read(&text, |item| {
            take(self.listed(&call, &collection.resource, item, trim)?);
            Ok(())
        });
        let page = read.map_err(|error| self.malformed(&call, &error.to_string()))??;
        let is_list = page.items == Items::List || (page.items == Items::Null && collection.only_metadata);
        if is_list { Ok(page) } else { Err(self.malformed(&call, "a list without items")) }
    }

    /// An entry of a list, which has no version and kind of its own.
    pub(super) fn listed(
        &self,
        call: &Call,
        resource: &Resource,
        mut item: Value,
        trim: Trim,
    ) -> Result<Manifest, ClusterError> {
        if let Some(item) = item.as_object_mut() {
            item.insert("apiVersion".to_owned(), resource.api_version.clone().into());
            item.insert("kind".to_owned(), resource.kind.clone().into());
        }
        if let Some(Value::Object(metadata)) = item.get_mut("metadata") {
            trim(metadata);
        }
        Manifest::new(item).ok_or_else(|| self.malformed(call, "an object without a name"))
    }

    /// The resource of a kind in exactly this version.
    pub(super) fn resource(&self, api_version: &str, kind: &str) -> Result<&Resource, ClusterError> {
        self.served.resource(api_version, kind).ok_or_else(|| self.not_served(api_version, kind))
    }

    /// The best version in which this cluster serves a kind.
    pub(super) fn resource_of(&self, name: &str) -> Result<&Resource, ClusterError> {
        // Namespaces are no line of the table of kinds.
        let versions = kind(name).map_or(&["v1"][..], |kind| kind.versions());
        self.served.first_of(versions, name).ok_or_else(|| self.not_served("", name))
    }

    /// Reads the objects asked for in the versions asked for; those that do not exist are left out, and
    /// others may be among them.
    pub(super) async fn read<'a>(
        &self,
        asked: impl Iterator<Item = (&'a str, &'a ObjectRef)>,
    ) -> Result<Objects, ClusterError> {
        let mut groups: BTreeMap<(&str, &str, &str), Vec<&ObjectRef>> = BTreeMap::new();
        for (version, object) in asked {
            groups.entry((version, &object.kind, &object.namespace)).or_default().push(object);
        }
        let mut reads = Vec::new();
        for ((version, kind, namespace), objects) in groups {
            let resource = self.resource(version, kind)?;
            if objects.len() > FEW && resource.namespaced {
                reads.push(Read::Collection(resource, namespace));
            } else {
                reads.extend(objects.into_iter().map(|object| Read::Object(resource, object)));
            }
        }
        let found = side_by_side(reads.into_iter().map(|read| async move {
            match read {
                Read::Collection(resource, namespace) => self.list(resource, namespace, "").await,
                Read::Object(resource, object) => Ok(self.get(resource, object).await?.into_iter().collect()),
            }
        }));
        Ok(found.await?.into_iter().flatten().map(|manifest| (manifest.object().clone(), manifest)).collect())
    }

    /// One object, or `None` where there is none of that name.
    pub(super) async fn get(&self, resource: &Resource, object: &ObjectRef) -> Result<Option<Manifest>, ClusterError> {
        let call = Call::on("get", resource, object);
        let request = Path::new(resource.path(&object.namespace)).get(&object.name, &GetParams::default());
        match self.send(&call, request).await {
            Ok(value) => {
                Manifest::new(value).map(Some).ok_or_else(|| self.malformed(&call, "an object without a name"))
            }
            Err(ClusterError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The JSON at a path that belongs to no object, such as `/version`.
    pub(super) async fn get_path(&self, path: &str) -> Result<Value, ClusterError> {
        let call = Call::path(path);
        let request = Request::get(path).body(Vec::new()).map_err(BuildError::BuildRequest);
        self.send(&call, request).await
    }

    /// Sends a request and reads the JSON it is answered with.
    pub(super) async fn send(
        &self,
        call: &Call,
        request: Result<Request<Vec<u8>>, BuildError>,
    ) -> Result<Value, ClusterError> {
        self.send_and_listen(call, request).await.map(|(value, _)| value)
    }

    /// The text at a path that belongs to no object and is no JSON, such as `/metrics`.
    pub(super) async fn get_text(&self, path: &str) -> Result<String, ClusterError> {
        let call = Call::path(path);
        let request = Request::get(path).body(Vec::new()).map_err(BuildError::BuildRequest);
        let (_, body) = self.exchange(&call, request).await?;
        String::from_utf8(body.into()).map_err(|_| self.malformed(&call, "no text"))
    }

    /// Sends a request; besides the JSON, hands back what the server warns of.
    pub(super) async fn send_and_listen(
        &self,
        call: &Call,
        request: Result<Request<Vec<u8>>, BuildError>,
    ) -> Result<(Value, Vec<String>), ClusterError> {
        let (head, body) = self.exchange(call, request).await?;
        let warnings = head.headers.get_all(WARNING).iter().filter_map(|header| warning(header.to_str().ok()?));
        // The parser's own message has a position and no content.
        let value = serde_json::from_slice(&body).map_err(|error| self.malformed(call, &error.to_string()))?;
        Ok((value, warnings.collect()))
    }

    /// Sends a request and reads the whole answer, where it is one of success.
    async fn exchange(
        &self,
        call: &Call,
        request: Result<Request<Vec<u8>>, BuildError>,
    ) -> Result<(Parts, Bytes), ClusterError> {
        let exchange = async {
            let (head, body) = self.open(call, request).await?.into_parts();
            let body = body.collect().await.map_err(|error| self.unreachable(call, error))?;
            Ok((head, body.to_bytes()))
        };
        self.in_time(call, exchange).await
    }

    /// Sends a request and hands the answer over as soon as it begins, without its body.
    pub(super) async fn open(
        &self,
        call: &Call,
        request: Result<Request<Vec<u8>>, BuildError>,
    ) -> Result<Response<Body>, ClusterError> {
        let request = request.map_err(|error| self.malformed(call, &error.to_string()))?;
        let answer = self.client.send(request.map(Body::from)).await.map_err(|error| self.unreachable(call, error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| self.unreachable(call, error))?;
        let retry_after = head.headers.get(RETRY_AFTER).and_then(|seconds| seconds.to_str().ok());
        Err(refusal(&self.name, call, head.status.as_u16(), retry_after, &body.to_bytes()))
    }

    /// What comes of a request within the patience for one.
    pub(super) async fn in_time<T>(
        &self,
        call: &Call,
        exchange: impl Future<Output = Result<T, ClusterError>>,
    ) -> Result<T, ClusterError> {
        tokio::time::timeout(PATIENCE, exchange).await.map_err(|_| self.timed_out(call, PATIENCE))?
    }

    /// What a `Status` means that came inside an answer.
    pub(super) fn refused(&self, call: &Call, status: &Value) -> ClusterError {
        let code = status.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
        refusal(&self.name, call, code.unwrap_or(500), None, status.to_string().as_bytes())
    }

    pub(super) fn timed_out(&self, call: &Call, after: Duration) -> ClusterError {
        ClusterError::TimedOut { cluster: self.name.clone(), call: Box::new(call.clone()), after }
    }

    pub(super) fn unreachable(&self, call: &Call, source: kube::Error) -> ClusterError {
        ClusterError::Unreachable { cluster: self.name.clone(), call: Box::new(call.clone()), source: source.into() }
    }

    pub(super) fn malformed(&self, call: &Call, reason: &str) -> ClusterError {
        ClusterError::Malformed { cluster: self.name.clone(), call: Box::new(call.clone()), reason: reason.to_owned() }
    }

    pub(super) fn not_served(&self, api_version: &str, kind: &str) -> ClusterError {
        let (api_version, kind) = (api_version.to_owned(), kind.to_owned());
        ClusterError::NotServed { cluster: self.name.clone(), api_version, kind }
    }
}
