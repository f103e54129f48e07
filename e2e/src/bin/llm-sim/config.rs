//! The knobs: one set, read from `SIM_…` variables at the start and patched as JSON later.
//! Nothing here acts on them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::{dialect::Dialect, dist::Distribution};

/// What is in front of every variable.
const PREFIX: &str = "SIM_";

/// Why knobs were refused.
#[derive(Debug, Error)]
pub(crate) enum ConfigError {
    /// No such knob.
    #[error("there is no knob `{0}`; known are: {known}", known = names().join(", "))]
    Unknown(String),
    /// A knob with a value it cannot take.
    #[error("{0}")]
    Value(String),
    /// A knob that only the start may turn.
    #[error("{0} is read at the start; start another server for another one")]
    Fixed(&'static str),
}

/// Every knob. Zero switches a fault off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The names served; the first labels the metrics.
    pub(crate) models: Vec<String>,
    /// What `x-sim-version` says.
    pub(crate) version: String,
    /// Whose metrics it exposes; read at the start.
    pub(crate) dialect: Dialect,
    /// How long after its start the server is not healthy.
    pub(crate) load_time_ms: u64,
    /// How many first requests are slower.
    pub(crate) warm_up_requests: u64,
    /// How much slower they are.
    pub(crate) warm_up_factor: f64,
    /// Time of a whole answer, waiting aside.
    pub(crate) latency: Distribution,
    /// Time to the first token, never more than the whole answer.
    pub(crate) ttft: Distribution,
    /// Mean tokens of an answer.
    pub(crate) tokens_mean: u64,
    /// Answers have `tokens_mean` ± this many tokens.
    pub(crate) tokens_spread: u64,
    /// Prompt tokens of every request; zero takes them from the request's length.
    pub(crate) prompt_tokens: u64,
    /// Share of prompt tokens that the prefix cache holds.
    pub(crate) cached_share: f64,
    /// Share answered by HTTP 500 before any token.
    pub(crate) error_share: f64,
    /// Share that breaks while the answer is generated.
    pub(crate) stream_error_share: f64,
    /// Share never answered.
    pub(crate) hang_share: f64,
    /// Share answered by HTTP 429.
    pub(crate) reject_share: f64,
    /// Share of whole answers that end with `length`.
    pub(crate) finish_length_share: f64,
    /// Memory kept for ever by each request.
    pub(crate) leak_bytes_per_request: usize,
    /// The process ends when it has seen so many requests.
    pub(crate) crash_after_requests: u64,
    /// The process ends so long after its start.
    pub(crate) crash_after_ms: u64,
    /// The exit code of either crash.
    pub(crate) crash_code: u8,
    /// Requests worked on at once; the others wait.
    pub(crate) max_concurrency: usize,
    /// Tokens that fill the cache; with the tokens in work it gives the cache's use.
    pub(crate) kv_cache_tokens: u64,
    /// Seed of every choice.
    pub(crate) seed: u64,
    /// How long new connections are still taken after SIGTERM.
    pub(crate) shutdown_delay_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            models: vec!["sim-model".to_owned()],
            version: "v1".to_owned(),
            dialect: Dialect::Vllm,
            load_time_ms: 0,
            warm_up_requests: 0,
            warm_up_factor: 1.0,
            latency: Distribution::Fixed(Duration::from_millis(120)),
            ttft: Distribution::Fixed(Duration::from_millis(30)),
            tokens_mean: 64,
            tokens_spread: 16,
            prompt_tokens: 0,
            cached_share: 0.0,
            error_share: 0.0,
            stream_error_share: 0.0,
            hang_share: 0.0,
            reject_share: 0.0,
            finish_length_share: 0.0,
            leak_bytes_per_request: 0,
            crash_after_requests: 0,
            crash_after_ms: 0,
            crash_code: 1,
            max_concurrency: 10_000,
            kv_cache_tokens: 262_144,
            seed: 1,
            shutdown_delay_ms: 500,
        }
    }
}

impl Config {
    /// The defaults with every `SIM_…` variable applied.
    pub(crate) fn from_env(variables: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let guide = as_map(&Self::default())?;
        let mut patch = Map::new();
        for (variable, text) in variables {
            let Some(name) = variable.strip_prefix(PREFIX).filter(|name| !is_service_link(name)) else {
                continue;
            };
            let field = name.to_ascii_lowercase();
            let like = guide.get(&field).ok_or_else(|| ConfigError::Unknown(variable.clone()))?;
            patch.insert(field, read_like(like, &variable, &text)?);
        }
        Self::default().patched(patch)
    }

