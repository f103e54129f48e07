//! Pods as the processes they are in a lab: found by the mark the lab's node leaves on them, signaled, read.
//! Nothing here talks to the API server.

use std::{fs, path::PathBuf};

use rustix::process::{Pid, Signal, kill_process};

use super::{Ground, KitError};

/// The processes of a pod, by its uid.
pub(crate) fn processes(uid: &str) -> Vec<i32> {
    let mark = format!("/{uid}/");
    let of_pod = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| {
            let variable = String::from_utf8_lossy(variable);
            variable.starts_with("TERMINATION_MESSAGE_PATH=") && variable.contains(&mark)
        })
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(of_pod).collect()
}

/// Sends a signal to every process of a pod; says how many there were.
pub(crate) fn signal(uid: &str, signal: Signal) -> usize {
    let pids = processes(uid);
    for pid in &pids {
        signal_one(*pid, signal);
    }
    pids.len()
}

/// Sends a signal to one process.
pub(crate) fn signal_one(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        // Gone already is as good.
        let _ = kill_process(pid, signal);
    }
}

/// The logs of all pods of a namespace whose names begin so, the runs of each one after the other.
pub(crate) fn logs(ground: &Ground, namespace: &str, prefix: &str) -> Result<String, KitError> {
    let root = pods_dir(ground)?;
    let begin = format!("{namespace}_{prefix}");
    let mut dirs: Vec<PathBuf> = fs::read_dir(&root)
        .map_err(KitError::failed(root.display().to_string()))?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&begin))
        .map(|entry| entry.path())
        .collect();
    dirs.sort();
    let mut all = String::new();
    for file in dirs.iter().flat_map(|dir| fs::read_dir(dir).into_iter().flatten().flatten()) {
        all.push_str(&fs::read_to_string(file.path()).unwrap_or_default());
    }
    Ok(all)
}

fn pods_dir(ground: &Ground) -> Result<PathBuf, KitError> {
    Ok(ground.lab()?.state_dir.join("node/pods"))
}
