//! What policies only name, where one person runs one migration: files, and the environment. IO.

use async_trait::async_trait;

use crate::analysis::prometheus::Keyring;
use crate::policy::Name;
use crate::policy::prometheus::Place;

/// Reads as whoever started this process may.
pub(super) struct OwnValues;

#[async_trait]
impl Keyring for OwnValues {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the edge: the variables have the names that a policy gives them"
    )]
    async fn read(&self, _: &Name, place: &Place) -> Result<Vec<u8>, String> {
        match place {
            Place::File(path) => tokio::fs::read(path).await.map_err(|error| format!("{place}: {error}")),
            Place::Env(name) => std::env::var(name).map(String::into_bytes).map_err(|_| format!("{place} is not set")),
            Place::Secret { .. } => Err(format!("{place} is read by controllers; use file or env here")),
        }
    }
}
