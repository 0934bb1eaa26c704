//! Durations as a person writes them: `250ms`, `10s`, `2m`. PURE.

use std::time::Duration;

/// Parses a whole number followed by `ms`, `s` or `m`.
///
/// # Errors
/// Says what was expected when the text is anything else, or when the time does not fit.
pub fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let milliseconds_each = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => return Err(format!("`{text}` is not a duration: expected a number and ms, s or m, as in 250ms or 10s")),
    };
    let number: u64 = number.parse().map_err(|_| format!("`{text}` is not a duration: a number comes first"))?;
    number
        .checked_mul(milliseconds_each)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("`{text}` is longer than any duration"))
}

#[cfg(test)]
mod tests {
    use super::parse;
    use std::time::Duration;

    #[test]
    fn the_three_units_are_understood() {
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse("2m"), Ok(Duration::from_secs(120)));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "10", "s", "-1s", "1h", "1.5s", "18446744073709551615m"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
