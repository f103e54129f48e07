//! The dashboard in a real browser: `tests/browser/run.mjs` drives Chromium through playwright-core and asks axe. Both come
//! from npm into `target/`; the browser is the machine's own. Without one of them the suite is skipped, and says why.
//! Nothing here knows the page.

use std::{env, fs, path::PathBuf, process::Command};

use super::{CheckError, process, report, report::Row};

/// Names under which Chromium is known.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// Builds the command line, fetches what drives the browser, and runs it.
pub(super) fn check(name: &str) -> Result<Vec<Row>, CheckError> {
    let (node, npm) = (found("node"), found("npm"));
    let browser =
        env::var_os("LLMROLLOUT_CHROMIUM").map(PathBuf::from).or_else(|| BROWSERS.into_iter().find_map(found));
    let (Some(node), Some(npm), Some(browser)) = (node, npm, browser) else {
        let why = "node, npm and Chromium are needed: install them, or name the browser in LLMROLLOUT_CHROMIUM";
        return Ok(vec![Row::skipped(name, why)]);
    };
    let (log, dir) = (report::log(name), report::dir().join(name));
    fs::create_dir_all(&dir).map_err(CheckError::file(&dir))?;
    for file in ["package.json", "run.mjs"] {
        let own = process::root().join("tests/browser").join(file);
        fs::copy(&own, dir.join(file)).map_err(CheckError::file(&own))?;
    }
    let mut fetch = Command::new(npm);
    fetch.current_dir(&dir).args([
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--no-package-lock",
        "--ignore-scripts",
    ]);
    if !process::run(fetch, &log, &mut |_| true)?.ok {
        return Ok(vec![Row::skipped(name, "npm does not get playwright-core and axe-core")]);
    }
    let build = process::run(process::cargo(&["build", "-q", "--bin", "kubectl-llmrollout"]), &log, &mut |_| true)?;
    if !build.ok {
        return Ok(vec![Row::failed(name)]);
    }
    let mut drive = Command::new(node);
    drive
        .current_dir(&dir)
        .arg("run.mjs")
        .arg(process::root())
        .arg(process::root().join("target/debug/kubectl-llmrollout"));
    drive.arg(browser).arg(dir.join("pictures"));
    let (mut passed, mut failed) = (0, 0);
    let ended = process::run(drive, &log, &mut |line| {
        passed += u64::from(line.starts_with("ok "));
        failed += u64::from(line.starts_with("FAILED "));
        true
    })?;
    // Ended badly with no claim to blame, or well without a single one: neither is a pass.
    if failed == 0 && (!ended.ok || passed == 0) {
        failed = 1;
    }
    Ok(vec![Row { passed, failed, ..Row::single(name, ended) }])
}

/// A program on the path.
fn found(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}
