//! Asking the cluster: a client of our own, every call with a deadline. Reads objects whole, so that fields which this
//! version does not know are shown too. Never writes; that is `post`.

use std::{future::Future, time::Duration};

use k8s_openapi::api::core::v1::Event;
use kube::{
    Api, Client, Config, Resource,
    api::{ApiResource, DynamicObject, ListParams},
    config::{KubeConfigOptions, Kubeconfig},
};

use super::{error::CliError, wish::Place};
use crate::api::{LlmRollout, LlmRolloutOrder};

/// What is taken for ever.
const FOR_EVER: Duration = Duration::from_hours(24);
/// Rollouts asked for at once.
const PAGE: u32 = 500;

/// What is asked of the cluster: a refusal means something else for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked<'a> {
    /// Rollouts.
    All,
    /// This rollout.
    One(&'a str),
    /// A change of this rollout's manifest.
    Change(&'a str),
    /// The record of an attempt.
    Record {
        /// Name of the rollout.
        name: &'a str,
        /// Number of the attempt.
        attempt: i64,
    },
    /// A set of gates.
    GateSet,
    /// A new order.
    Order,
    /// The orders there are.
    Orders,
    /// What happened to a rollout.
    Events,
    /// Who asks.
    Whoami,
}

/// A cluster that can be asked.
#[derive(Clone)]
pub struct Cluster {
    /// Made for one command.
    pub(super) client: Client,
    server: String,
    deadline: Duration,
    /// The namespace that is looked in.
    pub namespace: String,
}

impl Cluster {
    /// Reads the kubeconfig and makes a client.
    pub async fn connect(place: &Place) -> Result<Self, CliError> {
        let mut config = config(place).await?;
        let deadline = if place.request_timeout.is_zero() { FOR_EVER } else { place.request_timeout };
        config.connect_timeout = Some(deadline);
        config.read_timeout = Some(deadline);
        config.write_timeout = Some(deadline);
        // A person waits: say what is wrong at once, do not try for minutes.
        config.default_retry = false;
        if place.user.is_some() {
            config.auth_info.impersonate.clone_from(&place.user);
            config.auth_info.impersonate_groups = Some(place.groups.clone());
        }
        let namespace = place.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let server = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(|e| CliError::Client(Box::new(e)))?;
        Ok(Self { client, server, deadline, namespace })
    }

    /// The same cluster, looked at in another namespace.
    #[must_use]
    pub fn within(&self, namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), ..self.clone() }
    }

    /// The rollouts of the namespace.
    pub(super) fn rollouts(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &kind())
    }

    /// One rollout.
    pub async fn one(&self, name: &str) -> Result<DynamicObject, CliError> {
        self.in_time(Asked::One(name), self.rollouts().get(name)).await
    }

    /// Every rollout of the namespace, or of the cluster, in the server's order.
    pub async fn all(&self, everywhere: bool) -> Result<Vec<DynamicObject>, CliError> {
        let api = if everywhere { Api::all_with(self.client.clone(), &kind()) } else { self.rollouts() };
        self.pages(Asked::All, &api).await
    }

    /// Every order of the namespace.
    pub async fn orders(&self) -> Result<Vec<DynamicObject>, CliError> {
        let kind = ApiResource::erase::<LlmRolloutOrder>(&());
        self.pages(Asked::Orders, &Api::namespaced_with(self.client.clone(), &self.namespace, &kind)).await
    }

    /// What happened to a rollout, as far as the cluster remembers.
    pub async fn events(&self, name: &str) -> Result<Vec<Event>, CliError> {
        let of = format!("involvedObject.kind={},involvedObject.name={name}", LlmRollout::kind(&()));
        let api: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        Ok(self.in_time(Asked::Events, api.list(&ListParams::default().fields(&of).limit(PAGE))).await?.items)
    }

    async fn pages(&self, asked: Asked<'_>, api: &Api<DynamicObject>) -> Result<Vec<DynamicObject>, CliError> {
        let mut found = Vec::new();
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let list = self.in_time(asked, api.list(&page)).await?;
            found.extend(list.items);
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(found),
            }
        }
    }

    /// The answer to one call, or what its refusal or its silence means.
    pub(super) async fn in_time<T>(
        &self,
        asked: Asked<'_>,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, CliError> {
        match tokio::time::timeout(self.deadline, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(kube::Error::Api(status))) => Err(CliError::of_status(&status, &self.namespace, asked)),
            Ok(Err(e)) => Err(CliError::Unreachable { server: self.server.clone(), source: Box::new(e) }),
            Err(_) => Err(CliError::TooLate { server: self.server.clone(), seconds: self.deadline.as_secs() }),
        }
    }
}

