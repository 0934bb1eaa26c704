//! Clients of HTTP. IO.

use reqwest::{Client, ClientBuilder};

/// A client to be, with the provider of TLS in place. It follows nobody elsewhere: whoever is asked answers.
pub fn client() -> ClientBuilder {
    // Whoever installed a provider first has decided; an error here says no more than that.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().redirect(reqwest::redirect::Policy::none())
}
