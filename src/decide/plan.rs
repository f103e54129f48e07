//! The spec, read once: typed, defaulted, complete, or the list of what is wrong with it. After this nobody opens the
//! spec's strings again. Never looks at status, time or the cluster.

use std::{fmt::Write, ops::Deref, sync::Arc, time::Duration};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    bound,
    course::Course,
    criterion::{self, Test},
    figures::Figures,
    gate_sets::{self, Written},
    looks,
    release::Colors,
    snapshot::{Around, Offers},
};
use crate::{
    api::{
        LlmRolloutSpec, Reason,
        gates::{ComparedTo, During, Gate, Metric, NoDataThen, Severity},
        traffic::ONE_ROUTER,
    },
    metrics::{Limit, Source, Subject, ask, metric},
    routers::Claim,
};

/// What the manifest means.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The course of a release.
    pub course: Course,
    /// The gates.
    pub gates: Vec<Arc<PlannedGate>>,
    /// The provider that is asked.
    pub provider: String,
    /// Which series are asked for.
    pub source: Source,
    /// Which are looked for before that: as `source`, but for an exporter that is to be found out.
    pub looked_for: Source,
    /// How long a pod that has just become ready is not judged by.
    pub warm_up: Duration,
    /// Pods of a color at its final size.
    pub replicas: i32,
    /// How long the candidate may take to become ready.
    pub ready_timeout: Duration,
    /// Whether figures of one color can be told from those of the other.
    pub told_apart: bool,
}

/// The course is most of the plan.
impl Deref for Plan {
    type Target = Course;

    fn deref(&self) -> &Course {
        &self.course
    }
}

/// One gate.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedGate {
    /// Its name.
    pub name: String,
    /// What is looked at.
    pub subject: Subject,
    /// What is shown instead of what is judged, as long as it says the same.
    pub shown: Option<Subject>,
    /// What it is held against.
    pub test: Test,
    /// What it is compared with.
    pub against: Option<ComparedTo>,
    /// What is to be known of its figures beside the verdict.
    pub note: Option<String>,
    /// Links for whoever reads that it fails, as they stand behind its reason.
    pub links: String,
    /// Zero in the unit in which values are shown.
    pub unit: Limit,
    /// What a failure leads to.
    pub severity: Severity,
    /// Whether it is watched in steps.
    pub in_steps: bool,
    /// Whether it is watched in bakes.
    pub in_bakes: bool,
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

impl PlannedGate {
    /// What its samples are.
    pub fn rests_on(&self) -> &'static str {
        match &self.subject {
            Subject::Metric(metric, _) if metric::least_samples(*metric) == 1 => "series",
            Subject::Query(query) if !query.counts_requests() => "series",
            Subject::Number(_) | Subject::Job(_) | Subject::Alerts(_) => "samples",
            Subject::Metric(..) | Subject::Above(..) | Subject::Query(_) => "requests",
        }
    }

    /// Whether nobody is to blame when the color that serves breaks the limit too. What a release has cost is its own.
    pub(super) fn fits_both(&self) -> bool {
        let measured = self.subject.metric().is_some_and(|metric| metric != Metric::RolloutSpend);
        self.against.is_none() && measured && self.severity != Severity::Abort
    }
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
    pub fn read(spec: &LlmRolloutSpec, around: Around<'_>) -> Result<Self, Wrong> {
        let offers = around.offers;
        if spec.traffic.iter().any(|t| Claim::of(t).is_none()) {
            return Err(invalid(ONE_ROUTER));
        }
        if let Some(twice) = claimed_twice(spec) {
            return Err(invalid(format!(
                "traffic: {} stands twice; leave one of the two items out, or name another rule in each (`rule`; of a `virtualService`: `http`; of a `featureFlag`: `flag`; of a `modelRewrite`: `model`)",
                twice.name()
            )));
        }
        let provider = spec.metrics.provider.clone().unwrap_or_else(|| "default".to_owned());
        if !offers.providers.contains(&provider) {
            let known = offers.providers.join(", ");
            let message =
                format!("metrics.provider: the operator's configuration has no provider {provider}; it has: {known}");
            return Err(Wrong { reason: Reason::ProviderUnknown, message });
        }
        let figures = Figures::read(spec, around)?;
        let read = |w: &Written<'_>| noted_gate(w.gate, &figures, offers).map_err(|wrong| w.blame(wrong));
        let gates =
            gate_sets::gather(&spec.gates, around.gate_sets)?.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        if gates.is_empty() && !spec.manual {
            return Err(invalid(
                "gates: at least one is needed; write `- {name: errors, metric: errorRate, max: 1%}`, or `manual: true` if people alone decide",
            ));
        }
        let Colors { replicas, ready_timeout, told_apart } = Colors::read(spec, &figures.source, &gates)?;
        let course = Course::read(spec)?;
        for (check, http) in spec.preflight.iter().filter_map(|c| Some((c, c.http.as_ref()?))) {
            looks::endpoint(&format!("preflight: {}", check.name), &http.name, around.offers)?;
        }
        gate_sets::known(&course, &gates)?;
        if course.steps.iter().any(|s| s.min_requests.or(s.max_requests).is_some()) {
            ask::available(&figures.source, Metric::Requests, None).map_err(|why| {
                invalid(format!("steps: with profile {} requests cannot be counted: {why}", figures.source.word()))
            })?;
        }
        let Figures { source, looked_for, warm_up, .. } = figures;
        Ok(Self { course, gates, provider, source, looked_for, warm_up, replicas, ready_timeout, told_apart })
    }
}

