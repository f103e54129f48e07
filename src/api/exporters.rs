//! `LlmRollout.spec.metrics`: where the figures come from. Fields, bounds, CEL rules; never any logic.

#![expect(
    unreachable_pub,
    reason = "the schema derive copies each struct, with its attributes, into a function where nothing is reachable"
)]

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Where the figures come from.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(self.profile in ['litellm', 'envoy-ai-gateway', 'agentgateway', 'epp', 'traefik', 'envoy', 'istio']) || has(self.match)").message("metrics: this profile measures in front of the pods, so labels must tell the colors apart; write for example `match: {blue: {model_id: chat-blue}, green: {model_id: chat-green}}`"))]
pub struct Metrics {
    /// A provider named in the operator's configuration. Default `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(max = 63))]
    pub provider: Option<String>,
    /// Who exposes the figures.
    #[serde(default)]
    pub profile: Profile,
    /// What the scraper puts before every name, for example `kserve_`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[a-z_:][a-z0-9_:]{0,31}$"), length(max = 32))]
    pub prefix: Option<String>,
    /// Labels that tell the colors apart. Default: the namespace, and the pods of the color.
    #[serde(rename = "match", default, skip_serializing_if = "Option::is_none")]
    pub matchers: Option<Matchers>,
    /// How long figures are left out after a pod of the candidate has become ready, or has stopped being it: its caches are
    /// cold, and the others do its work. Gates with `severity: Abort` look at once. Default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]{1,2}m)?([0-9]{1,4}s)?$"), length(min = 2, max = 8))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('0s') && duration(self) <= duration('1h')").message("metrics.warmUp: write a duration between 0s and 1h, for example 30s"))]
    pub warm_up: Option<String>,
    /// How often the exporters are scraped. No window is shorter than two scrapes. Default: what the spacing of their
    /// samples says when a release begins, as `status.metrics.scrapeInterval` shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]{1,2}m)?([0-9]{1,3}s)?$"), length(min = 2, max = 7))]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('10m')").message("metrics.scrapeInterval: write a duration between 1s and 10m, for example 15s"))]
    pub scrape_interval: Option<String>,
    /// Whether native histograms are asked for where an exporter has no classic ones. Default: with `otel`,
    /// `agentgateway` and `envoy-ai-gateway`. A provider that does not know the functions of Prometheus for them refuses
    /// the queries: then `false`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native_histograms: Option<bool>,
    /// Prices in dollars per million tokens, for `costPerRequest`, `costPerHour` and `costPerMillionTokens`. Default:
    /// those of the operator's configuration. `LiteLLM` and agentgateway keep their own account and need none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<TokenPrices>,
    /// Where the dollars of a cost come from. Default `tokenPrice`; the others need `gpuPrice`.
    #[serde(default)]
    pub cost_basis: CostBasis,
    /// What a GPU costs by hour, for example `$2.50`. Default: that of the operator's configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^\$[0-9]{0,6}(\.[0-9]{1,9})?$"), length(min = 2, max = 20))]
    pub gpu_price: Option<String>,
}

