//! What an intermediary changes in a message's head: pure functions over the HTTP library's types.
//!
//! Source: RFC 9110 §7.6. Fields that speak about one connection end here, in both directions; the
//! message framing is written anew by the HTTP library on the other side.

use std::net::IpAddr;

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri, Version};

/// Where the client's own address is passed on.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Fields that belong to one connection whether or not `Connection` names them. `Expect` is among them
/// because the listener has already answered it with `100 Continue`.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::EXPECT,
    HeaderName::from_static("keep-alive"),
];

/// The protocol that a message asks to go over to, or agrees to; `None` where it does neither, and in HTTP/1.0, which cannot (RFC 9110
/// §7.8). HTTP/2 without TLS is not gone over to: nobody could split and count the requests on it.
pub fn upgrade(version: Version, headers: &HeaderMap) -> Option<HeaderValue> {
    let protocol = headers.get(header::UPGRADE)?;
    let asks = version == Version::HTTP_11 && named(headers).any(|name| name == header::UPGRADE);
    (asks && !protocol.as_bytes().eq_ignore_ascii_case(b"h2c")).then(|| protocol.clone())
}

/// Fields that `Connection` names.
fn named(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok())
}

/// Removes every field that speaks about the connection the message came over, but for an upgrade, which goes on to the other one.
fn remove_hop_by_hop(headers: &mut HeaderMap, upgrade: Option<HeaderValue>) {
    let named: Vec<HeaderName> = named(headers).collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    headers.remove("proxy-connection");
    if let Some(protocol) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol);
    }
}

/// Turns a request as received from `peer` into the one a backend is sent.
pub fn rewrite_request<B>(request: &mut Request<B>, peer: IpAddr) {
    let upgrade = upgrade(request.version(), request.headers());
    remove_hop_by_hop(request.headers_mut(), upgrade);
    append_forwarded_for(request.headers_mut(), peer);
    request.headers_mut().append(header::VIA, HeaderValue::from_static("1.1 crossfade"));
    if let Some(uri) = origin_form(request.uri()) {
        *request.uri_mut() = uri;
    }
}

/// Turns an answer as received from a backend into the one the client is sent.
pub fn rewrite_response<B>(response: &mut Response<B>) {
    let goes_over = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let upgrade = upgrade(response.version(), response.headers()).filter(|_| goes_over);
    remove_hop_by_hop(response.headers_mut(), upgrade);
}

/// Whether sending the request twice means the same as sending it once (RFC 9110 §9.2.2).
pub fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE)
}

fn append_forwarded_for(headers: &mut HeaderMap, peer: IpAddr) {
    let before = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let chain: Vec<String> = before.map(str::to_owned).chain([peer.to_string()]).collect();
    if let Ok(value) = HeaderValue::try_from(chain.join(", ")) {
        headers.insert(FORWARDED_FOR, value);
    }
}

/// Path and query alone, where the client wrote the absolute form meant for proxies.
fn origin_form(uri: &Uri) -> Option<Uri> {
    uri.authority()?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    path.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, fields: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder().uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn fields_of_the_connection_end_here() {
        let fields = [
            ("connection", "close, X-Private"),
            ("connection", "x-other"),
            ("x-private", "1"),
            ("x-other", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("te", "trailers"),
            ("upgrade", "websocket"),
            ("transfer-encoding", "chunked"),
            ("accept", "*/*"),
            ("host", "shop"),
        ];
        let mut request = request("/a?b=c", &fields);
        rewrite_request(&mut request, [192, 0, 2, 7].into());
        assert_eq!(names(request.headers()), ["accept", "host", "via", "x-forwarded-for"]);
        assert_eq!(request.uri(), "/a?b=c");
    }

    #[test]
    fn a_wish_to_go_over_to_another_protocol_goes_on_unless_it_is_one_to_hide_behind() {
        let sent = |version, connection, protocol| {
            let mut request = request("/", &[("connection", connection), ("upgrade", protocol), ("te", "trailers")]);
            *request.version_mut() = version;
            rewrite_request(&mut request, [192, 0, 2, 7].into());
            (request.headers().get("connection").cloned(), request.headers().get("upgrade").cloned())
        };
        let goes_on = (Some(HeaderValue::from_static("upgrade")), Some(HeaderValue::from_static("websocket")));
        assert_eq!(sent(Version::HTTP_11, "keep-alive, Upgrade", "websocket"), goes_on);
        assert_eq!(sent(Version::HTTP_11, "keep-alive", "websocket"), (None, None), "it is not of this connection");
        assert_eq!(sent(Version::HTTP_10, "upgrade", "websocket"), (None, None));
        assert_eq!(sent(Version::HTTP_11, "upgrade", "H2C"), (None, None));
    }

    #[test]
    fn only_an_answer_that_goes_over_says_so() {
        for (status, says) in [(101, true), (200, false), (426, false)] {
            let answer =
                Response::builder().status(status).header("connection", "upgrade").header("upgrade", "websocket");
            let mut answer = answer.body(()).unwrap();
            rewrite_response(&mut answer);
            assert_eq!(answer.headers().contains_key("upgrade"), says, "{status}");
        }
    }

    #[test]
    fn addresses_of_earlier_hops_stay() {
        let mut request = request("/", &[("x-forwarded-for", "198.51.100.1")]);
        rewrite_request(&mut request, [192, 0, 2, 7].into());
        assert_eq!(request.headers()[FORWARDED_FOR], "198.51.100.1, 192.0.2.7");
    }

    #[test]
    fn the_absolute_form_is_shortened() {
        for (before, after) in [("http://shop/a?b=c", "/a?b=c"), ("http://shop", "/"), ("*", "*")] {
            let mut request = request(before, &[]);
            rewrite_request(&mut request, [192, 0, 2, 7].into());
            assert_eq!(request.uri(), after);
        }
    }
}
