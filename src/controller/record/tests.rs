//! Two who drive one migration, and a home cluster that is one object.

use std::sync::Mutex;

use http_body_util::BodyExt;
use hyper::{Request, Response};
use kube::client::Body;
use kube::runtime::watcher;
use serde_json::json;
use tokio::sync::{Semaphore, watch};

use super::*;
use crate::analysis::prometheus::Servers;
use crate::cluster::Links;
use crate::cluster::ObjectRef;
use crate::controller::accept;
use crate::controller::health::Health;
use crate::controller::news::News;
use crate::controller::reach::Ways;
use crate::fence::Term;
use crate::migration::action::Deletion;
use crate::migration::{Reply, Request as Asked};
use crate::policy::{SourceFile, load};

/// The object of a home cluster that answers as an API server does: a write over another version than the last is a conflict.
#[derive(Clone)]
struct Server(Arc<Mutex<Value>>);

impl Server {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(json!({
            "apiVersion": "crossfade.dev/v1alpha1", "kind": "Migration",
            "metadata": {"name": "checkout", "namespace": "shop", "uid": "u", "resourceVersion": "1", "generation": 1},
            "spec": {},
        }))))
    }

    fn object(&self) -> Value {
        self.0.lock().unwrap().clone()
    }

    /// Somebody else writes.
    fn edit(&self, pointer: &str, value: Value) {
        let mut object = self.0.lock().unwrap();
        *object.pointer_mut(pointer).unwrap() = value;
        raise(&mut object);
    }

    async fn answer(self, request: Request<Body>) -> Result<Response<Body>, std::convert::Infallible> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
        let mut object = self.0.lock().unwrap();
        let version = sent["metadata"]["resourceVersion"].clone();
        if head.method != "GET" && version != object["metadata"]["resourceVersion"] {
            let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 409, "reason": "Conflict", "message": "", "metadata": {}});
            return Ok(Response::builder().status(409).body(Body::from(status.to_string().into_bytes())).unwrap());
        }
        match head.method.as_str() {
            "PUT" => object["status"] = sent["status"].clone(),
            "PATCH" => object["metadata"]["finalizers"] = sent["metadata"]["finalizers"].clone(),
            _ => {}
        }
        if head.method != "GET" {
            raise(&mut object);
        }
        Ok(Response::new(Body::from(object.to_string().into_bytes())))
    }

    /// A process with this name and fence, whose watch shows the object as it is.
    fn wheel(&self, identity: &str, fence: Fence) -> Wheel {
        let server = self.clone();
        let client = kube::Client::new(tower::service_fn(move |request| server.clone().answer(request)), "shop");
        let home = Home::new(client);
        let [mut migrations, policies, clusters] = Home::watched().map(reflector::store::Writer::new);
        let object: DynamicObject = serde_json::from_value(self.object()).unwrap();
        migrations.apply_watcher_event(&watcher::Event::Apply(object));
        Wheel {
            fence,
            migrations: migrations.as_reader(),
            policies: policies.as_reader(),
            ways: Ways {
                home: home.clone(),
                clusters: clusters.as_reader(),
                kubeconfig: None,
                servers: Servers::open(),
                links: Links::default(),
            },
            identity: identity.to_owned(),
            passes: Arc::new(Semaphore::new(1)),
            news: News::new(&home, identity),
            health: Health::default(),
            stop: watch::channel(false).1,
            home,
        }
    }
}

fn raise(object: &mut Value) {
    let version: u64 = object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    object["metadata"]["resourceVersion"] = (version + 1).to_string().into();
}

fn key() -> Key {
    Key { namespace: "shop".to_owned(), name: "checkout".to_owned() }
}

fn state() -> State {
    let text = include_str!("../../demo/checkout.yaml").to_owned();
    let definitions = load(&[SourceFile { name: "checkout.yaml".to_owned(), text }]).unwrap();
    let (migration, policy) = (definitions.migrations[0].clone(), definitions.policies[0].clone());
    State::new(Assignment { migration, policy }, Timestamp::UNIX_EPOCH)
}

fn held() -> Fence {
    let term = Arc::new(Term::default());
    term.extend(Moment::now(), Duration::from_secs(3600));
    Fence::lease(term)
}

async fn open(server: &Server, identity: &str, fence: Fence) -> (Record, Option<State>) {
    let (record, left, _) = Record::open(&server.wheel(identity, fence), key()).await.unwrap().unwrap();
    (record, left)
}

#[tokio::test]
async fn who_was_superseded_keeps_nothing_whatever_its_lease_says() {
    let server = Server::new();
    let (mut old, left) = open(&server, "old", held()).await;
    assert!(left.is_none());
    assert_eq!(server.object()["metadata"]["finalizers"], json!([FINALIZER]));
    old.decide(Timestamp::UNIX_EPOCH, &state(), Vec::new()).await.unwrap();

    let (mut new, left) = open(&server, "new", held()).await;
    assert_eq!(left, Some(state()), "it goes on where the other one was");
    assert_eq!(server.object()["status"]["epoch"], 2);
    let before = server.object();
    let refused = old.intend(Timestamp::UNIX_EPOCH, &[]).await.unwrap_err();
    assert!(matches!(refused, StoreError::Superseded(_)), "{refused}");
    assert_eq!(server.object(), before);
    new.decide(Timestamp::UNIX_EPOCH, &state(), Vec::new()).await.unwrap();
}

