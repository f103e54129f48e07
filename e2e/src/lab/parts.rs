//! The parts of the lab: their programs, their flags, and how each is known to be ready.
//! Nothing here starts or keeps them; `process` does.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::{Api, api::DynamicObject};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};

use super::{
    LabError, cluster,
    process::{Spec, Table},
    siblings,
    space::{API_ADDRESS, GATEWAY_ADDRESS, PROMETHEUS_ADDRESS, SERVICE_RANGE},
    state::State,
};

/// All parts in the order they come up.
pub(crate) const ALL: [&str; 7] =
    ["etcd", "kube-apiserver", "kube-controller-manager", siblings::NODE, "contour", "envoy", "prometheus"];

const ETCD_URL: &str = "http://127.0.0.1:2379";

/// Controllers that run. Without node-lifecycle and scheduler: the lab's node does both.
const CONTROLLERS: [&str; 18] = [
    "deployment",
    "replicaset",
    "statefulset",
    "daemonset",
    "job",
    "cronjob",
    "endpointslice",
    "garbage-collector",
    "namespace",
    "serviceaccount",
    "serviceaccount-token",
    "root-ca-certificate-publisher",
    "resourcequota",
    "horizontal-pod-autoscaler",
    "disruption",
    "pod-garbage-collector",
    "clusterrole-aggregation",
    "ttl-after-finished",
];

/// What to run for a part. Every listener has an address of its own:
/// one on all addresses would take its port from every pod.
pub(crate) fn spec(name: &'static str, state: &State) -> Spec {
    let args = match name {
        "etcd" => etcd(state),
        "kube-apiserver" => apiserver(state),
        "kube-controller-manager" => controller_manager(state),
        "contour" => contour(state),
        "envoy" => words(
            "-c conf/envoy.json --service-cluster lab --service-node envoy --concurrency 2 --disable-hot-restart --log-level warning",
        ),
        "prometheus" => prometheus(state),
        _ => node(state),
    };
    Spec { name, program: state.bin(name), args }
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn flags(state: &State, plain: &str, files: &[(&str, &str)]) -> Vec<String> {
    let files = files.iter().map(|(flag, file)| format!("--{flag}={}", state.text(file)));
    words(plain).into_iter().chain(files).collect()
}

fn etcd(state: &State) -> Vec<String> {
    let plain = format!(
        "--unsafe-no-fsync --log-level=warn --listen-client-urls={ETCD_URL} --advertise-client-urls={ETCD_URL} \
         --listen-peer-urls=http://127.0.0.1:2380"
    );
    flags(state, &plain, &[("data-dir", "data/etcd")])
}

fn apiserver(state: &State) -> Vec<String> {
    let plain = format!(
        "--etcd-servers={ETCD_URL} --secure-port=6443 --bind-address={API_ADDRESS} --advertise-address={API_ADDRESS} \
         --service-cluster-ip-range={SERVICE_RANGE} --service-account-issuer=https://kubernetes.default.svc.cluster.local \
         --authorization-mode=RBAC --enable-aggregator-routing=true --allow-privileged=true --audit-log-maxsize=4096"
    );
    let files = [
        ("cert-dir", "certs"),
        ("service-account-key-file", "conf/sa.pub"),
        ("service-account-signing-key-file", "conf/sa.key"),
        ("token-auth-file", "conf/tokens.csv"),
        ("audit-policy-file", "conf/audit-policy.yaml"),
        ("audit-log-path", "audit.log"),
    ];
    flags(state, &plain, &files)
}

fn controller_manager(state: &State) -> Vec<String> {
    let controllers: Vec<String> = CONTROLLERS.iter().map(|name| format!("{name}-controller")).collect();
    let plain = format!(
        "--bind-address=127.0.0.1 --leader-elect=false --authentication-skip-lookup=true \
         --use-service-account-credentials=true --horizontal-pod-autoscaler-sync-period=2s --controllers={}",
        controllers.join(",")
    );
    let kubeconfig = "conf/kube-controller-manager.kubeconfig";
    let files = [
        ("kubeconfig", kubeconfig),
        ("authentication-kubeconfig", kubeconfig),
        ("authorization-kubeconfig", kubeconfig),
        ("service-account-private-key-file", "conf/sa.key"),
        ("root-ca-file", "certs/apiserver.crt"),
    ];
    flags(state, &plain, &files)
}

fn node(state: &State) -> Vec<String> {
    let files = [("kubeconfig", "conf/lab-node.kubeconfig"), ("state", "node"), ("images", "images.yaml")];
    flags(state, "", &files)
}

fn contour(state: &State) -> Vec<String> {
    // The three features watch versions of kinds the standard channel does not have.
    let plain = format!(
        "serve --xds-address=127.0.0.1 --xds-port=8001 --insecure --disable-leader-election \
         --http-address=127.0.0.1 --http-port=8000 --health-address=127.0.0.1 --health-port=8000 \
         --debug-http-address=127.0.0.1 --stats-address={GATEWAY_ADDRESS} \
         --envoy-service-http-address={GATEWAY_ADDRESS} --envoy-service-https-address={GATEWAY_ADDRESS} \
         --ingress-status-address={GATEWAY_ADDRESS} \
         --disable-feature=tlsroutes --disable-feature=tcproutes --disable-feature=backendtlspolicies"
    );
    flags(state, &plain, &[("kubeconfig", "conf/contour.kubeconfig"), ("config-path", "conf/contour.yaml")])
}

fn prometheus(state: &State) -> Vec<String> {
    let plain = format!("--web.listen-address={PROMETHEUS_ADDRESS}:9090 --storage.tsdb.retention.time=1d");
    flags(state, &plain, &[("config.file", "conf/prometheus.yaml"), ("storage.tsdb.path", "data/prometheus")])
}

/// Asks a part whether it is ready for work; the error says what was seen.
pub(crate) async fn probe(name: &str, state: &State, client: Option<&kube::Client>) -> Result<(), String> {
    match (name, client) {
        ("etcd", _) => http(&format!("{ETCD_URL}/health")).await,
        ("envoy", _) => http(&format!("http://{GATEWAY_ADDRESS}:8002/ready")).await,
        ("prometheus", _) => http(&format!("http://{PROMETHEUS_ADDRESS}:9090/-/ready")).await,
        ("kube-apiserver", None) => {
            TcpStream::connect((API_ADDRESS, 6443)).await.map_err(|error| error.to_string())?;
            // Connected: its certificate is there, and a client can be made.
            let client = cluster::client(state).await.map_err(|error| error.to_string())?;
            cluster::readyz(&client).await
        }
        (_, None) => Err("no client for the API server".to_owned()),
        ("kube-apiserver", Some(client)) => cluster::readyz(client).await,
        ("kube-controller-manager", Some(client)) => {
            TcpStream::connect(("127.0.0.1", 10257)).await.map_err(|error| error.to_string())?;
            // Pods are refused until the account of their namespace is there.
            let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
            accounts.get("default").await.map(drop).map_err(|error| error.to_string())
        }
        ("contour", Some(client)) => {
            http("http://127.0.0.1:8000/healthz").await?;
            gateway_programmed(client).await
        }
        (_, Some(client)) => node_ready(client).await,
    }
}

async fn http(url: &str) -> Result<(), String> {
    let client =
        reqwest::Client::builder().timeout(Duration::from_secs(1)).build().map_err(|error| error.to_string())?;
    let answer = client.get(url).send().await.map_err(|error| format!("{url}: {error}"))?;
    if answer.status().is_success() { Ok(()) } else { Err(format!("{url}: {}", answer.status())) }
}

async fn gateway_programmed(client: &kube::Client) -> Result<(), String> {
    let gateways: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), "gateway", &cluster::resource("gateway.networking.k8s.io/v1", "Gateway"));
    let gateway = gateways.get("lab").await.map_err(|error| error.to_string())?;
    let conditions = gateway.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let is_programmed = conditions.iter().any(|c| c["type"] == "Programmed" && c["status"] == "True");
    if is_programmed { Ok(()) } else { Err(format!("the Gateway is not Programmed: {conditions:?}")) }
}

