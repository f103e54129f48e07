//! What a statistical gate demands, read from the manifest: how much worse than the color that serves is too much, and how
//! sure a word must be. Never weighs anything.

use crate::{
    api::{
        gates::{Gate, Metric, Severity, Statistical},
        status::Color,
    },
    metrics::{
        Limit, Place, Source, ask, metric,
        raw::{self, Demand, Exact, Pods, What},
        unit::{Unit, percent, points},
    },
};

/// What must be proved of a candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Proof {
    /// So much more than the other color is too much, as a part of its figure …
    pub relative: f64,
    /// … and so much more in the figure's unit.
    pub absolute: f64,
    /// A bound in place of a comparison.
    pub max: Option<f64>,
    /// What takes longer than so many seconds is bad; none: what the other color's quantile says.
    pub above: Option<f64>,
    /// The probability of a wrong word, either way.
    pub alpha: f64,
    /// Whether it is a mean, and not a share.
    pub mean: bool,
}

impl Proof {
    /// What this asks for.
    pub(super) fn demand(self, what: What) -> Demand {
        let [relative, absolute, alpha] = [self.relative, self.absolute, self.alpha].map(Exact::of);
        Demand { what, relative, absolute, alpha }
    }

    /// `+50%+0.5pp` of the other color, or the bound.
    pub(super) fn word(self) -> String {
        if let Some(max) = self.max {
            return Limit::Share(max).to_string();
        }
        let relative = format!("+{}", Limit::Share(self.relative));
        let points = (self.absolute > 0.0).then(|| Limit::Share(self.absolute).to_string());
        points.map_or(relative.clone(), |points| format!("{relative}+{}pp", points.trim_end_matches('%')))
    }
}

/// Reads `statistical`, or says what to write instead.
pub(super) fn read(gate: &Gate, written: &Statistical) -> Result<Proof, String> {
    let Some(metric) = gate.metric else {
        return Err("`statistical` needs a `metric`, whose raw counters are read".to_owned());
    };
    if gate.severity == Severity::Abort {
        return Err("`statistical` weighs many samples and `Abort` needs one; leave out `severity`, or write a limit"
            .to_owned());
    }
    let (mean, time) = (raw::is_mean(metric), metric::unit(metric) == Unit::Seconds);
    if mean && (written.max.is_some() || written.absolute.is_some()) {
        return Err("`statistical` of a mean takes `relative`; write for example `relative: 20%`".to_owned());
    }
    if written.max.is_some() && (written.relative.is_some() || written.absolute.is_some()) {
        return Err("`statistical` takes `max`, or `relative` and `absolute`".to_owned());
    }
    if written.above.is_some() && !time {
        return Err(
            "`above` belongs to a latency; write for example `metric: latency, statistical: {above: 1.5s}`".to_owned()
        );
    }
    let relative = part(written.relative.as_deref(), percent, if mean { 0.2 } else { 0.5 }, "relative: 50%")?;
    let absolute = part(written.absolute.as_deref(), points, if mean { 0.0 } else { 0.005 }, "absolute: 0.5pp")?;
    if relative <= 0.0 && absolute <= 0.0 {
        return Err("`statistical` needs room to be as good as the other color in; write for example `relative: 50%`"
            .to_owned());
    }
    let max = written.max.as_deref().map(|text| part(Some(text), percent, 0.0, "max: 1%")).transpose()?;
    if max.is_some_and(|max| max <= 0.0 || max >= 1.0) {
        return Err("`statistical.max` lies between 0% and 100%; write for example `max: 1%`".to_owned());
    }
    let above = match written.above.as_deref().map(Limit::read) {
        None => None,
        Some(Ok(Limit::Seconds(seconds))) if seconds > 0.0 => Some(seconds),
        Some(_) => return Err("`above` is a time; write for example `above: 1.5s`".to_owned()),
    };
    let sure = part(written.confidence.as_deref(), percent, 0.95, "confidence: 95%")?;
    if !(0.5..1.0).contains(&sure) {
        return Err("`confidence` lies between 50% and 100%; write for example `confidence: 95%`".to_owned());
    }
    // A bound is a bound: there is no room above it.
    let (relative, absolute) = if max.is_some() { (0.0, 0.0) } else { (relative, absolute) };
    Ok(Proof { relative, absolute, max, above, alpha: 1.0 - sure, mean })
}

