//! What a server answered, and what that means. PURE.
//!
//! One number is that number, NaN included, which whoever asked has to take for *no data*; no series is nothing. Everything else is an
//! error and never turns into a number. Sources: Prometheus HTTP API, `/api/v1/query` and `/api/v1/query_range`; Thanos' partial response.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::batch;

/// Why an answer is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Another status than 200.
    #[error("HTTP {status}: {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What was said.
        message: String,
    },
    /// It is to be had elsewhere. Nobody is followed there: what we are let in with is for this server.
    #[error("HTTP {status}: it is at {location}; write that address if you trust it")]
    Moved {
        /// HTTP status.
        status: u16,
        /// Where, without what may be secret of it.
        location: String,
    },
    /// Not what a Prometheus says.
    #[error("the answer is not that of a Prometheus server, it begins with {0:?}")]
    Foreign(String),
    /// It ended early, or is no JSON.
    #[error("the answer is broken off or malformed")]
    Broken,
    /// Longer than anything that was asked for.
    #[error("the answer is longer than {0} bytes, which is no number")]
    TooLong(usize),
    /// Warnings, such as Thanos' about stores that did not answer.
    #[error("the answer may be partial: {0}")]
    Partial(String),
    /// A query of another type.
    #[error("the query gives a {0}, where a number is needed")]
    NoNumber(&'static str),
    /// Infinity.
    #[error("the query gives infinity")]
    Infinite,
    /// Something else where a number should be.
    #[error("the value {0:?} is not a number")]
    Malformed(String),
    /// Several series where one was asked for.
    #[error("{0} series where one was asked for; sum them up in the query")]
    Several(usize),
}

impl AnswerError {
    /// Whether it is the query's fault, so that it may be another one's where several were asked as one.
    pub fn is_about_the_query(&self) -> bool {
        matches!(self, Self::Refused { status: 400 | 422 | 503 | 504, .. } | Self::TooLong(_) | Self::Partial(_))
    }

    /// Whether we were not let in.
    pub fn is_about_us(&self) -> bool {
        matches!(self, Self::Refused { status: 401 | 403, .. })
    }
}

/// The head of an HTTP response.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// HTTP status.
    pub status: u16,
    /// Where a redirect leads.
    pub location: Option<&'a str>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    status: String,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
    data: Option<Data>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Row>),
    Scalar((f64, String)),
    Matrix(Vec<Row>),
    String(IgnoredAny),
}

#[derive(Debug, Deserialize)]
struct Row {
    #[serde(default)]
    metric: batch::Labels,
    value: Option<(f64, String)>,
    #[serde(default)]
    values: Vec<(f64, String)>,
}

/// One series of an answer: which query it belongs to, and its values with their times in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbers {
    /// Which of the queries that were asked as one.
    pub query: Option<usize>,
    /// The values of its labels.
    pub stratum: String,
    /// Times in seconds and values.
    pub values: Vec<(f64, f64)>,
}

/// The series of an answer.
pub fn read(head: Head<'_>, body: &[u8]) -> Result<Vec<Numbers>, AnswerError> {
    let answer: Result<Answer, _> = serde_json::from_slice(body);
    if (300..400).contains(&head.status) {
        let location = head.location.map_or("a place it does not name".into(), shown);
        return Err(AnswerError::Moved { status: head.status, location: location.into_owned() });
    }
    if head.status != 200 {
        let said = answer.ok().and_then(|answer| answer.error);
        let message = said.unwrap_or_else(|| beginning(body).unwrap_or("no reason given".into()));
        return Err(AnswerError::Refused { status: head.status, message });
    }
    let answer = answer.map_err(|_| match beginning(body) {
        Some(text) if !text.starts_with('{') => AnswerError::Foreign(text),
        _ => AnswerError::Broken,
    })?;
    if !answer.warnings.is_empty() {
        return Err(AnswerError::Partial(answer.warnings.join("; ")));
    }
    match (answer.status.as_str(), answer.data) {
        ("success", Some(Data::Vector(series) | Data::Matrix(series))) => series.into_iter().map(numbers).collect(),
        ("success", Some(Data::Scalar(value))) => {
            Ok(vec![Numbers { query: None, stratum: String::new(), values: vec![number(value)?] }])
        }
        ("success", Some(Data::String(_))) => Err(AnswerError::NoNumber("string")),
        _ => Err(AnswerError::Foreign(beginning(body).unwrap_or_default())),
    }
}

/// What one query gives: the newest value of each of its series.
pub type Series = Vec<(String, f64)>;

/// What one query gives.
pub fn each<'a>(series: impl Iterator<Item = &'a Numbers>) -> Result<Series, AnswerError> {
    let newest = series.filter_map(|series| Some((series.stratum.clone(), series.values.last()?.1)));
    let newest: Series = newest.collect();
    if newest.iter().any(|(_, value)| value.is_infinite()) { Err(AnswerError::Infinite) } else { Ok(newest) }
}

