//! When a migration may advance: weekly windows in a time zone. PURE.
//!
//! A moment is open where no `deny` range holds it, and, where there is any `allow` range, one of those does. Windows say when
//! something may begin; what protects and what goes back never asks them.
//!
//! **Daylight saving.** A range is written in the time people's clocks show, and twice a year a clock shows a time twice, or never.
//! The reading that closes longer counts: a `deny` lasts from the earliest moment its beginning can mean to the latest its end can,
//! an `allow` the other way round. So nothing begins at a moment that any reading of the policy forbids.
//!
//! Time zones come with the program (the IANA database, bundled): the same policy means the same on every machine, and nothing is read.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY: u16 = 24 * 60;
const WEEK: u16 = 7 * DAY;

/// Weeks that are searched for an opening: a year, and one for each of its ends.
const HORIZON: i64 = 54;

/// Every window of a policy; without any it is always open.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Windows(pub Vec<Window>);

/// One window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// What it does.
    pub effect: Effect,
    /// Its ranges; at least one.
    pub ranges: Ranges,
    /// Whose clocks its ranges are written for.
    pub zone: Zone,
}

/// What a window does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// Nothing advances outside of such windows.
    Allow,
    /// Nothing advances within.
    Deny,
}

/// Ranges of a week, written `Fri 16:00 - Mon 08:00`, or `Mon-Fri 09:00 - 17:00` for one on each of these days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ranges {
    text: String,
    ranges: Vec<Range>,
}

/// Minutes from Monday 00:00 to the beginning, and from there to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    from: u16,
    lasts: u16,
}

/// A text that is no range of a week.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// Not of the form.
    #[error("is not a weekly range")]
    Form,
    /// Not a day.
    #[error("{0} is not a day; write Mon, Tue, Wed, Thu, Fri, Sat or Sun")]
    Day(String),
    /// Not a time.
    #[error("{0} is not a time of day; write 00:00 to 23:59")]
    Time(String),
    /// Begins when it ends.
    #[error("ends when it begins")]
    Empty,
}

/// A time zone of the bundled IANA database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

/// A name that no time zone has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no time zone is called {0}")]
pub struct UnknownZone(String);

impl Windows {
    /// Until when nothing may begin; `None` where it is open. The end of time where no opening comes within a year.
    pub fn closed_until(&self, now: Timestamp) -> Option<Timestamp> {
        (!self.is_open(now)).then(|| self.opening(now).unwrap_or(Timestamp::MAX))
    }

    /// Whether nothing could ever begin.
    pub fn never_open(&self) -> bool {
        // Any moment does: the search goes through a whole year of it.
        let some_time = Timestamp::from_second(1_767_225_600).unwrap_or_default();
        !self.is_open(some_time) && self.opening(some_time).is_none()
    }

    fn is_open(&self, at: Timestamp) -> bool {
        let held = |effect| self.0.iter().filter(move |window| window.effect == effect).any(|window| window.holds(at));
        let allows = self.0.iter().any(|window| window.effect == Effect::Allow);
        !held(Effect::Deny) && (!allows || held(Effect::Allow))
    }

    /// The first open moment after a closed one: some range ends or begins there.
    fn opening(&self, now: Timestamp) -> Option<Timestamp> {
        (-1..=HORIZON).find_map(|week| {
            let spans = self.0.iter().flat_map(|window| window.spans(now, week));
            let mut edges: Vec<_> = spans.flat_map(|(start, end)| [start, end]).filter(|at| *at > now).collect();
            edges.sort();
            edges.into_iter().find(|at| self.is_open(*at))
        })
    }
}

impl Window {
    fn holds(&self, at: Timestamp) -> bool {
        // One that began last week may last; one of next week may begin early where clocks are far apart.
        (-1..=1).flat_map(|week| self.spans(at, week)).any(|(start, end)| start <= at && at < end)
    }

    /// Beginning and end of each range in a week, counted from the one around `at`.
    fn spans(&self, at: Timestamp, week: i64) -> impl Iterator<Item = (Timestamp, Timestamp)> + '_ {
        let monday = monday(self.zone.zone.to_datetime(at).date(), week);
        self.ranges.ranges.iter().filter_map(move |range| {
            let start = monday?.checked_add(minutes(range.from)).ok()?;
            let end = start.checked_add(minutes(range.lasts)).ok()?;
            let (start, end) = (self.zone.readings(start)?, self.zone.readings(end)?);
            Some(match self.effect {
                Effect::Deny => (start.0, end.1),
                Effect::Allow => (start.1, end.0),
            })
        })
    }
}

