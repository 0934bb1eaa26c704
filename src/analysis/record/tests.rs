use super::*;
use crate::analysis::random::Random;
use crate::gate::{Verdict, slo};
use crate::migration::snapshot::SideSample;
use crate::policy::metric::Strata as Split;
use crate::policy::metric::samples::errors;
use crate::policy::{Baseline, MetricSource, Name, Proof};

const WINDOW: SignedDuration = SignedDuration::from_secs(60);

fn spec() -> MetricSpec {
    let source = MetricSource::PlaneErrors { plane: Name::new("edge").unwrap() };
    MetricSpec { source, baseline: Some(Baseline::Source), ..errors() }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn stage(step: usize, since: i64, settled: i64) -> Stage {
    Stage { step, of: 4, since: at(since), settled: Some(at(settled)) }
}

fn reading(anchor: i64, source: Counted, target: Counted) -> Option<Reading> {
    Some(Reading { anchor: at(anchor), source, target, strata: Strata::default() })
}

fn fresh() -> Record {
    Record::new(&spec(), WINDOW)
}

#[test]
fn counts_every_request_once() {
    let mut record = fresh();
    record.learn(at(10), stage(0, 0, 0), reading(-50, (5.0, 900.0), (0.0, 10.0)));
    let learnt = record.learn(at(11), stage(0, 0, 0), reading(-50, (6.0, 1000.0), (2.0, 20.0)));
    assert_eq!(learnt.gathered, SidePair { source: (1.0, 100.0), target: (2.0, 10.0) });
    record.learn(at(12), stage(0, 0, 0), None);
    record.learn(at(13), stage(0, 0, 0), reading(-50, (6.0, 995.0), (2.0, 20.0)));
    let learnt = record.learn(at(14), stage(0, 0, 0), reading(-50, (6.0, 1001.0), (2.0, 20.0)));
    assert_eq!(learnt.gathered.source, (1.0, 101.0), "what trembles is not counted twice");
    record.learn(at(15), stage(0, 0, 0), reading(13, (0.0, 50.0), (0.0, 5.0)));
    let learnt = record.learn(at(16), stage(0, 0, 0), reading(13, (0.0, 60.0), (0.0, 6.0)));
    assert_eq!(learnt.gathered, SidePair { source: (1.0, 111.0), target: (2.0, 11.0) }, "another anchor goes on");
    let learnt = record.learn(at(17), stage(0, 0, 17), reading(13, (0.0, 70.0), (0.0, 7.0)));
    assert_eq!(learnt.gathered, SidePair { source: (0.0, 10.0), target: (0.0, 1.0) }, "it settled anew");
    let learnt = record.learn(at(99), stage(0, 0, 17), reading(39, (0.0, 600.0), (5.0, 60.0)));
    assert_eq!(learnt.gathered, SidePair { source: (0.0, 610.0), target: (5.0, 61.0) }, "after a gap it is all news");
}

#[test]
fn a_bad_target_is_proven_and_a_shared_fault_is_not_the_targets() {
    let go = |baseline, source: Counted| {
        let mut record = Record::new(&MetricSpec { baseline, ..spec() }, WINDOW);
        let readings = (0..=20)
            .map(f64::from)
            .map(|look| reading(0, (look * source.0, look * source.1), (look * 2.0, look * 10.0)));
        readings.zip(1..).map(|(reading, now)| record.learn(at(now), stage(0, 0, 0), reading)).last().unwrap()
    };
    let compared = Some(Baseline::Source);
    let alone = go(compared, (0.0, 90.0));
    assert!(alone.above > 1e6 && alone.worse > 1e6, "{alone:?}");
    let shared = go(compared, (18.0, 90.0));
    assert!(shared.above < 1.0 && shared.worse < 1.0, "nothing of it is held against the target later: {shared:?}");
    assert!(go(None, (18.0, 90.0)).above > 1e6, "it is, where nothing is compared");
    assert!(go(compared, (0.9, 90.0)).above > 1e6, "a source at its limit excuses nothing");
    assert!(go(compared, (1.0, 1.0)).above > 1e6, "nor do the stray requests of an idle one");
}

#[test]
fn a_target_that_turned_bad_while_nobody_looked_is_not_hidden_by_the_good_time_before() {
    let whole = reading(0, (0.0, 0.0), (300.0, 60_000.0)).unwrap();
    let recent = Reading { anchor: at(240), target: (300.0, 12_000.0), ..whole.clone() };
    let learn = |recent: Option<Reading>| {
        let mut record = fresh();
        recent.iter().for_each(|recent| record.catch_up(stage(1, 0, 0), &whole, recent));
        record.learn(at(300), stage(1, 0, 0), Some(whole.clone()))
    };
    let (at_once, in_two) = (learn(None), learn(Some(recent.clone())));
    assert!(at_once.above < 1.0, "{at_once:?}");
    assert!(in_two.above > 1e6, "{in_two:?}");
    assert_eq!(in_two.gathered, at_once.gathered, "every request counts once");
    let earlier = Reading { anchor: at(-60), ..recent };
    assert_eq!(learn(Some(earlier)), at_once, "a window that began before the stage is no part of it");
}

#[test]
fn a_target_that_turned_bad_while_the_source_of_numbers_stood_still_is_found_by_the_first_new_ones() {
    let total = |bad, of| reading(0, (0.0, 0.0), (bad, of)).unwrap();
    let window = |at_: i64, bad, of| Reading { anchor: at(at_), ..total(bad, of) };
    let mut record = fresh();
    record.look(at(60), stage(1, 0, 0), Some(total(0.0, 12_000.0)), Some(&window(0, 0.0, 12_000.0)));
    // For three minutes it tells what it told.
    for now in [70, 100, 130, 160, 190, 220, 240] {
        record.look(at(now), stage(1, 0, 0), Some(total(0.0, 12_000.0)), Some(&window(0, 0.0, 12_000.0)));
    }
    let late = record.look(at(245), stage(1, 0, 0), Some(total(300.0, 49_000.0)), Some(&window(185, 300.0, 12_000.0)));
    assert!(late.above > 1e6, "{late:?}");
    assert_eq!(late.gathered.target, (300.0, 49_000.0), "every request counts once");
    // Its next look is one like any other.
    let next = record.look(at(250), stage(1, 0, 0), Some(total(300.0, 50_000.0)), Some(&window(190, 300.0, 12_000.0)));
    assert!(next.above < late.above, "{next:?}");
}

#[test]
fn a_restart_loses_and_never_gains() {
    let learn = |record: &mut Record, now: i64| {
        let (looks, bad) = ((now * 10) as f64, now as f64);
        record.learn(at(now), stage(1, 0, 0), reading(0, (0.0, looks), (bad * 0.05, looks)))
    };
    let mut record = fresh();
    let whole: Vec<_> = (1..=90).map(|now| learn(&mut record, now)).collect();
    let mut restarted = fresh();
    let anew: Vec<_> = (70..=90).map(|now| learn(&mut restarted, now)).collect();
    for (whole, anew) in whole[69..].iter().zip(&anew) {
        assert!(anew.above <= whole.above * (1.0 + 1e-9) && anew.worse <= whole.worse * (1.0 + 1e-9));
    }
    // The totals reach back to the beginning of the step: nothing of it was lost.
    assert_eq!(anew.last().unwrap().gathered, whole.last().unwrap().gathered);
    assert!(anew.last().unwrap().worse > 0.5 * whole.last().unwrap().worse);
}

#[test]
fn all_mass_together_is_at_most_one() {
    let total: f64 = (0..=4).map(|step| stage(step, 0, 0).mass(1_000_000)).sum();
    assert!((0.99..=1.0).contains(&total), "{total}");
    assert_eq!(stage(2, 0, 0).mass(0), 0.0);
}

#[test]
fn totals_reach_back_to_the_step_and_not_for_ever() {
    let mut reach = Reach::default();
    assert_eq!(reach.anchor(at(100), stage(0, 0, 95), WINDOW), at(40), "it has only begun");
    assert_eq!(
        reach.anchor(at(200), stage(0, 0, 95), WINDOW),
        at(95),
        "it was never answered, and the step lasted since"
    );
    assert_eq!(reach.anchor(at(101), stage(0, 0, 95), WINDOW), at(41));
    reach.read(at(101));
    assert_eq!(reach.anchor(at(150), stage(0, 0, 95), WINDOW), at(41), "it goes on from there");
    reach.read(at(690));
    assert_eq!(reach.anchor(at(700), stage(0, 0, 95), WINDOW), at(640));
    reach.read(at(700));
    assert_eq!(reach.anchor(at(760), stage(0, 0, 95), WINDOW), at(640));
    assert_eq!(reach.anchor(at(780), stage(0, 0, 95), WINDOW), at(720), "it was silent for longer than a window");
    let mut anew = Reach::default();
    assert_eq!(anew.anchor(at(200), stage(0, 0, 95), WINDOW), at(95), "all of the step");
}

/// Two strata, of which one fails ten times as often, and how much of each side's requests belongs to it.
struct Mix {
    /// Whether the metric tells them apart.
    apart: bool,
    hard: SidePair<f64>,
    /// How many times as bad the target is in each of them.
    times: f64,
}

impl Mix {
    /// What a step of 400 looks comes to, or the first look at which the gate fails the target.
    fn play(&self, seed: u64) -> (Option<usize>, Learnt) {
        let strata = Split { label: "route".into(), counted: "by e".into(), total: "by t".into() };
        let strata = self.apart.then(|| Box::new(strata));
        let source = MetricSource::ErrorRate { errors: "e".into(), total: "t".into(), strata };
        let spec = MetricSpec { source, max: 0.1, detect: None, ..spec() };
        let proof = Proof { above: 10_000.0, worse: 1_111.0 };
        let (mut record, mut random, mut totals) = (Record::new(&spec, WINDOW), Random::new(seed), Vec::new());
        totals.push(Strata::default());
        let mut found = None;
        let mut learnt = record.learn(at(0), stage(0, 0, 0), Some(total(&totals[0])));
        for look in 1..=400 {
            let mut side = |hard: f64, times: f64, all: f64| {
                let mut stratum = |part: f64, chance: f64| (random.part(all * part, chance * times), all * part);
                [("easy", stratum(1.0 - hard, 0.004)), ("hard", stratum(hard, 0.04))]
                    .map(|(name, counted)| (name.to_owned(), counted))
                    .into()
            };
            let news = Strata::of(side(self.hard.source, 1.0, 900.0), side(self.hard.target, self.times, 100.0));
            let sum = totals[look - 1].with(&news, |total, news| (total.0 + news.0, total.1 + news.1));
            totals.push(sum);
            let recent =
                totals[look].with(&totals[look.saturating_sub(60)], |now, then| (now.0 - then.0, now.1 - then.1));
            let now = i64::try_from(look).unwrap();
            let (whole, recent) = (total(&totals[look]), Reading { anchor: at(now - 60), ..total(&recent) });
            learnt = record.look(at(now), stage(0, 0, 0), Some(whole), Some(&recent));
            let counts = |(bad, total): Counted| SideSample::Counts { bad, total };
            let sample = SidePair { source: counts(recent.source), target: counts(recent.target) };
            if slo::judge(&spec, &sample, Some(&learnt), proof).verdict == Verdict::Fail {
                found = Some(look);
                break;
            }
        }
        (found, learnt)
    }

    /// How many of so many targets are found to be bad.
    fn found(&self, targets: u64) -> usize {
        (0..targets).filter(|seed| self.play(*seed).0.is_some()).count()
    }
}

/// The totals of all strata since the beginning.
fn total(strata: &Strata) -> Reading {
    let sum = |side: fn(&SidePair<Counted>) -> Counted| {
        strata.iter().fold((0.0, 0.0), |sum, (_, counted)| (sum.0 + side(counted).0, sum.1 + side(counted).1))
    };
    let (source, target) = (sum(|counted| counted.source), sum(|counted| counted.target));
    Reading { anchor: at(0), source, target, strata: strata.clone() }
}

/// Simpson's paradox, both ways: requests are not dealt out alike, as where a plane splits by path.
#[test]
fn a_shift_of_the_mix_neither_raises_nor_hides_an_alarm() {
    let more = SidePair { source: 0.1, target: 0.6 };
    let healthy = |apart| Mix { apart, hard: more.clone(), times: 1.0 }.found(200);
    assert_eq!((healthy(false), healthy(true)), (200, 0), "more of what is hard is not worse");
    let less = SidePair { source: 0.6, target: 0.05 };
    let worse = |apart| Mix { apart, hard: less.clone(), times: 2.5 }.found(50);
    assert_eq!((worse(false), worse(true)), (0, 50), "less of what is hard hides nothing");
    let as_dealt = SidePair { source: 0.3, target: 0.3 };
    let same = |apart| {
        let looks = (0..51).map(|seed| Mix { apart, hard: as_dealt.clone(), times: 2.0 }.play(seed).0.unwrap_or(999));
        let mut looks: Vec<_> = looks.collect();
        looks.sort_unstable();
        looks[25] as f64
    };
    let (together, apart) = (same(false), same(true));
    assert!(apart <= 1.25 * together, "where the mix is the same telling apart costs little: {together} and {apart}");
}
