//! Spans of time as people write them: `120ms`, `1.5s`, `2m`, `1h`.
//! Nothing here draws or waits.

use std::time::Duration;

/// What each unit is worth in seconds, longest suffix first.
const UNITS: [(&str, f64); 4] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

/// Reads one span.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let complaint =
        || format!("`{text}` is not a span of time: write a number and a unit, for example 120ms, 1.5s, 2m or 1h");
    let (digits, factor) = UNITS
        .iter()
        .find_map(|(unit, factor)| text.trim().strip_suffix(unit).map(|digits| (digits, *factor)))
        .ok_or_else(complaint)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(complaint());
    }
    let number: f64 = digits.parse().map_err(|_| complaint())?;
    Duration::try_from_secs_f64(number * factor).map_err(|_| complaint())
}

#[cfg(test)]
mod tests {
    use super::parse;
    use std::time::Duration;

    #[test]
    fn units_are_read() {
        assert_eq!(parse("120ms"), Ok(Duration::from_millis(120)));
        assert_eq!(parse("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse("2m"), Ok(Duration::from_mins(2)));
        assert_eq!(parse("1h"), Ok(Duration::from_hours(1)));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "12", "ms", "-1s", "1e3s", "infs", "1 s", "1s2", "NaNs"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
