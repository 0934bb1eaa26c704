//! Several queries as one. PURE.
//!
//! A look of one migration asks up to some dozens of queries. As one they are one request, one moment of evaluation for both sides, and a
//! fortieth of the work of asking. Each result is given a label that says whose it is, and they are joined by `or`, which keeps series that
//! differ in a label. A server evaluates the parts of `or` one by one, as it would have evaluated the queries.

use serde::Deserialize;

/// The label that says whose a series is.
const MARK: &str = "crossfade_query";

/// Most queries in one.
pub const MOST: usize = 64;

/// The labels of a series, as far as they matter here.
#[derive(Debug, Default, Deserialize)]
pub struct Labels {
    #[serde(default, rename = "crossfade_query")]
    mark: Option<String>,
}

impl Labels {
    /// Whose it is.
    pub fn query(&self) -> Option<usize> {
        self.mark.as_ref()?.parse().ok()
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
