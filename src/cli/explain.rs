//! `crossfade policy explain`: every metric of a policy, asked once now, and what its gate says and why.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::output::{self, Format};
use super::values::OwnValues;
use super::{Exit, Global, input, run};
use crate::analysis::prometheus::Servers;
use crate::analysis::questions::{Answers, Questions, reading};
use crate::analysis::record::{Learnt, Record, Stage};
use crate::gate::{Finding, Verdict, slo};
use crate::migration::snapshot::{MetricSample, SideSample};
use crate::observe::clock::Clock;
use crate::policy::{Assignment, MetricSpec, Proof};

pub(super) const EXAMPLES: &str = "Examples:
  crossfade policy explain -f checkout.yaml
  crossfade policy explain -f checkout.yaml -o json

Asks the policy's Prometheus, and nothing else. What planes count is not asked:
`crossfade status` shows it while a migration is driven.";

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// Files with a Migration and its ShiftPolicy; - for standard input
    #[arg(short, long = "file", required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The migration, where the files have several
    #[arg(long, value_name = "NAME")]
    migration: Option<String>,
}

/// One metric, explained.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Explained {
    metric: String,
    /// The queries as they were asked, source before target.
    queries: Vec<String>,
    source: SideSample,
    target: SideSample,
    /// What this window alone is evidence of; a migration that is driven gathers more.
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Evidence>,
    #[serde(flatten)]
    finding: Finding,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Evidence {
    above: f64,
    above_is_proof: f64,
    worse: f64,
    worse_is_proof: Option<f64>,
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
    let answers = match Servers::new(OwnValues).of(&assignment)? {
        Some(prometheus) => prometheus.numbers(questions.of_metrics(), PATIENCE).await,
        None => Answers::new(),
    };
    let explained = assignment.policy.analysis.metrics.iter();
    let explained: Vec<_> = explained.filter_map(|spec| explained_one(&assignment, spec, &answers)).collect();
    match global.output {
        Format::Text => {
            for line in explained.iter().flat_map(lines) {
                output::line(line)?;
            }
            if explained.len() < assignment.policy.analysis.metrics.len() {
                output::line("metrics that planes count are not asked here; see `crossfade status`")?;
            }
        }
        format => output::machine(format, &explained)?,
    }
    Ok(Exit::Done)
}

/// One metric that Prometheus is asked for.
fn explained_one(assignment: &Assignment, spec: &MetricSpec, answers: &Answers) -> Option<Explained> {
    let questions = Questions::of(assignment);
    let queries = spec.source.queries()?;
    let migration = &assignment.migration;
    let of = |template| [&migration.source, &migration.target].map(|side| questions.render(template, side.name()));
    let sample = questions.sample(&spec.source, answers)?;
    let proof = assignment.policy.analysis.proof(spec);
    let finding = slo::judge(spec, &sample, None, proof);
    let evidence = gather(assignment, spec, &sample).map(|learnt| Evidence::new(&learnt, proof));
    let queries = of(queries.counted).into_iter().chain(of(queries.total)).collect();
    let MetricSample { source, target } = sample;
    Some(Explained { metric: spec.name.to_string(), queries, source, target, evidence, finding })
}

/// What one window comes to, as the beginning of a first step.
fn gather(assignment: &Assignment, spec: &MetricSpec, sample: &MetricSample) -> Option<Learnt> {
    let now = Clock::start().now();
    let window = assignment.policy.analysis.window;
    let since = now.checked_sub(window).ok()?;
    let stage = Stage { step: 0, of: assignment.policy.steps.len(), since, settled: Some(since) };
    Some(Record::new(spec, window).learn(now, stage, Some(reading(since, sample)?)))
}

impl Evidence {
    fn new(learnt: &Learnt, proof: Proof) -> Self {
        let worse_is_proof = Some(proof.worse).filter(|proof| proof.is_finite());
        Self { above: learnt.above, above_is_proof: proof.above, worse: learnt.worse, worse_is_proof }
    }
}

fn lines(explained: &Explained) -> Vec<String> {
    let mut lines = vec![explained.metric.clone()];
    lines.extend(explained.queries.iter().map(|query| format!("  asks      {query}")));
    lines.push(format!("  source    {}", side(&explained.source)));
    lines.push(format!("  target    {}", side(&explained.target)));
    if let Some(evidence) = &explained.evidence {
        lines.push(format!(
            "  above max evidence {:.3} of the {:.0} that are proof",
            evidence.above, evidence.above_is_proof
        ));
        if let Some(proof) = evidence.worse_is_proof {
            lines.push(format!("  worse     evidence {:.3} of the {proof:.0} that are proof", evidence.worse));
        }
    }
    let meaning = match explained.finding.verdict {
        Verdict::Pass => "nothing speaks against going on",
        Verdict::Fail => "the target would be relieved, or not be given any traffic",
        Verdict::NoData => "it would hold: too little is known",
        Verdict::Error => "it would hold: the question could not be asked",
    };
    lines.push(format!(
        "  {:<9} {}: {}",
        format!("{:?}", explained.finding.verdict),
        meaning,
        explained.finding.account
    ));
    lines
}

fn side(sample: &SideSample) -> String {
    match sample {
        SideSample::Counts { bad, total } => format!("{bad:.1} of {total:.1} requests bad"),
        SideSample::NoData(why) => format!("no data: {why}"),
        SideSample::Error(why) => format!("error: {why}"),
    }
}
