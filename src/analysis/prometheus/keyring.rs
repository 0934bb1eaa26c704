//! Whoever knows what is secret. IO is the implementations'.

use async_trait::async_trait;

use crate::policy::Name;
use crate::policy::prometheus::Place;

/// Reads what policies only name.
#[async_trait]
pub trait Keyring: Send + Sync {
    /// What is kept at a place, for a migration of this namespace; or why it cannot be had, without quoting any of it.
    async fn read(&self, namespace: &Name, place: &Place) -> Result<Vec<u8>, String>;
}

/// Knows nothing: for worlds without passwords.
pub struct Empty;

#[async_trait]
impl Keyring for Empty {
    async fn read(&self, _: &Name, place: &Place) -> Result<Vec<u8>, String> {
        Err(format!("{place} is not read here"))
    }
}
