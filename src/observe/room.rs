//! Nodes, what runs on them, and quotas, read from the API server when a check asks for room, page by page. What they mean
//! is `decide::room`; nothing of it is kept.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::api::core::v1::{Node, Pod, ResourceQuota};
use kube::{Api, Resource, api::ListParams};
use serde::de::DeserializeOwned;
use tokio::time::{sleep, timeout};

use super::{board::Owner, live::Eyes};
use crate::decide::room::{Need, found, held};

/// How long is waited before it is looked again.
const PAUSE: Duration = Duration::from_secs(5);
/// Objects of one answer.
const PAGE: u32 = 500;
const NOT_OVER: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// Looks until there is room; says in `last` what was missing.
pub(super) async fn look(eyes: &Eyes, owner: &Owner, need: &Need, last: &Mutex<String>) -> String {
    loop {
        match once(eyes, owner, need).await {
            Ok(words) => return words,
            Err(why) => *last.lock().unwrap_or_else(PoisonError::into_inner) = why,
        }
        sleep(PAUSE).await;
    }
}

async fn once(eyes: &Eyes, owner: &Owner, need: &Need) -> Result<String, String> {
    let client = || eyes.client.clone();
    let namespace = owner.namespace.as_deref().unwrap_or_default();
    let (mut nodes, mut quotas, mut on) = (Vec::<Node>::new(), Vec::<ResourceQuota>::new(), BTreeMap::new());
    let all = ListParams::default();
    pages(eyes, Api::namespaced(client(), namespace), all.clone(), |page| quotas.extend(page)).await?;
    pages(eyes, Api::<Node>::all(client()), all.clone(), |page| nodes.extend(page)).await?;
    let running = all.fields(NOT_OVER);
    pages(eyes, Api::<Pod>::all(client()), running, |page| held(need, &page, &mut on)).await?;
    found(need, &nodes, &on, &quotas)
}

/// Every page of a list.
async fn pages<K>(eyes: &Eyes, api: Api<K>, list: ListParams, mut take: impl FnMut(Vec<K>)) -> Result<(), String>
where
    K: Resource<DynamicType = ()> + DeserializeOwned + Clone + std::fmt::Debug,
{
    let kind = K::plural(&());
    let mut next: Option<String> = None;
    loop {
        let mut list = list.clone().limit(PAGE);
        list.continue_token = next;
        let page = match timeout(eyes.deadline, api.list(&list)).await {
            Ok(Ok(page)) => page,
            Ok(Err(kube::Error::Api(status))) if status.code == 403 => {
                return Err(format!(
                    "the operator may not list {kind}; write `rbac.capacity: true` into the chart's values"
                ));
            }
            Ok(Err(_)) | Err(_) => return Err(format!("the {kind} could not be read")),
        };
        next = page.metadata.continue_.filter(|token| !token.is_empty());
        take(page.items);
        if next.is_none() {
            return Ok(());
        }
    }
}
