//! Who may lead: the rules of a Lease as client-go's `leaderelection` has them. PURE.
//!
//! - A lease is judged by how long ago this process first saw its newest record, on its own clock. What its holder wrote as time
//!   is for people; clocks of two machines are never compared.
//! - A record without holder is free at once. That is how a leader that ends in order lets go.
//! - Every change of holder raises `leaseTransitions`; a renewal keeps it and `acquireTime`.
//! - The write itself decides between two who try: it carries the resource version that was read.
//!
//! Two differences, both for what a standby owes: it looks every half second instead of every two with jitter, so that it takes
//! over within a second after a lease ended; and a leader takes its right from before it sent a renewal, not from after.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

/// How long a lease lasts after it was last renewed. Longer than a restart of an API server; short enough that nobody watches a
/// bad target for long. As client-go's users have it.
pub const DURATION: Duration = Duration::from_secs(15);

/// A leader that could not renew for so long stops. The rest of the lease is for what it has sent already.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);

/// Between two renewals of a leader.
pub const RETRY: Duration = Duration::from_secs(2);

/// Between two looks of a standby.
pub const LOOK: Duration = Duration::from_millis(500);

/// What a candidate has seen of the lease.
#[derive(Debug)]
pub struct Candidate {
    identity: String,
    /// The newest record, and when it was first seen.
    seen: Option<(LeaseSpec, Timestamp)>,
}

/// What to do about a lease.
#[derive(Debug, Clone, PartialEq)]
pub enum Bid {
    /// Somebody else holds it.
    Wait,
    /// Write this; who succeeds leads.
    Write(LeaseSpec),
}

impl Candidate {
    /// Somebody who would lead under this name, which no other process may have.
    pub fn new(identity: String) -> Self {
        Self { identity, seen: None }
    }

    /// The name.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Whether the record names this process.
    pub fn holds(&self, record: &LeaseSpec) -> bool {
        record.holder_identity.as_deref() == Some(&self.identity)
    }

    /// Looks at the lease as it is `now`; `None` where there is none yet.
    pub fn bid(&mut self, lease: Option<&Lease>, now: Timestamp) -> Bid {
        let record = lease.and_then(|lease| lease.spec.clone()).unwrap_or_default();
        if self.seen.as_ref().is_none_or(|(seen, _)| *seen != record) {
            self.seen = Some((record.clone(), now));
        }
        let since = self.seen.as_ref().map_or(now, |(_, since)| *since);
        let seconds = record.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0);
        let age = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        let free = record.holder_identity.as_deref().is_none_or(str::is_empty);
        if !free && !self.holds(&record) && age < Duration::from_secs(seconds) {
            return Bid::Wait;
        }
        Bid::Write(self.renewed(&record, now))
    }

    fn renewed(&self, before: &LeaseSpec, now: Timestamp) -> LeaseSpec {
        let held = self.holds(before);
        let transitions = before.lease_transitions.unwrap_or(0);
        // A lease that never had a holder has changed hands no time.
        let first = before.holder_identity.is_none() && before.lease_transitions.is_none();
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: if held { before.acquire_time.clone() } else { Some(MicroTime(now)) },
            renew_time: Some(MicroTime(now)),
            lease_transitions: Some(if held || first { transitions } else { transitions + 1 }),
            ..LeaseSpec::default()
        }
    }

    /// The record of a lease that is let go.
    pub fn released(&self, before: &LeaseSpec, now: Timestamp) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(1),
            acquire_time: Some(MicroTime(now)),
            renew_time: Some(MicroTime(now)),
            lease_transitions: before.lease_transitions,
            ..LeaseSpec::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + seconds).unwrap()
    }

    fn lease(spec: &LeaseSpec) -> Lease {
        Lease { spec: Some(spec.clone()), ..Lease::default() }
    }

    fn written(bid: Bid) -> LeaseSpec {
        match bid {
            Bid::Write(spec) => spec,
            Bid::Wait => panic!("it waits"),
        }
    }

    #[test]
    fn a_lease_is_taken_once_nobody_renewed_it_for_its_own_duration() {
        let (mut a, mut b) = (Candidate::new("a".into()), Candidate::new("b".into()));
        let first = written(a.bid(None, at(0)));
        assert_eq!((first.lease_transitions, first.acquire_time.clone()), (Some(0), Some(MicroTime(at(0)))));
        // b's clock is a day behind: only how long it has seen the record counts.
        let behind = -86_400;
        assert_eq!(b.bid(Some(&lease(&first)), at(behind)), Bid::Wait);
        assert_eq!(b.bid(Some(&lease(&first)), at(behind + 14)), Bid::Wait);
        let renewed = written(a.bid(Some(&lease(&first)), at(14)));
        assert_eq!(
            (renewed.lease_transitions, &renewed.acquire_time),
            (Some(0), &first.acquire_time),
            "still its term"
        );
        assert_eq!(b.bid(Some(&lease(&renewed)), at(behind + 15)), Bid::Wait, "it begins to wait anew");
        let taken = written(b.bid(Some(&lease(&renewed)), at(behind + 30)));
        assert_eq!((taken.lease_transitions, taken.holder_identity.as_deref()), (Some(1), Some("b")));
        assert_eq!(a.bid(Some(&lease(&taken)), at(1_000)), Bid::Wait, "a frozen leader finds somebody else there");
    }

    #[test]
    fn what_was_let_go_is_free_at_once() {
        let (mut a, mut b) = (Candidate::new("a".into()), Candidate::new("b".into()));
        let held = written(a.bid(None, at(0)));
        let released = a.released(&held, at(1));
        let taken = written(b.bid(Some(&lease(&released)), at(1)));
        assert_eq!((taken.lease_transitions, taken.holder_identity.as_deref()), (Some(1), Some("b")));
    }

    #[test]
    fn times_leave_a_frozen_leader_no_moment() {
        // A write asks whether the lease lasts for its own time; a leader gives up before the rest is too short for that.
        assert!(RENEW_DEADLINE < DURATION && RETRY < RENEW_DEADLINE && LOOK < Duration::from_secs(1));
    }
}
