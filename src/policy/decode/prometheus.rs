//! `analysis.prometheus`. PURE.

use std::path::PathBuf;

use jiff::SignedDuration;

use crate::policy::cursor::Cursor;
use crate::policy::prometheus::*;

/// Longest wait for an answer that may be asked for: everything else of a pass waits as long.
const MOST: SignedDuration = SignedDuration::from_secs(30);

pub(super) fn prometheus(at: &Cursor<'_>) -> Option<PrometheusSpec> {
    let mut fields = at.fields()?;
    let address_at = fields.require("address");
    let address = address_at.as_ref().and_then(address);
    let timeout = fields.or("timeout", None, |at| match at.duration(SignedDuration::from_millis(100))? {
        timeout if timeout <= MOST => Some(Some(timeout)),
        _ => at.refuse(format!("is longer than {MOST:#}, and every pass would wait as long"), None),
    });
    let headers = fields.or("headers", Vec::new(), |at| at.each_named(|item| header(&item)));
    let bearer_at = fields.get("bearerToken");
    let bearer = bearer_at.as_ref().map(|at| place(at).map(Login::Bearer));
    let basic = fields.get("basicAuth").map(|at| basic(&at));
    let tls_at = fields.get("tls");
    let tls = tls_at.as_ref().map_or(Some(Tls::default()), tls);
    fields.finish();
    if let (Some(at), Some(_)) = (&bearer_at, &basic) {
        return at.refuse("and basicAuth both say who we are", Some("keep one of them"));
    }
    let address = address?;
    if let Some(at) = tls_at.filter(|_| address.starts_with("http://")) {
        return at.refuse("means nothing to an address without TLS", Some("write https:// in address"));
    }
    let login = bearer.or(basic).map_or(Some(None), |login| login.map(Some));
    Some(PrometheusSpec { address, timeout: timeout?, headers: headers?, login: login?, tls: tls? })
}

fn address(at: &Cursor<'_>) -> Option<String> {
    let text = at.text()?;
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let Some(rest) = rest else {
        return at.refuse("is not a URL", Some("write http://prometheus:9090"));
    };
    if rest.split('/').next().is_some_and(|authority| authority.contains('@')) {
        return at.refuse("holds a password, which everybody who may read the policy would see", Some("use basicAuth"));
    }
    if text.contains(['?', '#']) {
        return at.refuse("is more than a base URL", Some("leave out what begins with ? or #"));
    }
    Some(text)
}

fn header(at: &Cursor<'_>) -> Option<Header> {
    let mut fields = at.fields()?;
    let name = fields.require("name").and_then(|at| header_name(&at));
    let value = fields.variant(&["value", "valueFrom"]).and_then(|(kind, at)| match kind {
        "value" => at.scalar().map(HeaderValue::Plain),
        _ => place(&at).map(HeaderValue::Kept),
    });
    fields.finish();
    Some(Header { name: name?, value: value? })
}

fn header_name(at: &Cursor<'_>) -> Option<String> {
    let name = at.text()?;
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !name.bytes().all(token) {
        return at.refuse("is not the name of a header", Some("such as X-Scope-OrgID"));
    }
    match name.to_ascii_lowercase().as_str() {
        "authorization" => at.refuse("is for bearerToken or basicAuth", None),
        "host" | "content-length" | "content-type" | "transfer-encoding" | "connection" => {
            at.refuse("is not for policies to say", None)
        }
        _ => Some(name),
    }
}

fn basic(at: &Cursor<'_>) -> Option<Login> {
    let mut fields = at.fields()?;
    let username = fields.require("username").and_then(|at| at.scalar());
    let password = fields.require("password").and_then(|at| place(&at));
    fields.finish();
    Some(Login::Basic { username: username?, password: password? })
}

fn tls(at: &Cursor<'_>) -> Option<Tls> {
    let mut fields = at.fields()?;
    let ca = fields.or("ca", None, |at| place(&at).map(Some));
    let certificate_at = fields.get("certificate");
    let key_at = fields.get("key");
    let certificate = certificate_at.as_ref().map(place);
    let key = key_at.as_ref().map(place);
    fields.finish();
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => Some(Identity { certificate: certificate?, key: key? }),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            let at = certificate_at.or(key_at)?;
            return at.refuse("is one half: certificate and key belong together", None);
        }
    };
    Some(Tls { ca: ca?, identity })
}