pub(super) fn invalid(message: impl Into<String>) -> Wrong {
    Wrong { reason: Reason::InvalidSpec, message: message.into() }
}

/// What an item of `traffic` claims that another one before it does.
fn claimed_twice(spec: &LlmRolloutSpec) -> Option<Claim<'_>> {
    let claims = || spec.traffic.iter().filter_map(Claim::of).enumerate();
    let same = |a: Claim<'_>, b: Claim<'_>| a.clashes(b) && a.namespace() == b.namespace();
    let (_, twice) = claims().find(|(n, claim)| claims().take(*n).any(|(_, other)| same(*claim, other)))?;
    Some(twice)
}

/// A gate with what people should know about its figures.
fn noted_gate(gate: &Gate, figures: &Figures, offers: &Offers) -> Result<Arc<PlannedGate>, Wrong> {
    let gate = read_gate(gate, &figures.source, offers)?;
    let note = gate.note.clone().or_else(|| figures.note(&gate));
    Ok(Arc::new(PlannedGate { note, ..gate }))
}

fn read_gate(gate: &Gate, source: &Source, offers: &Offers) -> Result<PlannedGate, Wrong> {
    let name = &gate.name;
    if name.is_empty() {
        return Err(invalid(
            "gates: each item has a `name`, or takes over a set; write for example `{name: errors, metric: errorRate, max: 1%}` or `{gateSet: org-defaults}`",
        ));
    }
    let wrong = |e: String| invalid(format!("gates: {name}: {e}"));
    let subject = looks::subject(gate, source, offers)?;
    let (test, against) = criterion::read(gate).map_err(wrong)?;
    bound::can_be_told(gate, source, test).map_err(wrong)?;
    let note = bound::note(gate, source, test);
    let (shown, subject, test) = bound::judged(gate, source, subject, test);
    let (bad, of) = read_failures(gate.failures.as_deref().unwrap_or("2 of 3"))
        .ok_or_else(|| invalid(format!("gates: {name}: failures: write for example `2 of 3`")))?;
    let abort = gate.severity == Severity::Abort;
    let (bad, of) = if abort || subject.is_told_once() { (1, 1) } else { (bad, of) };
    let runs = subject.runs_for().as_secs();
    let no_data = gate.no_data.clone().unwrap_or_default();
    let during = |when| gate.during.as_ref().is_none_or(|all| all.contains(&when));
    let unit = gate.metric.map_or(Limit::Number(0.0), |m| Limit::zero(metric::unit(m)));
    Ok(PlannedGate {
        name: name.clone(),
        subject,
        shown,
        test,
        against,
        note,
        links: super::say::links(gate),
        unit: test.limit().unwrap_or(unit),
        severity: gate.severity,
        in_steps: during(During::Steps),
        in_bakes: during(During::Bake),
        bad,
        of,
        interval: duration_or(gate.interval.as_ref(), if abort { 5 } else { 15 }, "interval")?,
        window: duration_or(gate.window.as_ref(), if test.proof().is_some() { 3600 } else { 300 }, "window")?,
        min_samples: gate.min_samples.unwrap_or_else(|| gate.metric.map_or(1, metric::least_samples)).max(1),
        budget: duration_or(no_data.budget.as_ref(), 15 * 60 + runs, "noData.budget")?,
        then: no_data.then,
    })
}

