//! Windows around the moments at which clocks are hardest to read.

use proptest::prelude::*;

use super::*;

fn windows(all: &[(Effect, &str, &str)]) -> Windows {
    let window = |(effect, ranges, zone): &(Effect, &str, &str)| Window {
        effect: *effect,
        ranges: ranges.parse().unwrap(),
        zone: zone.parse().unwrap(),
    };
    Windows(all.iter().map(window).collect())
}

fn deny(ranges: &str, zone: &str) -> Windows {
    windows(&[(Effect::Deny, ranges, zone)])
}

fn allow(ranges: &str, zone: &str) -> Windows {
    windows(&[(Effect::Allow, ranges, zone)])
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Each moment, and until when it is closed.
fn check(windows: &Windows, moments: &[(&str, Option<&str>)]) {
    for (now, until) in moments {
        assert_eq!(windows.closed_until(at(now)), until.map(at), "at {now}");
    }
}

#[test]
fn a_weekend_is_closed_to_the_minute() {
    // Berlin is an hour ahead of UTC in January, two in July.
    check(
        &deny("Fri 16:00 - Mon 08:00", "Europe/Berlin"),
        &[
            ("2026-01-09T14:59:59.999Z", None),
            ("2026-01-09T15:00:00Z", Some("2026-01-12T07:00:00Z")),
            ("2026-01-12T06:59:59.999Z", Some("2026-01-12T07:00:00Z")),
            ("2026-01-12T07:00:00Z", None),
            ("2026-07-10T13:59:59Z", None),
            ("2026-07-10T14:00:00Z", Some("2026-07-13T06:00:00Z")),
        ],
    );
}

#[test]
fn office_hours_are_open_on_each_day() {
    let hours = allow("Mon-Fri 09:00 - 17:00", "UTC");
    check(
        &hours,
        &[
            ("2026-01-05T08:59:00Z", Some("2026-01-05T09:00:00Z")),
            ("2026-01-05T09:00:00Z", None),
            ("2026-01-07T16:59:59Z", None),
            ("2026-01-07T17:00:00Z", Some("2026-01-08T09:00:00Z")),
            ("2026-01-09T17:00:00Z", Some("2026-01-12T09:00:00Z")),
        ],
    );
}

#[test]
fn nights_and_whole_days_reach_over_midnight() {
    check(
        &deny("22:00 - 06:00", "UTC"),
        &[
            ("2026-01-04T23:00:00Z", Some("2026-01-05T06:00:00Z")),
            ("2026-01-05T05:59:00Z", Some("2026-01-05T06:00:00Z")),
            ("2026-01-05T12:00:00Z", None),
        ],
    );
    check(
        &deny("Sat-Sun 00:00 - 00:00", "UTC"),
        &[("2026-01-10T00:00:00Z", Some("2026-01-12T00:00:00Z")), ("2026-01-12T00:00:00Z", None)],
    );
}

#[test]
fn a_denial_beats_a_permission() {
    let both = windows(&[
        (Effect::Allow, "Mon-Fri 09:00 - 17:00", "UTC"),
        (Effect::Deny, "Mon 00:00 - Mon 12:00", "UTC"),
        (Effect::Allow, "Sat 10:00 - 11:00", "UTC"),
    ]);
    check(
        &both,
        &[
            ("2026-01-05T10:00:00Z", Some("2026-01-05T12:00:00Z")),
            ("2026-01-05T12:00:00Z", None),
            ("2026-01-10T10:30:00Z", None),
            ("2026-01-10T11:00:00Z", Some("2026-01-12T12:00:00Z")),
        ],
    );
}

/// On 29 March 2026 Berlin's clocks go from 02:00 to 03:00 (01:00 UTC): 02:30 is never shown.
#[test]
fn in_a_gap_the_longer_closing_counts() {
    check(
        &deny("Sun 02:30 - Sun 05:00", "Europe/Berlin"),
        &[("2026-03-29T00:29:59Z", None), ("2026-03-29T00:30:00Z", Some("2026-03-29T03:00:00Z"))],
    );
    check(
        &deny("Sun 00:00 - Sun 02:30", "Europe/Berlin"),
        &[("2026-03-29T01:29:59Z", Some("2026-03-29T01:30:00Z")), ("2026-03-29T01:30:00Z", None)],
    );
    check(
        &allow("Sun 02:30 - Sun 05:00", "Europe/Berlin"),
        &[("2026-03-29T01:29:59Z", Some("2026-03-29T01:30:00Z")), ("2026-03-29T01:30:00Z", None)],
    );
}

/// On 25 October 2026 Berlin's clocks go from 03:00 back to 02:00 (01:00 UTC): 02:30 is shown at 00:30 and at 01:30 UTC.
#[test]
fn in_an_overlap_the_longer_closing_counts() {
    check(
        &deny("Sun 02:30 - Sun 05:00", "Europe/Berlin"),
        &[("2026-10-25T00:29:59Z", None), ("2026-10-25T00:30:00Z", Some("2026-10-25T04:00:00Z"))],
    );
    check(
        &deny("Sun 00:00 - Sun 02:30", "Europe/Berlin"),
        &[("2026-10-25T01:00:00Z", Some("2026-10-25T01:30:00Z")), ("2026-10-25T01:30:00Z", None)],
    );
    check(
        &allow("Sun 02:30 - Sun 05:00", "Europe/Berlin"),
        &[("2026-10-25T00:45:00Z", Some("2026-10-25T01:30:00Z")), ("2026-10-25T01:30:00Z", None)],
    );
}

/// A weekend in which the clocks change is an hour shorter or longer, and ends when people's clocks say so.
#[test]
fn a_weekend_with_a_change_of_clocks_ends_on_the_clock() {
    let weekend = deny("Fri 16:00 - Mon 08:00", "Europe/Berlin");
    check(
        &weekend,
        &[
            ("2026-03-27T15:00:00Z", Some("2026-03-30T06:00:00Z")),
            ("2026-10-23T14:00:00Z", Some("2026-10-26T07:00:00Z")),
        ],
    );
}

#[test]
fn windows_that_never_open_are_known() {
    let never = [
        windows(&[(Effect::Deny, "Mon 00:00 - Thu 00:00", "UTC"), (Effect::Deny, "Thu 00:00 - Mon 00:00", "UTC")]),
        windows(&[(Effect::Allow, "Mon 09:00 - 17:00", "UTC"), (Effect::Deny, "Sun 00:00 - Tue 00:00", "UTC")]),
        deny("00:00 - 00:00", "Asia/Kolkata"),
    ];
    assert!(never.iter().all(Windows::never_open));
    let some = [
        Windows::default(),
        deny("Mon 00:00 - Sun 23:59", "UTC"),
        allow("Sun 02:30 - Sun 02:31", "Europe/Berlin"),
        windows(&[(Effect::Deny, "Mon 00:00 - Thu 00:00", "UTC"), (Effect::Deny, "Thu 00:01 - Mon 00:00", "UTC")]),
    ];
    assert!(!some.iter().any(Windows::never_open));
}

#[test]
fn mistakes_are_told() {
    let day = |text: &str| RangeError::Day(text.into());
    let time = |text: &str| RangeError::Time(text.into());
    for (text, error) in [
        ("always", RangeError::Form),
        ("Fri 16:00", RangeError::Form),
        ("Fry 16:00 - Mon 08:00", day("Fry")),
        ("Fri 16:00 - Mo 08:00", day("Mo")),
        ("Mon-Fr 09:00 - 17:00", day("Fr")),
        ("Mon-Fri 09:00 - Sat 17:00", day("Mon-Fri")),
        ("Fri 24:00 - Mon 08:00", time("24:00")),
        ("Fri 16:60 - Mon 08:00", time("16:60")),
        ("Fri 4:00 - Mon 08:00", time("4:00")),
        ("Fri - Mon 08:00", time("Fri")),
        ("16:00 - Mon 08:00", RangeError::Form),
        ("Fri 16:00 - Fri 16:00", RangeError::Empty),
    ] {
        assert_eq!(text.parse::<Ranges>(), Err(error), "{text}");
    }
    assert!("Europe/Atlantis".parse::<Zone>().is_err());
}

#[test]
fn what_is_written_down_reads_back() {
    let weekend = deny("Fri 16:00 - Mon 08:00", "Europe/Berlin");
    let json = serde_json::to_string(&weekend).unwrap();
    assert_eq!(serde_json::from_str::<Windows>(&json).unwrap(), weekend);
    assert!(json.contains("Fri 16:00 - Mon 08:00") && json.contains("Europe/Berlin"), "{json}");
}

proptest! {
    /// It opens when it says, and not before, in any zone and at any time of some years.
    #[test]
    fn it_opens_when_it_says(
        seconds in 1_700_000_000_i64..1_900_000_000,
        from in 0..WEEK,
        lasts in 1..WEEK,
        effect in prop_oneof![Just(Effect::Allow), Just(Effect::Deny)],
        zone in proptest::sample::select(vec!["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia"]),
    ) {
        let ranges = Ranges { text: String::new(), ranges: vec![Range { from, lasts }] };
        let windows = Windows(vec![Window { effect, ranges, zone: zone.parse().unwrap() }]);
        let now = Timestamp::from_second(seconds).unwrap();
        if let Some(opens) = windows.closed_until(now) {
            prop_assert!(opens > now && windows.is_open(opens));
            let before = opens - SignedDuration::from_millis(1);
            prop_assert!(!windows.is_open(before));
            prop_assert_eq!(windows.closed_until(before), Some(opens));
        }
    }
}
