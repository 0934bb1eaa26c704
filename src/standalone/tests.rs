//! A whole balancer, driven and measured from outside.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use super::*;
use crate::plane::conformance::backends::Backends;
use crate::policy::Name;
use crate::policy::balancer::{AdminSpec, HealthSpec};

fn spec(directory: &Path, backends: &Backends) -> BalancerSpec {
    let servers = |side| backends.addresses(side).into_iter().collect::<BTreeSet<SocketAddr>>();
    BalancerSpec {
        name: Name::new("edge").unwrap(),
        listen: ([127, 0, 0, 1], 0).into(),
        admin: AdminSpec::Socket(directory.join("admin.sock")),
        state: directory.join("kept.json"),
        source: servers(Side::Source),
        target: servers(Side::Target),
        health: HealthSpec::default(),
        connect: jiff::SignedDuration::from_secs(1),
        response: jiff::SignedDuration::from_secs(5),
    }
}

/// Asks the administration behind the socket of `directory`.
async fn ask(directory: &Path, path: &str, body: Option<&str>) -> (u16, String) {
    let client = crate::http::client().unix_socket(directory.join("admin.sock")).build().unwrap();
    let url = format!("http://balancer{path}");
    let request = match body {
        Some(body) => client.post(url).body(body.to_owned()),
        None => client.get(url),
    };
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

fn verb(rest: &str) -> String {
    format!(r#"{{"contract": "crossfade.dev/plane/v1", {rest}}}"#)
}

#[tokio::test]
async fn the_weight_survives_the_process_and_so_does_a_drain() {
    let directory = tempfile::tempdir().unwrap();
    let backends = Backends::start(1, 1).await.unwrap();
    let first = Standalone::start(spec(directory.path(), &backends)).await.unwrap();
    let shift = verb(r#""verb": "shift", "from": 0, "to": 2500, "origin": 0"#);
    assert_eq!(ask(directory.path(), "/v1/plane", Some(&shift)).await.0, 200);
    assert_eq!(first.balancer().weight(), Weight::percent_saturating(25));
    let elsewhere = verb(r#""verb": "shift", "from": 0, "to": 100, "origin": 0"#);
    let (_, late) = ask(directory.path(), "/v1/plane", Some(&elsewhere)).await;
    assert!(late.contains(r#""weight":2500"#), "a shift from elsewhere is told where it is");
    ask(directory.path(), "/v1/plane", Some(&verb(r#""verb": "drain""#))).await;
    first.shutdown().await;

    let second = Standalone::start(spec(directory.path(), &backends)).await.unwrap();
    assert_eq!(second.balancer().weight(), Weight::percent_saturating(25));
    assert!(second.balancer().is_drained(Side::Source));
    ask(directory.path(), "/v1/plane", Some(&verb(r#""verb": "restore", "setting": 0"#))).await;
    assert!(second.balancer().weight() == Weight::ZERO && !second.balancer().is_drained(Side::Source));
    let (status, metrics) = ask(directory.path(), "/metrics", None).await;
    assert_eq!(status, 200);
    for line in [r#"crossfade_balancer_servers{side="target"} 1"#, "crossfade_balancer_weight 0"] {
        assert!(metrics.lines().any(|told| told == line), "{line}: {metrics}");
    }
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_done() {
    let directory = tempfile::tempdir().unwrap();
    let backends = Backends::start(1, 1).await.unwrap();
    let mut spec = spec(directory.path(), &backends);
    spec.state = directory.path().join("gone/kept.json");
    let standalone = Standalone::start(spec.clone()).await.unwrap();
    let shift = verb(r#""verb": "shift", "from": 0, "to": 2500, "origin": 0"#);
    let (_, refused) = ask(directory.path(), "/v1/plane", Some(&shift)).await;
    assert!(refused.contains("refused") && refused.contains("keep the weight in"), "{refused}");
    assert_eq!(standalone.balancer().weight(), Weight::ZERO);
    standalone.shutdown().await;

    spec.state = directory.path().join("kept.json");
    std::fs::write(&spec.state, "{\"weig").unwrap();
    assert!(matches!(Standalone::start(spec).await.err(), Some(StartError::Kept(_))));
}

#[tokio::test]
async fn only_who_has_the_token_drives_it() {
    let directory = tempfile::tempdir().unwrap();
    let backends = Backends::start(1, 0).await.unwrap();
    let token_file = directory.path().join("token");
    let mut spec = spec(directory.path(), &backends);
    spec.admin = AdminSpec::Tcp { listen: ([127, 0, 0, 1], 0).into(), token_file: token_file.clone() };
    std::fs::write(&token_file, " \n").unwrap();
    assert!(matches!(Standalone::start(spec.clone()).await.err(), Some(StartError::Token(_))));
    std::fs::write(&token_file, "secret\n").unwrap();
    let standalone = Standalone::start(spec).await.unwrap();
    let client = crate::http::client().build().unwrap();
    for (token, path, status) in [
        (None, "/metrics", 401),
        (Some("wrong"), "/metrics", 401),
        (Some("secret"), "/metrics", 200),
        (Some("secret"), "/v1/plane", 405),
        (None, "/healthz", 200),
    ] {
        let request = client.get(format!("{}{path}", standalone.admin()));
        let request = token.iter().fold(request, |request, token| request.bearer_auth(token));
        assert_eq!(request.send().await.unwrap().status(), status, "{token:?} {path}");
    }
}

#[tokio::test]
async fn servers_change_while_it_runs_and_what_does_not_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let backends = Backends::start(1, 1).await.unwrap();
    let spec = spec(directory.path(), &backends);
    let mut standalone = Standalone::start(spec.clone()).await.unwrap();
    let more = Backends::start(2, 0).await.unwrap();
    let source = more.addresses(Side::Source).into_iter().collect();
    let named = standalone.reload(BalancerSpec { source, state: "/elsewhere".into(), ..spec });
    assert_eq!(named, ["spec.state"]);
    standalone.balancer().until_healthy(Side::Source, 2).await;
    assert_eq!(standalone.balancer().counters(Side::Source).backends, 2);
}

#[tokio::test]
async fn a_socket_that_nobody_listens_at_is_taken_over_and_one_in_use_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let backends = Backends::start(1, 1).await.unwrap();
    let spec = spec(directory.path(), &backends);
    drop(std::os::unix::net::UnixListener::bind(directory.path().join("admin.sock")).unwrap());
    let _first = Standalone::start(spec.clone()).await.unwrap();
    assert!(matches!(Standalone::start(spec).await.err(), Some(StartError::Io { .. })));
}
