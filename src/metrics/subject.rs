//! What a gate looks at: a metric of the profile, a query of the user's own, alerts, or a number of an endpoint or of a Job. Reads a query once, as a tree, and
//! puts the labels of a color into its selectors; no text of a manifest is ever pasted into another. Never asks anybody.

use std::{fmt::Write, time::Duration};

use promql_parser::{
    label::Matcher,
    parser::{self, Expr, VectorSelector, value::ValueType},
};

use super::{
    JobNumber, Number, need::Texts, promql::quoted, question::WINDOW, scope::Scope, source::is_label, table::series,
};
use crate::api::gates::{Alerts, Metric};

/// What a gate looks at.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// What the profile measures, and which quantile of it.
    Metric(Metric, Option<String>),
    /// The share of what took longer than so many seconds, which must be the bound of a bucket.
    Above(Metric, f64),
    /// A query of the user's own.
    Query(Query),
    /// Alerts that fire.
    Alerts(Alerts),
    /// A number in the JSON of an endpoint.
    Number(Number),
    /// A number that a Job reports.
    Job(JobNumber),
}

impl Subject {
    /// Who is asked, in a word.
    pub const fn whom(&self) -> &'static str {
        match self {
            Self::Number(_) => "endpoint",
            Self::Job(_) => "Job",
            Self::Metric(..) | Self::Above(..) | Self::Query(_) | Self::Alerts(_) => "provider",
        }
    }

    /// Whether anything tells on how many samples its figures rest.
    pub const fn counts(&self) -> bool {
        !matches!(self, Self::Number(Number { samples: None, .. }) | Self::Job(_))
    }

    /// How long nothing can be known, because a Job runs.
    pub const fn runs_for(&self) -> Duration {
        match self {
            Self::Job(job) => job.timeout,
            Self::Metric(..) | Self::Above(..) | Self::Query(_) | Self::Alerts(_) | Self::Number(_) => Duration::ZERO,
        }
    }

    /// Whether it is told once in a stage, and then stands for it.
    pub const fn is_told_once(&self) -> bool {
        matches!(self, Self::Job(_))
    }

    /// The metric, if it is one.
    pub const fn metric(&self) -> Option<Metric> {
        match self {
            Self::Metric(metric, _) | Self::Above(metric, _) => Some(*metric),
            Self::Query(_) | Self::Alerts(_) | Self::Number(_) | Self::Job(_) => None,
        }
    }
}

/// Stands in a parsed query where the labels of a color belong. No label of Prometheus is written so.
const COLOR: &str = "__llmrollout_color__";
/// Stands in a parsed query where the window belongs: a range that nobody writes.
const RANGE: &str = "314159265s";

/// A query of the user's own, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    tree: Expr,
    counts_requests: bool,
}

impl Query {
    /// Reads a query, or says what to write instead. With `counts_requests` it rests on the color's requests.
    pub fn read(text: &str, counts_requests: bool) -> Result<Self, String> {
        if text.contains(COLOR) || text.contains(RANGE) {
            return Err("`query` uses a word of the operator's own; rename it".to_owned());
        }
        let text = spelled(text).replace(WINDOW, RANGE).replace("{{green}}", &format!("{COLOR}=\"\""));
        if text.contains("{{") {
            return Err(
                "`query` knows `{{green}}` in a selector and `{{window}}` in a range, and nothing else in `{{}}`"
                    .to_owned(),
            );
        }
        let cannot = |e: String| format!("`query` cannot be read as PromQL: {}", readable(&e));
        let mut tree = parser::parse(&text).map_err(cannot)?;
        if !matches!(tree.value_type(), ValueType::Vector | ValueType::Scalar) {
            return Err("`query` is no figure but a range of samples, or a text; write for example \
                 `sum(rate(schema_ok_total{ {{green}} }[{{window}}]))`"
                .to_owned());
        }
        let (mut told, mut alternatives) = (false, false);
        each_selector(&mut tree, &mut |s| {
            told |= s.matchers.matchers.iter().any(|m| m.name == COLOR);
            alternatives |= !s.matchers.or_matchers.is_empty();
        });
        if alternatives {
            return Err(
                "`query` has `or` between the labels of a selector; write the alternatives as a pattern".to_owned()
            );
        }
        // What is sent is the tree as it is written back: it has to mean the same.
        let written = tree.to_string();
        if parser::parse(&written).map(|again| again.to_string()) != Ok(written) {
            return Err("`query` cannot be written back as it was read; write it in a simpler way".to_owned());
        }
        if !told {
            return Err("`query` says nothing about the candidate; write `{{green}}` into its selectors, for example \
                 `sum(rate(schema_ok_total{ {{green}} }[{{window}}]))`"
                .to_owned());
        }
        Ok(Self { tree, counts_requests })
    }

