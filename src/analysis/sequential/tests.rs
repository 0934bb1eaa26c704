use super::*;
use proptest::prelude::*;

/// Numbers in `0.0..1.0`, the same ones every time (SplitMix64, Steele and others 2014).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn count(&mut self, of: u32, chance: f64) -> f64 {
        (0..of).filter(|_| self.next() < chance).count() as f64
    }
}

/// The highest value over so many looks.
fn highest(chance: &mut Chance, looks: u32, events: impl Fn(&mut Chance, u32) -> Events) -> f64 {
    let mut evidence = Evidence::new(Alternatives::for_finding(2.0));
    evidence.may_begin(1.0);
    let mut highest: f64 = 0.0;
    for look in 0..looks {
        evidence.learn(events(chance, look));
        highest = highest.max(evidence.value());
    }
    highest
}

#[test]
fn agrees_with_the_ratio_written_out() {
    let ratio = |odds: f64| {
        let share = 0.1 * odds / (0.9 + 0.1 * odds);
        (share / 0.1_f64).powi(3) * ((1.0 - share) / 0.9_f64).powi(7)
    };
    for (times, others) in [(2.0, [1.5, 4.0, 10.0, 40.0, 200.0]), (3.0, [2.0, 6.0, 15.0, 60.0, 300.0])] {
        let mut evidence = Evidence::new(Alternatives::for_finding(times));
        evidence.may_begin(1.0);
        evidence.learn(Events { bad: 3.0, of: 10.0, share: 0.1 });
        let others: f64 = others.map(ratio).iter().sum();
        assert!((evidence.value() / (0.7 * ratio(times) + 0.06 * others) - 1.0).abs() < 1e-12, "{times}");
    }
}

/// The plan for telling 10 % bad ones from 1 % with errors of 0.05 and 0.10, as textbooks of sampling print it: reject at 1.2054
/// + 0.0397 n bad ones of n (Wald 1947; NIST/SEMATECH e-Handbook of Statistical Methods, on sequential sampling plans).
#[test]
fn the_line_of_rejection_is_that_of_textbooks() {
    // Odds of 0.10 against those of 0.01.
    let odds = 11.0;
    for of in (10..=200).map(f64::from) {
        let mut evidence = Evidence::new(Alternatives::for_finding(odds));
        evidence.may_begin(1.0);
        evidence.learn(Events { bad: 1.2054 + 0.0397 * of, of, share: 0.01 });
        let ratio = evidence.sums[1];
        // (1 - 0.10) / 0.05; the fourth digit of what is printed is rounded.
        let rounded = (0.000_05 * (1.0 + of) * odds.ln()).exp();
        assert!((18.0 / rounded..=18.0 * rounded).contains(&ratio), "{ratio} of {of}");
    }
}

#[test]
fn a_level_holds_however_often_one_looks() {
    let mut chance = Chance(1);
    let (runs, alpha) = (4_000, 0.02);
    let crossed = |crossed: usize| crossed as f64 / f64::from(runs) <= alpha;
    let limit = |chance: &mut Chance, _| Events { bad: chance.count(50, 0.02), of: 50.0, share: 0.02 };
    let over = (0..runs).filter(|_| highest(&mut chance, 200, limit) >= 1.0 / alpha).count();
    assert!(crossed(over), "{over} of {runs} healthy targets within their limit");
    // Both sides fail alike, and the more the later it is; a tenth of the requests goes to the target.
    let both = |chance: &mut Chance, look: u32| {
        let fails = if look % 40 < 20 { 0.005 } else { 0.08 };
        let (target, source) = (chance.count(10, fails), chance.count(90, fails));
        Events { bad: target, of: target + source, share: 0.1 }
    };
    let over = (0..runs).filter(|_| highest(&mut chance, 200, both) >= 1.0 / alpha).count();
    assert!(crossed(over), "{over} of {runs} healthy targets beside a source whose failures come and go");
}

#[test]
fn a_few_failures_of_a_few_are_proof() {
    let value = |bad, of| {
        let mut evidence = Evidence::new(Alternatives::for_finding(2.0));
        evidence.may_begin(crate::analysis::record::FIRST);
        evidence.learn(Events { bad, of, share: 0.01 });
        evidence.value()
    };
    assert!(value(3.0, 3.0) > 10_000.0);
    assert!(value(1.0, 1.0) < 1_000.0);
    assert!(value(5.0, 500.0) < 1_000.0);
}

