//! `LlmRollout.spec.metrics`, read once: which table applies, under which names, for which series. Never asks anybody.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Prices, Question,
    cost::{Basis, Gpu},
    metric, profiles,
    scope::Scope,
    table::Table,
    unit,
};
use crate::api::{
    exporters::{CostBasis, Metrics, Profile},
    gates::Metric,
    status::Color,
};

/// Where the figures come from.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    profile: Profile,
    prefix: String,
    matchers: Option<[BTreeMap<String, String>; 2]>,
    basis: Basis,
    native: bool,
    scraped: Option<Duration>,
}

impl Source {
    /// Reads the manifest, or says what is wrong with it.
    pub fn read(written: &Metrics, prices: Option<Prices>, gpu_price: Option<f64>) -> Result<Self, String> {
        let prefix = written.prefix.clone().unwrap_or_default();
        if !is_prefix(&prefix) {
            return Err("metrics.prefix: small letters, digits, `_` and `:`; write for example `kserve_`".to_owned());
        }
        let matchers = written.matchers.as_ref().map(|m| [m.blue.clone(), m.green.clone()]);
        if let Some(label) = matchers.iter().flatten().flat_map(BTreeMap::keys).find(|label| !is_label(label)) {
            let label: String = label.chars().filter(|c| !c.is_control()).take(64).collect();
            return Err(format!(
                "metrics.match: `{label}` is no label that can tell colors apart; write for example `model_id: chat-green`"
            ));
        }
        if matchers.as_ref().is_some_and(|[blue, green]| blue == green || blue.is_empty() || green.is_empty()) {
            return Err("metrics.match: blue and green need labels, and not the same".to_owned());
        }
        let basis = match written.cost_basis {
            CostBasis::TokenPrice => Basis::TokenPrice(prices),
            CostBasis::GpuBusy => Basis::Gpu(Gpu::Busy, gpu_price),
            CostBasis::GpuAllocated => Basis::Gpu(Gpu::Allocated, gpu_price),
            CostBasis::GpuProjected => Basis::Gpu(Gpu::Projected, gpu_price),
        };
        let native = written.native_histograms.unwrap_or(profiles::table(written.profile).native);
        let source = Self { profile: written.profile, prefix, matchers, basis, native, scraped: None };
        if source.table().in_front && source.matchers.is_none() {
            let word = source.table().word;
            return Err(format!(
                "metrics.match: {word} measures in front of the pods, so labels must tell the colors apart; write for \
                 example `match: {{blue: {{model_id: chat-blue}}, green: {{model_id: chat-green}}}}`"
            ));
        }
        Ok(source)
    }

    /// A profile as it is when nothing else is written, for what is true of its names. Without labels that tell colors
    /// apart, which only a manifest knows.
    pub(super) fn bare(profile: Profile) -> Self {
        let prices = Prices { input: 1.0, cached_input: 1.0, output: 1.0 };
        let basis = Basis::TokenPrice(Some(prices));
        Self { profile, prefix: String::new(), matchers: None, basis, native: true, scraped: None }
    }

    /// The same under the names of this profile.
    #[must_use]
    pub fn named(self, profile: Profile) -> Self {
        Self { profile, ..self }
    }

    /// Whether the profile is still to be found out.
    pub fn is_open(&self) -> bool {
        self.profile == Profile::Auto
    }

    /// The profile.
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    /// What the scraper puts before every name.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The profiles that may be found: what measures in front of the pods needs labels that tell the colors apart.
    pub(super) fn eligible(&self) -> impl Iterator<Item = Profile> {
        let labeled = self.matchers.is_some();
        profiles::exporters().filter(move |(_, _, in_front)| labeled || !in_front).map(|(profile, ..)| profile)
    }

    /// The same, scraped so often.
    #[must_use]
    pub fn scraped_every(self, scraped: Option<Duration>) -> Self {
        Self { scraped, ..self }
    }

