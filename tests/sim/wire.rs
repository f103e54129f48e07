//! The network between an operator and the API server: latency, lost and repeated answers, refusals, outages, and
//! processes that die around a write. A request that is on its way arrives even when nobody waits for it any more.

use std::{io, sync::Arc, time::Duration};

use http::{Request, Response};
use kube::{Client, client::Body};
use llmrollout::api::status::Color;
use serde_json::{Value, json};
use tokio::{sync::oneshot, time::sleep};

use super::{
    cluster::{Cluster, Known, Point, Sim},
    judge,
    store::{Key, Refusal, Written, key},
};

/// One request.
#[derive(Clone, Debug)]
struct Call {
    op: usize,
    write: bool,
    delete: bool,
    /// `json-patch+json` or `apply-patch+yaml`; empty for a read.
    kind: String,
    status: bool,
    key: Key,
    /// The Service whose slices are listed.
    of: Option<String>,
    body: Value,
    pass: u64,
    known: Known,
    issued: u64,
    /// The rollout as it stood when the request left.
    then: Option<Arc<Value>>,
}

/// How a request fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Luck {
    #[default]
    Served,
    Refused(u16),
    Unreachable,
    Hangs,
}

/// What the network does to a request.
#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    there: u64,
    back: u64,
    luck: Luck,
    lost: bool,
    repeated: bool,
    crash: Option<Point>,
}

pub(crate) fn client(cluster: &Arc<Cluster>, op: usize) -> Client {
    let cluster = Arc::clone(cluster);
    let service = tower::service_fn(move |request| serve(Arc::clone(&cluster), op, request));
    Client::new(service, "llm")
}

async fn serve(cluster: Arc<Cluster>, op: usize, request: Request<Body>) -> io::Result<Response<Body>> {
    let call = read(&cluster, op, request).await;
    let fate = fate(&mut cluster.sim(), &cluster, &call);
    let crash = |point| fate.crash == Some(point);
    if crash(Point::BeforeForwarding) {
        die(&cluster, op, "dies before its write is forwarded").await;
    }
    if fate.luck == Luck::Hangs {
        return std::future::pending().await;
    }
    if fate.luck == Luck::Unreachable {
        sleep(Duration::from_millis(5)).await;
        return Err(io::Error::from(io::ErrorKind::ConnectionRefused));
    }
    let (done, answer) = oneshot::channel();
    let on_the_way = Arc::clone(&cluster);
    tokio::spawn(async move {
        sleep(Duration::from_millis(fate.there)).await;
        let mut answer = on_the_way.answer(&call, fate);
        if fate.repeated && call.write {
            on_the_way.tell(format_args!("operator {op}: the request arrives twice"));
            answer = on_the_way.answer(&call, fate);
        }
        let _ = done.send(answer);
    });
    let answer = answer.await.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
    if crash(Point::AfterForwarding) {
        die(&cluster, op, "dies before the reply to its write").await;
    }
    sleep(Duration::from_millis(fate.back)).await;
    if fate.lost {
        cluster.tell(format_args!("operator {op}: the reply is lost"));
        return Err(io::Error::from(io::ErrorKind::ConnectionReset));
    }
    if crash(Point::AfterTheReply) {
        let cluster = Arc::clone(&cluster);
        let delay = cluster.sim().rng.between(0, 40);
        tokio::spawn(async move {
            sleep(Duration::from_millis(delay)).await;
            cluster.tell(format_args!("operator {op}: dies after the reply to its write"));
            cluster.sim().ops[op].crash.notify_one();
        });
    }
    Ok(response(answer))
}

async fn die(cluster: &Cluster, op: usize, words: &str) {
    cluster.tell(format_args!("operator {op}: {words}"));
    cluster.sim().ops[op].crash.notify_one();
    std::future::pending::<()>().await;
}

async fn read(cluster: &Cluster, op: usize, request: Request<Body>) -> Call {
    let (head, body) = request.into_parts();
    let body = body.collect_bytes().await.unwrap();
    let kind = head.headers.get("content-type").map_or("", |v| v.to_str().unwrap());
    let parts: Vec<&str> = head.uri.path().trim_matches('/').split('/').collect();
    let at = parts.iter().position(|p| *p == "namespaces").unwrap() + 2;
    let plural =
        ["llmrolloutorders", "llmrollouts", "llmgatesets", "deployments", "services", "httproutes", "endpointslices"];
    let plural = plural.into_iter().find(|p| *p == parts[at]).unwrap();
    let of = head.uri.query().and_then(|q| {
        let (_, name) = q.split_once("service-name")?;
        Some(name.trim_start_matches(['=', '%', '3', 'D']).split('&').next()?.to_owned())
    });
    let sim = cluster.sim();
    let delete = head.method == "DELETE";
    let write = delete || head.method == "PATCH";
    let known = &sim.ops[op].known;
    Call {
        op,
        write,
        delete,
        kind: kind.to_owned(),
        status: parts.get(at + 2) == Some(&"status"),
        key: key(plural, parts.get(at + 1).copied().unwrap_or_default()),
        of,
        body: serde_json::from_slice(&body).unwrap_or_default(),
        pass: known.pass,
        known: if write { known.clone() } else { Known::default() },
        issued: cluster.now(),
        then: if write { sim.store.held(&key("llmrollouts", "chat")) } else { None },
    }
}

