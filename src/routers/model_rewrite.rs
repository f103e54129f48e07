//! A rule of a user's llm-d `InferenceModelRewrite`: the weights of two targets. There is no weight of zero: a color that gets
//! nothing is no target, and is put back when it gets its first share. A JSON patch guarded by version and targets changes
//! weights, adds a target or takes one out, and leaves every other byte.

use kube::core::DynamicObject;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Follows, GuardedPatch, PatchKind, Place, Seen, Shares, Trouble, guard,
    split::{Destination, Scale, Split, Words},
    trouble, understood,
};
use crate::api::{Reason, status::Color, traffic::RewriteRouter};

/// What we read of an `InferenceModelRewrite`, beside its metadata.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Rewrite {
    spec: Spec,
    status: Status,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Spec {
    rules: Vec<Rule>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Rule {
    matches: Vec<Match>,
    targets: Vec<Weighted>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Match {
    model: Model,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Model {
    value: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Weighted {
    model_rewrite: String,
    weight: Option<i32>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    conditions: Vec<Word>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Word {
    #[serde(rename = "type")]
    type_: String,
    status: String,
    reason: String,
    message: String,
    observed_generation: Option<i64>,
}

/// Where the targets of both colors stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    /// The list: `/spec/rules/0/targets`.
    pub list: String,
    /// The model that blue is, and its index if it is a target now.
    pub blue: (String, Option<usize>),
    /// The same of green.
    pub green: (String, Option<usize>),
    /// What their weights add up to.
    pub scale: Scale,
}

/// What the rule says about the models that requests are rewritten to.
pub fn read(router: &RewriteRouter, found: Option<&DynamicObject>) -> Result<Seen, Trouble> {
    let (object, read): (_, Rewrite) = understood(PatchKind::ModelRewrite, &router.name, found)?;
    let (index, rule) = find(router, &read)?;
    let color = |name: &str| match name {
        _ if name == router.blue => Some(Color::Blue),
        _ if name == router.green => Some(Color::Green),
        _ => None,
    };
    let mut all: Vec<Destination> = rule
        .targets
        .iter()
        .map(|t| Destination { name: t.model_rewrite.clone(), color: color(&t.model_rewrite), weight: t.weight })
        .collect();
    let at = |color: Color| all.iter().position(|d| d.color == Some(color));
    let places = Color::BOTH.map(|c| (c, at(c)));
    let alone = places.iter().any(|(_, at)| at.is_none());
    let places = places.map(|(color, at)| {
        let name = if color == Color::Blue { &router.blue } else { &router.green };
        if at.is_none() {
            all.push(Destination { name: name.clone(), color: Some(color), weight: Some(0) });
        }
        (name.clone(), at)
    });
    let words = Words {
        of: format!("rule of InferenceModelRewrite {}", router.name),
        noun: "target",
        example: example(router),
        colors: [&router.blue, &router.green],
        left_out: 1,
    };
    let split = Split::of(&words, &all, None)?;
    let [blue, green] = places;
    let list = format!("/spec/rules/{index}/targets");
    Ok(Seen {
        version: object.metadata.resource_version.clone().unwrap_or_default(),
        shares: split.shares,
        // The only target needs no weight.
        exact: split.exact || (alone && all.len() == 2),
        follows: follows(&read.status, object.metadata.generation),
        pins: false,
        crosses: Vec::new(),
        room: None,
        place: Place::Targets { name: router.name.clone(), targets: Targets { list, blue, green, scale: split.scale } },
    })
}

fn example(router: &RewriteRouter) -> String {
    let RewriteRouter { blue, .. } = router;
    format!("`targets: [{{modelRewrite: {blue}, weight: 100}}]`")
}

/// The rule for the model, or the only one that sends to a color.
fn find<'a>(router: &RewriteRouter, read: &'a Rewrite) -> Result<(usize, &'a Rule), Trouble> {
    let RewriteRouter { name, model, blue, green } = router;
    let is_color = |target: &Weighted| [blue, green].contains(&&target.model_rewrite);
    let fits = |rule: &Rule| {
        let asked = |model: &String| rule.matches.iter().any(|m| m.model.value == *model);
        model.as_ref().is_none_or(asked) && rule.targets.iter().any(is_color)
    };
    let mut fitting = read.spec.rules.iter().enumerate().filter(|(_, rule)| fits(rule));
    let what = model.as_ref().map_or_else(String::new, |model| format!(" for model {model}"));
    match (fitting.next(), fitting.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(trouble(
            Reason::BackendMissing,
            format!(
                "no rule{what} of InferenceModelRewrite {name} has {blue} or {green} as a target; write {}, or correct `traffic[].modelRewrite`",
                example(router)
            ),
        )),
        (Some(_), Some(_)) => Err(trouble(
            Reason::RuleNotFound,
            format!(
                "several rules{what} of InferenceModelRewrite {name} have {blue} or {green} as a target; name the model of the one meant with `traffic[].modelRewrite.model`, and match it in one rule"
            ),
        )),
    }
}

/// llm-d's endpoint picker only reads it; whoever says something of this generation is heard.
fn follows(status: &Status, generation: Option<i64>) -> Follows {
    let said = |w: &&Word| w.type_ == "Accepted" && w.observed_generation >= generation;
    match status.conditions.iter().find(said) {
        Some(word) if word.status == "False" => Follows::Refuses(format!("{}: {}", word.reason, word.message)),
        Some(word) if word.status == "True" => Follows::Yes,
        _ => Follows::NotYet,
    }
}

/// The write that gives `shares`.
pub(super) fn write(version: &str, name: &str, targets: &Targets, shares: Shares) -> GuardedPatch {
    let Targets { list, blue, green, scale } = targets;
    let [to_blue, to_green] = scale.weights(shares);
    let both = [(blue, to_blue), (green, to_green)];
    let still = |((model, at), _): &(&(String, Option<usize>), i32)| {
        at.map(|i| json!({"op": "test", "path": format!("{list}/{i}/modelRewrite"), "value": model}))
    };
    let set = |((model, at), weight): &(&(String, Option<usize>), i32)| match at {
        _ if *weight == 0 => None,
        Some(i) => Some(json!({"op": "add", "path": format!("{list}/{i}/weight"), "value": weight})),
        None => {
            let target = json!({"modelRewrite": model, "weight": weight});
            Some(json!({"op": "add", "path": format!("{list}/-"), "value": target}))
        }
    };
    // Last, since it moves what stands behind it.
    let take_out = |((_, at), weight): &(&(String, Option<usize>), i32)| {
        at.filter(|_| *weight == 0).map(|i| json!({"op": "remove", "path": format!("{list}/{i}")}))
    };
    let tests = both.iter().filter_map(still);
    let ops: Vec<Value> = [guard(version)]
        .into_iter()
        .chain(tests)
        .chain(both.iter().filter_map(set))
        .chain(both.iter().filter_map(take_out))
        .collect();
    GuardedPatch { kind: PatchKind::ModelRewrite, namespace: None, name: name.to_owned(), ops }
}
