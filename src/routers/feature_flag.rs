//! A flag of a user's OpenFeature `FeatureFlag`: the two weights of its `fractional` operation. Green is the variant `on`,
//! which stands first, blue is `off`, right behind it: so a key that has green at 5 % has it at every share above. A JSON
//! patch guarded by version and variants changes two numbers and leaves every other byte.

use std::collections::BTreeMap;

use kube::core::DynamicObject;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Follows, PatchKind, Place, Seen, Shares, Trouble, escaped,
    split::{Destination, PAIR, Split, Weights, Words},
    trouble, understood,
};
use crate::api::{Percent, Reason, status::Color, traffic::FeatureFlagRouter};

/// What we read of a `FeatureFlag`, beside its metadata.
#[derive(Deserialize, Default)]
#[serde(default)]
struct FeatureFlag {
    spec: Spec,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    flag_spec: FlagSpec,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct FlagSpec {
    flags: BTreeMap<String, Flag>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Flag {
    state: String,
    variants: Map<String, Value>,
    default_variant: Option<String>,
    targeting: Value,
}

/// What the flag says about who gets which variant.
pub fn read(router: &FeatureFlagRouter, found: Option<&DynamicObject>) -> Result<Seen, Trouble> {
    let asked = Asked { router, on: router.on(), off: router.off() };
    let (object, read): (_, FeatureFlag) = understood(PatchKind::FeatureFlag, &router.name, found)?;
    let flag = read.spec.flag_spec.flags.get(&router.flag).ok_or_else(|| {
        let message = format!(
            "FeatureFlag {} has no flag {}; add it to `spec.flagSpec.flags`, or correct `traffic[].featureFlag.flag`",
            router.name, router.flag
        );
        trouble(Reason::RuleNotFound, message)
    })?;
    asked.variants(flag)?;
    let (weights, split) = asked.fractional(&flag.targeting)?;
    let disabled = flag.state != "ENABLED";
    let home = split.shares == Shares::giving(Color::Blue, Percent::ALL);
    Ok(Seen {
        version: object.metadata.resource_version.clone().unwrap_or_default(),
        // Whoever asks for a flag that is not enabled gets what stands in the code, which is `off`.
        shares: if disabled { Shares::giving(Color::Blue, Percent::ALL) } else { split.shares },
        exact: split.exact && (home || !disabled),
        follows: if disabled { asked.is_disabled() } else { Follows::NotYet },
        // A key keeps its variant as long as the shares stand, and moves with them.
        pins: false,
        crosses: Vec::new(),
        room: None,
        place: Place::Weights { kind: PatchKind::FeatureFlag, namespace: None, name: router.name.clone(), weights },
    })
}

/// Which flag is asked for, and its variants.
#[derive(Clone, Copy)]
struct Asked<'a> {
    router: &'a FeatureFlagRouter,
    on: &'a str,
    off: &'a str,
}

impl Asked<'_> {
    /// `flag new-model of FeatureFlag chat`.
    fn what(self) -> String {
        format!("flag {} of FeatureFlag {}", self.router.flag, self.router.name)
    }

    /// What stands in the flag at rest.
    fn at_rest(self) -> Value {
        let fractional = json!({"fractional": [[self.on, 0], [self.off, 100]]});
        match self.condition() {
            None => fractional,
            Some(condition) => json!({"if": [condition, fractional, self.off]}),
        }
    }

    /// The condition of the segment, in JSON logic.
    fn condition(self) -> Option<Value> {
        let segment = self.router.segment.as_ref()?;
        let mut all: Vec<_> = segment.iter().map(|(key, value)| json!({"==": [{"var": key}, value]})).collect();
        if all.len() == 1 { all.pop() } else { Some(json!({"and": all})) }
    }

    fn not_so(self, what: &str) -> Trouble {
        let message = format!("{} {what}; write `targeting: {}`", self.what(), self.at_rest());
        trouble(Reason::RuleNotFound, message)
    }

    /// Both variants are there, and whoever has no key gets `off`.
    fn variants(self, flag: &Flag) -> Result<(), Trouble> {
        let Self { on, off, .. } = self;
        if let Some(missing) = [on, off].into_iter().find(|name| !flag.variants.contains_key(*name)) {
            let message = format!(
                "{} has no variant {missing}; write for example `variants: {}`, or name the ones it has in `traffic[].featureFlag`",
                self.what(),
                json!({on: true, off: false})
            );
            return Err(trouble(Reason::BackendMissing, message));
        }
        if flag.default_variant.as_deref() != Some(off) {
            let message = format!(
                "{} has another default than {off}, which callers without a targeting key get whatever the shares are; write `defaultVariant: {}`",
                self.what(),
                json!(off)
            );
            return Err(trouble(Reason::RuleNotFound, message));
        }
        Ok(())
    }

