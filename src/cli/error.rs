//! What can go wrong on the command line, each with what to type next. Never printed here.

use kube::{
    config::{InferConfigError, KubeconfigError},
    core::response::Status,
};

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
    /// No such rollout.
    #[error("llmrollout \"{name}\" not found in namespace {namespace}; see `kubectl llmrollout get -A`")]
    NotFound {
        /// The namespace looked in.
        namespace: String,
        /// The name asked for.
        name: String,
    },
    /// The cluster does not have the kind.
    #[error("the cluster does not know LlmRollout; install the CRD with `kubectl apply --server-side -f crds/`")]
    NoKind,
    /// Not allowed.
    #[error("not allowed to read llmrollouts: {0}; ask for the verbs get and list on llmrollouts.llmrollout.io")]
    Forbidden(String),
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

impl CliError {
    /// What an answer of the API server means for a question about `name` (or about all) in `namespace`.
    pub fn of_status(status: &Status, namespace: &str, name: Option<&str>) -> Self {
        match (status.code, name) {
            // Without the kind the server answers in plain text, or names no object.
            (404, Some(name)) if status.message.contains(&format!("\"{name}\"")) => {
                Self::NotFound { namespace: namespace.to_owned(), name: name.to_owned() }
            }
            (404, _) => Self::NoKind,
            (401, _) => Self::Unauthorized(status.message.clone()),
            (403, _) => Self::Forbidden(status.message.clone()),
            _ => Self::Refused(status.message.clone()),
        }
    }
}
