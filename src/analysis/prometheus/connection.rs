//! An HTTP client that is let in. IO.
//!
//! Tokens and certificates are renewed while migrations run, so what is secret is read again now and then, and at once where a server
//! does not let us in any more. The client, and with it every open connection, is kept for as long as nothing of that has changed.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Identity};

use super::error::PrometheusError;
use super::keyring::Keyring;
use crate::http;
use crate::observe::clock::Moment;
use crate::policy::Name;
use crate::policy::prometheus::{self, Login, PrometheusSpec};

/// How long what was read is trusted. Kubernetes renews a token when a fifth of its hour is left; a minute is soon enough.
const FRESH: Duration = Duration::from_secs(60);

/// How soon it is read again for somebody who does not let us in.
pub(super) const AGAIN: Duration = Duration::from_secs(1);

/// An HTTP client, and what it was made of.
pub(super) struct Connection {
    pub client: Client,
    kept: Vec<Vec<u8>>,
    /// When that was read; `None` where it has to be read again.
    read: Option<Moment>,
}

impl Connection {
    /// A client for this server, out of the one there was, where nothing has changed.
    pub async fn renew(
        old: Option<Self>,
        spec: &PrometheusSpec,
        namespace: &Name,
        keyring: &dyn Keyring,
    ) -> Result<Self, PrometheusError> {
        let mut kept = Vec::new();
        for (field, place) in spec.places() {
            match (keyring.read(namespace, place).await, &old) {
                (Ok(value), _) => kept.push(value),
                // What let us in a moment ago still does, more likely than not.
                (Err(why), Some(_)) => {
                    tracing::warn!(field, why, "not read again; what was known before is used");
                    break;
                }
                (Err(why), None) => return Err(PrometheusError::Value { field, why }),
            }
        }
        let whole = kept.len() == spec.places().len();
        match old {
            Some(old) if !whole || old.kept == kept => Ok(Self { read: Some(Moment::now()), ..old }),
            _ => Ok(Self { client: client(spec, &kept)?, kept, read: Some(Moment::now()) }),
        }
    }

    pub fn is_fresh(&self) -> bool {
        self.kept.is_empty() || self.read.is_some_and(|read| read.elapsed() < FRESH)
    }

    /// Has it read again; whether that was some time ago and may say something else by now.
    pub fn expire(&mut self) -> bool {
        let worth_it = !self.kept.is_empty() && self.read.is_some_and(|read| read.elapsed() > AGAIN);
        if worth_it {
            self.read = None;
        }
        worth_it
    }

    /// Text without anything secret that it may repeat.
    pub fn hush(&self, text: &str) -> String {
        let secrets = self.kept.iter().filter_map(|value| std::str::from_utf8(value).ok()).map(str::trim);
        secrets.filter(|secret| secret.len() > 3).fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
    }
}

/// A client that follows nobody elsewhere.
fn client(spec: &PrometheusSpec, kept: &[Vec<u8>]) -> Result<Client, PrometheusError> {
    let mut kept = kept.iter();
    let mut headers = HeaderMap::new();
    for header in &spec.headers {
        let field = || format!("headers[{}]", header.name);
        let name = HeaderName::from_bytes(header.name.as_bytes())
            .map_err(|_| unusable(field(), "is not the name of a header"))?;
        let value = match &header.value {
            prometheus::HeaderValue::Plain(text) => header_value(text.as_bytes()),
            prometheus::HeaderValue::Kept(_) => header_value(kept.next().map_or(&[], Vec::as_slice)),
        };
        headers.insert(name, value.ok_or_else(|| unusable(field(), "is not the value of a header"))?);
    }
    match &spec.login {
        Some(Login::Bearer(_)) => {
            let token = kept.next().map_or(&[][..], |token| token.trim_ascii());
            let value = header_value(&[b"Bearer ", token].concat()).filter(|_| !token.is_empty());
            let value = value.ok_or_else(|| unusable("bearerToken".to_owned(), "is not a token"))?;
            headers.insert(reqwest::header::AUTHORIZATION, value);
        }
        Some(Login::Basic { username, .. }) => {
            let password = kept.next().map_or(&[][..], |password| password.trim_ascii_end());
            let value = header_value(basic(username, password).as_bytes());
            let value = value.ok_or_else(|| unusable("basicAuth".to_owned(), "is not a name and a password"))?;
            headers.insert(reqwest::header::AUTHORIZATION, value);
        }
        None => {}
    }
    let mut builder = http::client().default_headers(headers);
    if spec.tls.ca.is_some() {
        let pem = kept.next().map_or(&[][..], Vec::as_slice);
        let authorities = Certificate::from_pem_bundle(pem).ok().filter(|all| !all.is_empty());
        let authorities = authorities.ok_or_else(|| unusable("tls.ca".to_owned(), "holds no certificate in PEM"))?;
        builder = builder.tls_certs_only(authorities);
    }
    if spec.tls.identity.is_some() {
        let pem: Vec<u8> = kept.flat_map(|part| [part.as_slice(), b"\n"].concat()).collect();
        // No parser's message is repeated: it might quote the key.
        let identity = Identity::from_pem(&pem);
        builder = builder
            .identity(identity.map_err(|_| unusable("tls".to_owned(), "certificate and key are not PEM of both"))?);
    }
    builder.build().map_err(|source| PrometheusError::Client { address: spec.address.clone(), source })
}

fn unusable(field: String, why: &str) -> PrometheusError {
    PrometheusError::Value { field, why: why.to_owned() }
}

/// A value that is never shown; `None` where it cannot be one. Files end with a line break that nobody means.
fn header_value(bytes: &[u8]) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_bytes(bytes.trim_ascii()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// RFC 7617.
fn basic(username: &str, password: &[u8]) -> String {
    let both = [username.as_bytes(), b":", password].concat();
    format!("Basic {}", BASE64.encode(both))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_as_rfc_7617_has_them() {
        assert_eq!(basic("Aladdin", b"open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(
            ["", "o", "oo", "oob"].map(|password| basic("f", password.as_bytes())),
            ["Basic Zjo=", "Basic Zjpv", "Basic Zjpvbw==", "Basic Zjpvb2I="]
        );
    }
}
