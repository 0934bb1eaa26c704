//! Questions to an HTTP server, and which kind of trouble they met. IO.

use std::io;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode};
use tokio::time::timeout;

use super::PlaneError;

/// Status and body of an answer, the body to its end or until it is longer than was to be read.
pub(super) type Answer = (StatusCode, Vec<u8>);

/// What a request to `url` is answered within `patience`; of a body no more is read than shows that it is longer than `most` bytes. A client
/// that could not be made is somebody who cannot be reached.
pub(super) async fn exchange(
    client: &Result<Client, String>,
    url: &str,
    patience: Duration,
    most: usize,
    request: impl FnOnce(&Client) -> RequestBuilder,
) -> Result<Answer, PlaneError> {
    let unreachable = |source| PlaneError::Unreachable { address: url.to_owned(), source };
    let client = client.as_ref().map_err(|why| unreachable(io::Error::other(why.clone())))?;
    let asked = async {
        let mut answer = request(client).send().await?;
        let (status, mut body) = (answer.status(), Vec::new());
        while let Some(chunk) = answer.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > most {
                break;
            }
        }
        Ok::<_, reqwest::Error>((status, body))
    };
    match timeout(patience, asked).await {
        Ok(answer) => answer.map_err(|error| unreachable(io::Error::other(error))),
        Err(_) => Err(PlaneError::TimedOut { address: url.to_owned(), seconds: patience.as_secs() }),
    }
}

/// What a GET of `url` is answered within `patience`, where it is answered well.
pub(super) async fn ask(client: &Result<Client, String>, url: &str, patience: Duration) -> Result<String, PlaneError> {
    match exchange(client, url, patience, usize::MAX, |client| client.get(url)).await? {
        (status, body) if status.is_success() => Ok(String::from_utf8_lossy(&body).into_owned()),
        (status, _) => Err(PlaneError::Refused { command: format!("GET {url}"), answer: status.to_string() }),
    }
}
