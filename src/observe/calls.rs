//! Makes the requests that decisions want made to the pods of a candidate, or to an endpoint that is configured: each by a task of its own, once, bounded in time and
//! size. What became of it wakes the rollout. No decision waits for one, and a candidate that hangs delays only itself.
//! Never follows a redirect, and never lets a word of an answer, or of a Secret, out.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use futures::{StreamExt, TryStreamExt, future::BoxFuture, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};
use reqwest::{
    Client, Method, Response,
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};
use serde_json::Value;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{
    board::{Board, Key, Owner},
    clock::Clock,
    live::Eyes,
    room,
};
use crate::{
    api::labels,
    decide::{
        call::{Call, Called, Wants},
        tidings::Notice,
    },
    line::{self, Line},
    metrics::{About, NoData},
};

/// How long a pod is left alone that is not warm yet.
const PAUSE: Duration = Duration::from_secs(1);
/// So many pods are warmed up at once.
const AT_ONCE: usize = 4;

/// Tells a notice once, and what came of it.
pub type Tell = Arc<dyn Fn(Notice) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// The calls of all rollouts. Clones are the same.
#[derive(Clone)]
pub struct Calls(Arc<Inner>);

struct Inner {
    /// Made when it is needed for the first time.
    client: OnceLock<Option<Client>>,
    eyes: Eyes,
    board: Board,
    clock: Clock,
    endpoints: Arc<Vec<Line>>,
    tell: Tell,
    state: Mutex<BTreeMap<Key, BTreeMap<String, Entry>>>,
}

struct Entry {
    told: Called,
    task: JoinHandle<()>,
}

/// What nobody wants to know any more is asked no further.
impl Drop for Entry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Calls {
    /// No calls yet; what is told wakes through the board.
    pub fn new(eyes: Eyes, board: Board, clock: Clock, endpoints: Arc<Vec<Line>>, tell: Tell) -> Self {
        Self(Arc::new(Inner { client: OnceLock::new(), eyes, board, clock, endpoints, tell, state: Mutex::default() }))
    }

    /// Replaces what a rollout wants called: what is new begins, what is wanted no more ends.
    pub fn want(&self, owner: &Owner, calls: BTreeMap<String, Call>) {
        let mut state = self.state();
        let key = Key::from(owner);
        if calls.is_empty() {
            state.remove(&key);
            return;
        }
        let known = state.entry(key).or_default();
        known.retain(|name, _| calls.contains_key(name));
        for (name, call) in calls {
            known.entry(name.clone()).or_insert_with(|| {
                let (calls, owner) = (self.clone(), owner.clone());
                let task = tokio::spawn(async move {
                    let told = calls.0.make(&owner, &call).await;
                    calls.tell(&owner, &name, told);
                });
                Entry { told: Called::Going, task }
            });
        }
    }

    /// How far the calls of a rollout are.
    pub fn of(&self, owner: &Owner) -> BTreeMap<String, Called> {
        let state = self.state();
        let own = state.get(&Key::from(owner)).into_iter().flatten();
        own.map(|(name, entry)| (name.clone(), entry.told.clone())).collect()
    }

    fn tell(&self, owner: &Owner, name: &str, told: Called) {
        if let Some(entry) = self.state().get_mut(&Key::from(owner)).and_then(|own| own.get_mut(name)) {
            entry.told = told;
        }
        self.0.board.wake_up(owner);
    }

