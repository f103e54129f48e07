//! The prices of tokens that costs rest on: those of the manifest, those under a model's name in the price list that it
//! names, or those of the operator's configuration; and from when on they are old. Never a list that is fetched here, and
//! never a price that nobody wrote.

use std::{borrow::Cow, collections::BTreeMap};

use super::{
    plan::{Wrong, invalid},
    snapshot::{Around, PriceListSeen},
};
use crate::{
    api::{Reason, exporters::TokenPrices, labels, v1alpha1},
    metrics::{Prices, unit},
};

/// Older ones are said to be old.
const FRESH_DAYS: i64 = 180;

/// The prices as they are written, wherever that is.
pub(super) fn written<'a>(
    prices: Option<&TokenPrices>,
    around: Around<'a>,
) -> Result<Option<Cow<'a, v1alpha1::Prices>>, Wrong> {
    let Some(prices) = prices else { return Ok(around.offers.prices.as_ref().map(Cow::Borrowed)) };
    match (&prices.config_map, &prices.model, &prices.input, &prices.output) {
        (Some(list), Some(model), None, None) => {
            of_list(list, model, around.price_list).map(|all| Some(Cow::Owned(all)))
        }
        (None, None, Some(input), Some(output)) => Ok(Some(Cow::Owned(v1alpha1::Prices {
            input: input.clone(),
            cached_input: prices.cached_input.clone(),
            output: output.clone(),
            as_of: prices.as_of.clone(),
            currency: prices.currency.clone(),
        }))),
        (Some(_) | None, ..) => Err(invalid(
            "metrics.prices: write them, `{input: $0.50, output: $1.50}`, or where they stand and nothing else, `{configMap: price-list, model: chat-8b}`",
        )),
    }
}

/// What the list says about the model. A price that is not there is none: it is never taken for nothing.
fn of_list(list: &str, model: &str, seen: &PriceListSeen) -> Result<v1alpha1::Prices, Wrong> {
    let missing = |message: String| Wrong { reason: Reason::PricesMissing, message };
    let unreadable = |message: String| Wrong { reason: Reason::PricesUnreadable, message };
    let PriceListSeen::There(data) = seen else {
        return Err(missing(format!(
            "metrics.prices: there is no ConfigMap {list} with the label {} in this namespace; apply it with `asOf`, `{model}.input` and `{model}.output`, or write the prices here",
            labels::PRICES
        )));
    };
    let price = |what: &str| data.get(&format!("{model}.{what}")).cloned();
    let needed = |what: &str| {
        price(what).ok_or_else(|| {
            missing(format!(
                "metrics.prices: ConfigMap {list} has no `{model}.{what}`; write for example `{model}.{what}: $0.50`, in dollars per million tokens"
            ))
        })
    };
    if let Some(other) = unknown(model, data) {
        return Err(unreadable(format!(
            "metrics.prices: ConfigMap {list}: `{other}` means nothing; a model has `{model}.input`, `{model}.cachedInput` and `{model}.output`"
        )));
    }
    let all = v1alpha1::Prices {
        input: needed("input")?,
        cached_input: price("cachedInput"),
        output: needed("output")?,
        as_of: data.get("asOf").cloned(),
        currency: data.get("currency").cloned(),
    };
    if all.as_of.is_none() {
        return Err(unreadable(format!(
            "metrics.prices: ConfigMap {list} does not say of which day it is; write for example `asOf: \"2026-08-01\"`"
        )));
    }
    Prices::parse(&all).map_err(|e| unreadable(format!("metrics.prices: ConfigMap {list}: {e}")))?;
    Ok(all)
}

/// What looks like a price of the model and is none: a typing error would be a price that nobody sees.
fn unknown<'a>(model: &str, data: &'a BTreeMap<String, String>) -> Option<&'a str> {
    let own = |key: &&String| {
        let field = key.strip_prefix(model).and_then(|rest| rest.strip_prefix('.'));
        field.is_some_and(|field| !field.contains('.') && !["input", "cachedInput", "output"].contains(&field))
    };
    data.keys().find(own).map(String::as_str)
}

/// Of which day they are, and whether somebody should look at them again.
pub(super) fn day(prices: &v1alpha1::Prices, around: Around<'_>) -> Option<String> {
    let day = prices.as_of.as_ref()?;
    let old = unit::days_since(day, around.now).is_some_and(|days| days > FRESH_DAYS);
    let warning = if old { format!(", more than {FRESH_DAYS} days old: look them up anew") } else { String::new() };
    Some(format!("prices of {day}{warning}"))
}
