//! Prometheus' own word on every query that a profile can produce: promtool parses the golden files as recording rules,
//! and `tests/metrics/rules` says what some of them give on series written down there. The same of the alerts that the
//! chart ships (`tests/alerts`), and of what its board asks. Nothing here makes a query.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use super::{CheckError, process, report, report::Row};
use crate::lab;

/// Stands in a golden file where the window belongs.
const OPEN: &str = "{{window}}";
/// The window in the rules; their tests scrape each quarter of it.
const WINDOW: &str = "60s";

/// Lets promtool read all queries, and run the tests of some.
pub(super) fn check(name: &str) -> Result<Vec<Row>, CheckError> {
    let promtool = lab::promtool(&mut |line| eprintln!("{line}"))?;
    let log = report::log(name);
    let dir = report::dir().join(name);
    fs::create_dir_all(&dir).map_err(CheckError::file(&dir))?;
    let golden = process::root().join("tests/metrics");
    let mut rows = vec![queries(&format!("{name}: every query"), &promtool, &golden, &dir, &log)?];
    for file in files(&golden.join("rules"), "yaml")? {
        rows.push(tests(&format!("{name}: rules"), &promtool, &file, &dir, &log)?);
    }
    let shipped = process::root().join("charts/llmrollout/files");
    let alerts = copied(&shipped.join("alerts.yaml"), &dir)?;
    let board = dir.join("board.rules.yaml");
    let text = fs::read(shipped.join("board.json")).map_err(CheckError::file(shipped.join("board.json")))?;
    fs::write(&board, asked(&serde_json::from_slice(&text).unwrap_or_default()).to_string())
        .map_err(CheckError::file(&board))?;
    for (what, rules) in [("alerts", &alerts), ("board", &board)] {
        let mut command = Command::new(&promtool);
        command.args(["check", "rules"]).arg(rules);
        let mut found = 0;
        let ended = process::run(command, &log, &mut |line| {
            found += found_in(line);
            true
        })?;
        let row = Row::single(&format!("{name}: {what}"), ended);
        rows.push(if ended.ok && found > 0 { row } else { Row { passed: 0, failed: 1, ..row } });
    }
    for file in files(&process::root().join("tests/alerts"), "yaml")? {
        rows.push(tests(&format!("{name}: alerts"), &promtool, &file, &dir, &log)?);
    }
    Ok(rows)
}

/// A file of tests of rules, run beside the rules it names.
fn tests(name: &str, promtool: &Path, file: &Path, dir: &Path, log: &Path) -> Result<Row, CheckError> {
    let mut command = Command::new(promtool);
    command.args(["test", "rules"]).arg(copied(file, dir)?);
    let ended = process::run(command, log, &mut |_| true)?;
    Ok(Row::single(&format!("{name}/{}", file.file_name().unwrap_or_default().to_string_lossy()), ended))
}

fn copied(file: &Path, dir: &Path) -> Result<PathBuf, CheckError> {
    let copy = dir.join(file.file_name().unwrap_or_default());
    fs::copy(file, &copy).map_err(CheckError::file(&copy))?;
    Ok(copy)
}

/// Every query of the board as a rule, with times in the place of Grafana's own words.
fn asked(board: &Value) -> Value {
    let panels = board["panels"].as_array().into_iter().flatten();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let annotations = board["annotations"]["list"].as_array().into_iter().flatten();
    let all = targets.chain(annotations).filter_map(|asked| asked["expr"].as_str());
    let rule = |(n, expr): (usize, &str)| {
        let expr = expr.replace("$__rate_interval", "2m").replace("$__range", "6h");
        json!({ "record": format!("board:query:{n}"), "expr": expr })
    };
    json!({ "groups": [{ "name": "board", "rules": all.enumerate().map(rule).collect::<Vec<_>>() }] })
}

