//! Two who would lead, a home cluster that is one lease, and paused time: what client-go's `leaderelection` does, this does.

use std::sync::Mutex;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::{Request, Response};
use jiff::{SignedDuration, Timestamp};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::{Instant, advance, timeout};

use super::*;

/// How the home cluster answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Mood {
    #[default]
    Well,
    /// It does not.
    Silent,
    /// It says no at once, as where nobody listens any more.
    Refused,
    /// Every write happens, and its answer is lost.
    Forgets,
    /// Somebody else writes between the next read and the write that follows it.
    Hurried,
}

#[derive(Default)]
struct Server {
    lease: Option<Value>,
    moods: [Mood; 2],
    writes: u64,
}

type Shared = Arc<Mutex<Server>>;

impl Server {
    /// A write over the version that was read, or the first one.
    fn write(&mut self, sent: &Value, first: bool) -> u16 {
        let kept = self.lease.as_ref().map(|lease| lease["metadata"]["resourceVersion"].clone());
        let known = sent["metadata"].get("resourceVersion").cloned();
        if first != kept.is_none() || (!first && known != kept) {
            return 409;
        }
        self.writes += 1;
        let mut lease = sent.clone();
        lease["metadata"]["resourceVersion"] = self.writes.to_string().into();
        self.lease = Some(lease);
        if first { 201 } else { 200 }
    }

    fn read(&self) -> (u16, Value) {
        match &self.lease {
            Some(lease) => (200, lease.clone()),
            None => (404, failure(404)),
        }
    }

    fn holder(&self) -> Option<&str> {
        self.lease.as_ref()?["spec"]["holderIdentity"].as_str()
    }
}

fn failure(code: u16) -> Value {
    let reason = if code == 404 { "NotFound" } else { "Conflict" };
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": "", "metadata": {}})
}

async fn answer(
    server: Shared,
    who: usize,
    request: Request<Body>,
) -> Result<Response<Body>, Box<dyn std::error::Error + Send + Sync>> {
    let (head, body) = request.into_parts();
    let sent: Value = serde_json::from_slice(&body.collect().await?.to_bytes()).unwrap_or_default();
    let mood = server.lock().unwrap().moods[who];
    if mood == Mood::Silent {
        std::future::pending::<()>().await;
    }
    if mood == Mood::Refused {
        return Err("connection refused".into());
    }
    let mut server = server.lock().unwrap();
    let (code, value) = match head.method.as_str() {
        "GET" => server.read(),
        method => {
            if mood == Mood::Hurried {
                server.moods[who] = Mood::Well;
                let mut other = sent.clone();
                other["spec"]["holderIdentity"] = "c".into();
                assert!(server.write(&other, method == "POST") < 300);
            }
            match server.write(&sent, method == "POST") {
                409 => (409, failure(409)),
                code => (code, server.read().1),
            }
        }
    };
    if mood == Mood::Forgets && head.method != "GET" {
        return Err("the connection was closed".into());
    }
    Ok(Response::builder().status(code).body(Body::from(value.to_string().into_bytes()))?)
}

/// Number `who` of two, whose wall shows this time.
fn elector(server: &Shared, who: usize, wall: Timestamp) -> Elector {
    let server = Arc::clone(server);
    let service = tower::service_fn(move |request| answer(Arc::clone(&server), who, request));
    let home = Home::new(kube::Client::new(service, "crossfade-system"));
    let key = Key { namespace: "crossfade-system".to_owned(), name: "crossfade".to_owned() };
    Elector { clock: Clock::at(wall), ..Elector::new(home, key, ["a", "b"][who].to_owned()) }
}

fn noon() -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(12)
}

fn two(skew: SignedDuration) -> (Shared, Elector, Elector) {
    let server = Shared::default();
    let (a, b) = (elector(&server, 0, noon()), elector(&server, 1, noon() + skew));
    (server, a, b)
}

fn set(server: &Shared, who: usize, mood: Mood) {
    server.lock().unwrap().moods[who] = mood;
}

/// Whatever the standby's clock shows, and however far it is from the leader's.
const SKEWS: [SignedDuration; 3] =
    [SignedDuration::ZERO, SignedDuration::from_hours(-24), SignedDuration::from_hours(24)];