fn read_failures(text: &str) -> Option<(usize, usize)> {
    let (bad, of) = text.split_once(" of ")?;
    let (bad, of) = (bad.parse().ok()?, of.parse().ok()?);
    (1 <= bad && bad <= of && of <= 99).then_some((bad, of))
}

pub(super) fn duration_or(text: Option<&String>, default_seconds: u64, field: &str) -> Result<Duration, Wrong> {
    let Some(text) = text else { return Ok(Duration::from_secs(default_seconds)) };
    duration(text)
        .ok_or_else(|| invalid(format!("{field}: {text} is not a duration; write for example 30s, 15m or 1h30m")))
}

/// `1h30m`, `15m`, `30s`; at least a second, at most thirty days.
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
    let whole = number.is_empty() && (1..=30 * 24 * 3600).contains(&total);
    whole.then(|| Duration::from_secs(total))
}

/// The revision of a pod template: the same words in another order are the same revision.
pub fn revision(template: &serde_json::Map<String, Value>) -> String {
    let mut canonical = String::new();
    write_map(template, &mut canonical);
    twelve(canonical.as_bytes())
}

/// Twelve hexadecimal digits that change when anything in `value` does.
pub fn digest(value: &Value) -> String {
    let mut canonical = String::new();
    write_sorted(value, &mut canonical);
    twelve(canonical.as_bytes())
}

/// The same of several words.
pub(super) fn mark(words: &[&str]) -> String {
    // No word holds a line's end, so that no two lists of words are one text.
    twelve(words.join("\n").as_bytes())
}

fn twelve(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |half: u8| DIGITS.get(usize::from(half)).copied().unwrap_or('0');
    Sha256::digest(bytes).iter().take(6).flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn write_sorted(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => write_map(map, out),
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write_sorted(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::String(text) => write_text(text, out),
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            // Writing to a String cannot fail.
            let _ = write!(out, "{value}");
        }
    }
}

fn write_map(map: &serde_json::Map<String, Value>, out: &mut String) {
    out.push('{');
    // The map is sorted already, unless somebody builds serde_json with another one.
    let mut sorted: Vec<_> = map.iter().collect();
    sorted.sort_unstable_by_key(|(key, _)| key.as_str());
    for (key, item) in sorted {
        write_text(key, out);
        out.push(':');
        write_sorted(item, out);
        out.push(',');
    }
    out.push('}');
}

/// A text in its quotes; most need no escape.
fn write_text(text: &str, out: &mut String) {
    if text.bytes().all(|b| (b' '..0x7f).contains(&b) && b != b'"' && b != b'\\') {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&Value::from(text).to_string());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::{digest, duration, read_failures, write_text};

    #[test]
    fn durations_are_read_strictly() {
        assert_eq!(duration("1h30m"), Some(Duration::from_mins(90)));
        assert_eq!(duration("45s"), Some(Duration::from_secs(45)));
        assert_eq!(duration("720h"), Some(Duration::from_hours(720)), "thirty days");
        for bad in ["", "5", "5 minutes", "PT5M", "-5m", "0s", "1y", "30m1h", "721h", "99999999999999999999s", "m"] {
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

    /// Else two templates could be one text, and a release would be none.
    #[test]
    fn a_text_is_written_as_json_writes_it() {
        for text in ["", "plain text", "\"", "\\", "a\"b", "a\\b", "\\\"", "é", "a\nb", "\u{7f}", "~", " "] {
            let mut out = String::new();
            write_text(text, &mut out);
            assert_eq!(out, json!(text).to_string());
        }
        assert_ne!(digest(&json!(["a\",\"b"])), digest(&json!(["a", "b"])));
    }
}
