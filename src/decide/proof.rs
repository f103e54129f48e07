//! What a statistical gate demands, read from the manifest: how much worse than the color that serves is too much, and how
//! sure a word must be. Never weighs anything.

use crate::{
    api::{
        gates::{Gate, Severity, Statistical},
        status::Color,
    },
    metrics::{
        Limit, Source, metric,
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
    let known = proof.above.is_some() || gate.quantile.is_some() && raw::bound_above(source, metric, 0.0).is_some();
    if time && !known {
        return Err("it is not known which buckets the exporter has; write one of their bounds, for example \
                    `statistical: {above: 1.5s}`"
            .to_owned());
    }
    Ok(())
}

fn part(text: Option<&str>, read: fn(&str) -> Option<f64>, default: f64, example: &str) -> Result<f64, String> {
    let Some(text) = text else { return Ok(default) };
    let value = read(text).filter(|value| value.is_finite() && *value >= 0.0);
    value.ok_or_else(|| format!("`statistical`: {text} cannot be read; write for example `{example}`"))
}
