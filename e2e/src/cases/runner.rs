//! Runs the cases stage by stage, tells what came of each, and writes the report.
//! Nothing here knows what a case proves.

#![expect(clippy::print_stdout, reason = "the lines are this command's output")]

use std::{
    collections::BTreeMap,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use serde::Serialize;

use super::{CASES, Case, CasesArgs, Stage, Stand};
use crate::kit::{
    Ground, KitError, Space,
    audit::Audit,
    operator::{self, Install, run as tool},
};

/// No case may take longer.
const LIMIT: Duration = Duration::from_mins(8);
/// One that is asked for by name may.
const LONG: Duration = Duration::from_mins(40);

#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    #[serde(rename = "issue_row")]
    answers: &'static str,
    result: &'static str,
    seconds: f64,
    requests: u64,
    failed_requests: u64,
    failed_unanswered: u64,
    #[serde(flatten)]
    figures: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    why: String,
    /// Why it did not hold beside others, if it was run a second time by itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    beside_others: String,
    #[serde(skip)]
    was_late: bool,
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    cases: &'a [Row],
    seconds: f64,
}

/// Runs what was asked for.
pub(super) async fn run(arguments: &CasesArgs) -> Result<ExitCode, KitError> {
    let named = |case: &&Case| arguments.only.iter().any(|part| case.name.contains(part));
    let usual = |case: &&Case| arguments.only.is_empty() && (arguments.faults || case.stage != Stage::Faults);
    let wanted = |case: &&Case| named(case) || usual(case);
    let cases: Vec<_> = CASES.iter().filter(wanted).copied().collect();
    if arguments.list {
        for case in &cases {
            println!("{:<62} {}", case.name, case.row);
        }
        return Ok(ExitCode::SUCCESS);
    }
    if cases.is_empty() {
        return Err(KitError::Refuted("no case has such a name; `cases --list` shows all".to_owned()));
    }
    let since = Instant::now();
    let ground = Ground::find().await?;
    let audit = Audit::from_now(&ground).ok();
    let mut rows = Vec::new();
    for stage in [Stage::Beside, Stage::Alone, Stage::Own, Stage::Faults, Stage::Last] {
        let of_stage: Vec<_> = cases.iter().filter(|case| case.stage == stage).copied().collect();
        if !of_stage.is_empty() {
            rows.extend(run_stage(&ground, arguments, audit.as_ref(), stage, of_stage).await?);
        }
    }
    finish(&rows, since.elapsed())
}

/// Puts the common operator there, or away, and runs the cases of one stage. What did not come in time while others used the
/// machine is awaited once more with nothing beside it, and both are told; what was refuted stays refuted.
async fn run_stage(
    ground: &Ground,
    arguments: &CasesArgs,
    audit: Option<&Audit>,
    stage: Stage,
    cases: Vec<Case>,
) -> Result<Vec<Row>, KitError> {
    let common = Install::default();
    match stage {
        Stage::Beside | Stage::Alone | Stage::Last => common.install(ground).await?,
        Stage::Own | Stage::Faults if ground.lab.is_some() && is_there(ground, &common).await => {
            common.uninstall().await?;
        }
        Stage::Own | Stage::Faults => {}
    }
    let parallel =
        if matches!(stage, Stage::Beside | Stage::Own | Stage::Faults) { usize::from(arguments.parallel) } else { 1 };
    let run = |case: Case| {
        let (ground, common, arguments, audit) = (ground.clone(), common.clone(), arguments.clone(), audit.cloned());
        async move { one(&ground, common, &arguments, audit, case).await }
    };
    let mut rows: Vec<_> = stream::iter(cases.clone()).map(run).buffer_unordered(parallel).collect().await;
    if parallel > 1 {
        for row in rows.iter_mut().filter(|row| row.was_late) {
            if let Some(case) = cases.iter().find(|case| case.name == row.name) {
                let beside_others = std::mem::take(&mut row.why);
                *row = Row { beside_others, ..run(*case).await };
            }
        }
    }
    Ok(rows)
}

async fn is_there(ground: &Ground, install: &Install) -> bool {
    ground.within(&install.namespace, "apps/v1", "Deployment").get(&install.full_name()).await.is_ok()
}