    /// Whether it rests on the color's requests.
    pub const fn counts_requests(&self) -> bool {
        self.counts_requests
    }

    /// The query about one color, and what counts its series.
    pub(super) fn texts(&self, scope: &Scope<'_>) -> Texts {
        let mut tree = self.tree.clone();
        let labels = labels(scope);
        each_selector(&mut tree, &mut |selector| {
            let matchers = std::mem::take(&mut selector.matchers.matchers);
            let own = |m: &Matcher| m.name == COLOR;
            let wanted = matchers.iter().any(own);
            selector.matchers.matchers = matchers.into_iter().filter(|m| !own(m)).collect();
            if wanted {
                selector.matchers.matchers.extend(labels.iter().cloned());
            }
        });
        let value = tree.to_string().replace(&printed_range(), WINDOW);
        let samples = format!("count({value})");
        Texts { value, samples }
    }
}

/// The labels of a color as the parser knows them.
fn labels(scope: &Scope<'_>) -> Vec<Matcher> {
    match parser::parse(&scope.select(&series("x"))) {
        Ok(Expr::VectorSelector(selector)) => selector.matchers.matchers,
        // A selector of ours is one. If it were not, a label that no series has asks for nothing.
        _ => vec![Matcher::new(promql_parser::label::MatchOp::Equal, COLOR, "none")],
    }
}

/// `{{ green }}` is `{{green}}`.
fn spelled(text: &str) -> String {
    let mut out = text.to_owned();
    for word in ["green", "window"] {
        for spaced in [format!("{{{{ {word} }}}}"), format!("{{{{ {word}}}}}"), format!("{{{{{word} }}}}")] {
            out = out.replace(&spaced, &format!("{{{{{word}}}}}"));
        }
    }
    out
}

/// How the parser writes the range that stands for the window.
fn printed_range() -> String {
    parser::parse(&format!("x[{RANGE}]")).map_or_else(
        |_| RANGE.to_owned(),
        |tree| tree.to_string().trim_start_matches("x[").trim_end_matches(']').to_owned(),
    )
}

