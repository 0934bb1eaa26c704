//! A plane that somebody's HTTP server drives: a POST for each verb. The contract is in [`super::contract`].
//!
//! Any status but 200 is a refusal, a redirect too: nobody is followed elsewhere.

use std::io;
use std::path::PathBuf;

use async_trait::async_trait;
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use tokio::time::timeout;

use super::contract::{Line, MOST_BYTES, SHEET, Spoken, WRITE};
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

    async fn post(&self, request: String) -> io::Result<(StatusCode, Vec<u8>)> {
        let client = self.client.as_ref().map_err(|why| io::Error::other(why.clone()))?;
        let mut posted = client.post(&self.url).header(CONTENT_TYPE, "application/json").body(request);
        if let Some(file) = &self.token_file {
            let token = tokio::fs::read_to_string(file).await;
            let token = token.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))?;
            posted = posted.bearer_auth(token.trim());
        }
        let mut answer = posted.send().await.map_err(io::Error::other)?;
        let (status, mut body) = (answer.status(), Vec::new());
        while let Some(chunk) = answer.chunk().await.map_err(io::Error::other)? {
            body.extend_from_slice(&chunk);
            if body.len() > MOST_BYTES {
                break;
            }
        }
        Ok((status, body))
    }
}

#[async_trait]
impl Line for Server {
    async fn exchange(&self, request: String) -> Result<Vec<u8>, PlaneError> {
        match timeout(WRITE, self.post(request.clone())).await {
            Ok(Ok((StatusCode::OK, body))) if body.len() <= MOST_BYTES => Ok(body),
            Ok(Ok((StatusCode::OK, _))) => {
                Err(PlaneError::Malformed { what: format!("the {} MiB and more of {}", MOST_BYTES >> 20, self.url) })
            }
            Ok(Ok((status, _))) => Err(PlaneError::Refused { command: request, answer: status.to_string() }),
            Ok(Err(source)) => Err(PlaneError::Unreachable { address: self.url.clone(), source }),
            Err(_) => Err(PlaneError::TimedOut { address: self.url.clone(), seconds: WRITE.as_secs() }),
        }
    }

    fn place(&self) -> String {
        self.url.clone()
    }
}
