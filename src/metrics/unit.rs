//! Limits with their units, figures shown beside them, and prices: text in, numbers in base units out (share 0…1,
//! seconds, dollars, by second), exact to the last decimal. Never decides whether a figure is within its limit.

use std::fmt;

use super::metric;
use crate::api::{Moment, gates::Metric, v1alpha1};

/// What the limit of a metric is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Percent.
    Share,
    /// Seconds or milliseconds.
    Seconds,
    /// Dollars.
    Dollars,
    /// Something by second.
    PerSecond,
    /// Whole numbers.
    Count,
    /// Any number.
    Number,
}

impl Unit {
    /// A limit in this unit.
    pub const fn example(self) -> &'static str {
        match self {
            Self::Share => "1%",
            Self::Seconds => "1.5s",
            Self::Dollars => "$0.005",
            Self::PerSecond => "1200/s",
            Self::Count => "100",
            Self::Number => "12.5",
        }
    }
}

/// A limit in the unit of its metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// A share, 0…1.
    Share(f64),
    /// A time in seconds.
    Seconds(f64),
    /// Dollars.
    Dollars(f64),
    /// So many by second.
    PerSecond(f64),
    /// A whole number.
    Count(f64),
    /// A number that is not whole.
    Number(f64),
}

/// Why a text is no limit and no price.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a number with a unit.
    #[error("`{0}` is no limit; write a number with its unit, for example `1%`, `1.5s`, `800ms`, `$0.005` or `12/s`")]
    NotALimit(String),
    /// A share that nothing can exceed.
    #[error("`{0}` can never be exceeded; write a share below 100%, for example `1%`")]
    ShareTooHigh(String),
    /// A unit that does not fit the metric.
    #[error("`{limit}` is not in the unit of this metric; write for example `{example}`")]
    WrongUnit {
        /// The limit as shown.
        limit: String,
        /// A limit that fits.
        example: &'static str,
    },
    /// Not a price.
    #[error("`{0}` is no price; write dollars per million tokens, for example `$0.50`")]
    NotAPrice(String),
    /// Not a day.
    #[error("`{0}` is no day of a price list; write for example `asOf: 2026-08-01`")]
    NotADay(String),
    /// Not a currency.
    #[error("`{0}` is no currency; write its three letters, for example `EUR`")]
    NotACurrency(String),
    /// Not what a GPU costs.
    #[error("`{0}` is no price of a GPU; write dollars per GPU and hour, for example `$2.50`")]
    NotAGpuPrice(String),
}

