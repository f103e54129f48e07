//! `e2e bench`: how fast the way back is and what a fleet costs, on a real API server, each figure beside a bare client that
//! writes the same in the same run. It demands nothing of the figures.
//! Nothing here is a test.

#![expect(clippy::print_stdout, reason = "the lines are this command's output")]

mod fleet;
mod measure;
mod operator;
mod plot;
mod report;
mod stub;
mod watch;

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use clap::Args;
use rustix::process::Signal;

use self::{
    fleet::Fleet,
    measure::ms,
    operator::Program,
    report::{Failover, OfASize, Report},
    stub::Stub,
};
use crate::{
    kit::{
        Ground, KitError,
        operator::{root, run as tool, target},
    },
    lab::{self, Lab, Options},
};

/// Arguments of `e2e bench`.
#[derive(Debug, Clone, Args)]
pub(crate) struct BenchArgs {
    /// How many rollouts there are; each size has a lab of its own
    #[arg(long, value_delimiter = ',', default_value = "100")]
    sizes: Vec<usize>,
    /// How many seconds a fleet is watched while nothing happens
    #[arg(long, default_value_t = 60)]
    rest: u64,
    /// How many rollouts go bad one after the other
    #[arg(long, default_value_t = 100)]
    one: usize,
    #[command(flatten)]
    options: Options,
    /// Measure here, in the lab, this size and write what came of it there
    #[arg(long, hide = true)]
    here: Option<PathBuf>,
}

/// Builds the operator as it is shipped, and measures each size in a lab of its own.
pub(crate) fn run(arguments: &BenchArgs) -> Result<ExitCode, KitError> {
    if let Some(file) = &arguments.here {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.map_err(KitError::failed("the runtime"))?.block_on(measured(arguments, file))?;
        return Ok(ExitCode::SUCCESS);
    }
    if !arguments.options.no_build {
        build()?;
    }
    let mut report = Report::new(&program()?)?;
    for size in &arguments.sizes {
        let file = target()?.join("tmp").join(format!("bench-{size}.json"));
        let lab = Lab::ephemeral(&arguments.options).map_err(KitError::failed("the lab"))?;
        let words = [
            "bench".to_owned(),
            format!("--here={}", file.display()),
            format!("--sizes={size}"),
            format!("--rest={}", arguments.rest),
            format!("--one={}", arguments.one),
        ];
        let ended = lab::enter(&lab, words).map_err(KitError::failed("the lab"))?;
        let dir = lab.description.state_dir.clone();
        lab.down().map_err(KitError::failed("the lab"))?;
        let _ = std::fs::remove_dir_all(dir);
        if !ended.success() {
            return Err(KitError::Refuted(format!("{size} rollouts could not be measured")));
        }
        report.add(&file)?;
    }
    println!("{}", report.write(&target()?.join("bench"))?);
    Ok(ExitCode::SUCCESS)
}

/// The operator as it is shipped.
fn build() -> Result<(), KitError> {
    let mut build = Command::new("cargo");
    build.args(["build", "-q", "--release", "--locked", "--bin", "llmrollout-operator"]).current_dir(root());
    let ended = build.status().map_err(KitError::failed("cargo"))?;
    if ended.success() { Ok(()) } else { Err(KitError::Refuted("the operator cannot be built".to_owned())) }
}

fn program() -> Result<PathBuf, KitError> {
    Ok(target()?.join("release/llmrollout-operator"))
}

async fn measured(arguments: &BenchArgs, file: &Path) -> Result<(), KitError> {
    let ground = Ground::find().await?;
    let crds = root().join("charts/llmrollout/crds").display().to_string();
    tool("kubectl", &["apply", "--server-side", "-f", &crds]).await?;
    tool("kubectl", &["wait", "--for=create", "crd/llmrollouts.llmrollout.io"]).await?;
    let size = arguments.sizes.first().copied().unwrap_or(100);
    let of = of_a_size(&ground, arguments, size).await?;
    let text = serde_json::to_string_pretty(&of).map_err(KitError::failed("the figures"))?;
    std::fs::write(file, text).map_err(KitError::failed(file.display().to_string()))
}

fn told(what: &str) {
    eprintln!("  {what}");
}

/// Everything about a fleet of one size.
async fn of_a_size(ground: &Ground, arguments: &BenchArgs, size: usize) -> Result<OfASize, KitError> {
    let stub = Stub::start().await?;
    let program = Program::new(ground.lab()?, &program()?, &stub.url)?;
    let mut fleet = Fleet::raise(ground, size, 1).await?;
    told(&format!("{size} rollouts are there"));
    let bare = measure::bare_one(&fleet, arguments.one.min(size)).await?;
    let bare_all = measure::bare_all(&fleet, 5).await?;
    measure::bare_all(&fleet, 0).await?;

    let operator = program.start("first")?;
    fleet.all_are(&["Idle", "Completed"]).await?;
    fleet.release().await?;
    told("all are being measured");
    let one = measure::rollback_one(&fleet, &stub, arguments.one).await?;
    told(&format!("one of them home: {} ms at the median, bare {} ms", one.p50_ms, bare.p50_ms));
    stub.heal();
    fleet.release().await?;
    let (all, each) = measure::rollback_all(&fleet, &stub).await?;
    told(&format!("all of them home: {} ms, bare {} ms", ms(all), ms(bare_all)));
    told(&format!("each from its own answer: {} ms at the median, {} ms the last", each.p50_ms, each.most_ms));
    fleet.all_are(&["RolledBack"]).await?;
    stub.heal();
    let rest = measure::rest(&fleet, &stub, &operator, arguments.rest).await?;
    let memory = operator.memory()?;
    told(&format!("at rest: {rest:?}, {memory} bytes"));
    fleet.release().await?;
    let holding = measure::rest(&fleet, &stub, &operator, arguments.rest).await?;
    told(&format!("all being measured: {holding:?}"));
    operator.signal(Signal::TERM)?;
    drop(operator);
    let (cold, cold_start) = measure::cold_start(&fleet, &stub, &program).await?;
    told(&format!("each asked about {} ms after a cold start", ms(cold_start)));
    let failover = failover(&fleet, &stub, &program, cold).await?;
    told(&format!("{failover:?}"));
    let (all_ms, bare_all_ms, cold_start_ms) = (ms(all), ms(bare_all), ms(cold_start));
    Ok(OfASize { size, one, bare, each, all_ms, bare_all_ms, rest, holding, memory, cold_start_ms, failover })
}

async fn failover(
    fleet: &Fleet,
    stub: &Stub,
    program: &Program,
    leader: operator::Operator,
) -> Result<Failover, KitError> {
    let standby = program.start("second")?;
    standby.is_ready().await?;
    let clean = measure::failover(fleet, stub, leader, (Signal::TERM, 0)).await?;
    let third = program.start("third")?;
    third.is_ready().await?;
    let crash = measure::failover(fleet, stub, standby, (Signal::KILL, 1)).await?;
    drop(third);
    Ok(Failover { clean_ms: ms(clean), crash_ms: ms(crash), lease_ms: 10_000.0 })
}
