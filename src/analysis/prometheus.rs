//! Asking a Prometheus-compatible server.
//!
//! What an answer means: one number is that number, NaN included, which whoever asked has to take for *no data*; no series is
//! nothing. Anything else is an *error*: infinities, several series where one was asked for, warnings about a partial answer, another status than
//! 200, something that is not JSON. An error never turns into a number. Source: Prometheus HTTP API, `/api/v1/query`.

use std::time::Duration;

use http_body_util::BodyExt;
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::policy::PrometheusSpec;

/// Longest wait for an answer. A query that needs longer would be older than the step it judges.
const PATIENCE: Duration = Duration::from_secs(5);

/// Largest answer read. One number takes some hundred bytes.
const MOST_BYTES: usize = 1 << 20;

/// A question without a usable answer.
#[derive(Debug, thiserror::Error)]
pub enum PrometheusError {
    /// The address is not a URL.
    #[error("{address} is not a URL")]
    Address {
        /// The address.
        address: String,
    },
    /// The HTTP client could not be made.
    #[error("cannot set up an HTTP client")]
    Client(#[source] reqwest::Error),
    /// Nobody answered.
    #[error("no answer from {address}")]
    Unreachable {
        /// The server.
        address: String,
        /// Why not.
        source: reqwest::Error,
    },
    /// It answered with an error.
    #[error("{status}: {message}")]
    Refused {
        /// HTTP status.
        status: StatusCode,
        /// What it said.
        message: String,
    },
    /// It answered something that cannot be used.
    #[error("{0}")]
    Unusable(&'static str),
    /// Several series where one was asked for.
    #[error("{0} series where one was asked for; sum them up in the query")]
    Several(usize),
    /// It warned that the answer is not whole.
    #[error("the answer may be partial: {0}")]
    Partial(String),
}

/// One server.
#[derive(Debug, Clone)]
pub struct Prometheus {
    client: Client,
    query: Url,
    address: String,
}

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
    data: Option<Data>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Series>),
    Scalar((f64, String)),
    Matrix(IgnoredAny),
    String(IgnoredAny),
}

#[derive(Debug, Deserialize)]
struct Series {
    value: (f64, String),
}

impl Prometheus {
    /// A client for the server of `spec`. Contacts nobody.
    pub fn new(spec: &PrometheusSpec) -> Result<Self, PrometheusError> {
        let address = spec.address.trim_end_matches('/').to_owned();
        let query = Url::parse(&format!("{address}/api/v1/query"));
        let query = query.map_err(|_| PrometheusError::Address { address: address.clone() })?;
        // Whoever installed a provider first has decided; an error here says no more than that.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build();
        Ok(Self { client: client.map_err(PrometheusError::Client)?, query, address })
    }

    /// The number a query gives now, which may be NaN; `None` where there is no series.
    pub async fn number(&self, query: &str) -> Result<Option<f64>, PrometheusError> {
        let unreachable = |source| PrometheusError::Unreachable { address: self.address.clone(), source };
        let response = self.client.post(self.query.clone()).form(&[("query", query)]).send().await;
        let response = response.map_err(unreachable)?;
        let status = response.status();
        let body = http_body_util::Limited::new(reqwest::Body::from(response), MOST_BYTES).collect().await;
        let body = body.map_err(|_| PrometheusError::Unusable("the answer broke off or is far too large"))?.to_bytes();
        read(status, &body)
    }
}

fn read(status: StatusCode, body: &[u8]) -> Result<Option<f64>, PrometheusError> {
    let answer: Result<Answer, _> = serde_json::from_slice(body);
    if status != StatusCode::OK {
        let said = answer.ok().and_then(|answer| answer.error);
        let message = said.unwrap_or_else(|| "no reason given".to_owned());
        return Err(PrometheusError::Refused { status, message });
    }
    let answer = answer.map_err(|_| PrometheusError::Unusable("the answer is not that of a Prometheus server"))?;
    if !answer.warnings.is_empty() {
        return Err(PrometheusError::Partial(answer.warnings.join("; ")));
    }
    let text = match answer.data {
        Some(Data::Vector(series)) if series.len() > 1 => return Err(PrometheusError::Several(series.len())),
        Some(Data::Vector(series)) => match series.into_iter().next() {
            Some(series) => series.value.1,
            None => return Ok(None),
        },
        Some(Data::Scalar((_, text))) => text,
        Some(Data::Matrix(_) | Data::String(_)) | None => {
            return Err(PrometheusError::Unusable("the query does not give a number"));
        }
    };
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() || number.is_nan() => Ok(Some(number)),
        Ok(_) => Err(PrometheusError::Unusable("the query gives infinity")),
        Err(_) => Err(PrometheusError::Unusable("the value is not a number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(values: &[&str]) -> String {
        let series: Vec<_> =
            values.iter().map(|value| serde_json::json!({"metric": {}, "value": [1.5, value]})).collect();
        serde_json::json!({"status": "success", "data": {"resultType": "vector", "result": series}}).to_string()
    }

    fn ok(body: &str) -> Result<Option<f64>, PrometheusError> {
        read(StatusCode::OK, body.as_bytes())
    }

    #[test]
    fn numbers_and_no_data() {
        assert_eq!(ok(&vector(&["12.5"])).unwrap(), Some(12.5));
        assert_eq!(ok(&vector(&[])).unwrap(), None);
        assert!(ok(&vector(&["NaN"])).unwrap().is_some_and(f64::is_nan));
        let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"3"]}}"#;
        assert_eq!(ok(scalar).unwrap(), Some(3.0));
    }

    #[test]
    fn everything_else_is_an_error() {
        for body in [
            &vector(&["+Inf"]),
            &vector(&["1", "2"]),
            &vector(&["one"]),
            "<html>gateway</html>",
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric"#,
            r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#,
            r#"{"status":"success","warnings":["store away"],"data":{"resultType":"vector","result":[]}}"#,
            "{}",
        ] {
            assert!(ok(body).is_err(), "{body}");
        }
        let refused = read(StatusCode::UNPROCESSABLE_ENTITY, br#"{"status":"error","error":"query timed out"}"#);
        assert_eq!(refused.unwrap_err().to_string(), "422 Unprocessable Entity: query timed out");
        assert!(read(StatusCode::SERVICE_UNAVAILABLE, b"").is_err());
    }
}
