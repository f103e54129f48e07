//! A share of the candidate in tenths of a percent: `20`, or `"0.5"` where it is no whole percent. Knows no router.

use std::{borrow::Cow, cmp::Ordering, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};

/// A part of all traffic, in tenths of a percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(i32);

impl Percent {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Everything.
    pub const ALL: Self = Self(1000);

    /// So many percent.
    pub const fn of(percent: i32) -> Self {
        Self(percent.saturating_mul(10))
    }

    /// So many tenths of a percent.
    pub const fn of_tenths(tenths: i32) -> Self {
        Self(tenths)
    }

    /// In tenths of a percent.
    pub const fn tenths(self) -> i32 {
        self.0
    }

    /// What is left for the other color.
    #[must_use]
    pub const fn rest(self) -> Self {
        Self(Self::ALL.0.saturating_sub(self.0))
    }

    /// Whether it is a whole percent.
    pub const fn is_whole(self) -> bool {
        self.0 % 10 == 0
    }

    /// The whole percent that it is, or the next above it.
    #[must_use]
    pub const fn rounded_up(self) -> Self {
        Self(self.0.saturating_add(9) / 10 * 10)
    }

    /// As a part of one.
    pub fn part(self) -> f64 {
        f64::from(self.0) / 1000.0
    }
}

/// Whole percents are compared as they are written.
impl PartialEq<i32> for Percent {
    fn eq(&self, percent: &i32) -> bool {
        *self == Self::of(*percent)
    }
}

impl PartialOrd<i32> for Percent {
    fn partial_cmp(&self, percent: &i32) -> Option<Ordering> {
        self.partial_cmp(&Self::of(*percent))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, tenths) = (self.0 / 10, self.0 % 10);
        if tenths == 0 { write!(f, "{whole}") } else { write!(f, "{whole}.{tenths}") }
    }
}

impl FromStr for Percent {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "a share is a number from 0 to 100 with at most one digit behind the point";
        let (whole, tenth) = text.split_once('.').unwrap_or((text, "0"));
        let digits =
            |text: &str, most: usize| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole, 3) || !digits(tenth, 1) {
            return Err(wrong);
        }
        let tenths = format!("{whole}{tenth}").parse().map_err(|_| wrong)?;
        Some(Self(tenths)).filter(|share| *share <= Self::ALL).ok_or(wrong)
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.is_whole() { to.serialize_i32(self.0 / 10) } else { to.collect_str(self) }
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read;

        impl Visitor<'_> for Read {
            type Value = Percent;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole percent, or tenths in quotes: 5 or \"0.5\"")
            }

            fn visit_i64<E: de::Error>(self, percent: i64) -> Result<Percent, E> {
                i32::try_from(percent).map(Percent::of).map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, percent: u64) -> Result<Percent, E> {
                i32::try_from(percent).map(Percent::of).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Percent, E> {
                text.parse().map_err(E::custom)
            }
        }

        from.deserialize_any(Read)
    }
}

impl JsonSchema for Percent {
    fn schema_name() -> Cow<'static, str> {
        "Percent".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "minimum": 0,
            "maximum": 100,
            "maxLength": 4,
            "pattern": r"^(100|[1-9]?[0-9](\.[0-9])?)$",
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::Percent;

    #[test]
    fn tenths_are_written_as_text_and_whole_percents_as_numbers() {
        for (written, share) in [(json!(5), 50), (json!("0.5"), 5), (json!("99.9"), 999), (json!(100), 1000)] {
            let read: Percent = from_value(written.clone()).unwrap();
            assert_eq!((read.tenths(), json!(read)), (share, written));
        }
        assert_eq!(json!(from_value::<Percent>(json!("20")).unwrap()), json!(20));
        for wrong in [json!("0.05"), json!("0.5%"), json!(".5"), json!("5."), json!("100.1"), json!("-1"), json!(0.5)] {
            assert!(from_value::<Percent>(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn whole_percents_are_compared_as_they_are_written() {
        let half = Percent::of_tenths(5);
        assert!(half > 0 && half < 1 && half != 0 && Percent::of(100) == 100 && Percent::ALL == 100);
        assert_eq!((half.rest().to_string(), half.rounded_up().to_string()), ("99.5".to_owned(), "1".to_owned()));
    }
}
