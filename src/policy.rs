//! What an operator writes: Migration and ShiftPolicy. PURE.
//!
//! Text becomes a located tree (`tree`), the tree is decoded and checked in one walk that reports every
//! mistake at its place (`decode`), documents are held against each other (`agree`), and what comes out is
//! valid (`types`). Nothing here reads a file.

mod agree;
pub mod balancer;
mod cursor;
mod decode;
pub mod metric;
pub mod problem;
pub mod prometheus;
pub mod tree;
pub mod types;
pub mod weight;
pub mod window;

pub use balancer::{AdminSpec, BalancerSpec};
pub use decode::API_VERSION;
pub use metric::{Baseline, MetricSource, MetricSpec, Queries, Regression};
pub use problem::{InvalidInput, Problem, SourceFile};
pub use prometheus::PrometheusSpec;
pub use types::*;
pub use weight::{Weight, WeightError};
pub use window::Windows;

use cursor::Cursor;
use decode::Document;
use problem::Problems;

/// Everything one or more files define.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Definitions {
    /// The migrations, each with a policy that exists.
    pub migrations: Vec<Migration>,
    /// The policies.
    pub policies: Vec<ShiftPolicy>,
}

impl Definitions {
    /// The policy a migration names.
    pub fn policy_of(&self, migration: &Migration) -> Option<&ShiftPolicy> {
        self.policies.iter().find(|policy| policy.name == migration.policy)
    }
}

/// A migration together with the policy it was started with; what a run is about.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Assignment {
    /// What moves.
    pub migration: Migration,
    /// How carefully.
    pub policy: ShiftPolicy,
}

/// Reads files, or reports every mistake in all of them at once.
pub fn load(files: &[SourceFile]) -> Result<Definitions, InvalidInput> {
    read(files, |tops| {
        let documents: Vec<Document<'_>> = tops.iter().filter_map(decode::document).collect();
        agree::check(&documents, documents.len() == tops.len());
        let mut definitions = Definitions::default();
        for document in documents {
            match document {
                Document::Migration { migration, .. } => definitions.migrations.push(*migration),
                Document::Policy { policy, .. } => definitions.policies.push(*policy),
            }
        }
        Some(definitions)
    })
}

/// Reads the file of one balancer, or reports every mistake in it.
pub fn load_balancer(files: &[SourceFile]) -> Result<BalancerSpec, InvalidInput> {
    read(files, |tops| {
        for more in tops.iter().skip(1) {
            let _: Option<()> = more.refuse("is one document too many", Some("a balancer is one document"));
        }
        balancer::document(tops.first()?)
    })
}

/// What `decode` makes of the documents of files. Where it makes nothing of them, it has noted why.
fn read<T>(files: &[SourceFile], decode: impl for<'t> FnOnce(&[Cursor<'t>]) -> Option<T>) -> Result<T, InvalidInput> {
    let readers: Vec<Problems> = files.iter().map(Problems::new).collect();
    let trees: Vec<Vec<tree::Node>> =
        files.iter().zip(&readers).map(|(file, problems)| parse(file, problems)).collect();
    let nodes = trees.iter().zip(&readers).flat_map(|(nodes, problems)| nodes.iter().map(move |node| (node, problems)));
    let tops: Vec<Cursor<'_>> = nodes.map(|(node, problems)| Cursor::new(node, problems)).collect();
    let made = decode(&tops);
    problem::refuse(readers.into_iter().flat_map(Problems::into_sorted).collect(), files, made)
}

fn parse(file: &SourceFile, problems: &Problems) -> Vec<tree::Node> {
    match tree::parse(&file.text) {
        Ok(documents) => {
            if documents.is_empty() {
                problems.push(
                    tree::Span::default(),
                    "",
                    "holds no document",
                    Some(format!("start with apiVersion: {API_VERSION}")),
                );
            }
            documents
        }
        Err(error) => {
            problems.push(error.at, "", error.message, None);
            Vec::new()
        }
    }
}
