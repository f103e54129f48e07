//! The rules of the house: who may import whom, what the pure rooms never say, and how long things get. Each rule is
//! shown to refuse a bad snippet, and then the whole of `src/` is held against it.

use std::path::Path;

use crate::{
    files::{below, read, top},
    source::{Token, functions, lines_without_tests, paths, tokens},
};

const LINES_OF_A_FILE: usize = 400;
const LINES_OF_A_FUNCTION: usize = 60;
const LINES_OF_A_DECISION: usize = 40;

/// Each room and what it may import. `room::Item` allows that one item.
const ROOMS: &[(&str, &[&str])] = &[
    ("api", &[]),
    ("metrics", &["api", "stats"]),
    ("routers", &["api"]),
    ("stats", &[]),
    ("decide", &["api", "metrics", "routers", "stats"]),
    ("line", &["api", "metrics"]),
    ("observe", &["api", "decide", "line", "metrics", "routers", "stats"]),
    ("act", &["api", "decide", "line", "metrics", "routers"]),
    ("record", &["act::Acted", "act::Class", "api", "decide", "metrics", "routers"]),
    (
        "control",
        &[
            "act",
            "api",
            "decide",
            "line",
            "metrics",
            "notify",
            "observe",
            "record",
            "routers",
            "serve",
            "settings",
            "stats",
            "telemetry",
        ],
    ),
    ("cli", &["api", "decide", "metrics", "routers", "stats"]),
    ("notify", &["api", "decide", "line"]),
    ("settings", &["api", "decide", "line", "metrics", "notify"]),
    ("telemetry", &["settings"]),
    ("serve", &["api"]),
    ("bin", &[]),
];

const PURE: &[&str] = &["decide", "metrics", "routers", "stats"];

/// What a pure room never says, as words or as parts of a path.
const IMPURE: &[&str] = &[
    "async",
    "await",
    "Client",
    "Timestamp::now",
    "SystemTime",
    "Instant",
    "std::env",
    "tracing",
    "rand",
    "tokio",
    "print",
    "println",
    "eprint",
    "eprintln",
];

/// What is wrong with a file of `src/`, given its path below it.
fn judge(path: &str, source: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let room = room_of(path);
    let is_test = path.ends_with("/tests.rs");
    if is_test || ["lib.rs", "core.rs"].contains(&path) {
        return wrong;
    }
    if !source.starts_with("//!") {
        wrong.push(format!("{path}: opens without `//!`; say what lives in the file and what never does"));
    }
    let tokens = tokens(source);
    wrong.extend(imports(path, &room, &tokens));
    if PURE.contains(&room.as_str()) {
        wrong.extend(impurities(path, &tokens));
    }
    let lines = lines_without_tests(source);
    if lines > LINES_OF_A_FILE {
        wrong.push(format!("{path}: {lines} lines without tests, {LINES_OF_A_FILE} are allowed; split it"));
    }
    let most = if room == "decide" { LINES_OF_A_DECISION } else { LINES_OF_A_FUNCTION };
    for f in functions(&tokens).into_iter().filter(|f| f.lines > most) {
        wrong.push(format!("{path}: fn {} has {} lines, {most} are allowed; split it", f.name, f.lines));
    }
    wrong
}

