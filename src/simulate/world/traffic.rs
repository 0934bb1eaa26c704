//! Requests as counts: how many went where and how many failed, between any two moments. PURE.
//!
//! Shares change only at moments, so the counts between two of them are straight lines: a row a moment is all there is to
//! keep, and any window can be read off exactly.

use crate::simulate::case::Moment;

/// Requests of one plane: all and bad ones of each side.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in crate::simulate) struct Counts {
    pub source: f64,
    pub source_bad: f64,
    pub target: f64,
    pub target_bad: f64,
}

impl Counts {
    fn combine(self, other: Self, with: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            source: with(self.source, other.source),
            source_bad: with(self.source_bad, other.source_bad),
            target: with(self.target, other.target),
            target_bad: with(self.target_bad, other.target_bad),
        }
    }

    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        self.combine(other, |a, b| a + b)
    }

    fn minus(self, other: Self) -> Self {
        self.combine(other, |a, b| a - b)
    }

    fn towards(self, other: Self, part: f64) -> Self {
        self.combine(other, |a, b| a + (b - a) * part)
    }
}

/// Rows that most stories have room in.
const ROWS: usize = 64;

/// Everything counted since the beginning.
#[derive(Debug)]
pub(in crate::simulate) struct Traffic {
    planes: usize,
    at: Vec<Moment>,
    rows: Vec<Counts>,
}

impl Traffic {
    pub fn new(planes: usize, start: Moment) -> Self {
        let mut traffic = Self { planes, at: Vec::with_capacity(ROWS), rows: Vec::with_capacity(ROWS * planes) };
        traffic.rows.resize(planes, Counts::default());
        traffic.close(start);
        traffic
    }

    /// Adds what the next plane counted since the last moment; every plane in turn, then `close`.
    pub fn add(&mut self, counts: Counts) {
        let before = self.rows[self.rows.len() - self.planes];
        self.rows.push(before.plus(counts));
    }

    /// Ends the row: everything added was counted until `now`.
    pub fn close(&mut self, now: Moment) {
        self.at.push(now);
    }

    /// What a plane counted between two moments.
    pub fn between(&self, plane: usize, from: Moment, to: Moment) -> Counts {
        self.until(plane, to).minus(self.until(plane, from))
    }

    fn until(&self, plane: usize, moment: Moment) -> Counts {
        // Moments asked for lie near the end.
        let after = self.at.iter().rposition(|at| *at <= moment).map_or(0, |row| row + 1);
        let row = |index: usize| self.rows[index * self.planes + plane];
        match after {
            0 => Counts::default(),
            after if after == self.at.len() => row(after - 1),
            after => {
                let (before, length) = (self.at[after - 1], self.at[after] - self.at[after - 1]);
                row(after - 1).towards(row(after), (moment - before) as f64 / length as f64)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_any_window_off_the_rows() {
        let mut traffic = Traffic::new(2, 0);
        for (now, target) in [(1000, 10.0), (2000, 10.0), (4000, 20.0)] {
            traffic.add(Counts { target, ..Counts::default() });
            traffic.add(Counts { target: 2.0 * target, ..Counts::default() });
            traffic.close(now);
        }
        for (from, to, target) in [(0, 4000, 40.0), (500, 1500, 10.0), (3000, 9000, 10.0), (1000, 1000, 0.0)] {
            assert_eq!(traffic.between(0, from, to).target, target);
            assert_eq!(traffic.between(1, from, to).target, 2.0 * target);
        }
    }
}