impl Limit {
    /// Reads `1%`, `1.5s`, `800ms`, `$0.005`, `12/s`, `100` or `12.5` as something that may be exceeded.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        match Self::read(text)? {
            Self::Share(share) if share >= 1.0 => Err(UnitError::ShareTooHigh(short(text))),
            limit => Ok(limit),
        }
    }

    /// The same as something that may be reached: all of it is a share too.
    pub fn read(text: &str) -> Result<Self, UnitError> {
        let read = if let Some(number) = text.strip_prefix('$') {
            decimal(number, 0).map(Self::Dollars)
        } else if let Some(number) = text.strip_suffix('%') {
            decimal(number, -2).map(Self::Share)
        } else if let Some(number) = text.strip_suffix("/s") {
            decimal(number, 0).map(Self::PerSecond)
        } else if let Some(number) = text.strip_suffix("ms") {
            decimal(number, -3).map(Self::Seconds)
        } else if let Some(number) = text.strip_suffix('s') {
            decimal(number, 0).map(Self::Seconds)
        } else {
            decimal(text, 0).map(|n| if n.fract() == 0.0 { Self::Count(n) } else { Self::Number(n) })
        };
        match read {
            Some(Self::Share(share)) if share > 1.0 => Err(UnitError::ShareTooHigh(short(text))),
            Some(limit) => Ok(limit),
            None => Err(UnitError::NotALimit(short(text))),
        }
    }

    /// Another value in the same unit.
    #[must_use]
    pub const fn with(self, value: f64) -> Self {
        match self {
            Self::Share(_) => Self::Share(value),
            Self::Seconds(_) => Self::Seconds(value),
            Self::Dollars(_) => Self::Dollars(value),
            Self::PerSecond(_) => Self::PerSecond(value),
            Self::Count(_) => Self::Count(value),
            Self::Number(_) => Self::Number(value),
        }
    }

    /// Whether both are in one unit; a number may be whole.
    pub fn is_like(self, other: Self) -> bool {
        let number = |limit| if let Self::Count(v) = limit { Self::Number(v) } else { limit };
        std::mem::discriminant(&number(self)) == std::mem::discriminant(&number(other))
    }

    /// Zero in the unit of a metric.
    pub const fn zero(unit: Unit) -> Self {
        match unit {
            Unit::Share => Self::Share(0.0),
            Unit::Seconds => Self::Seconds(0.0),
            Unit::Dollars => Self::Dollars(0.0),
            Unit::PerSecond => Self::PerSecond(0.0),
            Unit::Count => Self::Count(0.0),
            Unit::Number => Self::Number(0.0),
        }
    }

    /// As a value that nothing is held against: three digits that count.
    pub fn plain(self) -> String {
        self.with_unit(rounded(self.value() * self.scale(), 3))
    }

    /// Whether the unit is that of the metric.
    pub fn fits(self, metric: Metric) -> Result<(), UnitError> {
        let unit = metric::unit(metric);
        let fits = match self {
            Self::Share(_) => unit == Unit::Share,
            Self::Seconds(_) => unit == Unit::Seconds,
            Self::Dollars(_) => unit == Unit::Dollars,
            Self::PerSecond(_) => unit == Unit::PerSecond,
            Self::Count(_) => matches!(unit, Unit::Count | Unit::Number),
            Self::Number(_) => unit == Unit::Number,
        };
        if fits { Ok(()) } else { Err(UnitError::WrongUnit { limit: self.to_string(), example: unit.example() }) }
    }

    /// The limit in its base unit, to compare with a sample.
    pub const fn value(self) -> f64 {
        match self {
            Self::Share(v)
            | Self::Seconds(v)
            | Self::Dollars(v)
            | Self::PerSecond(v)
            | Self::Count(v)
            | Self::Number(v) => v,
        }
    }

    /// A measured value in the limit's unit, with three digits that count; more when fewer would make it look like the
    /// limit itself though it is not.
    pub fn show(self, value: f64) -> String {
        if !value.is_finite() {
            return "-".to_owned();
        }
        let shown = value * self.scale();
        let mut text = self.with_unit(rounded(shown, 3));
        // Three digits are off by half a percent at most.
        let apart = (value - self.value()).abs();
        if apart > 0.0 && apart <= 0.01 * self.value().abs() {
            let limit = self.to_string();
            for digits in 4..=9 {
                if text != limit {
                    break;
                }
                text = self.with_unit(rounded(shown, digits));
            }
        }
        text
    }

    /// What base units are multiplied by to be shown.
    fn scale(self) -> f64 {
        10_f64.powi(self.places())
    }

    /// By how many decimal places base units are shifted to be shown: milliseconds below one second.
    fn places(self) -> i32 {
        match self {
            Self::Share(_) => 2,
            Self::Seconds(v) if v > 0.0 && v < 1.0 => 3,
            Self::Seconds(_) | Self::Dollars(_) | Self::PerSecond(_) | Self::Count(_) | Self::Number(_) => 0,
        }
    }

    fn with_unit(self, mut number: String) -> String {
        match (self, self.places()) {
            (Self::Share(_), _) => number.push('%'),
            (Self::Seconds(_), 3) => number.push_str("ms"),
            (Self::Seconds(_), _) => number.push('s'),
            (Self::Dollars(_), _) => number.insert(0, '$'),
            (Self::PerSecond(_), _) => number.push_str("/s"),
            (Self::Count(_) | Self::Number(_), _) => {}
        }
        number
    }
}

/// As a user would write it: `1%`, `1.5s`, `800ms`, `$0.005`, `12/s`.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_unit(shifted(self.value(), self.places())))
    }
}

/// Dollars per million tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prices {
    /// Prompt tokens that were computed.
    pub input: f64,
    /// Prompt tokens that came from a cache.
    pub cached_input: f64,
    /// Tokens that were generated.
    pub output: f64,
}

impl Prices {
    /// Reads prices; tokens from a cache cost as much as computed ones unless they have their own price.
    pub fn parse(prices: &v1alpha1::Prices) -> Result<Self, UnitError> {
        let input = price(&prices.input)?;
        let cached_input = prices.cached_input.as_deref().map_or(Ok(input), price)?;
        if let Some(day) = prices.as_of.as_deref().filter(|day| day.parse::<jiff::civil::Date>().is_err()) {
            return Err(UnitError::NotADay(short(day)));
        }
        let letters = |currency: &&str| currency.len() != 3 || !currency.bytes().all(|b| b.is_ascii_uppercase());
        if let Some(currency) = prices.currency.as_deref().filter(letters) {
            return Err(UnitError::NotACurrency(short(currency)));
        }
        Ok(Self { input, cached_input, output: price(&prices.output)? })
    }
}

/// How many days ago that day was; less than none while it is yet to come.
pub fn days_since(day: &str, now: Moment) -> Option<i64> {
    let began = day.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(now.unix().saturating_sub(began.timestamp().as_second()).div_euclid(24 * 3600))
}

