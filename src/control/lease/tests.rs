//! Elections against an API server in memory, with the clock paused. Never a network.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Method, Request, Response};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use super::{LeaseError, LeaseHandle, elect};
use crate::settings::Election;

const DURATION: Duration = Duration::from_secs(10);

/// How the server treats one client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Link {
    #[default]
    Up,
    /// Calls never return.
    Dead,
    /// Writes are done, but their answers are lost.
    Mute,
    /// Every call is answered with 503.
    Refusing,
}

#[derive(Default)]
struct Store {
    lease: Option<Lease>,
    version: u64,
    writes: Vec<String>,
    reads: usize,
}

#[derive(Clone, Default)]
struct Server(Arc<Mutex<Store>>);

impl Server {
    fn edit(&self, change: impl FnOnce(&mut Store)) {
        let mut store = self.0.lock().unwrap();
        store.version += 1;
        change(&mut store);
        let version = store.version.to_string();
        if let Some(lease) = &mut store.lease {
            lease.metadata.resource_version = Some(version);
        }
    }

    fn spec(&self) -> LeaseSpec {
        self.0.lock().unwrap().lease.as_ref().and_then(|lease| lease.spec.clone()).unwrap_or_default()
    }

    fn writes_by(&self, name: &str) -> usize {
        self.0.lock().unwrap().writes.iter().filter(|by| *by == name).count()
    }

    fn client(&self, name: &'static str, link: Arc<Mutex<Link>>) -> Client {
        let store = self.0.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let (store, link) = (store.clone(), link.clone());
            async move {
                let link = *link.lock().unwrap();
                if link == Link::Dead {
                    std::future::pending::<()>().await;
                }
                let method = request.method().clone();
                let body = request.into_body().collect_bytes().await.unwrap();
                let (code, answer) = match link {
                    Link::Refusing => refused(503, "ServiceUnavailable"),
                    _ => answer(&mut store.lock().unwrap(), name, &method, &body),
                };
                if link == Link::Mute && method != Method::GET {
                    std::future::pending::<()>().await;
                }
                let body = Body::from(serde_json::to_vec(&answer).unwrap());
                Ok::<_, Infallible>(Response::builder().status(code).body(body).unwrap())
            }
        });
        Client::new(service, "ops")
    }
}

fn refused(code: u16, reason: &str) -> (u16, Value) {
    (code, json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": reason}))
}

fn answer(store: &mut Store, by: &str, method: &Method, body: &[u8]) -> (u16, Value) {
    if *method == Method::GET {
        store.reads += 1;
        return store.lease.as_ref().map_or_else(|| refused(404, "NotFound"), |lease| (200, json!(lease)));
    }
    let mut new: Lease = serde_json::from_slice(body).unwrap();
    let versions =
        (store.lease.as_ref().map(|l| l.metadata.resource_version.clone()), new.metadata.resource_version.clone());
    match (method == Method::POST, versions) {
        (true, (Some(_), _)) => return refused(409, "AlreadyExists"),
        (true, (None, _)) => new.metadata.uid = Some(format!("uid-{}", store.version)),
        (false, (None, _)) => return refused(404, "NotFound"),
        (false, (Some(is), meant)) if is != meant => return refused(409, "Conflict"),
        (false, (Some(_), _)) => {}
    }
    store.version += 1;
    store.writes.push(by.to_owned());
    new.metadata.resource_version = Some(store.version.to_string());
    store.lease = Some(new.clone());
    (200, json!(new))
}

struct Replica {
    handle: LeaseHandle,
    link: Arc<Mutex<Link>>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), LeaseError>>,
}

impl Replica {
    fn start(server: &Server, name: &'static str) -> Self {
        let link = Arc::new(Mutex::new(Link::Up));
        let (stop, stopped) = oneshot::channel::<()>();
        let election = Election {
            name: "lock".into(),
            namespace: Some("ops".into()),
            identity: name.into(),
            duration: DURATION,
            standby_acts: true,
        };
        let (handle, run) = elect(server.client(name, link.clone()), election, async move { drop(stopped.await) });
        Self { handle, link, stop: Some(stop), task: tokio::spawn(run) }
    }

    fn link(&self, link: Link) {
        *self.link.lock().unwrap() = link;
    }

