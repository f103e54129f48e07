//! Looks at a lab from inside: which parts run, how much memory they hold, whether they are ready.
//! Nothing here changes anything.

#![expect(clippy::print_stdout, reason = "the report is this command's output")]

use std::{collections::BTreeMap, fs};

use futures::future::join_all;
use serde::Serialize;

use super::{LabError, cluster, parts, process::Row, space, state::State};

#[derive(Debug, Serialize)]
struct Report {
    parts: Vec<Line>,
    /// Everything in the lab, pods included.
    processes: usize,
    #[serde(rename = "memoryMiB")]
    memory_mib: u64,
}

#[derive(Debug, Serialize)]
struct Line {
    name: &'static str,
    pid: Option<u32>,
    ends: u32,
    #[serde(rename = "memoryMiB")]
    memory_mib: u64,
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Prints the report; true when every part is ready.
pub(crate) async fn inspect(state: &State, json: bool) -> Result<bool, LabError> {
    let rows: BTreeMap<String, Row> = state.read_json("parts.json")?;
    let client = cluster::client(state).await.ok();
    let lines = parts::ALL.iter().map(|name| line(name, rows.get(*name), state, client.as_ref()));
    let lines = join_all(lines).await;
    let pids = space::processes();
    let memory_mib = pids.iter().map(|pid| memory_kib(&pid.to_string())).sum::<u64>() / 1024;
    let report = Report { parts: lines, processes: pids.len(), memory_mib };
    let all_ready = report.parts.iter().all(|line| line.ready);
    if json {
        println!("{}", serde_json::to_string_pretty(&report).map_err(LabError::document("the report"))?);
        return Ok(all_ready);
    }
    println!("{:<26}{:>8}{:>8}{:>8}  READY", "PART", "PID", "MIB", "ENDS");
    for line in &report.parts {
        let pid = line.pid.map_or("-".to_owned(), |pid| pid.to_string());
        let ready = line.reason.as_deref().unwrap_or("yes");
        println!("{:<26}{pid:>8}{:>8}{:>8}  {ready}", line.name, line.memory_mib, line.ends);
    }
    println!("{} processes, {} MiB", report.processes, report.memory_mib);
    Ok(all_ready)
}

async fn line(name: &'static str, row: Option<&Row>, state: &State, client: Option<&kube::Client>) -> Line {
    let row = row.cloned().unwrap_or_default();
    let reason = if row.pid.is_none() {
        Some(if state.held(name).exists() { "held down" } else { "not running" }.to_owned())
    } else {
        parts::probe(name, state, client).await.err()
    };
    let memory_mib = row.pid.map_or(0, |pid| memory_kib(&pid.to_string())) / 1024;
    Line { name, pid: row.pid, ends: row.ends, memory_mib, ready: reason.is_none(), reason }
}

/// Resident memory; pages of files shared between processes count for each.
fn memory_kib(pid: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    field.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse().ok()).unwrap_or(0)
}