fn fate(sim: &mut Sim, cluster: &Cluster, call: &Call) -> Fate {
    let now = cluster.now();
    let slow = if sim.weather.slow.0 > now { sim.weather.slow.1 } else { 20 };
    let mut fate = Fate { there: sim.rng.between(1, slow), back: sim.rng.between(0, 20), ..Fate::default() };
    if sim.weather.down > now {
        fate.luck = if sim.weather.hangs { Luck::Hangs } else { Luck::Unreachable };
    }
    if !call.write {
        return fate;
    }
    if fate.luck == Luck::Served && sim.weather.refuse.0 > now {
        fate.luck = Luck::Refused(sim.weather.refuse.1);
    }
    let op = &mut sim.ops[call.op];
    let take = |count: &mut u32| {
        let some = *count > 0;
        *count = count.saturating_sub(1);
        some
    };
    fate.lost = take(&mut op.lose);
    fate.repeated = take(&mut op.repeat);
    match &mut op.crash_at {
        Some((0, point)) => {
            fate.crash = Some(*point);
            op.crash_at = None;
        }
        Some((left, _)) => *left -= 1,
        None => {}
    }
    fate
}

impl Cluster {
    /// The API server's answer, and its effect.
    fn answer(&self, call: &Call, fate: Fate) -> Result<Arc<Value>, Refusal> {
        let mut sim = self.sim();
        if !call.write {
            return look(&mut sim, call);
        }
        if let Luck::Refused(code) = fate.luck {
            return Err(Refusal { code, message: "simulated".into() });
        }
        if call.delete || call.kind.contains("json-patch") {
            judge::guarded(&mut sim, self.now(), &call.key, &call.body);
        }
        let written: Written = if call.delete {
            sim.store.delete_seen(&call.key, &call.body)
        } else if call.kind.contains("json-patch") {
            sim.store.json_patch(&call.key, call.body.as_array().map_or(&[], Vec::as_slice))
        } else if call.status {
            sim.store.apply_status(&call.key, &call.body)
        } else {
            sim.store.apply(&call.key, &call.body)
        };
        let (object, changes) = written?;
        let now = self.now();
        if !changes.is_empty() && !judge::only_figures(&changes) {
            sim.writes += 1;
            sim.last_write = now;
        }
        for change in &changes {
            let write = judge::Write {
                op: call.op,
                known: &call.known,
                issued: call.issued,
                then: call.then.as_deref().unwrap_or(&Value::Null),
                status: call.status,
                change,
            };
            judge::write(&mut sim, now, &write);
        }
        self.happened(&mut sim, &changes);
        Ok(object)
    }
}

/// A read, remembered as what the pass knows.
fn look(sim: &mut Sim, call: &Call) -> Result<Arc<Value>, Refusal> {
    if let Some(service) = &call.of {
        let of = |v: &Value| v["metadata"]["labels"]["kubernetes.io/service-name"] == json!(service);
        let items: Vec<Value> =
            sim.store.all().filter(|(k, v)| k.0 == "endpointslices" && of(v)).map(|(_, v)| v.clone()).collect();
        let of_chat = Color::BOTH.into_iter().find(|c| *service == format!("chat-{}", c.word()));
        let ready = of_chat.map(|color| (color, sim.ready(color)));
        let known = &mut sim.ops[call.op].known;
        if known.pass == call.pass {
            known.ready.extend(ready);
        }
        let list =
            json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSliceList", "metadata": {}, "items": items});
        return Ok(Arc::new(list));
    }
    let found = sim.store.held(&call.key);
    if call.key == key("llmrollouts", "chat") && sim.ops[call.op].known.pass == call.pass {
        sim.ops[call.op].known.live.clone_from(&found);
    }
    found.ok_or(Refusal { code: 404, message: "not found".into() })
}

fn response(answer: Result<Arc<Value>, Refusal>) -> Response<Body> {
    let (code, body) = match answer {
        Ok(body) => (200, body),
        Err(r) => {
            let reason = if r.code == 404 { "NotFound" } else { "Simulated" };
            let words = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": r.message, "reason": reason, "code": r.code});
            (r.code, Arc::new(words))
        }
    };
    Response::builder().status(code).body(Body::from(body.to_string().into_bytes())).unwrap()
}
