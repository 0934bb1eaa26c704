//! CertificateSigningRequest `certificates.k8s.io/v1beta1` → `v1`. PURE.
//!
//! The old server guessed the signer from the request; the new version wants it named, and no longer has the one that meant
//! "unknown". Who asked is written by the server and cannot be carried.

use serde_json::json;

use super::draft::Draft;

/// What the old server called a signer it could not guess.
const UNKNOWN_SIGNER: &str = "kubernetes.io/legacy-unknown";

/// From `v1beta1`.
pub fn from_v1beta1(request: &mut Draft<'_>) {
    request.nested("spec", |spec| {
        match spec.peek("signerName").and_then(|signer| signer.as_str()) {
            None => spec.blocks("signerName", "is missing; the new version has no default for it"),
            Some(UNKNOWN_SIGNER) => spec.blocks("signerName", "no signer of the new version takes unknown requests"),
            Some(_) => {}
        }
        spec.carry(&["request", "signerName", "usages", "expirationSeconds"]);
        spec.put_default("usages", json!(["digital signature", "key encipherment"]));
        for by_the_server in ["username", "uid", "groups", "extra"] {
            if spec.take(by_the_server).is_some() {
                spec.notice(by_the_server, "says who asked; the server writes it anew");
            }
        }
    });
}
