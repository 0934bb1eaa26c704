use super::*;
use crate::analysis::strata::Strata;
use crate::migration::snapshot::SidePair;
use crate::policy::MetricSource;
use crate::policy::metric::Strata as Split;
use crate::policy::metric::samples::errors;

const PROOF: Proof = Proof { above: 2_000.0, worse: 2_000.0 };

fn spec(baseline: Option<Baseline>) -> MetricSpec {
    MetricSpec { baseline, ..errors() }
}

/// Compared with the source, route by route.
fn in_strata() -> MetricSpec {
    let split = Split { label: "route".into(), counted: "by e".into(), total: "by t".into() };
    let source = MetricSource::ErrorRate { errors: "e".into(), total: "t".into(), strata: Some(Box::new(split)) };
    MetricSpec { source, ..spec(Some(Baseline::Source)) }
}

fn counts(bad: f64, total: f64) -> SideSample {
    SideSample::Counts { bad, total }
}

fn learnt(above: f64, worse: f64) -> Learnt {
    let gathered = SidePair { source: (90.0, 9_000.0), target: (10.0, 1_000.0) };
    Learnt { above, worse, gathered, strata: Strata::default(), like: None }
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
        ((5.0, 500.0), Verdict::Fail),
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
        Learnt { gathered, ..learnt(0.1, 0.1) }
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

#[test]
fn every_finding_says_its_numbers_its_limits_and_what_they_come_to() {
    let number = SideSample::Value { value: 1.0, count: None };
    let compared = "allowed 1.00%, source 0.20%";
    for (baseline, target, evidence, told) in [
        (None, counts(2.0, 1000.0), None, "2 of 1000 requests bad (0.20%); allowed 1.00%".to_owned()),
        (Some(Baseline::Source), counts(2.0, 1000.0), None, format!("2 of 1000 requests bad (0.20%); {compared}")),
        (None, counts(0.0, 49.0), None, "49 of the 50 requests that count as evidence".to_owned()),
        (None, number, None, "it is a number, where requests are counted".to_owned()),
        (
            Some(Baseline::Source),
            counts(300.0, 1000.0),
            None,
            format!("300 of 1000 requests bad (30.00%); {compared}; above what is allowed"),
        ),
        (
            Some(Baseline::Source),
            counts(20.0, 1000.0),
            Some(learnt(1.0, 1.0)),
            format!("20 of 1000 requests bad (2.00%); {compared}; too few to be certain"),
        ),
        (
            Some(Baseline::Source),
            counts(50.0, 1000.0),
            Some(learnt(999_999.0, 1.0)),
            format!("50 of 1000 requests bad (5.00%); {compared}; above what is allowed, by evidence of 999999 to 1"),
        ),
        (
            Some(Baseline::Source),
            counts(8.0, 1000.0),
            Some(learnt(1.0, 1e6)),
            format!("8 of 1000 requests bad (0.80%); {compared}; worse than the source, by evidence of 10^6 to 1"),
        ),
    ] {
        let (spec, sample) = (spec(baseline), SidePair { source: counts(2.0, 1000.0), target });
        assert_eq!(judge(&spec, &sample, evidence.as_ref(), proof(&spec)).account.to_string(), told);
    }
    let nothing_counts = MetricSpec { min_samples: 0, ..spec(None) };
    let none = SidePair { source: counts(0.0, 0.0), target: counts(0.0, 0.0) };
    let idle = judge(&nothing_counts, &none, None, proof(&nothing_counts));
    assert_eq!(idle.account.to_string(), "0 of 0 requests bad (0.00%); allowed 1.00%");
}

#[test]
fn what_is_at_a_limit_is_within_it() {
    let (above, worse, neither) = (learnt(3e3, 1.0), learnt(1.0, 3e3), learnt(1.0, 1.0));
    for (what, source, target, evidence, expected) in [
        ("as many requests as count", counts(0.0, 50.0), counts(0.0, 50.0), None, Verdict::Pass),
        ("as bad as allowed", counts(2.0, 1e3), counts(10.0, 1e3), Some(&neither), Verdict::Pass),
        (
            "as bad as allowed, in spite of earlier proof",
            counts(2.0, 1e3),
            counts(10.0, 1e3),
            Some(&above),
            Verdict::Pass,
        ),
        ("as bad as the source", counts(20.0, 1e3), counts(20.0, 1e3), Some(&neither), Verdict::Pass),
        (
            "as bad as the source, in spite of earlier proof",
            counts(8.0, 1e3),
            counts(8.0, 1e3),
            Some(&worse),
            Verdict::Pass,
        ),
        (
            "a source as bad as allowed excuses nothing",
            counts(10.0, 1e3),
            counts(50.0, 1e3),
            Some(&above),
            Verdict::Fail,
        ),
        ("proof that is just reached", counts(2.0, 1e3), counts(50.0, 1e3), Some(&learnt(2e3, 1.0)), Verdict::Fail),
        ("proof that is just reached", counts(2.0, 1e3), counts(8.0, 1e3), Some(&learnt(1.0, 2e3)), Verdict::Fail),
        (
            "a source within its limit excuses nothing, however few",
            counts(0.0, 50.0),
            counts(6.0, 100.0),
            None,
            Verdict::Fail,
        ),
        (
            "a source at its limit excuses nothing, however few",
            counts(1.0, 100.0),
            counts(6.0, 100.0),
            None,
            Verdict::Fail,
        ),
        (
            "a source above its limit excuses what is no worse",
            counts(2.0, 100.0),
            counts(6.0, 100.0),
            None,
            Verdict::NoData,
        ),
        ("a source above its limit excuses nothing worse", counts(20.0, 1e3), counts(300.0, 1e3), None, Verdict::Fail),
    ] {
        let verdict = verdict(&spec(Some(Baseline::Source)), source, target, evidence);
        assert_eq!(verdict, expected, "{what}");
    }
    let none_allowed = MetricSpec { max: 0.0, ..spec(None) };
    assert_eq!(verdict(&none_allowed, counts(0.0, 1e3), counts(0.0, 1e3), None), Verdict::Pass);
}

#[test]
fn what_is_missing_to_have_seen_a_regression_is_told() {
    let spec = MetricSpec { detect: Some(Regression::Times(2.0)), ..spec(Some(Baseline::Source)) };
    let told = |source: Counted, target: Counted| {
        let learnt = Learnt { gathered: SidePair { source, target }, ..learnt(0.1, 0.1) };
        unseen(&spec, &learnt, PROOF).map(|meaning| meaning.to_string())
    };
    let seen = "of the requests in which 2x is seen 90 times of 100";
    let parts = [
        told((0.0, 0.0), (0.0, 0.0)),
        told((81.0, 9_000.0), (9.0, 1_000.0)),
        told((3.0, 300.0), (7.0, 700.0)),
        told((0.0, 500.0), (0.0, 500.0)),
        told((9e4, 9e6), (1e4, 1e6)),
    ];
    let expected = [Some("nothing"), Some("19.48%"), Some("5.53%"), Some("0.58%"), None];
    assert_eq!(parts, expected.map(|part| part.map(|part| format!("; {part} {seen}"))));
}

#[test]
fn in_strata_the_source_is_judged_by_the_targets_mix() {
    let spec = in_strata();
    let (seen, target) = (counts(2.0, 1_000.0), counts(50.0, 1_000.0));
    for (evidence, like, expected) in [
        // The source would fail as much with that mix: that excuses, unless the target is worse with it too.
        ((1e9, 1.0), Some(((60.0, 1_000.0), (50.0, 1_000.0))), Verdict::Pass),
        ((1e9, 1e9), Some(((40.0, 1_000.0), (50.0, 1_000.0))), Verdict::Fail),
        ((1e9, 1.0), Some(((2.0, 1_000.0), (50.0, 1_000.0))), Verdict::Fail),
        // What was worse and shows no more in what is alike.
        ((1.0, 1e9), Some(((60.0, 1_000.0), (50.0, 1_000.0))), Verdict::Pass),
        ((1.0, 1e9), Some(((4.0, 800.0), (5.0, 800.0))), Verdict::Fail),
        // They share no stratum.
        ((1.0, 1e9), None, Verdict::NoData),
        ((1e9, 1.0), None, Verdict::Fail),
    ] {
        let like = like.map(|(source, target)| SidePair { source, target });
        let learnt = Learnt { like: like.clone(), ..learnt(evidence.0, evidence.1) };
        assert_eq!(verdict(&spec, seen.clone(), target.clone(), Some(&learnt)), expected, "{evidence:?} {like:?}");
    }
}

#[test]
fn strata_that_are_not_shared_do_not_count_towards_what_would_have_shown() {
    let spec = MetricSpec { detect: Some(Regression::Times(2.0)), ..in_strata() };
    let counted = |name: &str, bad: f64, all: f64| [(name.to_owned(), (bad, all))].into();
    let judged = |target: &str| {
        let strata = Strata::of(counted("cart", 540.0, 54_000.0), counted(target, 60.0, 6_000.0));
        let gathered = SidePair { source: (540.0, 54_000.0), target: (60.0, 6_000.0) };
        let like = Some(SidePair { source: (1.0, 100.0), target: (1.0, 100.0) });
        let learnt = Learnt { gathered, strata, like, ..learnt(0.1, 0.1) };
        verdict(&spec, counts(9.0, 900.0), counts(1.0, 100.0), Some(&learnt))
    };
    assert_eq!((judged("cart"), judged("pay")), (Verdict::Pass, Verdict::NoData));
}

#[test]
fn in_strata_as_many_are_needed_as_the_source_fails_in_each() {
    let spec = in_strata();
    let strata = Strata::of(
        [("cart".to_owned(), (0.0, 9.0)), ("pay".to_owned(), (10.0, 90.0))].into(),
        [("cart".to_owned(), (0.0, 1.0)), ("pay".to_owned(), (1.0, 30.0))].into(),
    );
    let gathered = SidePair { source: (10.0, 99.0), target: (1.0, 31.0) };
    let learnt = Learnt { gathered, strata, ..learnt(0.1, 0.1) };
    // In all it failed 10 1/2 of 100; in each stratum one request more is reckoned to have failed as much as that.
    let of = |share, fraction| Comparison { share, fraction, times: 2.0 };
    let compared = [(of(0.1, 0.105 / 10.0), 10.0), (of(0.25, 10.105 / 91.0), 120.0)];
    let alternatives = Alternatives::for_finding(spec.regression().times_of(spec.max));
    let expected = 130.0 * times_as_many(&compared, &alternatives, PROOF.worse, Chance::Power);
    let found = needed(&spec, Regression::Times(2.0), &learnt, PROOF);
    assert!((found / expected - 1.0).abs() < 1e-9, "{found} of {expected}");
}
