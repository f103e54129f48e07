//! `backtest FILE --from --to`: a manifest's gates over what a Prometheus has stored, judged as the operator judges them:
//! when they would have passed, failed, or not known. Nothing is asked of the cluster, and nothing is decided here.

pub mod history;
pub mod play;
pub mod plot;

use std::path::PathBuf;

use kube::ResourceExt;
use serde_json::{Value, json};

use self::{
    history::{History, Server},
    play::{Played, Told},
};
use super::{
    Said,
    document::{self, Form},
    error::CliError,
    manifest::{self, Manifest},
    table::{Table, clean},
};
use crate::{
    api::{
        Moment,
        gates::{ComparedTo, Severity},
        status::{Color, VerdictWord},
    },
    decide::{
        plan::{Plan, PlannedGate},
        snapshot::Around,
        workload,
    },
    metrics::{self, Ask, Question, Subject},
};

/// What is to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backtest {
    /// The manifest, with its gate sets; `-` is standard input.
    pub file: PathBuf,
    /// From when.
    pub from: Moment,
    /// Until when.
    pub to: Moment,
    /// Who has the history.
    pub server: Server,
    /// Whose pods were the candidate.
    pub color: Color,
    /// The namespace of the pods, instead of the manifest's.
    pub namespace: Option<String>,
    /// Where the plot is written.
    pub svg: Option<PathBuf>,
    /// As a document instead of a screen.
    pub shape: Option<Form>,
}

/// Asks, judges, and tells.
pub async fn backtest(wish: &Backtest) -> Result<Said, CliError> {
    let manifest = manifest::read(&wish.file)?;
    let (offers, price_list) = (manifest.offers(), manifest.price_list());
    let around = Around { price_list: &price_list, ..Around::new(&manifest.sets, &offers) };
    let plan = Plan::read(&manifest.rollout.spec, around).map_err(|wrong| CliError::NoPlan(wrong.message))?;
    let namespace = wish.namespace.clone().or_else(|| manifest.rollout.namespace());
    let pods = Pods { name: manifest.rollout.name_any(), namespace: namespace.unwrap_or_else(|| "default".to_owned()) };
    let history = History::of(&wish.server)?;
    let mut played = Vec::new();
    for gate in &plan.gates {
        played.push((gate.as_ref(), of_gate(wish, &plan, gate, &pods, &history).await?));
    }
    if let Some(file) = &wish.svg {
        let drawing = plot::svg(&pods.title(wish), &played, wish.from, wish.to);
        let unwritten = |source| CliError::Unwritten { file: file.display().to_string(), source };
        std::fs::write(file, drawing).map_err(unwritten)?;
    }
    match wish.shape {
        Some(form) => Ok(Said::out(document::write(&summary(wish, &manifest, &played), form)?)),
        None => Ok(Said::out(text(&pods.title(wish), &played))),
    }
}

/// Whose figures are asked for.
struct Pods {
    name: String,
    namespace: String,
}

impl Pods {
    fn title(&self, wish: &Backtest) -> String {
        let workload = workload::name_of(&self.name, wish.color);
        clean(&format!("{workload} in namespace {}, {} to {}", self.namespace, wish.from, wish.to))
    }
}

async fn of_gate(
    wish: &Backtest,
    plan: &Plan,
    gate: &PlannedGate,
    pods: &Pods,
    history: &History,
) -> Result<Played, CliError> {
    if let Some(why) = not_stored(gate) {
        return Ok(Played::not_run(why));
    }
    let question = |color: Color| question(wish, plan, gate, pods, color);
    let asked = match question(wish.color) {
        Ok(asked) => asked,
        Err(why) => return Ok(Played::not_run(&why)),
    };
    let readings = history.readings(&asked, wish.from, wish.to).await?;
    let beside = match question(wish.color.other()) {
        Ok(other) if gate.against == Some(ComparedTo::Active) => history.readings(&other, wish.from, wish.to).await?,
        _ => Vec::new(),
    };
    Ok(play::play(gate, &readings, &beside, wish.from, wish.to))
}

/// Why the past of a gate cannot be asked for.
fn not_stored(gate: &PlannedGate) -> Option<&'static str> {
    match gate.subject {
        Subject::Number(_) => Some("what an endpoint told is stored nowhere"),
        Subject::Job(_) => Some("a Job runs in a step, and not in the past"),
        _ if gate.test.proof().is_some() => {
            Some("evidence is weighed of raw samples as they come; only limits are held against the past")
        }
        _ if gate.against == Some(ComparedTo::Baseline) => Some("the baseline of a release that was none is not known"),
        Subject::Metric(..) | Subject::Above(..) | Subject::Query(_) | Subject::Alerts(_) => None,
    }
}

