//! What of the profiles' names a provider has: the question, which profile fits the answer, and what a gate rests on or
//! lacks. The names are those that the profiles' own queries ask for; nothing is listed here twice. Never asks anybody.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{LazyLock, OnceLock},
    time::Duration,
};

use promql_parser::parser::{self, Expr, token};

use super::{
    NotAvailable, Question, Sample, Source, Subject, Template, ask, metric, profiles,
    promql::quoted,
    raw::Series as RawSeries,
    table::{Counter, Part, Series},
};
use crate::api::{Moment, exporters::Profile, gates::Metric, status::Color};

/// How far back the question looks at most; a selector of Prometheus looks no further.
const BACK: Duration = Duration::from_mins(5);

/// Fewer distances between samples tell nothing.
const ENOUGH: usize = 3;
/// In seconds: what a manifest could say at most.
const SLOWEST: f64 = 600.0;

/// Who is believed first where several fit: engines before what stands in front of them, what wraps an engine and passes
/// its series on before the engine itself.
const ORDER: [Profile; 16] = [
    Profile::Dynamo,
    Profile::Ray,
    Profile::Vllm,
    Profile::Sglang,
    Profile::Tgi,
    Profile::Triton,
    Profile::Trtllm,
    Profile::Llamacpp,
    Profile::Litellm,
    Profile::Agentgateway,
    Profile::EnvoyAiGateway,
    Profile::Epp,
    Profile::Otel,
    Profile::Traefik,
    Profile::Istio,
    Profile::Envoy,
];

/// Every name that the queries of a profile ask for, without a prefix: read out of its queries when it is first asked for,
/// one profile at a time, because reading many takes long enough to be noticed.
static NAMES: LazyLock<BTreeMap<Profile, OnceLock<BTreeSet<String>>>> =
    LazyLock::new(|| profiles::exporters().map(|(profile, ..)| (profile, OnceLock::new())).collect());

fn names_of(profile: Profile) -> impl Iterator<Item = &'static String> {
    let read = || {
        let source = Source::bare(profile);
        let texts = metric::ALL.into_iter().filter_map(|(metric, _)| texts(&source, &whole(metric)).ok());
        let mut names = BTreeSet::new();
        texts.flatten().for_each(|tree| each_name(&tree, &mut names));
        names.retain(|name| !of_hardware(name));
        names
    };
    NAMES.get(&profile).map(|names| names.get_or_init(read)).into_iter().flatten()
}

/// GPUs are told by exporters of their own, whatever runs on them.
fn of_hardware(name: &str) -> bool {
    name.starts_with("DCGM_") || name.starts_with("kube_")
}

fn whole(metric: Metric) -> Subject {
    let quantile = (metric::quantile(metric) == metric::Quantile::Needed).then(|| "0.95".to_owned());
    Subject::Metric(metric, quantile)
}

/// Whose series are looked for, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// Name of the provider.
    pub provider: &'a str,
    /// Namespace of the pods.
    pub namespace: &'a str,
    /// The Deployment whose pods are meant.
    pub workload: &'a str,
    /// The color it is.
    pub color: Color,
    /// When the release began.
    pub began: Moment,
    /// How often it is asked.
    pub interval: Duration,
}

/// The question which names are told about a color; none where no exporter is known.
pub fn question(source: &Source, look: &Look<'_>) -> Option<Question> {
    let names: Vec<String> = wanted(source).into_iter().collect();
    if names.is_empty() {
        return None;
    }
    let pattern = format!("__name__=~{}", quoted(&names.join("|")));
    let scope = source.scope(look.color, look.namespace, look.workload).prefixed("");
    // Counted by name where the series are: the answer is as long as the list of names, however many pods there are.
    let text = format!("count by (__name__) ({})", scope.matched("", &pattern));
    Some(Question {
        provider: look.provider.to_owned(),
        about: None,
        value: Template::new(text.clone()),
        samples: Template::new(text),
        since: look.began.minus(BACK),
        window: BACK,
        interval: look.interval,
        shortest: Question::SHORTEST,
        urgent: false,
        names,
        raw: None,
    })
}

