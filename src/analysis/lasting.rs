//! How long something about a metric has gone on without interruption. PURE.
//!
//! It is remembered by the process that looks, and a restart begins anew: that only makes what waits for time wait longer.

use jiff::{SignedDuration, Timestamp};

use crate::gate::Verdict;

/// What has gone on, and for how long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lasting {
    /// The target's number has been out of its range.
    pub outside: SignedDuration,
    /// There has been no data.
    pub no_data: SignedDuration,
    /// It could not be asked.
    pub error: SignedDuration,
}

/// Since when.
#[derive(Debug, Default)]
pub struct Since {
    outside: Option<Timestamp>,
    no_data: Option<Timestamp>,
    error: Option<Timestamp>,
    /// When the number was last seen.
    seen: Option<Timestamp>,
}

impl Since {
    /// Takes in whether the target's number is out of range, where there is a number. A gap longer than a window is an interruption.
    pub fn number(&mut self, now: Timestamp, window: SignedDuration, outside: Option<bool>) {
        if self.seen.is_some_and(|seen| now.duration_since(seen) > window) {
            self.outside = None;
        }
        let Some(outside) = outside else { return };
        self.seen = Some(now);
        self.outside = outside.then(|| self.outside.unwrap_or(now));
    }

    /// Takes in which silence a look was, if it was one.
    pub fn silence(&mut self, now: Timestamp, silence: Option<Verdict>) {
        let goes_on = |since: Option<Timestamp>, is: bool| is.then(|| since.unwrap_or(now));
        self.no_data = goes_on(self.no_data, silence == Some(Verdict::NoData));
        self.error = goes_on(self.error, silence == Some(Verdict::Error));
    }

    /// How long each has gone on.
    pub fn lasting(&self, now: Timestamp) -> Lasting {
        let long = |since: Option<Timestamp>| since.map_or(SignedDuration::ZERO, |since| now.duration_since(since));
        Lasting { outside: long(self.outside), no_data: long(self.no_data), error: long(self.error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_and_a_better_look_begin_anew() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let (mut since, window) = (Since::default(), SignedDuration::from_secs(10));
        let mut outside = |second, seen| {
            since.number(at(second), window, seen);
            since.lasting(at(second)).outside.as_secs()
        };
        assert_eq!([outside(0, Some(true)), outside(5, None), outside(9, Some(true))], [0, 5, 9]);
        assert_eq!([outside(10, Some(false)), outside(11, Some(true))], [0, 0]);
        assert_eq!(outside(30, Some(true)), 0, "nobody looked meanwhile");
    }

    #[test]
    fn silence_has_two_clocks() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut since = Since::default();
        since.silence(at(0), Some(Verdict::NoData));
        since.silence(at(5), Some(Verdict::Error));
        assert_eq!(since.lasting(at(7)), Lasting { error: SignedDuration::from_secs(2), ..Lasting::default() });
    }
}
