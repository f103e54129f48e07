//! The Services' addresses: listens on each and forwards to a random endpoint. Never decides which endpoints count.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, RwLock},
    time::Duration,
};

use futures::StreamExt;
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::{Api, Client};
use rand::RngExt;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::sleep,
};

use crate::{
    routes::{Fronts, Name, Table},
    watch::{self, Change},
};

/// Between attempts to listen on an address that is still being given up.
const LISTEN_RETRY: Duration = Duration::from_millis(2);

type Backends = Arc<RwLock<Vec<SocketAddr>>>;

/// Follows Services and `EndpointSlices` for ever.
pub(crate) async fn run(client: Client) {
    let mut services = pin!(watch::changes(Api::<Service>::all(client.clone())));
    let mut slices = pin!(watch::changes(Api::<EndpointSlice>::all(client)));
    let mut table = Table::default();
    let mut proxy = Proxy::default();
    loop {
        let name = tokio::select! {
            Some(change) = services.next() => match change {
                Change::Set(service) => Some(table.set_service(service)),
                Change::Gone(key) => Some(table.remove_service(&key)),
                Change::Listed => None,
            },
            Some(change) = slices.next() => match change {
                Change::Set(slice) => table.set_slice(slice),
                Change::Gone(key) => table.remove_slice(&key),
                Change::Listed => None,
            },
            else => return,
        };
        if let Some(name) = name {
            let fronts = table.fronts(&name);
            proxy.set(&name, fronts);
        }
    }
}

/// One address that is listened on.
#[derive(Debug)]
struct Front {
    backends: Backends,
    task: JoinHandle<()>,
}

impl Drop for Front {
    fn drop(&mut self) {
        // Ends the listener; connections go on, as they do through a kube-proxy.
        self.task.abort();
    }
}

#[derive(Debug, Default)]
struct Proxy(BTreeMap<Name, BTreeMap<SocketAddr, Front>>);

impl Proxy {
    /// Makes the listeners of one Service what `fronts` says. Without endpoints there is none, so that the kernel
    /// refuses connections.
    fn set(&mut self, name: &Name, fronts: Fronts) {
        let known = self.0.entry(name.clone()).or_default();
        known.retain(|address, _| fronts.get(address).is_some_and(|backends| !backends.is_empty()));
        for (address, backends) in fronts.into_iter().filter(|(_, backends)| !backends.is_empty()) {
            if let Some(front) = known.get(&address) {
                if let Ok(mut current) = front.backends.write() {
                    *current = backends;
                }
            } else {
                let backends = Arc::new(RwLock::new(backends));
                let task = tokio::spawn(serve(address, backends.clone()));
                known.insert(address, Front { backends, task });
            }
        }
        if known.is_empty() {
            self.0.remove(name);
        }
    }
}

async fn serve(address: SocketAddr, backends: Backends) {
    let listener = listen_with_backoff(address).await;
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                tokio::spawn(forward(client, pick(&backends)));
            }
            // Too many open files, or a client that is gone already.
            Err(_) => sleep(LISTEN_RETRY).await,
        }
    }
}

async fn listen_with_backoff(address: SocketAddr) -> TcpListener {
    let (mut wait, mut told) = (LISTEN_RETRY, false);
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) => {
                if !told && wait > Duration::from_millis(500) {
                    eprintln!("lab-node: cannot listen on {address}: {error}");
                    told = true;
                }
                sleep(wait).await;
                wait = (wait * 2).min(Duration::from_secs(1));
            }
        }
    }
}

fn pick(backends: &Backends) -> Option<SocketAddr> {
    let backends = backends.read().ok()?;
    (!backends.is_empty()).then(|| backends[rand::rng().random_range(0..backends.len())])
}

/// Carries one connection. Whatever breaks it shows as a reset on both sides, as it would without a proxy.
async fn forward(mut client: TcpStream, backend: Option<SocketAddr>) {
    let Some(Ok(mut server)) = connect(backend).await else {
        let _ = client.set_zero_linger();
        return;
    };
    let _ = client.set_nodelay(true);
    if copy_bidirectional(&mut client, &mut server).await.is_err() {
        let _ = client.set_zero_linger();
        let _ = server.set_zero_linger();
    }
}

async fn connect(backend: Option<SocketAddr>) -> Option<io::Result<TcpStream>> {
    let server = TcpStream::connect(backend?).await;
    Some(server.inspect(|server| {
        let _ = server.set_nodelay(true);
    }))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Answers everything it is sent, after the sender is done, with its own name before it.
    async fn echo(name: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut text = name.to_owned();
                stream.read_to_string(&mut text).await.unwrap();
                stream.write_all(text.as_bytes()).await.unwrap();
            }
        });
        address
    }

    async fn ask(address: SocketAddr) -> io::Result<String> {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"?").await?;
        stream.shutdown().await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    async fn poll_until(address: SocketAddr, wanted: impl Fn(&io::Result<String>) -> bool) {
        for _ in 0..500 {
            if wanted(&ask(address).await) {
                return;
            }
            sleep(Duration::from_millis(5)).await;
        }
        panic!("the proxy did not follow");
    }

    #[tokio::test]
    async fn a_front_follows_its_endpoints_and_refuses_without() {
        let (one, two) = (echo("one").await, echo("two").await);
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let front = free.local_addr().unwrap();
        drop(free);
        let name = || ("a".to_owned(), "s".to_owned());
        let mut proxy = Proxy::default();
        proxy.set(&name(), Fronts::from([(front, vec![one])]));
        poll_until(front, |answer| matches!(answer, Ok(text) if text == "one?")).await;
        proxy.set(&name(), Fronts::from([(front, vec![two])]));
        assert_eq!(ask(front).await.unwrap(), "two?");
        proxy.set(&name(), Fronts::from([(front, Vec::new())]));
        let refused = |answer: &io::Result<String>| matches!(answer, Err(error) if error.kind() == io::ErrorKind::ConnectionRefused);
        poll_until(front, refused).await;
        proxy.set(&name(), Fronts::from([(front, vec![one])]));
        poll_until(front, |answer| matches!(answer, Ok(text) if text == "one?")).await;
    }
}
