//! How soon a bad target is found, and how often a good one is taken for bad: `make bench-judgement`.
//!
//! Every rule judges the same requests: a share of the traffic goes to the target, the rest to the source, and after every look each rule may
//! say *bad*. What is compared:
//!
//! - **Crossfade**: the sequential test of `analysis::sequential` as the gates use it: one metric, nine tenths of alpha for the comparison,
//!   and of the mass what the beginning of the first step has.
//! - **SPRT**: Wald's test of the very alternative that is true, which knows the healthy rate beforehand.
//! - **two rates**: Wald's test of the same alternative, which knows what both sides' rates are if the target is bad, and nothing
//!   of what they are if it is not.
//! - **z-test**: a fixed-horizon test of two proportions at the same alpha, looked at just as often.
//! - **interval x threshold**: the target's fraction above twice the healthy one in 5 checks of a minute, in all.
//! - **Mann-Whitney**: the last 50 points of both sides compared by ranks, at 98 % confidence, looked at after every point.
//!
//! **The bound.** A median within 1.5 times the SPRT's is asked of every row where any test can have it. A promise of at most
//! alpha, whatever the healthy rate is, is also one for a target and a source that both fail at the rate `c` of all their
//! requests together. So no test that keeps it tells the true rates `(p, q)` from `(c, c)` better than the most powerful one that
//! is told both, of so many requests (Neyman and Pearson 1933), nor on average sooner than Wald's (Wald and Wolfowitz 1948). `c`
//! is that of all rates which is hardest to tell from `(p, q)`: it is the one that minimises their divergence (Turner, Ly and
//! Gruenwald 2024). `least` is the number of requests to the target at which the most powerful test of exactly so many finds half
//! of the bad ones, counted exactly; one that is looked at as often as one likes takes more. Where that is beyond 1.5 times the
//! SPRT's, the price is that of a healthy rate that has to be learnt from the source, nobody can reach the goal, and what is
//! asked is 1.5 times Wald's test of two rates, which pays it too (Wald 1947, chapter 6, has that test for pairs). What the source
//! counted before these requests is left aside: it tells the healthy rate of another time, and the promise covers rates that change.
//!
//! **Strata.** The last rows have a target with another mix of requests than the source's (Simpson 1951): one that is healthy and
//! looks worse, one that is worse and looks better.

use std::hint::black_box;
use std::io::Write;

use crossfade::analysis::record::FIRST;
use crossfade::analysis::sequential::{Alternatives, Events, Evidence};

/// Chance of a false rollback that is promised.
const ALPHA: f64 = 0.001;
/// What the gates ask of the comparison where there is one metric: nine tenths of the chance are its own.
const PROOF: f64 = 10.0 / (9.0 * ALPHA);

/// Numbers in `0.0..1.0` (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Successes of `of` trials, by the gaps between them: cheap where they are rare.
    fn count(&mut self, of: u32, chance: f64) -> f64 {
        let (scale, mut at, mut found) = ((-chance).ln_1p(), 0.0, 0.0);
        if of == 0 {
            return 0.0;
        }
        loop {
            at += (1.0 - self.next()).ln() / scale;
            if at >= f64::from(of) {
                return found;
            }
            (at, found) = (at.floor() + 1.0, found + 1.0);
        }
    }
}

/// Requests that are alike, of one look.
#[derive(Clone, Copy, Default)]
struct Stratum {
    /// Requests of the target and of the source.
    target: u32,
    source: u32,
    /// Fraction of bad ones on the source.
    healthy: f64,
}

/// What both sides are like, and how they are looked at.
#[derive(Clone, Copy)]
struct Case {
    /// One of them, or two that differ; the other is empty.
    strata: [Stratum; 2],
    /// How many times as bad as the source the target is.
    times: f64,
}

/// Bad requests of the target and of the source in one look, by stratum.
type Bad = [(f64, f64); 2];

impl Case {
    const fn new(target: u32, source: u32, healthy: f64, times: f64) -> Self {
        Self { strata: [Stratum { target, source, healthy }, Stratum { target: 0, source: 0, healthy: 0.0 }], times }
    }

    fn target(&self) -> u32 {
        self.strata.iter().map(|stratum| stratum.target).sum()
    }

    fn source(&self) -> u32 {
        self.strata.iter().map(|stratum| stratum.source).sum()
    }

    /// The fraction of bad requests on the source, of all together.
    fn healthy(&self) -> f64 {
        let bad = |stratum: &Stratum| f64::from(stratum.source) * stratum.healthy;
        self.strata.iter().map(bad).sum::<f64>() / f64::from(self.source())
    }

