//! What has to be switched on, or relabeled, so that an exporter's series reach the provider: a sentence for each. Never a
//! query and never a name of a series.

use crate::api::exporters::Profile;

/// What to do where nothing, or not everything, of a profile is found.
pub const fn hint(profile: Profile) -> &'static str {
    match profile {
        Profile::Vllm => {
            "vLLM exposes `/metrics` on its own port unless it runs with `--disable-log-stats`; scrape the pods, keeping the labels `namespace` and `pod`"
        }
        Profile::Sglang => {
            "start SGLang with `--enable-metrics` and scrape the pods, keeping the labels `namespace` and `pod`"
        }
        Profile::Tgi => "scrape `/metrics` of the pods, keeping the labels `namespace` and `pod`",
        Profile::Triton => {
            "start Triton with `--allow-metrics=true`, for quantiles with `--metrics-config summary_latencies=true`, and scrape port 8002"
        }
        Profile::Trtllm => {
            "set `return_perf_metrics: true` and scrape `/prometheus/metrics`, not the JSON of `/metrics`"
        }
        Profile::Llamacpp => "start the server of llama.cpp with `--metrics` and scrape the pods",
        Profile::Litellm => {
            "add `prometheus` to `litellm_settings.callbacks`, and in `match` labels that the series have"
        }
        Profile::EnvoyAiGateway => {
            "scrape port 1064 of the gateway's pods, and write in `match` labels that the series have"
        }
        Profile::Agentgateway => "scrape port 15020 of agentgateway, and write in `match` labels that the series have",
        Profile::Dynamo => {
            "scrape `/metrics` of the frontend, keeping the labels `namespace` and `pod`, or write `match`"
        }
        Profile::Ray => {
            "scrape the Ray nodes' metrics port, keeping the labels `namespace` and `pod`, or write `match`"
        }
        Profile::Epp => "scrape the Endpoint Picker's metrics port, and write in `match` labels that the series have",
        Profile::Otel => "export the metrics to the provider with underscores for dots, or write `match`",
        Profile::Traefik => {
            "start Traefik with `--metrics.prometheus.addServicesLabels=true`, and copy the label of the series into `match`"
        }
        Profile::Envoy => "scrape `/stats/prometheus` of Envoy, and write in `match` labels that the series have",
        Profile::Istio => {
            "let telemetry of the mesh reach the provider, and write in `match` labels that the series have"
        }
        Profile::None | Profile::Auto => {
            "scrape the pods, keeping the labels `namespace` and `pod`, or name the exporter: `metrics: {profile: vllm}`"
        }
    }
}
