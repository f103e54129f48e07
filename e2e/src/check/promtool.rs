//! Prometheus' own word on every query that a profile can produce: promtool parses the golden files as recording rules,
//! and `tests/metrics/rules` says what some of them give on series written down there.
//! Nothing here makes a query.

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
/// The name by which the tests know the file of rules.
const RULES: &str = "queries.yaml";

/// Lets promtool read all queries, and run the tests of some.
pub(super) fn check(name: &str) -> Result<Vec<Row>, CheckError> {
    let promtool = lab::promtool(&mut |line| eprintln!("{line}"))?;
    let log = report::log(name);
    let dir = report::dir().join(name);
    fs::create_dir_all(&dir).map_err(CheckError::file(&dir))?;
    let (golden, mut groups) = (process::root().join("tests/metrics"), Vec::new());
    for file in files(&golden, "txt")? {
        let text = fs::read_to_string(&file).map_err(CheckError::file(&file))?;
        groups.push(group(&file.file_stem().unwrap_or_default().to_string_lossy(), &text));
    }
    let count = groups.iter().filter_map(|group| group["rules"].as_array()).map(Vec::len).sum::<usize>();
    let rules = dir.join(RULES);
    // JSON is YAML too, and its quotes are known to be right.
    fs::write(&rules, json!({ "groups": groups }).to_string()).map_err(CheckError::file(&rules))?;

    let mut command = Command::new(&promtool);
    command.args(["check", "rules"]).arg(&rules);
    let said = format!("SUCCESS: {count} rules found");
    let mut has_said = false;
    let ended = process::run(command, &log, &mut |line| {
        has_said |= line.trim() == said;
        true
    })?;
    let queries = Row::single(&format!("{name}: every query"), ended);
    let taken = if ended.ok && has_said && count > 0 { count } else { 0 };
    let mut rows = vec![if taken > 0 {
        Row { passed: u64::try_from(taken).unwrap_or(u64::MAX), ..queries }
    } else {
        Row { passed: 0, failed: 1, ..queries }
    }];
    for file in files(&golden.join("rules"), "yaml")? {
        let own = file.file_name().unwrap_or_default();
        let copy = dir.join(own);
        fs::copy(&file, &copy).map_err(CheckError::file(&copy))?;
        let mut command = Command::new(&promtool);
        command.args(["test", "rules"]).arg(&copy);
        let ended = process::run(command, &log, &mut |_| true)?;
        rows.push(Row::single(&format!("{name}: rules/{}", own.to_string_lossy()), ended));
    }
    Ok(rows)
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

    use super::group;

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
