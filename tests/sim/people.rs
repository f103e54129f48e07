//! What people do in a story: they edit manifests, and give orders of every verb to the attempt under way or to another,
//! at the right moment or not; at the end, those who answer answer whatever they are asked.

use std::fmt;

use serde_json::{Value, json};

use super::{
    cluster::{Cluster, Sim},
    faults::What,
    rng::Rng,
    store::key,
};

/// An order, as far as it is known before the moment comes.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    pub(crate) verb: &'static str,
    /// 0 is the attempt under way, -1 the one before.
    pub(crate) attempt: i64,
    /// 0 is the step that is being measured.
    pub(crate) step: i64,
    pub(crate) before: &'static str,
    pub(crate) role: &'static str,
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "order {}", self.verb)?;
        if self.verb == "Approve" {
            write!(f, " before={} role={}", self.before, self.role)?;
        }
        if self.attempt != 0 {
            write!(f, ", to another attempt ({:+})", self.attempt)?;
        }
        if self.verb == "Skip" && self.step != 0 {
            write!(f, ", of another step ({:+})", self.step)?;
        }
        Ok(())
    }
}

impl Word {
    fn plain(verb: &'static str) -> Self {
        Self { verb, attempt: 0, step: 0, before: "", role: "sre" }
    }

    fn draw(rng: &mut Rng) -> Self {
        let verb = rng.pick(&[
            "Abort", "Approve", "Approve", "Approve", "Approve", "Promote", "Promote", "Reject", "Resume", "Resume",
            "Retry", "Retry", "Skip", "Skip", "Skip",
        ]);
        let wrong = |rng: &mut Rng, percent: u64| if rng.chance(percent) { rng.pick(&[-1, 1]) } else { 0 };
        Self {
            verb,
            attempt: wrong(rng, 12),
            step: wrong(rng, 20),
            before: rng.pick(&["Start", "Step/2", "Full", "Full", "Decommission", "Step/1", "Step/3"]),
            role: rng.pick(&["sre", "sre", "sre", "product"]),
        }
    }
}

/// Something that somebody does.
pub(crate) fn draw(rng: &mut Rng, base: bool) -> What {
    match rng.between(0, if base { 33 } else { 29 }) {
        0..=4 => What::Release {
            image: rng.pick(&["chat:v1", "chat:v2", "chat:v3", "chat:bad1", "chat:bad2", "chat:crash1"]),
        },
        5..=7 => What::Paused(true),
        8..=10 => What::Paused(false),
        11..=12 => What::Abort(true),
        13..=14 => What::Abort(false),
        15..=16 => What::Replicas(i64::try_from(rng.between(1, 3)).unwrap()),
        17 => What::Delete,
        18..=29 => What::Order(Word::draw(rng)),
        _ => What::Base { image: rng.pick(&["base:v2", "base:v3", "base:bad1", "chat:v1"]) },
    }
}

/// What a person writes into the manifest.
pub(crate) fn wish(spec: &mut Value, what: &What) {
    match what {
        What::Release { image } | What::Base { image } => {
            spec["release"]["template"]["podTemplate"]["spec"]["containers"][0]["image"] = json!(image);
        }
        What::Paused(on) => spec["paused"] = json!(on),
        What::Abort(on) => spec["abort"] = json!(on),
        What::Replicas(n) => spec["release"]["template"]["replicas"] = json!(n),
        _ => {}
    }
}

/// Gives an order. The API server keeps it, whoever reads it when.
pub(crate) fn give(cluster: &Cluster, word: &Word) {
    let attempt = cluster.sim().status()["attempt"].clone();
    let number = attempt["id"].as_i64().unwrap_or(0) + word.attempt;
    let mut spec = json!({"rollout": "chat", "attempt": number, "verb": word.verb, "approver": "ada"});
    match word.verb {
        "Approve" => {
            spec["before"] = json!(word.before);
            spec["role"] = json!(word.role);
        }
        "Skip" => {
            let step = attempt["step"].as_i64().unwrap_or(0) + word.step;
            spec["step"] = json!(step.max(1));
            if attempt["bake"].as_i64().unwrap_or(0) > 0 {
                spec["bake"] = attempt["bake"].clone();
            }
        }
        "Reject" => spec["reason"] = json!("it does not read well"),
        _ => {}
    }
    if let Some(told) = cluster.sim().happenings.last_mut() {
        told.said = spec.clone();
    }
    let count = cluster.sim().store.all().filter(|(k, _)| k.0 == "llmrolloutorders").count();
    let meta = json!({"creationTimestamp": cluster.moment().to_string()});
    let order =
        json!({"apiVersion": "llmrollout.io/v1alpha1", "kind": "LlmRolloutOrder", "metadata": meta, "spec": spec});
    cluster.create(&key("llmrolloutorders", &format!("order-{count}")), order);
}

/// What is asked of people now, answered; nothing when nobody is asked.
pub(crate) fn answers(sim: &mut Sim) -> Vec<What> {
    let Some(rollout) = sim.rollout().cloned() else { return Vec::new() };
    let (spec, status) = (&rollout["spec"], &rollout["status"]);
    if status["phase"] == "Paused" && spec["paused"] == json!(true) {
        return vec![What::Paused(false)];
    }
    if status["attempt"]["asked"].is_object() && status["phase"] == "Paused" {
        return vec![What::Order(Word::plain(sim.rng.pick(&["Resume", "Skip", "Skip", "Abort", "Promote", "Reject"])))];
    }
    if status["phase"] != "AwaitingApproval" {
        return Vec::new();
    }
    let given = |before: &str, role: &str| {
        let all = status["approvals"].as_array().into_iter().flatten();
        all.clone().any(|a| a["before"] == json!(before) && a["role"] == json!(role))
    };
    let mut all: Vec<What> = Vec::new();
    for (before, role) in signs(spec).into_iter().filter(|(before, role)| !given(before, role)) {
        all.push(What::Order(Word { before, role, ..Word::plain("Approve") }));
    }
    if spec["manual"] == json!(true) {
        all.push(What::Order(Word::plain("Skip")));
    }
    all
}

/// What people are asked to approve anywhere, and in which role.
fn signs(spec: &Value) -> Vec<(&'static str, &'static str)> {
    const STEPS: [&str; 4] = ["Step/1", "Step/2", "Step/3", "Step/4"];
    let mut all = Vec::new();
    for before in ["Start", "Step/2", "Full", "Decommission"] {
        if spec["approvals"].as_array().is_some_and(|a| a.iter().any(|a| a["before"] == before)) {
            all.push((before, "sre"));
        }
    }
    for (step, before) in spec["steps"].as_array().into_iter().flatten().zip(STEPS) {
        let roles = step["approval"]["roles"].as_array();
        let asked = |role: &&str| roles.is_some_and(|r| r.contains(&json!(role)));
        all.extend(["sre", "product"].into_iter().filter(asked).map(|role| (before, role)));
    }
    all
}
