//! What a value is held against: a limit, a band, or what the other color, or the time before, makes of it. Reads it from
//! the manifest, resolves it to a band of values, and says it in words. Never looks at a reading.

use super::proof::{self, Proof};
use crate::{
    api::gates::{ComparedTo, Gate},
    metrics::{
        Limit, metric,
        unit::{factor, percent, points},
    },
};

/// What a gate demands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Test {
    /// It may not be above.
    Max(Limit),
    /// The share of what took longer than a time may not be above this one: `Above(share, time)`.
    Above(Limit, Limit),
    /// It may not be below.
    Min(Limit),
    /// It must lie between, both included.
    Between(Limit, Limit),
    /// It must be this count.
    Equals(Limit),
    /// It must lie so near, by a part of it.
    Target(Limit, f64),
    /// So many times the reference at least, and at most.
    Ratio(Option<f64>, Option<f64>),
    /// So much more than the reference, by a part of it, at least and at most.
    Change(Option<f64>, Option<f64>),
    /// So much above the reference at most.
    Delta(Limit),
    /// Proved by evidence, and not by a limit.
    Proved(Proof),
}

/// The values that hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    least: Option<f64>,
    most: Option<f64>,
}

impl Band {
    /// The largest value that holds, if there is one.
    pub const fn most(self) -> Option<f64> {
        self.most
    }

    /// Whether a value lies outside.
    pub fn breaks(self, value: f64) -> bool {
        self.least.is_some_and(|least| value < least) || self.most.is_some_and(|most| value > most)
    }
}

impl Test {
    /// The values that hold, given what they are compared with; none when that gives nothing to compare with.
    pub fn band(self, reference: Option<f64>) -> Option<Band> {
        let band = |least, most| Some(Band { least, most });
        // A part of nothing is nothing: every value would be infinitely more.
        let parts_of = reference.filter(|r| *r > 0.0);
        match self {
            Self::Max(limit) => band(None, Some(limit.value())),
            // One minus a ratio of two rates: 5 of 100 are not to be more than 5%.
            Self::Above(share, _) => band(None, Some(share.value() + NOISE)),
            Self::Min(limit) => band(Some(limit.value()), None),
            Self::Between(least, most) => band(Some(least.value()), Some(most.value())),
            // A rate over a window is never quite whole.
            Self::Equals(limit) => band(Some(limit.value() - HALF), Some(limit.value() + HALF)),
            Self::Target(limit, part) => band(Some(limit.value() * (1.0 - part)), Some(limit.value() * (1.0 + part))),
            Self::Ratio(least, most) => parts_of.and_then(|r| band(least.map(|n| n * r), most.map(|n| n * r))),
            Self::Change(least, most) => {
                parts_of.and_then(|r| band(least.map(|n| r * (1.0 + n)), most.map(|n| r * (1.0 + n))))
            }
            Self::Delta(limit) => reference.and_then(|r| band(None, Some(r + limit.value()))),
            // No single value tells anything.
            Self::Proved(_) => None,
        }
    }

    /// As it is shown in status: `1%`, `≥99%`, `60%…80%`, `=0`; in values when what it is compared with is known.
    pub fn word(self, unit: Limit, reference: Option<f64>) -> String {
        match (self, reference.and_then(|r| self.band(Some(r)))) {
            (Self::Max(limit), _) => limit.to_string(),
            (Self::Above(share, time), _) => format!("{share} over {time}"),
            (Self::Min(limit), _) => format!("≥{limit}"),
            (Self::Between(least, most), _) => format!("{least}…{most}"),
            (Self::Equals(limit), _) => format!("={limit}"),
            (Self::Target(limit, part), _) => format!("{limit}±{}", Limit::Share(part)),
            (Self::Ratio(..) | Self::Change(..) | Self::Delta(_), Some(band)) => match (band.least, band.most) {
                (None, Some(most)) => unit.with(most).plain(),
                (Some(least), None) => format!("≥{}", unit.with(least).plain()),
                (least, most) => {
                    let [least, most] = [least, most].map(|v| v.map_or_else(String::new, |v| unit.with(v).plain()));
                    format!("{least}…{most}")
                }
            },
            (Self::Ratio(..) | Self::Change(..) | Self::Delta(_), None) => self.relative(),
            (Self::Proved(proof), _) => proof.word(),
        }
    }

