//! A histogram of latencies with a bounded size and an error of at most 1/16. PURE.

use std::time::Duration;

/// Sub-buckets per power of two: the resolution.
const SUB: usize = 16;
/// Enough powers of two for any time in microseconds.
const POWERS: usize = 60;

/// Latencies in microseconds, in buckets whose width grows with the value.
#[derive(Debug)]
pub(super) struct Latency {
    buckets: Vec<u64>,
    count: u64,
    longest: Duration,
}

impl Default for Latency {
    fn default() -> Self {
        Self { buckets: vec![0; SUB * POWERS], count: 0, longest: Duration::ZERO }
    }
}

impl Latency {
    pub(super) fn add(&mut self, took: Duration) {
        let index = bucket(usize::try_from(took.as_micros()).unwrap_or(usize::MAX));
        if let Some(bucket) = self.buckets.get_mut(index) {
            *bucket += 1;
        }
        self.count += 1;
        self.longest = self.longest.max(took);
    }

    /// The longest one, exactly.
    pub(super) fn longest(&self) -> Duration {
        self.longest
    }

    /// The lower bound of the bucket below or in which `share` (in hundredths) of the values lie.
    pub(super) fn percentile(&self, share: u64) -> Duration {
        let wanted = (self.count * share).div_ceil(100);
        let mut seen = 0;
        for (index, bucket) in self.buckets.iter().enumerate() {
            seen += bucket;
            if seen >= wanted {
                return Duration::from_micros(lower_bound(index));
            }
        }
        self.longest
    }
}

/// Values below `SUB` have a bucket each; above, the highest bits after the leading one choose it.
fn bucket(micros: usize) -> usize {
    if micros < SUB {
        return micros;
    }
    let shift = micros.ilog2() - SUB.ilog2();
    (micros >> shift) + SUB * shift as usize
}

fn lower_bound(index: usize) -> u64 {
    if index < 2 * SUB {
        return index as u64;
    }
    let shift = index / SUB - 1;
    ((index - SUB * shift) as u64) << shift
}

#[cfg(test)]
mod tests {
    use super::{Latency, bucket, lower_bound};
    use std::time::Duration;

    #[test]
    fn every_value_lies_in_the_bucket_it_is_put_in() {
        for micros in (0..5_000).chain([65_535, 65_536, 1_000_000, 123_456_789]) {
            let index = bucket(micros);
            let (low, next) = (lower_bound(index), lower_bound(index + 1));
            assert!(low <= micros as u64 && (micros as u64) < next, "{micros}: {low}..{next}");
            assert!(next - low <= 1 + low / 16, "{micros}: {low}..{next}");
        }
    }

    #[test]
    fn percentiles_and_the_longest() {
        let mut latency = Latency::default();
        for milliseconds in 1..=100 {
            latency.add(Duration::from_millis(milliseconds));
        }
        let p50 = latency.percentile(50);
        assert!((Duration::from_millis(47)..=Duration::from_millis(50)).contains(&p50), "{p50:?}");
        assert_eq!(latency.longest(), Duration::from_millis(100));
    }

    #[test]
    fn nothing_counted_is_zero() {
        assert_eq!(Latency::default().percentile(99), Duration::ZERO);
    }
}