/// The question how far the samples of what a color counts are apart; none where an exporter counts nothing, or is still
/// to be found.
pub fn spacing_of(source: &Source, look: &Look<'_>) -> Option<Question> {
    let table = Some(source.table()).filter(|_| !source.is_open())?;
    let counter = table.finished.or(table.output_tokens).ok()?;
    let series = match &counter {
        Counter::One(series) => std::slice::from_ref(series),
        Counter::Either(all) | Counter::Sum(all) => all,
    };
    let name = |series: &Series| {
        let part = series.part.map_or("", Part::suffix);
        format!("{}{}{part}", source.prefix(), series.name)
    };
    let names: Vec<String> = series.iter().map(name).collect();
    let pattern = format!("__name__=~{}", quoted(&names.join("|")));
    let scope = source.scope(look.color, look.namespace, look.workload).prefixed("");
    Some(Question {
        provider: look.provider.to_owned(),
        about: None,
        value: Template::samples_of(&scope.matched("", &pattern)),
        samples: Template::new(String::new()),
        since: look.began.minus(BACK),
        window: BACK,
        interval: look.interval,
        shortest: Question::SHORTEST,
        urgent: false,
        names: Vec::new(),
        raw: None,
    })
}

/// How many seconds the samples of series are apart, by the middle of all distances: a gap is one of many. Nothing where
/// there are hardly any, or where it is no time that a manifest could say.
#[expect(clippy::cast_precision_loss, reason = "an answer of a provider has few enough samples")]
pub fn spacing(all: &[RawSeries]) -> Option<Sample> {
    let pairs = all.iter().flat_map(|series| series.points.windows(2));
    let apart = pairs.filter_map(|pair| match pair {
        [a, b] if b.at > a.at => Some(b.at - a.at),
        _ => None,
    });
    let mut apart: Vec<f64> = apart.collect();
    apart.sort_by(f64::total_cmp);
    let seconds = apart.get(apart.len() / 2)?.round().max(1.0);
    let enough = apart.len() >= ENOUGH && seconds <= SLOWEST;
    enough.then_some(Sample { value: seconds, samples: apart.len() as f64 })
}

/// The names that are looked for, as they stand in the provider.
fn wanted(source: &Source) -> BTreeSet<String> {
    let of = |profile: Profile| names_of(profile).map(|name| format!("{}{name}", source.prefix()));
    match source.profile() {
        Profile::Auto => source.eligible().flat_map(|profile| of(profile).collect::<Vec<_>>()).collect(),
        named => of(named).collect(),
    }
}

/// The profile whose requests, or else whose tokens, are counted.
pub fn fits(source: &Source, found: &BTreeSet<String>) -> Option<Profile> {
    let eligible: BTreeSet<Profile> = source.eligible().collect();
    let counts = |profile: &Profile| {
        let named = source.clone().named(*profile);
        [Metric::Requests, Metric::OutputTokensPerSecond].into_iter().any(|metric| {
            ask::in_general(&named, &whole(metric), BACK).is_ok() && rests_on(&named, &whole(metric), found).is_ok()
        })
    };
    ORDER.into_iter().filter(|profile| eligible.contains(profile)).find(counts)
}

/// Whether anything of the profile was found.
pub fn shows(source: &Source, found: &BTreeSet<String>) -> bool {
    wanted(source).iter().any(|name| found.contains(name))
}

