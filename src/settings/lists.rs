//! The lists of those whom the operator asks: each name once, and every field such that it can be used, so that what cannot is
//! said with its place in the file. Never a line to any of them.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, de};

use crate::{
    line::{Line, ProviderError, ProviderSettings, Speaks},
    notify::{ChannelError, ChannelSettings},
};

pub(super) fn providers<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<ProviderSettings>, D::Error> {
    each_named(Vec::<Usable>::deserialize(from)?.into_iter().map(|usable| usable.0).collect(), "providers", |one| {
        &one.name
    })
}

pub(super) fn endpoints<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<ProviderSettings>, D::Error> {
    each_named(
        Vec::<UsableEndpoint>::deserialize(from)?.into_iter().map(|usable| usable.0).collect(),
        "endpoints",
        |one| &one.name,
    )
}

pub(super) fn routers<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<ProviderSettings>, D::Error> {
    each_named(
        Vec::<UsableWebhook>::deserialize(from)?.into_iter().map(|usable| usable.0).collect(),
        "routers",
        |one| &one.name,
    )
}

/// Channels, each with a name of its own.
pub(super) fn channels<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<ChannelSettings>, D::Error> {
    let all = Vec::<UsableChannel>::deserialize(from)?.into_iter().map(|usable| usable.0).collect();
    each_named(all, "channels", |channel: &ChannelSettings| &channel.name)
}

fn each_named<T, E: de::Error>(all: Vec<T>, what: &str, name: impl Fn(&T) -> &String) -> Result<Vec<T>, E> {
    let mut names = BTreeSet::new();
    match all.iter().map(&name).find(|one| !names.insert(*one)) {
        Some(twice) => Err(E::custom(format!("two {what} are named `{twice}`; give each its own name"))),
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

/// The same of a channel.
#[derive(Deserialize)]
#[serde(try_from = "ChannelSettings")]
struct UsableChannel(ChannelSettings);

impl TryFrom<ChannelSettings> for UsableChannel {
    type Error = ChannelError;

    fn try_from(settings: ChannelSettings) -> Result<Self, Self::Error> {
        settings.check().map(|()| Self(settings))
    }
}
