//! flagd's published algorithm, written down once more: the very object that the router wrote is evaluated for many keys. The
//! shares are those that were written, and a key that has `on` at 5 % has it at every share above.
//! Sources: `core/pkg/evaluator/fractional.go` of open-feature/flagd (`(murmur3(flagKey + targetingKey) * total) >> 32`, ranges
//! in the order of the list, weights of zero allowed), and the one before it, which older servers and SDKs still have.

use kube::core::DynamicObject;
use llmrollout::{
    api::{
        Percent,
        status::Color,
        traffic::{FeatureFlagRouter, Router},
    },
    routers::{Claim, Found, Shares},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{json_patch::obeys, objects::feature_flag, routes::written};

const KEYS: usize = 100_000;

/// `MurmurHash3_x86_32` with seed 0.
fn murmur3(text: &str) -> u32 {
    let mix = |k: u32| k.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let mut chunks = text.as_bytes().chunks_exact(4);
    let mut h = chunks.by_ref().fold(0_u32, |h, chunk| {
        let k = u32::from_le_bytes(chunk.try_into().unwrap());
        (h ^ mix(k)).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
    });
    let rest = chunks.remainder();
    let tail = rest.iter().rev().fold(0_u32, |k, byte| k << 8 | u32::from(*byte));
    h ^= mix(tail);
    h ^= u32::try_from(text.len()).unwrap();
    h = (h ^ h >> 16).wrapping_mul(0x85eb_ca6b);
    h = (h ^ h >> 13).wrapping_mul(0xc2b2_ae35);
    h ^ h >> 16
}

#[test]
fn the_hash_is_the_one_that_others_publish() {
    for (text, hash) in [
        ("", 0),
        ("test", 0xba6b_d213),
        ("Hello, world!", 0xc036_3e43),
        ("The quick brown fox jumps over the lazy dog", 0x2e4f_f723),
    ] {
        assert_eq!(murmur3(text), hash, "{text}");
    }
}

/// How a hash becomes a place in the list of weights.
type Bucket = fn(u32, u64) -> f64;

/// As flagd does now.
#[expect(clippy::cast_precision_loss, reason = "totals are small")]
fn exactly(hash: u32, total: u64) -> f64 {
    ((u64::from(hash) * total) >> 32) as f64
}

/// As it did before: a share of the positive half of the hashes.
#[expect(clippy::cast_precision_loss, reason = "as published")]
fn in_hundredths(hash: u32, total: u64) -> f64 {
    f64::from(hash.cast_signed()).abs() / f64::from(i32::MAX) * total as f64
}

/// The variant that flagd gives for a context; `None` is the default variant.
fn targeted<'a>(rule: &'a Value, flag: &str, context: &Value, bucket: Bucket) -> Option<&'a str> {
    if let Some([asked, then, otherwise]) = rule["if"].as_array().map(Vec::as_slice) {
        let branch = if holds(asked, context) { then } else { otherwise };
        return targeted(branch, flag, context, bucket);
    }
    let Some(all) = rule["fractional"].as_array() else { return rule.as_str() };
    let key = format!("{flag}{}", context["targetingKey"].as_str()?);
    let weight = |entry: &Value| entry[1].as_u64().unwrap();
    let at = bucket(murmur3(&key), all.iter().map(weight).sum());
    let mut end = 0.0;
    let found = all.iter().find(|entry| {
        end += f64::from(u32::try_from(weight(entry)).unwrap());
        at < end
    });
    found.and_then(|entry| entry[0].as_str())
}

fn holds(condition: &Value, context: &Value) -> bool {
    match condition["and"].as_array() {
        Some(all) => all.iter().all(|one| holds(one, context)),
        None => context[condition["=="][0]["var"].as_str().unwrap()] == condition["=="][1],
    }
}

/// What the router leaves of a flag when it has written this share.
fn at(green: Percent, router: &FeatureFlagRouter, mut object: Value) -> Value {
    let found = DynamicObject::deserialize(&object).unwrap();
    let found = Found { object: Some(&found), ..Found::default() };
    let seen = Claim::FeatureFlag(router).read(["", ""], found).state.unwrap_or_else(|t| panic!("{}", t.message));
    assert!(obeys(&mut object, &written(&seen, Shares::giving(Color::Green, green)).ops));
    object["spec"]["flagSpec"]["flags"]["new-model"].take()
}

