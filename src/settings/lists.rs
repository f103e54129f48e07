//! The lists of those whom the operator asks: each name once, and every field such that it can be used, so that what cannot is
//! said with its place in the file. Never a line to any of them.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, de};

use crate::line::{Line, ProviderError, ProviderSettings, Speaks};

pub(super) fn providers<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<ProviderSettings>, D::Error> {
    each_named(Vec::<Usable>::deserialize(from)?.into_iter().map(|usable| usable.0).collect(), "providers")
}

pub(super) fn endpoints<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<ProviderSettings>, D::Error> {
    each_named(Vec::<UsableEndpoint>::deserialize(from)?.into_iter().map(|usable| usable.0).collect(), "endpoints")
}

pub(super) fn routers<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<ProviderSettings>, D::Error> {
    each_named(Vec::<UsableWebhook>::deserialize(from)?.into_iter().map(|usable| usable.0).collect(), "routers")
}

fn each_named<E: de::Error>(all: Vec<ProviderSettings>, what: &str) -> Result<Vec<ProviderSettings>, E> {
    let mut names = BTreeSet::new();
    match all.iter().find(|one| !names.insert(one.name.as_str())) {
        Some(twice) => Err(E::custom(format!("two {what} are named `{}`; give each its own name", twice.name))),
        None => Ok(all),
    }
}

/// A provider whose fields make sense, so that what does not is said with its place.
#[derive(Deserialize)]
#[serde(try_from = "ProviderSettings")]
struct Usable(ProviderSettings);

impl TryFrom<ProviderSettings> for Usable {
    type Error = ProviderError;

    fn try_from(settings: ProviderSettings) -> Result<Self, Self::Error> {
        match Line::new(&settings) {
            Err(error @ ProviderError::Invalid { .. }) => Err(error),
            // Files with certificates may be missing where settings are only checked; the start will say so.
            Ok(_) | Err(ProviderError::Unreadable { .. }) => Ok(Self(settings)),
        }
    }
}

/// The same of an endpoint.
#[derive(Deserialize)]
#[serde(try_from = "ProviderSettings")]
struct UsableEndpoint(ProviderSettings);

impl TryFrom<ProviderSettings> for UsableEndpoint {
    type Error = ProviderError;

    fn try_from(settings: ProviderSettings) -> Result<Self, Self::Error> {
        Usable::try_from(ProviderSettings { speaks: Speaks::Json, ..settings }).map(|usable| Self(usable.0))
    }
}

/// The same of a webhook.
#[derive(Deserialize)]
#[serde(try_from = "ProviderSettings")]
struct UsableWebhook(ProviderSettings);

impl TryFrom<ProviderSettings> for UsableWebhook {
    type Error = ProviderError;

    fn try_from(settings: ProviderSettings) -> Result<Self, Self::Error> {
        Usable::try_from(ProviderSettings { speaks: Speaks::Weights, ..settings }).map(|usable| Self(usable.0))
    }
}