/// The names that something rests on, as far as they were found; or those of which it has none, shortly. What is no metric
/// of the profile asks for itself.
pub fn rests_on(source: &Source, subject: &Subject, found: &BTreeSet<String>) -> Result<Vec<String>, Vec<String>> {
    let Some(texts) = subject.metric().and_then(|_| texts(source, subject).ok()) else { return Ok(Vec::new()) };
    let mut names = BTreeSet::new();
    for tree in &texts {
        each_name(tree, &mut names);
    }
    let own = wanted(source);
    let has = |name: &str| found.contains(name) || !own.contains(name);
    let (there, gone): (BTreeSet<String>, BTreeSet<String>) = names.into_iter().partition(|name| has(name));
    if texts.iter().all(|tree| tells(tree, &has)) {
        return Ok(there.into_iter().collect());
    }
    let short = |name: &String| {
        let part = ["_bucket", "_count", "_sum"].into_iter().find_map(|end| name.strip_suffix(end));
        part.unwrap_or(name).to_owned()
    };
    Err(gone.iter().map(short).collect::<BTreeSet<_>>().into_iter().collect())
}

fn texts(source: &Source, subject: &Subject) -> Result<[Expr; 2], NotAvailable> {
    let question = ask::in_general(source, subject, BACK)?;
    let read =
        |text: &Template| parser::parse(&text.render(BACK)).map_err(|_| NotAvailable("its query cannot be read"));
    Ok([read(&question.value)?, read(&question.samples)?])
}

/// Whether an expression has a result when only series of some names are there.
fn tells(tree: &Expr, has: &impl Fn(&str) -> bool) -> bool {
    match tree {
        Expr::VectorSelector(selector) => selector.name.as_deref().is_none_or(has),
        Expr::MatrixSelector(matrix) => matrix.vs.name.as_deref().is_none_or(has),
        Expr::Aggregate(aggregate) => tells(&aggregate.expr, has),
        Expr::Unary(unary) => tells(&unary.expr, has),
        Expr::Paren(paren) => tells(&paren.expr, has),
        Expr::Subquery(subquery) => tells(&subquery.expr, has),
        Expr::Call(call) => call.args.args.iter().all(|arg| tells(arg, has)),
        Expr::Binary(binary) => match binary.op.id() {
            token::T_LOR => tells(&binary.lhs, has) || tells(&binary.rhs, has),
            token::T_LUNLESS => tells(&binary.lhs, has),
            _ => tells(&binary.lhs, has) && tells(&binary.rhs, has),
        },
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => true,
    }
}