fn router(segment: &Value) -> FeatureFlagRouter {
    let item = json!({"featureFlag": {"name": "chat", "flag": "new-model", "segment": segment}});
    Router::deserialize(&item).unwrap().feature_flag.unwrap()
}

fn users(count: usize) -> Vec<Value> {
    (0..count).map(|n| json!({"targetingKey": format!("user-{n}")})).collect()
}

/// Who gets `on` at each share: as many as the share says, and nobody loses it as it rises.
fn monotone(keys: usize, bucket: Bucket) {
    let (router, users) = (router(&Value::Null), users(keys));
    let mut before = vec![false; keys];
    for share in [0, 5, 10, 50, 200, 500, 1000].map(Percent::of_tenths) {
        let flag = at(share, &router, feature_flag(100, 0));
        let on = |user: &Value| targeted(&flag["targeting"], "new-model", user, bucket) == Some("on");
        let now: Vec<bool> = users.iter().map(on).collect();
        let lost = before.iter().zip(&now).filter(|(before, now)| **before && !**now).count();
        assert_eq!(lost, 0, "{lost} keys lost `on` at {share} %");
        let count = u32::try_from(now.iter().filter(|on| **on).count()).unwrap();
        let (wanted, of) = (share.part(), f64::from(u32::try_from(keys).unwrap()));
        // Five standard deviations of a fair draw.
        let off = (f64::from(count) / of - wanted).abs();
        assert!(off <= 5.0 * (wanted * (1.0 - wanted) / of).sqrt(), "{count} of {keys} have `on` at {share} %");
        before = now;
    }
    assert!(before.iter().all(|on| *on), "at 100 % everybody has it");
}

#[test]
fn a_hundred_thousand_keys_are_split_as_written_and_none_loses_on() {
    monotone(KEYS, exactly);
}

#[test]
fn servers_that_are_older_split_alike() {
    monotone(KEYS / 10, in_hundredths);
}

#[test]
fn outside_the_segment_nobody_gets_on_and_without_a_key_nobody_either() {
    let segment = json!({"workspace": "test", "region": "eu"});
    let mut object = feature_flag(100, 0);
    object["spec"]["flagSpec"]["flags"]["new-model"]["targeting"] = json!({"if": [
        {"and": [{"==": [{"var": "workspace"}, "test"]}, {"==": [{"var": "region"}, "eu"]}]},
        {"fractional": [["on", 0], ["off", 100]]},
        "off",
    ]});
    let flag = at(Percent::of(50), &router(&segment), object);
    let given = |context: &Value| targeted(&flag["targeting"], "new-model", context, exactly);
    let mut on = 0;
    for mut user in users(1_000) {
        assert_eq!(given(&user), Some("off"));
        user["workspace"] = json!("test");
        assert_eq!(given(&user), Some("off"), "one of two attributes is not enough");
        user["region"] = json!("eu");
        on += i32::from(given(&user) == Some("on"));
    }
    assert!((400..600).contains(&on), "{on} of 1000 in the segment have `on` at 50 %");
    assert_eq!(given(&json!({"workspace": "test", "region": "eu"})), None, "the default variant");
    assert_eq!(flag["defaultVariant"], "off");
}

/// The reason for the router's demand on the order: with a third variant between them, the third's keys move.
#[test]
fn a_variant_in_between_would_lose_its_keys() {
    let apart = |on: i32| json!({"fractional": [["on", on], ["third", 10], ["off", 90 - on]]});
    let has_third = |on: i32, user: &Value| targeted(&apart(on), "f", user, exactly) == Some("third");
    assert!(users(2_000).iter().any(|user| has_third(5, user) && !has_third(20, user)));
    let beside = |on: i32| json!({"fractional": [["on", on], ["off", 90 - on], ["third", 10]]});
    let has_third = |on: i32, user: &Value| targeted(&beside(on), "f", user, exactly) == Some("third");
    assert!(users(2_000).iter().all(|user| has_third(5, user) == has_third(20, user)));
}