/// Whether what it weighs can be counted, and where a latency is to be cut.
pub(super) fn can_be_counted(gate: &Gate, source: &Source, proof: Proof) -> Result<(), String> {
    let Some(metric) = gate.metric else { return Ok(()) };
    let time = metric::unit(metric) == Unit::Seconds;
    let pods = [Color::Blue, Color::Green].map(|color| Pods { color, workload: "" });
    raw::views(source, metric, time.then_some(proof.above.unwrap_or(1.0)), "", pods).map_err(|why| why.to_string())?;
    if let Some(above) = proof.above.filter(|_| time) {
        is_a_bound(source, metric, above)?;
    }
    let known = proof.above.is_some() || gate.quantile.is_some() && raw::bound_above(source, metric, 0.0).is_some();
    if time && !known {
        return Err("it is not known which buckets the exporter has; write one of their bounds, for example \
                    `statistical: {above: 1.5s}`"
            .to_owned());
    }
    Ok(())
}

/// Nothing is counted between two buckets, nor above the last.
fn is_a_bound(source: &Source, metric: Metric, above: f64) -> Result<(), String> {
    let words = |seconds: f64| Limit::Seconds(seconds).to_string();
    match ask::place(source, metric, above) {
        Place::Between(below, next) => {
            let nearest = if above - below < next - above && below > 0.0 { below } else { next };
            Err(format!(
                "`above: {}` lies between the exporter's buckets of {} and {}, where nothing is counted; write `above: {}`",
                words(above),
                words(below),
                words(next),
                words(nearest)
            ))
        }
        Place::Unknown => match ask::last_bound(source, metric).filter(|last| above > *last) {
            Some(last) => {
                Err(format!("the exporter's last bucket ends at {0}; write `above: {0}` or less", words(last)))
            }
            None => Ok(()),
        },
        Place::Bound => Ok(()),
    }
}

