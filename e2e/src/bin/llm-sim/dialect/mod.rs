//! Whose names the metrics have: one file a dialect, each with its bounds, its labels and what it leaves out.
//! Nothing here counts.

mod otel;
mod sglang;
mod text;
mod tgi;
mod vllm;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::metrics::{Bounds, Load, Metrics};

/// Whose names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Dialect {
    /// vLLM's V1 engine, and the HTTP layer in front of it.
    #[default]
    Vllm,
    /// `SGLang` with `--enable-metrics`.
    Sglang,
    /// Text Generation Inference.
    Tgi,
    /// A server measured by `OpenTelemetry`'s conventions for generative AI, written for Prometheus.
    Otel,
}

impl Dialect {
    /// Where its buckets end.
    pub(crate) fn bounds(self) -> Bounds {
        match self {
            Self::Vllm => vllm::BOUNDS,
            Self::Sglang => sglang::BOUNDS,
            Self::Tgi => tgi::BOUNDS,
            Self::Otel => otel::BOUNDS,
        }
    }

    /// Everything in its words.
    pub(crate) fn render(self, metrics: &Metrics, model: &str, load: Load) -> Result<String, fmt::Error> {
        let mut out = String::with_capacity(16 * 1024);
        let model = text::escape(model);
        match self {
            Self::Vllm => vllm::write(&mut out, metrics, &model, load),
            Self::Sglang => sglang::write(&mut out, metrics, &model, load),
            Self::Tgi => tgi::write(&mut out, metrics, load),
            Self::Otel => otel::write(&mut out, metrics, &model),
        }?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests;
