//! The CRDs: the checked-in YAML is what the code generates, every field is documented and bounded, and the corpus of
//! manifests in `tests/crd` is taken or refused as it should be. Never asks a real server; the lab does, with the same files.

use std::path::{Path, PathBuf};

use llmrollout::{
    api::{LlmRollout, v1alpha1::Prices},
    cli::lint::schema::Schemas,
    decide::{
        plan::Plan,
        snapshot::{Around, EndpointOffer, Offers},
    },
};
use serde_json::{Value, json};

use crate::{
    files::{below, read, top},
    samples::{gate_sets, price_list},
    schema::{complaints, complaints_after, crds},
    yaml::yaml,
};

/// Formats that API servers know; they warn about others at install.
const FORMATS: &[&str] = &["int32", "int64", "double", "date-time"];

#[test]
fn the_checked_in_crds_are_those_of_the_code() {
    for (file, crd) in crds() {
        let generated = serde_saphyr::to_string(&crd).unwrap();
        assert!(generated.len() < 200_000, "{file}: {} bytes, less than 200 KB are allowed", generated.len());
        for folder in ["crds", "charts/llmrollout/crds"] {
            let copy = top(folder).join(file);
            assert!(read(&copy) == generated, "{} is stale; run `make crds`", copy.display());
        }
    }
}

