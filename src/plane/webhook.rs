//! A plane that somebody's HTTP server drives: a POST for each verb. The contract is in [`super::contract`].
//!
//! Any status but 200 is a refusal, a redirect too: nobody is followed elsewhere.

use std::io;
use std::path::PathBuf;

use async_trait::async_trait;
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;

use super::contract::{Line, MOST_BYTES, SHEET, Spoken, WRITE};
use super::question::exchange;
use super::{Plane, PlaneError};
use crate::http;
use crate::policy::WebhookSpec;

/// A server, by its URL.
pub(super) struct Server {
    url: String,
    /// The file that has the token it asks for. It is read each time, so that another token takes no restart.
    token_file: Option<PathBuf>,
    client: Result<reqwest::Client, String>,
}

/// A driver that asks the server of `spec`. Contacts nobody yet.
pub fn webhook(spec: WebhookSpec) -> impl Plane {
    Spoken { line: Server::new(spec.url, None, http::client()), sheet: SHEET }
}

impl Server {
    pub(super) fn new(url: String, token_file: Option<PathBuf>, client: reqwest::ClientBuilder) -> Self {
        Self { url, token_file, client: client.build().map_err(|error| error.to_string()) }
    }

    /// The token, where one is asked for.
    async fn token(&self) -> Result<Option<String>, PlaneError> {
        let Some(file) = &self.token_file else { return Ok(None) };
        let token = tokio::fs::read_to_string(file).await;
        let token = token.map_err(|error| PlaneError::Unreachable {
            address: self.url.clone(),
            source: io::Error::new(error.kind(), format!("{}: {error}", file.display())),
        })?;
        Ok(Some(token.trim().to_owned()))
    }
}

#[async_trait]
impl Line for Server {
    async fn exchange(&self, request: String) -> Result<Vec<u8>, PlaneError> {
        let token = self.token().await?;
        let post = |client: &reqwest::Client| {
            let posted = client.post(&self.url).header(CONTENT_TYPE, "application/json").body(request.clone());
            token.iter().fold(posted, |posted, token| posted.bearer_auth(token))
        };
        match exchange(&self.client, &self.url, WRITE, MOST_BYTES, post).await? {
            (StatusCode::OK, body) if body.len() <= MOST_BYTES => Ok(body),
            (StatusCode::OK, _) => {
                Err(PlaneError::Malformed { what: format!("the {} MiB and more of {}", MOST_BYTES >> 20, self.url) })
            }
            (status, _) => Err(PlaneError::Refused { command: request, answer: status.to_string() }),
        }
    }

    fn place(&self) -> String {
        self.url.clone()
    }
}
