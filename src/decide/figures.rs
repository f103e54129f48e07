//! Where the figures come from, as the manifest means it: the exporter's series, what costs rest on, and from when on a
//! figure counts. Read once. Never a gate and never a question.

use std::time::Duration;

use super::{
    plan::{PlannedGate, Wrong, duration_or, invalid},
    prices,
    snapshot::Around,
};
use crate::{
    api::{LlmRolloutSpec, exporters::Metrics},
    metrics::{Prices, Source, metric, unit},
};

const WARM_UP: u64 = 30;

/// Where the figures come from.
pub(super) struct Figures {
    /// Which series are asked for.
    pub(super) source: Source,
    /// Which are looked for before that: as `source`, but for an exporter that is to be found out.
    pub(super) looked_for: Source,
    /// How long a pod that has just become ready is not judged by.
    pub(super) warm_up: Duration,
    /// Of which day the prices are that costs rest on, and in which currency, where that is written.
    day: Option<String>,
    currency: Option<String>,
}

impl Figures {
    /// Reads the manifest, or says what is wrong with it.
    pub(super) fn read(spec: &LlmRolloutSpec, around: Around<'_>) -> Result<Self, Wrong> {
        let written = &spec.metrics;
        let prices = prices::written(written.prices.as_ref(), around)?;
        let parsed =
            prices.as_deref().map(Prices::parse).transpose().map_err(|e| invalid(format!("metrics.prices: {e}")))?;
        let gpu_price = match written.gpu_price.as_ref().or(around.offers.gpu_price.as_ref()) {
            Some(price) => Some(unit::gpu_price(price).map_err(|e| invalid(format!("metrics.gpuPrice: {e}")))?),
            None => None,
        };
        let scraped = match &written.scrape_interval {
            Some(text) => Some(duration_or(Some(text), 0, "metrics.scrapeInterval")?),
            None => around.found.scraped,
        };
        let looked_for = Source::read(written, parsed, gpu_price).map_err(invalid)?.scraped_every(scraped);
        let source = match around.found.profile.filter(|_| looked_for.is_open()) {
            Some(found) => {
                let written = Metrics { profile: found, ..written.clone() };
                Source::read(&written, parsed, gpu_price).map_err(invalid)?.scraped_every(scraped)
            }
            None => looked_for.clone(),
        };
        let warm_up = match written.warm_up.as_deref() {
            Some("0s") => Duration::ZERO,
            _ => duration_or(written.warm_up.as_ref(), WARM_UP, "metrics.warmUp")?,
        };
        let day = prices.as_deref().filter(|_| source.has_token_prices()).and_then(|p| prices::day(p, around));
        let currency = prices.as_ref().and_then(|p| p.currency.as_ref()).map(|currency| format!("in {currency}"));
        Ok(Self { source, looked_for, warm_up, day, currency })
    }

    /// What is to be known of the prices that a cost rests on.
    pub(super) fn note(&self, gate: &PlannedGate) -> Option<String> {
        gate.subject.metric().filter(|metric| metric::unit(*metric) == unit::Unit::Dollars)?;
        let parts = [self.day.as_deref(), self.currency.as_deref()];
        Some(parts.into_iter().flatten().collect::<Vec<_>>().join(", ")).filter(|note| !note.is_empty())
    }
}
