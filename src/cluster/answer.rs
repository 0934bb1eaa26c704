//! What a server's answer means. PURE.
//!
//! Servers explain a refusal with a `Status`, a proxy in front of them with anything. About a Secret neither is
//! repeated: servers quote the value they refuse.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;

use super::call::Call;
use super::error::ClusterError;

/// How servers, from 1.20 to 1.37, begin to say that a field to be applied does not exist. They say it with
/// the status of an internal error, but it stays true however often it is tried.
const NOT_OF_SCHEMA: &str = "failed to create typed patch object";

/// The part of a `Status` that says why.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    message: String,
    reason: String,
    details: Option<Details>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    causes: Vec<Cause>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Cause {
    reason: String,
    message: String,
    field: String,
}

impl Status {
    fn causes(&self) -> impl Iterator<Item = &Cause> {
        self.details.iter().flat_map(|details| &details.causes)
    }
}

/// What an answer with an error status means; `retry_after` is the header of that name.
pub fn refusal(cluster: &str, call: &Call, code: u16, retry_after: Option<&str>, body: &[u8]) -> ClusterError {
    let status = serde_json::from_slice::<Status>(body).unwrap_or_default();
    let message = words(call, &status);
    let (cluster, call) = (cluster.to_owned(), Box::new(call.clone()));
    match code {
        401 => ClusterError::Unauthorized { cluster, call },
        403 => ClusterError::Forbidden { cluster, call, message },
        404 => ClusterError::NotFound { cluster, call },
        409 => conflict(cluster, call, &status),
        410 => ClusterError::Changed { cluster, call },
        500 if status.message.starts_with(NOT_OF_SCHEMA) => ClusterError::Rejected { cluster, call, message },
        408 | 429 | 500.. => {
            ClusterError::Busy { cluster, call, status: code, message, retry_after: retry_after.and_then(seconds) }
        }
        _ => ClusterError::Rejected { cluster, call, message },
    }
}

/// Servers say it in whole seconds; a date, which only proxies write, is left aside.
fn seconds(retry_after: &str) -> Option<Duration> {
    retry_after.parse().ok().map(Duration::from_secs)
}

/// The server's words; about a Secret only its reason and the fields.
fn words(call: &Call, status: &Status) -> String {
    let reason = if status.reason.is_empty() { "no reason given" } else { &status.reason };
    if !call.is_about_secrets() {
        return if status.message.is_empty() { reason.to_owned() } else { status.message.clone() };
    }
    let fields: Vec<_> = status.causes().map(|cause| cause.field.as_str()).filter(|field| !field.is_empty()).collect();
    if fields.is_empty() { reason.to_owned() } else { format!("{reason}: {}", fields.join(", ")) }
}

/// Either others own fields of the object, or it changed since it was read.
fn conflict(cluster: String, call: Box<Call>, status: &Status) -> ClusterError {
    let owned: Vec<_> = status.causes().filter(|cause| cause.reason == "FieldManagerConflict").collect();
    if owned.is_empty() {
        return ClusterError::Changed { cluster, call };
    }
    let managers: BTreeSet<_> = owned.iter().map(|cause| quoted(&cause.message).unwrap_or(&cause.message)).collect();
    let managers = managers.into_iter().map(str::to_owned).collect();
    let fields = owned.iter().map(|cause| cause.field.trim_start_matches('.').to_owned()).collect();
    ClusterError::Conflict { cluster, object: Box::new(call.object()), managers, fields }
}

/// The text between the first two quotes, as in `conflict with "kubectl" using apps/v1`.
fn quoted(message: &str) -> Option<&str> {
    message.split('"').nth(1)
}

/// The text of a `Warning` header, `299 - "text"` with quotes and backslashes escaped.
pub fn warning(header: &str) -> Option<String> {
    let quoted = header.split_once('"')?.1.strip_suffix('"')?;
    let mut text = String::with_capacity(quoted.len());
    let mut letters = quoted.chars();
    while let Some(letter) = letters.next() {
        text.push(if letter == '\\' { letters.next()? } else { letter });
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_warnings() {
        for (header, text) in [
            (r#"299 - "policy/v1beta1 is deprecated""#, Some("policy/v1beta1 is deprecated")),
            (r#"299 - "use the \"seccompProfile\" field""#, Some(r#"use the "seccompProfile" field"#)),
            ("299 - nothing", None),
            (r#"299 - ""#, None),
        ] {
            assert_eq!(warning(header).as_deref(), text);
        }
    }
}
