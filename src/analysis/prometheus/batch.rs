//! Several queries as one. PURE.
//!
//! A look of one migration asks up to some dozens of queries. As one they are one request, one moment of evaluation for both sides, and a
//! fortieth of the work of asking. Each result is given a label that says whose it is, and they are joined by `or`, which keeps series that
//! differ in a label. A server evaluates the parts of `or` one by one, as it would have evaluated the queries.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The label that says whose a series is.
const MARK: &str = "crossfade_query";

/// Most queries in one.
pub const MOST: usize = 64;

/// The labels of a series.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// Whose it is.
    pub fn query(&self) -> Option<usize> {
        self.0.get(MARK)?.parse().ok()
    }

    /// What tells it from others of the same query: the values of its labels.
    pub fn stratum(&self) -> String {
        let values = self.0.iter().filter(|(label, _)| *label != MARK).map(|(_, value)| value.as_str());
        values.collect::<Vec<_>>().join(", ")
    }
}

/// The query that asks all of these.
pub fn together(queries: &[String]) -> String {
    // A query may end with a comment, so each ends its line.
    let marked =
        |(index, query): (usize, &String)| format!("label_replace((\n{query}\n), \"{MARK}\", \"{index}\", \"\", \"\")");
    queries.iter().enumerate().map(marked).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_together_is_promql() {
        let queries = ["sum(a) # all".to_owned(), "max by (le) (b) or c".to_owned()];
        assert!(promql_parser::parser::parse(&together(&queries)).is_ok(), "{}", together(&queries));
    }
}
