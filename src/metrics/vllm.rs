//! What vLLM (V1 engine) exposes, as questions about one color: the value of each metric and the requests it rests on.
//! Every query gives one sample without labels, or none. Never sends a question and never judges an answer.
//!
//! Rules that all of them keep: a ratio is `a / (b > 0)`, so that no traffic is no data; `or vector(0)` stands only
//! where a counter that never counted has no series; windows are left open and never reach back before the step.

use std::time::Duration;

use super::{Prices, Question, Template, question::WINDOW};
use crate::api::{Moment, gates::Metric};

/// The last finite bound of vLLM's end-to-end histogram in seconds: a quantile is never reported above it.
pub const LAST_FINITE_BOUND: f64 = 7680.0;

/// What a gate asks about one color.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ask<'a> {
    /// Name of the provider.
    pub provider: &'a str,
    /// Namespace of the pods.
    pub namespace: &'a str,
    /// The Deployment whose pods are meant.
    pub workload: &'a str,
    /// What is measured.
    pub metric: Metric,
    /// Which quantile, when it is the latency. Without one the answer is no number.
    pub quantile: Option<&'a str>,
    /// Prices, when it is the cost. Without them the answer is no number.
    pub prices: Option<Prices>,
    /// Nothing before this may be looked at.
    pub since: Moment,
    /// The window at most.
    pub window: Duration,
    /// How often it is asked.
    pub interval: Duration,
}

/// The question behind a gate.
pub fn question(ask: &Ask<'_>) -> Question {
    let color = Color::new(ask.namespace, ask.workload);
    let (value, samples) = match ask.metric {
        Metric::ErrorRate => (color.error_rate(), color.answered()),
        Metric::Latency => (color.latency(ask.quantile), color.increase("vllm:e2e_request_latency_seconds_count", "")),
        Metric::CostPerRequest => (color.cost(ask.prices), color.increase(FINISHED, "")),
        // A count of nothing is a figure too, as long as somebody counts: then it rests on the pods that do.
        Metric::Requests => (color.events(FINISHED, ""), color.present(FINISHED)),
    };
    Question {
        provider: ask.provider.to_owned(),
        value: Template::new(value),
        samples: Template::new(samples),
        since: ask.since,
        window: ask.window,
        interval: ask.interval,
    }
}

const FINISHED: &str = "vllm:request_success_total";
const HTTP: &str = "http_requests_total";
/// The paths that users call; probes and scrapes are not requests.
const USERS: &str = r#",handler=~"/v1/.*""#;

/// A Deployment's pods are named `<deployment>-<hash>-<five>`, but the part before the last five is cut at 58 characters.
const LONGEST_UNCUT: usize = 58 - "-0123456789-".len();

/// The pods of one color as label matchers.
struct Color(String);

