//! Claims about routers whose owners do not run here: a feature flag, a group of members, an llm-d rewrite, against their own
//! schemas in a real API server. A release is promoted and the next one is taken back; what is ours moves step by step, nothing
//! else of the object ever changes, and a write that was decided on an older version is refused. Nobody says that it follows.

use std::time::Duration;

use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams},
};
use llmrollout_core::{
    api::traffic::Router,
    routers::{self, Claim, Found, Shares},
};
use serde_json::{Value, json};

use super::stand::{Stand, is_holding};
use crate::kit::{Film, KitError, Wish, claim, space};

/// Each shift waits ten seconds for somebody who says nothing.
const STEP: Duration = Duration::from_mins(1);

/// An object of somebody else, and what becomes of the part that is ours.
struct Foreign {
    object: Value,
    /// Where our part stands, as a JSON pointer.
    ours: &'static str,
    /// What stands there, one after the other.
    becomes: Vec<Value>,
}

fn flag() -> Foreign {
    let object = json!({
        "apiVersion": "core.openfeature.dev/v1beta1", "kind": "FeatureFlag",
        "metadata": {"name": "chat", "annotations": {"argocd.argoproj.io/tracking-id": "llm:core.openfeature.dev/FeatureFlag:llm/chat"}},
        "spec": {"flagSpec": {
            "$evaluators": {"isInternal": {"ends_with": [{"var": "email"}, "@example.com"]}},
            "flags": {
                "dark-mode": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on",
                    "targeting": {"fractional": [["on", 10], ["off", 90]]}},
                "new-model": {"state": "ENABLED", "variants": {"on": "llama-4", "off": "llama-3"}, "defaultVariant": "off",
                    "targeting": {"if": [
                        {"==": [{"var": "workspace"}, "test"]}, {"fractional": [["on", 0], ["off", 100]]}, "off",
                    ]}},
            },
        }},
    });
    let weights = |on: i32| json!([["on", on], ["off", 100 - on]]);
    Foreign {
        object,
        ours: "/spec/flagSpec/flags/new-model/targeting/if/1/fractional",
        becomes: [0, 20, 100, 80, 100].map(weights).into(),
    }
}

fn member(name: &str, weights: [i32; 5]) -> Foreign {
    let object = json!({
        "apiVersion": "serving.kserve.io/v1alpha2", "kind": "LLMInferenceService",
        "metadata": {"name": name, "labels": {"team": "chat"}},
        "spec": {
            "model": {"name": "chat", "uri": format!("hf://example/{name}")}, "replicas": 2,
            "router": {"route": {"group": "chat", "weight": weights[0]}, "gateway": {}, "scheduler": {}},
            "template": {"containers": [{"name": "main", "image": "vllm", "env": [{"name": "A", "value": "1"}]}]},
        },
    });
    let mut becomes: Vec<Value> = weights.map(Value::from).into();
    becomes.dedup();
    Foreign { object, ours: "/spec/router/route/weight", becomes }
}

fn rewrite() -> Foreign {
    let target = |(model, weight): (&str, i32)| json!({"modelRewrite": model, "weight": weight});
    let (blue, green) = (|w| target(("lora-v1", w)), |w| target(("lora-v2", w)));
    let object = json!({
        "apiVersion": "llm-d.ai/v1alpha2", "kind": "InferenceModelRewrite",
        "metadata": {"name": "chat", "labels": {"team": "chat"}},
        "spec": {
            "poolRef": {"group": "inference.networking.k8s.io", "kind": "InferencePool", "name": "chat"},
            "rules": [
                {"matches": [{"model": {"type": "Exact", "value": "code"}}], "targets": [{"modelRewrite": "code-v1"}]},
                {"matches": [{"model": {"type": "Exact", "value": "chat"}}], "targets": [blue(100)]},
            ],
        },
    });
    let becomes = vec![
        json!([blue(100)]),
        json!([blue(80), green(20)]),
        json!([green(100)]),
        json!([green(80), blue(20)]),
        json!([green(100)]),
    ];
    Foreign { object, ours: "/spec/rules/1/targets", becomes }
}

