//! What Prometheus has recorded of a migration's metrics. IO.

use std::collections::BTreeMap;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};

use crate::analysis::backtest::{Grain, Number, Recording};
use crate::analysis::prometheus::{Prometheus, PrometheusError};
use crate::analysis::questions::Questions;
use crate::analysis::statistics::Counted;
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
    let (mut metrics, mut numbers) = (BTreeMap::new(), BTreeMap::new());
    for spec in &assignment.policy.analysis.metrics {
        if let MetricSource::Value(value) = &spec.source {
            let source = number(prometheus, value, assignment.migration.source.name(), assignment, &span).await?;
            let target = number(prometheus, value, assignment.migration.target.name(), assignment, &span).await?;
            let sides = source.into_iter().zip(target).map(|(source, target)| SidePair { source, target }).collect();
            numbers.insert(spec.name.clone(), sides);
        }
        let Some(queries) = spec.source.queries() else { continue };
        let source = side(prometheus, &questions, queries, assignment.migration.source.name(), &span).await?;
        let target = side(prometheus, &questions, queries, assignment.migration.target.name(), &span).await?;
        let grains = source.into_iter().zip(target).map(|(source, target)| Grain { source, target }).collect();
        metrics.insert(spec.name.clone(), grains);
    }
    let from = Timestamp::from_millisecond(((span.first - grain.as_secs_f64()) * 1000.0) as i64)?;
    Ok(Recording { from, grain, metrics, numbers })
}

struct Span {
    /// When the first grain ended, in seconds.
    first: f64,
    grain: SignedDuration,
    grains: usize,
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
    let grain = |(counted, total): (Option<f64>, Option<f64>)| {
        let total = total?.max(0.0);
        let counted = counted.unwrap_or_default().clamp(0.0, total);
        Some((if queries.counts_bad { counted } else { total - counted }, total))
    };
    Ok(counted.into_iter().zip(total).map(grain).collect())
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
    let (grain, mut values) = (span.grain.as_secs_f64(), vec![None; span.grains]);
    for begin in (0..span.grains).step_by(AT_A_TIME) {
        let end = (begin + AT_A_TIME).min(span.grains) - 1;
        let at = |index: usize| span.first + index as f64 * grain;
        let step = std::time::Duration::try_from(span.grain).unwrap_or_default();
        for (time, value) in prometheus.range(query, at(begin), at(end) + grain / 2.0, step).await? {
            let index = ((time - span.first) / grain).round();
            if index >= 0.0 && value.is_finite() && (index as usize) < values.len() {
                values[index as usize] = Some(value);
            }
        }
    }
    Ok(values)
}