/// Exactly one of `file`, `env` and `secretRef`.
fn place(at: &Cursor<'_>) -> Option<Place> {
    let mut fields = at.fields()?;
    let file = fields.get("file").map(|at| at.text().map(|path| Place::File(PathBuf::from(path))));
    let env = fields.get("env").map(|at| at.text().map(Place::Env));
    let secret = fields.get("secretRef").map(|at| secret(&at));
    fields.finish();
    let mut places = [file, env, secret].into_iter().flatten();
    match (places.next(), places.next()) {
        (Some(place), None) => place,
        _ => at.refuse(
            "needs exactly one of file, env, secretRef",
            Some("file and env for crossfade run, secretRef for a controller"),
        ),
    }
}

fn secret(at: &Cursor<'_>) -> Option<Place> {
    let mut fields = at.fields()?;
    let name = fields.require("name").and_then(|at| at.name());
    let key = fields.require("key").and_then(|at| at.text());
    fields.finish();
    Some(Place::Secret { name: name?, key: key? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{SourceFile, load};

    const POLICY: &str = include_str!("../../../policies/careful.yaml");

    fn with(prometheus: &str) -> Result<PrometheusSpec, Vec<String>> {
        let text = POLICY.replace(r#"{address: "http://prometheus:9090"}"#, prometheus);
        let loaded = load(&[SourceFile { name: "p.yaml".into(), text }]);
        let spec = |mut definitions: crate::policy::Definitions| definitions.policies.remove(0).analysis.prometheus;
        loaded.map(|definitions| spec(definitions).unwrap()).map_err(|invalid| {
            let told = |problem: &crate::policy::Problem| format!("{}: {}", problem.field, problem.message);
            invalid.problems.iter().map(told).collect()
        })
    }

    #[test]
    fn reads_every_way_in() {
        let spec = with(
            r#"{address: "https://thanos", timeout: 3s, headers: [{name: X-Scope-OrgID, value: 7}, {name: X-Key, valueFrom: {env: KEY}}],
      basicAuth: {username: me, password: {file: /p}}, tls: {ca: {file: /ca}, certificate: {file: /c}, key: {secretRef: {name: s, key: k}}}}"#,
        )
        .unwrap();
        let fields: Vec<_> = spec.places().into_iter().map(|(field, place)| format!("{field}: {place}")).collect();
        let expected = [
            "headers[X-Key]: environment variable KEY",
            "basicAuth.password: file /p",
            "tls.ca: file /ca",
            "tls.certificate: file /c",
            "tls.key: entry k of Secret s",
        ];
        assert_eq!(fields, expected);
        assert_eq!(spec.headers[0].value, HeaderValue::Plain("7".to_owned()));
        assert!(!spec.tells_secrets_in_the_open());
        let open = with(r#"{address: "http://thanos", bearerToken: {env: TOKEN}}"#).unwrap();
        assert!(open.tells_secrets_in_the_open());
    }

    #[test]
    fn refuses_what_would_leak_or_mean_nothing() {
        for (prometheus, told) in [
            (r#"{address: "https://me:secret@thanos"}"#, "holds a password"),
            (r#"{address: "https://thanos/?a=b"}"#, "more than a base URL"),
            (
                r#"{address: "https://t", headers: [{name: authorization, value: Bearer x}]}"#,
                "bearerToken or basicAuth",
            ),
            (r#"{address: "https://t", headers: [{name: "a b", value: x}]}"#, "name of a header"),
            (r#"{address: "https://t", bearerToken: {file: /a, env: B}}"#, "exactly one of file, env, secretRef"),
            (
                r#"{address: "https://t", bearerToken: {file: /a}, basicAuth: {username: a, password: {env: B}}}"#,
                "both",
            ),
            (r#"{address: "https://t", tls: {key: {file: /a}}}"#, "one half"),
            (r#"{address: "http://t", tls: {ca: {file: /a}}}"#, "without TLS"),
            (r#"{address: "https://t", timeout: 2m}"#, "longer than 30s"),
        ] {
            let problems = with(prometheus).unwrap_err();
            assert!(problems.iter().any(|problem| problem.contains(told)), "{prometheus}: {problems:?}");
            assert!(!problems.iter().any(|problem| problem.contains("secret@")), "{problems:?}");
        }
    }
}
