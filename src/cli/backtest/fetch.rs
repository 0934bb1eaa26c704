//! What Prometheus has recorded of a migration's metrics. IO.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};

use crate::analysis::backtest::{Grain, Number, Recording};
use crate::analysis::prometheus::answer::Numbers;
use crate::analysis::prometheus::{Prometheus, PrometheusError};
use crate::analysis::questions::Questions;
use crate::analysis::statistics::Counted;
use crate::analysis::strata;
use crate::migration::snapshot::SidePair;
use crate::policy::metric::ValueSpec;
use crate::policy::{Assignment, MetricSource, Queries};

/// Points asked for at a time. Servers refuse more than 11,000.
const AT_A_TIME: usize = 5_000;
/// Most grains: four months of minutes.
const MOST: usize = 200_000;

pub(super) async fn recording(
    prometheus: &Prometheus,
    assignment: &Assignment,
    since: SignedDuration,
    grain: SignedDuration,
) -> anyhow::Result<Recording> {
    let now = prometheus.number("time()").await?.context("the server does not say what time it is")?;
    let grains = (since.as_secs_f64() / grain.as_secs_f64()).floor().max(1.0) as usize;
    anyhow::ensure!(grains <= MOST, "{grains} grains are more than {MOST}; look less finely, or less far back");
    let span = Span { first: now - (grains - 1) as f64 * grain.as_secs_f64(), grain, grains };
    let questions = Questions { assignment, window: grain };
    let (mut metrics, mut told_apart, mut numbers) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for spec in &assignment.policy.analysis.metrics {
        if let MetricSource::Value(value) = &spec.source {
            let source = number(prometheus, value, assignment.migration.source.name(), assignment, &span).await?;
            let target = number(prometheus, value, assignment.migration.target.name(), assignment, &span).await?;
            let sides = source.into_iter().zip(target).map(|(source, target)| SidePair { source, target }).collect();
            numbers.insert(spec.name.clone(), sides);
        }
        let Some(queries) = spec.source.asked() else { continue };
        let sides = [&assignment.migration.source, &assignment.migration.target].map(|cluster| cluster.name());
        if spec.source.strata().is_some() {
            let [source, target] = sides.map(|cluster| by_stratum(prometheus, &questions, queries, cluster, &span));
            told_apart.insert(spec.name.clone(), both(source.await?, target.await?, grains));
        } else {
            let [source, target] = sides.map(|cluster| side(prometheus, &questions, queries, cluster, &span));
            metrics.insert(spec.name.clone(), zipped(source.await?, target.await?));
        }
    }
    let from = Timestamp::from_millisecond(((span.first - grain.as_secs_f64()) * 1000.0) as i64)?;
    Ok(Recording { from, grain, metrics, strata: told_apart, numbers })
}

/// Bad and all requests of one side in each grain, by stratum.
type OfStrata = BTreeMap<String, Vec<Option<Counted>>>;

struct Span {
    /// When the first grain ended, in seconds.
    first: f64,
    grain: SignedDuration,
    grains: usize,
}

/// As much as is asked for at a time, in seconds.
struct Part {
    from: f64,
    to: f64,
}

impl Span {
    fn parts(&self) -> impl Iterator<Item = Part> + use<> {
        let Self { first, grains, .. } = *self;
        let grain = self.grain.as_secs_f64();
        (0..grains).step_by(AT_A_TIME).map(move |begin| {
            let end = (begin + AT_A_TIME).min(grains) - 1;
            Part { from: first + begin as f64 * grain, to: first + (end as f64 + 0.5) * grain }
        })
    }

    fn step(&self) -> Duration {
        Duration::try_from(self.grain).unwrap_or_default()
    }

    /// Puts numbers where they belong by their times.
    fn put(&self, values: &mut [Option<f64>], numbers: Vec<(f64, f64)>) {
        for (time, value) in numbers {
            let index = ((time - self.first) / self.grain.as_secs_f64()).round();
            if index >= 0.0 && value.is_finite() && (index as usize) < values.len() {
                values[index as usize] = Some(value);
            }
        }
    }
}

