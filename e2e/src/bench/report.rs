//! The figures as JSON and as a page. Nothing here measures.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    measure::{Rest, Times},
    plot::plot,
};
use crate::kit::KitError;

/// How long until the way back when the leader goes.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the words of the document")]
pub(super) struct Failover {
    pub(super) clean_ms: f64,
    pub(super) crash_ms: f64,
    pub(super) lease_ms: f64,
}

/// What was measured of a fleet.
#[derive(Debug, Serialize)]
pub(super) struct OfASize {
    pub(super) size: usize,
    pub(super) one: Times,
    pub(super) bare: Times,
    pub(super) each: Times,
    pub(super) all_ms: f64,
    pub(super) bare_all_ms: f64,
    pub(super) rest: Rest,
    pub(super) holding: Rest,
    pub(super) memory: u64,
    pub(super) cold_start_ms: f64,
    pub(super) failover: Failover,
}

/// All of them.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Report {
    binary: u64,
    sizes: Vec<Value>,
}

impl Report {
    pub(super) fn new(program: &Path) -> Result<Self, KitError> {
        let about = fs::metadata(program).map_err(KitError::failed(program.display().to_string()))?;
        Ok(Self { binary: about.len(), sizes: Vec::new() })
    }

    pub(super) fn add(&mut self, file: &Path) -> Result<(), KitError> {
        let text = fs::read_to_string(file).map_err(KitError::failed(file.display().to_string()))?;
        self.sizes.push(serde_json::from_str(&text).map_err(KitError::failed("the figures"))?);
        Ok(())
    }

    /// Writes `speed.json` and `speed.md`, and gives the page.
    pub(super) fn write(&self, dir: &Path) -> Result<String, KitError> {
        fs::create_dir_all(dir).map_err(KitError::failed(dir.display().to_string()))?;
        let page = self.page();
        let json = serde_json::to_string_pretty(&self.document()).map_err(KitError::failed("the figures"))?;
        let mut files = vec![("speed.json", format!("{json}\n")), ("speed.md", page.clone())];
        files.extend(self.pictures());
        for (name, text) in files {
            fs::write(dir.join(name), text).map_err(KitError::failed(name))?;
        }
        Ok(page)
    }

    fn document(&self) -> Value {
        let of = |size: u64| self.sizes.iter().find(|of| of["size"] == size).cloned().unwrap_or_default();
        let (hundred, thousand) = (of(100), of(1000));
        let rss: serde_json::Map<String, Value> =
            self.sizes.iter().map(|of| (of["size"].to_string(), of["memory"].clone())).collect();
        json!({
            "rollback_one": {
                "n": hundred["one"]["n"], "p50_ms": hundred["one"]["p50_ms"], "p99_ms": hundred["one"]["p99_ms"],
                "bare_p50_ms": hundred["bare"]["p50_ms"],
            },
            "rollback_1000": {"last_ms": thousand["all_ms"], "bare_ms": thousand["bare_all_ms"]},
            "failover": thousand["failover"], "cold_start_1000_ms": thousand["cold_start_ms"],
            "rest_1000": thousand["rest"], "holding_1000": thousand["holding"], "rss": rss,
            "size": {"binary": self.binary}, "sizes": self.sizes,
        })
    }

    /// Growth, where there is more than one size.
    fn pictures(&self) -> Vec<(&'static str, String)> {
        let line = |of: &dyn Fn(&Value) -> Option<f64>| -> Vec<(f64, f64)> {
            self.sizes.iter().filter_map(|size| Some((size["size"].as_f64()?, of(size)?))).collect()
        };
        let ms = |of: &str| line(&|size| size[of].as_f64());
        let middle = |of: &str| line(&|size| size[of]["p50_ms"].as_f64());
        let memory = line(&|size| size["memory"].as_f64().map(|bytes| bytes / 1_048_576.0));
        vec![
            (
                "one.svg",
                plot("one rollout home, median", "ms", &[("operator", middle("one")), ("bare client", middle("bare"))]),
            ),
            (
                "all.svg",
                plot("all rollouts home", "ms", &[("operator", ms("all_ms")), ("bare client", ms("bare_all_ms"))]),
            ),
            ("memory.svg", plot("memory at rest", "MiB", &[("operator", memory)])),
            ("start.svg", plot("each asked about after a cold start", "ms", &[("operator", ms("cold_start_ms"))])),
        ]
    }

    fn page(&self) -> String {
        let mut rows: Vec<Vec<String>> = HEADS.iter().map(|head| vec![(*head).to_owned()]).collect();
        for of in &self.sizes {
            rows.iter_mut().zip(cells(of)).for_each(|(row, cell)| row.push(cell));
        }
        let mut lines: Vec<String> = rows.iter().map(|row| format!("| {} |", row.join(" | "))).collect();
        lines.insert(1, format!("|{}", "---|".repeat(self.sizes.len() + 1)));
        lines.extend(self.pictures().iter().map(|(file, _)| format!("\n![{file}]({file})")));
        format!("# Speed\n\nThe operator as shipped has {} bytes.\n\n{}\n", self.binary, lines.join("\n"))
    }
}

const HEADS: [&str; 19] = [
    "rollouts",
    "one home, p50",
    "p99",
    "a bare write, p50",
    "ratio",
    "all home",
    "bare",
    "ratio",
    "each of all, from its own answer, p50",
    "the last of them",
    "writes at rest",
    "reads at rest",
    "CPU at rest",
    "CPU while all are measured",
    "questions a second",
    "memory",
    "cold start",
    "leader stopped",
    "leader killed",
];

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_default()
}

fn cells(of: &Value) -> [String; 19] {
    let ratio = |a: &Value, b: &Value| format!("{:.1}", number(a) / number(b).max(0.01));
    let ms = |value: &Value| format!("{} ms", number(value));
    let share = |value: &Value| format!("{:.1} %", number(value) * 100.0);
    let (one, bare, rest, holding) = (&of["one"], &of["bare"], &of["rest"], &of["holding"]);
    let asked = number(&holding["questions"]) / number(&holding["seconds"]).max(1.0);
    [
        of["size"].to_string(),
        ms(&one["p50_ms"]),
        ms(&one["p99_ms"]),
        ms(&bare["p50_ms"]),
        ratio(&one["p50_ms"], &bare["p50_ms"]),
        ms(&of["all_ms"]),
        ms(&of["bare_all_ms"]),
        ratio(&of["all_ms"], &of["bare_all_ms"]),
        ms(&of["each"]["p50_ms"]),
        ms(&of["each"]["most_ms"]),
        rest["writes"].to_string(),
        rest["reads"].to_string(),
        share(&rest["cpu_share"]),
        share(&holding["cpu_share"]),
        format!("{asked:.0}"),
        format!("{:.1} MiB", number(&of["memory"]) / 1_048_576.0),
        ms(&of["cold_start_ms"]),
        ms(&of["failover"]["clean_ms"]),
        ms(&of["failover"]["crash_ms"]),
    ]
}