    /// The weights of both variants in `targeting`: around their list there is nothing, or the segment.
    fn fractional(self, targeting: &Value) -> Result<(Weights, Split), Trouble> {
        let (place, fractional) = match self.condition() {
            None if targeting.get("if").is_some() => {
                return Err(self.not_so("asks for a condition that `traffic[].featureFlag.segment` does not name"));
            }
            None => ("fractional", alone(targeting, "fractional")),
            Some(condition) => {
                let branches = alone(targeting, "if").map(Vec::as_slice);
                let Some([asked, then, otherwise]) = branches else {
                    return Err(self.not_so("is not limited to the segment"));
                };
                if equalities(asked) != equalities(&condition) || otherwise != self.off {
                    return Err(self.not_so("is limited to another segment, or does not give the others `off`"));
                }
                ("if/1/fractional", alone(then, "fractional"))
            }
        };
        let all = fractional.ok_or_else(|| self.not_so("has no `fractional` of its own"))?;
        let list = format!("/spec/flagSpec/flags/{}/targeting/{place}", escaped(&self.router.flag));
        self.weights(list, all)
    }

    /// The two weights in the list. An expression before them says by what keys are told apart.
    fn weights(self, list: String, all: &[Value]) -> Result<(Weights, Split), Trouble> {
        let first = usize::from(all.first().is_some_and(Value::is_object));
        let entries: Option<Vec<Destination>> = all.iter().skip(first).map(|entry| self.entry(entry)).collect();
        let entries =
            entries.ok_or_else(|| self.not_so("has something else than `[variant, weight]` in `fractional`"))?;
        // A weight that is left out means 1.
        let words = Words {
            of: format!("`fractional` of {}", self.what()),
            noun: "variant",
            example: format!("`targeting: {}`", self.at_rest()),
            colors: [self.off, self.on],
            left_out: 1,
        };
        let split = Split::of(&words, &entries, None)?;
        if (split.green, split.blue) != (0, 1) {
            let why =
                "has not `on` first and `off` right behind it, and so a key would lose `on` where its share rises";
            return Err(self.not_so(why));
        }
        let whole = |at: usize| (at, all.get(at).cloned().unwrap_or_default());
        let (green, blue) = (whole(first), whole(first + 1));
        Ok((Weights { list, field: PAIR, blue, green, scale: split.scale, out: None }, split))
    }

    fn entry(self, entry: &Value) -> Option<Destination> {
        let (name, weight) = match entry.as_array()?.as_slice() {
            [name] => (name, None),
            [name, weight] => (name, Some(i32::try_from(weight.as_i64()?).ok()?)),
            _ => return None,
        };
        let name = name.as_str()?.to_owned();
        let color = [(self.on, Color::Green), (self.off, Color::Blue)].into_iter().find(|(of, _)| *of == name);
        Some(Destination { name, color: color.map(|(_, color)| color), weight })
    }

    fn is_disabled(self) -> Follows {
        Follows::Refuses(format!(
            "{} is not enabled, so that everybody gets what stands in the code; write `state: ENABLED`",
            self.what()
        ))
    }
}

/// The list that stands under this key and nothing beside it.
fn alone<'a>(value: &'a Value, key: &str) -> Option<&'a Vec<Value>> {
    value.as_object().filter(|object| object.len() == 1)?.get(key)?.as_array()
}

/// The attributes that a condition in JSON logic asks for, if it asks for nothing but their being equal to a text.
fn equalities(condition: &Value) -> Option<BTreeMap<&str, &str>> {
    match alone(condition, "and") {
        Some(all) => all.iter().map(equality).collect(),
        None => equality(condition).map(|one| BTreeMap::from([one])),
    }
}

fn equality(condition: &Value) -> Option<(&str, &str)> {
    let [attribute, value] = alone(condition, "==")?.as_slice() else { return None };
    let attribute = attribute.as_object().filter(|var| var.len() == 1)?.get("var")?;
    Some((attribute.as_str()?, value.as_str()?))
}
