//! The sample of the contract, in shell, before an HAProxy: as a program, and behind an HTTP server.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use async_trait::async_trait;
use crossfade::listener::{Serving, serve};
use crossfade::plane::Plane;
use crossfade::plane::conformance::{Beyond, Client, Ground, Property, Trouble, Verdict};
use crossfade::plane::exec::exec;
use crossfade::plane::webhook::webhook;
use crossfade::policy::{ExecSpec, WebhookSpec, Weight};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::haproxy::Balanced;
use super::part::{free_address, liar};
use crate::lab::stage::root;

/// How the sample is spoken to.
enum Way {
    Program,
    Server(Serving),
}

struct Sampled {
    haproxy: Balanced,
    way: Way,
}

pub async fn examined_program() -> Vec<(Property, Verdict)> {
    let plane = Sampled { haproxy: Balanced::start(1, 1).await, way: Way::Program };
    super::examined(&plane, &plane).await.unwrap()
}

pub async fn examined_server() -> Vec<(Property, Verdict)> {
    let haproxy = Balanced::start(1, 1).await;
    let way = Way::Server(serve_sample(command(&haproxy)).await);
    let plane = Sampled { haproxy, way };
    super::examined(&plane, &plane).await.unwrap()
}

/// The sample and what it is to drive.
fn command(haproxy: &Balanced) -> Vec<String> {
    let sample = root().join("docs/plane.sh").display().to_string();
    let spec = haproxy.spec();
    let socket = haproxy.socket().display().to_string();
    vec![sample, socket, spec.backend, spec.source[0].clone(), spec.target[0].clone()]
}

/// An HTTP server that hands each body to the sample.
async fn serve_sample(command: Vec<String>) -> Serving {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    serve(listener, move |_| {
        let command = command.clone();
        service_fn(move |request: Request<Incoming>| {
            let command = command.clone();
            async move {
                let body = request.into_body().collect().await.unwrap().to_bytes();
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(pass(&command, &body).await)))
            }
        })
    })
    .unwrap()
}

async fn pass(command: &[String], body: &[u8]) -> Vec<u8> {
    let mut child = tokio::process::Command::new(&command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(body).await.unwrap();
    child.wait_with_output().await.unwrap().stdout
}

fn script(directory: &Path, name: &str, text: &str) -> Box<dyn Plane> {
    let path = directory.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    Box::new(exec(ExecSpec { command: vec![path.display().to_string()] }))
}

fn at(address: SocketAddr) -> Box<dyn Plane> {
    Box::new(webhook(WebhookSpec { url: format!("http://{address}/") }))
}

/// Whoever answers in HTTP with this body.
async fn saying(body: &'static str) -> Box<dyn Plane> {
    let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    at(liar(Some(text.leak())).await)
}

#[async_trait]
impl Ground for Sampled {
    fn driver(&self) -> Box<dyn Plane> {
        match &self.way {
            Way::Program => Box::new(exec(ExecSpec { command: command(&self.haproxy) })),
            Way::Server(serving) => at(serving.address()),
        }
    }

    /// Without cookies: the contract knows no clients.
    fn client(&self, _: bool) -> Box<dyn Client> {
        self.haproxy.client(false)
    }

    async fn admit(&self) -> Result<(), Beyond> {
        self.haproxy.admit().await
    }

    async fn meddle(&self, to: Weight) -> Result<(), Beyond> {
        self.haproxy.meddle(to).await
    }

    async fn restart(&self) -> Result<(), Beyond> {
        self.haproxy.restart().await
    }

    async fn others(&self) -> Result<Option<String>, Beyond> {
        self.haproxy.others().await
    }

    /// The sample is for one server on each side.
    fn has_backends(&self) -> bool {
        false
    }

    async fn lose_target(&self, back: bool) -> Result<(), Beyond> {
        self.haproxy.lose_target(back).await
    }

    fn too_fine(&self) -> Option<Weight> {
        Weight::from_basis_points(10).ok()
    }

    async fn troubles(&self) -> Result<Vec<Trouble>, Beyond> {
        let trouble = |what, plane, means| Trouble { what, plane, means };
        const HALF: &str = r#"{"contract": "crossfade.dev/plane/v1", "weig"#;
        const OTHER: &str = r#"{"contract": "crossfade.dev/plane/v9", "weight": 0}"#;
        const GONE: &str =
            r#"{"contract": "crossfade.dev/plane/v1", "error": {"meaning": "notFound", "message": "gone"}}"#;
        let directory = self.haproxy.directory();
        let said = |text: &str| format!("cat > /dev/null; echo '{text}'");
        Ok(match self.way {
            Way::Program => vec![
                trouble(
                    "no such program",
                    Box::new(exec(ExecSpec { command: vec!["/nowhere".to_owned()] })),
                    "unreachable",
                ),
                trouble("no end", script(directory, "endless", "exec sleep 60"), "timed out"),
                trouble("an empty answer", script(directory, "empty", "exit 0"), "malformed"),
                trouble("half an answer", script(directory, "half", &said(HALF)), "malformed"),
                trouble("another version", script(directory, "other", &said(OTHER)), "malformed"),
                trouble("a failure", script(directory, "failing", "echo no rights >&2; exit 3"), "refused"),
                trouble("something that is not there", script(directory, "gone", &said(GONE)), "not found"),
            ],
            Way::Server(_) => vec![
                trouble("nobody listens", at(free_address()), "unreachable"),
                trouble("no answer", at(liar(None).await), "timed out"),
                trouble("an empty answer", saying("").await, "malformed"),
                trouble("half an answer", saying(HALF).await, "malformed"),
                trouble("another version", saying(OTHER).await, "malformed"),
                trouble("HTML", saying("<html>").await, "malformed"),
                trouble(
                    "a connection cut",
                    at(liar(Some("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{")).await),
                    "unreachable",
                ),
                trouble(
                    "not let in",
                    at(liar(Some("HTTP/1.1 401 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")).await),
                    "refused",
                ),
                trouble(
                    "a redirect",
                    at(liar(Some(
                        "HTTP/1.1 302 There\r\nlocation: /\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                    ))
                    .await),
                    "refused",
                ),
                trouble("something that is not there", saying(GONE).await, "not found"),
            ],
        })
    }
}
