//! Servers that answer badly, slowly, elsewhere or not us.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Mutex as Guarded;
use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::listener::{self, Serving};
use crate::policy::prometheus::{Header, HeaderValue, Identity, Login, Place, Tls};
use crate::policy::{Assignment, SourceFile, load};

/// What a request was: its head, and its form.
type Asked = (hyper::http::request::Parts, String);

/// A server that answers each request with a status, a header and a body.
async fn server<F>(answer: F) -> (Serving, String)
where
    F: Fn(&Asked) -> Response<Full<Bytes>> + Clone + Send + Sync + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let serving = listener::serve(listener, move |_| {
        let answer = answer.clone();
        service_fn(move |request: Request<Incoming>| {
            let answer = answer.clone();
            async move {
                let (head, body) = request.into_parts();
                let form = body.collect().await.unwrap().to_bytes();
                Ok::<_, Infallible>(answer(&(head, String::from_utf8(form.to_vec()).unwrap())))
            }
        })
    })
    .unwrap();
    let address = format!("http://{}", serving.address());
    (serving, address)
}

fn says(status: u16, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::new(body.into())).unwrap()
}

const SEVEN: &str = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"7"]}]}}"#;

fn plain(address: &str) -> PrometheusSpec {
    PrometheusSpec { address: address.to_owned(), ..PrometheusSpec::default() }
}

fn shop() -> Name {
    Name::new("shop").unwrap()
}

fn open(address: &str) -> Prometheus {
    Prometheus::new(&plain(address), &shop(), Arc::new(Empty)).unwrap()
}

async fn said(prometheus: &Prometheus) -> String {
    chain(&prometheus.number("up").await.unwrap_err())
}

/// Gives what a test keeps in it, by the place's own words.
#[derive(Clone, Default)]
struct Kept(Arc<Guarded<std::collections::HashMap<String, Vec<u8>>>>);

impl Kept {
    fn put(&self, place: &Place, value: impl Into<Vec<u8>>) {
        self.0.lock().unwrap().insert(place.to_string(), value.into());
    }
}

#[async_trait]
impl Keyring for Kept {
    async fn read(&self, _: &Name, place: &Place) -> Result<Vec<u8>, String> {
        self.0.lock().unwrap().get(&place.to_string()).cloned().ok_or_else(|| format!("{place} is not there"))
    }
}

#[tokio::test]
async fn every_bad_answer_says_what_and_where() {
    for (status, body, told) in [
        (
            200,
            Bytes::from("<html>log in</html>"),
            "is not that of a Prometheus server, it begins with \"<html>log in</html>\"",
        ),
        (422, Bytes::from(r#"{"status":"error","error":"many-to-many matching"}"#), "HTTP 422: many-to-many matching"),
        (503, Bytes::from("Service Unavailable"), "HTTP 503: Service Unavailable"),
        (200, Bytes::from(r#"{"status":"success","data":{"resul"#), "broken off or malformed"),
        (200, Bytes::from(vec![b' '; 50 << 20]), "longer than 1048576 bytes"),
    ] {
        let (_serving, address) = server(move |_| says(status, body.clone())).await;
        let error = said(&open(&address)).await;
        assert!(error.starts_with(&format!("no usable answer from {address}: ")) && error.contains(told), "{error}");
    }
}

#[tokio::test]
async fn ten_thousand_series_are_several() {
    let (_serving, address) = server(|_| {
        let series = vec![serde_json::json!({"metric": {"a": "b"}, "value": [1, "1"]}); 10_000];
        let data = serde_json::json!({"resultType": "vector", "result": series});
        says(200, serde_json::json!({"status": "success", "data": data}).to_string())
    })
    .await;
    assert!(said(&open(&address)).await.ends_with("10000 series where one was asked for; sum them up in the query"));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n{\"status\":").await;
    });
    assert_eq!(
        said(&open(&address)).await,
        format!("no usable answer from {address}: the answer is broken off or malformed")
    );
}

#[tokio::test]
async fn a_server_that_is_silent_is_waited_for_only_so_long() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let held = tokio::spawn(async move {
        let mut streams = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            streams.push(stream);
        }
    });
    let spec = PrometheusSpec { timeout: Some(jiff::SignedDuration::from_millis(150)), ..plain(&address) };
    let prometheus = Prometheus::new(&spec, &shop(), Arc::new(Empty)).unwrap();
    let answers = prometheus.numbers(["a", "b"].map(str::to_owned).into(), Duration::from_secs(60)).await;
    assert_eq!(answers["b"], Err(format!("no answer from {address} within 150ms")));
    held.abort();
    let nobody = said(&open(&address)).await;
    assert!(nobody.starts_with(&format!("no answer from {address}")), "{nobody}");
}

