//! An instant in whole seconds, as it is stored in status. Truncated at the door, so that a decision reads the same
//! before and after a round trip through the API server. Never reads a clock.

use std::{fmt, time::Duration};

use k8s_openapi::jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// The last instant that can be written: 9999-12-30T22:00:00Z.
const LAST: i64 = 253_402_207_200;

/// An instant in whole seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

impl Moment {
    /// The instant `seconds` after 1970.
    pub const fn from_unix(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970.
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// This instant and a duration later; stays at the end of time instead of overflowing.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_secs()).unwrap_or(i64::MAX)).min(LAST))
    }

    /// This instant and a duration earlier; stays at the beginning of time instead of overflowing.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_secs()).unwrap_or(i64::MAX)).max(0))
    }

    /// How long it is from `earlier` to here; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// `14:32Z`, as the NEXT column shows it.
    pub fn short(self) -> String {
        self.to_string().get(11..16).map_or_else(|| "-".to_owned(), |hm| format!("{hm}Z"))
    }
}

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Self(at.as_second())
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = Timestamp::from_second(self.0).unwrap_or(Timestamp::MAX);
        write!(f, "{}", at.strftime("%Y-%m-%dT%H:%M:%SZ"))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse::<Timestamp>().map(Self::from).map_err(D::Error::custom)
    }
}

impl JsonSchema for Moment {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Moment".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }
}

#[cfg(test)]
mod tests {
    use super::Moment;

    #[test]
    fn survives_a_round_trip() {
        let at = Moment::from_unix(1_790_000_000);
        let text = serde_json::to_string(&at).unwrap();
        assert_eq!(text, "\"2026-09-21T14:13:20Z\"");
        assert_eq!(serde_json::from_str::<Moment>(&text).unwrap(), at);
        assert_eq!(at.short(), "14:13Z");
        let end = at.plus(std::time::Duration::MAX);
        assert_eq!(serde_json::from_str::<Moment>(&serde_json::to_string(&end).unwrap()).unwrap(), end);
    }
}