/// What the parser says, with our own words put back, and not longer than a sentence.
fn readable(said: &str) -> String {
    let said = said.replace(RANGE, WINDOW).replace(&format!("{COLOR}=\"\""), "{{green}}");
    said.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// Every selector in the tree.
fn each_selector(tree: &mut Expr, visit: &mut impl FnMut(&mut VectorSelector)) {
    match tree {
        Expr::VectorSelector(selector) => visit(selector),
        Expr::MatrixSelector(matrix) => visit(&mut matrix.vs),
        Expr::Aggregate(a) => {
            each_selector(&mut a.expr, visit);
            if let Some(param) = a.param.as_mut() {
                each_selector(param, visit);
            }
        }
        Expr::Unary(u) => each_selector(&mut u.expr, visit),
        Expr::Binary(b) => {
            each_selector(&mut b.lhs, visit);
            each_selector(&mut b.rhs, visit);
        }
        Expr::Paren(p) => each_selector(&mut p.expr, visit),
        Expr::Subquery(s) => each_selector(&mut s.expr, visit),
        Expr::Call(c) => c.args.args.iter_mut().for_each(|arg| each_selector(arg, visit)),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

/// How many alerts fire; none is a figure too, as long as the provider answers.
pub(super) fn alerts(alerts: &Alerts) -> Texts {
    let mut matchers = String::from("alertstate=\"firing\"");
    for (label, value) in &alerts.match_labels {
        // Writing to a String cannot fail.
        let _ = write!(matchers, ",{label}={}", quoted(value));
    }
    if !alerts.ignore.is_empty() {
        let _ = write!(matchers, ",alertname!~{}", quoted(&alerts.ignore.join("|")));
    }
    Texts { value: format!("count(ALERTS{{{matchers}}}) or vector(0)"), samples: "vector(1)".to_owned() }
}

/// What is wrong with the alerts that are named.
pub fn wrong_alerts(alerts: &Alerts) -> Option<String> {
    let label = |text: &String| is_label(text) && text != "alertstate";
    let name = |text: &String| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !alerts.match_labels.keys().all(label) {
        return Some("`alerts.matchLabels` takes labels of alerts; write for example `severity: critical`".to_owned());
    }
    (!alerts.ignore.iter().all(name))
        .then(|| "`alerts.ignore` takes names of alerts; write for example `[Watchdog]`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Query, alerts, wrong_alerts};
    use crate::{api::gates::Alerts, metrics::scope::Scope};

    fn value(text: &str) -> String {
        Query::read(text, false).unwrap().texts(&Scope::pods("llm", "chat.v1-green")).value
    }

    #[test]
    fn the_labels_of_the_color_are_put_into_the_selectors_that_ask_for_them() {
        let own = r#"namespace="llm",pod=~"chat\\.v1-green-[a-z0-9]+-[a-z0-9]+""#;
        assert_eq!(value("up{ {{green}} }"), format!("up{{{own}}}"));
        let text = value(
            r#"sum(rate(ok_total{path="/x",{{ green }}}[{{ window }}])) / sum by (a) (rate(all{ {{green}} }[1h])) > bool on (a) up"#,
        );
        let with_path = own.replace(",pod", r#",path="/x",pod"#);
        assert_eq!(
            text,
            format!(
                r"sum(rate(ok_total{{{with_path}}}[{{{{window}}}}])) / sum by (a) (rate(all{{{own}}}[1h])) > bool on (a) up"
            )
        );
        let sub = value("deriv(sum(mem{ {{green}} })[{{window}}:1m])");
        assert_eq!(sub, format!("deriv(sum(mem{{{own}}})[{{{{window}}}}:1m])"));
    }

    #[test]
    fn a_query_rests_on_its_own_series_unless_it_counts_requests() {
        let query = Query::read("up{ {{green}} }", false).unwrap();
        assert!(query.texts(&Scope::pods("llm", "g")).samples.starts_with("count(up{"));
        assert!(!query.counts_requests() && Query::read("up{ {{green}} }", true).unwrap().counts_requests());
    }

    #[test]
    fn what_is_no_query_about_the_candidate_is_told_what_to_write() {
        for (text, said) in [
            ("sum(", "cannot be read as PromQL"),
            ("up", "write `{{green}}` into its selectors"),
            ("up{ {{blue}} }", "knows `{{green}}`"),
            ("sum(up{ {{green}} }) by ({{window}})", "cannot be read"),
            ("up{__llmrollout_color__=\"\"}", "word of the operator's own"),
            ("up{ {{green}} or a=\"b\" }", "`or` between the labels"),
            ("{{green}}", "cannot be read"),
            ("up{ {{green}} }[{{window}}]", "no figure but a range of samples"),
        ] {
            let answer = Query::read(text, false);
            assert!(answer.as_ref().is_err_and(|e| e.contains(said)), "{text}: {answer:?}");
        }
        assert!(Query::read(&format!("x{}", "(".repeat(2000)), false).unwrap_err().len() < 300);
    }

    #[test]
    fn alerts_are_counted_by_their_labels() {
        let critical =
            |value: &str| Alerts { match_labels: [("severity".to_owned(), value.to_owned())].into(), ignore: vec![] };
        assert_eq!(
            alerts(&critical("a\"b")).value,
            r#"count(ALERTS{alertstate="firing",severity="a\"b"}) or vector(0)"#
        );
        let some = Alerts { ignore: vec!["Watchdog".into(), "Info".into()], ..Alerts::default() };
        assert_eq!(
            alerts(&some).value,
            r#"count(ALERTS{alertstate="firing",alertname!~"Watchdog|Info"}) or vector(0)"#
        );
        assert_eq!(wrong_alerts(&some), None);
        for (label, name) in [("a-b", "x"), ("alertstate", "x"), ("severity", "x|y"), ("severity", "")] {
            let wrong =
                Alerts { match_labels: [(label.to_owned(), "x".to_owned())].into(), ignore: vec![name.to_owned()] };
            assert!(wrong_alerts(&wrong).is_some(), "{label} {name}");
        }
    }
}
