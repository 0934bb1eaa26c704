//! What a PromQL query does, as far as reading it tells. PURE.
//!
//! It is parsed with its placeholders filled in, so every mistake of grammar and type shows before anything is asked, unknown functions
//! among them. What it means is left to the server.

use std::time::Duration;

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{Expr, VectorSelector, parse, token};

use super::template::{self, Values};

/// What the placeholders stand for while a query is read: nothing anybody writes.
const CLUSTER: &str = "crossfade_cluster_placeholder";
const NAMESPACE: &str = "crossfade_namespace_placeholder";
const WINDOW: Duration = Duration::from_millis(86_399_999);

/// A query that was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// The series it selects.
    pub selectors: Vec<Selector>,
    /// Whether it sums or counts, so that one series is left.
    pub aggregated: bool,
    /// Whether it grows with time and not with its window: the value of a counter as it stands.
    pub raw_counter: Option<String>,
    /// Whether it gives requests per second and not requests.
    pub per_second: Option<&'static str>,
}

/// Series that are selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// The metric, where it is named.
    pub metric: Option<String>,
    /// Whether one of its matchers names the cluster.
    pub names_cluster: bool,
    /// A range of its own, where it has one other than the window.
    pub fixed_range: Option<Duration>,
}

/// Functions that give a number per second.
const PER_SECOND: &[&str] = &["rate", "irate", "deriv"];
/// Functions after which a counter is none any more.
const GROWTH: &[&str] = &["rate", "irate", "increase", "delta", "idelta", "resets", "changes", "count_over_time"];

/// Reads a template, which has to give numbers.
pub fn read(text: &str) -> Result<Query, String> {
    let window = jiff::SignedDuration::try_from(WINDOW).unwrap_or_default();
    let values = Values { cluster: CLUSTER, namespace: NAMESPACE, window };
    let query = template::render(text, values).map_err(|error| error.to_string())?;
    let tree = parse(&query).map_err(|error| plain(&error))?;
    if !matches!(tree.value_type(), ValueType::Vector | ValueType::Scalar) {
        return Err(format!("gives a {}, where a number is needed", tree.value_type()));
    }
    let mut found = Query::default();
    walk(&tree, &Inside::default(), &mut found);
    Ok(found)
}

/// The query that gives the seconds since the newest sample of the first series that a template selects; `None` where it selects none.
pub fn age(text: &str) -> Option<String> {
    let values = Values { cluster: CLUSTER, namespace: NAMESPACE, window: jiff::SignedDuration::from_secs(1) };
    let tree = parse(&template::render(text, values).ok()?).ok()?;
    let selector = VectorSelector { offset: None, at: None, ..first_selector(&tree)?.clone() };
    let selector = selector.to_string().replace(CLUSTER, "{{ cluster }}").replace(NAMESPACE, "{{ namespace }}");
    Some(format!("time() - max(timestamp({selector}))"))
}

/// Why a query cannot be asked for each value of a label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// It is not one sum.
    #[error("needs queries that are sums, to ask for the sum of each stratum")]
    NoSum,
    /// Not the name of a label.
    #[error("is not the name of a label")]
    NoLabel,
}

impl SplitError {
    /// What to write instead.
    pub fn help(&self) -> &'static str {
        match self {
            Self::NoSum => "write sum(increase(...[{{ window }}])), with nothing around it",
            Self::NoLabel => "name a label of the counters that both clusters share, such as route",
        }
    }
}

/// The query for each value of a label, out of one that sums over all of them.
pub fn by(text: &str, label: &str) -> Result<String, SplitError> {
    let mut letters = label.chars();
    let starts = letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    if !starts || !letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
        return Err(SplitError::NoLabel);
    }
    let summed = text.trim().strip_prefix("sum").filter(|_| is_one_sum(text)).ok_or(SplitError::NoSum)?;
    Ok(format!("sum by ({label}) {}", summed.trim_start()))
}

/// Whether it is a sum over everything, and nothing else.
fn is_one_sum(text: &str) -> bool {
    let values = Values { cluster: CLUSTER, namespace: NAMESPACE, window: jiff::SignedDuration::from_secs(1) };
    let tree = template::render(text, values).ok().and_then(|query| parse(&query).ok());
    matches!(tree, Some(Expr::Aggregate(sum)) if sum.modifier.is_none() && sum.op.id() == token::T_SUM)
}

fn first_selector(expr: &Expr) -> Option<&VectorSelector> {
    match expr {
        Expr::Aggregate(aggregate) => first_selector(&aggregate.expr),
        Expr::Unary(unary) => first_selector(&unary.expr),
        Expr::Binary(binary) => first_selector(&binary.lhs).or_else(|| first_selector(&binary.rhs)),
        Expr::Paren(paren) => first_selector(&paren.expr),
        Expr::Subquery(subquery) => first_selector(&subquery.expr),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => None,
        Expr::VectorSelector(selector) => Some(selector),
        Expr::MatrixSelector(matrix) => Some(&matrix.vs),
        Expr::Call(call) => call.args.args.iter().find_map(|argument| first_selector(argument)),
    }
}

/// The parser's words in one line.
fn plain(error: &str) -> String {
    let line = error.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown = line.replace(CLUSTER, "{{ cluster }}").replace(NAMESPACE, "{{ namespace }}");
    format!("is not PromQL: {shown}")
}

