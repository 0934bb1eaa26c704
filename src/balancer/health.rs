//! Whether a backend may be sent requests: the rule (PURE) and the probe that feeds it (IO).
//!
//! First start: a first check that passes is enough, so that a started balancer is useful at once;
//! before it, a backend takes requests only where its side has nothing better. Trip: `fall` failed checks in a row, or one refused
//! connection of a real request. Recovery: `rise` passed checks in a row. A check that gets no answer
//! in time has failed; missing evidence never makes a backend healthy.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How backends are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// Path asked for; any 2xx or 3xx answer passes.
    pub path: String,
    /// Time between two checks of one backend.
    pub interval: Duration,
    /// Longest time one check may take.
    pub timeout: Duration,
    /// Passed checks in a row after which a failed backend is healthy again; 0 reads as 1.
    pub rise: u32,
    /// Failed checks in a row after which a healthy backend has failed; 0 reads as 1.
    pub fall: u32,
}

impl Default for HealthCheck {
    /// `/readyz` each second; down after two misses, up after two passes.
    fn default() -> Self {
        let second = Duration::from_secs(1);
        Self { path: "/readyz".to_owned(), interval: second, timeout: second, rise: 2, fall: 2 }
    }
}

/// What is known about one backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// Added, and not checked yet.
    Unchecked,
    /// Takes requests; so many checks in a row have failed since.
    Up { missed: u32 },
    /// Takes none; so many checks in a row have passed since.
    Down { passed: u32 },
}

impl Health {
    /// Whether requests may be sent.
    pub(super) fn is_up(self) -> bool {
        matches!(self, Self::Up { .. })
    }

    /// Whether no check has come to an end yet.
    pub(super) fn is_unchecked(self) -> bool {
        self == Self::Unchecked
    }

    /// The health after one more check.
    pub(super) fn after_check(self, passed: bool, check: &HealthCheck) -> Self {
        match (self, passed) {
            (Self::Unchecked | Self::Up { .. }, true) => Self::Up { missed: 0 },
            (Self::Down { passed }, true) if passed + 1 >= check.rise => Self::Up { missed: 0 },
            (Self::Down { passed }, true) => Self::Down { passed: passed + 1 },
            (Self::Up { missed }, false) if missed + 1 < check.fall => Self::Up { missed: missed + 1 },
            (_, false) => Self::Down { passed: 0 },
        }
    }

    /// The health after a real request could not connect.
    pub(super) fn after_refusal(self) -> Self {
        Self::Down { passed: 0 }
    }
}

/// Asks the backend once.
pub(super) async fn probe(address: SocketAddr, check: &HealthCheck) -> bool {
    matches!(tokio::time::timeout(check.timeout, ask(address, &check.path)).await, Ok(Some(status))
        if status.is_success() || status.is_redirection())
}

/// One request on a connection of its own, so that a backend that no longer accepts is noticed.
async fn ask(address: SocketAddr, path: &str) -> Option<StatusCode> {
    let stream = TcpStream::connect(address).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let request = Request::get(path)
        .header(header::HOST, address.to_string())
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .ok()?;
    tokio::spawn(connection);
    sender.send_request(request).await.ok().map(|response| response.status())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_and_falls() {
        let check = HealthCheck { rise: 3, fall: 2, ..HealthCheck::default() };
        // One row: the checks in order, and whether requests may be sent after each.
        let table: &[(&str, &str)] = &[
            ("+", "+"),
            ("-+++", "---+"),
            ("+-+-+", "+++++"),
            ("+--", "++-"),
            ("+--+++", "++---+"),
            ("+--++-+++", "++------+"),
        ];
        for (checks, expected) in table {
            let mut health = Health::Unchecked;
            let seen: String = checks
                .chars()
                .map(|c| {
                    health = health.after_check(c == '+', &check);
                    if health.is_up() { '+' } else { '-' }
                })
                .collect();
            assert_eq!(seen, *expected, "{checks}");
        }
    }

    #[test]
    fn a_refused_connection_ejects_at_once() {
        let check = HealthCheck { rise: 2, ..HealthCheck::default() };
        let health = Health::Up { missed: 0 }.after_refusal();
        assert!(!health.is_up());
        assert!(!health.after_check(true, &check).is_up());
        assert!(health.after_check(true, &check).after_check(true, &check).is_up());
    }
}
