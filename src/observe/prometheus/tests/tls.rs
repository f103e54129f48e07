//! A provider behind TLS with an authority of its own. The certificates beside this file are for these tests only and
//! stand until 2120: an authority, a server named `prometheus.test`, a client, and an authority that signed neither.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{io::AsyncWriteExt, net::TcpListener, task::JoinHandle};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    },
};

use super::{
    super::Provider,
    question,
    server::{json, read_request, value},
    settings,
};
use crate::{
    line::ProviderSettings,
    metrics::{NoData, Sample},
    observe::clock::Clock,
};

const CA: &[u8] = include_bytes!("tls/ca.pem");
const OTHER_CA: &[u8] = include_bytes!("tls/other-ca.pem");
const SERVER: &[u8] = include_bytes!("tls/server.pem");
const SERVER_KEY: &[u8] = include_bytes!("tls/server-key.pem");
const CLIENT: &[u8] = include_bytes!("tls/client.pem");
const CLIENT_KEY: &[u8] = include_bytes!("tls/client-key.pem");
const NO_TLS: NoData = NoData::Unreachable("no TLS: see its caFile, serverName and certFile");
const FIVE: Sample = Sample { value: 5.0, samples: 5.0 };

struct TlsServer {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TlsServer {
    /// Says 5 to everybody, or only to whom it knows.
    async fn start(wants_client: bool) -> Self {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(CA).unwrap()).unwrap();
        let clients: Arc<dyn ClientCertVerifier> = if wants_client {
            WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build().unwrap()
        } else {
            WebPkiClientVerifier::no_client_auth()
        };
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(SERVER).unwrap()],
                PrivateKeyDer::from_pem_slice(SERVER_KEY).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = seen.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, kept) = (acceptor.clone(), kept.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let request = read_request(&mut stream).await;
                    kept.lock().unwrap().push(request);
                    stream.write_all(&json(&value("5"))).await.unwrap();
                    stream.shutdown().await.unwrap();
                });
            }
        });
        Self { port, seen, task }
    }

    fn settings(&self, files: &Folder) -> ProviderSettings {
        ProviderSettings {
            ca_file: Some(files.file("ca.pem", CA)),
            server_name: Some("prometheus.test".into()),
            timeout_seconds: Some(10),
            ..settings("default", &format!("https://127.0.0.1:{}/prom", self.port))
        }
    }
}

/// Files that are gone in the end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("llmrollout-tls-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

async fn ask(provider: &Provider) -> Result<Sample, NoData> {
    let question = question("default", "x");
    provider.sample(&question, Duration::from_secs(30), Clock::start().now()).await.map_err(|fault| fault.why)
}

async fn ask_with(settings: ProviderSettings) -> Result<Sample, NoData> {
    ask(&Provider::new(settings).unwrap()).await
}

#[tokio::test]
async fn an_authority_of_ones_own_and_a_token() {
    let (files, server) = (Folder::new("own"), TlsServer::start(false).await);
    let mut settings = server.settings(&files);
    settings.bearer_token_file = Some(files.file("token", b"canary\n"));
    assert_eq!(ask_with(settings.clone()).await, Ok(FIVE));
    let requests = server.seen.lock().unwrap().clone();
    assert_eq!(requests.len(), 2);
    let host = format!("\r\nhost: 127.0.0.1:{}\r\n", server.port);
    assert!(requests[0].contains(&host), "the host that was configured: {}", requests[0]);
    assert!(requests[0].starts_with("POST /prom/api/v1/query "), "{}", requests[0]);
    assert!(requests[1].contains("\r\nauthorization: Bearer canary\r\n"), "{}", requests[1]);

    let strangers = ProviderSettings { ca_file: Some(files.file("other.pem", OTHER_CA)), ..settings.clone() };
    assert_eq!(ask_with(strangers).await, Err(NO_TLS));
    let other_name = ProviderSettings { server_name: Some("grafana.test".into()), ..settings.clone() };
    assert_eq!(ask_with(other_name).await, Err(NO_TLS));
    let by_address = ProviderSettings { server_name: None, ..settings };
    assert_eq!(ask_with(by_address).await, Err(NO_TLS));
    assert_eq!(server.seen.lock().unwrap().len(), 2, "and none of them was asked anything");
}

#[tokio::test]
async fn a_certificate_to_show() {
    let (files, server) = (Folder::new("mutual"), TlsServer::start(true).await);
    let settings = server.settings(&files);
    assert_eq!(ask_with(settings.clone()).await, Err(NO_TLS));
    let known = ProviderSettings {
        cert_file: Some(files.file("client.pem", CLIENT)),
        key_file: Some(files.file("client-key.pem", CLIENT_KEY)),
        ..settings
    };
    assert_eq!(ask_with(known.clone()).await, Ok(FIVE));
    let foreign_key = ProviderSettings { key_file: Some(files.file("server-key.pem", SERVER_KEY)), ..known.clone() };
    let refused = Provider::new(foreign_key).unwrap_err().to_string();
    assert!(refused.contains("the key in keyFile must be that of certFile"), "{refused}");
    let no_key = ProviderSettings { key_file: Some(files.file("no-key.pem", b"canary")), ..known };
    let refused = Provider::new(no_key).unwrap_err().to_string();
    assert!(refused.contains("certFile and keyFile: ") && !refused.contains("canary"), "{refused}");
}

#[tokio::test]
async fn certificates_are_rotated_in_their_files() {
    let (files, server) = (Folder::new("rotated"), TlsServer::start(false).await);
    let settings = server.settings(&files);
    let ca = |bytes: &[u8]| drop(files.file("ca.pem", bytes));
    let provider = Provider::new(settings).unwrap();
    assert_eq!(ask(&provider).await, Ok(FIVE));
    ca(OTHER_CA);
    assert_eq!(ask(&provider).await, Err(NO_TLS), "no connection of before is used either");
    ca(b"half a certific");
    assert_eq!(ask(&provider).await, Err(NoData::Unreachable("its new certificates cannot be used")));
    std::fs::remove_file(Path::new(&files.0).join("ca.pem")).unwrap();
    assert_eq!(ask(&provider).await, Err(NoData::Unreachable("a file with its certificates cannot be read")));
    ca(CA);
    assert_eq!(ask(&provider).await, Ok(FIVE));
}
