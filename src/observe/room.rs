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

/// Why there is no room yet, or never.
enum Missing {
    /// It may come.
    Room(String),
    /// Nothing comes of waiting.
    Right(String),
}

/// Looks until there is room; says in `last` what was missing. A right that is missing is said at once.
pub(super) async fn look(eyes: &Eyes, owner: &Owner, need: &Need, last: &Mutex<String>) -> Result<String, String> {
    loop {
        match once(eyes, owner, need).await {
            Ok(words) => return Ok(words),
            Err(Missing::Right(why)) => return Err(why),
            Err(Missing::Room(why)) => *last.lock().unwrap_or_else(PoisonError::into_inner) = why,
        }
        sleep(PAUSE).await;
    }
}

async fn once(eyes: &Eyes, owner: &Owner, need: &Need) -> Result<String, Missing> {
    let client = || eyes.client.clone();
    let namespace = owner.namespace.as_deref().unwrap_or_default();
    let (mut nodes, mut quotas, mut on) = (Vec::<Node>::new(), Vec::<ResourceQuota>::new(), BTreeMap::new());
    let all = ListParams::default();
    pages(eyes, Api::namespaced(client(), namespace), all.clone(), |page| quotas.extend(page)).await?;
    pages(eyes, Api::<Node>::all(client()), all.clone(), |page| nodes.extend(page)).await?;
    let running = all.fields(NOT_OVER);
    pages(eyes, Api::<Pod>::all(client()), running, |page| held(need, &page, &mut on)).await?;
    found(need, &nodes, &on, &quotas).map_err(Missing::Room)
}

/// Every page of a list.
async fn pages<K>(eyes: &Eyes, api: Api<K>, list: ListParams, mut take: impl FnMut(Vec<K>)) -> Result<(), Missing>
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
                let write = "write `rbac.capacity: true` into the chart's values";
                return Err(Missing::Right(format!("the operator may not list {kind}; {write}")));
            }
            Ok(Err(_)) | Err(_) => return Err(Missing::Room(format!("the {kind} could not be read"))),
        };
        next = page.metadata.continue_.filter(|token| !token.is_empty());
        take(page.items);
        if next.is_none() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{Arc, Mutex},
        time::Duration,
    };

    use http::{Request, Response};
    use kube::{Client, client::Body};
    use serde_json::{Value, json};

    use super::{Eyes, Need, Owner, look};

    type Asked = Arc<Mutex<Vec<String>>>;

    /// An API server with two pages of nodes, the second of which has room from the second look on; and one that lets nobody
    /// see them.
    fn eyes(forbids: bool) -> (Eyes, Asked) {
        let asked = Asked::default();
        let kept = Arc::clone(&asked);
        let answer = move |request: Request<Body>| {
            let path = request.uri().to_string();
            let looks = {
                let mut kept = kept.lock().unwrap();
                kept.push(path.clone());
                kept.iter().filter(|path| path.contains("/nodes") && path.contains("continue=")).count()
            };
            async move {
                let list = |next: &str, items: Value| (200, json!({"metadata": {"continue": next}, "items": items}));
                let node = |gpus: u32| {
                    let status = json!({
                        "allocatable": {"gpu": gpus.to_string(), "pods": "9"}, "conditions": [{"type": "Ready", "status": "True"}],
                    });
                    json!([{"metadata": {"name": format!("n{gpus}")}, "status": status}])
                };
                let (code, body) = match () {
                    () if path.contains("/nodes") && forbids => {
                        let words = json!({"kind": "Status", "status": "Failure", "reason": "Forbidden", "message": "no", "code": 403});
                        (403, words)
                    }
                    () if path.contains("/nodes") && path.contains("continue=") => list("", node(u32::from(looks > 1))),
                    () if path.contains("/nodes") => list("more", node(0)),
                    () => list("", json!([])),
                };
                let body = Body::from(body.to_string().into_bytes());
                Ok::<_, Infallible>(Response::builder().status(code).body(body).unwrap())
            }
        };
        (Eyes { client: Client::new(tower::service_fn(answer), "llm"), deadline: Duration::from_secs(1) }, asked)
    }

    fn need() -> Need {
        let container = json!({"name": "c", "resources": {"limits": {"gpu": "1"}}});
        let pod = serde_json::from_value(json!({"containers": [container]})).unwrap();
        Need { replicas: 1, nodes: 1, pod, of: None }
    }

    #[tokio::test(start_paused = true)]
    async fn every_page_is_looked_at_until_there_is_room() {
        let ((eyes, asked), last) = (eyes(false), Mutex::default());
        let owner = Owner::new("chat").within("llm");
        let found = look(&eyes, &owner, &need(), &last).await;
        assert_eq!(found, Ok("room for 1 pods on 1 of 2 nodes that its pods may run on".to_owned()));
        assert_eq!(*last.lock().unwrap(), "room for 0 of 1 pods, on 0 of 2 nodes that its pods may run on");
        let asked = asked.lock().unwrap();
        assert!(asked.iter().any(|path| path.contains("/namespaces/llm/resourcequotas")), "{asked:?}");
        assert!(
            asked.iter().filter(|p| p.contains("/pods")).all(|p| p.contains("status.phase%21%3DSucceeded")),
            "{asked:?}"
        );
    }

    #[tokio::test]
    async fn a_missing_right_is_said_at_once_and_what_to_write() {
        let said = look(&eyes(true).0, &Owner::new("chat").within("llm"), &need(), &Mutex::default()).await;
        let words = "the operator may not list nodes; write `rbac.capacity: true` into the chart's values";
        assert_eq!(said, Err(words.to_owned()));
    }
}