/// Dollars per million tokens, each written as `$0.50`: either here, or in a `ConfigMap` of the namespace that bears the
/// label `llmrollout.io/prices`, as `asOf`, `<model>.input`, `<model>.cachedInput`, `<model>.output` and `currency`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.configMap) ? has(self.model) && !has(self.input) && !has(self.cachedInput) && !has(self.output) && !has(self.asOf) && !has(self.currency) : has(self.input) && has(self.output) && !has(self.model)").message("metrics.prices: write them, `{input: $0.50, output: $1.50}`, or where they stand and nothing else, `{configMap: price-list, model: chat-8b}`"))]
pub struct TokenPrices {
    /// Prompt tokens that were computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^\$[0-9]{0,6}(\.[0-9]{1,9})?$"), length(min = 2, max = 20))]
    pub input: Option<String>,
    /// Prompt tokens that came from a cache. Default: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^\$[0-9]{0,6}(\.[0-9]{1,9})?$"), length(min = 2, max = 20))]
    pub cached_input: Option<String>,
    /// Tokens that were generated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^\$[0-9]{0,6}(\.[0-9]{1,9})?$"), length(min = 2, max = 20))]
    pub output: Option<String>,
    /// The day of the price list, for example `2026-08-01`. It is said with every cost that rests on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"), length(max = 10))]
    pub as_of: Option<String>,
    /// The currency of the prices, of `gpuPrice` and of the limits of costs, for example `EUR`. Default `USD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Z]{3}$"), length(max = 3))]
    pub currency: Option<String>,
    /// Name of the `ConfigMap` that they stand in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"), length(max = 253))]
    pub config_map: Option<String>,
    /// Under which name they stand there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[-._a-zA-Z0-9]+$"), length(min = 1, max = 200))]
    pub model: Option<String>,
}

/// Where the dollars of a cost come from.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum CostBasis {
    /// Tokens times `prices`, or what a gateway itself has counted in dollars.
    #[default]
    TokenPrice,
    /// The GPUs of the color as far as they worked, times `gpuPrice`.
    GpuBusy,
    /// The GPUs that the pods of the color hold, times `gpuPrice`: fair between colors only at equal load.
    GpuAllocated,
    /// The GPUs of the candidate at its final size, times `gpuPrice`, over the traffic of the whole service: a candidate
    /// of full size with 5 % of the traffic does not look nineteen times too dear.
    GpuProjected,
}

/// Labels of the series of each color; all of them must be equal.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.blue != self.green").message("metrics.match: blue and green are the same series; write labels that differ"),
    validation = Rule::new("[self.blue, self.green].all(m, m.all(k, k.matches('^[a-zA-Z_][a-zA-Z0-9_]{0,63}$') && !k.startsWith('__') && !(k in ['le', 'quantile'])))").message("metrics.match: a label has letters, digits and '_', and is none that Prometheus or our queries use themselves; write for example `model_id: chat-green`")
)]
pub struct Matchers {
    /// Labels of blue.
    #[schemars(schema_with = "labels")]
    pub blue: BTreeMap<String, String>,
    /// Labels of green.
    #[schemars(schema_with = "labels")]
    pub green: BTreeMap<String, String>,
}

fn labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 8,
        "additionalProperties": {"type": "string", "maxLength": 256}
    })
}

/// Who exposes the figures, and under which names.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// vLLM's own metrics (V1 engine), scraped from the pods.
    #[default]
    Vllm,
    /// `SGLang`, scraped from the pods; needs `--enable-metrics`.
    Sglang,
    /// Text Generation Inference, scraped from the pods.
    Tgi,
    /// Triton inference server, scraped from the pods.
    Triton,
    /// `trtllm-serve`, scraped from the pods at `/prometheus/metrics`; needs its performance metrics.
    Trtllm,
    /// The server of llama.cpp, scraped from the pods; needs `--metrics`.
    Llamacpp,
    /// `LiteLLM` proxy, the colors told apart by `match`.
    Litellm,
    /// Envoy AI Gateway, the colors told apart by `match`.
    EnvoyAiGateway,
    /// agentgateway, the colors told apart by `match`.
    Agentgateway,
    /// NVIDIA Dynamo.
    Dynamo,
    /// Ray Serve LLM.
    Ray,
    /// The Endpoint Picker of llm-d and the Gateway API inference extension, the colors told apart by `match`.
    Epp,
    /// `OpenTelemetry`'s names for generative AI.
    Otel,
    /// Traefik, the colors told apart by `match`.
    Traefik,
    /// Envoy by cluster, the colors told apart by `match`.
    Envoy,
    /// Istio by destination, the colors told apart by `match`.
    Istio,
    /// No exporter: gates with `query` and `alerts` only.
    None,
    /// Whichever of them the provider has series of when a release begins.
    Auto,
}
