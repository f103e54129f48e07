//! A story as a scenario for `tests/scenarios`, as far as there is a command for what happened. What has none stands there
//! as a remark. Times are cut to seconds: it begins where the story was, and is finished by hand.

use llmrollout::api::status::Color;
use serde_json::{Value, json};

use super::{
    cluster::{Happening, Prom},
    faults::What,
    manifest,
    store::key,
    story::{Plot, Told},
};

/// The whole text.
pub(crate) fn scenario(plot: &Plot, told: &Told) -> String {
    let mut out = vec![format!("# Seed {} of the simulation broke a law:", plot.seed)];
    out.extend(told.violations.iter().take(3).map(|(id, words)| format!("# {id}: {words}")));
    let spec = format!("spec {}", spec(plot));
    let first = if plot.installed { ["settle".to_owned(), spec] } else { [spec, "settle".to_owned()] };
    out.extend(first);
    if plot.course.change["dependsOn"].is_array() {
        out.push("other base baked".to_owned());
    }
    if plot.course.change["gates"].as_array().is_some_and(|all| all.iter().any(|g| g["equals"].is_string())) {
        out.push("# silent in the dark; say `signal requests 1000 2` where a step counts requests".to_owned());
        out.push("signal requests 0 2".to_owned());
    }
    let mut lines: Vec<(u64, String)> = told.happenings.iter().flat_map(commands).collect();
    lines.sort_by_key(|(at, _)| *at);
    let mut clock = 0;
    for (at, line) in lines {
        let seconds = (at / 1000).saturating_sub(clock);
        if seconds > 0 {
            out.push(format!("tick {seconds}s"));
        }
        clock = clock.max(at / 1000);
        if let Some(away) = line.strip_prefix("away ").and_then(|s| s.strip_suffix('s')?.parse::<u64>().ok()) {
            clock += away;
        }
        out.push(line);
    }
    out.push("tick 300s".to_owned());
    out.join("\n")
}

/// What the manifest says that the one of the scenarios does not.
fn spec(plot: &Plot) -> Value {
    let store = manifest::fresh(plot.shape, false);
    let mut spec = store.get(&key("llmrollouts", "chat")).unwrap()["spec"].clone();
    manifest::merge(&mut spec, &plot.course.change);
    for router in spec["traffic"].as_array_mut().into_iter().flatten() {
        if let Some(route) = router["httpRoute"].as_object_mut() {
            route.remove("rule");
        }
    }
    spec["release"] = json!({"template": {"replicas": 2, "readyTimeout": "600s"}});
    spec
}

/// One happening in the words of scenarios, each at its time.
fn commands(h: &Happening) -> Vec<(u64, String)> {
    let now = |line: String| vec![(h.at, line)];
    let until = |ms: u64, begin: &str, end: &str| vec![(h.at, begin.to_owned()), (h.at + ms, end.to_owned())];
    match &h.what {
        What::Release { image } => release(h, image),
        What::Paused(on) => now(format!("paused {on}")),
        What::Abort(on) => now(format!("abort {on}")),
        What::Replicas(n) => now(format!("replicas {n}")),
        What::Order(_) => now(order(&h.said)),
        What::Base { image } => vec![
            (h.at, "other base under-way".to_owned()),
            (h.at, format!("# {image}: say `other base …` when it has ended; its own release is not played")),
        ],
        What::Delete => now("delete".to_owned()),
        What::Route { green } => now(format!("route {} {green}", 100 - green)),
        What::Dead { color, ms } => {
            let pods = |n: i64| format!("pods {} {n}", color.word());
            until(*ms, &pods(0), &pods(2))
        }
        What::Restart { .. } => now("restart".to_owned()),
        What::Away { ms, .. } => now(format!("away {}s", ms / 1000)),
        What::Refused { ms, .. } | What::Down { ms, .. } => until(*ms, "api refuses", "api works"),
        What::GatewayRefuses { .. } => now("gateway refuses".to_owned()),
        What::Prometheus { what, ms } => signals(h.at, *what, *ms),
        What::Crash { .. }
        | What::Slow { .. }
        | What::Lost { .. }
        | What::Repeated { .. }
        | What::Frozen { .. }
        | What::Unseen { .. }
        | What::Lease { .. }
        | What::Selector { .. }
        | What::SelfHeal { .. }
        | What::GatewaySilent { .. } => now(format!("# no command for: {}", h.what)),
    }
}

fn release(h: &Happening, image: &str) -> Vec<(u64, String)> {
    let bad = image.contains("bad");
    let mut all = Vec::new();
    if image.contains("crash") {
        all.push(format!("crashloop {}", h.idle.unwrap_or(Color::Blue).word()));
    }
    all.push(format!("signal errors {} 1000", if bad { "0.2" } else { "0.001" }));
    all.push(format!("signal p95 {} 1000", if bad { "4.0" } else { "0.8" }));
    all.push(format!("image {}", image.trim_start_matches("chat:")));
    all.into_iter().map(|line| (h.at, line)).collect()
}

fn signals(at: u64, what: Prom, ms: u64) -> Vec<(u64, String)> {
    let each = |line: &dyn Fn(&str, &str) -> String| {
        [("errors", "0.001"), ("p95", "0.8"), ("cost", "0.002")].map(|(gate, good)| line(gate, good))
    };
    let good = each(&|gate, good| format!("signal {gate} {good} 1000"));
    let now = match what {
        Prom::Down | Prom::NotANumber | Prom::ManySeries => each(&|gate, _| format!("silent {gate}")),
        Prom::FewRequests => each(&|gate, good| format!("signal {gate} {good} 5")),
        Prom::Bad => each(&|gate, _| format!("signal {gate} {} 1000", if gate == "p95" { "4.0" } else { "0.2" })),
    };
    now.into_iter().map(|line| (at, line)).chain(good.into_iter().map(|line| (at + ms, line))).collect()
}

/// An order as it was given.
fn order(said: &Value) -> String {
    let mut words =
        vec![format!("order {} by=ada attempt={}", said["verb"].as_str().unwrap_or_default(), said["attempt"])];
    for field in ["before", "role", "step", "bake", "reason"] {
        let value = said[field].as_str().map_or_else(|| said[field].to_string(), |s| s.replace(' ', "_"));
        if !said[field].is_null() {
            words.push(format!("{field}={value}"));
        }
    }
    words.join(" ")
}