    async fn leads(&self) -> Duration {
        let began = Instant::now();
        timeout(Duration::from_mins(10), self.handle.clone().won()).await.unwrap();
        began.elapsed()
    }

    async fn end(self) -> Result<(), LeaseError> {
        drop(self.stop);
        timeout(Duration::from_mins(10), self.task).await.unwrap().unwrap()
    }
}

/// Lets time pass and asserts all along that at most one of them leads.
async fn pass(time: Duration, replicas: &[&Replica]) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        let leaders = replicas.iter().filter(|replica| replica.handle.is_leader()).count();
        assert!(leaders <= 1, "two leaders");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_contend_and_exactly_one_leads() {
    let server = Server::default();
    let (a, b) = (Replica::start(&server, "a"), Replica::start(&server, "b"));
    pass(Duration::from_secs(1), &[&a, &b]).await;
    let (leader, standby, quiet) = if a.handle.is_leader() { (&a, &b, "b") } else { (&b, &a, "a") };
    assert_eq!((leader.handle.epoch(), standby.handle.epoch()), (1, 0));
    let before = server.0.lock().unwrap().reads;
    pass(Duration::from_mins(1), &[&a, &b]).await;
    assert!(leader.handle.is_leader() && !standby.handle.is_leader());
    assert_eq!(server.writes_by(quiet), 0, "a standby only reads");
    assert_eq!(server.0.lock().unwrap().writes.len(), 19, "one write each third of the duration");
    assert!((60..=80).contains(&(server.0.lock().unwrap().reads - before)));
}