    /// `1.2×`, `≥0.9×`, `-60%…-40%`, `+0.1pp`: how it relates to what it is compared with.
    pub fn relative(self) -> String {
        let range = |least: Option<String>, most: Option<String>| match (least, most) {
            (None, Some(most)) => most,
            (Some(least), None) => format!("≥{least}"),
            (least, most) => format!("{}…{}", least.unwrap_or_default(), most.unwrap_or_default()),
        };
        let part = |v: f64| format!("{}{}", if v < 0.0 { "-" } else { "+" }, Limit::Share(v.abs()));
        match self {
            Self::Ratio(least, most) => range(least.map(|n| format!("{n}×")), most.map(|n| format!("{n}×"))),
            Self::Change(least, most) => range(least.map(part), most.map(part)),
            Self::Delta(Limit::Share(v)) => format!("+{}pp", Limit::Share(v).to_string().trim_end_matches('%')),
            Self::Delta(limit) => format!("+{limit}"),
            Self::Max(_)
            | Self::Above(..)
            | Self::Min(_)
            | Self::Between(..)
            | Self::Equals(_)
            | Self::Target(..)
            | Self::Proved(_) => String::new(),
        }
    }

    /// The limit in whose unit values are shown; none where only a comparison is demanded.
    pub const fn limit(self) -> Option<Limit> {
        match self {
            Self::Max(limit)
            | Self::Above(limit, _)
            | Self::Min(limit)
            | Self::Between(limit, _)
            | Self::Equals(limit)
            | Self::Target(limit, _) => Some(limit),
            Self::Ratio(..) | Self::Change(..) | Self::Delta(_) | Self::Proved(_) => None,
        }
    }

    /// What is to be proved, if evidence is weighed.
    pub const fn proof(self) -> Option<Proof> {
        if let Self::Proved(proof) = self { Some(proof) } else { None }
    }

    /// Whether it says nothing without something to compare with.
    pub const fn compares(self) -> bool {
        matches!(self, Self::Ratio(..) | Self::Change(..) | Self::Delta(_))
    }
}

const HALF: f64 = 0.499_999_999;
const NOISE: f64 = 1e-9;

/// What a gate demands and what it is compared with, or what to write instead.
pub(super) fn read(gate: &Gate) -> Result<(Test, Option<ComparedTo>), String> {
    let all = [
        gate.max.as_deref().map(|t| Ok(Test::Max(fitting(gate, Limit::parse(t))?))),
        gate.min.as_deref().map(|t| Ok(Test::Min(fitting(gate, Limit::read(t))?))),
        gate.between.as_deref().map(|b| between(gate, b)),
        gate.equals.as_deref().map(|t| equals(gate, t)),
        gate.target.as_deref().map(|t| target(gate, t)),
        (gate.max_ratio.is_some() || gate.min_ratio.is_some()).then(|| ratio(gate)),
        gate.change.as_ref().map(|_| change(gate)),
        gate.max_delta.as_deref().map(|t| delta(gate, t)),
        gate.statistical.as_ref().map(|w| proof::read(gate, w).map(Test::Proved)),
        gate.alerts.as_ref().map(|_| Ok(Test::Equals(Limit::Count(0.0)))),
    ];
    let mut written = all.into_iter().flatten();
    let (Some(test), None) = (written.next(), written.next()) else {
        let all = "`max`, `min`, `between`, `equals`, `target`, `maxRatio`/`minRatio`, `change`, `maxDelta` and `statistical`";
        let alerts = if gate.alerts.is_some() { "; `alerts` takes none: no alert may fire" } else { "" };
        return Err(format!("exactly one of {all}; write for example `max: 1%`{alerts}"));
    };
    let test = test?;
    if gate.tolerance.is_some() && !matches!(test, Test::Target(..)) {
        return Err("`tolerance` belongs to `target`; write for example `target: $0.032, tolerance: 20%`".to_owned());
    }
    if let Test::Proved(proof) = test {
        return match gate.compared_to {
            Some(ComparedTo::Baseline) => {
                Err("`statistical` weighs both colors at the same time; leave out `comparedTo`".to_owned())
            }
            _ => Ok((test, proof.max.is_none().then_some(ComparedTo::Active))),
        };
    }
    match (test.compares(), gate.compared_to) {
        (true, None) => Err("`maxRatio`, `minRatio`, `change` and `maxDelta` need `comparedTo: active` or `comparedTo: baseline`".to_owned()),
        (false, Some(_)) => Err("`comparedTo` needs `maxRatio`, `minRatio`, `change` or `maxDelta`; write for example `comparedTo: active, maxRatio: \"1.2\"`".to_owned()),
        (_, against) => Ok((test, against)),
    }
}