/// `decide/plan.rs` and `decide.rs` are of the room `decide`.
fn room_of(path: &str) -> String {
    path.split('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned()
}

/// The module path of a file: `decide/mod.rs` is `decide`, `decide/plan.rs` is `decide::plan`.
fn module_of(path: &str) -> Vec<String> {
    let mut parts: Vec<String> = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

fn imports(path: &str, room: &str, tokens: &[Token]) -> Vec<String> {
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        return vec![format!("{path}: the room {room} has no rule; give it one in tests/it/architecture.rs")];
    };
    let mut wrong = Vec::new();
    for (target, line) in paths(tokens) {
        let Some(target) = from_the_top(&module_of(path), &target) else { continue };
        let Some(other) = target.first().filter(|other| *other != room) else { continue };
        let item = target.iter().take(2).cloned().collect::<Vec<_>>().join("::");
        if !allowed.contains(&other.as_str()) && !allowed.contains(&item.as_str()) {
            wrong.push(format!("{path}:{line}: {room} may not import {item}; it may import: {}", allowed.join(", ")));
        }
    }
    wrong
}

/// A path as seen from the crate's root; none when it leads to another crate or stays inside its module.
fn from_the_top(module: &[String], path: &[String]) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "super" => {
            let ups = path.iter().take_while(|p| *p == "super").count();
            let base = module.get(..module.len().checked_sub(ups)?)?;
            Some(base.iter().chain(&path[ups..]).cloned().collect())
        }
        _ => None,
    }
}

fn impurities(path: &str, tokens: &[Token]) -> Vec<String> {
    let mut found = Vec::new();
    let mut say = |word: &str, line: usize| {
        found.push(format!(
            "{path}:{line}: {word} has no place in a pure room; hand in what it would tell as an argument"
        ));
    };
    for token in tokens.iter().filter(|t| IMPURE.contains(&t.text.as_str())) {
        say(&token.text, token.line);
    }
    for (parts, line) in paths(tokens) {
        for pair in parts.windows(2).map(|pair| pair.join("::")).filter(|pair| IMPURE.contains(&pair.as_str())) {
            say(&pair, line);
        }
    }
    found
}

