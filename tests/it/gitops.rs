//! What is handed to Argo CD and Flux, run on a rollout in each phase: the scripts in Lua 5.1 with the libraries that
//! Argo CD opens for them and no other, the expressions as CEL. Neither tool itself is run.

use std::collections::BTreeMap;

use llmrollout::cli::lint::schema::Schemas;
use mlua::{Lua, LuaOptions, LuaSerdeExt, SerializeOptions, StdLib};
use serde_json::{Value, json};

use crate::{
    files::{below, read, top},
    schema::{complaints, complaints_after},
    yaml::yaml,
};

/// A rollout in each phase.
fn phases() -> Vec<(String, Value)> {
    let name = |rollout: &Value| rollout["status"]["phase"].as_str().unwrap().to_owned();
    let files = below(&top("tests/phases"), ".json").into_iter();
    files.map(|file| serde_json::from_str::<Value>(&read(&file)).unwrap()).map(|r| (name(&r), r)).collect()
}

fn of_phase(wanted: &str) -> Value {
    phases().into_iter().find(|(phase, _)| phase == wanted).unwrap().1
}

fn custom(what: &str) -> String {
    let config = yaml(&top("config/argocd/argocd-cm.yaml")).remove(0);
    config["data"][format!("resource.customizations.{what}.llmrollout.io_LlmRollout")].as_str().unwrap().to_owned()
}

/// What a script returns about `obj`.
fn lua(script: &str, obj: &Value) -> Value {
    let libraries = StdLib::TABLE | StdLib::OS | StdLib::PACKAGE;
    let lua = Lua::new_with(libraries, LuaOptions::default()).unwrap();
    let none = SerializeOptions::new().serialize_none_to_null(false).serialize_unit_to_null(false);
    lua.globals().set("obj", lua.to_value_with(obj, none).unwrap()).unwrap();
    let returned = lua.load(script).eval::<mlua::Value>().unwrap_or_else(|e| panic!("{script}\n{e}"));
    lua.from_value(returned).unwrap()
}

fn actions() -> (String, BTreeMap<String, String>) {
    let actions: Value = serde_saphyr::from_str(&custom("actions")).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let definitions = actions["definitions"].as_array().unwrap().iter();
    (text(&actions["discovery.lua"]), definitions.map(|d| (text(&d["name"]), text(&d["action.lua"]))).collect())
}

/// The actions offered for a rollout.
fn offered(rollout: &Value) -> Vec<String> {
    let (discovery, definitions) = actions();
    let found = lua(&discovery, rollout);
    let found = found.as_object().unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), definitions.keys().collect::<Vec<_>>());
    found.iter().filter(|(_, how)| how["disabled"] == false).map(|(name, _)| name.clone()).collect()
}

/// What an action makes of a rollout: the order it creates, or the manifest it changes.
fn done(action: &str, rollout: &Value) -> Value {
    lua(&actions().1[action], rollout)
}

#[test]
fn every_phase_has_its_health() {
    let script = custom("health");
    let mut seen = Vec::new();
    for (phase, rollout) in phases() {
        let health = lua(&script, &rollout);
        let expected = match phase.as_str() {
            "Idle" | "Completed" => "Healthy",
            "AwaitingApproval" | "Paused" => "Suspended",
            "RollingBack" | "RolledBack" | "Blocked" => "Degraded",
            _ => "Progressing",
        };
        assert_eq!(health["status"], expected, "{phase}");
        let message = health["message"].as_str().unwrap();
        let said = rollout["status"]["message"].as_str().unwrap();
        assert!(message.starts_with(&phase) && message.ends_with(said), "{phase}: {message}");
        seen.push(phase);
    }
    assert_eq!(seen.len(), 14, "{seen:?}");
}

#[test]
fn health_waits_for_the_operator_and_sees_that_nobody_serves() {
    let script = custom("health");
    let mut newer = of_phase("Completed");
    newer["metadata"]["generation"] = json!(newer["metadata"]["generation"].as_i64().unwrap() + 1);
    assert_eq!(lua(&script, &newer)["status"], "Progressing");
    let mut unseen = of_phase("Completed");
    unseen.as_object_mut().unwrap().remove("status");
    assert_eq!(lua(&script, &unseen)["status"], "Progressing");
    let mut down = of_phase("Holding");
    down["status"]["reason"] = json!("NoHealthyBackend");
    assert_eq!(lua(&script, &down)["status"], "Degraded");
}

#[test]
fn each_phase_offers_what_can_be_followed_in_it() {
    let all: Vec<String> =
        phases().iter().map(|(phase, rollout)| format!("{phase}: {}", offered(rollout).join(" "))).collect();
    assert_eq!(
        all,
        [
            "AwaitingApproval: abort pause promote",
            "Baking: abort pause skip",
            "Blocked: abort pause",
            "Completed: pause",
            "Decommissioning: abort pause",
            "Holding: abort pause promote skip",
            "Idle: pause",
            "Paused: abort promote resume skip",
            "Pending: abort pause promote",
            "Preflight: abort pause promote",
            "Preparing: abort pause promote",
            "RolledBack: pause retry",
            "RollingBack: abort pause",
            "Shifting: abort pause promote",
        ]
    );
    let mut asked = of_phase("Holding");
    asked["status"]["attempt"]["asked"] = json!({"reason": "GateAsks", "message": "", "at": "2027-01-15T08:00:00Z"});
    assert!(offered(&asked).contains(&"resume".to_owned()));
    assert_eq!(offered(&json!({"spec": {}})), ["pause"], "before there is a status");
}

