//! What many stories came to. PURE.

use std::collections::BTreeMap;

use serde::Serialize;

use super::case::Moment;
use super::play::{End, Ending};
use super::promise::Promise;

/// Counts of stories; two can be added.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Stories played.
    pub migrations: u64,
    /// Decisions made.
    pub passes: u64,
    /// How they ended.
    pub ends: BTreeMap<End, Group>,
    /// How many broke which promise, and the first seed of each.
    pub broken: BTreeMap<Promise, Breaks>,
}

/// Stories that ended alike.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// How many.
    pub count: u64,
    /// How long they took, and how many requests failed because of one side.
    #[serde(flatten)]
    pub spans: Spans,
}

/// Lengths and losses, kept as counts per power of two so that any number of stories fits.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Spans {
    /// Seconds from the first pass to the last.
    pub lasted: Histogram,
    /// Requests that failed because one side was worse than normal.
    pub failed: Histogram,
}

/// How often a promise was broken.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Breaks {
    /// How many stories.
    pub count: u64,
    /// The lowest seed.
    pub first_seed: u64,
}

impl Tally {
    /// Counts a story.
    pub fn add(&mut self, seed: u64, ending: &Ending) {
        self.migrations += 1;
        self.passes += u64::from(ending.passes);
        let group = self.ends.entry(ending.end).or_default();
        group.count += 1;
        group.spans.lasted.add(seconds(ending.lasted));
        group.spans.failed.add(ending.failed);
        if let Some(broken) = &ending.broken {
            let breaks = self.broken.entry(broken.promise).or_insert(Breaks { count: 0, first_seed: seed });
            breaks.count += 1;
            breaks.first_seed = breaks.first_seed.min(seed);
        }
    }

    /// Both together.
    pub fn plus(mut self, other: Self) -> Self {
        self.migrations += other.migrations;
        self.passes += other.passes;
        for (end, group) in other.ends {
            let mine = self.ends.entry(end).or_default();
            mine.count += group.count;
            mine.spans.lasted.merge(&group.spans.lasted);
            mine.spans.failed.merge(&group.spans.failed);
        }
        for (promise, breaks) in other.broken {
            let mine = self.broken.entry(promise).or_insert(Breaks { count: 0, ..breaks });
            mine.count += breaks.count;
            mine.first_seed = mine.first_seed.min(breaks.first_seed);
        }
        self
    }

    /// The lowest seed that broke a promise.
    pub fn first_broken(&self) -> Option<u64> {
        self.broken.values().map(|breaks| breaks.first_seed).min()
    }
}

fn seconds(moment: Moment) -> f64 {
    moment as f64 / 1000.0
}

/// Buckets a factor of the fourth root of two apart, so that a quantile is right to a tenth.
const PER_DOUBLING: f64 = 4.0;

/// Values above zero by their order of magnitude.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {
    zeros: u64,
    buckets: BTreeMap<i32, u64>,
}

impl Histogram {
    /// Counts a value.
    pub fn add(&mut self, value: f64) {
        if value > 0.0 {
            *self.buckets.entry((value.log2() * PER_DOUBLING).ceil() as i32).or_default() += 1;
        } else {
            self.zeros += 1;
        }
    }

    fn merge(&mut self, other: &Self) {
        self.zeros += other.zeros;
        for (bucket, count) in &other.buckets {
            *self.buckets.entry(*bucket).or_default() += count;
        }
    }

    /// The value that this fraction of all values does not exceed, right to a fifth.
    pub fn quantile(&self, fraction: f64) -> f64 {
        let all = self.zeros + self.buckets.values().sum::<u64>();
        let rank = ((all as f64 * fraction).ceil() as u64).max(1);
        let mut seen = self.zeros;
        if rank <= seen {
            return 0.0;
        }
        for (bucket, count) in &self.buckets {
            seen += count;
            if rank <= seen {
                return (f64::from(*bucket) / PER_DOUBLING).exp2();
            }
        }
        0.0
    }
}

impl Serialize for Histogram {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let quantiles = [("p50", 0.5), ("p99", 0.99), ("max", 1.0)];
        serializer.collect_map(quantiles.map(|(name, fraction)| (name, self.quantile(fraction).round())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_a_fifth() {
        let mut histogram = Histogram::default();
        (0..1000).for_each(|value| histogram.add(f64::from(value)));
        for (fraction, value) in [(0.5, 500.0), (0.99, 990.0), (1.0, 999.0)] {
            let found = histogram.quantile(fraction);
            assert!(found >= value * 0.99 && found <= value * 1.2, "{found} for {value}");
        }
        assert_eq!(histogram.quantile(0.0001), 0.0);
    }
}
