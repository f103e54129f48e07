//! What the chart ships for Prometheus and Grafana, held against the page that lists what the operator exports (which is
//! held against the operator itself in `record::metrics`): no figure that is not there, no alert without a place to read.

use std::collections::{BTreeMap, BTreeSet};

use promql_parser::{
    label::METRIC_NAME,
    parser::{self, Expr, VectorSelector},
    util::{ExprVisitor, walk_expr},
};
use serde_json::Value;

use crate::{
    files::{read, top},
    yaml::yaml,
};

/// Each exported family with its labels.
fn exported() -> BTreeMap<String, BTreeSet<String>> {
    let page = read(&top("docs/monitoring.md"));
    let words = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let rows = page.lines().filter(|line| line.starts_with("| `llmrollout_"));
    let family = |row: &str| {
        let cells: Vec<&str> = row.split('|').collect();
        let (name, kind) = (words(cells[1]).remove(0), cells[2].trim());
        let mut labels: BTreeSet<String> = words(cells[3]).into_iter().collect();
        let names = if kind == "histogram" {
            labels.insert("le".into());
            ["_bucket", "_sum", "_count"].map(|end| format!("{name}{end}")).to_vec()
        } else {
            vec![name]
        };
        names.into_iter().map(move |name| (name, labels.clone()))
    };
    rows.flat_map(family).collect()
}

fn alerts() -> Vec<Value> {
    let file = yaml(&top("charts/llmrollout/files/alerts.yaml")).remove(0);
    let groups = file["groups"].as_array().unwrap().iter();
    groups.flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn board() -> Value {
    serde_json::from_str(&read(&top("charts/llmrollout/files/board.json"))).unwrap()
}

/// Every query of alerts and board, with times in the place of Grafana's own words.
fn queries() -> Vec<String> {
    let board = board();
    let of = |asked: &Value| asked["expr"].as_str().unwrap().to_owned();
    let panels = board["panels"].as_array().unwrap().iter();
    let mut all: Vec<String> =
        panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten().map(of)).collect();
    all.extend(board["annotations"]["list"].as_array().unwrap().iter().map(of));
    all.extend(alerts().iter().map(of));
    all.iter().map(|q| q.replace("$__rate_interval", "2m").replace("$__range", "6h")).collect()
}

/// What a query selects: names and the labels asked of them.
#[derive(Default)]
struct Selected(Vec<(String, Vec<String>)>);

impl ExprVisitor for Selected {
    type Error = String;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, String> {
        let selector = match expr {
            Expr::VectorSelector(selector) => Some(selector),
            Expr::MatrixSelector(range) => Some(&range.vs),
            _ => None,
        };
        if let Some(VectorSelector { name, matchers, .. }) = selector {
            let name = name.clone().ok_or("a selector without a name")?;
            let labels = matchers.matchers.iter().map(|m| m.name.clone()).filter(|label| label != METRIC_NAME);
            self.0.push((name, labels.collect()));
        }
        Ok(true)
    }
}

fn selected(query: &str) -> Vec<(String, Vec<String>)> {
    let expr = parser::parse(query).unwrap_or_else(|e| panic!("{query}: {e}"));
    let mut selected = Selected::default();
    walk_expr(&mut selected, &expr).unwrap_or_else(|e| panic!("{query}: {e}"));
    selected.0
}

#[test]
fn every_query_asks_for_what_the_operator_exports() {
    let exported = exported();
    let queries = queries();
    assert!(queries.len() > 30, "{}", queries.len());
    for query in &queries {
        for (name, labels) in selected(query) {
            let known = exported.get(&name).unwrap_or_else(|| panic!("{query}: nobody exports {name}"));
            let unknown: Vec<_> = labels.iter().filter(|label| !known.contains(*label)).collect();
            assert!(unknown.is_empty(), "{query}: {name} has no label {unknown:?}, it has {known:?}");
        }
    }
}

#[test]
fn every_figure_has_a_place_on_the_board() {
    let asked: BTreeSet<String> = queries().iter().flat_map(|q| selected(q)).map(|(name, _)| name).collect();
    let of_family = |name: &str| ["_sum", "_count"].iter().any(|end| name.ends_with(end)) && !name.ends_with("_total");
    let missing: Vec<_> = exported().into_keys().filter(|name| !of_family(name) && !asked.contains(name)).collect();
    assert!(missing.is_empty(), "neither board nor alerts show {missing:?}");
}

#[test]
fn the_variables_of_the_board_are_filled_from_what_is_exported() {
    let (board, exported) = (board(), exported());
    for variable in board["templating"]["list"].as_array().unwrap() {
        let Some(query) = variable["definition"].as_str() else { continue };
        let (name, label) =
            query.strip_prefix("label_values(").unwrap().trim_end_matches(')').rsplit_once(", ").unwrap();
        let (name, _) = selected(name).remove(0);
        assert!(exported[&name].contains(label), "{query}");
    }
}

#[test]
fn panels_have_names_of_their_own_and_do_not_overlap() {
    let board = board();
    let panels = board["panels"].as_array().unwrap();
    let ids: BTreeSet<i64> = panels.iter().map(|p| p["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    let mut taken = BTreeSet::new();
    for panel in panels {
        let at = |key: &str| panel["gridPos"][key].as_i64().unwrap();
        for (x, y) in (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y))) {
            assert!(x < 24 && taken.insert((x, y)), "{} lies on another panel", panel["title"]);
        }
    }
}

#[test]
fn every_alert_leads_to_its_place_in_the_book() {
    let page = read(&top("docs/monitoring.md"));
    let alerts = alerts();
    let headings: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let names: Vec<&str> = alerts.iter().map(|alert| alert["alert"].as_str().unwrap()).collect();
    assert_eq!(headings, names, "docs/monitoring.md has a heading for each alert, in their order");
    for alert in &alerts {
        let (name, link) = (alert["alert"].as_str().unwrap(), alert["annotations"]["runbook_url"].as_str().unwrap());
        let expected = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/monitoring.md#");
        assert_eq!(link, format!("{expected}{}", name.to_lowercase()));
        assert!(["info", "warning", "critical"].contains(&alert["labels"]["severity"].as_str().unwrap()), "{name}");
    }
}

#[test]
fn every_alert_is_made_to_fire_in_a_test() {
    let tests = ["operator", "rollouts"].map(|name| read(&top(&format!("tests/alerts/{name}.yaml")))).concat();
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        let fires = tests.split("- alertname: ").skip(1).any(|test| test.split_whitespace().next() == Some(name));
        assert!(fires, "tests/alerts has no test in which {name} fires");
    }
}

/// The plain manifests are what the chart makes of the files it holds.
#[test]
fn the_plain_manifests_are_in_step_with_the_chart() {
    let documents = yaml(&top("config/monitoring.yaml"));
    let of = |kind: &str| documents.iter().find(|d| d["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"));
    let again = "run `make chart`";
    assert_eq!(of("PrometheusRule")["spec"], yaml(&top("charts/llmrollout/files/alerts.yaml"))[0], "{again}");
    let shown = of("ConfigMap")["data"]["llmrollout.json"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(shown).unwrap(), board(), "{again}");
    assert_eq!(of("ServiceMonitor")["spec"]["endpoints"][0]["honorLabels"], true, "`namespace` is the rollout's");
}
