//! The spec, read once: typed, defaulted, complete, or the list of what is wrong with it. After this nobody opens the
//! spec's strings again. Never looks at status, time or the cluster.

use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::snapshot::Offers;
use crate::{
    api::{
        LlmRolloutSpec, Reason,
        v1alpha1::{Gate, Metric, NoDataThen, Profile, Step},
    },
    metrics::{Limit, Prices, vllm},
    routers::Claim,
};

const DEFAULT_STEPS: [(i32, u64); 4] = [(5, 30 * 60), (20, 60 * 60), (50, 2 * 60 * 60), (100, 4 * 60 * 60)];
const DEFAULT_STEPS_WITHOUT_SPLIT: [(i32, u64); 1] = [(100, 4 * 60 * 60)];

/// What the manifest means.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The steps, weights rising, the last 100.
    pub steps: Vec<PlannedStep>,
    /// The gates.
    pub gates: Vec<PlannedGate>,
    /// The provider that is asked.
    pub provider: String,
    /// Which exporter's names apply.
    pub profile: Profile,
    /// Prices for cost gates.
    pub prices: Option<Prices>,
    /// How long the candidate may take to become ready.
    pub ready_timeout: Duration,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedStep {
    /// Share of the candidate in percent.
    pub weight: i32,
    /// How long it is measured at least.
    pub hold: Duration,
}

/// One gate.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedGate {
    /// Its name.
    pub name: String,
    /// What is measured.
    pub metric: Metric,
    /// Which quantile of the latency.
    pub quantile: Option<String>,
    /// The limit.
    pub max: Limit,
    /// So many bad samples …
    pub bad: usize,
    /// … of the last so many fail the gate.
    pub of: usize,
    /// How often it is asked.
    pub interval: Duration,
    /// How far back a sample looks at most.
    pub window: Duration,
    /// Fewer requests are no data.
    pub min_samples: i32,
    /// How long to wait for data.
    pub budget: Duration,
    /// What a spent budget leads to.
    pub then: NoDataThen,
}

/// What is wrong with a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The word.
    pub reason: Reason,
    /// What to write instead.
    pub message: String,
}

impl Plan {
    /// Reads the spec, or says the first thing that is wrong with it.
    pub fn read(spec: &LlmRolloutSpec, offers: &Offers) -> Result<Self, Wrong> {
        if spec.traffic.iter().any(|t| Claim::of(t).is_none()) {
            return Err(invalid("traffic: each item names exactly one router; write `- service: {name: chat}` or `- httpRoute: {name: chat}`".into()));
        }
        let provider = spec.metrics.provider.clone().unwrap_or_else(|| "default".to_owned());
        if !offers.providers.contains(&provider) {
            let known = offers.providers.join(", ");
            let message =
                format!("metrics.provider: the operator's configuration has no provider {provider}; it has: {known}");
            return Err(Wrong { reason: Reason::ProviderUnknown, message });
        }
        let prices = match spec.metrics.prices.as_ref().or(offers.prices.as_ref()) {
            Some(prices) => Some(Prices::parse(prices).map_err(|e| invalid(format!("metrics.prices: {e}")))?),
            None => None,
        };
        let gates = spec.gates.iter().map(read_gate).collect::<Result<Vec<_>, _>>()?;
        if gates.is_empty() {
            return Err(invalid(
                "gates: at least one is needed; write `- {name: errors, metric: errorRate, max: 1%}`".into(),
            ));
        }
        if let Some(cost) = gates.iter().find(|g| g.metric == Metric::CostPerRequest && prices.is_none()) {
            let message = format!(
                "gates: {} needs prices; write `metrics: {{prices: {{input: $0.50, output: $1.50}}}}` in dollars per million tokens",
                cost.name
            );
            return Err(Wrong { reason: Reason::PricesMissing, message });
        }
        let ready_timeout = duration_or(spec.release.template.ready_timeout.as_ref(), 30 * 60, "readyTimeout")?;
        Ok(Self { steps: read_steps(spec)?, gates, provider, profile: spec.metrics.profile, prices, ready_timeout })
    }

    /// The first step above a confirmed weight, with its number; from the start when nothing is confirmed.
    pub fn step_after(&self, weight: Option<i32>) -> Option<(i32, PlannedStep)> {
        let numbered = (1..).zip(&self.steps);
        numbered.map(|(n, s)| (n, *s)).find(|(_, s)| weight.is_none_or(|w| s.weight > w))
    }
}

fn invalid(message: String) -> Wrong {
    Wrong { reason: Reason::InvalidSpec, message }
}

fn read_steps(spec: &LlmRolloutSpec) -> Result<Vec<PlannedStep>, Wrong> {
    let splits = spec.traffic.iter().filter_map(Claim::of).any(|c| matches!(c, Claim::HttpRoute(_)));
    let steps = if let Some(steps) = &spec.steps {
        let one = |s: &Step| Ok(PlannedStep { weight: s.weight, hold: duration_or(Some(&s.hold), 0, "hold")? });
        steps.iter().map(one).collect::<Result<Vec<_>, Wrong>>()?
    } else {
        let defaults: &[(i32, u64)] = if splits { &DEFAULT_STEPS } else { &DEFAULT_STEPS_WITHOUT_SPLIT };
        defaults.iter().map(|&(weight, s)| PlannedStep { weight, hold: Duration::from_secs(s) }).collect()
    };
    let rising = steps.windows(2).all(|pair| matches!(pair, [a, b] if a.weight < b.weight));
    if steps.last().is_none_or(|s| s.weight != 100) || !rising || steps.iter().any(|s| s.weight < 1) {
        return Err(invalid("steps: weights must rise and end at 100; write for example 5, 20, 50, 100".into()));
    }
    if !splits && steps.iter().any(|s| s.weight != 100) {
        return Err(invalid(
            "steps: with only a `service` router the weight must be 100; add `- httpRoute: {name: chat}` to `traffic`"
                .into(),
        ));
    }
    Ok(steps)
}