#[tokio::test(start_paused = true)]
async fn a_leader_that_renews_is_not_followed_by_anybody() {
    for skew in SKEWS {
        let (server, mut a, mut b) = two(skew);
        a.elected().await;
        let minute = Duration::from_secs(60);
        let (leads, waits) = tokio::join!(timeout(minute, a.deposed()), timeout(minute, b.elected()));
        assert!(leads.is_err() && waits.is_err(), "{skew}");
        assert_eq!(server.lock().unwrap().holder(), Some("a"));
        let writes = server.lock().unwrap().writes;
        assert!((29..=31).contains(&writes), "a renewal each {RETRY:?}: {writes}");
        let left = a.term().left();
        assert!(left > DURATION - RETRY - LOOK && left <= DURATION, "{left:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_stops_at_the_renew_deadline_and_the_standby_begins_after_the_lease() {
    for skew in SKEWS {
        let (server, mut a, mut b) = two(skew);
        a.elected().await;
        // The standby has seen the newest record.
        assert!(timeout(Duration::from_secs(1), b.elected()).await.is_err());
        let cut = Instant::now();
        set(&server, 0, Mood::Silent);
        let deposed = async {
            a.deposed().await;
            (cut.elapsed(), a.term().left())
        };
        let elected = async {
            b.elected().await;
            cut.elapsed()
        };
        let ((stopped, left), began) = tokio::join!(deposed, elected);
        assert!(stopped <= RENEW_DEADLINE && stopped > RENEW_DEADLINE - RETRY, "{stopped:?}");
        assert_eq!(left, Duration::ZERO, "and writes nothing from then on");
        assert!(began > stopped && began <= DURATION + Duration::from_secs(1), "{began:?}");
        let lease = server.lock().unwrap().lease.clone().unwrap();
        assert_eq!(
            (lease["spec"]["holderIdentity"].as_str(), &lease["spec"]["leaseTransitions"]),
            (Some("b"), &json!(1))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_refused_at_once_stops_at_the_same_deadline() {
    let (server, mut a, _) = two(SignedDuration::ZERO);
    // Timers go by whole milliseconds: between two of them, even an empty wait is longer than a refusal takes.
    advance(Duration::from_micros(300)).await;
    a.elected().await;
    set(&server, 0, Mood::Refused);
    let refused = Instant::now();
    timeout(DURATION * 4, a.deposed()).await.expect("it goes on");
    let stopped = refused.elapsed();
    assert!(stopped.abs_diff(RENEW_DEADLINE) < Duration::from_millis(10), "{stopped:?}");
    assert_eq!(a.term().left(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_let_go_is_taken_at_the_next_look() {
    let (server, mut a, mut b) = two(SignedDuration::ZERO);
    a.elected().await;
    assert!(timeout(Duration::from_secs(3), b.elected()).await.is_err());
    a.release().await;
    assert_eq!((a.term().left(), server.lock().unwrap().holder()), (Duration::ZERO, Some("")));
    timeout(LOOK * 2, b.elected()).await.unwrap();
    // Whoever does not hold it lets nothing go.
    a.release().await;
    assert_eq!(server.lock().unwrap().holder(), Some("b"));
}

#[tokio::test(start_paused = true)]
async fn who_was_slower_does_not_lead() {
    // Nobody held it, and both want it.
    let (server, mut a, _) = two(SignedDuration::ZERO);
    set(&server, 0, Mood::Hurried);
    assert!(timeout(DURATION - LOOK, a.elected()).await.is_err());
    assert_eq!((server.lock().unwrap().holder(), a.term().left()), (Some("c"), Duration::ZERO));
    // It held it, and somebody took it all the same.
    let (server, mut a, _) = two(SignedDuration::ZERO);
    a.elected().await;
    set(&server, 0, Mood::Hurried);
    timeout(RETRY * 3, a.deposed()).await.unwrap();
    assert_eq!((server.lock().unwrap().holder(), a.term().left()), (Some("c"), Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_whose_answer_is_lost_counts_for_nothing_until_one_is_answered() {
    let (server, mut a, _) = two(SignedDuration::ZERO);
    a.elected().await;
    set(&server, 0, Mood::Forgets);
    assert!(timeout(Duration::from_secs(7), a.deposed()).await.is_err());
    let left = a.term().left();
    assert!(left <= DURATION - Duration::from_secs(7), "{left:?}");
    set(&server, 0, Mood::Well);
    assert!(timeout(Duration::from_secs(3), a.deposed()).await.is_err());
    assert!(a.term().left() > DURATION - Duration::from_secs(2), "its own record is there: it goes on");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_was_frozen_may_not_write_before_it_has_looked_again() {
    let (server, mut a, mut b) = two(SignedDuration::ZERO);
    a.elected().await;
    assert!(timeout(Duration::from_secs(1), b.elected()).await.is_err());
    advance(DURATION).await;
    assert_eq!(a.term().left(), Duration::ZERO);
    b.elected().await;
    timeout(RETRY * 2, a.deposed()).await.unwrap();
    assert_eq!(server.lock().unwrap().holder(), Some("b"));
}