async fn node_ready(client: &kube::Client) -> Result<(), String> {
    let nodes: Api<Node> = Api::all(client.clone());
    let nodes = nodes.list(&kube::api::ListParams::default()).await.map_err(|error| error.to_string())?;
    let is_ready = |node: &Node| {
        let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
        conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
    };
    if nodes.iter().any(is_ready) { Ok(()) } else { Err("no Node is Ready".to_owned()) }
}

/// Polls a part until it is ready; fails at once when it ends, and at the deadline.
pub(crate) async fn poll_ready(
    name: &str,
    state: &State,
    table: &Table,
    client: Option<&kube::Client>,
    deadline: Duration,
) -> Result<(), LabError> {
    let end = Instant::now() + deadline;
    let failed = |reason: String| LabError::Part { part: name.to_owned(), reason, log: state.tail(name, 20) };
    loop {
        let reason = match probe(name, state, client).await {
            Ok(()) => return Ok(()),
            Err(reason) => reason,
        };
        if table.ends(name) > 0 {
            return Err(failed("it ended".to_owned()));
        }
        if Instant::now() >= end {
            return Err(failed(format!("not within {} s: {reason}", deadline.as_secs())));
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Polls a part that was started again until it is ready.
pub(crate) async fn poll_ready_again(name: &str, state: &State) -> Result<(), LabError> {
    let client = cluster::client(state).await?;
    poll_ready(name, state, &Table::new(state.clone()), Some(&client), Duration::from_mins(1)).await
}

/// Prometheus.
pub(crate) fn prometheus_url() -> String {
    format!("http://{PROMETHEUS_ADDRESS}:9090")
}

/// Envoy's counters.
pub(crate) fn envoy_stats_url() -> String {
    format!("http://{GATEWAY_ADDRESS}:8002/stats/prometheus")
}

/// Traffic for the gateway.
pub(crate) fn gateway_url() -> String {
    // The listener's port 80 is 8080 at Envoy; `front` carries 80 there for those who read the Gateway.
    format!("http://{GATEWAY_ADDRESS}:8080")
}