#[test]
fn the_house_is_in_order() {
    let src = top("src");
    let files = below(&src, ".rs");
    assert!(!files.is_empty(), "no source found below {}", src.display());
    let name = |file: &Path| file.strip_prefix(&src).unwrap().to_string_lossy().into_owned();
    let wrong: Vec<String> = files.iter().flat_map(|file| judge(&name(file), &read(file))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The fuzz target is a package of its own, which nothing else builds: it takes these files over by their paths.
#[test]
fn what_the_fuzz_target_takes_over_needs_nothing_else() {
    let modules = |source: &str| -> Vec<String> {
        let names = source.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
        names.map(ToOwned::to_owned).collect()
    };
    let taken = modules(&read(&top("fuzz/src/main.rs")));
    assert!(taken.len() >= 4, "{taken:?}");
    let others: Vec<_> =
        modules(&read(&top("tests/core/main.rs"))).into_iter().filter(|m| !taken.contains(m)).collect();
    for module in &taken {
        let source = read(&top(&format!("tests/core/{module}.rs")));
        let beside: Vec<&str> = source.split("super::").skip(1).filter_map(|rest| rest.split(';').next()).collect();
        let word = |c: char| !c.is_alphanumeric() && c != '_';
        let names = |other: &&String| beside.iter().any(|path| path.split(word).any(|part| part == *other));
        let needs: Vec<_> = others.iter().filter(names).collect();
        assert!(needs.is_empty(), "tests/core/{module}.rs needs {needs:?}, which fuzz/src/main.rs does not take over");
    }
}

/// … and has a lock file of its own, which is out of date as soon as a crate is added here and not there.
#[test]
fn the_fuzz_target_locks_what_the_core_needs() {
    let manifest = read(&top("core/Cargo.toml"));
    let table = manifest.split("[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let needed: Vec<&str> =
        table.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split([' ', '.']).next()).collect();
    let lock = read(&top("fuzz/Cargo.lock"));
    let ours = lock.split("[[package]]\n").find(|package| package.starts_with("name = \"llmrollout-core\"")).unwrap();
    let gone: Vec<_> = needed.iter().filter(|name| !name.is_empty() && !ours.contains(&format!("\"{name}"))).collect();
    assert!(
        needed.len() > 5 && gone.is_empty(),
        "fuzz/Cargo.lock lacks {gone:?}; `cargo update -w` in fuzz/ writes it"
    );
}

#[test]
fn forbidden_imports_are_refused() {
    let bad = [
        ("api/x.rs", "use crate::decide::Plan;"),
        ("metrics/x.rs", "use crate::{api::Moment, routers::Shares};"),
        ("routers/x.rs", "fn f() { crate::metrics::ask() }"),
        ("decide/x.rs", "use crate::{\n    api::{Moment,\n    Reason},\n    observe::World,\n};"),
        ("decide/mod.rs", "use super::{act as x, api};"),
        ("decide/x.rs", "use super::super::act::Acted;"),
        ("observe/deep/x.rs", "use super::super::super::{act::Acted};"),
        ("act/x.rs", "use crate::observe::World;"),
        ("record/x.rs", "use crate::act::{Acted, ActError};"),
        ("cli/x.rs", "use crate::control::run;"),
        ("attic/x.rs", ""),
    ];
    for (path, source) in bad {
        assert_eq!(judge(path, &format!("//! x\n{source}")).len(), 1, "{path}: {source}");
    }
}

#[test]
fn allowed_imports_pass() {
    let good = [
        ("decide/x.rs", "use super::plan::Plan;\nuse crate::{api::Moment, metrics::Question, routers};"),
        ("record/x.rs", "use crate::act::Acted;"),
        ("control/x.rs", "use crate::{act, observe::World, record, settings::Settings};"),
        ("observe/x.rs", "// use crate::act::x;\n#[cfg(test)]\nmod tests { use crate::act::Acted; }"),
        ("act/x.rs", "use std::collections::BTreeMap;\nlet s = \"crate::observe::x\";"),
    ];
    for (path, source) in good {
        assert_eq!(judge(path, &format!("//! x\n{source}")), Vec::<String>::new());
    }
}

#[test]
fn impure_words_are_refused_in_pure_rooms_only() {
    let bad = [
        "async fn f() {}",
        "fn f() { g().await }",
        "use kube::Client;",
        "fn f() { Timestamp::now() }",
        "use std::time::{Duration, SystemTime};",
        "use std::{env, fmt};",
        "fn f() { std::env::var(x) }",
        "fn f() { tracing::info!(x) }",
        "fn f() { println!(x) }",
    ];
    for source in bad {
        for room in PURE {
            assert!(!judge(&format!("{room}/x.rs"), &format!("//! x\n{source}")).is_empty(), "{room}: {source}");
        }
        assert!(judge("act/x.rs", &format!("//! x\n{source}")).is_empty(), "{source}");
    }
    let innocent =
        "//! x\n// async, await, tokio\nfn f() { let s = \"println\"; }\n#[cfg(test)]\nmod tests { async fn f() {} }";
    assert_eq!(judge("decide/x.rs", innocent), Vec::<String>::new());
}

#[test]
fn long_files_and_functions_are_refused() {
    let function = |lines: usize| format!("//! x\nfn f() {{\n{}}}\n", "    g();\n".repeat(lines));
    assert_eq!(judge("decide/x.rs", &function(LINES_OF_A_DECISION)), Vec::<String>::new());
    assert_eq!(judge("decide/x.rs", &function(LINES_OF_A_DECISION + 1)).len(), 1);
    assert_eq!(judge("act/x.rs", &function(LINES_OF_A_FUNCTION)), Vec::<String>::new());
    assert_eq!(judge("act/x.rs", &function(LINES_OF_A_FUNCTION + 1)).len(), 1);
    let file = format!("//! x\n{}", "struct A;\n".repeat(LINES_OF_A_FILE));
    assert_eq!(judge("act/x.rs", &file).len(), 1);
    let tested = format!("//! x\n#[cfg(test)]\nmod tests {{\n{}}}\n", "struct A;\n".repeat(LINES_OF_A_FILE));
    assert_eq!(judge("act/x.rs", &tested), Vec::<String>::new());
    assert_eq!(judge("act/x.rs", "fn f() {}").len(), 1, "a file says what lives in it");
}