fn fitting(gate: &Gate, limit: Result<Limit, crate::metrics::UnitError>) -> Result<Limit, String> {
    let limit = limit.map_err(|e| e.to_string())?;
    gate.metric.map_or(Ok(()), |metric| limit.fits(metric)).map_err(|e| e.to_string())?;
    Ok(limit)
}

fn between(gate: &Gate, bounds: &[String]) -> Result<Test, String> {
    let say = "`between` takes a smaller and a larger limit; write for example `between: [60%, 80%]`";
    let [least, most] = bounds else { return Err(say.to_owned()) };
    let (least, most) = (fitting(gate, Limit::read(least))?, fitting(gate, Limit::read(most))?);
    if !least.is_like(most) || least.value() >= most.value() {
        return Err(say.to_owned());
    }
    Ok(Test::Between(least, most))
}

fn equals(gate: &Gate, text: &str) -> Result<Test, String> {
    let counts = gate.metric.is_none_or(|m| metric::unit(m) == metric::unit(crate::api::gates::Metric::Requests));
    let limit = Limit::read(text).ok().filter(|limit| counts && matches!(limit, Limit::Count(_)));
    limit.map(Test::Equals).ok_or_else(|| {
        "`equals` takes a count, of `metric: requests`, of a query, of an endpoint or of a Job; write `max` with a limit in the metric's unit"
            .to_owned()
    })
}

fn target(gate: &Gate, text: &str) -> Result<Test, String> {
    let limit = fitting(gate, Limit::read(text))?;
    let part = gate.tolerance.as_deref().and_then(percent).filter(|part| *part > 0.0 && *part < 1.0);
    let part = part.ok_or("`target` needs a `tolerance` between 0% and 100%; write for example `tolerance: 20%`")?;
    Ok(Test::Target(limit, part))
}

fn ratio(gate: &Gate) -> Result<Test, String> {
    let one = |text: &Option<String>| match text.as_deref().map(factor) {
        Some(None | Some(0.0)) => Err("`maxRatio` and `minRatio` take a factor; write for example `maxRatio: \"1.2\"`"),
        read => Ok(read.flatten()),
    };
    ordered(one(&gate.min_ratio)?, one(&gate.max_ratio)?, "maxRatio").map(|(least, most)| Test::Ratio(least, most))
}

fn change(gate: &Gate) -> Result<Test, String> {
    let say = "`change` takes percentages of -100% and more; write for example `change: {min: -60%, max: -40%}`";
    let one = |text: Option<&String>| match text.map(|t| percent(t)) {
        Some(None) => Err(say),
        Some(Some(part)) if part < -1.0 => Err(say),
        read => Ok(read.flatten()),
    };
    let change = gate.change.as_ref();
    let (least, most) = (one(change.and_then(|c| c.min.as_ref()))?, one(change.and_then(|c| c.max.as_ref()))?);
    if least.or(most).is_none() {
        return Err(say.to_owned());
    }
    ordered(least, most, "change.max").map(|(least, most)| Test::Change(least, most))
}

/// A lower bound and an upper one that leave room between them.
fn ordered(least: Option<f64>, most: Option<f64>, field: &str) -> Result<(Option<f64>, Option<f64>), String> {
    if least.zip(most).is_some_and(|(least, most)| least >= most) {
        return Err(format!("`{field}` has to be above its lower bound"));
    }
    Ok((least, most))
}

fn delta(gate: &Gate, text: &str) -> Result<Test, String> {
    let share = gate.metric.is_some_and(|m| matches!(Limit::zero(metric::unit(m)), Limit::Share(_)));
    if let Some(points) = points(text).filter(|_| share || gate.metric.is_none()) {
        return Ok(Test::Delta(Limit::Share(points)));
    }
    if share || text.ends_with('%') || text.ends_with("pp") {
        return Err("`maxDelta` of a share is in percentage points, of anything else in its unit; write for example `maxDelta: 0.1pp`".to_owned());
    }
    fitting(gate, Limit::read(text)).map(Test::Delta)
}

