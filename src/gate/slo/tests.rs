use super::*;
use crate::migration::snapshot::SidePair;
use crate::policy::metric::Silence;
use crate::policy::{MetricSource, Name};

const PROOF: Proof = Proof { above: 2_000.0, worse: 2_000.0 };

fn spec(baseline: Option<Baseline>) -> MetricSpec {
    let source = MetricSource::ErrorRate { errors: "e".into(), total: "t".into() };
    MetricSpec {
        name: Name::new("errors").unwrap(),
        source,
        max: 0.01,
        baseline,
        detect: None,
        min_samples: 50,
        silence: Silence::default(),
    }
}

fn counts(bad: f64, total: f64) -> SideSample {
    SideSample::Counts { bad, total }
}

fn learnt(above: f64, worse: f64) -> Learnt {
    Learnt { above, worse, gathered: SidePair { source: (90.0, 9_000.0), target: (10.0, 1_000.0) } }
}

fn proof(spec: &MetricSpec) -> Proof {
    Proof { worse: spec.baseline.map_or(f64::INFINITY, |_| PROOF.worse), ..PROOF }
}

fn verdict(spec: &MetricSpec, source: SideSample, target: SideSample, learnt: Option<&Learnt>) -> Verdict {
    judge(spec, &SidePair { source, target }, learnt, proof(spec)).verdict
}

#[test]
fn before_there_is_traffic_a_window_speaks_for_itself() {
    for (target, expected) in [
        (counts(0.0, 1000.0), Verdict::Pass),
        (counts(3.0, 3.0), Verdict::Fail),
        (counts(0.0, 0.0), Verdict::NoData),
        (counts(0.0, 49.0), Verdict::NoData),
        (counts(2.0, 100.0), Verdict::NoData),
        (counts(300.0, 1000.0), Verdict::Fail),
        (counts(50.0, 1000.0), Verdict::Fail),
        (SideSample::NoData("no series".into()), Verdict::NoData),
        (SideSample::Error("refused".into()), Verdict::Error),
    ] {
        let spec = spec(Some(Baseline::Source));
        assert_eq!(verdict(&spec, counts(0.0, 1000.0), target.clone(), None), expected, "{target:?}");
    }
}

#[test]
fn only_proof_fails_and_only_while_it_shows() {
    let (absolute, spec) = (spec(None), spec(Some(Baseline::Source)));
    for (evidence, target, expected) in [
        (learnt(1.0, 1.0), counts(50.0, 1000.0), Verdict::NoData),
        (learnt(3e3, 1.0), counts(50.0, 1000.0), Verdict::Fail),
        (learnt(1.0, 3e3), counts(50.0, 1000.0), Verdict::Fail),
        (learnt(1.0, 3e3), counts(8.0, 1000.0), Verdict::Fail),
        (learnt(3e3, 3e3), counts(1.0, 1000.0), Verdict::Pass),
        (learnt(1e200, 1.0), SideSample::NoData("no series".into()), Verdict::NoData),
        (learnt(1e200, 1.0), SideSample::Error("refused".into()), Verdict::Error),
    ] {
        assert_eq!(verdict(&spec, counts(2.0, 1000.0), target.clone(), Some(&evidence)), expected, "{evidence:?}");
    }
    let worse = learnt(1.0, 3e3);
    assert_eq!(verdict(&absolute, counts(2.0, 1000.0), counts(8.0, 1000.0), Some(&worse)), Verdict::Pass);
}

#[test]
fn a_fault_both_sides_share_is_not_the_targets() {
    for evidence in [None, Some(&learnt(1e9, 1.0))] {
        let both = (counts(350.0, 1000.0), counts(300.0, 1000.0));
        let with = |baseline| verdict(&spec(baseline), both.0.clone(), both.1.clone(), evidence);
        assert_eq!(with(Some(Baseline::Source)), Verdict::Pass);
        assert_eq!(with(None), Verdict::Fail);
    }
}

#[test]
fn what_the_source_failed_earlier_in_a_step_excuses_only_while_the_window_reaches_back_before_it() {
    let spec = spec(Some(Baseline::Source));
    let (source, target) = (counts(1.0, 1_000.0), counts(50.0, 1_000.0));
    for (gathered, expected) in [
        // The window has more than the step.
        ((20.0, 500.0), Verdict::NoData),
        ((1.0, 500.0), Verdict::Fail),
        // The window is of this step alone, and what it shows is over.
        ((200.0, 1_000.0), Verdict::Fail),
        ((200.0, 9_000.0), Verdict::Fail),
    ] {
        let learnt = Learnt { gathered: SidePair { source: gathered, target: (100.0, 2_000.0) }, ..learnt(1e9, 1.0) };
        assert_eq!(verdict(&spec, source.clone(), target.clone(), Some(&learnt)), expected, "{gathered:?}");
    }
}

#[test]
fn an_idle_source_excuses_nothing() {
    for source in [counts(1.0, 1.0), counts(40.0, 40.0), counts(0.0, 0.0)] {
        for evidence in [None, Some(&learnt(1e9, 1.0))] {
            let spec = spec(Some(Baseline::Source));
            let target = counts(500.0, 1000.0);
            assert_eq!(verdict(&spec, source.clone(), target, evidence), Verdict::Fail, "{source:?}");
        }
    }
}

#[test]
fn a_step_is_left_only_once_the_named_regression_would_have_shown() {
    let spec = MetricSpec { detect: Some(Regression::Times(2.0)), ..spec(Some(Baseline::Source)) };
    let after = |requests: f64| {
        let gathered =
            SidePair { source: (requests * 0.009, requests * 0.9), target: (requests * 0.001, requests * 0.1) };
        Learnt { above: 0.1, worse: 0.1, gathered }
    };
    let judged = |learnt: &Learnt| {
        judge(&spec, &SidePair { source: counts(9.0, 900.0), target: counts(1.0, 100.0) }, Some(learnt), PROOF)
    };
    let early = judged(&after(10_000.0));
    assert_eq!(early.verdict, Verdict::NoData);
    let said = early.account.to_string();
    assert!(said.ends_with("of the requests in which 2x is seen 90 times of 100"), "{said}");
    assert_eq!(judged(&after(60_000.0)).verdict, Verdict::Pass);
}
