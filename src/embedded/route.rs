//! What a path and a query ask for. PURE.

use std::collections::BTreeMap;

use super::failure::Subject;
use super::kinds::{Kind, Shape};

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Route<'a> {
    /// `/version`.
    Version,
    /// `/healthz`, `/livez`, `/readyz`.
    Health,
    /// `/api` and `/apis`; whether it is the former.
    Groups { core: bool },
    /// `/apis/<group>`.
    Group(&'a str),
    /// `/api/v1` and `/apis/<group>/<version>`.
    Resources { group: &'a str, version: &'a str },
    /// Objects.
    Objects(Target<'a>),
    /// A kind that is not served, in a version that is.
    NoSuchKind,
    /// Nothing at all.
    Nowhere,
}

/// Which objects.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) group: &'a str,
    pub(super) version: &'a str,
    pub(super) kind: &'static Kind,
    /// Empty for all namespaces and for cluster-scoped kinds.
    pub(super) namespace: &'a str,
    /// Empty for the collection.
    pub(super) name: &'a str,
    /// Empty for the object itself.
    pub(super) subresource: &'a str,
}

impl<'a> Target<'a> {
    /// The target, as failures name it.
    pub(super) fn subject(&self) -> Subject<'a> {
        Subject { group: self.group, plural: self.kind.plural, name: self.name }
    }
}

/// Finds what `path` leads to.
pub(super) fn route(shape: Shape, path: &str) -> Route<'_> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        ["version"] => Route::Version,
        ["healthz" | "livez" | "readyz"] => Route::Health,
        ["api"] => Route::Groups { core: true },
        ["apis"] => Route::Groups { core: false },
        ["api", version, rest @ ..] => within(shape, "", version, rest),
        ["apis", group] => Route::Group(group),
        ["apis", group, version, rest @ ..] => within(shape, group, version, rest),
        _ => Route::Nowhere,
    }
}

fn within<'a>(shape: Shape, group: &'a str, version: &'a str, rest: &[&'a str]) -> Route<'a> {
    let served = shape.groups().iter().find(|served| served.name == group);
    if !served.is_some_and(|served| served.versions.iter().any(|served| served.name == version)) {
        return Route::Nowhere;
    }
    let (namespace, plural, name, subresource) = match rest {
        [] => return Route::Resources { group, version },
        ["namespaces", namespace, plural] if !is_subresource(plural) => (*namespace, *plural, "", ""),
        ["namespaces", namespace, plural, name] if !is_subresource(plural) => (*namespace, *plural, *name, ""),
        ["namespaces", namespace, plural, name, subresource] => (*namespace, *plural, *name, *subresource),
        [plural] => ("", *plural, "", ""),
        [plural, name] => ("", *plural, *name, ""),
        [plural, name, subresource] => ("", *plural, *name, *subresource),
        _ => return Route::Nowhere,
    };
    let Some(kind) = shape.find(group, version, plural) else { return Route::NoSuchKind };
    let known = match subresource {
        "" => true,
        "status" => kind.status,
        "scale" => kind.scale,
        _ => false,
    };
    // An object of a namespaced kind is only found inside a namespace, a collection also across all.
    let placed = kind.namespaced != namespace.is_empty() || (kind.namespaced && name.is_empty());
    if !known || !placed {
        return Route::NoSuchKind;
    }
    Route::Objects(Target { group, version, kind, namespace, name, subresource })
}

/// Tells `/namespaces/shop/status` from `/namespaces/shop/pods`.
fn is_subresource(name: &str) -> bool {
    matches!(name, "status" | "finalize")
}

/// The parameters of a query; of one given twice, the last.
pub(super) fn query(text: Option<&str>) -> BTreeMap<String, String> {
    let pairs = text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

/// `application/x-www-form-urlencoded`, decoded; a broken escape stands for itself.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => match after.get(..2).and_then(hex) {
                Some(byte) => {
                    bytes.push(byte);
                    rest = &after[2..];
                }
                None => bytes.push(b'%'),
            },
            other => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str) -> String {
        match route(Shape::V1_20, path) {
            Route::Objects(t) => {
                format!("{}|{}|{}|{}|{}|{}", t.group, t.version, t.kind.plural, t.namespace, t.name, t.subresource)
            }
            Route::Resources { group, version } => format!("resources of {group}/{version}"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn finds_objects() {
        for (path, expected) in [
            ("/api/v1", "resources of /v1"),
            ("/apis/apps/v1", "resources of apps/v1"),
            ("/api/v1/pods", "|v1|pods|||"),
            ("/api/v1/namespaces", "|v1|namespaces|||"),
            ("/api/v1/namespaces/shop", "|v1|namespaces||shop|"),
            ("/api/v1/namespaces/shop/status", "|v1|namespaces||shop|status"),
            ("/api/v1/namespaces/shop/pods", "|v1|pods|shop||"),
            ("/api/v1/namespaces/shop/pods/a/status", "|v1|pods|shop|a|status"),
            ("/apis/apps/v1/namespaces/shop/deployments/web/scale", "apps|v1|deployments|shop|web|scale"),
            ("/api/v1/pods/a", "NoSuchKind"),
            ("/api/v1/namespaces/shop/pods/a/scale", "NoSuchKind"),
            ("/apis/apps/v1/gadgets", "NoSuchKind"),
            ("/apis/apps/v9/deployments", "Nowhere"),
            ("/metrics", "Nowhere"),
        ] {
            assert_eq!(text(path), expected, "{path}");
        }
    }

    #[test]
    fn reads_queries() {
        let query = query(Some("labelSelector=a+in+%28b%2Cc%29&watch=&limit=5%"));
        assert_eq!(query["labelSelector"], "a in (b,c)");
        assert_eq!(query["limit"], "5%");
        assert_eq!(query["watch"], "");
    }
}