impl Color {
    fn new(namespace: &str, workload: &str) -> Self {
        // A dot is the only character of a Kubernetes name that means something in a pattern.
        let name = workload.replace('.', r"\\.");
        let rest = if workload.len() <= LONGEST_UNCUT { "-[a-z0-9]+-[a-z0-9]+" } else { "-[a-z0-9]+(-[a-z0-9]+)?" };
        Self(format!(r#"namespace="{namespace}",pod=~"{name}{rest}""#))
    }

    /// What a counter counted in the window, first events included: a counter of errors has no series before its first
    /// error, and `increase` sees nothing in a series that begins at 1. One that was not there a window ago counts whole.
    fn events(&self, metric: &str, more: &str) -> String {
        let series = format!("{metric}{{{}{more}}}", self.0);
        let before = format!("{series} offset {WINDOW}");
        format!("sum((increase({series}[{WINDOW}]) and {before}) or ({series} unless {before}))")
    }

    /// How many series there are.
    fn present(&self, metric: &str) -> String {
        format!("count(max_over_time({metric}{{{}}}[{WINDOW}]))", self.0)
    }

    fn increase(&self, metric: &str, more: &str) -> String {
        format!("sum(increase({metric}{{{}{more}}}[{WINDOW}]))", self.0)
    }

    /// The share of requests that are bad; none without requests.
    fn share(&self, metric: &str, all: &str, bad: &str) -> String {
        format!("({} or vector(0)) / ({} > 0)", self.events(metric, &format!("{all}{bad}")), self.events(metric, all))
    }

    /// The engine sees failures after a stream began, HTTP those before it: the worse of the two that are there.
    fn error_rate(&self) -> String {
        worse(&self.share(FINISHED, "", r#",finished_reason="error""#), &self.share(HTTP, USERS, r#",status="5xx""#))
    }

    /// Requests behind the error rate: those finished or those answered, whichever are more.
    fn answered(&self) -> String {
        worse(&self.events(FINISHED, ""), &self.events(HTTP, USERS))
    }

    fn latency(&self, quantile: Option<&str>) -> String {
        let quantile = quantile.and_then(|q| q.parse::<f64>().ok()).unwrap_or(f64::NAN);
        let buckets = format!("vllm:e2e_request_latency_seconds_bucket{{{}}}[{WINDOW}]", self.0);
        format!("histogram_quantile({quantile}, sum by (le) (rate({buckets})))")
    }

    /// Tokens times prices by finished request. Tokens are never assumed to be none: no series of theirs, no cost.
    fn cost(&self, prices: Option<Prices>) -> String {
        let Prices { input, cached_input, output } =
            prices.unwrap_or(Prices { input: f64::NAN, cached_input: f64::NAN, output: f64::NAN });
        let by_source = "vllm:prompt_tokens_by_source_total";
        let computed = self.increase(by_source, r#",source="local_compute""#);
        let cached = self.increase(by_source, r#",source!="local_compute""#);
        let split = format!("{input} * ({computed} or vector(0)) + {cached_input} * ({cached} or vector(0))");
        let any = self.increase(by_source, "");
        let whole = format!("{input} * {}", self.increase("vllm:prompt_tokens_total", ""));
        let generated = self.increase("vllm:generation_tokens_total", "");
        let finished = self.increase(FINISHED, "");
        format!("(((({split}) and {any}) or {whole}) + {output} * {generated}) / 1e6 / ({finished} > 0)")
    }
}

/// The larger of two samples without labels of which one or both may be missing. The labels keep `or` from dropping one.
fn worse(engine: &str, http: &str) -> String {
    format!(
        r#"max(label_replace({engine}, "source", "engine", "", "") or label_replace({http}, "source", "http", "", ""))"#
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use promql_parser::parser::{self, Expr, value::ValueType};

    use super::{Ask, LONGEST_UNCUT, question};
    use crate::{
        api::{Moment, gates::Metric},
        metrics::{Prices, Question},
    };

    const PRICES: Prices = Prices { input: 0.5, cached_input: 0.05, output: 1.5 };

    fn ask(metric: Metric) -> Ask<'static> {
        Ask {
            provider: "default",
            namespace: "prod-1",
            workload: "chat-green",
            metric,
            quantile: (metric == Metric::Latency).then_some("0.95"),
            prices: (metric == Metric::CostPerRequest).then_some(PRICES),
            since: Moment::from_unix(1_790_000_000),
            window: Duration::from_mins(5),
            interval: Duration::from_secs(15),
        }
    }

    fn texts(question: &Question) -> [String; 2] {
        [&question.value, &question.samples].map(|template| template.render(question.window))
    }

    fn parse(text: &str) -> Expr {
        parser::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    /// All selectors inside an expression, as text.
    fn selectors(expr: &Expr, found: &mut Vec<String>) {
        match expr {
            Expr::Aggregate(e) => selectors(&e.expr, found),
            Expr::Unary(e) => selectors(&e.expr, found),
            Expr::Paren(e) => selectors(&e.expr, found),
            Expr::Binary(e) => {
                selectors(&e.lhs, found);
                selectors(&e.rhs, found);
            }
            Expr::Call(e) => e.args.args.iter().for_each(|arg| selectors(arg, found)),
            Expr::MatrixSelector(e) => found.push(e.to_string()),
            Expr::VectorSelector(e) => found.push(e.to_string()),
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) => {}
            other => panic!("not used by this profile: {other}"),
        }
    }

    #[test]
    fn every_query_parses_and_looks_only_at_its_color_and_window() {
        for metric in [Metric::ErrorRate, Metric::Latency, Metric::CostPerRequest, Metric::Requests] {
            for text in texts(&question(&ask(metric))) {
                let expr = parse(&text);
                assert_eq!(expr.value_type(), ValueType::Vector, "{text}");
                let mut found = Vec::new();
                selectors(&expr, &mut found);
                assert!(!found.is_empty(), "{text}");
                for selector in found {
                    assert!(selector.contains(r#"namespace="prod-1""#), "{selector}");
                    assert!(selector.contains(r#"pod=~"chat-green-[a-z0-9]+-[a-z0-9]+""#), "{selector}");
                    let now = selector.ends_with('}') && matches!(metric, Metric::ErrorRate | Metric::Requests);
                    assert!(now || selector.ends_with("[5m]") || selector.ends_with(" offset 5m"), "{selector}");
                }
            }
        }
    }

    #[test]
    fn the_texts_are_these() {
        let pods = r#"namespace="prod-1",pod=~"chat-green-[a-z0-9]+-[a-z0-9]+""#;
        let [latency, observed] = texts(&question(&ask(Metric::Latency)));
        let buckets = format!("vllm:e2e_request_latency_seconds_bucket{{{pods}}}[300s]");
        assert_eq!(latency, format!("histogram_quantile(0.95, sum by (le) (rate({buckets})))"));
        assert_eq!(observed, format!("sum(increase(vllm:e2e_request_latency_seconds_count{{{pods}}}[300s]))"));

        let [errors, _] = texts(&question(&ask(Metric::ErrorRate)));
        let events = |series: &str| {
            let before = format!("{series} offset 300s");
            format!("sum((increase({series}[300s]) and {before}) or ({series} unless {before}))")
        };
        let (all, bad) = ("vllm:request_success_total", r#"finished_reason="error""#);
        let (all, bad) = (events(&format!("{all}{{{pods}}}")), events(&format!("{all}{{{pods},{bad}}}")));
        let engine = format!("({bad} or vector(0)) / ({all} > 0)");
        assert!(
            errors
                .starts_with(&format!(r#"max(label_replace({engine}, "source", "engine", "", "") or label_replace("#)),
            "{errors}"
        );
        assert!(errors.contains(r#",handler=~"/v1/.*",status="5xx"}[300s]"#), "{errors}");

        let [cost, finished] = texts(&question(&ask(Metric::CostPerRequest)));
        assert!(cost.starts_with("((((0.5 * (sum(increase(vllm:prompt_tokens_by_source_total{"), "{cost}");
        assert!(cost.contains("+ 1.5 * sum(increase(vllm:generation_tokens_total{"), "{cost}");
        assert_eq!(finished, format!("sum(increase(vllm:request_success_total{{{pods}}}[300s]))"));
    }

    #[test]
    fn what_is_missing_makes_no_number() {
        let latency = question(&Ask { quantile: None, ..ask(Metric::Latency) });
        assert!(latency.value.to_string().starts_with("histogram_quantile(NaN, "));
        let injected = question(&Ask { quantile: Some("1, up) or vector(0"), ..ask(Metric::Latency) });
        assert_eq!(injected, latency);
        let cost = question(&Ask { prices: None, ..ask(Metric::CostPerRequest) });
        assert!(cost.value.to_string().contains("NaN * "));
        parse(&texts(&latency)[0]);
        parse(&texts(&cost)[0]);
    }

    #[test]
    fn names_need_no_quoting_and_cut_names_are_found() {
        // What the API server admits as the name of an object: nothing in it ends a string, and only a dot is a pattern.
        let admitted: String = ('a'..='z').chain('0'..='9').chain(['-', '.']).collect();
        let text = texts(&question(&Ask { workload: &admitted, ..ask(Metric::CostPerRequest) }))[1].clone();
        assert!(text.contains(r"0123456789-\\.-"), "{text}");
        parse(&text);

        let fits = "a".repeat(LONGEST_UNCUT);
        assert_eq!(format!("{fits}-0123456789-").len(), 58);
        let cut = "a".repeat(LONGEST_UNCUT + 1);
        let pattern = |workload: &str| question(&Ask { workload, ..ask(Metric::Latency) }).samples.to_string();
        assert!(pattern(&fits).contains(&format!(r#"pod=~"{fits}-[a-z0-9]+-[a-z0-9]+""#)));
        assert!(pattern(&cut).contains(&format!(r#"pod=~"{cut}-[a-z0-9]+(-[a-z0-9]+)?""#)));
    }
}