    /// These knobs with some replaced. Either all are taken or none.
    pub(crate) fn patched(&self, patch: Map<String, Value>) -> Result<Self, ConfigError> {
        let mut whole = as_map(self)?;
        let mut config = self.clone();
        for (name, value) in patch {
            let place = whole.get_mut(&name).ok_or_else(|| ConfigError::Unknown(name.clone()))?;
            *place = value;
            // Read after each one: the reader does not say in which field a bad value stood.
            config = serde_json::from_value(Value::Object(whole.clone()))
                .map_err(|why| ConfigError::Value(format!("{name}: {why}")))?;
        }
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let refuse = |why: String| Err(ConfigError::Value(why));
        for (name, share) in [
            ("cached_share", self.cached_share),
            ("error_share", self.error_share),
            ("stream_error_share", self.stream_error_share),
            ("hang_share", self.hang_share),
            ("reject_share", self.reject_share),
            ("finish_length_share", self.finish_length_share),
        ] {
            if !(0.0..=1.0).contains(&share) {
                return refuse(format!("{name}: {share} is not a share: it must lie between 0 and 1"));
            }
        }
        let faults = self.error_share + self.stream_error_share + self.hang_share + self.reject_share;
        if faults > 1.0 + f64::EPSILON {
            return refuse(format!(
                "error_share, stream_error_share, hang_share and reject_share add up to {faults}: at most 1"
            ));
        }
        if !(0.0..=1000.0).contains(&self.warm_up_factor) {
            return refuse(format!("warm_up_factor: {} must lie between 0 and 1000", self.warm_up_factor));
        }
        if self.models.is_empty() || self.models.iter().any(|name| name.trim().is_empty()) {
            return refuse("models: at least one name, and none empty".to_owned());
        }
        if self.version.is_empty() || !self.version.bytes().all(|byte| byte.is_ascii_graphic()) {
            return refuse(format!("version: `{}` cannot stand in a header: visible ASCII only", self.version));
        }
        if self.tokens_mean == 0 || self.tokens_spread >= self.tokens_mean {
            return refuse("tokens_mean must be at least 1 and above tokens_spread".to_owned());
        }
        if self.max_concurrency == 0 || self.max_concurrency > 1_000_000 || self.kv_cache_tokens == 0 {
            return refuse(
                "max_concurrency must lie between 1 and 1000000, kv_cache_tokens must be at least 1".to_owned(),
            );
        }
        Ok(())
    }
}

/// Variables that Kubernetes puts into pods for a Service called `sim`.
fn is_service_link(name: &str) -> bool {
    name.starts_with("SERVICE_") || name == "PORT" || name.starts_with("PORT_")
}

fn as_map(config: &Config) -> Result<Map<String, Value>, ConfigError> {
    match serde_json::to_value(config) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(other) => Err(ConfigError::Value(format!("the knobs are written as {other}"))),
        Err(why) => Err(ConfigError::Value(why.to_string())),
    }
}

fn names() -> Vec<String> {
    as_map(&Config::default()).map(|map| map.keys().cloned().collect()).unwrap_or_default()
}

/// A variable's text as the kind of value its default has.
fn read_like(like: &Value, variable: &str, text: &str) -> Result<Value, ConfigError> {
    match like {
        Value::String(_) => Ok(Value::from(text)),
        Value::Array(_) => Ok(text.split(',').map(str::trim).map(Value::from).collect()),
        _ => serde_json::from_str::<serde_json::Number>(text)
            .map(Value::from)
            .map_err(|_| ConfigError::Value(format!("{variable}: `{text}` is not a number"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::Config;
    use crate::dist::Distribution;

    fn from_env(variables: &[(&str, &str)]) -> Result<Config, String> {
        Config::from_env(variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())))
            .map_err(|why| why.to_string())
    }

    fn patch(value: Value) -> Result<Config, String> {
        let map: Map<String, Value> = serde_json::from_value(value).unwrap();
        Config::default().patched(map).map_err(|why| why.to_string())
    }

    #[test]
    fn variables_are_the_fields() {
        let config = from_env(&[
            ("SIM_VERSION", "7"),
            ("SIM_MODELS", "a, b"),
            ("SIM_ERROR_SHARE", "0.05"),
            ("SIM_LATENCY", "uniform:1s,2s"),
            ("SIM_SERVICE_HOST", "10.96.0.4"),
            ("SIM_PORT_80_TCP", "tcp://10.96.0.4:80"),
            ("HOME", "/root"),
        ])
        .unwrap();
        assert_eq!(config.version, "7");
        assert_eq!(config.models, ["a", "b"]);
        assert!((config.error_share - 0.05).abs() < f64::EPSILON);
        assert_eq!(config.latency, Distribution::try_from("uniform:1s,2s".to_owned()).unwrap());
    }

    #[test]
    fn nonsense_is_named() {
        assert!(from_env(&[("SIM_EROR_SHARE", "0.1")]).unwrap_err().contains("error_share"));
        assert!(from_env(&[("SIM_ERROR_SHARE", "5%")]).unwrap_err().contains("SIM_ERROR_SHARE"));
        assert!(from_env(&[("SIM_ERROR_SHARE", "1.5")]).unwrap_err().contains("between 0 and 1"));
        assert!(from_env(&[("SIM_LATENCY", "120ms")]).unwrap_err().starts_with("latency: "));
        assert!(patch(json!({"hang_share": 0.6, "error_share": 0.6})).unwrap_err().contains("add up"));
        assert!(patch(json!({"seed": -1})).unwrap_err().starts_with("seed: "));
        assert!(patch(json!({"tokens_mean": 0})).is_err());
        let said = from_env(&[("SIM_DIALECT", "triton")]).unwrap_err();
        assert!(said.starts_with("dialect: ") && said.contains("sglang"), "{said}");
    }

    #[test]
    fn a_patch_leaves_the_rest() {
        let config = patch(json!({"error_share": 0.2, "version": "v2"})).unwrap();
        assert_eq!(config, Config { error_share: 0.2, version: "v2".to_owned(), ..Config::default() });
    }
}
