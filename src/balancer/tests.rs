//! The balancer over real sockets: what is retried, what is counted, what is never lost.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderValue;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::*;

/// A backend that says its name, and does as it is told.
struct Server {
    address: SocketAddr,
    serving: Serving,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    requests: AtomicU64,
    failing: AtomicBool,
    unready: AtomicBool,
    /// Answers to `/wait` begin when this is notified.
    go_on: Notify,
}

async fn server(name: &'static str) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let state = Arc::new(State::default());
    let shared = Arc::clone(&state);
    let serving = listener::serve(listener, move |_| {
        let state = Arc::clone(&shared);
        service_fn(move |request| {
            let state = Arc::clone(&state);
            async move { Ok::<_, Infallible>(answer(name, &state, request).await) }
        })
    })
    .unwrap();
    Server { address: serving.address(), serving, state }
}

async fn answer(name: &'static str, state: &State, mut request: Request<Incoming>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(name));
    if request.uri().path() == "/talk" {
        // Goes over whether it was asked to or not, and says back what it is told.
        let upgraded = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let Ok(upgraded) = upgraded.await else { return };
            let (mut read, mut write) = tokio::io::split(TokioIo::new(upgraded));
            let _ = tokio::io::copy(&mut read, &mut write).await;
        });
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.body_mut() = Full::default();
        for (name, value) in [("connection", "upgrade"), ("upgrade", "echo"), ("x-name", name)] {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        return response;
    }
    if request.uri().path() == "/readyz" {
        if state.unready.load(Ordering::Relaxed) {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        return response;
    }
    state.requests.fetch_add(1, Ordering::Relaxed);
    if request.uri().path() == "/wait" {
        state.go_on.notified().await;
    }
    if state.failing.load(Ordering::Relaxed) {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    if request.uri().path() == "/echo" {
        *response.body_mut() = Full::from(request.into_body().collect().await.unwrap().to_bytes());
    }
    response
}

async fn balancer() -> Balancer {
    let interval = Duration::from_millis(20);
    let health = HealthCheck { interval, rise: 1, ..HealthCheck::default() };
    Balancer::start(Config { health, ..Config::new(([127, 0, 0, 1], 0).into()) }).await.unwrap()
}

/// A balancer with one backend for each side, both up.
async fn pair() -> (Balancer, Server, Server) {
    let (balancer, blue, green) = (balancer().await, server("blue").await, server("green").await);
    balancer.set_backends(Side::Source, [blue.address]);
    balancer.set_backends(Side::Target, [green.address]);
    for side in Side::BOTH {
        balancer.until_healthy(side, 1).await;
    }
    (balancer, blue, green)
}

fn client() -> reqwest::Client {
    // Another test of this process may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

async fn get(balancer: &Balancer, client: &reqwest::Client) -> (u16, String) {
    let response = client.get(format!("http://{}/", balancer.address())).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

fn percent(percent: u16) -> Weight {
    Weight::percent_saturating(percent)
}

#[tokio::test]
async fn the_measured_share_is_the_weight() {
    let (balancer, _blue, _green) = pair().await;
    let client = client();
    balancer.set_weight(Weight::ZERO, percent(30)).unwrap();
    for _ in 0..100 {
        assert_eq!(get(&balancer, &client).await.0, 200);
    }
    assert_eq!(balancer.counters(Side::Source).requests, 70);
    assert_eq!(balancer.counters(Side::Target).requests, 30);
}

#[tokio::test]
async fn a_weight_changes_only_for_those_who_know_it() {
    let (balancer, _blue, _green) = pair().await;
    balancer.set_weight(Weight::ZERO, percent(10)).unwrap();
    let refused = balancer.set_weight(Weight::ZERO, percent(50)).unwrap_err();
    assert_eq!(refused, Changed { expected: Weight::ZERO, current: percent(10) });
    assert_eq!(balancer.weight(), percent(10));
}

#[tokio::test]
async fn backends_of_a_side_take_turns() {
    let balancer = balancer().await;
    let servers = [server("a").await, server("b").await, server("c").await];
    balancer.set_backends(Side::Source, servers.iter().map(|server| server.address));
    balancer.until_healthy(Side::Source, 3).await;
    let client = client();
    for _ in 0..30 {
        get(&balancer, &client).await;
    }
    assert!(servers.iter().all(|server| server.state.requests.load(Ordering::Relaxed) == 10));
}

#[tokio::test]
async fn with_nothing_to_serve_the_answer_says_why() {
    let balancer = balancer().await;
    let (code, body) = get(&balancer, &client()).await;
    assert_eq!(code, 503);
    assert_eq!(body, "no healthy backend: source has 0 of 0 backends up, target has 0 of 0 backends up\n");
    assert_eq!(balancer.counters(Side::Source).failed, 1);
}

#[tokio::test]
async fn a_refused_connection_costs_no_request() {
    let balancer = balancer().await;
    let (going, staying) = (server("going").await, server("staying").await);
    balancer.set_backends(Side::Source, [going.address, staying.address]);
    balancer.until_healthy(Side::Source, 2).await;
    drop(going);
    let client = client();
    for _ in 0..10 {
        assert_eq!(get(&balancer, &client).await, (200, "staying".to_owned()));
    }
    let counters = balancer.counters(Side::Source);
    assert_eq!((counters.requests, counters.failed, counters.healthy), (10, 0, 1));
}

#[tokio::test]
async fn the_other_side_helps_out_and_that_is_counted_apart() {
    let (balancer, blue, _green) = pair().await;
    drop(blue);
    let client = client();
    for _ in 0..5 {
        assert_eq!(get(&balancer, &client).await, (200, "green".to_owned()));
    }
    let target = balancer.counters(Side::Target);
    assert_eq!((target.requests, target.spilled), (5, 5));
    assert_eq!(balancer.counters(Side::Source).requests, 0);
}

#[tokio::test]
async fn a_drained_side_gets_nothing_whatever_happens() {
    let (balancer, blue, green) = pair().await;
    balancer.set_weight(Weight::ZERO, percent(50)).unwrap();
    balancer.drain(Side::Target).await;
    let client = client();
    for _ in 0..4 {
        assert_eq!(get(&balancer, &client).await.1, "blue");
    }
    drop(blue);
    assert_eq!(get(&balancer, &client).await.0, 503);
    assert_eq!(green.state.requests.load(Ordering::Relaxed), 0);
    balancer.admit(Side::Target);
    assert_eq!(get(&balancer, &client).await.1, "green");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_arrives_after_a_drain_has_ended() {
    let (balancer, _blue, green) = pair().await;
    balancer.set_weight(Weight::ZERO, percent(50)).unwrap();
    let users: Vec<_> = (0..4)
        .map(|_| {
            let balancer = balancer.clone();
            tokio::spawn(async move {
                let client = client();
                loop {
                    assert_eq!(get(&balancer, &client).await.0, 200);
                }
            })
        })
        .collect();
    for _ in 0..50 {
        balancer.drain(Side::Target).await;
        let arrived = green.state.requests.load(Ordering::SeqCst);
        let settled = balancer.counters(Side::Source).requests;
        while balancer.counters(Side::Source).requests < settled + 4 {
            tokio::task::yield_now().await;
        }
        assert_eq!(green.state.requests.load(Ordering::SeqCst), arrived);
        balancer.admit(Side::Target);
    }
    for user in users {
        user.abort();
        assert!(user.await.unwrap_err().is_cancelled());
    }
}

#[tokio::test]
async fn draining_waits_for_what_is_open() {
    let (balancer, blue, _green) = pair().await;
    let url = format!("http://{}/wait", balancer.address());
    let open = tokio::spawn(client().get(url).send());
    while blue.state.requests.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(balancer.in_flight(Side::Source), 1);
    let draining = tokio::spawn({
        let balancer = balancer.clone();
        async move { balancer.drain(Side::Source).await }
    });
    tokio::task::yield_now().await;
    assert!(!draining.is_finished());
    blue.state.go_on.notify_one();
    assert_eq!(open.await.unwrap().unwrap().text().await.unwrap(), "blue");
    draining.await.unwrap();
    assert_eq!(balancer.in_flight(Side::Source), 0);
}

#[tokio::test]
async fn shutting_down_answers_what_is_open() {
    let (balancer, blue, _green) = pair().await;
    let url = format!("http://{}/wait", balancer.address());
    let open = tokio::spawn(client().get(url).send());
    while blue.state.requests.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    let down = tokio::spawn(balancer.clone().shutdown(Duration::from_secs(5)));
    while TcpStream::connect(balancer.address()).await.is_ok() {
        tokio::task::yield_now().await;
    }
    blue.state.go_on.notify_one();
    assert_eq!(open.await.unwrap().unwrap().status(), 200);
    down.await.unwrap();
}

#[tokio::test]
async fn failures_are_counted_and_not_hidden() {
    let (balancer, blue, _green) = pair().await;
    blue.state.failing.store(true, Ordering::Relaxed);
    assert_eq!(get(&balancer, &client()).await.0, 500);
    let counters = balancer.counters(Side::Source);
    assert_eq!((counters.requests, counters.failed), (1, 1));
}

#[tokio::test]
async fn an_unready_backend_is_left_alone_until_it_recovers() {
    let (balancer, blue, _green) = pair().await;
    let client = client();
    blue.state.unready.store(true, Ordering::Relaxed);
    while balancer.counters(Side::Source).healthy > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(get(&balancer, &client).await.1, "green");
    blue.state.unready.store(false, Ordering::Relaxed);
    balancer.until_healthy(Side::Source, 1).await;
    assert_eq!(get(&balancer, &client).await.1, "blue");
}

#[tokio::test]
async fn bodies_pass_both_ways() {
    let (balancer, _blue, _green) = pair().await;
    let body = "x".repeat(1 << 20);
    let url = format!("http://{}/echo", balancer.address());
    let echoed = client().post(url).body(body.clone()).send().await.unwrap().text().await.unwrap();
    assert!(echoed == body);
}

/// A backend that answers each request with these bytes and closes the connection without saying so.
async fn rude(bytes: &'static [u8]) -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            let read = stream.read(&mut buffer).await.unwrap_or_default();
            let is_check = buffer.starts_with(b"GET /readyz");
            if !is_check && read > 0 {
                counted.fetch_add(1, Ordering::Relaxed);
            }
            let _ = stream.write_all(if is_check { WELL } else { bytes }).await;
        }
    });
    (address, requests)
}

const WELL: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn a_connection_closed_while_idle_costs_no_request() {
    let balancer = balancer().await;
    let (address, requests) = rude(WELL).await;
    balancer.set_backends(Side::Source, [address]);
    balancer.until_healthy(Side::Source, 1).await;
    let client = client();
    let url = format!("http://{}/", balancer.address());
    for _ in 0..50 {
        // A body makes the request one that may not be sent twice.
        assert_eq!(client.post(&url).body("once").send().await.unwrap().status(), 200);
    }
    assert_eq!(requests.load(Ordering::Relaxed), 50);
    assert_eq!(balancer.counters(Side::Source).failed, 0);
}

#[tokio::test]
async fn an_answer_that_breaks_off_has_failed_once() {
    for answer in
        [&b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok"[..], b"HTTP/1.1 500 No\r\ncontent-length: 9\r\n\r\nok"]
    {
        let balancer = balancer().await;
        balancer.set_backends(Side::Source, [rude(answer).await.0]);
        balancer.until_healthy(Side::Source, 1).await;
        let url = format!("http://{}/", balancer.address());
        assert!(client().get(url).send().await.unwrap().text().await.is_err());
        let counters = balancer.counters(Side::Source);
        assert_eq!((counters.requests, counters.failed, counters.in_flight), (1, 1, 0));
    }
}

#[tokio::test]
async fn what_may_have_been_done_is_sent_again_only_if_that_is_harmless() {
    let balancer = balancer().await;
    let ((address, requests), url) = (rude(b"").await, format!("http://{}/", balancer.address()));
    balancer.set_backends(Side::Source, [address]);
    balancer.until_healthy(Side::Source, 1).await;
    let client = client();
    assert_eq!(client.post(&url).body("once").send().await.unwrap().status(), 502);
    assert_eq!(requests.load(Ordering::Relaxed), 1);
    assert_eq!(client.get(&url).send().await.unwrap().status(), 502);
    assert_eq!(requests.load(Ordering::Relaxed), 4);
    let counters = balancer.counters(Side::Source);
    assert_eq!((counters.requests, counters.failed, counters.retried), (2, 2, 2));
}

#[tokio::test]
async fn a_client_that_leaves_is_no_failure() {
    let (balancer, blue, _green) = pair().await;
    let mut stream = TcpStream::connect(balancer.address()).await.unwrap();
    stream.write_all(b"GET /wait HTTP/1.1\r\nhost: shop\r\n\r\n").await.unwrap();
    while blue.state.requests.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    drop(stream);
    balancer.drain(Side::Source).await;
    let counters = balancer.counters(Side::Source);
    assert_eq!((counters.requests, counters.abandoned), (0, 1));
    blue.serving.drain(Duration::from_secs(1)).await;
}

/// A connection to the balancer that asks to go over, and the head of its answer.
async fn talk(balancer: &Balancer, asks: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(balancer.address()).await.unwrap();
    stream.write_all(format!("GET /talk HTTP/1.1\r\nhost: shop\r\n{asks}\r\n").as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    (stream, String::from_utf8(head).unwrap().to_lowercase())
}

const ASKS: &str = "connection: upgrade\r\nupgrade: echo\r\n";

#[tokio::test]
async fn a_connection_that_goes_over_stays_on_its_side_and_a_drain_waits_for_it() {
    let (balancer, _blue, _green) = pair().await;
    let (mut stream, head) = talk(&balancer, ASKS).await;
    assert!(head.starts_with("http/1.1 101 ") && head.contains("upgrade: echo") && head.contains("blue"), "{head}");
    balancer.set_weight(Weight::ZERO, Weight::FULL).unwrap();
    let drain = tokio::spawn({
        let balancer = balancer.clone();
        async move { balancer.drain(Side::Source).await }
    });
    for said in [&b"one"[..], b"two"] {
        stream.write_all(said).await.unwrap();
        let mut heard = [0; 3];
        stream.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, said);
    }
    assert_eq!(get(&balancer, &client()).await, (200, "green".to_owned()));
    assert!(!drain.is_finished());
    assert_eq!((balancer.in_flight(Side::Source), balancer.counters(Side::Source).requests), (1, 1));
    // It says no more, and hears that the other end does not either.
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    drain.await.unwrap();
    assert_eq!((balancer.in_flight(Side::Source), balancer.counters(Side::Source).failed), (0, 0));
}

#[tokio::test]
async fn a_connection_that_outlasts_the_end_of_the_balancer_is_cut_at_its_deadline() {
    let (balancer, _blue, _green) = pair().await;
    let (mut stream, _) = talk(&balancer, ASKS).await;
    let kept = balancer.clone();
    balancer.shutdown(Duration::from_millis(50)).await;
    assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
    kept.shared.source.idle().await;
}

#[tokio::test]
async fn what_goes_over_without_being_asked_is_a_failure() {
    let (balancer, _blue, _green) = pair().await;
    let (_, head) = talk(&balancer, "").await;
    assert!(head.starts_with("http/1.1 502 "), "{head}");
    assert_eq!((balancer.in_flight(Side::Source), balancer.counters(Side::Source).failed), (0, 1));
}