impl Foreign {
    fn text(&self, pointer: &str) -> &str {
        self.object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    fn api(&self, stand: &Stand) -> Api<DynamicObject> {
        stand.space.api(self.text("/apiVersion"), self.text("/kind"))
    }

    /// What nobody may change: the object without our part, and without what the API server counts.
    fn frame(&self, object: &Value) -> Value {
        let mut frame = json!({"spec": object["spec"], "labels": object["metadata"]["labels"], "notes": object["metadata"]["annotations"]});
        frame.pointer_mut(self.ours).map(Value::take);
        frame
    }

    fn judge(&self, film: &Film) -> Result<(), KitError> {
        let objects: Vec<_> = film.frames().into_iter().filter_map(|frame| frame.object).collect();
        let mut seen: Vec<Value> = objects.iter().filter_map(|o| o.pointer(self.ours).cloned()).collect();
        seen.dedup();
        claim(seen == self.becomes, || format!("{} became {seen:?} and not {:?}", self.ours, self.becomes))?;
        let changed = objects.iter().find(|o| self.frame(o) != self.frame(&self.object));
        claim(changed.is_none(), || format!("it was {}, and became {changed:?}", self.object))
    }
}

/// A write that was decided on the first version is refused by the last one, with the server's word for a conflict.
async fn stale(stand: &Stand, item: &Value, all: &[(Foreign, Film)]) -> Result<(), KitError> {
    let router: Router = serde_json::from_value(item.clone()).map_err(KitError::failed("the router"))?;
    let first = |(_, film): &(Foreign, Film)| {
        let object = film.frames().into_iter().find_map(|frame| frame.object)?;
        serde_json::from_value::<DynamicObject>((*object).clone()).ok()
    };
    let old: Vec<DynamicObject> = all.iter().filter_map(first).collect();
    let found = Found { object: old.first(), second: old.get(1), ..Found::default() };
    let read = Claim::of(&router).map(|claim| claim.read(["chat-blue", "chat-green"], found).state);
    let Some(Ok(seen)) = read else {
        return Err(KitError::Refuted(format!("the first version is not understood: {read:?}")));
    };
    let writes = routers::write(&seen, Shares::of_percent(50, 50));
    for patch in writes.into_iter().filter_map(routers::Write::patch) {
        let ops = serde_json::from_value(Value::Array(patch.ops)).map_err(KitError::failed("the patch"))?;
        let (foreign, _) = all.iter().find(|(f, _)| f.text("/metadata/name") == patch.name).ok_or(KitError::NoLab)?;
        let answer = foreign.api(stand).patch(&patch.name, &PatchParams::default(), &Patch::Json::<()>(ops)).await;
        // 409 for the version, 422 where what is tested behind it is gone as well: both mean that it moved.
        let refused = matches!(&answer, Err(kube::Error::Api(status)) if [409, 422].contains(&status.code));
        claim(refused, || format!("a write on an old version of {} was answered with {answer:?}", patch.name))?;
    }
    Ok(())
}

/// 20 and 100 percent, then 20 percent of the other and an abort.
async fn moves(stand: &Stand, item: Value, objects: Vec<Foreign>) -> Result<(), KitError> {
    let mut all = Vec::new();
    for foreign in objects {
        stand.space.apply(&foreign.object).await?;
        let film = Film::start(foreign.api(stand), foreign.text("/metadata/name")).await?;
        all.push((foreign, film));
    }
    // Nobody serves here: what is asked of the candidate has no series, and the answer is 1.
    let query = "count(up{ {{green}} }) or vector(1)";
    let gate = json!([{"name": "sound", "query": query, "min": "0.5", "interval": "1s", "window": "10s"}]);
    let wish = |revision: &str| {
        let traffic = json!([item]);
        let mut wish = Wish { traffic, gates: gate.clone(), ..Wish::new(revision) }.steps(&[(20, "2s"), (100, "2s")]);
        wish.more = json!({
            "release": {"external": {"revision": revision}},
            "metrics": {"match": {"blue": {"variant": "blue"}, "green": {"variant": "green"}}},
        });
        wish
    };
    stand.space.apply(&wish("v1").manifest()).await?;
    let rollout = stand.space.film().await?;
    let serves = |revision: &'static str| move |rollout: &Value| rollout["status"]["activeRevision"] == revision;
    rollout.until("v1 was found serving", STEP, serves("v1")).await?;

    stand.space.apply(&wish("v2").manifest()).await?;
    rollout.until("v2 is promoted", STEP * 2, serves("v2")).await?;
    stand.space.apply(&wish("v3").manifest()).await?;
    rollout.until("v3 holds at 20%", STEP, |rollout| is_holding(rollout, 20)).await?;
    stand.space.change(&json!({"abort": true})).await?;
    rollout.until("v3 is taken back", STEP, |rollout| space::phase(rollout) == "RolledBack").await?;
    for (foreign, film) in &all {
        let last = foreign.becomes.last().cloned().unwrap_or_default();
        film.until("it is home", STEP, |object| object.pointer(foreign.ours) == Some(&last)).await?;
        foreign.judge(film)?;
    }
    stale(stand, &wish("v3").traffic[0], &all).await
}

/// Limited to a segment, beside another flag.
pub(super) async fn a_feature_flag_moves_by_two_weights(stand: &Stand) -> Result<(), KitError> {
    let item = json!({"featureFlag": {"name": "chat", "flag": "new-model", "segment": {"workspace": "test"}}});
    moves(stand, item, vec![flag()]).await
}

pub(super) async fn a_kserve_group_moves_by_two_objects(stand: &Stand) -> Result<(), KitError> {
    let item = json!({"llmInferenceService": {"blue": "chat-v1", "green": "chat-v2"}});
    let members = [("chat-v1", [100, 80, 0, 20, 0]), ("chat-v2", [0, 20, 100, 80, 100])];
    moves(stand, item, members.map(|(name, weights)| member(name, weights)).into()).await
}

pub(super) async fn a_model_rewrite_loses_and_regains_its_target(stand: &Stand) -> Result<(), KitError> {
    let item = json!({"modelRewrite": {"name": "chat", "model": "chat", "blue": "lora-v1", "green": "lora-v2"}});
    moves(stand, item, vec![rewrite()]).await
}