/// All golden files as rules, each in a file of its own; promtool has to find as many rules as there are queries.
fn queries(name: &str, promtool: &Path, golden: &Path, dir: &Path, log: &Path) -> Result<Row, CheckError> {
    let mut command = Command::new(promtool);
    command.args(["check", "rules"]);
    let mut count = 0;
    for file in files(golden, "txt")? {
        let text = fs::read_to_string(&file).map_err(CheckError::file(&file))?;
        let profile = file.file_stem().unwrap_or_default().to_string_lossy();
        let group = group(&profile, &text);
        count += group["rules"].as_array().map_or(0, Vec::len);
        let rules = dir.join(format!("{profile}.rules.yaml"));
        // JSON is YAML too, and its quotes are known to be right.
        fs::write(&rules, json!({ "groups": [group] }).to_string()).map_err(CheckError::file(&rules))?;
        command.arg(rules);
    }
    let mut found = 0;
    let ended = process::run(command, log, &mut |line| {
        found += found_in(line);
        true
    })?;
    eprintln!("{found} of {count} queries taken");
    let row = Row::single(name, ended);
    let taken = u64::try_from(found).unwrap_or_default();
    let is_good = ended.ok && found == count && count > 0;
    Ok(if is_good { Row { passed: taken, ..row } } else { Row { passed: 0, failed: 1, ..row } })
}

/// How many rules promtool says it found in a file.
fn found_in(line: &str) -> usize {
    let number = line.trim().strip_prefix("SUCCESS: ").and_then(|rest| rest.strip_suffix(" rules found"));
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// The files of a directory that end so, in their order.
fn files(dir: &Path, end: &str) -> Result<Vec<PathBuf>, CheckError> {
    let entries = fs::read_dir(dir).map_err(CheckError::file(dir))?;
    let all: Result<Vec<_>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut all = all.map_err(CheckError::file(dir))?;
    all.retain(|path| path.extension().is_some_and(|own| own == end));
    all.sort();
    Ok(all)
}

/// The queries of one golden file as a group of rules, each named `profile:metric:value` or `:samples`, with the quantile
/// between the two where there is one: `vllm:latency:0_95:value`.
fn group(profile: &str, golden: &str) -> Value {
    let profile = profile.replace('-', "_");
    let (mut metric, mut rules) = (String::new(), Vec::new());
    for line in golden.lines() {
        let Some((kind, text)) = line.strip_prefix("  ").and_then(|line| line.split_once(':')) else {
            metric = line.replace(' ', ":").replace('.', "_").replace(['(', ')'], "");
            continue;
        };
        // The other lines say why there is no query.
        if matches!(kind, "value" | "samples") {
            let expr = text.trim().replace(OPEN, WINDOW);
            rules.push(json!({ "record": format!("{profile}:{metric}:{kind}"), "expr": expr }));
        }
    }
    json!({ "name": profile, "interval": "15s", "rules": rules })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{asked, found_in, group};

    #[test]
    fn what_a_board_asks_is_made_a_rule() {
        let board = json!({"panels": [
            {"type": "row"},
            {"targets": [{"expr": "a{b=~\"$c\"}"}, {"expr": "increase(d[$__range])"}]},
        ], "annotations": {"list": [{"expr": "rate(e[$__rate_interval])"}]}});
        let exprs = ["a{b=~\"$c\"}", "increase(d[6h])", "rate(e[2m])"];
        let rules: Vec<_> =
            exprs.iter().enumerate().map(|(n, e)| json!({"record": format!("board:query:{n}"), "expr": e})).collect();
        assert_eq!(asked(&board), json!({"groups": [{"name": "board", "rules": rules}]}));
    }

    #[test]
    fn rules_found_are_counted() {
        assert_eq!(found_in("  SUCCESS: 412 rules found"), 412);
        assert_eq!(found_in("  FAILED: 412 rules found") + found_in("SUCCESS"), 0);
    }

    #[test]
    fn each_query_is_a_rule_with_a_name_of_its_own() {
        let golden = "latency 0.95\n  value:   a[{{window}}]\n  samples: b{c=\"d: e\"}\nerrorRate\n  not available: nobody: x\n\
            timePerOutputToken (mean)\n  value:   f offset {{window}}\n";
        let rules = json!([
            {"record": "llama_cpp:latency:0_95:value", "expr": "a[60s]"},
            {"record": "llama_cpp:latency:0_95:samples", "expr": "b{c=\"d: e\"}"},
            {"record": "llama_cpp:timePerOutputToken:mean:value", "expr": "f offset 60s"},
        ]);
        assert_eq!(group("llama-cpp", golden)["rules"], rules);
    }
}
