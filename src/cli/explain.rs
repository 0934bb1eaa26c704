//! `crossfade policy explain`: every metric of a policy, asked once now, and what its gate says and why.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::SignedDuration;

use super::output::{self, Format};
use super::values::OwnValues;
use super::{Exit, Global, input, run};
use crate::analysis::ages::Ages;
use crate::analysis::lasting::Lasting;
use crate::analysis::prometheus::Servers;
use crate::analysis::questions::{Answers, EVALUATED, Questions, evaluated};
use crate::analysis::record::{Learnt, Record, Stage};
use crate::gate::{self, Known, Verdict};
use crate::migration::Check;
use crate::migration::check::{Basis, Evidence, Sampled};
use crate::migration::snapshot::{MetricSample, SidePair, SideSample};
use crate::observe::clock::Clock;
use crate::policy::{Assignment, MetricSource, MetricSpec};
use crate::{observe, plane};

pub(super) const EXAMPLES: &str = "Examples:
  crossfade policy explain -f checkout.yaml
  crossfade policy explain -f checkout.yaml -o json

Asks the policy's Prometheus once. What planes and probes count is counted between
two looks, an interval of the policy apart. What a migration that is driven has
gathered is in `crossfade status -o json`.";

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest time between two looks at what planes and probes count.
const APART: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// Files with a Migration and its ShiftPolicy; - for standard input
    #[arg(short, long = "file", required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The migration, where the files have several
    #[arg(long, value_name = "NAME")]
    migration: Option<String>,
}

pub(super) async fn explain(global: &Global, explain: Explain) -> anyhow::Result<Exit> {
    let definitions = match input::definitions(&explain.files, global.output)? {
        Ok(definitions) => definitions,
        Err(exit) => return Ok(exit),
    };
    let assignment = match run::assignment(&definitions, explain.migration.as_deref()) {
        Ok(assignment) => assignment,
        Err(message) => {
            output::refuse(global.output, &message);
            return Ok(Exit::BadInput);
        }
    };
    let questions = Questions::of(&assignment);
    let ages = Ages::of(&assignment.policy.analysis);
    let asked = questions.of_metrics().into_iter().chain(ages.asked(&questions));
    let asked = asked.chain([EVALUATED.to_owned()]).collect();
    let answers = match Servers::new(OwnValues).of(&assignment)? {
        Some(prometheus) => prometheus.numbers(asked, PATIENCE).await,
        None => Answers::new(),
    };
    let analysis = &assignment.policy.analysis;
    let apart = Duration::try_from(analysis.interval).unwrap_or_default().min(APART);
    let is_ours = |spec: &MetricSpec| matches!(spec.source, MetricSource::PlaneErrors { .. } | MetricSource::Probe(_));
    let counted = match analysis.metrics.iter().any(is_ours) {
        true => {
            let planes = assignment.migration.planes.iter();
            let planes = planes.filter_map(|spec| Some((spec.name.clone(), plane::connect(spec)?))).collect();
            observe::counted(&assignment, &planes, apart).await
        }
        false => BTreeMap::new(),
    };
    let explained = analysis.metrics.iter().filter_map(|spec| match counted.get(&spec.name) {
        Some(sample) => {
            let window = SignedDuration::try_from(apart).unwrap_or_default();
            Some(explained_one(&assignment, spec, sample, window, (&Answers::new(), None)))
        }
        None => {
            let (sample, age) =
                (questions.sample(&spec.source, &answers)?, ages.told(&questions, &spec.source, &answers));
            Some(explained_one(&assignment, spec, &sample, analysis.window, (&answers, age)))
        }
    });
    let explained: Vec<_> = explained.collect();
    match global.output {
        Format::Text => {
            for line in explained.iter().flat_map(lines) {
                output::line(line)?;
            }
        }
        format => output::machine(format, &explained)?,
    }
    Ok(Exit::Done)
}

/// Seconds since the newest samples of each side, where that is known.
type Age = Option<SidePair<Option<f64>>>;

/// One metric. What its window is evidence of stands for a whole migration: one that is driven gathers more.
fn explained_one(
    assignment: &Assignment,
    spec: &MetricSpec,
    sample: &MetricSample,
    window: SignedDuration,
    (answers, age): (&Answers, Age),
) -> Check {
    let known = Known { learnt: None, lasting: Lasting::default(), proof: assignment.policy.analysis.proof(spec) };
    let finding = gate::judge(spec, sample, known);
    let learnt = gather(assignment, spec, sample, window, answers);
    let basis = Basis::new(assignment, spec, sample, learnt.as_ref(), Sampled { evaluated: evaluated(answers), age });
    Check { name: spec.name.clone(), finding, basis: Some(Box::new(Basis { window, ..basis })) }
}

/// What one window comes to, as the beginning of a first step.
fn gather(
    assignment: &Assignment,
    spec: &MetricSpec,
    sample: &MetricSample,
    window: SignedDuration,
    answers: &Answers,
) -> Option<Learnt> {
    let now = Clock::start().now();
    let since = now.checked_sub(window).ok()?;
    let stage = Stage { step: 0, of: assignment.policy.steps.len(), since, settled: Some(since) };
    let reading = Questions::of(assignment).reading_of(sample, since, &spec.source, answers)?;
    Some(Record::new(spec, window).look(now, stage, Some(reading.clone()), Some(&reading)))
}

fn lines(check: &Check) -> Vec<String> {
    let mut lines = vec![check.name.to_string()];
    if let Some(basis) = &check.basis {
        lines.extend(basis.queries.iter().map(|query| format!("  asks      {query}")));
        let age = |of: fn(&SidePair<Option<f64>>) -> Option<f64>| basis.age.as_ref().and_then(of);
        lines.push(format!("  source    {}", side(&basis.source, age(|age| age.source))));
        lines.push(format!("  target    {}", side(&basis.target, age(|age| age.target))));
        let strata = basis.strata.iter().map(|(stratum, counted)| (format!("{stratum:?}"), counted));
        let mix = basis.same_mix.iter().map(|counted| ("same mix".to_owned(), counted));
        let told = strata.chain(mix).map(|(what, SidePair { source, target })| {
            format!("  {what:<9} source {}; target {}", side(source, None), side(target, None))
        });
        lines.extend(told);
        lines.extend(basis.evidence.iter().flat_map(evidence));
    }
    let meaning = match check.finding.verdict {
        Verdict::Pass => "nothing speaks against going on",
        Verdict::Fail => "the target would be relieved, or not be given any traffic",
        Verdict::NoData => "it would hold: too little is known",
        Verdict::Error => "it would hold: the question could not be asked",
    };
    lines.push(format!("  {:<9} {}: {}", format!("{:?}", check.finding.verdict), meaning, check.finding.account));
    lines
}

fn evidence(evidence: &Evidence) -> Vec<String> {
    let above =
        format!("  above max evidence {:.3} of the {:.0} that are proof", evidence.above, evidence.above_is_proof);
    let worse = evidence
        .worse_is_proof
        .map(|proof| format!("  worse     evidence {:.3} of the {proof:.0} that are proof", evidence.worse));
    [above].into_iter().chain(worse).collect()
}

fn side(sample: &SideSample, age: Option<f64>) -> String {
    let told = sample.to_string();
    age.map_or(told.clone(), |age| format!("{told}; newest sample {age:.1} s old"))
}