#[tokio::test]
async fn nobody_is_followed_elsewhere_with_what_lets_us_in() {
    let followed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&followed);
    let (_other, other) = server(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        says(200, SEVEN)
    })
    .await;
    let location = format!("{other}/api/v1/query?token=abc");
    let (_serving, address) =
        server(move |_| Response::builder().status(307).header("location", &location).body(Full::default()).unwrap())
            .await;
    let error = said(&open(&address)).await;
    assert!(
        error.ends_with(&format!("HTTP 307: it is at {other}/api/v1/query; write that address if you trust it")),
        "{error}"
    );
    assert_eq!(followed.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn says_who_it_is_and_reads_again_who_that_is() {
    let (token, key) = (Place::Env("TOKEN".into()), Place::Env("KEY".into()));
    let (_serving, address) = server(|(head, _)| {
        let header =
            |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("-").to_owned();
        match (header("authorization").as_str(), header("x-scope-orgid").as_str(), header("x-key").as_str()) {
            ("Bearer second", "shop", "key-value") => says(200, SEVEN),
            (who, tenant, key) => says(401, format!("not {who} of {tenant} with {key}")),
        }
    })
    .await;
    let header = |name: &str, value| Header { name: name.to_owned(), value };
    let spec = PrometheusSpec {
        headers: vec![
            header("X-Scope-OrgID", HeaderValue::Plain("shop".into())),
            header("X-Key", HeaderValue::Kept(key.clone())),
        ],
        login: Some(Login::Bearer(token.clone())),
        ..plain(&address)
    };
    let kept = Kept::default();
    let prometheus = Prometheus::new(&spec, &shop(), Arc::new(kept.clone())).unwrap();
    let missing = prometheus.ready().await.unwrap_err().to_string();
    assert_eq!(missing, "analysis.prometheus.headers[X-Key]: environment variable KEY is not there");
    kept.put(&key, "key-value\n");
    kept.put(&token, "bad\nvalue");
    let unusable = prometheus.ready().await.unwrap_err().to_string();
    assert_eq!(unusable, "analysis.prometheus.bearerToken: is not a token", "and its value is not told");
    kept.put(&token, "first");
    let error = said(&prometheus).await;
    assert!(error.ends_with("HTTP 401: not Bearer … of shop with …"), "no secret is repeated: {error}");
    kept.put(&token, "second");
    // Read again soon, but not in every request of a server that refuses us for another reason.
    tokio::time::pause();
    tokio::time::advance(connection::AGAIN).await;
    tokio::time::resume();
    assert_eq!(prometheus.number("up").await.unwrap(), Some(7.0));
    assert!(!format!("{spec:?}").contains("second"));
}

#[tokio::test]
async fn a_name_and_a_password() {
    let (_serving, address) = server(|(head, _)| match head.headers.get("authorization") {
        Some(value) if value == "Basic bWU6c2VjcmV0" => says(200, SEVEN),
        _ => says(401, ""),
    })
    .await;
    let password = Place::File("/password".into());
    let kept = Kept::default();
    kept.put(&password, "secret\n");
    let login = Some(Login::Basic { username: "me".into(), password });
    let spec = PrometheusSpec { login, ..plain(&address) };
    let prometheus = Prometheus::new(&spec, &shop(), Arc::new(kept)).unwrap();
    assert_eq!(prometheus.number("up").await.unwrap(), Some(7.0));
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/tls/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A server that shows one of the test certificates and wants to see ours.
async fn tls_server(certificate: &str) -> String {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let _ = rustls::crypto::ring::default_provider().install_default();
    let pem = |name: &str| CertificateDer::from_pem_slice(&fixture(name)).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(pem("ca.pem")).unwrap();
    let clients = rustls::server::WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
    let key = PrivateKeyDer::from_pem_slice(&fixture(&format!("{certificate}.key"))).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![pem(&format!("{certificate}.pem"))], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 4096]).await;
            let answer =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{SEVEN}", SEVEN.len());
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    format!("https://localhost:{port}")
}

