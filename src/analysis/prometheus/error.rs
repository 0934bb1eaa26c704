//! Why a question has no answer that could be used. No IO.

use std::time::Duration;

use super::answer::AnswerError;

/// A question without a usable answer. Says what, and which server; never what we are let in with.
#[derive(Debug, thiserror::Error)]
pub enum PrometheusError {
    /// The address is not a URL.
    #[error("{address} is not a URL")]
    Address {
        /// The address.
        address: String,
    },
    /// Something secret could not be had.
    #[error("analysis.prometheus.{field}: {why}")]
    Value {
        /// The field that names it.
        field: String,
        /// Why not.
        why: String,
    },
    /// The HTTP client could not be made.
    #[error("cannot set up an HTTP client for {address}")]
    Client {
        /// The server.
        address: String,
        /// Why not.
        source: reqwest::Error,
    },
    /// Nobody answered.
    #[error("no answer from {address}")]
    Unreachable {
        /// The server.
        address: String,
        /// Why not.
        source: reqwest::Error,
    },
    /// Nobody answered in time.
    #[error("no answer from {address} within {within:?}")]
    Late {
        /// The server.
        address: String,
        /// How long was waited.
        within: Duration,
    },
    /// It answered something that cannot be used.
    #[error("no usable answer from {address}")]
    Answer {
        /// The server.
        address: String,
        /// What is wrong with it.
        source: AnswerError,
    },
}