#[test]
fn every_order_of_an_action_is_one_that_the_server_takes() {
    let schemas = Schemas::ours();
    for (phase, rollout) in phases() {
        for action in offered(&rollout).iter().filter(|action| !["pause", "resume"].contains(&action.as_str())) {
            let all = done(action, &rollout);
            let [one] = all.as_array().unwrap().as_slice() else { panic!("{all}") };
            let order = &one["resource"];
            assert_eq!(one["operation"], "create");
            assert_eq!(complaints(&schemas, order), Vec::<String>::new(), "{phase} {action}: {order}");
            let spec = &order["spec"];
            assert_eq!(spec["verb"].as_str().unwrap().to_lowercase(), *action);
            assert_eq!(spec["attempt"], rollout["status"]["attempt"]["id"]);
            assert_eq!((&spec["rollout"], &order["metadata"]["namespace"]), (&json!("chat"), &json!("llm")));
        }
    }
    let baking = of_phase("Baking");
    let order = &done("skip", &baking)[0]["resource"]["spec"];
    let attempt = &baking["status"]["attempt"];
    assert_eq!((&order["step"], &order["bake"]), (&attempt["step"], &attempt["bake"]));
    assert!(attempt["bake"].is_i64(), "{attempt}");
}

#[test]
fn pause_and_resume_change_one_field() {
    let schemas = Schemas::ours();
    for (action, phase, paused) in [("pause", "Holding", true), ("resume", "Paused", false)] {
        let before = of_phase(phase);
        let mut after = done(action, &before);
        assert_eq!(after["spec"]["paused"], paused);
        // An empty table of Lua is a list; Argo CD puts that right, and so does this.
        after["spec"]["paused"] = before["spec"]["paused"].clone();
        assert_eq!(after["spec"]["gates"], before["spec"]["gates"]);
        let mut changed = before.clone();
        changed["spec"]["paused"] = json!(paused);
        assert_eq!(complaints_after(&schemas, &changed, Some(&before)), Vec::<String>::new());
    }
    let mut asked = of_phase("Holding");
    asked["status"]["attempt"]["asked"] = json!({"reason": "GateAsks", "message": "", "at": "2027-01-15T08:00:00Z"});
    assert_eq!(done("resume", &asked)[0]["resource"]["spec"]["verb"], "Resume", "a gate is answered by an order");
}

/// What kstatus makes of an object of a kind it does not know (`pkg/kstatus/status`): the generation first, then
/// `Reconciling`, `Stalled` and `Ready`.
fn kstatus(object: &Value) -> &'static str {
    let is = |type_: &str, status: &str| {
        let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
        conditions.into_iter().any(|c| c["type"] == type_ && c["status"] == status)
    };
    let newer = object["status"]["observedGeneration"].is_i64()
        && object["status"]["observedGeneration"] != object["metadata"]["generation"];
    match () {
        () if newer || is("Reconciling", "True") => "InProgress",
        () if is("Stalled", "True") => "Failed",
        () if is("Ready", "False") || is("Ready", "Unknown") => "InProgress",
        () => "Current",
    }
}

#[test]
fn flux_takes_a_rollout_for_ready_while_traffic_is_on_a_healthy_color() {
    for (phase, rollout) in phases() {
        let ready = rollout["status"]["conditions"].as_array().unwrap().iter().find(|c| c["type"] == "Ready");
        let expected = if ready.is_none_or(|c| c["status"] == "True") { "Current" } else { "InProgress" };
        assert_eq!(kstatus(&rollout), expected, "{phase}");
    }
    assert_eq!(kstatus(&of_phase("Holding")), "Current");
    assert_eq!(kstatus(&of_phase("RolledBack")), "Current");
    let mut newer = of_phase("Completed");
    newer["metadata"]["generation"] = json!(99);
    assert_eq!(kstatus(&newer), "InProgress");
}

/// The expressions in the book, of which Flux asks `inProgress`, then `failed`, then `current`.
#[test]
fn flux_can_wait_for_the_end_of_a_release() {
    let page = read(&top("docs/gitops.md"));
    let block = page.split("```yaml\n").find(|block| block.contains("healthCheckExprs:")).unwrap();
    let kustomization: Value = serde_saphyr::from_str(block.split("```").next().unwrap()).unwrap();
    let written = &kustomization["spec"]["healthCheckExprs"][0];
    let says = |word: &str, rollout: &Value| {
        let program = cel::Program::compile(written[word].as_str().unwrap()).unwrap();
        let mut context = cel::Context::default();
        for part in ["metadata", "spec", "status"] {
            context.add_variable(part, rollout[part].clone()).unwrap();
        }
        program.execute(&context).unwrap() == cel::Value::Bool(true)
    };
    for (phase, rollout) in phases() {
        let said = ["inProgress", "failed", "current"].into_iter().find(|word| says(word, &rollout));
        let expected = match phase.as_str() {
            "Idle" | "Completed" | "Decommissioning" => "current",
            "RolledBack" | "Blocked" => "failed",
            _ => "inProgress",
        };
        assert_eq!(said, Some(expected), "{phase}");
    }
    let mut newer = of_phase("Completed");
    newer["metadata"]["generation"] = json!(99);
    assert!(says("inProgress", &newer));
}