fn monday(date: Date, week: i64) -> Option<DateTime> {
    let days = week.checked_mul(7)?.checked_sub(i64::from(date.weekday().to_monday_zero_offset()))?;
    let monday = date.checked_add(SignedDuration::from_hours(days.checked_mul(24)?)).ok()?;
    Some(monday.at(0, 0, 0, 0))
}

fn minutes(minutes: u16) -> SignedDuration {
    SignedDuration::from_mins(i64::from(minutes))
}

impl Zone {
    /// The zone of this name, such as `Europe/Berlin` or `UTC`.
    pub fn new(name: &str) -> Result<Self, UnknownZone> {
        let zone = TimeZoneDatabase::bundled().get(name).map_err(|_| UnknownZone(name.to_owned()))?;
        Ok(Self { name: name.to_owned(), zone })
    }

    /// The earliest and the latest moment that a time on the clock can mean.
    fn readings(&self, time: DateTime) -> Option<(Timestamp, Timestamp)> {
        let readings = self.zone.to_ambiguous_timestamp(time);
        Some((readings.earlier().ok()?, readings.later().ok()?))
    }
}

impl FromStr for Zone {
    type Err = UnknownZone;
    fn from_str(name: &str) -> Result<Self, UnknownZone> {
        Self::new(name)
    }
}

impl TryFrom<String> for Zone {
    type Error = UnknownZone;
    fn try_from(name: String) -> Result<Self, UnknownZone> {
        Self::new(&name)
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name
    }
}

impl FromStr for Ranges {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let (start, end) = text.rsplit_once('-').ok_or(RangeError::Form)?;
        let (days, start) = day_and_time(start)?;
        let (end_day, end) = day_and_time(end)?;
        let ranges = match end_day {
            // From one day to another, once a week.
            Some(end_day) => {
                let (from, to) = (day(days.ok_or(RangeError::Form)?)? * DAY + start, day(end_day)? * DAY + end);
                if from == to {
                    return Err(RangeError::Empty);
                }
                vec![Range { from, lasts: (to + WEEK - from) % WEEK }]
            }
            // The same on each of some days; until midnight and beyond where it ends no later than it begins.
            None => {
                let lasts = if end > start { end - start } else { end + DAY - start };
                let (first, last) = match days.map(|days| days.split_once('-').unwrap_or((days, days))) {
                    Some((first, last)) => (day(first)?, day(last)?),
                    None => (0, 6),
                };
                let count = (last + 7 - first) % 7;
                (0..=count).map(|next| Range { from: (first + next) % 7 * DAY + start, lasts }).collect()
            }
        };
        Ok(Self { text: text.to_owned(), ranges })
    }
}

impl TryFrom<String> for Ranges {
    type Error = RangeError;
    fn try_from(text: String) -> Result<Self, RangeError> {
        text.parse()
    }
}

impl From<Ranges> for String {
    fn from(ranges: Ranges) -> Self {
        ranges.text
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What stands before the time, if anything, and the time in minutes of its day.
fn day_and_time(text: &str) -> Result<(Option<&str>, u16), RangeError> {
    let text = text.trim();
    let (day, time) = match text.rsplit_once(char::is_whitespace) {
        Some((day, time)) => (Some(day.trim()), time),
        None => (None, text),
    };
    let wrong = || RangeError::Time(time.to_owned());
    let (hour, minute) = time.split_once(':').ok_or_else(wrong)?;
    let number = |text: &str, most: u16| match text.parse::<u16>() {
        Ok(number) if number <= most && text.len() == 2 => Ok(number),
        _ => Err(wrong()),
    };
    Ok((day, number(hour, 23)? * 60 + number(minute, 59)?))
}

fn day(text: &str) -> Result<u16, RangeError> {
    let place = DAYS.iter().position(|day| text.trim().eq_ignore_ascii_case(day));
    place.and_then(|place| u16::try_from(place).ok()).ok_or_else(|| RangeError::Day(text.trim().to_owned()))
}

#[cfg(test)]
mod tests;
