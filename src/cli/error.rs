//! What can go wrong on the command line, each with what to type next. Never printed here.

use kube::{
    config::{InferConfigError, KubeconfigError},
    core::response::Status,
};

use super::cluster::Asked;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The kubeconfig that was named cannot be used.
    #[error("the kubeconfig cannot be used; check --kubeconfig and --context, and see `kubectl config get-contexts`")]
    Kubeconfig(#[source] KubeconfigError),
    /// No cluster is known at all.
    #[error(
        "no cluster to ask; pass --kubeconfig FILE, or set a current context with `kubectl config use-context NAME`"
    )]
    NoCluster(#[source] Box<InferConfigError>),
    /// The client cannot be made.
    #[error("the cluster cannot be talked to; check certificates and credentials of the kubeconfig")]
    Client(#[source] Box<kube::Error>),
    /// No answer in time.
    #[error("no answer from {server} within {seconds}s; check --context, and that the API server can be reached")]
    TooLate {
        /// Who was asked.
        server: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The port of the page is taken, or not ours to take.
    #[error("port {port} of 127.0.0.1 cannot be opened; choose another one with --port, or leave it out")]
    Port {
        /// Its number.
        port: u16,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The machine gives no random numbers.
    #[error("no random numbers, and so no page that only you can open: {0}")]
    NoToken(String),
    /// No such rollout.
    #[error("llmrollout \"{name}\" not found in namespace {namespace}; see `kubectl llmrollout get -A`")]
    NotFound {
        /// The namespace looked in.
        namespace: String,
        /// The name asked for.
        name: String,
    },
    /// The cluster does not have the kind.
    #[error("the cluster does not know {0}; install the CRDs with `kubectl apply --server-side -f crds/`")]
    NoKind(&'static str),
    /// Not allowed.
    #[error("not allowed: {words}; ask for {right}")]
    Forbidden {
        /// The server's words.
        words: String,
        /// What would be needed.
        right: &'static str,
    },
    /// An admission policy is against it; its words say what to write instead.
    #[error("{0}")]
    Denied(String),
    /// The API server did not say who asks.
    #[error("the API server does not say who asks; see `kubectl auth whoami`, and sign in")]
    Nobody,
    /// There is nothing that could be done.
    #[error("nothing to do for {name}: {why}; see `kubectl llmrollout -n {namespace} status {name}`")]
    Nothing {
        /// Its namespace.
        namespace: String,
        /// The name of the rollout.
        name: String,
        /// Why.
        why: String,
    },
    /// Which approval is meant cannot be told.
    #[error("{}{listed}", which(*several))]
    WhichApproval {
        /// How many are waited for.
        several: usize,
        /// What may be typed.
        listed: String,
    },
    /// The operator has not answered yet.
    #[error(
        "the operator has not answered {order} within {seconds}s; it stands, and is heard when the operator looks: see `kubectl llmrollout -n {namespace} status {name}`"
    )]
    NoAnswer {
        /// Its namespace.
        namespace: String,
        /// The name of the rollout.
        name: String,
        /// What was not answered.
        order: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The attempt was over before the order was heard.
    #[error(
        "attempt {attempt} was over before {order} was heard, and attempt {newer} has begun; see `kubectl llmrollout -n {namespace} status {name}`, and say it again if you still mean it"
    )]
    Overtaken {
        /// Its namespace.
        namespace: String,
        /// The name of the rollout.
        name: String,
        /// The order.
        order: String,
        /// The attempt it was meant for.
        attempt: i64,
        /// The one that has begun.
        newer: i64,
    },
    /// There is no such reason.
    #[error("there is no reason {word}{}", near_ones(near))]
    NoReason {
        /// What was typed.
        word: String,
        /// Words that look like it.
        near: Vec<&'static str>,
    },
    /// No record of the attempt.
    #[error(
        "there is no record of {attempt} of {name}; the last ten attempts are kept, see `kubectl llmrollout -n {namespace} history {name}`"
    )]
    NoRecord {
        /// Its namespace.
        namespace: String,
        /// The name of the rollout.
        name: String,
        /// Which attempt.
        attempt: String,
    },
    /// A record of another time.
    #[error(
        "the ConfigMap {0} holds no record that this version understands; use a kubectl-llmrollout as new as the operator"
    )]
    OtherRecord(String),
    /// Credentials were not accepted.
    #[error("the API server does not accept the credentials: {0}; sign in again, or choose another --context")]
    Unauthorized(String),
    /// Any other refusal, in the server's words.
    #[error("the API server refused: {0}")]
    Refused(String),
    /// The request did not get through.
    #[error("asking {server} failed; check --context, and that the API server can be reached")]
    Unreachable {
        /// Who was asked.
        server: String,
        /// Why it failed.
        source: Box<kube::Error>,
    },
    /// A newer or broken object.
    #[error(
        "llmrollout \"{name}\" holds what this version does not understand; use a kubectl-llmrollout as new as the operator, or read it with `kubectl llmrollout get {name} -o yaml`"
    )]
    NotUnderstood {
        /// The name of the object.
        name: String,
        /// What was not understood.
        source: serde_json::Error,
    },
    /// There is nothing to draw on.
    #[error(
        "watch draws on a terminal, and this is none; see `kubectl llmrollout status {name}`, or `kubectl get llmrollout {name} -w`"
    )]
    NoTerminal {
        /// The name of the rollout.
        name: String,
    },
    /// Nobody else's analysis.
    #[error(
        "there is nothing to convert; name files with an AnalysisTemplate of Argo Rollouts, or with a Canary and the MetricTemplates of Flagger"
    )]
    NothingToConvert,
    /// The history cannot be reached.
    #[error("the history cannot be read; check --prometheus, and that it can be reached from here")]
    History(#[source] reqwest::Error),
    /// The history is not for everybody, or is none.
    #[error("the history is refused with HTTP {status}; check --prometheus (its address, up to /api) and --token-file")]
    HistoryRefused {
        /// The status.
        status: u16,
    },
    /// More than anybody reads.
    #[error(
        "a gate would be asked {looks} times, and {most} are read at most; shorten the period with --from and --to"
    )]
    TooLong {
        /// How often.
        looks: usize,
        /// How often at most.
        most: usize,
    },
    /// A file cannot be written.
    #[error("{file} cannot be written; check the path and its rights")]
    Unwritten {
        /// Which one.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file cannot be read.
    #[error("{file} cannot be read; pass the path of a manifest, or - for standard input")]
    Unreadable {
        /// Which file.
        file: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A file is no manifest of a rollout.
    #[error("{file}: {words}; pass a file with one LlmRollout, and the LlmGateSets that it takes over")]
    NoManifest {
        /// Which file.
        file: String,
        /// What is wrong with it.
        words: String,
    },
    /// The operator would refuse the manifest.
    #[error("the operator would refuse it: {0}")]
    NoPlan(String),
    /// The manifest takes over what is not in the files.
    #[error("the gate set {0} is not in the files; pass the file that holds it as well")]
    NoGateSet(String),
    /// No such gate.
    #[error("there is no gate {gate}; the manifest has: {names}")]
    NoGate {
        /// What was typed.
        gate: String,
        /// What there is.
        names: String,
    },
    /// A scenario cannot be read.
    #[error("{file}: {words}; the lines are told in docs/simulate.md")]
    NoScenario {
        /// Which file.
        file: String,
        /// What is wrong with it.
        words: String,
    },
    /// A line of a scenario cannot be done.
    #[error("the scenario stops at `{line}`: {words}")]
    Story {
        /// The line.
        line: String,
        /// What to write instead.
        words: String,
    },
    /// Nobody knows the traffic.
    #[error(
        "the traffic is not known; pass --rps N, the requests a second of both colors together, and --rate 1%, the share of them that is bad now"
    )]
    NoTraffic,
    /// Nobody knows how much of the traffic is bad.
    #[error(
        "it is not known how much of the serving color is bad by the gate {gate}; pass --rate 1%, or --rate {gate}=1% for this gate alone"
    )]
    NoRate {
        /// The gate.
        gate: String,
    },
    /// The answer cannot be put into the wanted form.
    #[error("the answer cannot be written as {form}: {words}; try another -o")]
    Form {
        /// The wanted form.
        form: &'static str,
        /// Why not.
        words: String,
    },
    /// The asynchronous runtime did not start.
    #[error("this process cannot start its runtime; check the limits on threads and files with `ulimit -a`")]
    Runtime(#[source] std::io::Error),
    /// Standard output cannot be written.
    #[error("the answer cannot be written to standard output")]
    Write(#[source] std::io::Error),
}

fn which(several: usize) -> String {
    match several {
        0 => "no such approval is waited for; the manifest asks for ".to_owned(),
        several => format!("{several} approvals are waited for; type one: "),
    }
}

fn near_ones(near: &[&str]) -> String {
    if near.is_empty() {
        return "; see all with `kubectl llmrollout explain`".to_owned();
    }
    let near: Vec<_> = near.iter().map(|word| format!("`kubectl llmrollout explain {word}`")).collect();
    format!("; try {}", near.join(", "))
}

impl CliError {
    /// Whether other words would have been understood: that is wrong usage, and no refusal.
    pub const fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::WhichApproval { several: 2.., .. }
                | Self::NoReason { .. }
                | Self::NoTraffic
                | Self::NoRate { .. }
                | Self::Unreadable { .. }
                | Self::NoTerminal { .. }
                | Self::NothingToConvert
                | Self::NoGate { .. }
                | Self::NoScenario { .. }
                | Self::TooLong { .. }
        )
    }

    /// What a refusal of the API server means for what was asked in `namespace`.
    pub fn of_status(status: &Status, namespace: &str, asked: Asked<'_>) -> Self {
        let words = status.message.clone();
        match (status.code, asked) {
            // Without the kind the server answers in plain text, or names no object.
            (404, Asked::One(name) | Asked::Change(name)) if words.contains(&format!("\"{name}\"")) => {
                Self::NotFound { namespace: namespace.to_owned(), name: name.to_owned() }
            }
            (404, Asked::Order | Asked::Orders) => Self::NoKind("LlmRolloutOrder"),
            (404, Asked::Record { name, attempt }) => {
                let attempt = format!("attempt {attempt}");
                Self::NoRecord { namespace: namespace.to_owned(), name: name.to_owned(), attempt }
            }
            (404, Asked::GateSet) => Self::NoKind("LlmGateSet"),
            (404, _) => Self::NoKind("LlmRollout"),
            (401, _) => Self::Unauthorized(words),
            // The policy's own words come last, after its name and its binding's.
            (403 | 422, _) if words.contains("ValidatingAdmissionPolicy") => {
                let own = words.split_once("denied request: ").map(|(_, own)| own.to_owned());
                Self::Denied(own.unwrap_or(words))
            }
            (403, asked) => Self::Forbidden { words, right: right(asked) },
            _ => Self::Refused(words),
        }
    }
}

const fn right(asked: Asked<'_>) -> &'static str {
    match asked {
        Asked::All | Asked::One(_) => "the verbs get and list on llmrollouts.llmrollout.io",
        Asked::Change(_) => "the verb patch on llmrollouts.llmrollout.io",
        Asked::Record { .. } => "the verb get on configmaps",
        Asked::GateSet => "the verb get on llmgatesets.llmrollout.io",
        Asked::Order => "the verb create on llmrolloutorders.llmrollout.io",
        Asked::Orders => "the verb list on llmrolloutorders.llmrollout.io",
        Asked::Events => "the verb list on events",
        Asked::Whoami => "the verb create on selfsubjectreviews.authentication.k8s.io",
    }
}
