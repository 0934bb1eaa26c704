//! The API server's HTTP: from a request to the verb it means, and back. IO.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::discovery;
use super::failure::Failure;
use super::faults::{Faults, Mishap, Verb};
use super::kinds::Shape;
use super::now;
use super::read;
use super::route::{Route, Target, query, route};
use super::store::Store;
use super::watch_stream::{Subject, Watch};
use super::write::{Edit, Write, scale_of};

/// Media type of everything but the aggregated discovery.
const JSON: &str = "application/json";

/// An answer of the API server.
pub(super) type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// The answer that an injected fault loses; the connection breaks instead.
#[derive(Debug, thiserror::Error)]
#[error("the answer was lost on purpose")]
pub(super) struct Lost;

/// One cluster's API server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) shape: Shape,
    pub(super) store: Arc<Store>,
    pub(super) faults: Faults,
    /// Changes to end every open watch.
    pub(super) cut: watch::Sender<u64>,
    /// Time after which an idle watch that asked for bookmarks gets one.
    pub(super) bookmark_interval: Duration,
}

/// What a request asks for, taken apart.
struct Asked<'a> {
    method: &'a Method,
    headers: &'a HeaderMap,
    query: BTreeMap<String, String>,
    body: Bytes,
}

/// What a `PUT` or a `PATCH` brings.
enum Change {
    Edit(Edit),
    /// A configuration to apply.
    Apply(Value),
}

impl Server {
    /// Answers one request.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Lost> {
        let (head, body) = request.into_parts();
        // A body that breaks off belongs to a client that is gone.
        let body = body.collect().await.map_err(|_| Lost)?.to_bytes();
        let asked = Asked { method: &head.method, headers: &head.headers, query: query(head.uri.query()), body };
        match route(self.shape, head.uri.path()) {
            Route::Objects(target) => self.objects(target, &asked).await,
            route => Ok(self.document(&route, &asked)),
        }
    }

    fn document(&self, route: &Route<'_>, asked: &Asked<'_>) -> Answer {
        let found = |document: Option<Value>| document.map_or_else(nowhere, |document| json_answer(200, &document));
        match route {
            Route::Version => json_answer(200, &discovery::version(self.shape)),
            Route::Health => text_answer(StatusCode::OK, "ok"),
            Route::Groups { core } if self.shape == Shape::V1_37 && wants_aggregated(asked.headers) => {
                let mut answer = json_answer(200, &discovery::aggregated(self.shape, *core));
                answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(discovery::AGGREGATED));
                answer
            }
            Route::Groups { core: true } => {
                let host = asked.headers.get(header::HOST).and_then(|host| host.to_str().ok());
                json_answer(200, &discovery::core_versions(host.unwrap_or_default()))
            }
            Route::Groups { core: false } => json_answer(200, &discovery::groups(self.shape)),
            Route::Group(name) => found(discovery::one_group(self.shape, name)),
            Route::Resources { group, version } => found(discovery::resources(self.shape, group, version)),
            Route::NoSuchKind => failure_answer(&Failure::not_served()),
            Route::Nowhere | Route::Objects(_) => nowhere(),
        }
    }

    async fn objects(&self, target: Target<'_>, asked: &Asked<'_>) -> Result<Answer, Lost> {
        let Some(verb) = verb(asked, target) else { return Ok(failure_answer(&Failure::method_not_allowed())) };
        let mishap = self.faults.take(verb, target.kind.plural);
        match mishap {
            Some(Mishap::Refuse(code)) => return Ok(failure_answer(&Failure::injected(code))),
            Some(Mishap::Delay(time)) => tokio::time::sleep(time).await,
            Some(Mishap::Throttle(seconds)) => return Ok(throttled(seconds)),
            Some(Mishap::LoseAnswer | Mishap::HalfAnswer | Mishap::Compact) | None => {}
        }
        let answer = self.carry_out(verb, target, asked).unwrap_or_else(|failure| failure_answer(&failure));
        match mishap {
            Some(Mishap::LoseAnswer) => Err(Lost),
            Some(Mishap::HalfAnswer) => Ok(half(answer).await),
            Some(Mishap::Compact) => {
                self.store.compact();
                Ok(answer)
            }
            _ => Ok(answer),
        }
    }

    fn carry_out(&self, verb: Verb, target: Target<'_>, asked: &Asked<'_>) -> Result<Answer, Failure> {
        let api_version = discovery::group_version(target.group, target.version);
        let now = now();
        let write = Write {
            shape: self.shape,
            target,
            api_version: &api_version,
            manager: asked.manager(),
            force: asked.flag("force"),
            dry_run: asked.query.get("dryRun").is_some_and(|value| value == "All"),
            now: &now,
        };
        let is_scale = target.subresource == "scale";
        let (code, document) = match verb {
            Verb::Get if is_scale => (200, scale_of(&read::get(&self.store, target, &api_version)?)),
            Verb::Get => (200, read::get(&self.store, target, &api_version)?),
            Verb::List => (200, read::list(&self.store, target, &api_version, &asked.query)?),
            Verb::Watch => return self.watch(target, &api_version, asked),
            Verb::Create => write.create(&self.store, asked.json()?)?,
            Verb::Update | Verb::Patch => match asked.change(verb)? {
                Change::Edit(edit) if is_scale => write.scale(&self.store, edit)?,
                Change::Edit(edit) => write.edit(&self.store, edit)?,
                Change::Apply(_) if is_scale => return Err(Failure::unsupported_media_type()),
                Change::Apply(_) if !asked.query.contains_key("fieldManager") => return Err(Failure::no_manager()),
                Change::Apply(config) => write.apply(&self.store, config)?,
            },
            Verb::Delete if target.name.is_empty() => (200, self.delete_collection(write, asked)?),
            Verb::Delete => write.delete(&self.store, &asked.delete_options()?)?,
        };
        Ok(json_answer(code, &document))
    }

    fn watch(&self, target: Target<'_>, api_version: &str, asked: &Asked<'_>) -> Result<Answer, Failure> {
        let subject =
            Subject { plural: target.kind.plural, kind: target.kind.name, namespace: target.namespace, api_version };
        let mut query = asked.query.clone();
        if !target.name.is_empty() {
            query.insert("fieldSelector".to_owned(), format!("metadata.name={}", target.name));
        }
        let store = Arc::clone(&self.store);
        let watch = Watch::new(store, self.cut.subscribe(), &subject, &query, self.bookmark_interval)?;
        let lines = watch.stream().map(|line| Ok(Frame::data(line)));
        let mut answer = Response::new(StreamBody::new(lines).boxed_unsync());
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
        Ok(answer)
    }

    fn delete_collection(&self, write: Write<'_>, asked: &Asked<'_>) -> Result<Value, Failure> {
        let list = read::list(&self.store, write.target, write.api_version, &asked.query)?;
        let options = asked.delete_options()?;
        for item in list["items"].as_array().into_iter().flatten() {
            let text = |field: &str| item["metadata"][field].as_str().unwrap_or_default();
            let target = Target { namespace: text("namespace"), name: text("name"), ..write.target };
            Write { target, ..write }.delete(&self.store, &options)?;
        }
        Ok(list)
    }
}

