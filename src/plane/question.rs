//! Questions to a plane's own HTTP server, and which kind of trouble they met. IO.

use std::io;
use std::time::Duration;

use reqwest::Client;
use tokio::time::timeout;

use super::PlaneError;

/// What a GET of `url` is answered within `patience`. A client that could not be made is somebody who cannot be reached.
pub(super) async fn ask(client: &Result<Client, String>, url: &str, patience: Duration) -> Result<String, PlaneError> {
    let unreachable = |source| PlaneError::Unreachable { address: url.to_owned(), source };
    let client = client.as_ref().map_err(|why| unreachable(io::Error::other(why.clone())))?;
    let asked = async {
        let answer = client.get(url).send().await?;
        Ok::<_, reqwest::Error>((answer.status(), answer.text().await?))
    };
    match timeout(patience, asked).await {
        Ok(Ok((status, text))) if status.is_success() => Ok(text),
        Ok(Ok((status, _))) => Err(PlaneError::Refused { command: format!("GET {url}"), answer: status.to_string() }),
        Ok(Err(error)) => Err(unreachable(io::Error::other(error))),
        Err(_) => Err(PlaneError::TimedOut { address: url.to_owned(), seconds: patience.as_secs() }),
    }
}