    /// The shortest window that tells anything: two scrapes, for a rate is the difference of two.
    pub(super) fn shortest(&self) -> Duration {
        self.scraped.map_or(Question::SHORTEST, |every| (2 * every).max(Question::SHORTEST))
    }

    /// The word of the profile in a manifest.
    pub fn word(&self) -> &'static str {
        self.table().word
    }

    pub(super) fn table(&self) -> &'static Table {
        profiles::table(self.profile)
    }

    pub(super) const fn basis(&self) -> Basis {
        self.basis
    }

    /// Whether the manifest's own labels tell the colors apart.
    pub const fn has_labels(&self) -> bool {
        self.matchers.is_some()
    }

    /// Whether a metric is of GPUs, which only pods have.
    pub fn needs_pods(&self, metric: Metric) -> bool {
        let dollars = metric::unit(metric) == unit::Unit::Dollars && self.table().account.is_none();
        metric == Metric::GpuUtilisation || dollars && matches!(self.basis, Basis::Gpu(..))
    }

    /// Whether costs rest on prices of tokens, and not on GPUs or an account of the exporter's own.
    pub fn has_token_prices(&self) -> bool {
        matches!(self.basis, Basis::TokenPrice(_)) && self.table().account.is_none()
    }

    /// The series of a color.
    pub(super) fn scope(&self, color: Color, namespace: &str, workload: &str) -> Scope<'_> {
        let scope = match (&self.matchers, color) {
            (Some([blue, _]), Color::Blue) => Scope::matching(blue),
            (Some([_, green]), Color::Green) => Scope::matching(green),
            (None, _) => Scope::pods(namespace, workload),
        };
        scope.prefixed(&self.prefix).or_native(self.native)
    }
}

/// Empty, or what may stand before the name of a metric. The schema says the same; a query is never built on trust.
fn is_prefix(text: &str) -> bool {
    text.len() <= 32
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'_' | b':' | b'0'..=b'9'))
        && !text.starts_with(|c: char| c.is_ascii_digit())
}

/// A label of Prometheus that means nothing to our queries.
pub(super) fn is_label(text: &str) -> bool {
    text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && text.starts_with(|c: char| !c.is_ascii_digit())
        && !text.starts_with("__")
        && !matches!(text, "le" | "quantile")
}

#[cfg(test)]
mod tests {
    use super::Source;
    use crate::api::exporters::{Matchers, Metrics, Profile};

    fn matching(blue: (&str, &str), green: (&str, &str)) -> Metrics {
        let one = |(label, value): (&str, &str)| [(label.to_owned(), value.to_owned())].into();
        let matchers = Some(Matchers { blue: one(blue), green: one(green) });
        Metrics { profile: Profile::Litellm, matchers, ..Metrics::default() }
    }

    #[test]
    fn a_gateway_needs_labels_that_tell_the_colors_apart() {
        assert!(Source::read(&matching(("model_id", "a"), ("model_id", "b")), None, None).is_ok());
        assert!(Source::read(&matching(("model_id", "a"), ("model_id", "a")), None, None).is_err());
        let bare = Metrics { profile: Profile::Litellm, ..Metrics::default() };
        assert!(Source::read(&bare, None, None).unwrap_err().contains("in front of the pods"));
        assert!(Source::read(&Metrics::default(), None, None).is_ok());
    }

    #[test]
    fn refuses_what_could_leave_its_place_in_a_query() {
        for label in ["", "0a", "a-b", "a{", "__name__", "le", "quantile", "a\"", "ä"] {
            let said = Source::read(&matching((label, "a"), ("model_id", "b")), None, None).unwrap_err();
            assert!(said.contains("metrics.match"), "{said}");
        }
        for prefix in ["A_", "0_", "a b", "up or ", "a{", &"a".repeat(33)] {
            let written = Metrics { prefix: Some(prefix.to_owned()), ..Metrics::default() };
            assert!(Source::read(&written, None, None).unwrap_err().contains("metrics.prefix"), "{prefix}");
        }
    }
}