#[test]
fn every_field_is_documented() {
    let mut wrong = Vec::new();
    for (kind, schema) in Schemas::ours().kinds() {
        walk(schema, "", &mut |at, schema| {
            let ours = !["", "apiVersion", "kind", "metadata"].contains(&at) && !at.ends_with("[]");
            if ours && schema["description"].as_str().is_none_or(str::is_empty) {
                wrong.push(format!("{kind}: {at}: no description"));
            }
            if let Some(format) = schema["format"].as_str().filter(|f| !FORMATS.contains(f)) {
                wrong.push(format!("{kind}: {at}: format {format} is not known to API servers"));
            }
        });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn everything_a_user_writes_is_bounded() {
    let mut wrong = Vec::new();
    for (kind, schema) in Schemas::ours().kinds() {
        walk(&schema["properties"]["spec"], "spec", &mut |at, schema| match schema["type"].as_str() {
            Some("string") if ["maxLength", "pattern", "enum"].iter().all(|bound| schema[bound].is_null()) => {
                wrong.push(format!("{kind}: {at}: a string without maxLength, pattern or enum"));
            }
            Some("array") if schema["maxItems"].is_null() => {
                wrong.push(format!("{kind}: {at}: a list without maxItems"));
            }
            Some("integer" | "number") if schema["minimum"].is_null() || schema["maximum"].is_null() => {
                wrong.push(format!("{kind}: {at}: a number without minimum and maximum"));
            }
            _ => {}
        });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn walk(schema: &Value, at: &str, visit: &mut impl FnMut(&str, &Value)) {
    visit(at, schema);
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let below = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        walk(field, &below, visit);
    }
    if schema["items"].is_object() {
        walk(&schema["items"], &format!("{at}[]"), visit);
    }
}

#[test]
fn good_manifests_are_taken() {
    let files = below(&top("tests/crd/good"), ".yaml");
    assert!(files.len() >= 5, "the corpus of good manifests is gone");
    let schemas = Schemas::ours();
    for file in files {
        let wrong = complaints(&schemas, &one(&file));
        assert!(wrong.is_empty(), "{}: {}", file.display(), wrong.join("\n"));
    }
}

/// What the API server takes the operator understands, samples included: nobody learns of a mistake from a condition
/// that the schema could have told.
#[test]
fn good_manifests_are_understood() {
    for folder in ["tests/crd/good", "config/samples", "examples"] {
        understood(&below(&top(folder), ".yaml"));
    }
}

/// Rollouts with the sets of gates that lie beside them.
fn understood(files: &[PathBuf]) {
    let prices = Some(Prices { input: "$1".into(), output: "$1".into(), ..Prices::default() });
    let endpoint = |name: &str| EndpointOffer { name: name.into(), tells_colors: true };
    let endpoints = ["eval", "models-api", "scanner"].map(endpoint).into();
    let offers = Offers {
        providers: vec!["default".into()],
        endpoints,
        prices,
        gpu_price: Some("$2".into()),
        cross_namespace: true,
        quarrel: None,
    };
    let documents: Vec<Value> = files.iter().flat_map(|file| yaml(file)).collect();
    let sets = gate_sets(&documents);
    let lists = yaml(&top("config/samples/prices.yaml"));
    for file in files {
        for document in yaml(file).into_iter().filter(|d| d["kind"] == "LlmRollout") {
            let rollout: LlmRollout = serde_json::from_value(document).unwrap();
            let price_list = price_list(&lists, &rollout);
            let plan = Plan::read(&rollout.spec, Around { price_list: &price_list, ..Around::new(&sets, &offers) });
            assert!(plan.is_ok(), "{}: {plan:?}", file.display());
        }
    }
}

#[test]
fn bad_manifests_are_refused_with_the_expected_words() {
    let files = below(&top("tests/crd/bad"), ".yaml");
    assert!(files.len() >= 40, "the corpus of bad manifests is gone");
    let schemas = Schemas::ours();
    let wrong: Vec<String> = files.iter().filter_map(|file| not_refused(&schemas, file)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_has_a_manifest_that_breaks_it() {
    let words: Vec<String> = below(&top("tests/crd/bad"), ".yaml")
        .iter()
        .filter_map(|file| Some(read(file).lines().next()?.strip_prefix("# refused: ")?.trim().to_owned()))
        .collect();
    let mut missing = Vec::new();
    for (kind, schema) in Schemas::ours().kinds() {
        walk(schema, "", &mut |at, schema| {
            for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
                let message = rule["message"].as_str().unwrap_or_default();
                // A rule about a change is broken by no manifest; the next test breaks it.
                let about_a_change = rule["rule"].as_str().is_some_and(|rule| rule.contains("oldSelf"));
                if !about_a_change && !words.iter().any(|w| message.contains(w.as_str())) {
                    missing.push(format!("{kind}: {at}: {message}"));
                }
            }
        });
    }
    assert!(missing.is_empty(), "no manifest of tests/crd/bad breaks\n{}", missing.join("\n"));
}

#[test]
fn an_order_is_never_changed() {
    let (schemas, order) = (Schemas::ours(), one(&top("tests/crd/good/order-approve.yaml")));
    assert_eq!(complaints_after(&schemas, &order, Some(&order)), Vec::<String>::new());
    let mut changed = order.clone();
    changed["spec"]["approver"] = json!("eve@example.org");
    let said = complaints_after(&schemas, &changed, Some(&order)).join("\n");
    assert!(said.contains("an order is never changed; create another one"), "{said}");
}

#[test]
fn who_owns_the_colors_does_not_change_under_a_rollout() {
    let (schemas, made) = (Schemas::ours(), one(&top("tests/crd/good/only-a-route.yaml")));
    let mut external = one(&top("tests/crd/good/external.yaml"));
    let said = complaints_after(&schemas, &external, Some(&made)).join("\n");
    assert!(said.contains("release: who owns the colors cannot change under a rollout"), "{said}");
    let before = external.clone();
    external["spec"]["release"]["external"]["revision"] = json!("v4");
    assert_eq!(complaints_after(&schemas, &external, Some(&before)), Vec::<String>::new());
}

/// What is wrong with a file of the bad corpus: taken, or refused in other words than it expects.
fn not_refused(schemas: &Schemas, file: &Path) -> Option<String> {
    let text = read(file);
    let expected = text.lines().next().and_then(|line| line.strip_prefix("# refused: ")).map(str::trim);
    let Some(expected) = expected else {
        return Some(format!("{}: the first line must be `# refused: words of the server`", file.display()));
    };
    let found = complaints(schemas, &one(file));
    let refused = found.iter().any(|complaint| complaint.contains(expected));
    (!refused).then(|| format!("{}: expected `{expected}`, found {found:?}", file.display()))
}

fn one(file: &Path) -> Value {
    let mut documents = yaml(file);
    assert_eq!(documents.len(), 1, "{}: one document is expected", file.display());
    documents.remove(0)
}