    fn look(&self, chance: &mut Chance) -> Bad {
        self.strata.map(|Stratum { target, source, healthy }| {
            (chance.count(target, healthy * self.times), chance.count(source, healthy))
        })
    }
}

/// All strata together.
fn together(bad: &Bad) -> (f64, f64) {
    (bad[0].0 + bad[1].0, bad[0].1 + bad[1].1)
}

trait Rule {
    /// Takes in a look; whether the target is bad.
    fn look(&mut self, case: &Case, bad: &Bad) -> bool;
}

/// Whether strata are told apart, and what was learnt.
struct Crossfade(bool, Evidence);

impl Crossfade {
    fn new(apart: bool, times: f64) -> Self {
        let mut evidence = Evidence::new(Alternatives::for_finding(times));
        evidence.may_begin(FIRST);
        Self(apart, evidence)
    }

    fn learn(&mut self, (target, source): (u32, u32), (bad, sources): (f64, f64)) {
        let share = f64::from(target) / f64::from(target + source);
        self.1.learn(Events { bad, of: bad + sources, share });
    }
}

impl Rule for Crossfade {
    fn look(&mut self, case: &Case, bad: &Bad) -> bool {
        if self.0 {
            let strata = case.strata.iter().zip(bad).filter(|(stratum, _)| stratum.target + stratum.source > 0);
            strata.for_each(|(stratum, bad)| self.learn((stratum.target, stratum.source), *bad));
        } else {
            self.learn((case.target(), case.source()), together(bad));
        }
        together(bad).0 > 0.0 && self.1.value() >= PROOF
    }
}

/// Wald's test of `healthy * times` against `healthy`, on the target's requests; or of both sides' rates against one that they
/// share.
struct Sprt {
    two_rates: bool,
    log: f64,
}

/// How much likelier so many bad ones of so many are at one rate than at another, as a logarithm.
fn likelier(bad: f64, of: f64, rate: f64, than: f64) -> f64 {
    bad * (rate / than).ln() + (of - bad) * ((1.0 - rate) / (1.0 - than)).ln()
}

impl Rule for Sprt {
    fn look(&mut self, case: &Case, bad: &Bad) -> bool {
        for (Stratum { target, source, healthy }, bad) in case.strata.iter().zip(bad).filter(|(it, _)| it.healthy > 0.0)
        {
            let (n, m, p, q) = (f64::from(*target), f64::from(*source), healthy * case.times, *healthy);
            self.log += match self.two_rates {
                false => likelier(bad.0, n, p, q),
                true => {
                    let c = (n * p + m * q) / (n + m);
                    likelier(bad.0, n, p, c) + likelier(bad.1, m, q, c)
                }
            };
        }
        self.log >= (1.0 / ALPHA).ln()
    }
}

#[derive(Default)]
struct ZTest {
    looks: f64,
    target: f64,
    source: f64,
}

impl Rule for ZTest {
    fn look(&mut self, case: &Case, bad: &Bad) -> bool {
        let (target, source) = together(bad);
        (self.looks, self.target, self.source) = (self.looks + 1.0, self.target + target, self.source + source);
        let (n, m) = (self.looks * f64::from(case.target()), self.looks * f64::from(case.source()));
        let pooled = (self.target + self.source) / (n + m);
        let spread = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
        // One-sided quantile of 0.001; fewer than five bad requests are what its textbooks exclude.
        self.target >= 5.0 && (self.target / n - self.source / m) / spread > 3.090_232
    }
}

/// Five checks in all that find the fraction of a minute above a threshold, whatever the source shows.
#[derive(Default)]
struct Threshold {
    looks: u32,
    bad: f64,
    failed: u32,
}

/// Looks a check.
const MINUTE: u32 = 60;

impl Rule for Threshold {
    fn look(&mut self, case: &Case, bad: &Bad) -> bool {
        (self.looks, self.bad) = (self.looks + 1, self.bad + together(bad).0);
        if !self.looks.is_multiple_of(MINUTE) {
            return false;
        }
        let over = self.bad / f64::from(MINUTE * case.target()) > 2.0 * case.healthy();
        (self.bad, self.failed) = (0.0, self.failed + u32::from(over));
        self.failed >= 5
    }
}

/// Fractions of every minute, by ranks (Mann and Whitney 1947, normal approximation with ties).
#[derive(Default)]
struct Ranks {
    looks: u32,
    sums: (f64, f64),
    points: Vec<(f64, f64)>,
}

