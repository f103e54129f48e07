//! Golden selectors: which raw counters a statistical gate reads, of either color and in which role, stands in
//! `tests/metrics/raw/<profile>.txt`. `UPDATE=1 cargo test` rewrites it. Never asks a Prometheus.

#![expect(clippy::disallowed_methods, reason = "UPDATE=1 asks for new golden files")]

use std::{fmt::Write, fs};

use llmrollout::{
    api::{exporters::CostBasis, gates::Metric, status::Color},
    metrics::{
        Source, metric,
        raw::{self, Part, Pods, View},
    },
};
use promql_parser::parser::{self, Expr};

use serde_json::json;

use super::{queries, scenarios::merged, world::World};
use crate::files::top;

fn views(source: &Source, metric: Metric) -> Result<Vec<View>, String> {
    let pods = [(Color::Green, "chat-green"), (Color::Blue, "chat-blue")];
    let pods = pods.map(|(color, workload)| Pods { color, workload });
    let above = raw::bound_above(source, metric, 0.9).or(Some(1.0));
    raw::views(source, metric, above, "prod-1", pods).map_err(|why| why.to_string())
}

fn golden(source: &Source) -> String {
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").unwrap();
    for (metric, word) in metric::ALL {
        let Ok(views) = views(source, metric) else { continue };
        for (number, view) in (1..).zip(views) {
            line(format!("{word} {number}"));
            for (color, parts) in [("candidate", &view.candidate), ("active", &view.active)] {
                for part in parts {
                    line(format!("  {color} {:?} {}", part.role, part.series));
                }
            }
        }
    }
    out
}

#[test]
fn every_counter_that_is_read_stands_in_a_file() {
    let folder = top("tests/metrics/raw");
    let update = std::env::var("UPDATE").is_ok();
    for case in queries::cases().iter().filter(|case| case.written.cost_basis == CostBasis::TokenPrice) {
        let (path, text) = (folder.join(format!("{}.txt", case.file)), golden(&queries::source(case)));
        if update {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let written = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(written, text, "{}: run UPDATE=1 cargo test and read the diff", path.display());
    }
}

/// The same tokens at other prices are other evidence: what was weighed of the one says nothing of the other.
#[test]
fn evidence_of_a_cost_is_of_its_prices() {
    let asked = |output: &str| {
        let mut world = World::new(include_str!("../scenarios/manifest.yaml"));
        let cost = json!({"name": "cost", "metric": "costPerRequest", "statistical": {"relative": "20%"}});
        let change = json!({"gates": [cost], "metrics": {"prices": {"output": output}}});
        world.edit(|r| r.spec = merged(&r.spec, &change));
        world.settle();
        world.edit(|r| {
            r.spec.release.template.as_mut().unwrap().pod_template.0["spec"]["containers"][0]["image"] =
                json!("chat:v2");
        });
        world.settle();
        let raw = world.asks.iter().find(|question| question.raw.is_some()).expect("raw counters are asked for");
        raw.value.to_string()
    };
    assert_eq!(asked("$1.50"), asked("$1.5"));
    assert_ne!(asked("$1.50"), asked("$15.00"));
}

#[test]
fn every_counter_is_one_selector_of_one_color() {
    for case in queries::cases().iter().filter(|case| case.written.cost_basis == CostBasis::TokenPrice) {
        let source = queries::source(case);
        let all = metric::ALL.into_iter().filter_map(|(metric, _)| views(&source, metric).ok()).flatten();
        for view in all {
            let texts = |parts: &[Part]| parts.iter().map(|part| part.series.to_string()).collect::<Vec<_>>();
            let (candidate, active) = (texts(&view.candidate), texts(&view.active));
            assert_eq!(candidate.len(), active.len());
            for (own, other) in candidate.iter().zip(&active) {
                assert_ne!(own, other, "{}: both colors at once", case.file);
                for text in [own, other] {
                    let read = parser::parse(&format!("{text}[60s]"));
                    assert!(matches!(read, Ok(Expr::MatrixSelector(_))), "{}: {text}: {read:?}", case.file);
                }
            }
        }
    }
}