    /// Nothing in here can be left half changed.
    fn state(&self) -> MutexGuard<'_, BTreeMap<Key, BTreeMap<String, Entry>>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    async fn make(&self, owner: &Owner, call: &Call) -> Called {
        sleep(call.after).await;
        let last = Mutex::new(String::new());
        let made = timeout(call.timeout, async {
            let headers = match &call.headers {
                Some(secret) => self.headers(owner, secret).await?,
                None => HeaderMap::new(),
            };
            if let Wants::Told(notice) = &call.wants {
                let words = format!("channel {} has taken it", notice.channel);
                return (self.tell)(notice.as_ref().clone()).await.map(|()| (words, BTreeMap::new()));
            }
            let client = self.client.get_or_init(|| client().ok()).as_ref().ok_or("no client could be made")?;
            if let Wants::Room(need) = &call.wants {
                return Ok((room::look(&self.eyes, owner, need, &last).await?, BTreeMap::new()));
            }
            let caller = Caller { client, clock: self.clock, call, endpoints: &self.endpoints, headers, last: &last };
            match &call.wants {
                Wants::Answer { .. } => caller.answer().await,
                Wants::Warmth { .. } => caller.warmth().await,
                Wants::Room(_) | Wants::Told(_) => Ok(Found::default()),
            }
        });
        let late = match made.await {
            Ok(Ok((words, numbers))) => return Called::Good { words, numbers },
            Ok(Err(why)) => return Called::Bad(why),
            Err(_) => last.into_inner().unwrap_or_else(PoisonError::into_inner),
        };
        if late.is_empty() {
            return Called::Bad("no answer within its `timeout`".to_owned());
        }
        let what = if matches!(call.wants, Wants::Room(_)) { "no room" } else { "not warm" };
        Called::Bad(format!("{what} within its `timeout`: {late}"))
    }

    /// The keys of a Secret. Whoever may write a rollout need not be allowed to read it: only its owner makes it one of headers.
    async fn headers(&self, owner: &Owner, name: &str) -> Result<HeaderMap, String> {
        let namespace = owner.namespace.as_deref().unwrap_or_default();
        let api: Api<Secret> = Api::namespaced(self.eyes.client.clone(), namespace);
        let secret = match timeout(self.eyes.deadline, api.get(name)).await {
            Ok(Ok(secret)) => secret,
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => {
                return Err(format!("there is no Secret {name}"));
            }
            Ok(Err(kube::Error::Api(status))) if status.code == 403 => {
                return Err(format!("the operator may not read the Secret {name}; let its service account `get` it"));
            }
            Ok(Err(_)) | Err(_) => return Err(format!("the Secret {name} could not be read")),
        };
        if !secret.labels().contains_key(labels::HEADERS) {
            return Err(format!("the Secret {name} does not bear the label {}", labels::HEADERS));
        }
        headers(&secret).ok_or_else(|| format!("a key of the Secret {name} is no header, or its value is none"))
    }
}

fn headers(secret: &Secret) -> Option<HeaderMap> {
    let mut all = HeaderMap::new();
    for (name, value) in secret.data.iter().flatten() {
        let mut value = HeaderValue::from_bytes(value.0.trim_ascii()).ok()?;
        value.set_sensitive(true);
        all.insert(HeaderName::from_bytes(name.as_bytes()).ok()?, value);
    }
    Some(all)
}

/// One call under way.
struct Caller<'a> {
    client: &'a Client,
    clock: Clock,
    call: &'a Call,
    endpoints: &'a [Line],
    headers: HeaderMap,
    /// Why it is not warm yet.
    last: &'a Mutex<String>,
}

