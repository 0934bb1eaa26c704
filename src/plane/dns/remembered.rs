//! What clients may still go by. PURE.
//!
//! An answer is remembered from the time it was given until its TTL has run out. When a server gave it last nobody sees, so the
//! time runs from the first look that finds every server without it. What was there before the first look of a process is not
//! known: then everything may be remembered, for as long as what is there may.

use jiff::{SignedDuration, Timestamp};

use super::records::{Records, ttl};

/// What a name is answered with.
pub(super) trait Told: Clone + PartialEq {
    /// Seconds that it may be remembered.
    fn ttl(&self) -> u32;
}

impl Told for Records {
    fn ttl(&self) -> u32 {
        ttl(self)
    }
}

/// Answers that were seen.
#[derive(Debug)]
pub(super) struct Remembered<T> {
    /// Until when something may be remembered that nobody here has seen.
    unknown: Option<Timestamp>,
    answers: Vec<Answer<T>>,
}

#[derive(Debug)]
struct Answer<T> {
    told: T,
    /// Until when it is remembered; not known while a server gives it.
    until: Option<Timestamp>,
}

/// What may be remembered beside the answer that is given.
#[derive(Debug, PartialEq)]
pub(super) enum Former<T> {
    /// These answers, or none.
    Seen(Vec<T>),
    /// Anything.
    Unknown,
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self { unknown: None, answers: Vec::new() }
    }
}

impl<T: Told> Remembered<T> {
    /// The longest TTL of the answers that are given, in seconds, once one was seen.
    pub(super) fn longest(&self) -> Option<u32> {
        self.answers.iter().filter(|answer| answer.until.is_none()).map(|answer| answer.told.ttl()).max()
    }

    /// Takes note of the answers that all servers gave in a look that ended `now`, and says what else is remembered beside
    /// `current`.
    pub(super) fn note(&mut self, seen: &[T], current: &T, now: Timestamp) -> Former<T> {
        let after = |told: &T| now.checked_add(SignedDuration::from_secs(told.ttl().into())).unwrap_or(Timestamp::MAX);
        self.unknown.get_or_insert(seen.iter().map(after).max().unwrap_or(now));
        for answer in &mut self.answers {
            if seen.contains(&answer.told) {
                answer.until = None;
            } else if answer.until.is_none() {
                answer.until = Some(after(&answer.told));
            }
        }
        for told in seen {
            if !self.answers.iter().any(|answer| answer.told == *told) {
                self.answers.push(Answer { told: told.clone(), until: None });
            }
        }
        self.answers.retain(|answer| answer.until.is_none_or(|until| now < until));
        if self.unknown.is_some_and(|until| now < until) {
            return Former::Unknown;
        }
        let former = self.answers.iter().map(|answer| &answer.told).filter(|told| *told != current);
        Former::Seen(former.cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::slice::from_ref;

    use super::super::records::{Family, Set};
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + seconds).unwrap()
    }

    fn records(ttl: u32, host: u8) -> Records {
        [(Family::A, Set { ttl, addresses: BTreeSet::from([[192, 0, 2, host].into()]) })].into()
    }

    #[test]
    fn an_answer_is_remembered_until_its_own_ttl_has_run_out_since_it_was_seen_gone() {
        let (one, two) = (records(60, 1), records(5, 2));
        let mut remembered = Remembered::default();
        assert_eq!(remembered.note(from_ref(&one), &one, at(0)), Former::Unknown);
        assert_eq!(remembered.note(from_ref(&one), &one, at(59)), Former::Unknown);
        assert_eq!(remembered.note(from_ref(&one), &one, at(60)), Former::Seen(vec![]));
        // Gone some time after 60, seen gone at 100.
        assert_eq!(remembered.note(from_ref(&two), &two, at(100)), Former::Seen(vec![one.clone()]));
        assert_eq!(remembered.note(from_ref(&two), &two, at(159)), Former::Seen(vec![one.clone()]));
        assert_eq!(remembered.note(from_ref(&two), &two, at(160)), Former::Seen(vec![]));
        // There and back: what was in between is remembered for its own time.
        assert_eq!(remembered.note(from_ref(&one), &one, at(200)), Former::Seen(vec![two.clone()]));
        assert_eq!(remembered.note(from_ref(&one), &one, at(205)), Former::Seen(vec![]));
    }

    #[test]
    fn as_long_as_one_server_gives_it_its_time_does_not_run() {
        let (one, two) = (records(10, 1), records(10, 2));
        let mut remembered = Remembered::default();
        remembered.note(&[one.clone(), one.clone()], &one, at(0));
        for seconds in [20, 40, 60] {
            let former = remembered.note(&[two.clone(), one.clone()], &two, at(seconds));
            assert_eq!(former, Former::Seen(vec![one.clone()]));
        }
        assert_eq!(remembered.note(&[two.clone(), two.clone()], &two, at(61)), Former::Seen(vec![one.clone()]));
        assert_eq!(remembered.note(&[two.clone(), two.clone()], &two, at(71)), Former::Seen(vec![]));
    }

    #[test]
    fn what_began_before_the_first_look_may_be_remembered_as_long_as_what_is_there() {
        let mut remembered = Remembered::default();
        let one = records(30, 1);
        assert_eq!(remembered.note(from_ref(&one), &one, at(0)), Former::Unknown);
        // A change in that time is remembered by itself.
        let two = records(30, 2);
        assert_eq!(remembered.note(from_ref(&two), &two, at(20)), Former::Unknown);
        assert_eq!(remembered.note(from_ref(&two), &two, at(49)), Former::Seen(vec![one]));
        assert_eq!(remembered.note(from_ref(&two), &two, at(50)), Former::Seen(vec![]));
    }
}
