//! `crossfade balancer`, by the contract, at its administration.
//!
//! It is the embedded balancer, and keeps its weight while it does not run: it is on disk before requests follow it.

use super::contract::Spoken;
use super::sheet::{Restart, Sheet};
use super::webhook::Server;
use super::{Plane, embedded};
use crate::http;
use crate::policy::DrivenBalancer;

/// What it can and cannot do.
pub const SHEET: Sheet = Sheet { restart: Restart::Keeps, ..embedded::SHEET };

/// A driver for the balancer of `spec`. Contacts nobody yet.
pub fn balancer(spec: DrivenBalancer) -> impl Plane {
    let line = match spec {
        // The host is nobody's: whoever listens at the socket takes it.
        DrivenBalancer::Socket(socket) => {
            Server::new("http://balancer/v1/plane".to_owned(), None, http::client().unix_socket(socket))
        }
        DrivenBalancer::Url { url, token_file } => {
            Server::new(format!("{}/v1/plane", url.trim_end_matches('/')), Some(token_file), http::client())
        }
    };
    Spoken { line, sheet: SHEET }
}