impl Caller<'_> {
    async fn answer(&self) -> Result<Found, String> {
        let Wants::Answer { status, contains, within, numbers } = &self.call.wants else { return Ok(Found::default()) };
        let begun = self.clock.running();
        let response = match self.call.endpoint.as_deref() {
            Some((name, about)) => self.ask(name, about).await?,
            None => self.send(self.call.to.first().ok_or("no pod of it is ready")?).await?,
        };
        let code = response.status();
        if status.map_or(!code.is_success(), |wanted| wanted != code.as_u16()) {
            return Err(format!("it answered {}", code.as_u16()));
        }
        let body = body(response).await?;
        let took = self.clock.running().saturating_sub(begun);
        if within.is_some_and(|most| took > most) {
            return Err(format!("its answer took {}ms", took.as_millis()));
        }
        let text = String::from_utf8_lossy(&body);
        if contains.as_ref().is_some_and(|wanted| !text.contains(wanted.as_str())) {
            return Err("its answer does not hold what `contains` says".to_owned());
        }
        let told: Value = serde_json::from_slice(&body).unwrap_or_default();
        let found = numbers.iter().filter_map(|name| Some((name.clone(), told.get(name)?.as_f64()?)));
        Ok((format!("answered {} in {}ms", code.as_u16(), took.as_millis()), found.collect()))
    }

    /// A few pods at a time: all at once would be a load test.
    async fn warmth(&self) -> Result<Found, String> {
        let Wants::Warmth { model, requests, first } = &self.call.wants else { return Ok(Found::default()) };
        let one = |to: &'_ String| {
            let to = to.clone();
            async move { self.warm(&to, model.as_deref(), *requests, *first).await }
        };
        let slowest = stream::iter(&self.call.to).map(one).buffer_unordered(AT_ONCE);
        let slowest = slowest.map(Ok::<_, String>).try_fold(Duration::ZERO, async |a, b| Ok(a.max(b))).await?;
        let pods = if self.call.to.len() == 1 { "1 pod is" } else { &format!("{} pods are", self.call.to.len()) };
        Ok((format!("{pods} warm, the first token comes within {}ms", slowest.as_millis()), BTreeMap::new()))
    }

    /// Asks one pod until it is warm; says how long the first piece of its last answer took.
    async fn warm(&self, to: &str, model: Option<&str>, requests: u32, first: Option<Duration>) -> Duration {
        while let Some(model) = model {
            let Err(why) = self.lists(to, model).await else { break };
            self.cold(why).await;
        }
        let mut done = 0;
        loop {
            match self.first_piece(to).await {
                Err(why) => self.cold(why).await,
                Ok(took) => {
                    done += 1;
                    if first.is_some_and(|most| took > most) {
                        self.cold(format!("the first token took {}ms", took.as_millis())).await;
                    } else if done >= requests {
                        return took;
                    }
                }
            }
        }
    }

    async fn cold(&self, why: String) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = why;
        sleep(PAUSE).await;
    }

    async fn lists(&self, to: &str, model: &str) -> Result<(), String> {
        let models = Call { path: "/v1/models".to_owned(), body: None, method: None, ..self.call.clone() };
        let response = Caller { call: &models, headers: self.headers.clone(), ..*self }.send(to).await?;
        let told: Value = serde_json::from_slice(&body(response).await?).unwrap_or_default();
        let listed = told["data"].as_array().into_iter().flatten().any(|one| one["id"] == model);
        if listed { Ok(()) } else { Err("/v1/models does not list the model".to_owned()) }
    }

    /// How long it takes until something of the answer is there. It is read to its end, or it would go on without us.
    async fn first_piece(&self, to: &str) -> Result<Duration, String> {
        let begun = self.clock.running();
        let mut response = self.send(to).await?;
        if !response.status().is_success() {
            return Err(format!("it answered {}", response.status().as_u16()));
        }
        let piece = response.chunk().await.map_err(|_| BROKEN.to_owned())?;
        let took = self.clock.running().saturating_sub(begun);
        if piece.is_none() {
            return Err("its answer is empty".to_owned());
        }
        body(response).await?;
        Ok(took)
    }

    /// An endpoint, with the credentials that are configured and the headers of the Secret.
    async fn ask(&self, name: &str, about: &About) -> Result<Response, String> {
        let line = self.endpoints.iter().find(|line| line.settings().name == name);
        let line = line.ok_or_else(|| format!("the operator's configuration has no endpoint {name}"))?;
        let client = line.client().await.map_err(|why| why.to_string())?;
        let request = client.get(line::about(line.endpoint(), about)).header(CACHE_CONTROL, "no-cache");
        line.send(request.headers(self.headers.clone())).await.map_err(|why| why.to_string())
    }

    async fn send(&self, to: &str) -> Result<Response, String> {
        let address: SocketAddr = to.parse().map_err(|_| "its address is none".to_owned())?;
        if line::is_refused(address.ip()) {
            return Err("its address is one that is refused".to_owned());
        }
        let usual = if self.call.body.is_some() { Method::POST } else { Method::GET };
        let method = self.call.method.and_then(|m| Method::from_bytes(m.as_bytes()).ok()).unwrap_or(usual);
        let url = format!("http://{address}{}", self.call.path);
        let mut request = self.client.request(method, url).header(CACHE_CONTROL, "no-cache");
        if let Some(body) = &self.call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        request.headers(self.headers.clone()).send().await.map_err(|error| {
            let why = if error.is_connect() { "no connection" } else { BROKEN };
            why.to_owned()
        })
    }
}

