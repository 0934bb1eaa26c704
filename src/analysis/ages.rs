//! How old the newest samples behind each metric are. PURE.
//!
//! The query that tells is made of the metric's own, which has to be read as PromQL for that. That costs more than asking it, so it is
//! done once for a policy and not in every look.

use std::collections::{BTreeMap, BTreeSet};

use super::promql;
use super::questions::{Answers, Questions};
use crate::migration::snapshot::SidePair;
use crate::policy::{Analysis, MetricSource};

/// The query for the age of each metric, by the template that it was made of.
#[derive(Debug, Default)]
pub struct Ages(BTreeMap<String, Option<String>>);

impl Ages {
    /// Of the metrics of a policy.
    pub fn of(analysis: &Analysis) -> Self {
        let templates = analysis.metrics.iter().filter_map(|spec| template(&spec.source));
        Self(templates.map(|template| (template.to_owned(), promql::age(template))).collect())
    }

    /// The same, or those of a policy that was adopted meanwhile.
    pub fn follow(&mut self, analysis: &Analysis) {
        let mut templates = analysis.metrics.iter().filter_map(|spec| template(&spec.source));
        if !templates.all(|template| self.0.contains_key(template)) {
            *self = Self::of(analysis);
        }
    }

    /// Every one of these queries.
    pub fn asked(&self, questions: &Questions<'_>) -> BTreeSet<String> {
        self.0.values().flatten().flat_map(|age| questions.for_both(age)).collect()
    }

    /// Seconds since the newest sample behind a metric, for both sides, as far as that is known.
    pub fn told(
        &self,
        questions: &Questions<'_>,
        source: &MetricSource,
        answers: &Answers,
    ) -> Option<SidePair<Option<f64>>> {
        let age = self.0.get(template(source)?)?.as_ref()?;
        let told = |cluster| questions.answer(age, cluster, answers).ok().flatten().filter(|age| age.is_finite());
        let migration = &questions.assignment.migration;
        Some(SidePair { source: told(migration.source.name()), target: told(migration.target.name()) })
    }
}

/// What is asked about: all requests, where they are counted.
fn template(source: &MetricSource) -> Option<&str> {
    source.templates().pop()
}
