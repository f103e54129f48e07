//! Claims about bad input: it is refused, or named in a condition, and traffic is never touched.
//! Nothing here sends load; nothing moves that could fail a request.

use std::{path::PathBuf, time::Duration};

use futures::future::try_join_all;
use http::Request;
use serde_json::{Value, json};

use super::stand::{Stand, is_promoted};
use crate::kit::{
    Film, KitError, Wish, claim,
    operator::root,
    recipe::{self, ROUTE},
    space::condition,
};

const SOON: Duration = Duration::from_secs(20);

/// What the API server says of a manifest in a strict dry run; `None` when it takes it. An order is given by the one it
/// names, who may do everything: what is asked is the manifest, and not the policy.
async fn refusal(stand: &Stand, yaml: String) -> Result<Option<String>, KitError> {
    let namespace = &stand.space.name;
    let line = |key: &str| yaml.lines().find_map(|line| line.trim_start().strip_prefix(key));
    let plural = match line("kind: ") {
        Some("LlmRolloutOrder") => "llmrolloutorders",
        Some("LlmGateSet") => "llmgatesets",
        _ => "llmrollouts",
    };
    let uri = format!("/apis/llmrollout.io/v1alpha1/namespaces/{namespace}/{plural}?dryRun=All&fieldValidation=Strict");
    let mut request = Request::post(uri).header("content-type", "application/yaml");
    // A name that cannot be a header cannot be a user either, and is refused before any policy.
    if let Some(approver) = line("approver: ").filter(|name| !name.starts_with('"')) {
        request = request.header("impersonate-user", approver).header("impersonate-group", "system:masters");
    }
    let request = request.body(yaml.into_bytes()).map_err(KitError::failed("a dry run"))?;
    match stand.space.ground.client.request_text(request).await {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) => Ok(Some(status.message)),
        Err(error) => Err(KitError::api("a dry run")(error)),
    }
}

/// The manifests of a directory: path and text.
fn manifests(dir: &str) -> Result<Vec<(PathBuf, String)>, KitError> {
    let dir = root().join(dir);
    let what = || dir.display().to_string();
    let entries = std::fs::read_dir(&dir).map_err(KitError::failed(what()))?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).map_err(KitError::failed(path.display().to_string()))?;
        Ok((path, text))
    };
    let all: Result<Vec<_>, KitError> = paths.into_iter().map(read).collect();
    all.and_then(|all| claim(!all.is_empty(), || format!("{} is empty", what())).map(|()| all))
}

/// Each bad manifest is refused with the words its first line promises; each good one is taken.
pub(super) async fn server_refuses_bad_manifests_and_takes_good_ones(stand: &Stand) -> Result<(), KitError> {
    let mut wrong = Vec::new();
    for (path, text) in manifests("tests/crd/bad")? {
        let promised =
            text.lines().next().and_then(|line| line.strip_prefix("# refused: ")).unwrap_or_default().to_owned();
        let fits = |words: &String| !promised.is_empty() && words.contains(&promised);
        let said = refusal(stand, text).await?;
        if !said.as_ref().is_some_and(fits) {
            wrong.push(format!("{}: promised `{promised}`, the server says {said:?}", path.display()));
        }
    }
    for (path, text) in manifests("tests/crd/good")? {
        if let Some(words) = refusal(stand, text).await? {
            wrong.push(format!("{}: {words}", path.display()));
        }
    }
    claim(wrong.is_empty(), || wrong.join("\n"))
}

/// A user's three objects, any of which may be wrong or missing.
struct Objects {
    front: Option<Value>,
    route: Option<Value>,
    rollout: Value,
}

impl Objects {
    /// Good ones under another name than `chat`.
    fn good(stand: &Stand, name: &str) -> Result<Self, KitError> {
        let named = |object: Value| {
            let text = object.to_string().replace("chat", name);
            serde_json::from_str::<Value>(&text).map_err(KitError::failed(name.to_owned()))
        };
        let host = format!("chat.{}", stand.space.host());
        let wish = Wish { replicas: 1, ..Wish::new("v1") };
        Ok(Self {
            front: Some(named(recipe::front())?),
            route: Some(named(recipe::route(&stand.space.ground.gateway, &host))?),
            rollout: named(wish.manifest())?,
        })
    }

    async fn apply(&self, stand: &Stand) -> Result<(), KitError> {
        for object in [&self.front, &self.route].into_iter().flatten() {
            stand.space.apply(object).await?;
        }
        stand.space.apply(&self.rollout).await.map(drop)
    }
}

/// What is done to good objects, the reason that must stand in `Accepted`, and words that must stand there too.
struct Mistake {
    name: &'static str,
    reason: &'static str,
    words: &'static str,
    make: fn(&mut Objects),
}

fn rules(objects: &mut Objects) -> Option<&mut Vec<Value>> {
    objects.route.as_mut()?.pointer_mut("/spec/rules/0/backendRefs")?.as_array_mut()
}

