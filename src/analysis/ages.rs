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
        let templates: BTreeSet<_> = analysis.metrics.iter().filter_map(|spec| template(&spec.source)).collect();
        if !self.0.keys().eq(templates) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{MetricSpec, SourceFile, load};

    #[test]
    fn of_an_adopted_policy_only_its_own_metrics_are_asked_about() {
        let file = SourceFile { name: "p".into(), text: include_str!("../../policies/careful.yaml").into() };
        let mut analysis = load(&[file]).unwrap().policies.remove(0).analysis;
        let own = template(&analysis.metrics[0].source).unwrap().to_owned();
        let other = "sum(increase(queries_total{cluster=\"{{ cluster }}\"}[{{ window }}]))";
        let another = MetricSource::ErrorRate { errors: other.into(), total: other.into(), strata: None };
        analysis.metrics.push(MetricSpec { source: another, ..analysis.metrics[0].clone() });
        let asked = |ages: &Ages| ages.0.keys().cloned().collect::<Vec<_>>();
        let mut ages = Ages::default();
        ages.follow(&analysis);
        assert_eq!(asked(&ages), [own.as_str(), other]);
        analysis.metrics.pop();
        ages.follow(&analysis);
        assert_eq!(asked(&ages), [own]);
    }
}