#[tokio::test]
async fn certificates_of_both_sides_are_looked_at() {
    let place = |name: &str| Place::File(name.into());
    let kept = Kept::default();
    ["ca.pem", "client.pem", "client.key"].iter().for_each(|name| kept.put(&place(name), fixture(name)));
    let ours = Identity { certificate: place("client.pem"), key: place("client.key") };
    let with = |address: &str, ca: bool, identity: Option<Identity>| {
        let tls = Tls { ca: ca.then(|| place("ca.pem")), identity };
        Prometheus::new(&PrometheusSpec { tls, ..plain(address) }, &shop(), Arc::new(kept.clone())).unwrap()
    };
    let (here, elsewhere) = (tls_server("localhost").await, tls_server("elsewhere").await);
    assert_eq!(with(&here, true, Some(ours.clone())).number("up").await.unwrap(), Some(7.0));
    let other_host = said(&with(&elsewhere, true, Some(ours.clone()))).await;
    assert!(other_host.contains(&elsewhere) && other_host.contains("not valid for name \"localhost\""), "{other_host}");
    let unknown = said(&with(&here, false, Some(ours.clone()))).await;
    assert!(unknown.contains("certificate"), "{unknown}");
    assert!(with(&here, true, None).number("up").await.is_err(), "the server wants to know who we are");
    kept.put(&place("client.key"), "no key");
    let error = with(&here, true, Some(ours)).ready().await.unwrap_err().to_string();
    assert_eq!(error, "analysis.prometheus.tls: certificate and key are not PEM of both");
}

/// What a server was asked, and how often.
fn queries(asked: &str) -> usize {
    asked.matches("crossfade_query").count()
}

#[tokio::test]
async fn a_look_is_one_request_until_a_server_does_not_take_that() {
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    let (_serving, address) = server(move |(_, form)| {
        count.fetch_add(1, Ordering::Relaxed);
        // As the third query is evaluated, it fails; together with it the others do.
        if form.contains("broken") {
            return says(422, r#"{"status":"error","error":"many-to-many"}"#);
        }
        if queries(form) == 0 {
            return says(200, SEVEN);
        }
        let number = serde_json::json!({"metric": {"crossfade_query": "0"}, "value": [1, "1"]});
        let series = |route: &str, value: &str| serde_json::json!({"metric": {"crossfade_query": "2", "route": route}, "value": [1, value]});
        let data = serde_json::json!({"resultType": "vector", "result": [number, series("/cart", "3"), series("/pay", "4")]});
        says(200, serde_json::json!({"status": "success", "data": data}).to_string())
    })
    .await;
    let prometheus = open(&address);
    let asked = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let patience = Duration::from_secs(5);
    let answers = prometheus.numbers(asked(&["a", "b", "c"]), patience).await;
    let one = |value: f64| Ok(vec![(String::new(), value)]);
    assert_eq!((&answers["a"], &answers["b"]), (&one(1.0), &Ok(Vec::new())));
    assert_eq!(answers["c"], Ok(vec![("/cart".to_owned(), 3.0), ("/pay".to_owned(), 4.0)]));
    assert_eq!(requests.load(Ordering::Relaxed), 1);
    let answers = prometheus.numbers(asked(&["a", "broken"]), patience).await;
    assert_eq!(answers["a"], one(7.0), "what is wrong with one is not the others' fault");
    assert!(answers["broken"].as_ref().unwrap_err().contains("many-to-many"));
    assert_eq!(requests.load(Ordering::Relaxed), 1 + 3);
}

#[test]
fn migrations_share_a_server() {
    let read = |text: &str| load(&[SourceFile { name: "f".into(), text: text.into() }]).unwrap();
    let policy = read(include_str!("../../../policies/careful.yaml")).policies.remove(0);
    let migration = read(include_str!("../../demo/checkout.yaml")).migrations.remove(0);
    let assignment = Assignment { migration, policy };
    let servers = Servers::open();
    let (one, other) = (servers.of(&assignment).unwrap().unwrap(), servers.of(&assignment).unwrap().unwrap());
    assert!(Arc::ptr_eq(&one.0, &other.0));
}