const MISTAKES: [Mistake; 10] = [
    Mistake { name: "no-service", reason: "ServiceNotFound", words: "no-service", make: |o| o.front = None },
    Mistake { name: "no-route", reason: "RouteNotFound", words: "no-route", make: |o| o.route = None },
    Mistake {
        name: "no-rule",
        reason: "RuleNotFound",
        words: "main",
        make: |o| o.rollout["spec"]["traffic"][1]["httpRoute"]["rule"] = json!("main"),
    },
    Mistake {
        name: "no-backend",
        reason: "BackendMissing",
        words: "no-backend-green",
        make: |o| drop(rules(o).and_then(Vec::pop)),
    },
    Mistake {
        name: "third-backend",
        reason: "UnmanagedBackend",
        words: "add up to 100",
        make: |o| {
            if let Some(all) = rules(o) {
                all[0]["weight"] = json!(9);
                all.push(json!({"name": "third", "port": 8000, "weight": 1}));
            }
        },
    },
    Mistake {
        name: "twice",
        reason: "UnmanagedBackend",
        words: "names twice-blue twice; leave one of the two out",
        make: |o| {
            if let Some(all) = rules(o) {
                all.push(all[0].clone());
            }
        },
    },
    Mistake {
        name: "no-provider",
        reason: "ProviderUnknown",
        words: "nobody",
        make: |o| o.rollout["spec"]["metrics"]["provider"] = json!("nobody"),
    },
    Mistake {
        name: "no-endpoint",
        reason: "EndpointUnknown",
        words: "no endpoint nobody",
        make: |o| {
            o.rollout["spec"]["gates"] = json!([{"name": "a", "http": {"name": "nobody", "path": "/a"}, "max": "1"}]);
        },
    },
    Mistake {
        name: "no-set",
        reason: "GateSetMissing",
        words: "there is no LlmGateSet nobody",
        make: |o| o.rollout["spec"]["gates"] = json!([{"gateSet": "nobody"}]),
    },
    Mistake {
        name: "bad-template",
        reason: "PodTemplateInvalid",
        words: "must be between 1 and 65535",
        make: |o| {
            o.rollout["spec"]["release"]["template"]["podTemplate"]["spec"]["containers"][0]["ports"][0]["containerPort"] =
                json!(70000);
        },
    },
];

/// Route and front Service, as far as they are there, without what the gateway writes about them.
async fn users_own(stand: &Stand, name: &str) -> Vec<Value> {
    let mut objects = Vec::new();
    for (api_version, kind) in [(ROUTE, "HTTPRoute"), ("v1", "Service")] {
        let mut object = stand.space.get(api_version, kind, name).await.unwrap_or_default();
        if kind == "HTTPRoute" && object.is_object() {
            (object["status"], object["metadata"]["resourceVersion"]) = (Value::Null, Value::Null);
            let managers = object.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut);
            if let Some(all) = managers {
                all.retain(|manager| manager["subresource"] != "status");
            }
        }
        objects.push(object);
    }
    objects
}

/// Waits until `Accepted` is refused for this reason in these words.
async fn until_refused(film: &Film, reason: &str, words: &str) -> Result<(), KitError> {
    let refused = |rollout: &Value| {
        condition(rollout, "Accepted").is_some_and(|accepted| {
            let says = accepted["message"].as_str().is_some_and(|message| message.contains(words));
            accepted["status"] == "False" && accepted["reason"] == reason && says
        })
    };
    film.until(&format!("Accepted=False/{reason} with `{words}`"), SOON, refused).await.map(drop)
}

async fn mistake_is_named(stand: &Stand, mistake: &Mistake) -> Result<(), KitError> {
    let name = mistake.name;
    let mut objects = Objects::good(stand, name)?;
    (mistake.make)(&mut objects);
    for object in [&objects.front, &objects.route].into_iter().flatten() {
        stand.space.apply(object).await?;
    }
    let before = users_own(stand, name).await;
    stand.space.apply(&objects.rollout).await?;
    let film = Film::start(stand.space.rollouts(), name).await?;
    until_refused(&film, mistake.reason, mistake.words).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = users_own(stand, name).await;
    claim(before == after, || format!("{name}: route and Service were {before:?} and are {after:?}"))?;
    Objects::good(stand, name)?.apply(stand).await?;
    film.until("serves after all", SOON, is_promoted).await.map(drop)
}

/// Everything the manifest names and that is not there, or wrong, stands in `Accepted` with what to write instead.
pub(super) async fn conditions_name_what_is_wrong_and_traffic_is_untouched(stand: &Stand) -> Result<(), KitError> {
    try_join_all(MISTAKES.iter().map(|mistake| mistake_is_named(stand, mistake))).await.map(drop)
}

/// The younger of two rollouts on one route writes nothing, and goes on as soon as it has its own.
pub(super) async fn two_rollouts_on_one_route_do_not_quarrel(stand: &Stand) -> Result<(), KitError> {
    let older = Objects::good(stand, "older")?;
    older.apply(stand).await?;
    let first = Film::start(stand.space.rollouts(), "older").await?;
    first.until("serves", SOON, is_promoted).await?;
    // Creation times are whole seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let before = users_own(stand, "older").await;
    let good = Objects::good(stand, "younger")?;
    let mut rollout = good.rollout.clone();
    rollout["spec"]["traffic"] = older.rollout["spec"]["traffic"].clone();
    stand.space.apply(&rollout).await?;
    let second = Film::start(stand.space.rollouts(), "younger").await?;
    until_refused(&second, "Conflict", "older").await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = users_own(stand, "older").await;
    claim(before == after, || format!("route and Service were {before:?} and are {after:?}"))?;
    let made = stand.space.get("apps/v1", "Deployment", "younger-blue").await;
    claim(made.is_err(), || "the younger one made a Deployment".to_owned())?;
    claim(first.last().as_deref().is_some_and(is_promoted), || "the older one was disturbed".to_owned())?;
    good.apply(stand).await?;
    second.until("serves on its own route", SOON, is_promoted).await.map(drop)
}
