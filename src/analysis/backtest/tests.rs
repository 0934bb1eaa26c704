//! Recordings that are made up, and what replaying them comes to.

use super::*;
use crate::policy::{SourceFile, load};

fn policy() -> ShiftPolicy {
    let file = SourceFile { name: "p".into(), text: include_str!("../../../policies/careful.yaml").into() };
    load(&[file]).unwrap().policies.remove(0)
}

/// So many grains of a minute of a source alone.
fn recording(grains: usize, bad: impl Fn(usize) -> f64) -> Recording {
    let grain = |index| Grain { source: Some((bad(index), 6_000.0)), target: None };
    Recording {
        from: Timestamp::UNIX_EPOCH,
        grain: SignedDuration::from_mins(1),
        metrics: [(Name::new("errors").unwrap(), (0..grains).map(grain).collect())].into(),
        strata: BTreeMap::new(),
        numbers: BTreeMap::new(),
    }
}

/// A policy with a quantile, alerts and a fraction of warm caches, and so many grains of half a minute of them.
fn numbers(quantile: impl Fn(usize) -> f64) -> (ShiftPolicy, Recording) {
    let text = r#"
apiVersion: crossfade.dev/v1alpha1
kind: ShiftPolicy
metadata: {name: numbers}
spec:
  steps: [{setWeight: 1}, {setWeight: 50}, {pause: {duration: 2h}}, {setWeight: 100}]
  soak: 30m
  analysis:
    window: 1m
    prometheus: {address: "http://p:9090"}
    metrics:
      - name: p99
        quantile: {buckets: 'sum by (le) (increase(d_bucket{c="{{ cluster }}"}[{{ window }}]))', q: 0.99, max: 0.3, for: 2m}
      - {name: pages, alerts: {matching: '{cluster="{{ cluster }}"}'}}
      - name: warm
        value: {query: 'max(warm{c="{{ cluster }}"})', min: 0.8}
"#;
    let policy = load(&[SourceFile { name: "p".into(), text: text.into() }]).unwrap().policies.remove(0);
    let number = |value, count| SidePair { source: Some(Number { value, count }), target: None };
    let all = |number: &dyn Fn(usize) -> SidePair<Option<Number>>| (0..720).map(number).collect::<Vec<_>>();
    let numbers = [
        ("p99", all(&|index| number(quantile(index), Some(6_000.0)))),
        ("pages", all(&|_| number(0.0, None))),
        ("warm", all(&|_| number(0.9, None))),
    ];
    let recording = Recording {
        from: Timestamp::UNIX_EPOCH,
        grain: SignedDuration::from_secs(30),
        metrics: BTreeMap::new(),
        strata: BTreeMap::new(),
        numbers: numbers.map(|(name, numbers)| (Name::new(name).unwrap(), numbers)).into(),
    };
    (policy, recording)
}

#[test]
fn numbers_are_replayed_by_their_range_and_its_time() {
    let (policy, recording) = numbers(|index| if index % 100 == 7 { 0.9 } else { 0.2 });
    let result = backtest(&policy, &recording, 1);
    assert_eq!((result.alarms.len(), result.left_out.len()), (0, 0), "one look out of range is not two minutes");
    assert_eq!(result.recorded, SignedDuration::from_hours(6));
    let found = |metric: &str, told: &str, percent: u16| {
        let weight = Weight::percent_saturating(percent);
        let is = |detection: &&Detection| {
            detection.metric.as_str() == metric && detection.regression == told && detection.weight == weight
        };
        result.detections.iter().find(is).unwrap().median_seconds
    };
    assert_eq!(found("p99", "2x", 50), Some(150.0), "out of range from its first look, for two minutes");
    assert_eq!(found("p99", "1.2x", 50), None, "a fifth more is within range");
    assert_eq!(found("p99", "2x", 1), Some(150.0));
    assert_eq!((found("pages", "fires", 50), found("warm", "1.2x", 50)), (Some(30.0), Some(90.0)));
    let text = serde_json::to_string(&recording).unwrap();
    assert_eq!(serde_json::from_str::<Recording>(&text).unwrap(), recording);
}

