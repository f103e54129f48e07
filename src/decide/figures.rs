//! Where the figures come from, as the manifest means it: the exporter's series, what costs rest on, and from when on a
//! figure counts. Read once. Never a gate and never a question.

use std::time::Duration;

use super::{
    plan::{PlannedGate, Wrong, duration_or, invalid},
    snapshot::Offers,
};
use crate::{
    api::{
        LlmRolloutSpec,
        exporters::{Metrics, Profile},
        v1alpha1,
    },
    metrics::{Prices, Source, metric, unit},
};

const WARM_UP: u64 = 30;

/// Where the figures come from.
pub(super) struct Figures<'a> {
    /// Which series are asked for.
    pub(super) source: Source,
    /// Which are looked for before that: as `source`, but for an exporter that is to be found out.
    pub(super) looked_for: Source,
    /// How long a pod that has just become ready is not judged by.
    pub(super) warm_up: Duration,
    /// Prices as they are written.
    prices: Option<&'a v1alpha1::Prices>,
}

impl<'a> Figures<'a> {
    /// Reads the manifest, or says what is wrong with it.
    pub(super) fn read(spec: &'a LlmRolloutSpec, offers: &'a Offers, found: Option<Profile>) -> Result<Self, Wrong> {
        let written = &spec.metrics;
        let prices = written.prices.as_ref().or(offers.prices.as_ref());
        let parsed = prices.map(Prices::parse).transpose().map_err(|e| invalid(format!("metrics.prices: {e}")))?;
        let gpu_price = match written.gpu_price.as_ref().or(offers.gpu_price.as_ref()) {
            Some(price) => Some(unit::gpu_price(price).map_err(|e| invalid(format!("metrics.gpuPrice: {e}")))?),
            None => None,
        };
        let scraped = match &written.scrape_interval {
            Some(text) => Some(duration_or(Some(text), 0, "metrics.scrapeInterval")?),
            None => None,
        };
        let looked_for = Source::read(written, parsed, gpu_price).map_err(invalid)?.scraped_every(scraped);
        let source = match found.filter(|_| looked_for.is_open()) {
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
        Ok(Self { source, looked_for, warm_up, prices })
    }

    /// Of which day the prices are that a cost rests on, and in which currency, where that is written.
    pub(super) fn note(&self, gate: &PlannedGate) -> Option<String> {
        let metric = gate.subject.metric()?;
        let prices = self.prices.filter(|_| metric::unit(metric) == unit::Unit::Dollars)?;
        let day = prices.as_of.as_ref().filter(|_| self.source.has_token_prices());
        let day = day.map(|day| format!("prices of {day}"));
        let currency = prices.currency.as_ref().map(|currency| format!("in {currency}"));
        Some([day, currency].into_iter().flatten().collect::<Vec<_>>().join(", ")).filter(|note| !note.is_empty())
    }
}