/// One case from its namespace to its line.
async fn one(ground: &Ground, operator: Install, arguments: &CasesArgs, audit: Option<Audit>, case: Case) -> Row {
    let since = Instant::now();
    let fast = arguments.fast || std::env::var("FAST").is_ok_and(|word| !word.is_empty() && word != "0");
    let rest = Duration::from_secs(if fast { 30 } else { 60 });
    let (proved, counts, figures) = match Space::fresh(ground, &namespace(case.name)).await {
        Err(error) => (Err(error), (0, 0, 0), BTreeMap::new()),
        Ok(space) => {
            let mut stand = Stand::new(space, operator, rest, audit);
            stand.whole = arguments.only.is_empty();
            let stand = Arc::new(stand);
            let operator = if [Stage::Own, Stage::Faults].contains(&case.stage) {
                stand.own_operator(1, rest)
            } else {
                stand.operator.clone()
            };
            let proved = proved(&stand, case).await;
            match &proved {
                Err(why) if !why.is_a_skip() => show(&stand, &operator, case, why).await,
                // What is left ends with the lab, or with the next run.
                _ if !arguments.keep => drop(stand.space.delete().await),
                _ => {}
            }
            (proved, stand.counts(), stand.figures())
        }
    };
    let (result, word) = match &proved {
        Ok(()) => ("ok", "ok"),
        Err(why) if why.is_a_skip() => ("skipped", "skip"),
        Err(_) => ("failed", "FAILED"),
    };
    let was_late = matches!(proved, Err(KitError::Late { .. }));
    let why = proved.err().map(|why| why.to_string()).unwrap_or_default();
    let (requests, failed_requests, failed_unanswered) = counts;
    let seconds = since.elapsed().as_secs_f64();
    let shown: Vec<_> = figures.iter().map(|(name, value)| format!("{name}={value}")).collect();
    println!(
        "{word:<6} {:<62} {seconds:>5.1} s {requests:>6} requests {failed_requests:>4} failed {}",
        case.name,
        shown.join(" ")
    );
    Row {
        name: case.name,
        answers: case.row,
        result,
        seconds,
        requests,
        failed_requests,
        failed_unanswered,
        figures,
        why,
        beside_others: String::new(),
        was_late,
    }
}

/// Runs the proof; a panic and a standstill are failures too.
async fn proved(stand: &Arc<Stand>, case: Case) -> Result<(), KitError> {
    let own = stand.clone();
    let mut task = tokio::spawn(async move { (case.proof)(&own).await });
    let limit = if case.stage == Stage::Faults { LONG } else { LIMIT };
    match tokio::time::timeout(limit, &mut task).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(KitError::Refuted(panic.to_string())),
        Err(_) => {
            task.abort();
            Err(KitError::Refuted(format!("not over after {} s", limit.as_secs())))
        }
    }
}

/// A Kubernetes name made of the case's.
fn namespace(case: &str) -> String {
    let name = case.replace('_', "-");
    name[..name.len().min(50)].trim_end_matches('-').to_owned()
}

/// Everything that helps to understand a failure.
async fn show(stand: &Stand, operator: &Install, case: Case, why: &KitError) {
    let namespace = &stand.space.name;
    let yaml = tool("kubectl", &["get", "llmrollouts", "-n", namespace, "-o", "yaml"]).await;
    let yaml = yaml.unwrap_or_else(|error| error.to_string());
    let log = operator.log_of(&stand.space.ground, namespace, 40);
    println!("--- {}: {why}\n--- the operator on {namespace}:\n{log}\n--- the rollout:\n{yaml}---", case.name);
}

fn finish(rows: &[Row], took: Duration) -> Result<ExitCode, KitError> {
    let path = operator::target()?.join("e2e/report.json");
    let what = || path.display().to_string();
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(KitError::failed(what()))?;
    }
    let document = Document { cases: rows, seconds: took.as_secs_f64() };
    let text = serde_json::to_string_pretty(&document).map_err(KitError::failed(what()))?;
    std::fs::write(&path, text).map_err(KitError::failed(what()))?;
    let failed: Vec<_> = rows.iter().filter(|row| row.result == "failed").collect();
    let held = rows.iter().filter(|row| row.result == "ok").count();
    println!("\n{held} of {} cases hold, {:.0} s; {}", rows.len(), took.as_secs_f64(), what());
    for row in rows.iter().filter(|row| row.result == "ok" && !row.beside_others.is_empty()) {
        println!("only by itself {}: {}", row.name, row.beside_others.lines().next().unwrap_or_default());
    }
    for row in &failed {
        println!("FAILED {}: {}", row.name, row.why.lines().next().unwrap_or_default());
    }
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{CASES, namespace};

    #[test]
    fn each_case_has_a_namespace_of_its_own() {
        let names: BTreeSet<_> = CASES.iter().map(|case| namespace(case.name)).collect();
        assert_eq!(names.len(), CASES.len());
        assert!(names.iter().all(|name| name.len() <= 50 && !name.ends_with('-')), "{names:?}");
    }
}
