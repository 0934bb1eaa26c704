//! What has to be asked for the metrics of a policy, and what the answers mean. PURE.
//!
//! A query is asked once, however many metrics have it, and with one or two lengths of its window: the policy's own, and the one that
//! reaches back to the anchor of what is learnt (see `record`).

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::prometheus::answer::{self, Series};
use super::record::Reading;
use super::statistics::Counted;
use super::strata::{self, Strata};
use super::template::{self, Values};
use crate::migration::snapshot::{MetricSample, SidePair, SideSample};
use crate::policy::{Assignment, MetricSource, Name, Queries};

/// What each query gives, or why it could not be asked.
pub type Answers = BTreeMap<String, Result<Series, String>>;

/// The query for when the server evaluates what it is asked.
pub const EVALUATED: &str = "vector(time())";

/// When the server evaluated what it was asked, by its own clock; nothing where it did not say.
pub fn evaluated(answers: &Answers) -> Option<Timestamp> {
    let (_, seconds) = answers.get(EVALUATED)?.as_ref().ok()?.first()?;
    Timestamp::from_millisecond((seconds * 1_000.0).round() as i64).ok()
}

/// The metrics of a migration, looking back so far.
#[derive(Debug, Clone, Copy)]
pub struct Questions<'a> {
    /// The migration and its policy.
    pub assignment: &'a Assignment,
    /// How far each query looks back.
    pub window: SignedDuration,
}

impl<'a> Questions<'a> {
    /// Over the policy's own window.
    pub fn of(assignment: &'a Assignment) -> Self {
        Self { assignment, window: assignment.policy.analysis.window }
    }

    /// Every query of a metric.
    pub fn of_metrics(&self) -> BTreeSet<String> {
        self.assignment.policy.analysis.metrics.iter().flat_map(|spec| self.asked_for(&spec.source)).collect()
    }

    /// Those that count requests.
    pub fn of_counts(&self) -> BTreeSet<String> {
        let counts = self.assignment.policy.analysis.metrics.iter().filter(|spec| spec.source.counts());
        counts.flat_map(|spec| self.asked_for(&spec.source)).collect()
    }

    /// The queries of a metric as they are asked, source before target.
    pub fn asked_for(&self, source: &MetricSource) -> Vec<String> {
        let templates = source.asked().map_or_else(|| source.templates(), |asked| vec![asked.counted, asked.total]);
        templates.into_iter().flat_map(|template| self.for_both(template)).collect()
    }

    /// The queries of the measured share.
    pub fn of_share(&self) -> BTreeSet<String> {
        share_template(self.assignment).into_iter().flat_map(|template| self.for_both(template)).collect()
    }

    /// A template for the source, and for the target.
    pub fn for_both(&self, template: &str) -> impl Iterator<Item = String> + use<> {
        let migration = &self.assignment.migration;
        [&migration.source, &migration.target].map(|cluster| self.render(template, cluster.name())).into_iter()
    }

    /// A template for one cluster.
    pub fn render(&self, template: &str, cluster: &str) -> String {
        let namespace = self.assignment.migration.namespace.as_str();
        // Templates were checked when the policy was read.
        template::render(template, Values { cluster, namespace, window: self.window }).unwrap_or_default()
    }

    /// What Prometheus says of a metric; `None` where it is not asked for it.
    pub fn sample(&self, source: &MetricSource, answers: &Answers) -> Option<MetricSample> {
        if let MetricSource::Value(value) = source {
            return Some(self.both(|cluster| {
                let total = value.total.as_ref().map(|total| self.answer(total, cluster, answers));
                number(self.answer(&value.query, cluster, answers), total)
            }));
        }
        let queries = source.asked()?;
        let answer = |template: &str, cluster: &str| match source.strata() {
            Some(_) => self.series(template, cluster, answers).and_then(sum),
            None => self.answer(template, cluster, answers),
        };
        Some(self.both(|cluster| {
            let (counted, total) = (answer(queries.counted, cluster), answer(queries.total, cluster));
            if queries.counts_bad { counts(counted, total) } else { counts(rest(counted, &total), total) }
        }))
    }

