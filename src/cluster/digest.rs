//! The fingerprint of a desired object. PURE.
//!
//! Comparing only asks whether everything desired is there; the fingerprint, kept in an annotation, also
//! shows that something is no longer desired. It is a hash of the whole object, so of a Secret's values
//! too: it is written next to those values and shown nowhere else.

use std::fmt::Write;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::manifest::Manifest;
use super::mirror::annotate;
use super::plan::Desired;

/// The annotation with the fingerprint; the only thing Crossfade adds to an object.
pub const DIGEST_ANNOTATION: &str = "crossfade.dev/digest";

/// A fingerprint in sixteen bytes, to be compared with others: tells as much as the whole of it would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Print([u8; 16]);

impl Print {
    /// The print of a fingerprint, or of whatever else an annotation says in its place.
    pub fn of(digest: &str) -> Self {
        let hash: [u8; 32] = Sha256::digest(digest).into();
        let mut print = [0; 16];
        print.copy_from_slice(&hash[..16]);
        Self(print)
    }
}

/// An object with its fingerprint, as it is written; none where it has no place for it.
pub fn digested(mut body: Value) -> Option<Desired> {
    let digest = digest(&body);
    annotate(&mut body, &digest);
    let manifest = Manifest::new(body)?;
    Some(Desired { made_of: manifest.object().clone(), manifest, digest, initial_replicas: None })
}

/// The same object without its fingerprint.
pub fn without_digest(manifest: &Manifest) -> Manifest {
    manifest.without_annotation(DIGEST_ANNOTATION)
}

/// SHA-256 of the object in hexadecimal, whatever the order of its keys.
pub fn digest(body: &Value) -> String {
    let mut hash = Sha256::new();
    feed(&mut hash, body);
    hash.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Feeds a value so that no two different values feed the same bytes.
fn feed(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            hash.update(format!("{{{}", entries.len()));
            for (key, value) in entries {
                hash.update(Value::from(key.as_str()).to_string());
                feed(hash, value);
            }
        }
        Value::Array(entries) => {
            hash.update(format!("[{}", entries.len()));
            entries.iter().for_each(|entry| feed(hash, entry));
        }
        scalar => hash.update(format!("{scalar};")),
    }
}