const POINTS: usize = 50;

impl Rule for Ranks {
    fn look(&mut self, case: &Case, bad: &Bad) -> bool {
        let (target, source) = together(bad);
        self.looks += 1;
        self.sums = (self.sums.0 + target / f64::from(case.target()), self.sums.1 + source / f64::from(case.source()));
        if !self.looks.is_multiple_of(MINUTE) {
            return false;
        }
        self.points.push(std::mem::take(&mut self.sums));
        let Some(first) = self.points.len().checked_sub(POINTS) else { return false };
        let points = &self.points[first..];
        let above = |a: f64, b: f64| if a > b { 1.0 } else { f64::from(u8::from(a == b)) / 2.0 };
        let wins: f64 = points.iter().map(|(a, _)| points.iter().map(|(_, b)| above(*a, *b)).sum::<f64>()).sum();
        let n = POINTS as f64;
        let spread = (n * n * (2.0 * n + 1.0) / 12.0).sqrt();
        (wins - n * n / 2.0) / spread > 2.326
    }
}

/// After how many looks a rule says bad; `None` where it does not within `most`.
fn until(rule: &mut dyn Rule, case: &Case, chance: &mut Chance, most: u32) -> Option<u32> {
    (1..=most).find(|_| {
        let bad = case.look(chance);
        rule.look(case, &bad)
    })
}

/// The median of requests to the target after which a rule says bad; `None` where fewer than half of the runs end.
fn median(rule: impl Fn() -> Box<dyn Rule>, case: &Case, runs: u64, most: u32) -> Option<u32> {
    let looks = (0..runs).map(|run| until(&mut *rule(), case, &mut Chance(run), most).unwrap_or(u32::MAX));
    let mut looks: Vec<u32> = looks.collect();
    looks.sort_unstable();
    Some(looks[looks.len() / 2]).filter(|looks| *looks < u32::MAX).map(|looks| looks * case.target())
}

/// Of so many healthy migrations, how many a rule rolls back within so many looks.
fn false_alarms(rule: impl Fn() -> Box<dyn Rule>, case: &Case, runs: u64, most: u32) -> u64 {
    (0..runs).filter(|run| until(&mut *rule(), case, &mut Chance(run ^ 0xfade), most).is_some()).count() as u64
}

/// Requests to the target at which the most powerful test of exactly so many, told both rates of each side, finds half of the bad
/// ones.
fn least(case: &Case) -> u32 {
    let enough = |looks: u32| power(case, looks) >= 0.5;
    let mut most = 1;
    while !enough(most) {
        most *= 2;
    }
    let (mut few, mut most) = (most / 2, most);
    while most - few > 1 {
        let middle = few.midpoint(most);
        if enough(middle) { most = middle } else { few = middle }
    }
    most * case.target()
}

/// How often the most powerful test of `(p, q)` against `(c, c)` at alpha finds the bad target after so many looks (Neyman and
/// Pearson 1933); the last outcome that does not fit into alpha as a whole counts in full, so it is no less than that.
fn power(case: &Case, looks: u32) -> f64 {
    let [Stratum { target, source, healthy }, _] = case.strata;
    let (n, m, p, q) = (looks * target, looks * source, healthy * case.times, healthy);
    let c = (f64::from(n) * p + f64::from(m) * q) / f64::from(n + m);
    let (targets, sources) = (Outcomes::new(n, p, c), Outcomes::new(m, q, c));
    let pairs = targets.0.iter().flat_map(|a| sources.0.iter().map(move |b| (a.1 + b.1, a.2 * b.2, a.3 * b.3)));
    let mut pairs: Vec<(f64, f64, f64)> = pairs.collect();
    pairs.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let (mut spent, mut found) = (0.0, 0.0);
    for (_, shared, bad) in pairs {
        if spent >= ALPHA {
            break;
        }
        (spent, found) = (spent + shared, found + bad);
    }
    found
}

/// Counts of bad ones among so many: how many, how much likelier at one rate than at another, and how likely at the other and at
/// the one.
struct Outcomes(Vec<(f64, f64, f64, f64)>);

