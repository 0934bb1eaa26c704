//! How long something about a metric has gone on without interruption. PURE.
//!
//! It is part of the state of a migration, so no restart begins a budget anew.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

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

/// How long each may go on before it comes to something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// A number out of its range.
    pub outside: SignedDuration,
    /// A number out of its range that is not seen.
    pub unseen: SignedDuration,
    /// No data.
    pub no_data: SignedDuration,
    /// No answer.
    pub error: SignedDuration,
}

/// What has begun is not written down before it has gone on for this part of what is allowed: it is as much as a process that
/// ends can forget of it, and mostly it is over by then.
const FORGOTTEN: i32 = 10;

/// Since when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Since {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outside: Option<Timestamp>,
    /// Since when a number that was out of range has not been seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unseen: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    no_data: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Timestamp>,
}

impl Since {
    /// After one more look: whether the target's number was out of range, where there was a number, and which silence the look was, if it
    /// was one. A number that was not seen for longer than a window is an interruption.
    pub fn look(self, now: Timestamp, window: SignedDuration, outside: Option<bool>, silence: Option<Verdict>) -> Self {
        let goes_on = |since: Option<Timestamp>, is: bool| is.then(|| since.unwrap_or(now));
        let unseen = goes_on(self.unseen, outside.is_none());
        let known = self.outside.filter(|_| unseen.is_none_or(|unseen| now.duration_since(unseen) <= window));
        let outside = match outside {
            Some(outside) => goes_on(known, outside),
            None => known,
        };
        Self {
            outside,
            unseen: unseen.filter(|_| outside.is_some()),
            no_data: goes_on(self.no_data, silence == Some(Verdict::NoData)),
            error: goes_on(self.error, silence == Some(Verdict::Error)),
        }
    }

    /// After a time in which nobody looked, which is neither silence nor a number out of range.
    pub fn after_rest(self, rest: SignedDuration, window: SignedDuration) -> Self {
        let later = |since: Timestamp| since.checked_add(rest).unwrap_or(Timestamp::MAX);
        let seen = |since: Option<Timestamp>| since.filter(|_| rest <= window).map(later);
        let Self { outside, unseen, no_data, error } = self;
        Self { outside: seen(outside), unseen: seen(unseen), no_data: no_data.map(later), error: error.map(later) }
    }

    /// Whether whoever goes on from what was `written` would reckon with something else: with what is over, or with much less of
    /// what goes on.
    pub fn is_worth_writing(self, written: Self, now: Timestamp, allowed: Allowed) -> bool {
        let differs = |is: Option<Timestamp>, was: Option<Timestamp>, allowed: SignedDuration| match (is, was) {
            (Some(since), None) => now.duration_since(since) >= allowed / FORGOTTEN,
            (is, was) => is != was,
        };
        let Self { outside, unseen, no_data, error } = self;
        differs(outside, written.outside, allowed.outside)
            || differs(unseen, written.unseen, allowed.unseen)
            || differs(no_data, written.no_data, allowed.no_data)
            || differs(error, written.error, allowed.error)
    }

    /// When the silence that goes on spends this budget of no data, where it is one of no data.
    pub fn spends(&self, budget: SignedDuration) -> Option<Timestamp> {
        self.no_data.map(|since| since.checked_add(budget).unwrap_or(Timestamp::MAX))
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

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    const WINDOW: SignedDuration = SignedDuration::from_secs(10);

    #[test]
    fn a_gap_and_a_better_look_begin_anew() {
        let mut since = Since::default();
        let mut outside = |second, seen| {
            since = since.look(at(second), WINDOW, seen, None);
            since.lasting(at(second)).outside.as_secs()
        };
        assert_eq!([outside(0, Some(true)), outside(5, None), outside(15, Some(true))], [0, 5, 15]);
        assert_eq!([outside(16, Some(false)), outside(17, None), outside(18, Some(true))], [0, 0, 0]);
        assert_eq!(
            [outside(20, None), outside(30, None), outside(31, None)],
            [2, 12, 0],
            "it was not seen for too long"
        );
        assert_eq!(outside(32, Some(true)), 0);
    }

    #[test]
    fn silence_has_two_clocks() {
        let since = Since::default().look(at(0), WINDOW, None, Some(Verdict::NoData));
        let since = since.look(at(5), WINDOW, None, Some(Verdict::Error));
        assert_eq!(since.lasting(at(7)), Lasting { error: SignedDuration::from_secs(2), ..Lasting::default() });
    }

    #[test]
    fn what_flickers_is_not_written_and_what_goes_on_or_is_over_is() {
        let minutes = SignedDuration::from_mins;
        let allowed = Allowed { outside: minutes(5), unseen: WINDOW, no_data: minutes(10), error: minutes(20) };
        let nothing = Since::default();
        let silent = |since: Since, second| since.look(at(second), WINDOW, None, Some(Verdict::NoData));
        let worth = |is: Since, written, second| is.is_worth_writing(written, at(second), allowed);
        let begun = silent(nothing, 0);
        assert_eq!(
            [worth(begun, nothing, 0), worth(begun, nothing, 59), worth(begun, nothing, 60)],
            [false, false, true]
        );
        assert!(!worth(begun, begun, 1_000), "it is written");
        assert!(worth(nothing, begun, 61), "whoever goes on would take it for going on still");
        assert!(worth(silent(nothing, 70), begun, 70), "it was over, and began anew");
        let failing = nothing.look(at(0), WINDOW, None, Some(Verdict::Error));
        assert_eq!([worth(failing, nothing, 119), worth(failing, nothing, 120)], [false, true]);
        let outside = nothing.look(at(0), WINDOW, Some(true), None);
        assert_eq!([worth(outside, nothing, 29), worth(outside, nothing, 30)], [false, true]);
        let unseen = outside.look(at(40), WINDOW, None, None);
        assert_eq!([worth(unseen, outside, 40), worth(unseen, outside, 41)], [false, true]);
    }

    #[test]
    fn a_rest_is_no_silence_and_a_long_one_no_number() {
        let since = Since::default().look(at(0), WINDOW, Some(true), Some(Verdict::NoData));
        let rested = |seconds| {
            let rest = SignedDuration::from_secs(seconds);
            let lasting = since.after_rest(rest, WINDOW).lasting(at(7) + rest);
            (lasting.no_data.as_secs(), lasting.outside.as_secs())
        };
        assert_eq!([rested(0), rested(10), rested(1_000)], [(7, 7), (7, 7), (7, 0)]);
    }
}