impl Asked<'_> {
    fn flag(&self, name: &str) -> bool {
        self.query.get(name).is_some_and(|value| value == "true" || value == "1")
    }

    fn media(&self) -> &str {
        let media = self.headers.get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok()).unwrap_or_default();
        media.split(';').next().unwrap_or_default().trim()
    }

    /// The field manager as named, or else the program that asks.
    fn manager(&self) -> &str {
        let agent = || self.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        match self.query.get("fieldManager").filter(|manager| !manager.is_empty()) {
            Some(manager) => manager,
            None => agent().and_then(|agent| agent.split('/').next()).unwrap_or("unknown"),
        }
    }

    /// The body as a document; the binary form that `kubectl create` prefers is not read here.
    fn json(&self) -> Result<Value, Failure> {
        if self.media().contains("protobuf") {
            return Err(Failure::unsupported_media_type());
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| Failure::bad_request(format!("the object provided is unrecognized: {error}")))
    }

    fn delete_options(&self) -> Result<Value, Failure> {
        if self.body.is_empty() { Ok(json!({})) } else { self.json() }
    }

    /// The change, by its media type. An applied one may be YAML, which JSON nearly always is as well.
    fn change(&self, verb: Verb) -> Result<Change, Failure> {
        match self.media() {
            _ if verb == Verb::Update => self.json().map(|document| Change::Edit(Edit::Replace(document))),
            "application/json-patch+json" => serde_json::from_slice(&self.body)
                .map(|patch| Change::Edit(Edit::Json(patch)))
                .map_err(|error| Failure::bad_request(error.to_string())),
            "application/merge-patch+json" => self.json().map(|patch| Change::Edit(Edit::Merge(patch))),
            "application/apply-patch+yaml" => self.json().or_else(|_| self.yaml()).map(Change::Apply),
            _ => Err(Failure::unsupported_media_type()),
        }
    }

    fn yaml(&self) -> Result<Value, Failure> {
        let text = std::str::from_utf8(&self.body).map_err(|error| Failure::bad_request(error.to_string()))?;
        serde_saphyr::from_str(text).map_err(|error| Failure::bad_request(format!("error decoding YAML: {error}")))
    }
}

fn verb(asked: &Asked<'_>, target: Target<'_>) -> Option<Verb> {
    let (collection, main) = (target.name.is_empty(), target.subresource.is_empty());
    match *asked.method {
        Method::GET if asked.flag("watch") && main => Some(Verb::Watch),
        Method::GET if collection => Some(Verb::List),
        Method::GET => Some(Verb::Get),
        Method::POST if collection && (target.kind.namespaced != target.namespace.is_empty()) => Some(Verb::Create),
        Method::PUT if !collection => Some(Verb::Update),
        Method::PATCH if !collection => Some(Verb::Patch),
        Method::DELETE if main => Some(Verb::Delete),
        _ => None,
    }
}

fn wants_aggregated(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accepted.split(',').any(|media| media.contains("as=APIGroupDiscoveryList") && media.contains("v=v2;"))
}

fn json_answer(code: u16, document: &Value) -> Answer {
    let mut answer = Response::new(Full::from(document.to_string()).boxed_unsync());
    *answer.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    answer
}

fn failure_answer(failure: &Failure) -> Answer {
    json_answer(failure.code, &failure.to_json())
}

/// A refusal that says when to come back.
fn throttled(seconds: u64) -> Answer {
    let mut answer = failure_answer(&Failure::injected(429));
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    answer
}

/// The first half of an answer; its length is announced as that of the whole, so the connection breaks where it ends.
async fn half(answer: Answer) -> Answer {
    let (mut head, body) = answer.into_parts();
    // A body in memory cannot fail.
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let first = Full::new(body.slice(..body.len() / 2)).map_err(|never| match never {});
    Response::from_parts(
        head,
        StreamBody::new(first.into_data_stream().map(|data| data.map(Frame::data))).boxed_unsync(),
    )
}

fn text_answer(status: StatusCode, text: &'static str) -> Answer {
    let mut answer = Response::new(Full::from(text).boxed_unsync());
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

/// What a real server answers for a group or version it does not serve.
fn nowhere() -> Answer {
    text_answer(StatusCode::NOT_FOUND, "404 page not found\n")
}
