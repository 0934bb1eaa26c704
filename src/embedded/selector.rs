//! Label and field selectors. PURE.

use serde_json::Value;

use super::failure::Failure;

/// Requirements that must all hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Selector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Exists,
    Absent,
    In(Vec<String>),
    NotIn(Vec<String>),
}

impl Selector {
    /// Reads `a=b,c!=d,e in (f,g),h notin (i),j,!k`; nothing selects everything.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let requirements = requirements(text);
        requirements.into_iter().map(|part| Requirement::parse(part.trim())).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the object's labels meet every requirement.
    pub(super) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.0.iter().all(|requirement| {
            let label = labels[&requirement.key].as_str();
            let among = |values: &[String]| label.is_some_and(|label| values.iter().any(|value| value == label));
            match &requirement.test {
                Test::Exists => label.is_some(),
                Test::Absent => label.is_none(),
                Test::In(values) => among(values),
                Test::NotIn(values) => !among(values),
            }
        })
    }

    /// Whether it selects everything.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Requirement {
    fn parse(text: &str) -> Result<Self, Failure> {
        let bad = || Failure::bad_request(format!("unable to parse requirement: {text:?}"));
        let requirement = |key: &str, test| {
            let key = key.trim();
            let valid = !key.is_empty() && !key.contains(|c: char| c.is_whitespace() || "!=(),".contains(c));
            valid.then(|| Self { key: key.to_owned(), test }).ok_or_else(bad)
        };
        let one = |value: &str| vec![value.trim().to_owned()];
        if let Some(key) = text.strip_prefix('!') {
            return requirement(key, Test::Absent);
        }
        if let Some((key, value)) = text.split_once("!=") {
            return requirement(key, Test::NotIn(one(value)));
        }
        if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
            return requirement(key, Test::In(one(value)));
        }
        let Some((head, list)) = text.split_once('(') else { return requirement(text, Test::Exists) };
        let list = list.strip_suffix(')').ok_or_else(bad)?;
        let values = list.split(',').map(|value| value.trim().to_owned()).collect();
        match head.split_whitespace().collect::<Vec<_>>().as_slice() {
            [key, "in"] => requirement(key, Test::In(values)),
            [key, "notin"] => requirement(key, Test::NotIn(values)),
            _ => Err(bad()),
        }
    }
}

/// Splits at commas outside parentheses.
fn requirements(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0u32, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

/// A field selector; like the real server, it knows only name and namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FieldSelector(Vec<(&'static str, String, bool)>);

impl FieldSelector {
    /// Reads `metadata.name=a,metadata.namespace!=b`.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let parts = text.split(',').filter(|part| !part.is_empty());
        parts
            .map(|part| {
                let (field, value, equal) = match (part.split_once("!="), part.split_once('=')) {
                    (Some((field, value)), _) => (field, value, false),
                    (None, Some((field, value))) => (field, value.trim_start_matches('='), true),
                    (None, None) => (part, "", true),
                };
                match field {
                    "metadata.name" => Ok(("name", value.to_owned(), equal)),
                    "metadata.namespace" => Ok(("namespace", value.to_owned(), equal)),
                    _ => Err(Failure::bad_request(format!(
                        "{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
                    ))),
                }
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether the object meets every requirement.
    pub(super) fn matches(&self, object: &Value) -> bool {
        self.0
            .iter()
            .all(|(field, value, equal)| (object["metadata"][field].as_str().unwrap_or_default() == value) == *equal)
    }

    /// Whether it selects everything.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selects_by_labels() {
        let object = json!({"metadata": {"labels": {"app": "web", "tier": "1"}}});
        for (selector, expected) in [
            ("", true),
            ("app=web", true),
            ("app==web,tier!=2", true),
            ("app = api", false),
            ("app in (api, web),tier", true),
            ("app notin (api,web)", false),
            ("other notin (a)", true),
            ("!other", true),
            ("!app", false),
        ] {
            assert_eq!(Selector::parse(selector).unwrap().matches(&object), expected, "{selector}");
        }
        for selector in ["!!", "a in b", "a in (b", "a b", "=b"] {
            assert!(Selector::parse(selector).is_err(), "{selector}");
        }
    }

    #[test]
    fn selects_by_name() {
        let object = json!({"metadata": {"name": "web", "namespace": "shop"}});
        for (selector, expected) in
            [("metadata.name=web", true), ("metadata.name!=web", false), ("metadata.namespace==shop", true)]
        {
            assert_eq!(FieldSelector::parse(selector).unwrap().matches(&object), expected, "{selector}");
        }
        assert!(FieldSelector::parse("data.k=c").is_err());
    }
}
