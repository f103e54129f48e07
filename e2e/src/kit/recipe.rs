//! Manifests: the front Service, the route, and the rollout that a user of the chat service would write.
//! Nothing here sends anything.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The API version of our kind.
pub(crate) const ROLLOUT: &str = "llmrollout.io/v1alpha1";
/// The API version of routes.
pub(crate) const ROUTE: &str = "gateway.networking.k8s.io/v1";
/// The name of everything in a namespace: front Service, route and rollout.
pub(crate) const NAME: &str = "chat";

/// What a user wants released; every field may be changed before it is applied.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    /// Told by the server in `x-sim-version`.
    pub version: String,
    /// More `SIM_…` variables.
    pub env: BTreeMap<String, String>,
    /// Pods of each color.
    pub replicas: i32,
    /// Weight and hold.
    pub steps: Vec<(i32, String)>,
    /// `spec.traffic`.
    pub traffic: Value,
    /// `spec.gates`.
    pub gates: Value,
    /// `spec.paused`.
    pub paused: bool,
    /// `spec.abort`.
    pub abort: bool,
    /// More of the spec, merged over the rest.
    pub more: Value,
}

impl Wish {
    /// A sound version: two pods, both routers, 5 → 20 → 50 → 100 with holds of 5 s.
    pub(crate) fn new(version: &str) -> Self {
        let env = [
            ("SIM_LATENCY", "fixed:40ms"),
            ("SIM_TTFT", "fixed:10ms"),
            ("SIM_TOKENS_MEAN", "32"),
            ("SIM_TOKENS_SPREAD", "8"),
        ];
        Self {
            version: version.to_owned(),
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            replicas: 2,
            steps: [5, 20, 50, 100].map(|weight| (weight, "5s".to_owned())).to_vec(),
            traffic: json!([{"service": {"name": NAME}}, {"httpRoute": {"name": NAME}}]),
            gates: gates(),
            paused: false,
            abort: false,
            more: json!({"decommission": {"drain": "1s"}}),
        }
    }

    /// With more of the spec, or with other words for what stands there.
    pub(crate) fn more(mut self, spec: &Value) -> Self {
        if let (Some(all), Some(own)) = (self.more.as_object_mut(), spec.as_object()) {
            all.extend(own.clone());
        }
        self
    }

    /// With one more variable of the server.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With other steps.
    pub(crate) fn steps(mut self, steps: &[(i32, &str)]) -> Self {
        self.steps = steps.iter().map(|(weight, hold)| (*weight, (*hold).to_owned())).collect();
        self
    }

    /// The rollout.
    pub(crate) fn manifest(&self) -> Value {
        let steps: Vec<_> = self.steps.iter().map(|(weight, hold)| json!({"weight": weight, "hold": hold})).collect();
        let mut rollout = json!({
            "apiVersion": ROLLOUT,
            "kind": "LlmRollout",
            "metadata": {"name": NAME},
            "spec": {
                "release": {"template": {"replicas": self.replicas, "port": 8000, "podTemplate": self.pod_template()}},
                "traffic": self.traffic,
                "steps": steps,
                "metrics": {"profile": "vllm", "prices": {"input": "$0.50", "output": "$1.50"}, "warmUp": "0s"},
                "gates": self.gates,
                // A case that proves silence says for how long.
                "rollback": {"deadline": "0s", "verify": {"quietFor": "0s", "recoverWithin": "0s"}},
                "paused": self.paused,
                "abort": self.abort,
            },
        });
        if let (Some(spec), Some(more)) = (rollout["spec"].as_object_mut(), self.more.as_object()) {
            spec.extend(more.clone());
        }
        rollout
    }

    fn pod_template(&self) -> Value {
        let version = [("SIM_VERSION".to_owned(), self.version.clone())];
        let env: Vec<_> = self
            .env
            .clone()
            .into_iter()
            .chain(version)
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
        json!({
            "metadata": {
                "labels": {"app": NAME},
                "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "8000"},
            },
            "spec": {
                "terminationGracePeriodSeconds": 10,
                "containers": [{
                    "name": "server",
                    "image": "llm-sim:v1",
                    "env": env,
                    "ports": [{"containerPort": 8000}],
                    "readinessProbe": {"httpGet": {"path": "/health", "port": 8000}, "periodSeconds": 1},
                }],
            },
        })
    }
}

/// A gate that fails as soon as the candidate answers anything, whatever the other color does: a query of one's own.
pub(crate) fn never_holds(name: &str) -> Value {
    json!({
        "name": name, "query": "sum(increase(vllm:request_success_total{ {{green}} }[{{window}}]))", "max": "0.5",
        "interval": "1s", "window": "10s",
    })
}

/// One gate of each kind, judged within seconds.
pub(crate) fn gates() -> Value {
    let gate = |own: Value| {
        let mut gate = json!({
            "interval": "1s", "window": "10s", "minSamples": 15, "failures": "2 of 3",
            "noData": {"budget": "60s", "then": "Rollback"},
        });
        if let (Some(all), Some(own)) = (gate.as_object_mut(), own.as_object()) {
            all.extend(own.clone());
        }
        gate
    };
    json!([
        gate(json!({"name": "errors", "metric": "errorRate", "max": "1%"})),
        gate(json!({"name": "p95", "metric": "latency", "quantile": "0.95", "max": "1s"})),
        gate(json!({"name": "cost", "metric": "costPerRequest", "max": "$0.0005"})),
    ])
}

/// The Service that users call; its selector says which color.
pub(crate) fn front() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME},
        "spec": {
            "selector": {"app": NAME, "llmrollout.io/color": "blue"},
            "ports": [{"name": "http", "port": 80, "targetPort": 8000}],
        },
    })
}

/// The same for calls of gRPC. Contour takes a match only if it names service and method.
pub(crate) fn grpc_route(gateway: &(String, String), host: &str) -> Value {
    let mut all = route(gateway, host);
    all["kind"] = json!("GRPCRoute");
    all["spec"]["rules"][0]["matches"] = json!([{"method": {"service": "llm.v1.Chat", "method": "Generate"}}]);
    all
}

/// The route that users come by, for the host of this namespace.
pub(crate) fn route(gateway: &(String, String), host: &str) -> Value {
    let backend = |color: &str, weight: i32| json!({"name": format!("{NAME}-{color}"), "port": 8000, "weight": weight});
    json!({
        "apiVersion": ROUTE,
        "kind": "HTTPRoute",
        "metadata": {"name": NAME},
        "spec": {
            "parentRefs": [{"namespace": gateway.0, "name": gateway.1}],
            "hostnames": [host],
            "rules": [{"backendRefs": [backend("blue", 100), backend("green", 0)]}],
        },
    })
}