#[test]
fn what_hardly_differs_is_never_proven() {
    let mut evidence = Evidence::new(Alternatives::for_finding(2.0));
    evidence.may_begin(1.0);
    // A tenth of the traffic, and 15 % more failures than on the source: for ever.
    let share = 0.1 * 1.15 / (0.9 + 0.1 * 1.15);
    (0..1_000).for_each(|_| evidence.learn(Events { bad: 1e4 * share, of: 1e4, share: 0.1 }));
    assert!(evidence.value() < 1.0);
}

#[test]
fn a_target_that_turns_bad_late_is_found() {
    let mut evidence = Evidence::new(Alternatives::for_finding(2.0));
    for look in 1..=1_000 {
        evidence.may_begin(1.0 / f64::from(look * (look + 1)));
        evidence.learn(Events { bad: 1.0, of: 100.0, share: 0.02 });
    }
    assert!(evidence.value() < 1.0);
    let looks = (1..100).find(|_| {
        evidence.may_begin(1e-6);
        evidence.learn(Events { bad: 8.0, of: 100.0, share: 0.02 });
        evidence.value() > 1_000.0
    });
    assert!(looks.is_some_and(|looks| looks <= 6), "{looks:?}");
}

#[test]
fn the_gain_is_what_is_learnt() {
    let alternatives = Alternatives::for_finding(2.0);
    let gain = alternatives.gain(&[Kind { events: 1.0, share: 0.1, truth: 0.1 * 2.0 / 1.1 }]);
    // The divergence of the two Bernoulli distributions.
    let (p, q): (f64, f64) = (0.2 / 1.1, 0.1);
    let divergence = p * (p / q).ln() + (1.0 - p) * ((1.0 - p) / (1.0 - q)).ln();
    assert!((gain.mean - divergence).abs() < 1e-12);
    assert!(
        alternatives.gain(&[Kind { events: 1.0, share: 0.1, truth: 0.1 }]).mean < 0.0,
        "nothing is learnt from a healthy target"
    );
}

proptest! {
    /// For every binomial number of bad events within the share, the mean of what is learnt is at most 1.
    #[test]
    fn a_fair_bet(of in 1u32..40, share in 0.001f64..0.999, better in 0.0f64..=1.0, times in 1.1f64..10.0) {
        let truth: f64 = share * better;
        let mut choose = 1.0;
        let mut mean = 0.0;
        for bad in 0..=of {
            let chance = choose * truth.powi(bad as i32) * (1.0 - truth).powi((of - bad) as i32);
            let mut evidence = Evidence::new(Alternatives::for_finding(times));
            evidence.may_begin(1.0);
            evidence.learn(Events { bad: f64::from(bad), of: f64::from(of), share });
            mean += chance * evidence.value();
            choose *= f64::from(of - bad) / f64::from(bad + 1);
        }
        prop_assert!(mean <= 1.0 + 1e-9, "{mean}");
    }
}

#[test]
fn the_gain_varies_as_the_two_ways_an_event_can_go() {
    let (truth, q): (f64, f64) = (0.2 / 1.1, 0.1);
    let gain = Alternatives::for_finding(2.0).gain(&[Kind { events: 1.0, share: q, truth }]);
    let (bad, good) = ((truth / q).ln(), ((1.0 - truth) / (1.0 - q)).ln());
    let spread = truth * (1.0 - truth) * (bad - good).powi(2);
    assert!((gain.variance / spread - 1.0).abs() < 1e-9, "{gain:?}, not {spread}");
    assert_eq!(gain.weight, NAMED);
}

#[test]
fn nothing_is_learnt_from_no_event_nor_where_none_could_be_bad() {
    let mut evidence = Evidence::new(Alternatives::for_finding(2.0));
    evidence.may_begin(1.0);
    for (bad, of, share) in [(3.0, 10.0, 0.0), (3.0, 10.0, -0.1), (1.0, 0.0, 0.1), (1.0, -1.0, 0.1)] {
        evidence.learn(Events { bad, of, share });
        assert!((evidence.value() - 1.0).abs() < 1e-12, "{bad} of {of} at {share}: {}", evidence.value());
    }
}