/// Every name of a selector.
fn each_name(tree: &Expr, names: &mut BTreeSet<String>) {
    match tree {
        Expr::VectorSelector(selector) => names.extend(selector.name.clone()),
        Expr::MatrixSelector(matrix) => names.extend(matrix.vs.name.clone()),
        Expr::Aggregate(aggregate) => each_name(&aggregate.expr, names),
        Expr::Unary(unary) => each_name(&unary.expr, names),
        Expr::Paren(paren) => each_name(&paren.expr, names),
        Expr::Subquery(subquery) => each_name(&subquery.expr, names),
        Expr::Call(call) => call.args.args.iter().for_each(|arg| each_name(arg, names)),
        Expr::Binary(binary) => {
            each_name(&binary.lhs, names);
            each_name(&binary.rhs, names);
        }
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{Look, ORDER, fits, names_of, rests_on, shows, spacing, spacing_of, whole};
    use crate::{
        api::{exporters::Profile, gates::Metric},
        metrics::{
            Source, profiles,
            raw::{Point, Series},
        },
    };

    #[test]
    fn each_exporter_is_found_by_its_own_names_and_has_its_place_in_the_order() {
        let in_front = |profile: Profile| profiles::exporters().any(|(p, _, front)| p == profile && front);
        for (profile, ..) in crate::metrics::exporters() {
            let (profile, names) = (&profile, &names_of(profile).cloned().collect::<std::collections::BTreeSet<_>>());
            assert!(ORDER.contains(profile), "{profile:?} has no place");
            assert!(!names.is_empty() && names.iter().all(|name| !super::of_hardware(name)), "{profile:?}");
            let auto = Source::bare(Profile::Auto);
            let found = fits(&auto, names);
            // Both speak `OpenTelemetry`; without labels that tell colors apart nothing in front of the pods is meant.
            match profile {
                front if in_front(*front) => assert!(found.is_none() || found == Some(Profile::Otel), "{found:?}"),
                own => assert_eq!(found, Some(*own), "{names:?}"),
            }
        }
        assert_eq!(fits(&Source::bare(Profile::Auto), &["up".to_owned()].into()), None);
    }

    #[test]
    fn the_middle_distance_of_samples_is_how_often_is_scraped() {
        let series = |times: &[f64]| Series {
            process: String::new(),
            name: String::new(),
            points: times.iter().map(|at| Point { at: *at, value: 1.0 }).collect(),
        };
        let told = |all: &[&[f64]]| {
            let all: Vec<Series> = all.iter().map(|times| series(times)).collect();
            spacing(&all).map(|sample| (sample.value, sample.samples))
        };
        assert_eq!(told(&[&[0.0, 15.001, 30.002, 45.0]]), Some((15.0, 3.0)));
        assert_eq!(told(&[&[0.0, 15.0, 30.0, 120.0, 135.0]]), Some((15.0, 4.0)), "a gap is one of many");
        assert_eq!(told(&[&[0.0, 60.0], &[7.0, 67.0], &[9.0, 69.0]]), Some((60.0, 3.0)), "a little of each pod");
        assert_eq!(told(&[&[0.0, 0.25, 0.5, 0.75]]), Some((1.0, 3.0)));
        assert_eq!(told(&[&[0.0, 600.0, 1200.0, 1800.0]]), Some((600.0, 3.0)));
        assert_eq!(told(&[]), None);
        for nothing in [&[0.0][..], &[0.0, 15.0, 30.0], &[0.0, 601.0, 1202.0, 1803.0], &[5.0, 5.0, 5.0, 5.0]] {
            assert_eq!(told(&[nothing]), None, "{nothing:?}");
        }
    }

    #[test]
    fn what_is_counted_is_asked_for_its_samples() {
        let look = |color| Look {
            provider: "default",
            namespace: "llm",
            workload: "chat-blue",
            color,
            began: crate::api::Moment::from_unix(1_790_000_000),
            interval: std::time::Duration::from_secs(5),
        };
        let asked = |profile| spacing_of(&Source::bare(profile), &look(crate::api::status::Color::Blue));
        let vllm = asked(Profile::Vllm).unwrap();
        assert_eq!(
            vllm.value.render(vllm.window),
            r#"{namespace="llm",pod=~"chat-blue-[a-z0-9]+-[a-z0-9]+",__name__=~"vllm:request_success_total"}[300s]"#
        );
        assert!(vllm.asks_for_samples() && vllm.requests() == 1);
        assert!(asked(Profile::Auto).is_none() && asked(Profile::None).is_none(), "nothing is known of them");
        assert!(asked(Profile::Llamacpp).is_some(), "it counts tokens");
        assert!(
            !super::question(&Source::bare(Profile::Vllm), &look(crate::api::status::Color::Blue))
                .unwrap()
                .asks_for_samples()
        );
    }

    #[test]
    fn what_a_gate_lacks_is_named() {
        let vllm = Source::bare(Profile::Vllm);
        let latency = whole(Metric::Latency);
        let some = ["vllm:request_success_total".to_owned()].into();
        assert_eq!(rests_on(&vllm, &latency, &some), Err(vec!["vllm:e2e_request_latency_seconds".to_owned()]));
        assert_eq!(
            rests_on(&vllm, &whole(Metric::ErrorRate), &some).map(|found| found.len()),
            Ok(1),
            "one view is enough"
        );
        assert!(shows(&vllm, &some) && !shows(&Source::bare(Profile::Sglang), &some));
        let old = ["vllm:gpu_cache_usage_perc".to_owned()].into();
        assert!(rests_on(&vllm, &whole(Metric::KvCacheUse), &old).is_ok(), "under its old name");
        assert!(rests_on(&vllm, &whole(Metric::GpuUtilisation), &old).is_ok(), "not for an engine to tell");
    }
}