fn part(text: Option<&str>, read: fn(&str) -> Option<f64>, default: f64, example: &str) -> Result<f64, String> {
    let Some(text) = text else { return Ok(default) };
    let value = read(text).filter(|value| value.is_finite() && *value >= 0.0);
    value.ok_or_else(|| format!("`statistical`: {text} cannot be read; write for example `{example}`"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Proof, can_be_counted, read};
    use crate::{
        api::{exporters::Metrics, gates::Gate},
        metrics::Source,
    };

    fn gate(metric: &str, statistical: &Value) -> Gate {
        serde_json::from_value(json!({"name": "g", "metric": metric, "statistical": statistical})).unwrap()
    }

    fn proof(metric: &str, statistical: &Value) -> Result<Proof, String> {
        let gate = gate(metric, statistical);
        read(&gate, gate.statistical.as_ref().unwrap())
    }

    fn near(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-12
    }

    #[test]
    fn what_is_not_written_is_read_as_it_is_documented() {
        let share = proof("errorRate", &json!({})).unwrap();
        assert!(near(share.relative, 0.5) && near(share.absolute, 0.005) && near(share.alpha, 0.05), "{share:?}");
        assert_eq!((share.max, share.above, share.mean), (None, None, false));
        let mean = proof("costPerRequest", &json!({})).unwrap();
        assert!(near(mean.relative, 0.2) && near(mean.absolute, 0.0) && mean.mean, "{mean:?}");
        let own = json!({"relative": "0%", "absolute": "2pp", "confidence": "99%"});
        let own = proof("errorRate", &own).unwrap();
        assert!(near(own.relative, 0.0) && near(own.absolute, 0.02) && near(own.alpha, 0.01), "{own:?}");
        let relative = proof("errorRate", &json!({"relative": "10%", "absolute": "0pp"})).unwrap();
        assert!(near(relative.relative, 0.1) && near(relative.absolute, 0.0), "{relative:?}");
        let bound = proof("errorRate", &json!({"max": "1%"})).unwrap();
        assert_eq!((bound.max, bound.relative, bound.absolute), (Some(0.01), 0.0, 0.0), "no room above a bound");
        assert_eq!(proof("latency", &json!({"above": "1.5s"})).unwrap().above, Some(1.5));
        assert!(near(proof("errorRate", &json!({"confidence": "50%"})).unwrap().alpha, 0.5));
    }

    #[test]
    fn what_is_demanded_is_said_in_a_word() {
        for (metric, written, word) in [
            ("errorRate", json!({}), "+50%+0.5pp"),
            ("errorRate", json!({"absolute": "0pp"}), "+50%"),
            ("errorRate", json!({"max": "1%"}), "1%"),
            ("costPerRequest", json!({}), "+20%"),
        ] {
            assert_eq!(proof(metric, &written).unwrap().word(), word);
        }
    }

    #[test]
    fn what_cannot_be_proved_is_told_what_to_write() {
        for (metric, written, words) in [
            ("costPerRequest", json!({"max": "1%"}), "of a mean takes `relative`"),
            ("costPerRequest", json!({"absolute": "1pp"}), "of a mean takes `relative`"),
            ("errorRate", json!({"max": "1%", "relative": "10%"}), "takes `max`, or"),
            ("errorRate", json!({"max": "1%", "absolute": "1pp"}), "takes `max`, or"),
            ("errorRate", json!({"above": "1s"}), "belongs to a latency"),
            ("errorRate", json!({"relative": "0%", "absolute": "0pp"}), "needs room"),
            ("errorRate", json!({"relative": "-1%"}), "`relative: 50%`"),
            ("errorRate", json!({"relative": "much"}), "`relative: 50%`"),
            ("errorRate", json!({"absolute": "1%"}), "`absolute: 0.5pp`"),
            ("errorRate", json!({"max": "0%"}), "between 0% and 100%"),
            ("errorRate", json!({"max": "100%"}), "between 0% and 100%"),
            ("latency", json!({"above": "0s"}), "`above` is a time"),
            ("latency", json!({"above": "1%"}), "`above` is a time"),
            ("errorRate", json!({"confidence": "49%"}), "between 50% and 100%"),
            ("errorRate", json!({"confidence": "100%"}), "between 50% and 100%"),
        ] {
            let said = proof(metric, &written).unwrap_err();
            assert!(said.contains(words), "{written}: {said}");
        }
        let query: Gate = serde_json::from_value(json!({"name": "g", "query": "q", "statistical": {}})).unwrap();
        assert!(read(&query, query.statistical.as_ref().unwrap()).unwrap_err().contains("needs a `metric`"));
        let abort = Gate { severity: crate::api::gates::Severity::Abort, ..gate("errorRate", &json!({})) };
        assert!(read(&abort, abort.statistical.as_ref().unwrap()).unwrap_err().contains("`Abort` needs one"));
    }

    /// A latency is cut at a bucket's bound: a written one, or the one that holds the quantile of the color that serves.
    #[test]
    fn a_latency_needs_to_know_where_it_is_cut() {
        let source = |profile: &str| {
            let metrics: Metrics = serde_json::from_value(json!({"profile": profile})).unwrap();
            Source::read(&metrics, None, None).unwrap()
        };
        let counted = |profile: &str, quantile: Option<&str>, written: Value| {
            let gate = Gate { quantile: quantile.map(str::to_owned), ..gate("latency", &written) };
            can_be_counted(&gate, &source(profile), read(&gate, gate.statistical.as_ref().unwrap()).unwrap())
        };
        assert_eq!(counted("vllm", Some("0.95"), json!({})), Ok(()));
        assert_eq!(counted("vllm", None, json!({"above": "1.5s"})), Ok(()));
        for (above, cure) in
            [("1.6s", "write `above: 1.5s`"), ("1.9s", "write `above: 2s`"), ("100ms", "`above: 300ms`")]
        {
            assert!(counted("vllm", None, json!({"above": above})).unwrap_err().ends_with(cure), "{above}");
        }
        assert!(counted("vllm", None, json!({"above": "9000s"})).unwrap_err().contains("last bucket ends at"));
        assert!(counted("vllm", None, json!({})).unwrap_err().contains("write one of their bounds"));
        let share = gate("errorRate", &json!({}));
        assert_eq!(can_be_counted(&share, &source("vllm"), proof("errorRate", &json!({})).unwrap()), Ok(()));
        let rate = gate("outputTokensPerSecond", &json!({}));
        let demanded = proof("outputTokensPerSecond", &json!({}));
        assert!(demanded.is_err() || can_be_counted(&rate, &source("vllm"), demanded.unwrap()).is_err());
    }
}