/// What one query gives that has to give one number: its only value, or none.
pub fn one(series: &Series) -> Result<Option<f64>, AnswerError> {
    match series.as_slice() {
        [] => Ok(None),
        [(_, value)] => Ok(Some(*value)),
        several => Err(AnswerError::Several(several.len())),
    }
}

fn numbers(row: Row) -> Result<Numbers, AnswerError> {
    let Row { metric, value, values } = row;
    let (query, stratum) = (metric.query(), metric.stratum());
    let values: Vec<_> = value.into_iter().chain(values).map(number).collect::<Result<_, _>>()?;
    if values.is_empty() { Err(AnswerError::NoNumber("histogram")) } else { Ok(Numbers { query, stratum, values }) }
}

fn number((at, text): (f64, String)) -> Result<(f64, f64), AnswerError> {
    text.parse()
        .map(|value| (at, value))
        .map_err(|_| AnswerError::Malformed(beginning(text.as_bytes()).unwrap_or_default()))
}

/// The first line of what was said, for people; nothing of an empty one.
fn beginning(body: &[u8]) -> Option<String> {
    const SHOWN: usize = 80;
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * SHOWN)]);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = line.chars().filter(|letter| !letter.is_control()).take(SHOWN).collect();
    (!short.is_empty()).then_some(short)
}

/// A location without user, query and fragment.
fn shown(location: &str) -> Cow<'_, str> {
    let plain = location.split(['?', '#']).next().unwrap_or_default();
    match plain.split_once("//") {
        Some((scheme, rest)) if rest.split('/').next().is_some_and(|authority| authority.contains('@')) => {
            let rest = rest.split_once('@').map_or(rest, |(_, rest)| rest);
            Cow::Owned(format!("{scheme}//{rest}"))
        }
        _ => Cow::Borrowed(plain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: Head<'_> = Head { status: 200, location: None };

    fn vector(values: &[&str]) -> String {
        let series: Vec<_> =
            values.iter().map(|value| serde_json::json!({"metric": {"a": "b"}, "value": [1.5, value]})).collect();
        serde_json::json!({"status": "success", "data": {"resultType": "vector", "result": series}}).to_string()
    }

    fn ok(body: &str) -> Result<Option<f64>, AnswerError> {
        one(&each(read(OK, body.as_bytes())?.iter())?)
    }

    #[test]
    fn numbers_and_no_data() {
        assert_eq!(ok(&vector(&["12.5"])), Ok(Some(12.5)));
        assert_eq!(ok(&vector(&[])), Ok(None));
        assert!(ok(&vector(&["NaN"])).unwrap().is_some_and(f64::is_nan));
        let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"3"]}}"#;
        assert_eq!(ok(scalar), Ok(Some(3.0)));
        let infos = r#"{"status":"success","infos":["is it a counter?"],"data":{"resultType":"vector","result":[]}}"#;
        assert_eq!(ok(infos), Ok(None), "remarks about a query are no warnings about its answer");
    }

    #[test]
    fn everything_else_is_an_error_that_says_what() {
        let many = vector(&vec!["1"; 10_000]);
        for (body, told) in [
            (vector(&["+Inf"]).as_str(), "the query gives infinity"),
            (&many, "10000 series where one was asked for; sum them up in the query"),
            (&vector(&["one"]), "the value \"one\" is not a number"),
            ("<html>\n<title>Sign in", "is not that of a Prometheus server, it begins with \"<html> <title>Sign in\""),
            (r#"{"status":"success","data":{"resultType":"vector","result":[{"metric"#, "broken off or malformed"),
            (r#"{"status":"success","data":{"resultType":"string","result":[1,"a"]}}"#, "gives a string"),
            (
                r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}}"#,
                "gives a histogram",
            ),
            (
                r#"{"status":"success","warnings":["store away"],"data":{"resultType":"vector","result":[]}}"#,
                "the answer may be partial: store away",
            ),
            ("{}", "is not that of a Prometheus server"),
            ("", "broken off"),
        ] {
            let error = ok(body).unwrap_err().to_string();
            assert!(error.contains(told), "{body:.80}: {error}");
        }
    }

    #[test]
    fn another_status_is_told_with_its_reason() {
        let told =
            |status, location, body: &str| read(Head { status, location }, body.as_bytes()).unwrap_err().to_string();
        let late = told(422, None, r#"{"status":"error","error":"query timed out"}"#);
        assert_eq!(late, "HTTP 422: query timed out");
        assert_eq!(told(503, None, ""), "HTTP 503: no reason given");
        assert_eq!(told(502, None, "Bad\r\nGateway\u{7}"), "HTTP 502: Bad Gateway");
        let moved = told(302, Some("https://me:secret@login.example/in?token=abc#x"), "");
        assert_eq!(moved, "HTTP 302: it is at https://login.example/in; write that address if you trust it");
    }

    #[test]
    fn a_range_is_read_with_its_times() {
        let body = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"2"],[3,"NaN"]]}]}}"#;
        let read = read(OK, body.as_bytes()).unwrap();
        assert_eq!(read[0].values[0], (1.0, 2.0));
        assert!(read[0].values[1].1.is_nan());
    }
}
