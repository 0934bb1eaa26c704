//! What a plane can and cannot do: its capability sheet. PURE.
//!
//! There is no common meaning of "0 %", of "done" or of "whose session": each driver says its own, the conformance suite
//! ([`super::conformance`]) holds it to that, and people read it before they write a policy. What a plane cannot do is a "no"
//! here and never a check left out in silence.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// What a plane can and cannot do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sheet {
    /// Which weights it can represent.
    pub resolution: Resolution,
    /// How evenly it deals requests out.
    pub spread: Spread,
    /// What a weight of 0 % means.
    pub zero: Zero,
    /// Longest time from the return of a write to the first request that follows it; zero where the driver waits for that.
    #[serde(serialize_with = "milliseconds", rename = "delayMilliseconds")]
    pub delay: Duration,
    /// What a write does to connections of clients.
    pub connections: Connections,
    /// Whether it can keep a client on its side.
    pub affinity: Affinity,
    /// Whether it counts the requests of each side.
    pub counts: Known,
    /// Whether it says what is in flight on each side.
    pub in_flight: InFlight,
    /// What keeps two writers from undoing each other.
    pub condition: Condition,
    /// What a restart of it does to the weight.
    pub restart: Restart,
}

/// Which weights a plane can represent. One that it cannot is refused before the first write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Resolution {
    /// Every weight there is, to 0.01 %.
    Every,
    /// Those that whole numbers of the servers add up to exactly.
    Units {
        /// The largest of such numbers.
        most: u32,
    },
    /// Those that whole addresses make exactly, so many of each side.
    Addresses,
    /// Those that whatever is behind it accepts.
    Asked,
}

/// How evenly a plane deals requests out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Spread {
    /// In turns: after any number of requests no side is off its share by more than this many.
    Turns {
        /// That many requests.
        within: u32,
    },
    /// By drawing a side for each.
    Drawn,
}

/// What a weight of 0 % means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Zero {
    /// No request, whatever happens to the other side.
    Nothing,
    /// No request, except from clients that the plane keeps on that side.
    KeptClients,
    /// No request for as long as the other side has a backend that is up.
    UnlessTheOtherIsDown,
}

/// What a write does to connections of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Connections {
    /// They stay.
    Kept,
    /// They stay, and lead to where they led before, until one of both ends lets go.
    OnTheirSide,
    /// Idle ones are closed, and a request that is sent at that moment gets no answer, unless its client sends it again.
    IdleClosed,
}

/// Whether a plane can keep a client on its side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Affinity {
    /// It knows no clients.
    None,
    /// Where its own configuration says so, until a side is drained.
    UntilDrained,
    /// Where its own configuration says so, until the weight passes it: a client goes over once, and with a weight that falls comes
    /// back once.
    MovesOnce,
}

/// Whether something is known of a plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Known {
    /// Always.
    Yes,
    /// Never.
    No,
    /// Where whatever is behind it tells.
    WhereTold,
}

/// Whether a plane says what is in flight on each side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum InFlight {
    /// At any time.
    Counted,
    /// After a write, for as long as something that began before it goes on.
    Ending,
    /// Not what is in flight, but that clients may still go by what it showed before: so many addresses of it.
    Remembered,
    /// Where whatever is behind it tells.
    WhereTold,
}

/// What keeps two writers from undoing each other, beside the lease that only one of them holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Condition {
    /// A write names what it saw, and is refused where that has changed.
    Compared,
    /// Writers take a lock in turn, and each compares what it finds.
    Locked,
    /// Nothing of the plane's: a writer looks, and then writes.
    LooksFirst,
}

/// What a restart of a plane does to the weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Restart {
    /// The weight stays.
    Keeps,
    /// That of its configuration comes back, which is seen as drift.
    Forgets,
    /// It lives and ends with this process.
    WithUs,
    /// That is up to whatever is behind it.
    Unknown,
}

impl Sheet {
    /// Every line of the sheet: what it is about, and what is so.
    pub fn lines(&self) -> [(&'static str, String); 10] {
        let Self { resolution, spread, zero, delay, connections, affinity, counts, in_flight, condition, restart } =
            self;
        let delay = if delay.is_zero() {
            "none: a write returns once requests follow it".to_owned()
        } else {
            format!("until the TTL of the answer before has run out: at most {delay:?} (maxTtl)")
        };
        [
            ("weights", resolution.to_string()),
            ("spread", spread.to_string()),
            ("0 %", zero.to_string()),
            ("delay", delay),
            ("clients' connections", connections.to_string()),
            ("sessions", affinity.to_string()),
            ("counts requests", counts.to_string()),
            ("knows what is in flight", in_flight.to_string()),
            ("two writers", condition.to_string()),
            ("restart", restart.to_string()),
        ]
    }
}

/// Sheets side by side, as a table of a page: a row a line.
pub struct Sheets<'a>(pub &'a [(&'a str, Sheet)]);

impl fmt::Display for Sheets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|(name, _)| *name).collect();
        writeln!(f, "| | {} |", names.join(" | "))?;
        writeln!(f, "|---|{}", "---|".repeat(names.len()))?;
        let lines: Vec<_> = self.0.iter().map(|(_, sheet)| sheet.lines()).collect();
        for (index, (about, _)) in lines.first().iter().flat_map(|lines| lines.iter()).enumerate() {
            let cells: Vec<&str> = lines.iter().map(|lines| lines[index].1.as_str()).collect();
            writeln!(f, "| {about} | {} |", cells.join(" | "))?;
        }
        Ok(())
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every => f.write_str("every 0.01 %"),
            Self::Units { most } => write!(f, "what whole numbers up to {most} a server make exactly"),
            Self::Addresses => f.write_str("what whole addresses make exactly: k of n"),
            Self::Asked => f.write_str("what it says it can, weight by weight"),
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Turns { within } => write!(f, "in turns, off by at most {within}"),
            Self::Drawn => f.write_str("drawn, or not known"),
        }
    }
}

impl fmt::Display for Zero {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "no request",
            Self::KeptClients => "no request but those of clients it keeps there, until drained",
            Self::UnlessTheOtherIsDown => "no request while the other side has a backend up; none at all once drained",
        })
    }
}

impl fmt::Display for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kept => "stay",
            Self::OnTheirSide => "stay, on the side they are on, until they end",
            Self::IdleClosed => "idle ones are closed by each write",
        })
    }
}

impl fmt::Display for Affinity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no",
            Self::UntilDrained => "where it is configured so, until drained",
            Self::MovesOnce => "where it is configured so: a client moves once, when the weight passes it",
        })
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::WhereTold => "where it tells",
        })
    }
}

impl fmt::Display for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counted => "yes",
            Self::Ending => "after a write: workers that end what they began",
            Self::Remembered => "no: only how many addresses may still be remembered",
            Self::WhereTold => "where it tells",
        })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Compared => "a write names what it saw",
            Self::Locked => "a lock, and a look behind it",
            Self::LooksFirst => "no: a look before each write, and the fence",
        })
    }
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keeps => "the weight stays",
            Self::Forgets => "its configuration's weight comes back",
            Self::WithUs => "lives and ends with this process",
            Self::Unknown => "not known: what it shows is what counts",
        })
    }
}

fn milliseconds<S: serde::Serializer>(delay: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX))
}