#[test]
fn a_number_that_leaves_its_range_on_a_healthy_target_is_a_false_alarm_unless_the_source_excuses_it() {
    let (mut policy, mut recording) = numbers(|index| if (60..70).contains(&index) { 0.9 } else { 0.2 });
    let alarms = |policy: &ShiftPolicy, recording: &Recording| {
        let alarms = backtest(policy, recording, 1).alarms.into_iter();
        alarms.filter(|alarm| alarm.weight < Weight::FULL).collect::<Vec<_>>()
    };
    let found = alarms(&policy, &recording);
    assert!(!found.is_empty() && found.iter().all(|alarm| alarm.account.contains("out of range for 2m")), "{found:?}");
    // Of few requests a quantile says nothing.
    let few = recording.numbers.values_mut().flatten().filter_map(|sides| sides.source.as_mut()?.count.as_mut());
    few.for_each(|count| *count = 60.0);
    assert_eq!(alarms(&policy, &recording), []);
    policy.analysis.metrics[0].min_samples = 1;
    policy.analysis.metrics[0].baseline = Some(crate::policy::Baseline::Source);
    assert_eq!(alarms(&policy, &recording), []);
}

#[test]
fn a_healthy_service_raises_no_alarm_and_worse_ones_are_found() {
    let result = backtest(&policy(), &recording(1_440, |index| 6.0 + (index % 7) as f64), 1);
    assert_eq!(result.alarms, []);
    assert_eq!((result.recorded, result.left_out.len()), (SignedDuration::from_hours(24), 0));
    let tenth = |told: &str| {
        let ten = Weight::percent_saturating(10);
        result.detections.iter().find(|detection| detection.weight == ten && detection.regression == told).unwrap()
    };
    let (double, point) = (tenth("2x"), tenth("+1pp"));
    assert!(point.median_seconds.unwrap() <= 240.0, "{point:?}");
    assert!(double.median_seconds.unwrap() > point.median_seconds.unwrap(), "{double:?}");
    assert_eq!(point.found, point.targets);
}

#[test]
fn a_fault_behind_both_sides_is_no_alarm_with_a_baseline_and_one_without() {
    let storm = recording(300, |index| if (100..160).contains(&index) { 600.0 } else { 6.0 });
    let mut policy = policy();
    // With all traffic on the target there is nobody left to compare with.
    let compared = |policy: &ShiftPolicy| {
        let alarms = backtest(policy, &storm, 1).alarms.into_iter();
        alarms.filter(|alarm| alarm.weight < Weight::FULL).collect::<Vec<_>>()
    };
    assert_eq!(compared(&policy), []);
    policy.analysis.metrics[0].baseline = None;
    let alarms = compared(&policy);
    assert!(!alarms.is_empty() && alarms.iter().all(|alarm| alarm.account.contains("above what is allowed")));
}

#[test]
fn a_storm_that_is_over_behind_the_source_is_no_alarm_either() {
    let mut policy = policy();
    policy.steps.insert(0, crate::policy::Step::SetWeight(Weight::from_basis_points(50).unwrap()));
    policy.analysis.metrics[0].min_samples = 5;
    // At the edge of the storm the source is within its limit again, and of a handful of the target's requests one is bad.
    let bad = |index: usize| match index % 16 {
        0..8 => 0.0,
        8..11 => 1_200.0,
        11 => 55.0,
        _ => 20.0,
    };
    let alarms = backtest(&policy, &recording(960, bad), 1).alarms.into_iter();
    let alarms: Vec<_> = alarms.filter(|alarm| alarm.weight < Weight::FULL).collect();
    assert_eq!(alarms, []);
}

