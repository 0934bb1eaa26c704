//! A Prometheus-compatible server, and how to be let in. PURE.
//!
//! What is secret is never here: only where it is kept. `run` reads files and its own environment, a controller reads Secrets of the
//! migration's namespace, and neither reads the other's: who may write a policy in a namespace is not who may read the controller's disk.

use std::fmt;
use std::path::PathBuf;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::types::Name;

/// A Prometheus-compatible server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusSpec {
    /// Base URL, without `/api/v1` and without a password.
    pub address: String,
    /// Longest wait for an answer; the policy's interval, within 2 to 10 s, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<SignedDuration>,
    /// Headers of every request, such as the tenant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header>,
    /// Who we say we are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<Login>,
    /// Whom we trust, and what we show of ourselves.
    #[serde(default, skip_serializing_if = "Tls::is_usual")]
    pub tls: Tls,
}

/// A header.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: HeaderValue,
}

/// The value of a header.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HeaderValue {
    /// As it stands in the policy: nothing secret.
    Plain(String),
    /// Kept somewhere else.
    Kept(Place),
}

/// What the `Authorization` header says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Login {
    /// A bearer token.
    Bearer(Place),
    /// A name and a password.
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: Place,
    },
}

/// Certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// PEM of the only authorities that are trusted; those of the machine unless given.
    pub ca: Option<Place>,
    /// PEM of our own certificate and its key.
    pub identity: Option<Identity>,
}

impl Tls {
    /// Whether nothing was said.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// A client certificate.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// PEM of the certificate, and of those between it and the authority.
    pub certificate: Place,
    /// PEM of its key.
    pub key: Place,
}

/// Where something secret is kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Place {
    /// A file; only `run` reads those.
    File(PathBuf),
    /// A variable of the environment; only `run` reads those.
    Env(String),
    /// An entry of a Secret in the migration's namespace; only a controller reads those.
    Secret {
        /// The Secret.
        name: Name,
        /// Its entry.
        key: String,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::Secret { name, key } => write!(f, "entry {key} of Secret {name}"),
        }
    }
}

impl PrometheusSpec {
    /// Every place that is read, with the field that names it.
    pub fn places(&self) -> Vec<(String, &Place)> {
        let Self { address: _, timeout: _, headers, login, tls } = self;
        let kept = |header: &'_ Header| format!("headers[{}]", header.name);
        let mut places: Vec<(String, &Place)> = Vec::new();
        places.extend(headers.iter().filter_map(|header| match &header.value {
            HeaderValue::Plain(_) => None,
            HeaderValue::Kept(place) => Some((kept(header), place)),
        }));
        match login {
            Some(Login::Bearer(place)) => places.push(("bearerToken".to_owned(), place)),
            Some(Login::Basic { password, .. }) => places.push(("basicAuth.password".to_owned(), password)),
            None => {}
        }
        places.extend(tls.ca.iter().map(|place| ("tls.ca".to_owned(), place)));
        if let Some(Identity { certificate, key }) = &tls.identity {
            places.extend([("tls.certificate".to_owned(), certificate), ("tls.key".to_owned(), key)]);
        }
        places
    }

    /// Whether somebody who listens would learn a secret.
    pub fn tells_secrets_in_the_open(&self) -> bool {
        let told = |header: &Header| matches!(header.value, HeaderValue::Kept(_));
        self.address.starts_with("http://") && (self.login.is_some() || self.headers.iter().any(told))
    }
}