/// Both sides of every stratum that either has.
fn both(mut source: OfStrata, mut target: OfStrata, grains: usize) -> BTreeMap<String, Vec<Grain>> {
    let names: BTreeSet<_> = source.keys().chain(target.keys()).cloned().collect();
    let mut taken = |name: &str| {
        let [source, target] =
            [&mut source, &mut target].map(|side| side.remove(name).unwrap_or_else(|| vec![None; grains]));
        zipped(source, target)
    };
    names.into_iter().map(|name| (name.clone(), taken(&name))).collect()
}

fn zipped(source: Vec<Option<Counted>>, target: Vec<Option<Counted>>) -> Vec<Grain> {
    source.into_iter().zip(target).map(|(source, target)| Grain { source, target }).collect()
}

async fn side(
    prometheus: &Prometheus,
    questions: &Questions<'_>,
    queries: Queries<'_>,
    cluster: &str,
    span: &Span,
) -> anyhow::Result<Vec<Option<Counted>>> {
    let counted = values(prometheus, &questions.render(queries.counted, cluster), span).await?;
    let total = values(prometheus, &questions.render(queries.total, cluster), span).await?;
    Ok(counts(queries, counted, total))
}

/// Bad and all requests of each grain.
fn counts(queries: Queries<'_>, counted: Vec<Option<f64>>, total: Vec<Option<f64>>) -> Vec<Option<Counted>> {
    let grain = |(counted, total): (Option<f64>, Option<f64>)| {
        let total = total?.max(0.0);
        let counted = counted.map(|counted| counted.clamp(0.0, total));
        // As `questions` has it: no bad request ever is none, and no bucket is a mistake.
        let bad = if queries.counts_bad { counted.unwrap_or_default() } else { total - counted? };
        Some((bad, total))
    };
    counted.into_iter().zip(total).map(grain).collect()
}

/// The same of each stratum.
async fn by_stratum(
    prometheus: &Prometheus,
    questions: &Questions<'_>,
    queries: Queries<'_>,
    cluster: &str,
    span: &Span,
) -> anyhow::Result<OfStrata> {
    let mut counted = all_values(prometheus, &questions.render(queries.counted, cluster), span).await?;
    let total = all_values(prometheus, &questions.render(queries.total, cluster), span).await?;
    let (found, most) = (total.len(), strata::MOST);
    anyhow::ensure!(
        found <= most,
        "{found} strata are more than the {most} that are told apart; name a label with fewer values"
    );
    let of_stratum = |(stratum, total): (String, Vec<Option<f64>>)| {
        let counted = counted.remove(&stratum).unwrap_or_else(|| vec![None; span.grains]);
        (stratum, counts(queries, counted, total))
    };
    Ok(total.into_iter().map(of_stratum).collect())
}

/// What a number of one side was at the end of each grain: asked as a migration asks for it, over the policy's own window.
async fn number(
    prometheus: &Prometheus,
    value: &ValueSpec,
    cluster: &str,
    assignment: &Assignment,
    span: &Span,
) -> anyhow::Result<Vec<Option<Number>>> {
    let questions = Questions::of(assignment);
    let known = values(prometheus, &questions.render(&value.query, cluster), span).await?;
    let counts = match &value.total {
        Some(total) => values(prometheus, &questions.render(total, cluster), span).await?,
        None => vec![None; known.len()],
    };
    // As `questions` has it: no requests counted are none.
    let count = |count: Option<f64>| value.total.is_some().then(|| count.unwrap_or_default());
    let number = |(value, counted): (Option<f64>, Option<f64>)| Some(Number { value: value?, count: count(counted) });
    Ok(known.into_iter().zip(counts).map(number).collect())
}

/// One number for each grain that has one.
async fn values(prometheus: &Prometheus, query: &str, span: &Span) -> Result<Vec<Option<f64>>, PrometheusError> {
    let mut values = vec![None; span.grains];
    for part in span.parts() {
        span.put(&mut values, prometheus.range(query, part.from, part.to, span.step()).await?);
    }
    Ok(values)
}

/// The same of each series.
async fn all_values(
    prometheus: &Prometheus,
    query: &str,
    span: &Span,
) -> Result<BTreeMap<String, Vec<Option<f64>>>, PrometheusError> {
    let mut all = BTreeMap::new();
    for part in span.parts() {
        for Numbers { stratum, values, .. } in prometheus.ranges(query, part.from, part.to, span.step()).await? {
            span.put(all.entry(stratum).or_insert_with(|| vec![None; span.grains]), values);
        }
    }
    Ok(all)
}