#[test]
fn nothing_recorded_is_nothing_found() {
    let mut empty = recording(50, |_| 0.0);
    empty.metrics.values_mut().flatten().for_each(|grain| grain.source = None);
    let result = backtest(&policy(), &empty, 1);
    assert_eq!((result.recorded, result.alarms.len(), result.detections.len()), (SignedDuration::ZERO, 0, 0));
}

/// A policy that compares routes, and a day of minutes of two of them: one that fails a hundred times as often as the other. The
/// target was given five times the part of it that the source was.
fn two_routes() -> (ShiftPolicy, Recording) {
    let text = r#"
apiVersion: crossfade.dev/v1alpha1
kind: ShiftPolicy
metadata: {name: routes}
spec:
  steps: [{setWeight: 10}, {pause: {duration: 30m}}, {setWeight: 50}, {pause: {duration: 30m}}, {setWeight: 100}]
  analysis:
    window: 2m
    prometheus: {address: "http://p:9090"}
    metrics:
      - name: errors
        errorRate: {errors: 'sum(increase(e{c="{{ cluster }}"}[{{ window }}]))', total: 'sum(increase(t{c="{{ cluster }}"}[{{ window }}]))', strata: route}
        max: 50%
        baseline: source
"#;
    let mut policy = load(&[SourceFile { name: "p".into(), text: text.into() }]).unwrap().policies.remove(0);
    // With all traffic on the target there is nobody left to compare with.
    policy.steps.pop();
    let route = |source: Counted, target: Counted| vec![SidePair { source: Some(source), target: Some(target) }; 1_440];
    let routes = [
        ("pay".to_owned(), route((54.0, 540.0), (30.0, 300.0))),
        ("view".to_owned(), route((5.0, 4_860.0), (0.0, 300.0))),
    ];
    let errors = Name::new("errors").unwrap();
    let recording = Recording {
        from: Timestamp::UNIX_EPOCH,
        grain: SignedDuration::from_mins(1),
        metrics: BTreeMap::new(),
        strata: [(errors, routes.into())].into(),
        numbers: BTreeMap::new(),
    };
    (policy, recording)
}

#[test]
fn a_target_with_more_of_what_fails_is_healthy_where_requests_are_told_apart() {
    let (policy, recording) = two_routes();
    let result = backtest(&policy, &recording, 1);
    assert_eq!((result.alarms, result.left_out.len()), (vec![], 0));
    let double = |detection: &&Detection| detection.regression == "2x";
    let found: Vec<_> = result.detections.iter().filter(double).collect();
    assert!(found.len() == 2 && found.iter().all(|one| 10 * one.found >= 9 * one.targets), "{found:?}");
    // The very same requests, not told apart.
    let mut blind = policy.clone();
    if let MetricSource::ErrorRate { strata, .. } = &mut blind.analysis.metrics[0].source {
        *strata = None;
    }
    let alarms = backtest(&blind, &recording, 1).alarms;
    assert!(alarms.iter().any(|alarm| alarm.account.contains("worse than the source")), "{alarms:?}");
    let text = serde_json::to_string(&recording).unwrap();
    assert_eq!(serde_json::from_str::<Recording>(&text).unwrap(), recording);
}

#[test]
fn strata_of_a_source_alone_are_dealt_out_evenly() {
    let (policy, mut recording) = two_routes();
    let strata = recording.strata.values_mut().flat_map(BTreeMap::values_mut).flatten();
    strata.for_each(|grain| grain.target = None);
    assert_eq!(mixes(&recording, &policy.analysis.metrics[0].name), BTreeMap::new());
    assert_eq!(backtest(&policy, &recording, 1).alarms, []);
    assert_eq!(recording.pooled(&policy.analysis.metrics[0].name, 3), Some((59.0, 5_400.0)));
    let half = Weight::percent_saturating(50);
    let share = |source, target| share_of(Some(&SidePair { source, target }), half);
    assert_eq!([share(0.125, 0.375), share(0.0, 0.2), share(0.2, 0.0), share(0.0, 0.0)], [0.75, 1.0, 0.0, 0.5]);
}
