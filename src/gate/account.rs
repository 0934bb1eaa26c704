//! What a gate saw: numbers, put into words only where somebody reads them. PURE.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::analysis::power::POWER;
use crate::analysis::statistics::{Counted, fraction};
use crate::policy::{Regression, Weight};

/// What a gate saw. It is written as the sentence it comes to, and read back as one.
#[derive(Debug, Clone, PartialEq)]
pub enum Account {
    /// As it was said.
    Words(String),
    /// Fewer requests than count as evidence.
    Few {
        /// Those there are.
        requests: f64,
        /// Those that have to be.
        needed: u64,
    },
    /// Bad requests among all.
    Requests {
        /// The target's.
        target: Counted,
        /// The fraction that may be bad.
        max: f64,
        /// The fraction that is bad at the source, where it is the baseline.
        source: Option<f64>,
        /// Whether that is what would be bad there with the target's mix of requests.
        same_mix: bool,
        /// What that comes to.
        meaning: Meaning,
    },
    /// The target's part of all requests.
    Share {
        /// The part, in `0.0..=1.0`.
        share: f64,
        /// All requests.
        requests: f64,
        /// What it should be.
        weight: Weight,
        /// How far it may be away from it, in `0.0..=1.0`.
        tolerance: f64,
    },
}

/// What counted requests come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Meaning {
    /// As they should be.
    Well,
    /// Above what is allowed by one window alone.
    Above,
    /// Above what is allowed, by evidence of so much to 1.
    ProvenAbove(f64),
    /// Worse than the source, by evidence of so much to 1.
    ProvenWorse(f64),
    /// Above what is allowed, and too few to be certain.
    Uncertain,
    /// This part of the requests in which a regression would have been seen.
    Unseen(f64, Regression),
}

impl From<String> for Account {
    fn from(words: String) -> Self {
        Self::Words(words)
    }
}

impl From<&str> for Account {
    fn from(words: &str) -> Self {
        Self::Words(words.to_owned())
    }
}

impl From<&String> for Account {
    fn from(words: &String) -> Self {
        Self::Words(words.clone())
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(words) => f.write_str(words),
            Self::Few { requests, needed } => {
                write!(f, "{requests:.0} of the {needed} requests that count as evidence")
            }
            Self::Requests { target, max, source, same_mix, meaning } => {
                let (bad, total) = target;
                let part = percent(fraction(*target));
                write!(f, "{bad:.0} of {total:.0} requests bad ({part}); allowed {}", percent(*max))?;
                if let Some(source) = source {
                    let mix = if *same_mix { " with the same mix" } else { "" };
                    write!(f, ", source {}{mix}", percent(*source))?;
                }
                write!(f, "{meaning}")
            }
            Self::Share { share, requests, weight, tolerance } => {
                let (share, tolerance) = (share * 100.0, tolerance * 100.0);
                write!(f, "{share:.2}% of {requests:.0} requests, weight {weight}, tolerance {tolerance:.2}%")
            }
        }
    }
}

impl fmt::Display for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Well => Ok(()),
            Self::Above => f.write_str("; above what is allowed"),
            Self::ProvenAbove(evidence) => {
                write!(f, "; above what is allowed, by evidence of {} to 1", round(*evidence))
            }
            Self::ProvenWorse(evidence) => {
                write!(f, "; worse than the source, by evidence of {} to 1", round(*evidence))
            }
            Self::Uncertain => f.write_str("; too few to be certain"),
            Self::Unseen(part, regression) => {
                let part = if *part > 0.0 { percent(*part) } else { "nothing".to_owned() };
                let times = POWER * 100.0;
                write!(f, "; {part} of the requests in which {regression} is seen {times:.0} times of 100")
            }
        }
    }
}

impl Serialize for Account {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::Words)
    }
}

/// A fraction in percent: two decimals, or two digits where those would all be zero.
fn percent(fraction: f64) -> String {
    let percent = fraction * 100.0;
    if percent == 0.0 || percent >= 0.1 {
        return format!("{percent:.2}%");
    }
    let decimals = (1.0 - percent.log10().floor()).clamp(2.0, 9.0) as usize;
    format!("{percent:.decimals$}%")
}

/// Evidence for people: whole numbers, and a power of ten where they get long.
fn round(evidence: f64) -> String {
    if evidence < 1e6 { format!("{evidence:.0}") } else { format!("10^{:.0}", evidence.log10().floor()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_not_rounded_away() {
        for (fraction, text) in [
            (0.0, "0.00%"),
            (0.0123, "1.23%"),
            (0.000_37, "0.037%"),
            (0.000_001_2, "0.00012%"),
            (0.001, "0.10%"),
            (1.0, "100.00%"),
        ] {
            assert_eq!(percent(fraction), text);
        }
        assert_eq!(
            (round(20.4), round(999_999.0), round(1e6), round(3e12)),
            ("20".into(), "999999".into(), "10^6".into(), "10^12".into())
        );
    }

    #[test]
    fn everything_is_said_in_one_sentence_and_read_back_as_it_was_said() {
        let requests = |source, meaning| Account::Requests {
            target: (3.0, 200.0),
            max: 0.01,
            source,
            same_mix: source == Some(0.03),
            meaning,
        };
        for (account, said) in [
            (Account::from("no series"), "no series"),
            (Account::Few { requests: 12.0, needed: 50 }, "12 of the 50 requests that count as evidence"),
            (requests(None, Meaning::Well), "3 of 200 requests bad (1.50%); allowed 1.00%"),
            (
                requests(Some(0.02), Meaning::Uncertain),
                "3 of 200 requests bad (1.50%); allowed 1.00%, source 2.00%; too few to be certain",
            ),
            (
                requests(Some(0.03), Meaning::Well),
                "3 of 200 requests bad (1.50%); allowed 1.00%, source 3.00% with the same mix",
            ),
            (requests(None, Meaning::Above), "3 of 200 requests bad (1.50%); allowed 1.00%; above what is allowed"),
            (
                requests(None, Meaning::ProvenAbove(1234.4)),
                "3 of 200 requests bad (1.50%); allowed 1.00%; above what is allowed, by evidence of 1234 to 1",
            ),
            (
                requests(Some(0.0), Meaning::ProvenWorse(1e7)),
                "3 of 200 requests bad (1.50%); allowed 1.00%, source 0.00%; worse than the source, by evidence of 10^7 to 1",
            ),
            (
                requests(None, Meaning::Unseen(0.4, Regression::Times(2.0))),
                "3 of 200 requests bad (1.50%); allowed 1.00%; 40.00% of the requests in which 2x is seen 90 times of 100",
            ),
            (
                requests(None, Meaning::Unseen(0.0, Regression::Times(2.0))),
                "3 of 200 requests bad (1.50%); allowed 1.00%; nothing of the requests in which 2x is seen 90 times of 100",
            ),
            (
                Account::Share {
                    share: 0.2499,
                    requests: 1000.0,
                    weight: Weight::percent_saturating(25),
                    tolerance: 0.031,
                },
                "24.99% of 1000 requests, weight 25%, tolerance 3.10%",
            ),
        ] {
            assert_eq!(account.to_string(), said);
            let written = serde_json::to_value(&account).unwrap();
            assert_eq!(written, said);
            assert_eq!(serde_json::from_value::<Account>(written).unwrap(), Account::from(said));
        }
    }
}