#[tokio::test(start_paused = true)]
async fn many_contend_and_exactly_one_leads() {
    let server = Server::default();
    let all: Vec<_> = ["a", "b", "c", "d", "e", "f"].map(|name| Replica::start(&server, name)).into();
    pass(Duration::from_secs(30), &all.iter().collect::<Vec<_>>()).await;
    assert_eq!(all.iter().filter(|replica| replica.handle.is_leader()).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_crash_is_noticed_after_the_duration_and_one_look() {
    let server = Server::default();
    let a = Replica::start(&server, "a");
    a.leads().await;
    let b = Replica::start(&server, "b");
    pass(Duration::from_secs(47), &[&a, &b]).await;
    a.task.abort();
    let took = b.leads().await;
    assert!(took <= DURATION + Duration::from_secs(1), "{took:?}");
    assert!(took >= DURATION * 2 / 3, "{took:?}");
    assert_eq!(b.handle.epoch(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_given_back_is_taken_within_a_second() {
    let server = Server::default();
    let a = Replica::start(&server, "a");
    a.leads().await;
    let b = Replica::start(&server, "b");
    pass(Duration::from_secs(5), &[&a, &b]).await;
    let (lost, handle) = (a.handle.clone().lost(), a.handle.clone());
    a.end().await.unwrap();
    assert!(!handle.is_leader());
    assert_eq!((server.spec().holder_identity, server.spec().lease_duration_seconds), (None, Some(1)));
    assert!(b.leads().await <= Duration::from_secs(1));
    assert_eq!((b.handle.epoch(), server.spec().lease_transitions), (2, Some(2)));
    assert_eq!(server.spec().lease_duration_seconds, Some(10));
    assert!(timeout(DURATION, lost).await.is_err(), "giving back is not losing");
}

#[tokio::test(start_paused = true)]
async fn a_leader_without_answers_stops_before_the_next_begins() {
    for link in [Link::Dead, Link::Refusing] {
        let server = Server::default();
        let a = Replica::start(&server, "a");
        a.leads().await;
        let b = Replica::start(&server, "b");
        pass(Duration::from_secs(20), &[&a, &b]).await;
        a.link(link);
        let cut = Instant::now();
        pass(DURATION * 2 / 3, &[&a, &b]).await;
        assert!(!a.handle.is_leader(), "{link:?}");
        assert!(!b.handle.is_leader(), "{link:?}");
        let (a_lost, b_won) = (a.handle.clone().lost(), b.handle.clone().won());
        timeout(DURATION, a_lost).await.unwrap();
        timeout(DURATION, b_won).await.unwrap();
        assert!(cut.elapsed() <= DURATION + Duration::from_secs(1), "{:?}", cut.elapsed());
        let error = a.task.await.unwrap().unwrap_err();
        assert!(matches!(error, LeaseError::NotRenewed { .. }), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_not_a_lost_lease() {
    let server = Server::default();
    let a = Replica::start(&server, "a");
    a.leads().await;
    a.link(Link::Mute);
    sleep(Duration::from_secs(4)).await;
    a.link(Link::Up);
    sleep(Duration::from_secs(20)).await;
    assert!(a.handle.is_leader());
    assert_eq!(a.handle.epoch(), 1);
    a.link(Link::Mute);
    sleep(Duration::from_secs(4)).await;
    a.link(Link::Up);
    a.end().await.unwrap();
    assert_eq!(server.spec().holder_identity, None, "given back in spite of it");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_lease_is_made_again_and_the_epoch_never_falls() {
    let server = Server::default();
    let a = Replica::start(&server, "a");
    a.leads().await;
    let b = Replica::start(&server, "b");
    pass(Duration::from_secs(5), &[&a, &b]).await;
    server.edit(|store| store.lease = None);
    pass(Duration::from_secs(30), &[&a, &b]).await;
    assert!(a.handle.is_leader(), "its holder makes it again before anybody else may");
    assert_eq!((a.handle.epoch(), server.spec().lease_transitions), (1, Some(1)));
    server.edit(|store| store.lease = None);
    a.task.abort();
    let took = b.leads().await;
    assert!(took <= DURATION + Duration::from_secs(1), "{took:?}");
    assert_eq!((b.handle.epoch(), server.spec().lease_transitions), (2, Some(2)));
}

#[tokio::test(start_paused = true)]
async fn a_lease_taken_by_somebody_else_is_lost_at_once() {
    let server = Server::default();
    let a = Replica::start(&server, "a");
    a.leads().await;
    server.edit(|store| {
        store.lease.as_mut().unwrap().spec.as_mut().unwrap().holder_identity = Some("z".into());
    });
    timeout(DURATION / 2, a.handle.clone().lost()).await.unwrap();
    assert!(!a.handle.is_leader());
    let said = a.task.await.unwrap().unwrap_err().to_string();
    assert!(said.contains("lost the lease lock to z"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn labels_of_others_neither_cost_the_lease_nor_keep_a_dead_holder_alive() {
    let server = Server::default();
    let a = Replica::start(&server, "a");
    a.leads().await;
    let b = Replica::start(&server, "b");
    let label = |n: u32| {
        server.edit(|store| {
            let labels = store.lease.as_mut().unwrap().metadata.labels.get_or_insert_default();
            labels.insert("n".into(), n.to_string());
        });
    };
    for n in 0..20 {
        label(n);
        pass(Duration::from_secs(1), &[&a, &b]).await;
    }
    assert_eq!(a.handle.epoch(), 1);
    a.task.abort();
    let began = Instant::now();
    for n in 0..11 {
        label(n);
        sleep(Duration::from_secs(1)).await;
    }
    assert!(b.handle.is_leader(), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn times_in_the_lease_are_not_believed() {
    for renewed in ["1970-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z"] {
        let server = Server::default();
        let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "lock", "namespace": "ops"},
            "spec": {"holderIdentity": "gone", "leaseDurationSeconds": 10, "leaseTransitions": 7,
                "acquireTime": renewed, "renewTime": renewed}});
        server.edit(|store| store.lease = Some(serde_json::from_value(lease).unwrap()));
        let a = Replica::start(&server, "a");
        let took = a.leads().await;
        assert!((DURATION..=DURATION + Duration::from_secs(1)).contains(&took), "{renewed}: {took:?}");
        assert_eq!(a.handle.epoch(), 8);
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_restarts_under_its_name_leads_at_once_in_a_new_epoch() {
    let server = Server::default();
    let before = Replica::start(&server, "a");
    before.leads().await;
    let after = Replica::start(&server, "a");
    assert!(after.leads().await < Duration::from_millis(100));
    assert_eq!(after.handle.epoch(), 2);
    timeout(DURATION / 2, before.handle.clone().lost()).await.unwrap();
    assert!(after.handle.is_leader());
}

#[tokio::test(start_paused = true)]
async fn without_an_election_one_leads_for_ever() {
    let handle = LeaseHandle::without_election();
    handle.clone().won().await;
    sleep(Duration::from_hours(1)).await;
    assert!(handle.is_leader());
    assert_eq!(handle.epoch(), 0);
    assert!(timeout(DURATION, handle.lost()).await.is_err());
}