#[cfg(test)]
mod tests {
    use super::{Test, read};
    use crate::{
        api::gates::{ComparedTo, Gate},
        metrics::Limit,
    };

    fn gate(mut yaml: serde_json::Value) -> Result<(Test, Option<ComparedTo>), String> {
        yaml.as_object_mut().unwrap().insert("name".to_owned(), "g".into());
        read(&serde_json::from_value::<Gate>(yaml).unwrap())
    }

    /// The word, and whether each of the values breaks it.
    fn shown(gate_: serde_json::Value, reference: Option<f64>, values: [f64; 3]) -> (String, [bool; 3]) {
        let (test, _) = gate(gate_).unwrap();
        let unit = test.limit().unwrap_or(Limit::Seconds(0.0));
        let band = test.band(reference).unwrap();
        (test.word(unit, reference), values.map(|v| band.breaks(v)))
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "one table, a row for each form")]
    fn every_form_says_what_holds() {
        use serde_json::json;
        let cases = [
            (json!({"metric": "errorRate", "max": "1%"}), None, [0.0, 0.01, 0.010_1], "1%", [false, false, true]),
            (json!({"metric": "cacheHitRate", "min": "5%"}), None, [0.049, 0.05, 1.0], "≥5%", [true, false, false]),
            (
                json!({"metric": "gpuUtilisation", "between": ["60%", "80%"]}),
                None,
                [0.59, 0.6, 0.81],
                "60%…80%",
                [true, false, true],
            ),
            (json!({"metric": "requests", "equals": "0"}), None, [0.0, 0.4, 1.0], "=0", [false, false, true]),
            (json!({"metric": "requests", "equals": "7"}), None, [6.4, 6.6, 7.6], "=7", [true, false, true]),
            (
                json!({"metric": "costPerRequest", "target": "$0.032", "tolerance": "20%"}),
                None,
                [0.025, 0.032, 0.039],
                "$0.032±20%",
                [true, false, true],
            ),
            (
                json!({"metric": "latency", "comparedTo": "active", "maxRatio": "1.2"}),
                Some(0.5),
                [0.1, 0.6, 0.61],
                "600ms",
                [false, false, true],
            ),
            (
                json!({"metric": "latency", "comparedTo": "active", "minRatio": "0.5", "maxRatio": "2"}),
                Some(2.0),
                [0.9, 1.0, 4.1],
                "1s…4s",
                [true, false, true],
            ),
            (
                json!({"metric": "latency", "comparedTo": "baseline", "change": {"min": "-60%", "max": "-40%"}}),
                Some(10.0),
                [3.9, 5.0, 6.1],
                "4s…6s",
                [true, false, true],
            ),
            (
                json!({"metric": "latency", "comparedTo": "baseline", "change": {"min": "-10%"}}),
                Some(10.0),
                [8.9, 9.0, 99.0],
                "≥9s",
                [true, false, false],
            ),
            (
                json!({"metric": "latency", "comparedTo": "active", "maxDelta": "200ms"}),
                Some(1.0),
                [0.0, 1.2, 1.21],
                "1.2s",
                [false, false, true],
            ),
            (
                json!({"alerts": {"matchLabels": {"severity": "critical"}}}),
                None,
                [0.0, 1.0, 2.0],
                "=0",
                [false, true, true],
            ),
        ];
        for (written, reference, values, word, broken) in cases {
            assert_eq!(shown(written.clone(), reference, values), (word.to_owned(), broken), "{written}");
        }
    }

    /// One minus 0.95 is a little more than 0.05 in the arithmetic of computers, and no more than 5% for people.
    #[test]
    fn as_many_as_the_quantile_allows_are_allowed() {
        let band = Test::Above(Limit::Share(0.05), Limit::Seconds(1.5)).band(None).unwrap();
        assert_eq!([0.05, 1.0 - 0.95, 0.050_1].map(|share| band.breaks(share)), [false, false, true]);
    }

    #[test]
    fn a_comparison_without_anything_to_compare_with_holds_nothing() {
        use serde_json::json;
        let ratio = gate(json!({"metric": "latency", "comparedTo": "active", "maxRatio": "1.2"})).unwrap().0;
        assert_eq!((ratio.band(None), ratio.band(Some(0.0))), (None, None));
        assert_eq!(ratio.word(Limit::Seconds(0.0), None), "1.2×");
        let delta = gate(json!({"metric": "errorRate", "comparedTo": "active", "maxDelta": "0.1pp"})).unwrap().0;
        assert_eq!(delta.band(None), None);
        assert!(!delta.band(Some(0.0)).unwrap().breaks(0.001), "a reference of zero is something to add to");
        assert_eq!(delta.word(Limit::Share(0.0), None), "+0.1pp");
        let change = gate(json!({"metric": "latency", "comparedTo": "active", "change": {"min": "-60%", "max": "5%"}}));
        assert_eq!(change.unwrap().0.relative(), "-60%…+5%");
    }

    #[test]
    fn what_cannot_be_meant_is_told_what_to_write() {
        use serde_json::json;
        for (wrong, said) in [
            (json!({"metric": "errorRate"}), "exactly one of"),
            (json!({"metric": "errorRate", "max": "1%", "min": "0%"}), "exactly one of"),
            (json!({"metric": "errorRate", "max": "1%", "tolerance": "1%"}), "belongs to `target`"),
            (json!({"metric": "errorRate", "max": "1%", "comparedTo": "active"}), "needs `maxRatio`"),
            (json!({"metric": "latency", "maxRatio": "1.2"}), "need `comparedTo"),
            (json!({"metric": "latency", "comparedTo": "active", "maxRatio": "120%"}), "take a factor"),
            (json!({"metric": "latency", "comparedTo": "active", "maxRatio": "0"}), "take a factor"),
            (
                json!({"metric": "latency", "comparedTo": "active", "minRatio": "2", "maxRatio": "1"}),
                "above its lower bound",
            ),
            (json!({"metric": "latency", "comparedTo": "active", "change": {}}), "takes percentages"),
            (json!({"metric": "latency", "comparedTo": "active", "change": {"max": "0.1pp"}}), "takes percentages"),
            (json!({"metric": "latency", "comparedTo": "active", "change": {"max": "-101%"}}), "takes percentages"),
            (json!({"metric": "costPerRequest", "target": "$0.032", "tolerance": "100%"}), "needs a `tolerance`"),
            (json!({"query": "q", "comparedTo": "active", "maxDelta": "0.1%"}), "percentage points"),
            (json!({"metric": "errorRate", "comparedTo": "active", "maxDelta": "3"}), "percentage points"),
            (
                json!({"metric": "errorRate", "statistical": {}, "comparedTo": "baseline"}),
                "both colors at the same time",
            ),
            (json!({"metric": "errorRate", "comparedTo": "active", "maxDelta": "0.1%"}), "percentage points"),
            (json!({"metric": "latency", "comparedTo": "active", "maxDelta": "0.1pp"}), "percentage points"),
            (json!({"metric": "latency", "between": ["1s"]}), "a smaller and a larger"),
            (json!({"metric": "latency", "between": ["2s", "1s"]}), "a smaller and a larger"),
            (json!({"query": "q", "between": ["1s", "2%"]}), "a smaller and a larger"),
            (json!({"metric": "costPerRequest", "target": "$0.032"}), "needs a `tolerance`"),
            (json!({"metric": "costPerRequest", "target": "$0.032", "tolerance": "0%"}), "needs a `tolerance`"),
            (json!({"metric": "latency", "equals": "1"}), "takes a count"),
            (json!({"metric": "requests", "equals": "1%"}), "takes a count"),
            (json!({"metric": "latency", "min": "1%"}), "not in the unit"),
            (json!({"metric": "errorRate", "max": "100%"}), "never be exceeded"),
            (json!({"alerts": {}, "max": "1"}), "no alert may fire"),
        ] {
            let answer = gate(wrong.clone());
            assert!(answer.as_ref().is_err_and(|e| e.contains(said)), "{wrong}: {answer:?}");
        }
        assert!(gate(json!({"metric": "cacheHitRate", "min": "100%"})).is_ok(), "all of it can be reached");
        let all_gone = json!({"metric": "latency", "comparedTo": "active", "change": {"max": "-100%"}});
        assert!(gate(all_gone).is_ok(), "nothing can be left of it");
        let absolute = json!({"query": "q", "comparedTo": "active", "maxDelta": "3"});
        assert_eq!(gate(absolute).unwrap().0.relative(), "+3");
    }
}