fn question(wish: &Backtest, plan: &Plan, gate: &PlannedGate, pods: &Pods, color: Color) -> Result<Question, String> {
    let [workload, other] = [color, color.other()].map(|color| workload::name_of(&pods.name, color));
    let ask = Ask {
        provider: &plan.provider,
        rollout: &pods.name,
        revision: "",
        namespace: &pods.namespace,
        workload: &workload,
        other: Some(&other),
        replicas: plan.replicas,
        color,
        subject: &gate.subject,
        since: wish.from,
        window: gate.window,
        interval: gate.interval,
        urgent: false,
    };
    metrics::question(&plan.source, &ask).map_err(|why| why.0.to_owned())
}

type All<'a> = [(&'a PlannedGate, Played)];

fn text(title: &str, all: &All<'_>) -> String {
    let mut table = Table::new(["GATE", "PASS", "FAIL", "NOT KNOWN", "WORST", "LIMIT", "WOULD HAVE FAILED", "LEADS TO"]);
    for (gate, played) in all {
        let share = |word: VerdictWord| played.share(word).map_or("-".to_owned(), |share| format!("{:.0}%", share * 100.0));
        let failed = played.first_trip().map_or("never".to_owned(), |told| told.at.to_string());
        table.row([
            gate.name.clone(),
            share(VerdictWord::Pass),
            share(VerdictWord::Fail),
            share(VerdictWord::NoData),
            played.worst(gate).map_or("-".to_owned(), |worst| gate.unit.show(worst)),
            gate.test.word(gate.unit, None),
            if played.why_not.is_some() { "not run".to_owned() } else { failed },
            played.first_trip().map_or("-", |told| leads_to(gate, told)).to_owned(),
        ]);
    }
    let plots: String = all.iter().map(|(gate, played)| plot::text(gate, played) + "\n").collect();
    format!("Backtest:  {title}\n\n{}\n{plots}{}\n", table.text(), verdict(all))
}

/// What would have become of a release.
fn verdict(all: &All<'_>) -> String {
    let trips = all.iter().filter_map(|(gate, played)| Some((*gate, played.first_trip()?)));
    let back = trips.filter(|(gate, _)| matches!(gate.severity, Severity::Abort | Severity::Rollback));
    match back.min_by_key(|(_, told)| told.at) {
        Some((gate, told)) => format!("A release would have been taken back at {} by {}.", told.at, gate.name),
        None if all.iter().all(|(_, played)| played.ends_well()) => {
            "No gate would have taken a release back, and at the end all of them passed.".to_owned()
        }
        None => "No gate would have taken a release back, and at the end not all of them passed: it would have held.".to_owned(),
    }
}

fn leads_to(gate: &PlannedGate, told: &Told) -> &'static str {
    match gate.severity {
        Severity::Abort | Severity::Rollback if told.verdict == VerdictWord::NoData => "rollback, for want of data",
        Severity::Abort | Severity::Rollback => "rollback",
        Severity::Pause => "a person is asked",
        Severity::Warn => "a warning",
    }
}

fn summary(wish: &Backtest, manifest: &Manifest, all: &All<'_>) -> Value {
    let gates: Vec<Value> = all.iter().map(|(gate, played)| one(gate, played)).collect();
    json!({
        "name": manifest.rollout.metadata.name, "from": wish.from, "to": wish.to, "color": wish.color.word(),
        "gates": gates, "verdict": verdict(all),
    })
}

fn one(gate: &PlannedGate, played: &Played) -> Value {
    let spans = played.spans().into_iter().map(|span| {
        json!({"from": span.from, "to": span.to, "verdict": format!("{:?}", span.verdict), "reason": span.reason})
    });
    json!({
        "name": gate.name, "notRun": played.why_not, "limit": gate.test.word(gate.unit, None),
        "passed": played.share(VerdictWord::Pass), "failed": played.share(VerdictWord::Fail),
        "notKnown": played.share(VerdictWord::NoData), "worst": played.worst(gate),
        "wouldHaveFailedAt": played.first_trip().map(|told| told.at),
        "leadsTo": played.first_trip().map(|told| leads_to(gate, told)), "spans": spans.collect::<Vec<_>>(),
        "everySeconds": gate.interval.as_secs(),
    })
}