fn kind() -> ApiResource {
    ApiResource::erase::<LlmRollout>(&())
}

async fn config(place: &Place) -> Result<Config, CliError> {
    let Place { kubeconfig, context, cluster, signed_in, .. } = place;
    if kubeconfig.is_none() && [context, cluster, signed_in].iter().all(|choice| choice.is_none()) {
        return Config::infer().await.map_err(|e| CliError::NoCluster(Box::new(e)));
    }
    let file = match kubeconfig {
        Some(file) => Kubeconfig::read_from(file),
        None => Kubeconfig::read(),
    };
    let options = KubeConfigOptions { context: context.clone(), cluster: cluster.clone(), user: signed_in.clone() };
    Config::from_custom_kubeconfig(file.map_err(CliError::Kubeconfig)?, &options).await.map_err(CliError::Kubeconfig)
}

/// `llmrollout.llmrollout.io`, as `kubectl get -o name` writes it.
pub fn kind_name() -> String {
    format!("{}.{}", LlmRollout::kind(&()).to_lowercase(), LlmRollout::group(&()))
}

#[cfg(test)]
impl Cluster {
    /// A cluster that is played by a test.
    pub(super) fn played(client: Client) -> Self {
        let (server, namespace) = ("https://lab".into(), "llm".into());
        Self { client, server, deadline: Duration::from_millis(50), namespace }
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future::pending};

    use http::{Request, Response};
    use kube::{Client, client::Body};
    use serde_json::{Value, json};
    use tower::service_fn;

    use super::{CliError, Cluster, kind_name};

    fn answering(code: u16, body: &Value) -> Cluster {
        let body = body.to_string().into_bytes();
        let service = service_fn(move |_: Request<Body>| {
            let answer = Response::builder().status(code).body(Body::from(body.clone())).unwrap();
            async move { Ok::<_, Infallible>(answer) }
        });
        Cluster::played(Client::new(service, "llm"))
    }

    fn refusal(code: u16, message: &str) -> Value {
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message, "reason": "x"})
    }

    #[tokio::test]
    async fn pages_are_put_together() {
        let service = service_fn(|request: Request<Body>| async move {
            let first = !request.uri().query().unwrap_or_default().contains("continue=");
            let (name, token) = if first { ("chat", "more") } else { ("rag", "") };
            let body = json!({
                "apiVersion": "llmrollout.io/v1alpha1", "kind": "LlmRolloutList", "metadata": {"continue": token},
                "items": [{"metadata": {"name": name}}],
            });
            Ok::<_, Infallible>(Response::new(Body::from(body.to_string().into_bytes())))
        });
        let cluster = Cluster::played(Client::new(service, "llm"));
        let names: Vec<_> = cluster.all(true).await.unwrap().into_iter().filter_map(|o| o.metadata.name).collect();
        assert_eq!(names, ["chat", "rag"]);
    }

    #[tokio::test]
    async fn a_missing_rollout_is_told_from_a_missing_kind() {
        let missing = answering(404, &refusal(404, "llmrollouts.llmrollout.io \"chat\" not found"));
        let error = missing.one("chat").await.unwrap_err().to_string();
        assert_eq!(error, "llmrollout \"chat\" not found in namespace llm; see `kubectl llmrollout get -A`");
        let no_kind = answering(404, &json!("404 page not found"));
        for error in [no_kind.one("chat").await.map(drop), no_kind.all(false).await.map(drop)] {
            assert!(matches!(error, Err(CliError::NoKind("LlmRollout"))), "{error:?}");
        }
        assert!(matches!(no_kind.orders().await, Err(CliError::NoKind("LlmRolloutOrder"))));
    }

    #[tokio::test]
    async fn a_refusal_keeps_the_words_of_the_server() {
        let forbidden = answering(403, &refusal(403, "User \"eve\" cannot list resource"));
        let error = forbidden.all(false).await.unwrap_err().to_string();
        assert!(error.contains("User \"eve\" cannot list resource") && error.contains("verbs get and list"), "{error}");
    }

    #[tokio::test]
    async fn silence_ends_at_the_deadline() {
        let service = service_fn(|_: Request<Body>| pending::<Result<Response<Body>, Infallible>>());
        let cluster = Cluster::played(Client::new(service, "llm"));
        let error = cluster.one("chat").await.unwrap_err().to_string();
        assert!(error.starts_with("no answer from https://lab within 0s"), "{error}");
    }

    #[test]
    fn the_kind_is_named_as_kubectl_names_it() {
        assert_eq!(kind_name(), "llmrollout.llmrollout.io");
    }
}