/// `20%` or `-60%` as a part of one.
pub fn percent(text: &str) -> Option<f64> {
    let number = text.strip_suffix('%')?;
    let (sign, number) = number.strip_prefix('-').map_or((1.0, number), |number| (-1.0, number));
    decimal(number, -2).map(|part| sign * part)
}

/// `1.2`: so many times something else.
pub fn factor(text: &str) -> Option<f64> {
    decimal(text, 0)
}

/// `0.1pp`: percentage points, never to be taken for percent of something.
pub fn points(text: &str) -> Option<f64> {
    decimal(text.strip_suffix("pp")?, -2)
}

fn price(text: &str) -> Result<f64, UnitError> {
    dollars(text).ok_or_else(|| UnitError::NotAPrice(short(text)))
}

/// Reads what a GPU costs by hour.
pub fn gpu_price(text: &str) -> Result<f64, UnitError> {
    dollars(text).ok_or_else(|| UnitError::NotAGpuPrice(short(text)))
}

fn dollars(text: &str) -> Option<f64> {
    text.strip_prefix('$').and_then(|number| decimal(number, 0))
}

/// `12`, `12.5` or `.5`, shifted by decimal places before it is rounded to binary: `0.7%` is the double nearest 0.007.
fn decimal(text: &str, places: i32) -> Option<f64> {
    let (whole, fraction) = match text.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (text, ""),
    };
    let digits = |part: &str| part.len() <= 9 && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || text.is_empty() {
        return None;
    }
    format!("{text}e{places}").parse::<f64>().ok().filter(|v| v.is_finite())
}

/// A number shifted by decimal places in its shortest decimal form, so that 0.07 is shown as 7 and not 7.000000000000001.
fn shifted(value: f64, places: i32) -> String {
    if places == 0 {
        return value.to_string();
    }
    let text = format!("{value:e}");
    let moved = text.split_once('e').and_then(|(digits, exponent)| {
        let exponent = exponent.parse::<i32>().ok()?.checked_add(places)?;
        format!("{digits}e{exponent}").parse::<f64>().ok()
    });
    moved.unwrap_or(value).to_string()
}

/// A number with so many digits that count, whole parts never cut.
fn rounded(value: f64, digits: i32) -> String {
    let text = format!("{value:.*e}", usize::try_from(digits - 1).unwrap_or(0));
    let exponent = text.split_once('e').and_then(|(_, e)| e.parse::<i32>().ok()).unwrap_or(0);
    let decimals = usize::try_from((digits - 1 - exponent).clamp(0, 12)).unwrap_or(0);
    let fixed = format!("{value:.decimals$}");
    if fixed.contains('.') { fixed.trim_end_matches('0').trim_end_matches('.').to_owned() } else { fixed }
}