fn read_gate(gate: &Gate) -> Result<PlannedGate, Wrong> {
    let name = &gate.name;
    let max = Limit::parse(&gate.max).map_err(|e| invalid(format!("gates: {name}: {e}")))?;
    max.fits(gate.metric).map_err(|e| invalid(format!("gates: {name}: {e}")))?;
    if (gate.metric == Metric::Latency) != gate.quantile.is_some() {
        return Err(invalid(format!(
            "gates: {name}: `quantile` belongs to `metric: latency`; write `metric: latency, quantile: \"0.95\", max: 1.5s`"
        )));
    }
    if gate.metric == Metric::Latency && max.value() > vllm::LAST_FINITE_BOUND {
        let bound = vllm::LAST_FINITE_BOUND;
        return Err(invalid(format!(
            "gates: {name}: the exporter's last latency bucket ends at {bound}s, so that nothing above it can be told; write a limit below"
        )));
    }
    let (bad, of) = read_failures(gate.failures.as_deref().unwrap_or("2 of 3"))
        .ok_or_else(|| invalid(format!("gates: {name}: failures: write for example `2 of 3`")))?;
    let no_data = gate.no_data.clone().unwrap_or_default();
    Ok(PlannedGate {
        name: name.clone(),
        metric: gate.metric,
        quantile: gate.quantile.clone(),
        max,
        bad,
        of,
        interval: duration_or(gate.interval.as_ref(), 15, "interval")?,
        window: duration_or(gate.window.as_ref(), 5 * 60, "window")?,
        min_samples: gate.min_samples.unwrap_or(50).max(1),
        budget: duration_or(no_data.budget.as_ref(), 15 * 60, "noData.budget")?,
        then: no_data.then,
    })
}

fn read_failures(text: &str) -> Option<(usize, usize)> {
    let (bad, of) = text.split_once(" of ")?;
    let (bad, of) = (bad.parse().ok()?, of.parse().ok()?);
    (1 <= bad && bad <= of && of <= 99).then_some((bad, of))
}

fn duration_or(text: Option<&String>, default_seconds: u64, field: &str) -> Result<Duration, Wrong> {
    let Some(text) = text else { return Ok(Duration::from_secs(default_seconds)) };
    duration(text)
        .ok_or_else(|| invalid(format!("{field}: {text} is not a duration; write for example 30s, 15m or 1h30m")))
}

/// `1h30m`, `15m`, `30s`; at least a second, at most a week.
pub fn duration(text: &str) -> Option<Duration> {
    let mut total: u64 = 0;
    let mut number = String::new();
    let mut last = u64::MAX;
    for c in text.chars() {
        let unit = match c {
            '0'..='9' => {
                number.push(c);
                continue;
            }
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        if unit >= last {
            return None;
        }
        last = unit;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        number.clear();
    }
    let whole = number.is_empty() && (1..=7 * 24 * 3600).contains(&total);
    whole.then(|| Duration::from_secs(total))
}

/// The revision of a pod template: the same words in another order are the same revision.
pub fn revision(template: &serde_json::Map<String, Value>) -> String {
    digest(&Value::Object(template.clone()))
}

/// Twelve hexadecimal digits that change when anything in `value` does.
pub fn digest(value: &Value) -> String {
    let mut canonical = String::new();
    write_sorted(value, &mut canonical);
    let hash = Sha256::digest(canonical.as_bytes());
    hash.iter().take(6).fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn write_sorted(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            out.push('{');
            let sorted: std::collections::BTreeMap<_, _> = map.iter().collect();
            for (key, item) in sorted {
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                write_sorted(item, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write_sorted(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => out.push_str(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::{digest, duration, read_failures};

    #[test]
    fn durations_are_read_strictly() {
        assert_eq!(duration("1h30m"), Some(Duration::from_mins(90)));
        assert_eq!(duration("45s"), Some(Duration::from_secs(45)));
        for bad in ["", "5", "5 minutes", "PT5M", "-5m", "0s", "1y", "30m1h", "169h", "99999999999999999999s", "m"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn failures_are_read_strictly() {
        assert_eq!(read_failures("2 of 3"), Some((2, 3)));
        assert_eq!(read_failures("3 of 2"), None);
        assert_eq!(read_failures("0 of 2"), None);
    }

    #[test]
    fn the_order_of_fields_is_no_revision() {
        let a = json!({"spec": {"x": 1, "y": [1, 2]}, "metadata": {}});
        let b = json!({"metadata": {}, "spec": {"y": [1, 2], "x": 1}});
        assert_eq!(digest(&a), digest(&b));
        assert_ne!(digest(&a), digest(&json!({"metadata": {}, "spec": {"y": [2, 1], "x": 1}})));
    }
}
