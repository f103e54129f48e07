//! `LlmRollout.status.metrics`: what the provider was found to have when the release began. Fields and bounds; never any
//! logic.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::exporters::Profile;

/// What the provider was found to have when the release began.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct MetricsFound {
    /// The attempt that it was looked for.
    #[schemars(range(min = 0))]
    pub attempt: i64,
    /// Whose names are asked for: as it is written, or what `auto` has found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// The series that gates rest on, as far as they were found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 256)))]
    pub found: Vec<String>,
    /// How often the exporters are scraped, as the spacing of their samples says; with `metrics.scrapeInterval`, and as
    /// long as nobody could tell, it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    pub scrape_interval: Option<String>,
    /// Gates without a source, and what would give it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub missing: Vec<SourceMissing>,
}

/// A gate without a source.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SourceMissing {
    /// Its name.
    pub gate: String,
    /// Which series there are none of, and what would give them.
    pub why: String,
}