impl Outcomes {
    fn new(of: u32, rate: f64, other: f64) -> Self {
        let n = f64::from(of);
        // Ten deviations around both: what lies beyond has a chance of less than one of 10^15.
        let spread = |rate: f64| 10.0 * (n * rate * (1.0 - rate)).sqrt() + 10.0;
        let low = (n * rate - spread(rate)).min(n * other - spread(other)).max(0.0) as u32;
        let high = ((n * rate + spread(rate)).max(n * other + spread(other)).min(n)) as u32;
        // ln of `of` over `bad`, which goes on from one to the next.
        let mut ways: f64 = (0..low).map(|k| (f64::from(of - k) / f64::from(k + 1)).ln()).sum();
        let mut outcomes = Vec::with_capacity((high - low + 1) as usize);
        for bad in low..=high {
            let (x, rest) = (f64::from(bad), f64::from(of - bad));
            let at = |rate: f64| (ways + x * rate.ln() + rest * (-rate).ln_1p()).exp();
            outcomes.push((x, likelier(x, n, rate, other), at(other), at(rate)));
            ways += (rest / (x + 1.0)).ln();
        }
        Self(outcomes)
    }
}

type Make = fn(f64) -> Box<dyn Rule>;

const CROSSFADE: Make = |times| Box::new(Crossfade::new(true, times));
const MIXED_UP: Make = |times| Box::new(Crossfade::new(false, times));
const SPRT: Make = |_| Box::new(Sprt { two_rates: false, log: 0.0 });
const TWO_RATES: Make = |_| Box::new(Sprt { two_rates: true, log: 0.0 });
const OTHERS: [(&str, Make); 3] = [
    ("z-test, peeking", |_| Box::<ZTest>::default()),
    ("interval x threshold", |_| Box::<Threshold>::default()),
    ("Mann-Whitney", |_| Box::<Ranks>::default()),
];

/// Looks of a healthy migration.
const LOOKS: u32 = 200;
/// Looks after which a bad target counts as never found.
const PATIENCE: u32 = 12_000;

/// Says how many healthy targets a rule rolls back; whether those are few enough.
fn told(out: &mut impl Write, name: &str, alarms: u64, runs: u64) -> std::io::Result<bool> {
    let part = alarms as f64 / runs as f64;
    writeln!(out, "  {name:<48} {alarms:>6} of {runs:>8}  {:>8.4} %", part * 100.0)?;
    Ok(part <= ALPHA)
}

/// The healthy targets that are compared, how often, and with how many looks each.
fn healthy(out: &mut impl Write, comparisons: u64) -> std::io::Result<bool> {
    let cases = [(10, 90, 0.01), (10, 990, 0.02), (50, 50, 0.05), (100, 100, 0.002)];
    let cases = cases.map(|(target, source, healthy)| Case::new(target, source, healthy, 1.0));
    writeln!(out, "False rollbacks of healthy targets, {LOOKS} looks each; promised: at most {:.2} %", ALPHA * 100.0)?;
    let of = |make: Make, runs: u64| -> u64 {
        cases.iter().map(|case| false_alarms(|| make(2.0), case, runs / 4, LOOKS)).sum()
    };
    let mut kept = told(out, "Crossfade", of(CROSSFADE, comparisons), comparisons)?;
    // The others need no million to be seen to break it.
    let fewer = comparisons / 50;
    for (name, make) in [("SPRT, healthy rate known", SPRT), ("SPRT, two rates", TWO_RATES)].into_iter().chain(OTHERS) {
        told(out, name, of(make, fewer), fewer)?;
    }
    // As the gates ask: drifting failures that both sides share.
    let fewer = comparisons / 20;
    kept &= told(out, "Crossfade, both failing 0.2 % and 8 % in turn", shared_drift(fewer), fewer)?;
    let strata = |make: Make| false_alarms(|| make(2.0), &LOOKS_WORSE, fewer, LOOKS);
    kept &= told(out, "Crossfade, five times the part of what fails", strata(CROSSFADE), fewer)?;
    told(out, "the same, strata not told apart", strata(MIXED_UP), fewer)?;
    Ok(kept)
}

/// Half of the target's requests are of the kind that fails twenty times as often, and a tenth of the source's.
const LOOKS_WORSE: Case = Case {
    strata: [Stratum { target: 5, source: 9, healthy: 0.1 }, Stratum { target: 5, source: 81, healthy: 0.005 }],
    times: 1.0,
};

/// The other way round, and each kind fails twice as often on the target.
const LOOKS_BETTER: Case = Case {
    strata: [Stratum { target: 1, source: 45, healthy: 0.1 }, Stratum { target: 9, source: 45, healthy: 0.005 }],
    times: 2.0,
};

