//! Where spans go, as the settings have it. Never sends one.

use reqwest::Url;
use serde::{Deserialize, Deserializer, de};

/// A collector that takes OTLP over HTTP, and how many passes it is told of.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tracing {
    /// Where spans are posted to.
    #[serde(deserialize_with = "endpoint")]
    pub endpoint: String,
    /// The part of all passes that is told, 0…1.
    #[serde(default = "all", deserialize_with = "part")]
    pub sample: f64,
}

const fn all() -> f64 {
    1.0
}

fn endpoint<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    let url = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    // A password here would stand in the ConfigMap; whoever needs one sets OTEL_EXPORTER_OTLP_HEADERS from a Secret.
    let fits = url.is_some_and(|url| url.username().is_empty() && url.password().is_none() && url.path().len() > 1);
    if fits {
        return Ok(text);
    }
    Err(de::Error::custom(
        "tracing.endpoint: write where the collector takes OTLP over HTTP, with its path and without a password, for example `http://otel-collector.monitoring:4318/v1/traces`",
    ))
}

fn part<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let part = f64::deserialize(from)?;
    if (0.0..=1.0).contains(&part) {
        return Ok(part);
    }
    Err(de::Error::custom(format!("`sample: {part}` is out of range; write a part from 0 to 1, for example `0.1`")))
}
