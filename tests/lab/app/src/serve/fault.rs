//! The fault switch: how the workload misbehaves, and which requests it hits. PURE.

use crate::duration;
use std::time::Duration;

/// A way to misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Behave.
    Off,
    /// Answer 500 at once.
    Error,
    /// Answer well, but late.
    Slow,
    /// Never answer.
    Hang,
    /// Fail the readiness probe, and answer requests well.
    Unready,
}

impl Mode {
    /// Reads a mode by its name.
    ///
    /// # Errors
    /// Lists the names when it is none of them.
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "off" => Self::Off,
            "5xx" => Self::Error,
            "slow" => Self::Slow,
            "hang" => Self::Hang,
            "unready" => Self::Unready,
            _ => return Err(format!("`{text}` is no fault mode: off, 5xx, slow, hang or unready")),
        })
    }

    /// The name the mode is read by.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "5xx",
            Self::Slow => "slow",
            Self::Hang => "hang",
            Self::Unready => "unready",
        }
    }
}

/// A mode with the share of requests it hits and, for `slow`, the delay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    /// How the requests that are hit fare.
    pub mode: Mode,
    /// The share of requests hit, from 0 to 1.
    pub rate: f64,
    /// How much later a slow answer comes.
    pub delay: Duration,
}

impl Fault {
    /// Reads a share between 0 and 1.
    ///
    /// # Errors
    /// When the text is no number or outside that range.
    pub fn parse_rate(text: &str) -> Result<f64, String> {
        match text.parse() {
            Ok(rate) if (0.0..=1.0).contains(&rate) => Ok(rate),
            _ => Err(format!("`{text}` is no rate: a number from 0 to 1")),
        }
    }

    /// Reads `mode=5xx&rate=0.5&delay=2s`; what the query leaves out is as in `Fault::default()`.
    ///
    /// # Errors
    /// Names the first part that is not understood.
    pub fn parse_query(query: &str) -> Result<Self, String> {
        let mut fault = Self::default();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some(("mode", mode)) => fault.mode = Mode::parse(mode)?,
                Some(("rate", rate)) => fault.rate = Self::parse_rate(rate)?,
                Some(("delay", delay)) => fault.delay = duration::parse(delay)?,
                _ => return Err(format!("`{part}` is not understood: mode=, rate= and delay= are")),
            }
        }
        Ok(fault)
    }

    /// Whether the fault hits request number `number`, counted from 0. Spread evenly instead of by chance, so
    /// that a test that asks for 5 % gets 5 % of any run.
    #[must_use]
    pub fn hits(&self, number: u64) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "a pod of the lab answers far fewer than 2^52 requests")]
        let before = number as f64;
        ((before + 1.0) * self.rate).floor() > (before * self.rate).floor()
    }
}

impl Default for Fault {
    fn default() -> Self {
        Self { mode: Mode::Off, rate: 1.0, delay: Duration::from_secs(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, Mode};
    use std::time::Duration;

    #[test]
    fn every_mode_is_read_by_its_name() {
        for mode in [Mode::Off, Mode::Error, Mode::Slow, Mode::Hang, Mode::Unready] {
            assert_eq!(Mode::parse(mode.name()), Ok(mode));
        }
    }

    #[test]
    fn a_query_sets_what_it_names() {
        let fault = Fault::parse_query("mode=slow&rate=0.25&delay=2s");
        assert_eq!(fault, Ok(Fault { mode: Mode::Slow, rate: 0.25, delay: Duration::from_secs(2) }));
        assert_eq!(Fault::parse_query(""), Ok(Fault::default()));
    }

    #[test]
    fn a_query_with_a_mistake_is_refused() {
        for query in ["mode=bad", "rate=2", "rate=NaN", "delay=soon", "colour=red", "mode"] {
            assert!(Fault::parse_query(query).is_err(), "{query}");
        }
    }

    #[test]
    fn a_rate_hits_exactly_its_share() {
        for (rate, hits) in [(0.0, 0), (0.05, 50), (0.5, 500), (1.0, 1000)] {
            let fault = Fault { rate, ..Fault::default() };
            assert_eq!((0..1000).filter(|number| fault.hits(*number)).count(), hits, "{rate}");
        }
    }
}