fn shared_drift(runs: u64) -> u64 {
    let crossed = |run: &u64| {
        let (mut chance, mut rule) = (Chance(run ^ 0xd1f7), Crossfade::new(true, 2.0));
        (0..300).any(|look: u32| {
            let healthy = if look % 60 < 30 { 0.002 } else { 0.08 };
            let case = Case::new(10, 90, healthy, 1.0);
            let bad = case.look(&mut chance);
            rule.look(&case, &bad)
        })
    };
    (0..runs).filter(crossed).count() as u64
}

fn shown(found: Option<u32>) -> String {
    found.map_or("never".to_owned(), |requests| requests.to_string())
}

/// How many times as many requests one takes as the other.
fn ratio(ours: Option<u32>, bound: Option<u32>) -> f64 {
    ours.zip(bound).map_or(f64::INFINITY, |(ours, bound)| f64::from(ours) / f64::from(bound))
}

/// Median requests of the target until each rule finds it bad.
fn found(out: &mut impl Write, runs: u64) -> std::io::Result<bool> {
    let rows = [
        ("1% -> 2%, a tenth of the traffic", Case::new(10, 90, 0.01, 2.0)),
        ("1% -> 2%, a hundredth", Case::new(10, 990, 0.01, 2.0)),
        ("0.5% -> 1.5% (+1pp), a tenth", Case::new(10, 90, 0.005, 3.0)),
        ("5% -> 6% slow (+20%), a tenth", Case::new(10, 90, 0.05, 1.2)),
        ("1% -> 20%, a tenth", Case::new(10, 90, 0.01, 20.0)),
        ("1% -> 2%, half of the traffic", Case::new(50, 50, 0.01, 2.0)),
        ("0.5% -> 1.5% (+1pp), half", Case::new(50, 50, 0.005, 3.0)),
        ("5% -> 6% slow (+20%), half", Case::new(50, 50, 0.05, 1.2)),
    ];
    writeln!(out, "\nMedian requests to the target until it is found bad, {runs} runs each")?;
    let names = ["Crossfade", "SPRT", "ratio", "least", "two rates", "ratio", "z-test", "threshold", "ranks"];
    let line = |first: &str, rest: [String; 9]| {
        let [a, b, c, d, e, f, g, h, i] = rest;
        format!("  {first:<33} {a:>9} {b:>6} {c:>5} {d:>6} {e:>9} {f:>5} {g:>6} {h:>9} {i:>7}")
    };
    writeln!(out, "{}", line("", names.map(str::to_owned)))?;
    let mut within = true;
    for (name, case) in &rows {
        let of = |make: Make| median(|| make(case.times), case, runs, PATIENCE);
        let (ours, known, two, least) = (of(CROSSFADE), of(SPRT), of(TWO_RATES), least(case));
        let [z, threshold, ranks] = OTHERS.map(|(_, make)| shown(of(make)));
        let (to_known, to_two) = (ratio(ours, known), ratio(ours, two));
        let out_of_reach = known.is_none_or(|known| f64::from(least) > 1.5 * f64::from(known));
        let numbers = [shown(ours), shown(known), format!("{to_known:.2}"), least.to_string(), shown(two)];
        let [a, b, c, d, e] = numbers;
        writeln!(out, "{}", line(name, [a, b, c, d, e, format!("{to_two:.2}"), z, threshold, ranks]))?;
        within &= to_known <= 1.5 || out_of_reach && to_two <= 1.5;
    }
    writeln!(out, "  never: not in half of the runs within {PATIENCE} looks")?;
    let of = |make: Make| median(|| make(LOOKS_BETTER.times), &LOOKS_BETTER, runs, PATIENCE);
    let (ours, two) = (of(CROSSFADE), of(TWO_RATES));
    writeln!(
        out,
        "  2x in both of two strata, and it looks better: Crossfade {}, SPRT {}, two rates {}, not told apart {}",
        shown(ours),
        shown(of(SPRT)),
        shown(two),
        shown(of(MIXED_UP))
    )?;
    Ok(within && ratio(ours, two) <= 1.5)
}

fn main() -> std::io::Result<()> {
    // `cargo test` builds benches and runs them with an argument of its own: a sample is enough there.
    let whole = std::env::args().any(|argument| argument == "--bench");
    let (comparisons, runs) = if whole { (1_000_000, 1_001) } else { (2_000, 21) };
    let mut out = std::io::stdout().lock();
    let kept = healthy(&mut out, comparisons)?;
    let within = found(&mut out, runs)?;
    if whole && !(black_box(kept) && within) {
        writeln!(out, "\nNOT REACHED: at most {} false rollbacks, and 1.5 times the bound", ALPHA)?;
        std::process::exit(1);
    }
    Ok(())
}
