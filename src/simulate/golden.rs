//! Stories worth keeping, as they are told. A seed that breaks a promise is made short by `crossfade simulate` and ends up here.

use super::case::{CrashPoint, Kind, Lie, Moment, NEVER, Setting, Trouble, time_of_week};
use super::{Case, samples, tell};
use crate::migration::decide;
use crate::policy::Weight;

/// Which of the built-in migrations: one plane that counts for itself, or two planes and a Prometheus.
const BRISK: usize = 0;
const CAREFUL: usize = 1;

const MINUTE: Moment = 60_000;

/// A story of a service to which these things happen.
fn story(migration: usize, start: Moment, troubles: &[(Moment, Kind)]) -> String {
    story_at(200.0, migration, start, troubles)
}

/// The same with so many requests a second.
fn story_at(rate: f64, migration: usize, start: Moment, troubles: &[(Moment, Kind)]) -> String {
    let assignment = &samples().unwrap()[migration];
    let setting = Setting {
        demand: 4,
        rate,
        normal_errors: 0.0,
        startup: 8_000,
        lag: 0,
        drain: 9_000,
        reaction: 30_000,
        mends: true,
    };
    let trouble = |(at, kind): &(Moment, Kind)| Trouble { at: start + at, kind: kind.clone() };
    let case = Case { seed: 1, start, setting, troubles: troubles.iter().map(trouble).collect() };
    let (story, ending) = tell(assignment, &case, decide);
    assert_eq!(ending.broken, None, "{}", story.text());
    format!("{}\n{}\n{:?}, {:.0} requests failed", story.text(), story.chart(ending.lasted), ending.end, ending.failed)
}

#[test]
fn nothing_goes_wrong() {
    insta::assert_snapshot!(story(BRISK, 0, &[]));
}

#[test]
fn green_fails_at_ten_percent_at_two_in_the_night() {
    let from = Weight::percent_saturating(10);
    let fails = Kind::TargetFails { from, rate: 0.2, lasts: NEVER };
    insta::assert_snapshot!(story(BRISK, time_of_week("02:00").unwrap(), &[(0, fails)]));
}

#[test]
fn prometheus_is_away_for_half_an_hour() {
    let away = Kind::Prometheus { lie: Lie::Away, lasts: 30 * MINUTE };
    insta::assert_snapshot!(story(CAREFUL, 0, &[(MINUTE / 2, away)]));
}

#[test]
fn a_former_leader_wakes_up() {
    let frozen = Kind::Freeze { point: CrashPoint::AfterActions(0), lasts: 40_000 };
    insta::assert_snapshot!(story(BRISK, 0, &[(MINUTE / 2, frozen)]));
}

#[test]
fn a_balancer_restarts_in_the_middle_of_a_step() {
    insta::assert_snapshot!(story(BRISK, 0, &[(MINUTE, Kind::PlaneRestarts { plane: 0 })]));
}

#[test]
fn the_controller_is_killed_on_the_way_back() {
    let fails = Kind::TargetFails { from: Weight::percent_saturating(50), rate: 0.5, lasts: NEVER };
    let killed = Kind::Crash { point: CrashPoint::AfterActions(0), down: 20_000 };
    insta::assert_snapshot!(story(BRISK, 0, &[(0, fails), (50_500, killed)]));
}

/// What the target fails while the source fails too is no proof against the target, and is none either once the source is idle: it is
/// given the looks that show it failing alone.
#[test]
fn both_sides_fail_while_the_last_step_comes() {
    let fails = Kind::BothFail { rate: 0.1, lasts: 2 * MINUTE };
    insta::assert_snapshot!(story_at(24.0, BRISK, 0, &[(57_000, fails)]));
}

#[test]
fn a_window_closes_before_the_last_step() {
    insta::assert_snapshot!(story(CAREFUL, time_of_week("Thu 00:02").unwrap(), &[]));
}