/// The text for a message, cut where nobody reads on.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::{Limit, Prices, Unit, UnitError, gpu_price};
    use crate::{
        api::{gates::Metric, v1alpha1},
        metrics::metric::{ALL, unit},
    };

    #[test]
    fn reads_and_writes_every_unit() {
        for (text, limit, shown) in [
            ("1%", Limit::Share(0.01), "1%"),
            ("0.5%", Limit::Share(0.005), "0.5%"),
            ("7%", Limit::Share(0.07), "7%"),
            ("0.70%", Limit::Share(0.007), "0.7%"),
            ("99.9%", Limit::Share(0.999), "99.9%"),
            ("0%", Limit::Share(0.0), "0%"),
            ("1.5s", Limit::Seconds(1.5), "1.5s"),
            ("1.50s", Limit::Seconds(1.5), "1.5s"),
            ("800ms", Limit::Seconds(0.8), "800ms"),
            ("1500ms", Limit::Seconds(1.5), "1.5s"),
            ("0.3s", Limit::Seconds(0.3), "300ms"),
            ("0.5ms", Limit::Seconds(0.0005), "0.5ms"),
            ("0s", Limit::Seconds(0.0), "0s"),
            ("$0.005", Limit::Dollars(0.005), "$0.005"),
            ("$.5", Limit::Dollars(0.5), "$0.5"),
            ("$12", Limit::Dollars(12.0), "$12"),
            ("$0.000000001", Limit::Dollars(1e-9), "$0.000000001"),
            ("0", Limit::Count(0.0), "0"),
            ("1200", Limit::Count(1200.0), "1200"),
            ("12.0", Limit::Count(12.0), "12"),
            ("12.5", Limit::Number(12.5), "12.5"),
            ("0.000000001", Limit::Number(1e-9), "0.000000001"),
            ("12/s", Limit::PerSecond(12.0), "12/s"),
            ("0.5/s", Limit::PerSecond(0.5), "0.5/s"),
        ] {
            assert_eq!(Limit::parse(text), Ok(limit), "{text}");
            assert_eq!(limit.to_string(), shown, "{text}");
            assert_eq!(Limit::parse(shown), Ok(limit), "{text} round trip");
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "",
            "$",
            "%",
            "s",
            "ms",
            "-1",
            "1.",
            "/s",
            "1/ms",
            "1/s/s",
            "$1/s",
            "1%/s",
            "-1%",
            "+1%",
            "1 %",
            " 1%",
            "1e3s",
            "infs",
            "NaN%",
            "0x1p3s",
            "1.s",
            "1.%",
            ".%",
            "$.",
            "1..5s",
            "1,5s",
            "٣%",
            "1m",
            "1S",
            "$1%",
            "5$",
            "1%%",
            "$-1",
            "9999999999s",
            "1.0000000001s",
        ] {
            assert_eq!(Limit::parse(text), Err(UnitError::NotALimit(text.into())), "{text}");
        }
        assert!(matches!(Limit::parse("100%"), Err(UnitError::ShareTooHigh(_))));
        let long = format!("{}\u{1b}", "9".repeat(500));
        assert!(Limit::parse(&long).unwrap_err().to_string().len() < 200);
    }

    #[test]
    fn every_metric_takes_its_example_and_refuses_the_others_with_it() {
        let examples = ["1%", "1.5s", "$0.005", "1200/s", "100", "12.5"];
        for (metric, word) in ALL {
            let own = unit(metric).example();
            for text in examples {
                let fit = Limit::parse(text).unwrap().fits(metric);
                let whole = text == "100" && unit(metric) == Unit::Number;
                assert_eq!(fit.is_ok(), text == own || whole, "{text} {word}");
                assert!(fit.is_ok() || fit.unwrap_err().to_string().ends_with(&format!("example `{own}`")), "{word}");
            }
        }
        let said = Limit::Share(0.01).fits(Metric::Latency).unwrap_err().to_string();
        assert_eq!(said, "`1%` is not in the unit of this metric; write for example `1.5s`");
    }

    #[test]
    fn shows_measured_values() {
        for (limit, value, shown) in [
            ("1%", 0.004, "0.4%"),
            ("1%", 0.0, "0%"),
            ("1%", 0.079_999, "8%"),
            ("1%", 0.010_001, "1.0001%"),
            ("1%", 0.01, "1%"),
            ("1.5s", 1.2149, "1.21s"),
            ("1.5s", 0.043_21, "0.0432s"),
            ("1.5s", 7680.0, "7680s"),
            ("1.5s", 1.500_000_000_1, "1.5s"),
            ("800ms", 1.21, "1210ms"),
            ("800ms", 0.0432, "43.2ms"),
            ("$0.005", 0.0041, "$0.0041"),
            ("$0.005", 0.004_123_4, "$0.00412"),
            ("$0.005", 12.0, "$12"),
            ("1200/s", 987.654, "988/s"),
            ("12.5", 3.276, "3.28"),
            ("10", 3.0, "3"),
            ("1%", f64::NAN, "-"),
        ] {
            assert_eq!(Limit::parse(limit).unwrap().show(value), shown, "{limit} {value}");
        }
    }

    #[test]
    fn reads_prices() {
        let mut written =
            v1alpha1::Prices { input: "$0.50".into(), output: "$1.50".into(), ..v1alpha1::Prices::default() };
        assert_eq!(Prices::parse(&written), Ok(Prices { input: 0.5, cached_input: 0.5, output: 1.5 }));
        written.cached_input = Some("$0.05".into());
        assert_eq!(Prices::parse(&written), Ok(Prices { input: 0.5, cached_input: 0.05, output: 1.5 }));
        assert_eq!(gpu_price("$2.50"), Ok(2.5));
        for (day, currency, good) in [
            ("2026-08-01", "EUR", true),
            ("2026-02-30", "EUR", false),
            ("1.8.2026", "EUR", false),
            ("2026-08-01", "eur", false),
            ("2026-08-01", "EURO", false),
        ] {
            (written.as_of, written.currency) = (Some(day.into()), Some(currency.into()));
            assert_eq!(Prices::parse(&written).is_ok(), good, "{day} {currency}");
        }
        (written.as_of, written.currency) = (None, None);
        for wrong in ["0.5", "$", "$-1", "$1e9", "", "$ 1"] {
            written.output = wrong.into();
            assert_eq!(Prices::parse(&written), Err(UnitError::NotAPrice(wrong.into())));
            assert_eq!(gpu_price(wrong), Err(UnitError::NotAGpuPrice(wrong.into())));
        }
    }
}