fn client() -> Result<Client, reqwest::Error> {
    Client::builder()
        .user_agent(concat!("llmrollout/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(2))
        .pool_max_idle_per_host(0)
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        // Pods are asked by http; with the system's certificates it could not be built where there are none.
        .tls_certs_only([])
        .build()
}

/// What was found, in words and numbers.
type Found = (String, BTreeMap<String, f64>);

const BROKEN: &str = "the connection broke off";

async fn body(response: Response) -> Result<Vec<u8>, String> {
    line::body(response, line::LARGEST).await.map_err(|why| match why {
        NoData::TooBig => "its answer is larger than 1 MiB".to_owned(),
        _ => BROKEN.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

    use futures::{FutureExt, StreamExt};
    use http::{Request, Response};
    use kube::{Client, client::Body};
    use serde_json::{Value, json};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::{About, Calls, Line};
    use crate::{
        decide::call::{Call, Called, Wants},
        line::{ProviderSettings, Speaks},
        observe::{
            board::{Board, Owner},
            clock::Clock,
            live::Eyes,
        },
    };

    /// A pod that gives these answers, one after the other, and the last for ever; none where there is none.
    async fn pod(answers: Vec<&'static str>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            for n in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 4096];
                let length = stream.read(&mut request).await.unwrap();
                let known = String::from_utf8_lossy(request.get(..length).unwrap()).contains("Bearer xyzzy");
                let Some(answer) = answers.get(n).or(answers.last()) else { std::future::pending().await };
                let answer = if known { "200 {}" } else { *answer };
                let (status, body) = answer.split_once(' ').unwrap();
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nlocation: /\r\nconnection: close\r\n\r\n"
                );
                stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            }
        });
        address
    }

    fn wants(contains: Option<&str>, status: Option<u16>) -> Wants {
        let contains = contains.map(ToOwned::to_owned);
        Wants::Answer { status, contains, within: None, numbers: vec!["score".into(), "name".into()] }
    }

    fn call(to: &str, wants: Wants) -> Call {
        let (path, timeout) = ("/x".to_owned(), Duration::from_secs(20));
        let (to, after) = (vec![to.to_owned()], Duration::ZERO);
        Call { to, endpoint: None, port: 0, path, body: None, method: None, headers: None, wants, timeout, after }
    }

    /// An API server that has no Secret but `keys` and `foreign`, and lets nobody read `mine`.
    fn eyes() -> Eyes {
        let answer = |request: Request<Body>| async move {
            let name = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
            let secret = |labels: Value, data: Value| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x", "labels": labels}, "data": data});
            let labelled = json!({"llmrollout.io/headers": "true"});
            let (code, body) = match name.as_str() {
                "keys" => (200, secret(labelled, json!({"authorization": "QmVhcmVyIHh5enp5"}))),
                "odd" => (200, secret(labelled, json!({"no header": "eA=="}))),
                "foreign" => (200, secret(json!({}), json!({"authorization": "QmVhcmVyIHh5enp5"}))),
                name => {
                    let code = if name == "mine" { 403 } else { 404 };
                    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "secret words", "reason": "x", "code": code});
                    (code, status)
                }
            };
            Ok::<_, Infallible>(
                Response::builder().status(code).body(Body::from(body.to_string().into_bytes())).unwrap(),
            )
        };
        Eyes { client: Client::new(tower::service_fn(answer), "llm"), deadline: Duration::from_secs(1) }
    }

    async fn told(call: Call) -> Called {
        told_by(call, Vec::new()).await
    }

    /// One channel takes everything, and there is no other.
    fn tell() -> super::Tell {
        Arc::new(|notice| {
            let taken = if notice.channel == "oncall" { Ok(()) } else { Err("there is no such channel".to_owned()) };
            Box::pin(std::future::ready(taken))
        })
    }

    /// With these endpoints in the configuration.
    async fn told_by(call: Call, endpoints: Vec<Line>) -> Called {
        let (board, owner) = (Board::default(), Owner::new("chat").within("llm"));
        let calls = Calls::new(eyes(), board.clone(), Clock::start(), Arc::new(endpoints), tell());
        let wanted = BTreeMap::from([("a".to_owned(), call)]);
        calls.want(&owner, wanted.clone());
        calls.want(&owner, wanted);
        assert_eq!(calls.of(&owner)["a"], Called::Going);
        let mut wakes = std::pin::pin!(board.wakes());
        assert_eq!(wakes.next().await.unwrap().name, "chat");
        assert!(wakes.next().now_or_never().is_none(), "one call wakes once");
        let told = calls.of(&owner)["a"].clone();
        calls.want(&owner, BTreeMap::new());
        assert!(calls.of(&owner).is_empty());
        told
    }

    #[tokio::test]
    async fn an_answer_is_as_wanted_or_it_is_said_why_not() {
        let good = told(call(&pod(vec![r#"200 {"score": 0.9, "name": "x"}"#]).await, wants(Some("score"), None))).await;
        let Called::Good { words, numbers } = good else { panic!("{good:?}") };
        assert!(words.starts_with("answered 200 in "), "{words}");
        assert_eq!(numbers, BTreeMap::from([("score".to_owned(), 0.9)]), "a text is no number");
        let bad = [
            ("503 secret", wants(None, None), "it answered 503"),
            ("302 ", wants(None, None), "it answered 302"),
            ("200 secret", wants(None, Some(401)), "it answered 200"),
            ("200 secret", wants(Some("word"), None), "its answer does not hold what `contains` says"),
        ];
        for (answer, wants, why) in bad {
            assert_eq!(told(call(&pod(vec![answer]).await, wants)).await, Called::Bad(why.to_owned()));
        }
        let good = told(call(&pod(vec!["401 no"]).await, wants(None, Some(401)))).await;
        assert!(matches!(good, Called::Good { .. }), "{good:?}");
    }

    #[tokio::test]
    async fn what_hangs_or_may_not_be_asked_is_said() {
        let hangs = Call { timeout: Duration::from_millis(50), ..call(&pod(vec![]).await, wants(None, None)) };
        assert_eq!(told(hangs).await, Called::Bad("no answer within its `timeout`".to_owned()));
        let machine = call("169.254.169.254:80", wants(None, None));
        assert_eq!(told(machine).await, Called::Bad("its address is one that is refused".to_owned()));
        assert_eq!(told(call("chat:80", wants(None, None))).await, Called::Bad("its address is none".to_owned()));
        let nobody = Call { to: Vec::new(), ..call("", wants(None, None)) };
        assert_eq!(told(nobody).await, Called::Bad("no pod of it is ready".to_owned()));
    }

    #[tokio::test]
    async fn a_pod_is_warm_when_it_lists_its_model_and_answers() {
        let warmth =
            |requests| Wants::Warmth { model: Some("chat".into()), requests, first: Some(Duration::from_secs(9)) };
        let answers = vec![r#"200 {"data": [{"id": "other"}]}"#, r#"200 {"data": [{"id": "chat"}]}"#, "503 x", "200 x"];
        let warm = told(call(&pod(answers).await, warmth(2))).await;
        assert!(matches!(&warm, Called::Good { words, .. } if words.starts_with("1 pod is warm")), "{warm:?}");
        let cold = Call { timeout: Duration::from_millis(100), ..call(&pod(vec!["200 {}"]).await, warmth(1)) };
        let why = "not warm within its `timeout`: /v1/models does not list the model";
        assert_eq!(told(cold).await, Called::Bad(why.to_owned()));
    }

    #[tokio::test]
    async fn headers_come_of_a_secret_that_is_meant_for_it_and_are_never_told() {
        let with = async |secret: &str| {
            let call = call(&pod(vec!["401 no"]).await, wants(None, None));
            told(Call { headers: Some(secret.to_owned()), ..call }).await
        };
        assert!(matches!(with("keys").await, Called::Good { .. }), "its header was sent");
        for (secret, why) in [
            ("gone", "there is no Secret gone"),
            ("mine", "the operator may not read the Secret mine; let its service account `get` it"),
            ("foreign", "the Secret foreign does not bear the label llmrollout.io/headers"),
            ("odd", "a key of the Secret odd is no header, or its value is none"),
        ] {
            assert_eq!(with(secret).await, Called::Bad(why.to_owned()));
        }
    }

    #[tokio::test]
    async fn an_endpoint_is_asked_about_the_candidate_with_headers_of_a_secret() {
        let address = pod(vec!["401 no"]).await;
        let endpoint = |name: &str| {
            let url = format!("http://{address}/models?of={{{{name}}}}");
            let settings: ProviderSettings = serde_json::from_value(json!({"name": name, "url": url})).unwrap();
            Line::new(&ProviderSettings { speaks: Speaks::Json, ..settings }).unwrap()
        };
        let about = About { name: "chat".into(), ..About::default() };
        let asks = Call { endpoint: Some(Box::new(("models".into(), about))), ..call("", wants(None, None)) };
        let told = async |call: Call, name: &str| told_by(call, vec![endpoint(name)]).await;
        assert_eq!(told(asks.clone(), "models").await, Called::Bad("it answered 401".to_owned()));
        let with = Call { headers: Some("keys".to_owned()), ..asks.clone() };
        assert!(matches!(told(with, "models").await, Called::Good { .. }), "its header was sent");
        let unknown = "the operator's configuration has no endpoint models";
        assert_eq!(told(asks, "others").await, Called::Bad(unknown.to_owned()));
    }
}