/// What is around a part of a query.
#[derive(Debug, Clone, Copy, Default)]
struct Inside {
    growth: bool,
}

fn walk(expr: &Expr, inside: &Inside, found: &mut Query) {
    match expr {
        Expr::Aggregate(aggregate) => {
            found.aggregated |= aggregate.modifier.is_none();
            walk(&aggregate.expr, inside, found);
        }
        Expr::Unary(unary) => walk(&unary.expr, inside, found),
        Expr::Binary(binary) => {
            walk(&binary.lhs, inside, found);
            walk(&binary.rhs, inside, found);
        }
        Expr::Paren(paren) => walk(&paren.expr, inside, found),
        Expr::Subquery(subquery) => walk(&subquery.expr, inside, found),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
        Expr::VectorSelector(selector) => {
            if !inside.growth && selector.name.as_deref().is_some_and(is_counter) {
                found.raw_counter.clone_from(&selector.name);
            }
            found.selectors.push(read_selector(selector, None));
        }
        Expr::MatrixSelector(matrix) => {
            let fixed = Some(matrix.range).filter(|range| *range != WINDOW);
            found.selectors.push(read_selector(&matrix.vs, fixed));
        }
        Expr::Call(call) => {
            if let Some(name) = PER_SECOND.iter().find(|name| **name == call.func.name) {
                found.per_second = Some(name);
            }
            let inside = Inside { growth: inside.growth || GROWTH.contains(&call.func.name) };
            call.args.args.iter().for_each(|argument| walk(argument, &inside, found));
        }
    }
}

fn read_selector(selector: &VectorSelector, fixed_range: Option<Duration>) -> Selector {
    let either = selector.matchers.or_matchers.iter().flatten();
    let mut matchers = selector.matchers.matchers.iter().chain(either);
    Selector { metric: selector.name.clone(), names_cluster: matchers.any(names_cluster), fixed_range }
}

fn names_cluster(matcher: &Matcher) -> bool {
    let chooses = matches!(matcher.op, MatchOp::Equal | MatchOp::Re(_));
    chooses && matcher.value.contains(CLUSTER)
}

/// By the names that the format's own conventions give counters.
fn is_counter(metric: &str) -> bool {
    ["_total", "_count", "_sum", "_bucket"].iter().any(|ending| metric.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_query_does() {
        let query = read(r#"sum(increase(http_requests_total{cluster="{{ cluster }}",code=~"5.."}[{{ window }}]))"#);
        let query = query.unwrap();
        assert!(query.aggregated && query.raw_counter.is_none() && query.per_second.is_none(), "{query:?}");
        let selector =
            Selector { metric: Some("http_requests_total".to_owned()), names_cluster: true, fixed_range: None };
        assert_eq!(query.selectors, [selector]);
    }

    #[test]
    fn asks_how_old_the_newest_sample_is() {
        let query =
            r#"sum(increase(http_requests_total{cluster="{{ cluster }}",code=~"5.."}[{{ window }}] offset 1m))"#;
        let age = age(query).unwrap();
        assert!(age.starts_with("time() - max(timestamp(http_requests_total{"), "{age}");
        assert!(age.contains(r#"cluster="{{ cluster }}""#) && !age.contains("offset"), "{age}");
        assert!(read(&age).is_ok(), "{age}");
    }

    #[test]
    fn sees_what_is_wrong_with_one() {
        let raw = read(r#"sum(http_requests_total{c="{{cluster}}"})"#).unwrap();
        assert_eq!(raw.raw_counter.as_deref(), Some("http_requests_total"));
        let rate = read(r#"sum(rate(http_requests_total{c!="{{cluster}}"}[5m])) * 60"#).unwrap();
        assert_eq!((rate.per_second, rate.selectors[0].names_cluster), (Some("rate"), false));
        assert_eq!(rate.selectors[0].fixed_range, Some(Duration::from_secs(300)));
        assert!(!read("increase(x_total[{{ window }}])").unwrap().aggregated);
    }

    #[test]
    fn a_sum_is_asked_for_each_stratum() {
        let query = r#" sum (increase(http_requests_total{cluster="{{ cluster }}"}[{{ window }}])) # all"#;
        let split = by(query, "route").unwrap();
        assert!(split.starts_with("sum by (route) (increase(http_requests_total"), "{split}");
        assert!(read(&split).is_ok_and(|query| !query.aggregated), "{split}");
        for text in ["sum by (code) (x)", "sum(x) by (code)", "sum(x) * 2", "max(x)", "(sum(x))", "# all\nsum(x)"] {
            assert_eq!(by(text, "route"), Err(SplitError::NoSum), "{text}");
        }
        for label in ["", "9", "a b", "a)", "ü"] {
            assert_eq!(by(query, label), Err(SplitError::NoLabel), "{label}");
        }
    }

    #[test]
    fn refuses_what_no_server_would_answer() {
        for (text, told) in [
            ("sum(", "is not PromQL: "),
            ("summe(x)", "is not PromQL: "),
            ("increse(x_total[{{ window }}])", "unknown function"),
            ("x_total[{{ window }}]", "gives a matrix"),
            ("\"{{ cluster }}\"", "gives a string"),
            ("rate(x_total)", "is not PromQL: "),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(told) && !error.contains('\n'), "{text}: {error}");
        }
    }
}