    /// The totals of a metric since an anchor; nothing where they could not be asked, or neither side counted any.
    pub fn reading(&self, anchor: Timestamp, source: &MetricSource, answers: &Answers) -> Option<Reading> {
        self.reading_of(&self.sample(source, answers)?, anchor, source, answers)
    }

    /// The same, of a sample that was taken already.
    pub fn reading_of(
        &self,
        sample: &MetricSample,
        anchor: Timestamp,
        source: &MetricSource,
        answers: &Answers,
    ) -> Option<Reading> {
        let reading = reading(anchor, sample)?;
        let strata = source.strata().and(source.asked()).map(|queries| self.strata(queries, answers));
        Some(Reading { strata: strata.unwrap_or_default(), ..reading })
    }

    /// What both sides counted of each stratum.
    fn strata(&self, queries: Queries<'_>, answers: &Answers) -> Strata {
        let side = |cluster| -> BTreeMap<String, Counted> {
            let told = |template| self.series(template, cluster, answers).unwrap_or_default();
            let counted: BTreeMap<_, _> = told(queries.counted).into_iter().collect();
            let strata = told(queries.total).into_iter().filter_map(|(stratum, total)| {
                let total = total.max(0.0);
                let counted = counted.get(&stratum).map(|counted| counted.clamp(0.0, total));
                // As in `counts` and `rest`: no bad request ever is none, and no bucket is a mistake.
                let bad = if queries.counts_bad { counted.unwrap_or_default() } else { total - counted? };
                Some((stratum, (bad, total)))
            });
            strata.collect()
        };
        let migration = &self.assignment.migration;
        Strata::of(side(migration.source.name()), side(migration.target.name()))
    }

    /// What Prometheus says of the measured share; `None` where it is not asked for it.
    pub fn share(&self, answers: &Answers) -> Option<SidePair<SideSample>> {
        let total = share_template(self.assignment)?;
        Some(self.both(|cluster| counts(Ok(Some(0.0)), self.answer(total, cluster, answers))))
    }

    fn both(&self, sample: impl Fn(&str) -> SideSample) -> SidePair<SideSample> {
        let migration = &self.assignment.migration;
        SidePair { source: sample(migration.source.name()), target: sample(migration.target.name()) }
    }

    /// What was answered to a template for one cluster.
    pub(super) fn answer(&self, template: &str, cluster: &str, answers: &Answers) -> Result<Option<f64>, String> {
        let series = self.series(template, cluster, answers)?;
        answer::one(&series).map_err(|error| error.to_string())
    }

    /// Every series that was given to a template for one cluster.
    fn series(&self, template: &str, cluster: &str, answers: &Answers) -> Result<Series, String> {
        let answer = answers.get(&self.render(template, cluster)).cloned();
        answer.unwrap_or_else(|| Err("it was not asked".to_owned()))
    }
}

/// All strata together; nothing where there is none.
fn sum(series: Series) -> Result<Option<f64>, String> {
    if series.len() > strata::MOST {
        let (found, most) = (series.len(), strata::MOST);
        return Err(format!(
            "{found} strata are more than the {most} that are told apart; name a label with fewer values"
        ));
    }
    Ok(series.into_iter().map(|(_, value)| value).reduce(|sum, value| sum + value))
}

/// The query that counts all requests: the policy's own, or the total of its first metric that has one.
fn share_template(assignment: &Assignment) -> Option<&str> {
    let analysis = &assignment.policy.analysis;
    let first = analysis.metrics.iter().find_map(|spec| Some(spec.source.queries()?.total));
    analysis.share.total.as_deref().or(first)
}