#[tokio::test]
async fn a_record_comes_between_two_edits_of_people() {
    let server = Server::new();
    let (mut record, _) = open(&server, "a", held()).await;
    server.edit("/spec", json!({"edited": true}));
    record.decide(Timestamp::UNIX_EPOCH, &state(), Vec::new()).await.unwrap();
    assert_eq!(server.object()["spec"], json!({"edited": true}), "only the status is ours");
    assert_eq!(server.object()["status"]["phase"], "Preparing");
    server.edit("/metadata/uid", json!("another"));
    let refused = record.intend(Timestamp::UNIX_EPOCH, &[]).await.unwrap_err();
    assert!(matches!(refused, StoreError::Superseded(_)), "an object made anew is another migration");
}

#[tokio::test]
async fn only_the_policy_that_the_objects_say_is_adopted() {
    let object = |kind: &str, name: &str, spec: Value| -> DynamicObject {
        let metadata = json!({"name": name, "namespace": "shop", "resourceVersion": "1"});
        let object = json!({"apiVersion": "crossfade.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec});
        serde_json::from_value(object).unwrap()
    };
    let policy = object(
        "ShiftPolicy",
        "careful",
        json!({
            "steps": [{"setWeight": 100}],
            "analysis": {"metrics": [{"name": "errors", "planeErrors": {"plane": "edge"}, "max": "1%"}]},
        }),
    );
    let spec = json!({
        "source": {"context": "blue"}, "target": {"context": "green"}, "workloads": {"namespaces": ["shop"]},
        "planes": [{"name": "edge", "embedded": {}}], "policy": {"name": "careful"},
    });
    let written = accept::read(&object("Migration", "checkout", spec.clone()), Some(&policy)).unwrap().policy;
    let mut bolder = written.clone();
    bolder.soak = SignedDuration::from_secs(1);
    for (policy_asked, replaces) in [(written, "abc"), (bolder, NOT_AS_WRITTEN)] {
        let server = Server::new();
        let request = Asked::AdoptPolicy { policy: Box::new(policy_asked), replaces: "abc".to_owned() };
        let asked = Command { id: "1".to_owned(), at: Timestamp::UNIX_EPOCH, by: "ann".to_owned(), request };
        {
            let mut live = server.0.lock().unwrap();
            live["spec"] = spec.clone();
            live["metadata"]["annotations"] = json!({command::ANNOTATION: serde_json::to_string(&asked).unwrap()});
        }
        let mut wheel = server.wheel("a", held());
        let mut policies = reflector::store::Writer::new(Home::watched()[1].clone());
        policies.apply_watcher_event(&watcher::Event::Apply(policy.clone()));
        wheel.policies = policies.as_reader();
        let (record, _, _) = Record::open(&wheel, key()).await.unwrap().unwrap();
        let commands = record.commands();
        let [Command { request: Asked::AdoptPolicy { replaces: found, .. }, .. }] = &commands[..] else {
            panic!("{commands:?}")
        };
        assert_eq!(found, replaces);
    }
}

#[tokio::test]
async fn a_command_that_was_taken_back_is_not_obeyed() {
    let server = Server::new();
    let asked = json!({"id": "1", "at": "2026-01-01T00:00:00Z", "by": "ann", "request": "pause"}).to_string();
    server.0.lock().unwrap()["metadata"]["annotations"] = json!({command::ANNOTATION: asked});
    let (mut record, _) = open(&server, "a", held()).await;
    let [Command { id, by, request, .. }] = &record.commands()[..] else { panic!("{:?}", record.commands()) };
    let reply = Reply { id: id.clone(), accepted: true, message: String::new() };
    let answered = Answered { by: by.clone(), request: request.clone(), reply };
    server.edit("/metadata/annotations", json!({}));
    let refused = record.decide(Timestamp::UNIX_EPOCH, &state(), vec![answered.clone()]).await.unwrap_err();
    assert!(matches!(refused, StoreError::Home(HomeError::Conflict(_))), "{refused}");
    assert_eq!(server.object()["status"]["state"], Value::Null);
    assert!(record.commands().is_empty(), "it is not asked any more");
    server.edit("/metadata/annotations", json!({command::ANNOTATION: asked}));
    record.decide(Timestamp::UNIX_EPOCH, &state(), vec![answered]).await.unwrap();
    assert!(record.commands().is_empty(), "it was answered");
}

#[tokio::test]
async fn nothing_is_sent_once_the_lease_may_have_ended() {
    let server = Server::new();
    let term = Arc::new(Term::default());
    term.extend(Moment::now(), Duration::from_secs(3600));
    let (mut record, _) = open(&server, "a", Fence::lease(Arc::clone(&term))).await;
    let before = server.object();
    term.extend(Moment::now(), PATIENCE);
    let refused = record.decide(Timestamp::UNIX_EPOCH, &state(), Vec::new()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Fenced(_)), "{refused}");
    assert_eq!(server.object(), before);
    assert!(record.status.state.is_none(), "what was not kept did not happen");
}

#[tokio::test]
async fn the_journal_and_the_answers_are_bounded() {
    let server = Server::new();
    let (mut record, _) = open(&server, "a", held()).await;
    for number in 0..MOST_RECORDS + 20 {
        let reply = Reply { id: number.to_string(), accepted: true, message: "m".repeat(2000) };
        let answered = Answered { by: "ann".to_owned(), request: Asked::Pause, reply };
        record.decide(Timestamp::UNIX_EPOCH, &state(), vec![answered]).await.unwrap();
    }
    let status = server.object()["status"].clone();
    let journal = status["journal"].as_array().unwrap();
    assert!(journal.len() <= MOST_RECORDS && status.to_string().len() < 2 * MOST_BYTES, "{}", status.to_string().len());
    let replies = status["replies"].as_array().unwrap();
    assert_eq!(replies.len(), MOST_REPLIES);
    assert_eq!(replies.last().unwrap()["by"], "ann");
    assert!(journal.last().unwrap().as_str().unwrap().contains(r#""record":"state","at":"#));
}

#[tokio::test]
async fn what_was_applied_is_known_to_the_next_process_however_short_the_journal_is_cut() {
    let server = Server::new();
    let (mut record, _) = open(&server, "a", held()).await;
    let now = Timestamp::UNIX_EPOCH;
    let object = |at: usize| ObjectRef::new("ConfigMap", "shop", format!("map-{at}"));
    let applies: Vec<_> = (0..2 * MOST_RECORDS).map(|at| Action::ApplyObject { object: object(at) }).collect();
    record.intend(now, &applies).await.unwrap();
    let deleted = Action::DeleteObject { object: object(7), because: Deletion::Gone };
    record.intend(now, std::slice::from_ref(&deleted)).await.unwrap();
    record.outcome(now, &[Outcome { action: deleted, error: None }]).await.unwrap();
    for _ in 0..MOST_RECORDS {
        record.decide(now, &state(), Vec::new()).await.unwrap();
    }
    let journal = server.object()["status"]["journal"].to_string();
    assert!(!journal.contains("applyObject"), "the journal has forgotten");
    let (record, _) = open(&server, "b", held()).await;
    let known = |at: &usize| record.applied().contains(&object(*at));
    let expected: Vec<_> = (0..2 * MOST_RECORDS).filter(|at| *at != 7).collect();
    assert_eq!((0..3 * MOST_RECORDS).filter(known).collect::<Vec<_>>(), expected);
    drop(record);
    server.edit("/status/applied", json!("not what was written"));
    let (record, _) = open(&server, "c", held()).await;
    assert!(!record.applied().contains(&object(1)), "what is unknown stays on the target");
}

#[tokio::test]
async fn a_deleted_object_asks_to_go_back_before_anything_else() {
    let server = Server::new();
    let mut object = server.object();
    object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    object["metadata"]["finalizers"] = json!([FINALIZER]);
    let asked = json!({"id": "1", "at": "2026-01-01T00:00:00Z", "by": "ann", "request": "approve"});
    object["metadata"]["annotations"] = json!({command::ANNOTATION: asked.to_string()});
    *server.0.lock().unwrap() = object;
    let (record, _) = open(&server, "a", held()).await;
    assert!(matches!(record.commands()[..], [Command { request: Asked::Abort { .. }, .. }]));
}

#[tokio::test]
async fn others_are_those_that_have_recorded_what_they_move() {
    let server = Server::new();
    let mut mirroring = state();
    let origin = crate::migration::state::Origin {
        at: Timestamp::UNIX_EPOCH,
        planes: std::collections::BTreeMap::new(),
        replicas: std::collections::BTreeMap::new(),
    };
    mirroring.phase = crate::migration::Phase::Mirroring { since: Timestamp::UNIX_EPOCH, origin: Arc::new(origin) };
    let mut ended = state();
    ended.phase = crate::migration::Phase::Completed { at: Timestamp::UNIX_EPOCH };
    let mut migrations = reflector::store::Writer::new(Home::watched()[0].clone());
    for (name, state) in [("checkout", &mirroring), ("cart", &mirroring), ("begins", &state()), ("ended", &ended)] {
        let mut object = server.object();
        object["metadata"]["name"] = json!(name);
        object["status"] = json!({"state": Kept::new(state).unwrap()});
        migrations.apply_watcher_event(&watcher::Event::Apply(serde_json::from_value(object).unwrap()));
    }
    let mut wheel = server.wheel("a", held());
    wheel.migrations = migrations.as_reader();
    let (record, _, _) = Record::open(&wheel, key()).await.unwrap().unwrap();
    assert_eq!(record.others(), [mirroring], "not itself, not what has not begun or has ended");
}