/// A number, and how many requests are behind it where that was asked.
fn number(value: Result<Option<f64>, String>, total: Option<Result<Option<f64>, String>>) -> SideSample {
    let count = match total.transpose() {
        Err(why) => return SideSample::Error(why),
        Ok(total) => total.map(|total| total.filter(|total| total.is_finite()).unwrap_or_default()),
    };
    match value {
        Err(why) => SideSample::Error(why),
        Ok(None) => SideSample::NoData("no series".to_owned()),
        Ok(Some(value)) if value.is_nan() => SideSample::NoData(NAN.to_owned()),
        Ok(Some(value)) => SideSample::Value { value, count },
    }
}

const NAN: &str = "the query gives NaN, which is no number";

/// All requests but those counted.
fn rest(counted: Result<Option<f64>, String>, total: &Result<Option<f64>, String>) -> Result<Option<f64>, String> {
    let counted = counted?;
    // No bucket where requests were counted is a mistake in the query, and not a service on which everything is slow.
    let all = total.clone()?;
    match (counted, all) {
        (Some(counted), Some(all)) => Ok(Some((all - counted).max(0.0))),
        (None, Some(_)) => Err("no requests were counted within the time, where there were some in all".to_owned()),
        (_, None) => Ok(None),
    }
}

/// Two answers as one sample. Where requests were counted and no bad one ever was, the series of bad ones does not exist
/// yet: that is zero. The other way round nothing can be said.
fn counts(bad: Result<Option<f64>, String>, total: Result<Option<f64>, String>) -> SideSample {
    match (bad, total) {
        (Err(why), _) | (_, Err(why)) => SideSample::Error(why),
        (_, Ok(None)) => SideSample::NoData("no requests were counted".to_owned()),
        (Ok(bad), Ok(Some(total))) if total.is_nan() || bad.is_some_and(f64::is_nan) => {
            SideSample::NoData(NAN.to_owned())
        }
        (Ok(bad), Ok(Some(total))) => SideSample::Counts { bad: bad.unwrap_or(0.0), total },
    }
}

/// A sample as totals since an anchor. A side without requests counted none; where that is true of both, or one could not be asked,
/// there is no reading.
pub fn reading(anchor: Timestamp, sample: &MetricSample) -> Option<Reading> {
    let side = |sample: &SideSample| match sample {
        SideSample::Counts { bad, total } => Some(Some((bad.max(0.0), total.max(0.0)))),
        SideSample::NoData(_) => Some(None),
        SideSample::Error(_) | SideSample::Value { .. } => None,
    };
    let (source, target) = (side(&sample.source)?, side(&sample.target)?);
    source.or(target)?;
    Some(Reading {
        anchor,
        source: source.unwrap_or_default(),
        target: target.unwrap_or_default(),
        strata: Strata::default(),
    })
}

/// What each metric has come to, by name.
pub type AllLearnt = BTreeMap<Name, super::record::Learnt>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{SourceFile, load};

    #[test]
    fn when_it_was_evaluated_is_the_servers_word() {
        let told = |answer: Result<Series, String>| evaluated(&[(EVALUATED.to_owned(), answer)].into());
        let series = |value: f64| Ok(vec![(String::new(), value)]);
        assert_eq!(told(series(1_700_000_000.25)), Some(Timestamp::from_millisecond(1_700_000_000_250).unwrap()));
        assert_eq!([told(series(f64::INFINITY)), told(Ok(vec![])), told(Err("away".into()))], [None; 3]);
    }

    #[test]
    fn slow_is_what_was_not_within() {
        let slow = |within, total| {
            let total = Ok(total);
            counts(rest(Ok(within), &total), total)
        };
        assert_eq!(slow(Some(90.0), Some(100.0)), SideSample::Counts { bad: 10.0, total: 100.0 });
        assert_eq!(slow(Some(101.0), Some(100.0)), SideSample::Counts { bad: 0.0, total: 100.0 });
        assert!(matches!(slow(None, Some(100.0)), SideSample::Error(_)));
        assert!(matches!(slow(None, None), SideSample::NoData(_)));
    }

    #[test]
    fn what_answers_mean() {
        assert_eq!(counts(Ok(None), Ok(Some(7.0))), SideSample::Counts { bad: 0.0, total: 7.0 });
        assert!(matches!(counts(Ok(Some(1.0)), Ok(None)), SideSample::NoData(_)));
        assert!(matches!(counts(Ok(Some(f64::NAN)), Ok(Some(7.0))), SideSample::NoData(_)));
        assert!(matches!(counts(Err("away".into()), Ok(Some(7.0))), SideSample::Error(_)));
    }

    #[test]
    fn a_reading_needs_an_answer_of_both() {
        let counts = SideSample::Counts { bad: 1.0, total: 9.0 };
        let (none, error) = (SideSample::NoData(String::new()), SideSample::Error(String::new()));
        let read = |source: &SideSample, target: &SideSample| {
            reading(Timestamp::UNIX_EPOCH, &SidePair { source: source.clone(), target: target.clone() })
        };
        assert_eq!(
            read(&none, &counts).map(|reading| (reading.source, reading.target)),
            Some(((0.0, 0.0), (1.0, 9.0)))
        );
        assert_eq!(read(&none, &none), None);
        assert_eq!(read(&counts, &error), None);
    }

    #[test]
    fn strata_are_asked_for_as_one_query_and_summed_up() {
        let text = r#"
apiVersion: crossfade.dev/v1alpha1
kind: ShiftPolicy
metadata: {name: split}
spec:
  steps: [{setWeight: 100}]
  analysis:
    prometheus: {address: "http://p:9090"}
    metrics:
      - name: slow
        slowRate: {within: 'sum(increase(w{c="{{ cluster }}"}[{{ window }}]))', total: 'sum(increase(t{c="{{ cluster }}"}[{{ window }}]))', strata: route}
        max: 1%
        baseline: source
"#;
        let file = |name: &str, text: &str| SourceFile { name: name.into(), text: text.into() };
        let policy = load(&[file("p", text)]).unwrap().policies.remove(0);
        let migration = load(&[file("m", include_str!("../demo/checkout.yaml"))]).unwrap().migrations.remove(0);
        let assignment = Assignment { migration, policy };
        let questions = Questions::of(&assignment);
        let source = &assignment.policy.analysis.metrics[0].source;
        let asked = questions.asked_for(source);
        assert!(
            asked.len() == 4 && asked.iter().all(|query| query.starts_with("sum by (route) (increase(")),
            "{asked:?}"
        );
        let series = |all: &[(&str, f64)]| Ok(all.iter().map(|(route, value)| ((*route).to_owned(), *value)).collect());
        let [within, total] = [&[("cart", 90.0), ("pay", 40.0)][..], &[("cart", 100.0), ("pay", 50.0), ("odd", 7.0)]];
        let mut answers: Answers =
            asked.iter().cloned().zip([series(within), series(within), series(total), series(&[])]).collect();
        let reading = |answers: &Answers| questions.reading(Timestamp::UNIX_EPOCH, source, answers);
        let learnt = reading(&answers).unwrap();
        assert_eq!((learnt.source, learnt.target), ((27.0, 157.0), (0.0, 0.0)), "a side without requests counted none");
        let strata: Vec<_> = learnt.strata.iter().map(|(stratum, counted)| (stratum, counted.source)).collect();
        assert_eq!(strata, [("cart", (10.0, 100.0)), ("pay", (10.0, 50.0))], "a stratum without a bucket says nothing");
        let many: Vec<_> = (0..=strata::MOST).map(|route| (route.to_string(), 1.0)).collect();
        answers.insert(asked[2].clone(), Ok(many));
        assert_eq!(reading(&answers), None);
        let told = questions.sample(source, &answers).unwrap().source;
        assert!(matches!(told, SideSample::Error(why) if why.contains("101 strata are more than the 100")));
    }
}
